// SPDX-License-Identifier: MIT
//
// What the tests of this ABI share. Each program is plain C against the public header and runs twice: on the reference,
// libsystemd 252, and on ours.
//
// Rules:
// 1. Where the answers differ on purpose, the expectation is `differs(kRow, reference, ours)`: conformance/differs.h.
// 2. Every test leaves the process as it was: no fd, no child, no variable of the protocols (`clean_test(f)`).
// 3. What changes the process for good (descriptors 3 and up, user IDs) runs in `in_child`. Code there reports by its
//    result, it makes no assertions: a failed one would go on running the other tests in the child.
// 4. The system's headers are all included here, behind _GNU_SOURCE.
// 5. Files live in a directory of the test's own, sockets have abstract names with the process ID, ports are the
//    kernel's choice.
#ifndef EVENKEEL_DAEMON_HARNESS_H
#define EVENKEEL_DAEMON_HARNESS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

// cmocka.h needs the first four before it.
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <arpa/inet.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "differs.h"

#define lengthof(array) (sizeof(array) / sizeof((array)[0]))

// An expectation in a table of cases, which says in which case it failed.
#define expect_case(name, actual, expected)                                                        \
  do {                                                                                             \
    const int actual_ = (actual), expected_ = (expected);                                          \
    if (actual_ != expected_) fail_msg("%s: %s is %d, not %d", name, #actual, actual_, expected_); \
  } while (0)

// ---- the environment ----

static const char* const kVariables[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
                                         "LISTEN_FDS",    "LISTEN_PID",    "LISTEN_FDNAMES"};

static inline void clear_variables(void) {
  for (size_t i = 0; i < lengthof(kVariables); i++) unsetenv(kVariables[i]);
}

// Null takes the variable away.
static inline void set_variable(const char* name, const char* value) {
  if (value)
    setenv(name, value, 1);
  else
    unsetenv(name);
}

// ---- nothing is left behind ----

static inline int count_fds(void) {
  int count = 0;
  DIR* dir = opendir("/proc/self/fd");
  if (!dir) return -1;
  while (readdir(dir)) count++;
  closedir(dir);
  return count;
}

static inline int* fds_at_begin(void) {
  static int count;
  return &count;
}

static inline int begin_clean(void** state) {
  (void)state;
  clear_variables();
  *fds_at_begin() = count_fds();
  return *fds_at_begin() > 0 ? 0 : -1;
}

static inline int end_clean(void** state) {
  (void)state;
  clear_variables();
  const int now = count_fds();
  if (now != *fds_at_begin()) print_error("leaked fds: %d before, %d after\n", *fds_at_begin(), now);
  const bool alone = waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD;
  if (!alone) print_error("left a child process\n");
  return now == *fds_at_begin() && alone ? 0 : -1;
}

#define clean_test(f) cmocka_unit_test_setup_teardown(f, begin_clean, end_clean)

// ---- processes ----

// The result of `body` in a forked process; INT_MIN when that died, or a tool that watches it found something.
static inline int in_child(int (*body)(void*), void* argument) {
  int ends[2], result = INT_MIN, status = 0;
  if (pipe2(ends, O_CLOEXEC) < 0) fail_msg("pipe: %s", strerror(errno));
  fflush(NULL);
  const pid_t pid = fork();
  if (pid < 0) fail_msg("fork: %s", strerror(errno));
  if (pid == 0) {
    close(ends[0]);
    const int high = fcntl(ends[1], F_DUPFD_CLOEXEC, 200);  // out of the way of the descriptors that a test makes
    close(ends[1]);
    result = body(argument);
    _exit(write(high, &result, sizeof(result)) == sizeof(result) ? 0 : 1);
  }
  close(ends[1]);
  if (read(ends[0], &result, sizeof(result)) != sizeof(result)) result = INT_MIN;
  close(ends[0]);
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  return status == 0 ? result : INT_MIN;
}

// ---- files ----

static inline char* test_directory(void) {
  static char path[64];
  return path;
}

// Group setup and teardown for programs that need files: the working directory stays what it was.
static inline int make_directory(void** state) {
  (void)state;
  snprintf(test_directory(), 64, "/tmp/evenkeel-XXXXXX");
  return mkdtemp(test_directory()) && chmod(test_directory(), 0755) == 0 ? 0 : -1;
}

static inline int remove_directory(void** state) {
  (void)state;
  DIR* dir = opendir(test_directory());
  if (!dir) return -1;
  for (struct dirent* entry; (entry = readdir(dir));)
    if (entry->d_name[0] != '.') unlinkat(dirfd(dir), entry->d_name, 0);
  closedir(dir);
  return rmdir(test_directory());
}

// "<directory>/<name>", good until the fourth call after this one.
static inline char* in_directory(const char* name) {
  static char paths[4][PATH_MAX];
  static unsigned turn;
  char* path = paths[turn++ % 4];
  snprintf(path, PATH_MAX, "%s/%s", test_directory(), name);
  return path;
}

// ---- sockets ----

static inline int bind_unix(int fd, const char* name, size_t size) {
  // A path of the full length has no NUL: the zero behind it is for tools that look for one.
  struct {
    struct sockaddr_un address;
    char zero;
  } a = {.address = {.sun_family = AF_UNIX}};
  if (size > sizeof(a.address.sun_path)) return -1;
  memcpy(a.address.sun_path, name, size);
  return bind(fd, (struct sockaddr*)&a.address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size));
}

#endif
