// SPDX-License-Identifier: MIT
//
// Order across priorities: the pending source with the lowest priority value goes first, whatever kind it is.
//
// Invariants under test:
// 1. A source that has become ready meanwhile preempts all worse pending ones, also while many of these are queued.
// 2. Priorities are any int64, and a change of them counts from the next dispatch on.
// 3. A better source that is always ready starves worse ones: that is the promise. See static_exit.c and
//    watchdog_messages.c for what is never starved.
#include "loop_recorder.h"

static void any_int64_is_a_priority_and_lower_values_go_first(void** state) {
  (void)state;
  static const int64_t priorities[] = {INT64_MAX, 0, INT64_MIN, 1, -1, INT64_MIN + 1, 100, INT64_MAX - 1, -100};
  static const char* const names[] = {"max", "0", "min", "1", "-1", "min+1", "100", "max-1", "-100"};
  sd_event* loop = make_loop();
  struct Probe probes[lengthof(priorities)] = {{0}};
  for (size_t i = 0; i < lengthof(priorities); i++) {
    probes[i].name = names[i];
    probe_defer(loop, &probes[i]);
    set_priority(&probes[i], priorities[i]);
    int64_t priority = 0;
    assert_result(sd_event_source_get_priority(probes[i].source, &priority), 0);
    assert_true(priority == priorities[i]);
  }
  iterate_until_idle(loop);
  assert_journal("min min+1 -100 -1 0 1 100 max-1 max ");
  for (size_t i = 0; i < lengthof(priorities); i++) free_probe(&probes[i]);
  sd_event_unref(loop);
}

static void priorities_hold_across_all_kinds(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(1);
  char* dir = make_dir();
  set_blocked(SIGCHLD, true);
  struct Probe io = {.name = "io"}, timer = {.name = "time"}, sig = {.name = "signal"}, child = {.name = "child"};
  struct Probe inotify = {.name = "inotify"}, defer = {.name = "defer"}, post = {.name = "post"};
  probe_io(loop, &io, fd, EPOLLIN);
  set_enabled(&io, SD_EVENT_ONESHOT);
  probe_time(loop, &timer, CLOCK_MONOTONIC, 1);
  probe_signal(loop, &sig, SIGUSR1 | SD_EVENT_SIGNAL_PROCMASK);
  probe_child(loop, &child, spawn_zombie(3), WEXITED);
  probe_inotify(loop, &inotify, dir, IN_CREATE);
  probe_defer(loop, &defer);
  probe_post(loop, &post);
  struct Probe* order[] = {&timer, &inotify, &post, &defer, &child, &io, &sig};
  for (size_t i = 0; i < lengthof(order); i++) set_priority(order[i], (int64_t)i - 3);
  create_file(dir, "f");
  kill(getpid(), SIGUSR1);
  assert_int_equal(iterate_until_idle(loop), 11);
  assert_journal("time inotify:100:f post defer post child:1:3 post io post signal post ");
  for (size_t i = 0; i < lengthof(order); i++) free_probe(order[i]);
  close(fd);
  sd_event_unref(loop);
  remove_dir(dir);
  set_blocked(SIGCHLD, false);
}

static void act_raise_other(struct Probe* p) { raise_eventfd(sd_event_source_get_io_fd(p->other->source)); }

static void a_better_source_that_becomes_ready_preempts_queued_worse_ones(void** state) {
  (void)state;
  enum { kCount = 50 };
  sd_event* loop = make_loop();
  int fds[kCount], urgent_fd = make_eventfd(0);
  struct Probe urgent = {.name = "!", .act = act_lower}, probes[kCount];
  probe_io(loop, &urgent, urgent_fd, EPOLLIN);
  set_priority(&urgent, -1);
  for (int i = 0; i < kCount; i++) {
    probes[i] = (struct Probe){.name = ".", .act = i % 10 == 0 ? act_raise_other : NULL, .other = &urgent};
    probe_io(loop, &probes[i], fds[i] = make_eventfd(1), EPOLLIN);
    set_enabled(&probes[i], SD_EVENT_ONESHOT);
  }
  gather(loop);
  unsigned raised = 0;
  for (int i = 0; i < kCount + 5; i++) {
    unsigned before = urgent.calls;
    assert_result(iterate(loop), 1);
    if (raised) assert_int_equal(urgent.calls, before + 1);
    raised = 0;
    for (int j = 0; j < kCount; j += 10)
      if (probes[j].calls == 1) raised = 1, probes[j].calls = 2;
  }
  assert_int_equal(urgent.calls, 5);
  assert_result(iterate(loop), 0);
  for (int i = 0; i < kCount; i++) {
    assert_true(probes[i].calls >= 1);
    free_probe(&probes[i]);
    close(fds[i]);
  }
  free_probe(&urgent);
  close(urgent_fd);
  sd_event_unref(loop);
}

static void a_better_timer_that_elapses_preempts_queued_worse_sources(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(1);
  struct Probe timer = {.name = "time"}, io = {.name = "io"};
  uint64_t due = clock_usec(CLOCK_MONOTONIC) + 1000;
  probe_io(loop, &io, fd, EPOLLIN);
  probe_time(loop, &timer, CLOCK_MONOTONIC, due);
  set_priority(&timer, -1);
  gather(loop);
  sleep_until(CLOCK_MONOTONIC, due + 1);
  assert_result(iterate(loop), 1);
  assert_result(iterate(loop), 1);
  assert_journal("time io ");
  free_probe(&timer);
  free_probe(&io);
  close(fd);
  sd_event_unref(loop);
}

static void a_better_signal_preempts_a_defer_source(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe sig = {.name = "signal"}, defer = {.name = "defer"};
  probe_signal(loop, &sig, SIGUSR1 | SD_EVENT_SIGNAL_PROCMASK);
  set_priority(&sig, -1);
  probe_defer(loop, &defer);
  set_enabled(&defer, SD_EVENT_ON);
  iterate_times(loop, 2);
  kill(getpid(), SIGUSR1);
  iterate_times(loop, 2);
  assert_journal("defer defer signal defer ");
  free_probe(&sig);
  free_probe(&defer);
  sd_event_unref(loop);
}

static void prepare_with_something_pending_still_asks_for_better_sources(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(1);
  struct Probe io = {.name = "io"}, defer = {.name = "defer"};
  probe_defer(loop, &defer);
  probe_io(loop, &io, fd, EPOLLIN);
  set_priority(&io, -5);
  assert_result(sd_event_prepare(loop), 1);
  assert_int_equal(is_pending(&io), 1);
  assert_result(sd_event_dispatch(loop), 1);
  assert_journal("io ");
  free_probe(&io);
  free_probe(&defer);
  close(fd);
  sd_event_unref(loop);
}

static void a_better_source_that_is_always_ready_starves_worse_ones(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(1);
  struct Probe io = {.name = "io"}, defer = {.name = "defer"};
  probe_defer(loop, &defer);
  probe_io(loop, &io, fd, EPOLLIN);
  set_priority(&defer, 1);
  iterate_times(loop, 50);
  assert_int_equal(io.calls, 50);
  assert_int_equal(defer.calls, 0);
  set_priority(&defer, -1);
  assert_result(iterate(loop), 1);
  assert_int_equal(defer.calls, 1);
  journal[0] = 0;
  free_probe(&io);
  free_probe(&defer);
  close(fd);
  sd_event_unref(loop);
}

static void act_swap_priorities(struct Probe* p) {
  int64_t own = 0, others = 0;
  assert_int_equal(sd_event_source_get_priority(p->source, &own), 0);
  assert_int_equal(sd_event_source_get_priority(p->other->source, &others), 0);
  assert_int_equal(sd_event_source_set_priority(p->source, others), 0);
  assert_int_equal(sd_event_source_set_priority(p->other->source, own), 0);
}

static void a_callback_may_change_priorities(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd_a = make_eventfd(1), fd_b = make_eventfd(1);
  struct Probe a = {.name = "a", .act = act_swap_priorities}, b = {.name = "b", .act = act_swap_priorities};
  a.other = &b, b.other = &a;
  probe_io(loop, &a, fd_a, EPOLLIN);
  probe_io(loop, &b, fd_b, EPOLLIN);
  set_priority(&b, 1);
  iterate_times(loop, 6);
  assert_journal("a b a b a b ");
  free_probe(&a);
  free_probe(&b);
  close(fd_a);
  close(fd_b);
  sd_event_unref(loop);
}

// Closed while its source is ON, which the program should not do; but what has the number next is none of the source's.
static void a_better_source_whose_descriptor_was_closed_is_not_dispatched_for_the_next_file_of_its_number(
    void** state) {
  (void)state;
  for (int duplicated = 0; duplicated < 2; duplicated++) {
    sd_event* loop = make_loop();
    int closed = make_eventfd(0), fd_b = make_eventfd(1), fd_c = make_eventfd(1);
    struct Probe a = {.name = "a"}, b = {.name = "b", .act = act_lower}, c = {.name = "c", .act = act_lower};
    probe_io(loop, &a, closed, EPOLLIN);
    set_priority(&a, -1);
    probe_io(loop, &b, fd_b, EPOLLIN);
    probe_io(loop, &c, fd_c, EPOLLIN);
    int duplicate = duplicated ? dup(closed) : -1;
    close(closed);
    int again = make_eventfd(1);
    assert_int_equal(again, closed);
    assert_result(iterate(loop), 1);
    if (duplicated) raise_eventfd(duplicate);
    assert_result(iterate(loop), 1);
    if (duplicated) {
      assert_true(strstr(journal, "a ") != NULL);  // As it is still watched by the duplicate.
      journal[0] = 0;
      lower_eventfd(duplicate);
      close(duplicate);
    } else {
      assert_journal_any_order("b c ");
    }
    free_probe(&a);
    free_probe(&b);
    free_probe(&c);
    close(again);
    close(fd_b);
    close(fd_c);
    sd_event_unref(loop);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      recorded_test(any_int64_is_a_priority_and_lower_values_go_first),
      recorded_test(priorities_hold_across_all_kinds),
      recorded_test(a_better_source_that_becomes_ready_preempts_queued_worse_ones),
      recorded_test(a_better_timer_that_elapses_preempts_queued_worse_sources),
      recorded_test(a_better_signal_preempts_a_defer_source),
      recorded_test(prepare_with_something_pending_still_asks_for_better_sources),
      recorded_test(a_better_source_that_is_always_ready_starves_worse_ones),
      recorded_test(a_callback_may_change_priorities),
      recorded_test(a_better_source_whose_descriptor_was_closed_is_not_dispatched_for_the_next_file_of_its_number),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
