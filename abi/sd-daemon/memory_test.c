// SPDX-License-Identifier: MIT
//
// Without memory there are no names of descriptors, nor a formatted message: -ENOMEM, and nothing is returned.
//
// Idea: see conformance/no_memory.h; every allocation of a call fails in turn. The variables are unset whether there is
// memory or not.
#include "daemon_harness.h"
#include "no_memory.h"

// The first thing that is wrong, as the number of a line; 0 if nothing is.
#define require(condition)             \
  do {                                 \
    if (!(condition)) return __LINE__; \
  } while (0)

static char* untouched[1];

static void set_listen_variables(const char* names) {
  char pid[16];
  snprintf(pid, sizeof(pid), "%d", (int)getpid());
  set_variable("LISTEN_PID", pid);
  set_variable("LISTEN_FDS", "2");
  set_variable("LISTEN_FDNAMES", names);
}

static int names_at_each_allocation(void* argument) {
  const char* names = argument;
  int n_failures = 0;
  for (int nth = 0;; nth++) {
    char** got = untouched;
    require(nth < 100);
    for (int fd = 3; fd < 5; fd++) require(dup2(STDERR_FILENO, fd) == fd);
    set_listen_variables(names);
    fail_allocation(nth);
    const int r = sd_listen_fds_with_names(1, &got);
    const bool failed = failed_allocation();
    require(!getenv("LISTEN_PID") && !getenv("LISTEN_FDS") && !getenv("LISTEN_FDNAMES"));
    if (!failed) {
      for (int fd = 3; fd < 5; fd++) require(fcntl(fd, F_GETFD) == FD_CLOEXEC);
      require(r == 2 && strcmp(got[0], names ? "first" : "unknown") == 0);
      require(strcmp(got[1], names ? "second" : "unknown") == 0 && !got[2]);
      for (char** name = got; *name; name++) free(*name);
      free(got);
      break;
    }
    require(r == -ENOMEM && got == untouched);
    n_failures++;
  }
  require(n_failures >= 3);  // The list, and two names.
  return 0;
}

static void names_are_enomem_and_the_descriptors_are_taken_all_the_same(void** state) {
  (void)state;
  assert_int_equal(in_child(names_at_each_allocation, (void*)"first:second"), 0);
  assert_int_equal(in_child(names_at_each_allocation, NULL), 0);
}

static void a_message_that_can_not_be_formatted_is_enomem(void** state) {
  (void)state;
  set_variable("NOTIFY_SOCKET", "@evenkeel-nobody");
  fail_allocation(0);
  const int r = sd_notifyf(0, "STATUS=%d", 1);
  assert_true(failed_allocation());
  assert_int_equal(r, -ENOMEM);
  assert_non_null(getenv("NOTIFY_SOCKET"));
  assert_int_equal(sd_notifyf(0, "STATUS=%d", 1), -ECONNREFUSED);
}

static void a_message_for_another_process_that_can_not_be_formatted_is_enomem(void** state) {
  (void)state;
  set_variable("NOTIFY_SOCKET", "@evenkeel-nobody");
  fail_allocation(0);
  const int r = sd_pid_notifyf(getppid(), 0, "STATUS=%d", 1);
  assert_true(failed_allocation());
  assert_int_equal(r, -ENOMEM);
}

// Each of these works where there is none; what they answer here is the matter of other tests.
static void what_takes_no_memory_needs_none(void** state) {
  (void)state;
  const int fd = 0;
  set_variable("NOTIFY_SOCKET", "@evenkeel-nobody");
  set_variable("WATCHDOG_USEC", "1000000");
  const unsigned long before = count_allocations();
  assert_int_equal(sd_notify(0, "READY=1"), -ECONNREFUSED);
  assert_int_equal(sd_pid_notify(0, 0, "READY=1"), -ECONNREFUSED);
  assert_int_equal(sd_pid_notify_with_fds(0, 0, "READY=1", &fd, 1), -ECONNREFUSED);
  assert_int_equal(sd_notify_barrier(0, 0), -ECONNREFUSED);
  assert_int_equal(sd_watchdog_enabled(0, NULL), 1);
  assert_int_equal(sd_listen_fds(0), 0);
  assert_true(sd_booted() >= 0);
  assert_int_equal(sd_is_fifo(3000, NULL), -EBADF);
  assert_int_equal(sd_is_special(3000, NULL), -EBADF);
  assert_int_equal(sd_is_mq(3000, NULL), -EBADF);
  assert_int_equal(sd_is_socket(3000, AF_UNIX, 0, -1), -EBADF);
  assert_int_equal(sd_is_socket_inet(3000, AF_INET, 0, -1, 0), -EBADF);
  assert_int_equal(sd_is_socket_unix(3000, 0, -1, NULL, 0), -EBADF);
  const struct sockaddr nowhere = {.sa_family = AF_INET};
  assert_true(sd_is_socket_sockaddr(3000, SOCK_DGRAM, &nowhere, sizeof(struct sockaddr_in), -1) < 0);
  assert_int_equal(count_allocations() - before, 0);
}

int main(void) {
  exit_77_with_another_allocator();
  const struct CMUnitTest tests[] = {
      clean_test(names_are_enomem_and_the_descriptors_are_taken_all_the_same),
      clean_test(a_message_that_can_not_be_formatted_is_enomem),
      clean_test(a_message_for_another_process_that_can_not_be_formatted_is_enomem),
      clean_test(what_takes_no_memory_needs_none),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
