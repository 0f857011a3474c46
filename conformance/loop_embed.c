// SPDX-License-Identifier: MIT
//
// A loop inside another one: the outer loop polls `sd_event_get_fd` between prepare and wait(0), and knows nothing
// else.
//
// Invariants under test:
// 1. After a prepare that returned 0 the fd becomes readable for whatever the loop would wake up for: IO, timers,
//    signals, children, inotify, rate limits that end; then wait(0) returns 1.
// 2. Events that one read brought along and that are still buffered need no activity on the fd: prepare returns 1.
// 3. A prepare in state ARMED is -EBUSY; wait(0) is the way back, and nothing gets lost by it.
// 4. What nobody wants any more (disabled or freed sources, dispatched timers) leaves the fd quiet.
#include "loop_recorder.h"

// One turn of an outer loop that sleeps as long as it takes; returns what dispatch returned.
static int embedded_turn(sd_event* loop) {
  int r = sd_event_prepare(loop);
  if (r == 0) {
    assert_true(fd_readable(loop, -1));
    r = sd_event_wait(loop, 0);
  }
  if (r <= 0) return r;
  return sd_event_dispatch(loop);
}

static void embedded_turns(sd_event* loop, struct Probe* p, unsigned calls) {
  while (p->calls < calls) assert_true(embedded_turn(loop) >= 0);
}

static void assert_quiet(sd_event* loop) {
  assert_result(sd_event_prepare(loop), 0);
  assert_false(fd_readable(loop, 0));
  assert_result(sd_event_wait(loop, 0), 0);
}

static void the_fd_is_close_on_exec_and_none_of_the_standard_ones(void** state) {
  (void)state;
  int saved = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10);
  close(STDIN_FILENO);
  sd_event* loop = make_loop();
  int fd = sd_event_get_fd(loop);
  assert_true(fd > STDERR_FILENO);
  assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
  assert_int_equal(sd_event_get_fd(loop), fd);
  sd_event_unref(loop);
  if (saved >= 0) dup2(saved, STDIN_FILENO), close(saved);
}

static void io_makes_the_fd_readable(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(0);
  struct Probe a = {.name = "a", .act = act_lower};
  probe_io(loop, &a, fd, EPOLLIN);
  assert_quiet(loop);
  assert_result(sd_event_prepare(loop), 0);
  raise_eventfd(fd);
  assert_true(fd_readable(loop, -1));
  assert_result(sd_event_wait(loop, 0), 1);
  assert_result(sd_event_dispatch(loop), 1);
  assert_quiet(loop);
  assert_journal("a ");
  free_probe(&a);
  close(fd);
  sd_event_unref(loop);
}

static void a_timer_makes_the_fd_readable_also_one_that_has_elapsed_before(void** state) {
  (void)state;
  static const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME};
  sd_event* loop = make_loop();
  for (size_t i = 0; i < lengthof(clocks); i++) {
    struct Probe a = {.name = "a"}, b = {.name = "b"};
    probe_time(loop, &a, clocks[i], clock_usec(clocks[i]) + 2000);
    assert_result(sd_event_prepare(loop), 0);
    assert_true(fd_readable(loop, -1));
    assert_result(sd_event_wait(loop, 0), 1);
    assert_result(sd_event_dispatch(loop), 1);
    assert_quiet(loop);
    probe_time(loop, &b, clocks[i], 1);
    embedded_turns(loop, &b, 1);
    assert_quiet(loop);
    assert_journal("a b ");
    free_probe(&a);
    free_probe(&b);
  }
  sd_event_unref(loop);
}

static void a_signal_makes_the_fd_readable(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_signal(loop, &a, SIGRTMIN | SD_EVENT_SIGNAL_PROCMASK);
  assert_quiet(loop);
  queue_value(SIGRTMIN, 1);
  queue_value(SIGRTMIN, 2);
  embedded_turns(loop, &a, 2);
  assert_quiet(loop);
  assert_journal("a=1 a=2 ");
  free_probe(&a);
  sd_event_unref(loop);
}

static void the_end_of_a_child_makes_the_fd_readable(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  set_blocked(SIGCHLD, true);
  struct Probe a = {.name = "a"};
  pid_t pid = spawn_sleeper();
  probe_child(loop, &a, pid, WEXITED);
  assert_quiet(loop);
  kill(pid, SIGKILL);
  embedded_turns(loop, &a, 1);
  assert_journal("a:2:9 ");
  assert_quiet(loop);
  free_probe(&a);
  sd_event_unref(loop);
  set_blocked(SIGCHLD, false);
}

static void many_inotify_events_of_one_read_are_delivered_without_new_activity(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  char* dir = make_dir();
  struct Probe a = {.name = "a"};
  probe_inotify(loop, &a, dir, IN_CREATE);
  assert_quiet(loop);
  create_file(dir, "1");
  create_file(dir, "2");
  create_file(dir, "3");
  assert_result(embedded_turn(loop), 1);
  assert_journal("a:100:1 ");
  assert_result(sd_event_prepare(loop), 1);
  assert_int_equal(sd_event_get_state(loop), SD_EVENT_PENDING);
  assert_result(sd_event_dispatch(loop), 1);
  embedded_turns(loop, &a, 3);
  assert_journal("a:100:2 a:100:3 ");
  assert_quiet(loop);
  free_probe(&a);
  sd_event_unref(loop);
  remove_dir(dir);
}

static void a_defer_source_is_seen_by_prepare_alone(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_defer(loop, &a);
  assert_false(fd_readable(loop, 0));
  assert_result(sd_event_prepare(loop), 1);
  assert_result(sd_event_dispatch(loop), 1);
  assert_journal("a ");
  free_probe(&a);
  sd_event_unref(loop);
}

static void the_end_of_a_rate_limit_makes_the_fd_readable(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(1);
  struct Probe a = {.name = "a"};
  probe_io(loop, &a, fd, EPOLLIN);
  assert_result(sd_event_source_set_ratelimit(a.source, 30000, 1), 0);
  assert_result(iterate(loop), 1);
  while (!sd_event_source_is_ratelimited(a.source)) assert_true(iterate(loop) >= 0);
  embedded_turns(loop, &a, 2);
  assert_journal("a a ");
  free_probe(&a);
  close(fd);
  sd_event_unref(loop);
}

static void prepare_when_armed_is_busy_and_a_wait_leads_back_without_losing_events(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(0);
  struct Probe a = {.name = "a", .act = act_lower};
  probe_io(loop, &a, fd, EPOLLIN);
  assert_result(sd_event_prepare(loop), 0);
  assert_result(sd_event_prepare(loop), -EBUSY);
  raise_eventfd(fd);
  assert_result(sd_event_prepare(loop), -EBUSY);
  assert_result(sd_event_wait(loop, 0), 1);
  assert_result(sd_event_dispatch(loop), 1);
  assert_journal("a ");
  free_probe(&a);
  close(fd);
  sd_event_unref(loop);
}

static void what_changes_while_armed_still_counts(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(1), fd_b = make_eventfd(1);
  struct Probe a = {.name = "a"}, b = {.name = "b"};
  probe_io(loop, &a, fd, EPOLLIN);
  set_enabled(&a, SD_EVENT_OFF);
  assert_result(sd_event_prepare(loop), 0);
  assert_false(fd_readable(loop, 0));
  set_enabled(&a, SD_EVENT_ONESHOT);
  assert_true(fd_readable(loop, -1));
  set_enabled(&a, SD_EVENT_OFF);
  assert_false(fd_readable(loop, 0));
  probe_io(loop, &b, fd_b, EPOLLIN);
  assert_true(fd_readable(loop, -1));
  assert_result(sd_event_wait(loop, 0), 1);
  assert_result(sd_event_dispatch(loop), 1);
  assert_journal("b ");
  free_probe(&b);
  assert_quiet(loop);
  free_probe(&a);
  close(fd);
  close(fd_b);
  sd_event_unref(loop);
}

static void a_loop_can_be_a_source_of_another_loop(void** state) {
  (void)state;
  sd_event *outer = make_loop(), *inner = make_loop();
  int fd = make_eventfd(0);
  struct Probe a = {.name = "inner", .act = act_lower}, watch = {.name = "outer"};
  probe_io(inner, &a, fd, EPOLLIN);
  probe_io(outer, &watch, sd_event_get_fd(inner), EPOLLIN);
  assert_result(sd_event_prepare(inner), 0);
  assert_result(iterate(outer), 0);
  raise_eventfd(fd);
  assert_result(sd_event_run(outer, UINT64_MAX), 1);
  assert_result(sd_event_wait(inner, 0), 1);
  assert_result(sd_event_dispatch(inner), 1);
  assert_result(sd_event_prepare(inner), 0);
  assert_result(iterate(outer), 0);
  assert_journal("outer inner ");
  free_probe(&a);
  free_probe(&watch);
  sd_event_unref(inner);
  sd_event_unref(outer);
  close(fd);
}

static void a_loop_cannot_watch_itself(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  assert_result(sd_event_add_io(loop, NULL, sd_event_get_fd(loop), EPOLLIN, on_io, NULL), -EINVAL);
  assert_result(iterate(loop), 0);
  sd_event_unref(loop);
}

// The kernel nests five epoll sets; ours gives another loop one that stays when its own is made anew.
static void as_many_loops_stand_in_each_other_as_the_kernel_nests_sets(void** state) {
  (void)state;
  sd_event* loops[8];
  int n = 1;
  loops[0] = make_loop();
  for (int r = 0; r == 0 && n < (int)lengthof(loops); n++) {
    loops[n] = make_loop();
    r = sd_event_add_io(loops[n], NULL, sd_event_get_fd(loops[n - 1]), EPOLLIN, on_io, NULL);
    if (r != 0) assert_result(r, -ELOOP);
    if (r != 0) break;
  }
  assert_int_equal(n, differs(kNestedLoops, 5, 3));
  for (int i = n; i >= 0; i--) sd_event_unref(loops[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      recorded_test(the_fd_is_close_on_exec_and_none_of_the_standard_ones),
      recorded_test(io_makes_the_fd_readable),
      recorded_test(a_timer_makes_the_fd_readable_also_one_that_has_elapsed_before),
      recorded_test(a_signal_makes_the_fd_readable),
      recorded_test(the_end_of_a_child_makes_the_fd_readable),
      recorded_test(many_inotify_events_of_one_read_are_delivered_without_new_activity),
      recorded_test(a_defer_source_is_seen_by_prepare_alone),
      recorded_test(the_end_of_a_rate_limit_makes_the_fd_readable),
      recorded_test(prepare_when_armed_is_busy_and_a_wait_leads_back_without_losing_events),
      recorded_test(what_changes_while_armed_still_counts),
      recorded_test(a_loop_can_be_a_source_of_another_loop),
      recorded_test(a_loop_cannot_watch_itself),
      recorded_test(as_many_loops_stand_in_each_other_as_the_kernel_nests_sets),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
