// SPDX-License-Identifier: MIT
//
// Programs that gained privileges when they were executed see the variables of the manager, as others do; but none that
// names a file to be opened.
//
// The idea: a service under SELinux or with file capabilities is such a program, and must keep its sockets and its
// watchdog. But what is opened with the gained privileges is not for the caller to say. This program copies itself,
// makes the copy set-user-ID root, and runs it as nobody with all variables in place; the copy reports what each call
// returned. Needs root and a /tmp that honours the bit, else exits with 77. See daemon_harness.h for the rules.
#include <systemd/sd-event.h>

#include "daemon_harness.h"

struct Report {
  int notify, barrier, no_address, watchdog, listen, named, pressure;
};

// 0 where the library is older than the function.
static int add_pressure(void) {
  typedef int Add(sd_event*, sd_event_source**, sd_event_handler_t, void*);
  Add* const add = (Add*)dlsym(RTLD_DEFAULT, "sd_event_add_memory_pressure");
  sd_event* loop = NULL;
  if (!add || sd_event_new(&loop) < 0) return 0;
  const int r = add(loop, NULL, NULL, NULL);
  sd_event_unref(loop);
  return r;
}

// What the copy does. Descriptor 1 is the report.
static int report(void) {
  struct Report r;
  char pid[32], **names = NULL;
  uint64_t usec;
  snprintf(pid, sizeof(pid), "%d", (int)getpid());
  set_variable("LISTEN_PID", pid);
  set_variable("LISTEN_FDS", "1");
  set_variable("WATCHDOG_USEC", "5000");
  set_variable("NOTIFY_SOCKET", "no address");
  set_variable("MEMORY_PRESSURE_WATCH", "no path");
  if (getuid() == geteuid() || dup2(1, SD_LISTEN_FDS_START) < 0) return 1;
  r.no_address = differs(kNotifyErrors, -EINVAL, -EPROTO);  // It may run without what this test has preloaded.
  r.notify = sd_notify(0, "READY=1");
  r.barrier = sd_notify_barrier(0, 0);
  r.watchdog = sd_watchdog_enabled(0, &usec);
  r.listen = sd_listen_fds(0);
  r.named = sd_listen_fds_with_names(0, &names);
  if (names) free(names[0]);
  free(names);
  r.pressure = add_pressure();
  return write(1, &r, sizeof(r)) == sizeof(r) ? 0 : 1;
}

static int copy_myself(const char* path) {
  struct stat st;
  const int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  if (from < 0 || to < 0 || fstat(from, &st) < 0) return -1;
  while (st.st_size > 0) {
    const ssize_t n = sendfile(to, from, NULL, (size_t)st.st_size);
    if (n <= 0) return -1;
    st.st_size -= n;
  }
  const int r = fchmod(to, 04755);
  close(from);
  close(to);
  return r;
}

static void a_privileged_program_sees_the_variables(void** state) {
  (void)state;
  struct Report r;
  int ends[2], status = -1;
  const char* path = in_directory("privileged");
  assert_int_equal(copy_myself(path), 0);
  assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(ends[1], 1);
    if (setgid(65534) == 0 && setuid(65534) == 0) execl(path, path, "report", NULL);
    _exit(127);
  }
  close(ends[1]);
  const ssize_t size = read(ends[0], &r, sizeof(r));
  close(ends[0]);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
  assert_int_equal(size, sizeof(r));
  assert_int_equal(r.notify, r.no_address);
  assert_int_equal(r.barrier, r.no_address);
  assert_int_equal(r.watchdog, 1);
  assert_int_equal(r.listen, 1);
  assert_int_equal(r.named, 1);
  assert_int_not_equal(r.pressure, -EBADMSG);  // What it is for a value that is no path.
}

int main(int argc, char** argv) {
  if (argc > 1 && strcmp(argv[1], "report") == 0) return report();
  struct statvfs file_system;
  if (geteuid() != 0 || statvfs("/tmp", &file_system) < 0 || (file_system.f_flag & ST_NOSUID)) {
    printf("skipped: needs root and a /tmp that is not mounted nosuid\n");
    return 77;
  }
  char program[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", program, sizeof(program));
  if (length > 0 && memmem(program, (size_t)length, "/ld-linux", strlen("/ld-linux"))) {
    printf("skipped: the program was started by another dynamic linker, which a set-user-ID copy would not be\n");
    return 77;
  }
  const struct CMUnitTest tests[] = {clean_test(a_privileged_program_sees_the_variables)};
  return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
