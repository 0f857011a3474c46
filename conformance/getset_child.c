// SPDX-License-Identifier: MIT
//
// The properties of child sources: PID, pidfd, and who owns the pidfd and the process.
//
// What is owned goes with the source: an owned pidfd is closed, an owned process that has not been reaped is killed and
// reaped. add_child makes a pidfd of its own, add_child_pidfd borrows the caller's. Each test owns its loop and its
// child.
#include "harness.h"

static bool is_open(int fd) { return fcntl(fd, F_GETFD) != -1; }

static void child_pid_and_pidfd_are_read_back(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  sd_event_source* s = NULL;
  pid_t child = spawn_sleeper(), pid = 0;
  set_blocked(SIGCHLD, true);
  assert_int_equal(sd_event_add_child(loop, &s, child, WEXITED, on_child, NULL), 0);
  assert_int_equal(sd_event_source_get_child_pid(s, &pid), 0);
  assert_int_equal(pid, child);
  int pidfd = sd_event_source_get_child_pidfd(s);
  assert_true(pidfd > 2 && is_open(pidfd));
  assert_int_equal(fcntl(pidfd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  assert_int_equal(sd_event_source_get_child_pidfd(s), pidfd);
  assert_int_equal(sd_event_source_get_child_pidfd_own(s), 1);
  assert_int_equal(sd_event_source_get_child_process_own(s), 0);
  sd_event_source_unref(s);
  assert_false(is_open(pidfd));
  kill_and_reap(child);
  set_blocked(SIGCHLD, false);
  sd_event_unref(loop);
}

static void a_pidfd_that_was_given_is_not_owned_until_it_is_made_so(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  sd_event_source* s = NULL;
  pid_t child = spawn_sleeper(), pid = 0;
  int pidfd = open_pidfd(child);
  set_blocked(SIGCHLD, true);
  assert_int_equal(sd_event_add_child_pidfd(loop, &s, pidfd, WEXITED, on_child, NULL), 0);
  assert_int_equal(sd_event_source_get_child_pid(s, &pid), 0);
  assert_int_equal(pid, child);
  assert_int_equal(sd_event_source_get_child_pidfd(s), pidfd);
  assert_int_equal(sd_event_source_get_child_pidfd_own(s), 0);
  sd_event_source_unref(s);
  assert_true(is_open(pidfd));
  assert_int_equal(sd_event_add_child_pidfd(loop, &s, pidfd, WEXITED, on_child, NULL), 0);
  assert_int_equal(sd_event_source_set_child_pidfd_own(s, 77), 0);
  assert_int_equal(sd_event_source_get_child_pidfd_own(s), 1);
  sd_event_source_unref(s);
  assert_false(is_open(pidfd));
  kill_and_reap(child);
  set_blocked(SIGCHLD, false);
  sd_event_unref(loop);
}

static void an_own_pidfd_that_is_disowned_stays_open(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  sd_event_source* s = NULL;
  pid_t child = spawn_sleeper();
  set_blocked(SIGCHLD, true);
  assert_int_equal(sd_event_add_child(loop, &s, child, WEXITED, on_child, NULL), 0);
  int pidfd = sd_event_source_get_child_pidfd(s);
  assert_int_equal(sd_event_source_set_child_pidfd_own(s, 0), 0);
  assert_int_equal(sd_event_source_get_child_pidfd_own(s), 0);
  sd_event_source_unref(s);
  assert_true(is_open(pidfd));
  close(pidfd);
  kill_and_reap(child);
  set_blocked(SIGCHLD, false);
  sd_event_unref(loop);
}

static void an_owned_process_is_killed_and_reaped_with_its_source(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  sd_event_source* s = NULL;
  pid_t child = spawn_sleeper();
  set_blocked(SIGCHLD, true);
  assert_int_equal(sd_event_add_child(loop, &s, child, WEXITED, on_child, NULL), 0);
  assert_int_equal(sd_event_source_set_child_process_own(s, 77), 0);
  assert_int_equal(sd_event_source_get_child_process_own(s), 1);
  sd_event_source_unref(s);
  assert_int_equal(waitpid(child, NULL, WNOHANG), -1);
  assert_int_equal(errno, ECHILD);
  set_blocked(SIGCHLD, false);
  sd_event_unref(loop);
}

int main(void) {
  exit_77_without_pidfds();
  const struct CMUnitTest tests[] = {
      clean_test(child_pid_and_pidfd_are_read_back),
      clean_test(a_pidfd_that_was_given_is_not_owned_until_it_is_made_so),
      clean_test(an_own_pidfd_that_is_disowned_stays_open),
      clean_test(an_owned_process_is_killed_and_reaped_with_its_source),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
