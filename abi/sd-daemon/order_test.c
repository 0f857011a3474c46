// SPDX-License-Identifier: MIT
//
// Which error wins where a call has two reasons to fail. What each reason gives alone is in the other programs.
//
// A row is a call with both, in an environment with a manager that can't be reached (`$NOTIFY_SOCKET` names nobody) and
// variables of sockets and of the watchdog that are wrong. Rows run on the reference and on ours alike.
#include "daemon_harness.h"

#define CLOSED 100000

static const char kNobody[] = "/nonexistent/socket";
static const int kClosed[] = {CLOSED};
static int kMany[300];
static struct sockaddr_un local = {.sun_family = AF_UNIX};

#define ADDRESS ((struct sockaddr*)&local)

// What newer releases say of an address without sense, and of too many descriptors.
#define kSense differs(kNotifyErrors, -EINVAL, -EPROTO)
#define kTooMany differs(kNotifyErrors, -EINVAL, -E2BIG)

// clang-format off
#define ROWS(X)                                                                                                       \
  X("no message, nobody there", kNobody, sd_notify(0, NULL), -EINVAL)                                                 \
  X("no message, no sense", "relative", sd_notify(0, NULL), -EINVAL)                                                  \
  X("no message for another", kNobody, sd_pid_notify(1, 0, NULL), -EINVAL)                                            \
  X("no message, closed fd", kNobody, sd_pid_notify_with_fds(0, 0, NULL, kClosed, 1), -EINVAL)                        \
  X("no message, no fds", kNobody, sd_pid_notify_with_fds(0, 0, NULL, NULL, 1), -EINVAL)                              \
  X("no fds, nobody there", kNobody, sd_pid_notify_with_fds(0, 0, "X=1", NULL, 1), -EINVAL)                           \
  X("closed fd, nobody there", kNobody, sd_pid_notify_with_fds(0, 0, "X=1", kClosed, 1), -EBADF)                     \
  X("closed fd, no sense", "relative", sd_pid_notify_with_fds(0, 0, "X=1", kClosed, 1), kSense)                        \
  X("too many fds, nobody there", kNobody, sd_pid_notify_with_fds(0, 0, "X=1", kMany, lengthof(kMany)), kTooMany)     \
  X("no manager, no fds", NULL, sd_pid_notify_with_fds(0, 0, "X=1", NULL, 1), -EINVAL)                                \
  X("no manager, closed fd", NULL, sd_pid_notify_with_fds(0, 0, "X=1", kClosed, 1), 0)                                \
  X("barrier, nobody there", kNobody, sd_notify_barrier(0, 0), -ENOENT)                                               \
  X("barrier, no sense", "relative", sd_notify_barrier(0, 0), kSense)                                                 \
  X("fifo, closed, long path", NULL, sd_is_fifo(CLOSED, long_path()), -EBADF)                                         \
  X("fifo, negative, long path", NULL, sd_is_fifo(-1, long_path()), -EBADF)                                           \
  X("special, closed, long path", NULL, sd_is_special(CLOSED, long_path()), -EBADF)                                   \
  X("queue, closed, no name", NULL, sd_is_mq(CLOSED, "name"), -EBADF)                                                 \
  X("queue, no queue, no name", NULL, sd_is_mq(file, "name"), 0)                                                      \
  X("socket, closed, family", NULL, sd_is_socket(CLOSED, -1, 0, -1), -EINVAL)                                         \
  X("socket, negative, type", NULL, sd_is_socket(-1, 0, -1, -1), -EBADF)                                              \
  X("inet, closed, family", NULL, sd_is_socket_inet(CLOSED, AF_UNIX, 0, -1, 0), -EINVAL)                              \
  X("inet, negative, family", NULL, sd_is_socket_inet(-1, AF_UNIX, 0, -1, 0), -EBADF)                                 \
  X("inet, closed, type", NULL, sd_is_socket_inet(CLOSED, 0, -1, -1, 0), -EINVAL)                                     \
  X("unix, closed, type", NULL, sd_is_socket_unix(CLOSED, -1, -1, NULL, 0), -EINVAL)                                  \
  X("unix, negative, type", NULL, sd_is_socket_unix(-1, -1, -1, NULL, 0), -EBADF)                                     \
  X("address, negative, none", NULL, sd_is_socket_sockaddr(-1, 0, NULL, 0, -1), -EBADF)                               \
  X("address, closed, none", NULL, sd_is_socket_sockaddr(CLOSED, 0, NULL, 0, -1), -EINVAL)                            \
  X("address, short and none", NULL, sd_is_socket_sockaddr(file, 0, NULL, 0, -1), -EINVAL)                            \
  X("address, short, family", NULL, sd_is_socket_sockaddr(CLOSED, 0, ADDRESS, 1, -1), -ENOBUFS)                       \
  X("address, family, type", NULL, sd_is_socket_sockaddr(CLOSED, -1, ADDRESS, 110, -1), -EPFNOSUPPORT)
// clang-format on

static const char* long_path(void) {
  static char path[PATH_MAX + 10];
  memset(path, 'x', sizeof(path) - 1);
  path[0] = '/';
  return path;
}

static void of_two_reasons_one_wins(void** state) {
  (void)state;
  const int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
#define EXPECT(name, manager, call, expected) \
  set_variable("NOTIFY_SOCKET", manager);     \
  expect_case(name, call, expected);
  ROWS(EXPECT)
  close(file);
}

static void of_the_watchdogs_variables_the_time_is_looked_at_first(void** state) {
  (void)state;
  uint64_t usec = 77;
  set_variable("WATCHDOG_USEC", "junk");
  set_variable("WATCHDOG_PID", "0");
  expect_case("junk, 0", sd_watchdog_enabled(0, &usec), -EINVAL);
  set_variable("WATCHDOG_USEC", "99999999999999999999");
  set_variable("WATCHDOG_PID", "junk");
  expect_case("too much, junk", sd_watchdog_enabled(0, &usec), -ERANGE);
  assert_int_equal(usec, 77);
}

static void of_the_sockets_variables_the_process_is_looked_at_first(void** state) {
  (void)state;
  set_variable("LISTEN_PID", "0");
  set_variable("LISTEN_FDS", "junk");
  expect_case("0, junk", sd_listen_fds(0), -ERANGE);
  set_variable("LISTEN_PID", "junk");
  set_variable("LISTEN_FDS", "99999999999999999999");
  expect_case("junk, too many", sd_listen_fds(0), -EINVAL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      clean_test(of_two_reasons_one_wins),
      clean_test(of_the_watchdogs_variables_the_time_is_looked_at_first),
      clean_test(of_the_sockets_variables_the_process_is_looked_at_first),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
