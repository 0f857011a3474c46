// SPDX-License-Identifier: MIT
//
// Which fd an IO source watches: refused fds, moving to another fd, owned fds, fds that are closed, reused or dup'd.
//
// Invariants under test:
// 1. One enabled source an fd and loop (-EEXIST); a disabled source does not occupy its fd.
// 2. A move that fails changes nothing. While the source is off a move is only noted, and its error comes with ON.
// 3. An owned fd is closed by a successful move to another fd and when the source is freed, at no other moment.
// 4. A source that is off does not exist for epoll: its fd may be closed and reused, a dup of it wakes nobody.
#include "loop_recorder.h"

static bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

static int open_regular(void) {
  int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  assert_true(fd >= 0);
  return fd;
}

static void fds_that_epoll_refuses_give_its_error(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int regular = open_regular(), fd = make_eventfd(1), closed = make_eventfd(0);
  close(closed);
  struct Probe a = {.name = "a"};
  sd_event_source* s = NULL;
  assert_result(sd_event_add_io(loop, &s, regular, EPOLLIN, on_io, NULL), -EPERM);
  assert_result(sd_event_add_io(loop, &s, -1, EPOLLIN, on_io, NULL), -EBADF);
  assert_result(sd_event_add_io(loop, &s, closed, EPOLLIN, on_io, NULL), -EBADF);
  probe_io(loop, &a, fd, EPOLLIN);
  assert_result(sd_event_add_io(loop, &s, fd, EPOLLIN, on_io, NULL), -EEXIST);
  assert_null(s);
  assert_result(iterate(loop), 1);
  assert_journal("a ");
  free_probe(&a);
  close(regular);
  close(fd);
  sd_event_unref(loop);
}

static void a_disabled_source_leaves_its_fd_to_others(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(1);
  struct Probe a = {.name = "a"}, b = {.name = "b"};
  probe_io(loop, &a, fd, EPOLLIN);
  set_enabled(&a, SD_EVENT_OFF);
  probe_io(loop, &b, fd, EPOLLIN);
  assert_result(sd_event_source_set_enabled(a.source, SD_EVENT_ON), -EEXIST);
  assert_result(sd_event_source_set_enabled(a.source, SD_EVENT_ONESHOT), -EEXIST);
  assert_int_equal(enabled_of(&a), SD_EVENT_OFF);
  assert_result(iterate(loop), 1);
  assert_journal("b ");
  set_enabled(&b, SD_EVENT_OFF);
  set_enabled(&a, SD_EVENT_ON);
  assert_result(iterate(loop), 1);
  assert_journal("a ");
  free_probe(&a);
  set_enabled(&b, SD_EVENT_ON);
  assert_result(iterate(loop), 1);
  assert_journal("b ");
  free_probe(&b);
  close(fd);
  sd_event_unref(loop);
}

static void one_fd_can_be_watched_by_two_loops_and_dups_of_it_by_one(void** state) {
  (void)state;
  sd_event *loop = make_loop(), *other_loop = make_loop();
  int fd = make_eventfd(1), copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  struct Probe a = {.name = "a"}, b = {.name = "b"}, c = {.name = "c"};
  probe_io(loop, &a, fd, EPOLLIN);
  probe_io(loop, &b, copy, EPOLLIN);
  probe_io(other_loop, &c, fd, EPOLLIN);
  iterate_times(loop, 2);
  assert_journal_any_order("a b ");
  iterate_times(other_loop, 1);
  assert_journal("c ");
  free_probe(&a);
  free_probe(&b);
  free_probe(&c);
  close(fd);
  close(copy);
  sd_event_unref(loop);
  sd_event_unref(other_loop);
}

static void a_failed_move_keeps_the_old_fd(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(1), taken = make_eventfd(0), regular = open_regular(), closed = make_eventfd(0);
  close(closed);
  struct Probe a = {.name = "a"}, b = {.name = "b"};
  probe_io(loop, &a, fd, EPOLLIN);
  probe_io(loop, &b, taken, EPOLLIN);
  assert_result(sd_event_source_set_io_fd(a.source, -1), -EBADF);
  assert_result(sd_event_source_set_io_fd(a.source, closed), -EBADF);
  assert_result(sd_event_source_set_io_fd(a.source, regular), -EPERM);
  assert_result(sd_event_source_set_io_fd(a.source, taken), -EEXIST);
  assert_int_equal(sd_event_source_get_io_fd(a.source), fd);
  assert_result(iterate(loop), 1);
  assert_journal("a ");
  free_probe(&a);
  free_probe(&b);
  close(fd);
  close(taken);
  close(regular);
  sd_event_unref(loop);
}

static void a_move_of_a_disabled_source_is_checked_when_it_is_enabled(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(1), regular = open_regular(), closed = make_eventfd(0);
  close(closed);
  struct Probe a = {.name = "a"};
  probe_io(loop, &a, fd, EPOLLIN);
  set_enabled(&a, SD_EVENT_OFF);
  assert_result(sd_event_source_set_io_fd(a.source, -1), -EBADF);
  assert_result(sd_event_source_set_io_fd(a.source, regular), 0);
  assert_int_equal(sd_event_source_get_io_fd(a.source), regular);
  assert_result(sd_event_source_set_enabled(a.source, SD_EVENT_ON), -EPERM);
  assert_int_equal(enabled_of(&a), SD_EVENT_OFF);
  assert_result(sd_event_source_set_io_fd(a.source, closed), 0);
  assert_result(sd_event_source_set_enabled(a.source, SD_EVENT_ON), -EBADF);
  assert_result(sd_event_source_set_io_fd(a.source, fd), 0);
  set_enabled(&a, SD_EVENT_ON);
  assert_result(iterate(loop), 1);
  assert_journal("a ");
  free_probe(&a);
  close(fd);
  close(regular);
  sd_event_unref(loop);
}

static void a_moved_source_reports_the_new_fd_alone(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(1), fd_b = make_eventfd(0);
  struct Probe a = {.name = "a", .act = act_lower}, b = {.name = "b"};
  probe_io(loop, &a, fd, EPOLLIN);
  assert_result(sd_event_source_set_io_fd(a.source, fd), 0);
  assert_result(sd_event_source_set_io_fd(a.source, fd_b), 0);
  assert_int_equal(sd_event_source_get_io_fd(a.source), fd_b);
  assert_result(iterate(loop), 0);
  probe_io(loop, &b, fd, EPOLLIN);
  set_enabled(&b, SD_EVENT_ONESHOT);
  assert_result(iterate(loop), 1);
  assert_journal("b ");
  raise_eventfd(fd_b);
  assert_int_equal(iterate_until_idle(loop), 1);
  assert_journal("a ");
  free_probe(&a);
  free_probe(&b);
  close(fd);
  close(fd_b);
  sd_event_unref(loop);
}

static void a_move_to_the_same_fd_closes_nothing_and_stays_ready(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(1);
  struct Probe a = {.name = "a"};
  probe_io(loop, &a, fd, EPOLLIN);
  assert_result(sd_event_source_set_io_fd_own(a.source, 1), 0);
  assert_result(sd_event_source_set_io_fd(a.source, fd), 0);
  set_enabled(&a, SD_EVENT_OFF);
  assert_result(sd_event_source_set_io_fd(a.source, fd), 0);
  assert_true(is_open(fd));
  set_enabled(&a, SD_EVENT_ON);
  assert_result(iterate(loop), 1);
  assert_journal("a ");
  free_probe(&a);
  assert_false(is_open(fd));
  sd_event_unref(loop);
}

static void an_owned_fd_is_closed_by_a_successful_move_and_by_free(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int first = make_eventfd(0), second = make_eventfd(0), third = make_eventfd(0), regular = open_regular();
  struct Probe a = {.name = "a"};
  probe_io(loop, &a, first, EPOLLIN);
  assert_int_equal(sd_event_source_get_io_fd_own(a.source), 0);
  assert_result(sd_event_source_set_io_fd_own(a.source, 3), 0);
  assert_int_equal(sd_event_source_get_io_fd_own(a.source), 1);
  assert_result(sd_event_source_set_io_fd(a.source, regular), -EPERM);
  assert_true(is_open(first));
  assert_result(sd_event_source_set_io_fd(a.source, second), 0);
  assert_false(is_open(first));
  set_enabled(&a, SD_EVENT_OFF);
  assert_true(is_open(second));
  assert_result(sd_event_source_set_io_fd(a.source, third), 0);
  assert_false(is_open(second));
  assert_int_equal(sd_event_source_get_io_fd_own(a.source), 1);
  free_probe(&a);
  assert_false(is_open(third));
  close(regular);
  sd_event_unref(loop);
}

static void an_fd_that_is_not_owned_is_never_closed(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(0), fd_b = make_eventfd(0);
  struct Probe a = {.name = "a"};
  probe_io(loop, &a, fd, EPOLLIN);
  assert_result(sd_event_source_set_io_fd_own(a.source, 1), 0);
  assert_result(sd_event_source_set_io_fd_own(a.source, 0), 0);
  assert_result(sd_event_source_set_io_fd(a.source, fd_b), 0);
  free_probe(&a);
  sd_event_unref(loop);
  assert_true(is_open(fd) && is_open(fd_b));
  close(fd);
  close(fd_b);
}

static void an_fd_that_was_closed_while_off_may_be_reused_for_another_source(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(1);
  struct Probe a = {.name = "a"}, b = {.name = "b"};
  probe_io(loop, &a, fd, EPOLLIN);
  set_enabled(&a, SD_EVENT_OFF);
  close(fd);
  int again = make_eventfd(0);
  assert_int_equal(again, fd);
  probe_io(loop, &b, again, EPOLLIN);
  assert_result(iterate(loop), 0);
  raise_eventfd(again);
  iterate_times(loop, 2);
  free_probe(&a);
  iterate_times(loop, 2);
  assert_journal("b b b b ");
  free_probe(&b);
  close(again);
  sd_event_unref(loop);
}

static void an_fd_that_was_closed_while_on_is_quiet_and_its_number_may_be_reused(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(1);
  struct Probe a = {.name = "a"}, b = {.name = "b"};
  probe_io(loop, &a, fd, EPOLLIN);
  close(fd);
  assert_result(iterate(loop), 0);
  set_enabled(&a, SD_EVENT_OFF);
  assert_result(iterate(loop), 0);
  assert_result(sd_event_source_set_enabled(a.source, SD_EVENT_ON), -EBADF);
  assert_int_equal(enabled_of(&a), SD_EVENT_OFF);
  int again = make_eventfd(1);
  assert_int_equal(again, fd);
  probe_io(loop, &b, again, EPOLLIN);
  iterate_times(loop, 2);
  free_probe(&a);
  iterate_times(loop, 1);
  assert_journal("b b b ");
  free_probe(&b);
  close(again);
  sd_event_unref(loop);
}

static void a_dup_of_a_disabled_source_wakes_nobody(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(1), copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  struct Probe a = {.name = "a"};
  probe_io(loop, &a, fd, EPOLLIN);
  iterate_times(loop, 1);
  set_enabled(&a, SD_EVENT_OFF);
  close(fd);
  assert_result(sd_event_prepare(loop), 0);
  assert_int_equal(fd_readable(loop, 0), differs(kDuplicateWhileOff, 0, 1));
  assert_result(sd_event_wait(loop, 0), 0);
  raise_eventfd(copy);
  assert_false(fd_readable(loop, 0));
  assert_journal("a ");
  free_probe(&a);
  close(copy);
  sd_event_unref(loop);
}

static int close_a_dupd_fd_then_free(void* context) {
  (void)context;
  expect_hang_on_reference(kDuplicateLeft);
  sd_event* loop = make_loop();
  int fd = make_eventfd(1), copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  struct Probe a = {.name = "a"};
  probe_io(loop, &a, fd, EPOLLIN);
  close(fd);
  free_probe(&a);
  // The registration can no longer be named, the dup keeps it alive: the loop must cope with what it reports.
  int r = iterate(loop);
  for (int i = 0; r > 0 && i < 10; i++) r = iterate(loop);
  bool quiet = sd_event_prepare(loop) == 0 && !fd_readable(loop, 0);
  close(copy);
  return r < 0 ? r : quiet ? 0 : 1;
}

static void an_fd_closed_while_on_with_a_dup_left_does_not_spin_after_free(void** state) {
  (void)state;
  assert_result(in_child(close_a_dupd_fd_then_free, NULL), differs(kDuplicateLeft, died_of(SIGABRT), 0));
}

static void an_fd_closed_while_on_with_a_dup_left_is_served_until_its_source_is_off(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(1), copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  struct Probe a = {.name = "a"};
  probe_io(loop, &a, fd, EPOLLIN);
  assert_true(sd_event_get_fd(loop) > 2);  // Has its number before one is free.
  close(fd);
  iterate_times(loop, 3);
  assert_journal("a a a ");
  set_enabled(&a, SD_EVENT_OFF);
  iterate_times(loop, 2);
  assert_journal("");
  // The reference wakes for it for ever: each wait finds nothing that it could call.
  assert_result(sd_event_prepare(loop), 0);
  assert_int_equal(fd_readable(loop, 0), differs(kDuplicateLeft, 1, 0));
  assert_result(sd_event_wait(loop, 0), 0);
  assert_result(sd_event_source_set_enabled(a.source, SD_EVENT_ON), -EBADF);
  close(copy);
  free_probe(&a);
  sd_event_unref(loop);
}

// A loop opens descriptors for its timers, signals and watches when the first of these is added.
static void an_fd_that_was_closed_may_be_reused_by_the_loop_itself(void** state) {
  (void)state;
  for (int freed = 0; freed <= 1; ++freed) {
    for (int kind = 0; kind < 3; ++kind) {
      sd_event* loop = make_loop();
      int fd = make_eventfd(0);
      struct Probe a = {.name = "a"}, b = {.name = "b"};
      probe_io(loop, &a, fd, EPOLLIN);
      assert_result(iterate(loop), 0);
      if (freed)
        free_probe(&a);
      else
        set_enabled(&a, SD_EVENT_OFF);
      close(fd);
      set_blocked(SIGRTMIN, true);
      if (kind == 0) probe_time(loop, &b, CLOCK_MONOTONIC, clock_usec(CLOCK_MONOTONIC) + 2000);
      if (kind == 1) probe_signal(loop, &b, SIGRTMIN);
      if (kind == 2) probe_inotify(loop, &b, "/etc/passwd", IN_OPEN);
      if (kind == 1) assert_int_equal(kill(getpid(), SIGRTMIN), 0);
      if (kind == 2) close(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
      assert_result(sd_event_prepare(loop), 0);
      assert_int_equal(fd_readable(loop, 10000), 1);
      assert_result(sd_event_wait(loop, 0), 1);
      assert_result(sd_event_dispatch(loop), 1);
      free_probe(&b);
      set_blocked(SIGRTMIN, false);
      if (!freed) free_probe(&a);
      sd_event_unref(loop);
    }
  }
  assert_journal("b b b:20: b b b:20: ");
}

// As in a server that forks for each connection: the parent frees and closes, the child goes on with it.
static void a_dup_of_an_fd_whose_source_was_freed_wakes_nobody(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(0), copy = dup(fd);
  struct Probe a = {.name = "a"}, t = {.name = "t"};
  probe_io(loop, &a, fd, EPOLLIN);
  assert_result(iterate(loop), 0);
  free_probe(&a);
  close(fd);
  raise_eventfd(copy);
  probe_time(loop, &t, CLOCK_MONOTONIC, clock_usec(CLOCK_MONOTONIC) + 2000);
  assert_result(sd_event_run(loop, UINT64_MAX), 1);
  assert_journal("t ");
  free_probe(&t);
  close(copy);
  sd_event_unref(loop);
}

static void an_fd_may_be_watched_again_after_its_source_was_freed(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(1);
  struct Probe a = {.name = "a"}, b = {.name = "b"};
  probe_io(loop, &a, fd, EPOLLIN);
  iterate_times(loop, 1);
  free_probe(&a);
  probe_io(loop, &b, fd, EPOLLOUT);
  iterate_times(loop, 1);
  free_probe(&b);
  assert_result(iterate(loop), 0);
  probe_io(loop, &a, fd, EPOLLIN | EPOLLET);
  iterate_times(loop, 1);
  assert_result(iterate(loop), 0);
  free_probe(&a);
  // The same number, but another file, which is not ready.
  close(fd);
  int again = make_eventfd(0);
  assert_int_equal(again, fd);
  probe_io(loop, &b, again, EPOLLIN);
  assert_result(iterate(loop), 0);
  raise_eventfd(again);
  iterate_times(loop, 1);
  assert_journal("a b a b ");
  free_probe(&b);
  // And one that can't be watched.
  close(again);
  int regular = open_regular();
  assert_int_equal(regular, fd);
  assert_result(sd_event_add_io(loop, &b.source, regular, EPOLLIN, NULL, NULL), -EPERM);
  close(regular);
  sd_event_unref(loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      recorded_test(fds_that_epoll_refuses_give_its_error),
      recorded_test(a_disabled_source_leaves_its_fd_to_others),
      recorded_test(one_fd_can_be_watched_by_two_loops_and_dups_of_it_by_one),
      recorded_test(a_failed_move_keeps_the_old_fd),
      recorded_test(a_move_of_a_disabled_source_is_checked_when_it_is_enabled),
      recorded_test(a_moved_source_reports_the_new_fd_alone),
      recorded_test(a_move_to_the_same_fd_closes_nothing_and_stays_ready),
      recorded_test(an_owned_fd_is_closed_by_a_successful_move_and_by_free),
      recorded_test(an_fd_that_is_not_owned_is_never_closed),
      recorded_test(an_fd_that_was_closed_while_off_may_be_reused_for_another_source),
      recorded_test(an_fd_that_was_closed_while_on_is_quiet_and_its_number_may_be_reused),
      recorded_test(a_dup_of_a_disabled_source_wakes_nobody),
      recorded_test(an_fd_closed_while_on_with_a_dup_left_does_not_spin_after_free),
      recorded_test(an_fd_closed_while_on_with_a_dup_left_is_served_until_its_source_is_off),
      recorded_test(an_fd_that_was_closed_may_be_reused_by_the_loop_itself),
      recorded_test(a_dup_of_an_fd_whose_source_was_freed_wakes_nobody),
      recorded_test(an_fd_may_be_watched_again_after_its_source_was_freed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
