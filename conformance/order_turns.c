// SPDX-License-Identifier: MIT
//
// Order among sources of equal priority: who has become pending in an older iteration goes first.
//
// Invariants under test:
// 1. Sources that stay ready take turns; none of equal priority starves another one.
// 2. What keeps a source pending (set_priority, ON to ONESHOT) keeps its place; what clears pending (OFF,
//    set_io_events) sends it to the end.
// 3. Ties inside one iteration: any order on the reference, the kernel's order and then that of creation on Evenkeel.
#include "loop_recorder.h"

struct Trio {
  sd_event* loop;
  struct Probe a, b, c;
  int fds[3];
};

static void make_trio(struct Trio* trio) {
  *trio = (struct Trio){make_loop(), {.name = "a"}, {.name = "b"}, {.name = "c"}, {0}};
  struct Probe* probes[] = {&trio->a, &trio->b, &trio->c};
  for (size_t i = 0; i < lengthof(probes); i++) {
    trio->fds[i] = make_eventfd(0);
    probe_io(trio->loop, probes[i], trio->fds[i], EPOLLIN);
  }
}

static void free_trio(struct Trio* trio) {
  free_probe(&trio->a);
  free_probe(&trio->b);
  free_probe(&trio->c);
  for (size_t i = 0; i < lengthof(trio->fds); i++) close(trio->fds[i]);
  sd_event_unref(trio->loop);
}

// a, b and c become pending in this order, each in an iteration of its own. For that each one is better than those that
// are pending already (what could not preempt need not be asked about); its age then survives the change of priority.
static void stagger(struct Trio* trio) {
  struct Probe* probes[] = {&trio->a, &trio->b, &trio->c};
  for (size_t i = 0; i < lengthof(probes); i++) set_priority(probes[i], -(int64_t)i);
  for (size_t i = 0; i < lengthof(probes); i++) {
    raise_eventfd(trio->fds[i]);
    gather(trio->loop);
    assert_int_equal(is_pending(probes[i]), 1);
  }
  for (size_t i = 0; i < lengthof(probes); i++) set_priority(probes[i], 0);
}

static void io_of_equal_priority_is_served_in_the_order_in_which_it_became_ready(void** state) {
  (void)state;
  struct Trio trio;
  make_trio(&trio);
  trio.a.act = trio.b.act = trio.c.act = act_lower;
  static const char* const expected[] = {"a b c ", "b c a ", "c a b "};
  for (int first = 0; first < 3; first++) {
    for (int i = 0; i < 3; i++) {
      raise_eventfd(trio.fds[(first + i) % 3]);
      gather(trio.loop);
    }
    assert_int_equal(iterate_until_idle(trio.loop), 3);
    assert_journal(expected[first]);
  }
  free_trio(&trio);
}

static void sources_that_stay_ready_take_turns(void** state) {
  (void)state;
  struct Trio trio;
  make_trio(&trio);
  stagger(&trio);
  iterate_times(trio.loop, 9);
  assert_journal("a b c a b c a b c ");
  free_trio(&trio);
}

static void switching_off_and_on_sends_a_pending_source_to_the_end(void** state) {
  (void)state;
  struct Trio trio;
  make_trio(&trio);
  stagger(&trio);
  set_enabled(&trio.a, SD_EVENT_OFF);
  assert_int_equal(is_pending(&trio.a), 0);
  set_enabled(&trio.a, SD_EVENT_ON);
  assert_int_equal(is_pending(&trio.a), 0);
  iterate_times(trio.loop, 2);
  assert_journal("b c ");
  iterate_times(trio.loop, 3);  // b and c are ready again beside a
  assert_journal_any_order("a b c ");
  free_trio(&trio);
}

static void switching_between_on_and_oneshot_keeps_the_place(void** state) {
  (void)state;
  struct Trio trio;
  make_trio(&trio);
  stagger(&trio);
  set_enabled(&trio.a, SD_EVENT_ONESHOT);
  assert_int_equal(is_pending(&trio.a), 1);
  set_enabled(&trio.b, SD_EVENT_ONESHOT);
  set_enabled(&trio.b, SD_EVENT_ON);
  iterate_times(trio.loop, 6);
  assert_journal("a b c b c b ");
  assert_int_equal(enabled_of(&trio.a), SD_EVENT_OFF);
  free_trio(&trio);
}

static void a_change_of_priority_keeps_a_source_pending_with_its_age(void** state) {
  (void)state;
  struct Trio trio;
  make_trio(&trio);
  stagger(&trio);
  set_priority(&trio.b, 5);
  set_priority(&trio.a, 5);
  set_priority(&trio.c, 5);
  assert_int_equal(is_pending(&trio.a), 1);
  iterate_times(trio.loop, 3);
  assert_journal("a b c ");
  gather(trio.loop);
  set_priority(&trio.a, 0);
  set_priority(&trio.a, 5);
  iterate_times(trio.loop, 3);
  assert_journal("a b c ");
  set_priority(&trio.c, -5);
  iterate_times(trio.loop, 1);
  assert_journal("c ");
  free_trio(&trio);
}

static void new_io_events_send_a_pending_source_to_the_end_and_equal_ones_do_not(void** state) {
  (void)state;
  struct Trio trio;
  make_trio(&trio);
  stagger(&trio);
  assert_result(sd_event_source_set_io_events(trio.a.source, EPOLLIN), 0);
  assert_int_equal(is_pending(&trio.a), 1);
  assert_result(sd_event_source_set_io_events(trio.b.source, EPOLLIN | EPOLLPRI), 0);
  assert_int_equal(is_pending(&trio.b), 0);
  iterate_times(trio.loop, 2);
  assert_journal("a c ");
  // a and c are ready again beside b. Nobody waits for more than two turns of an equal; the reference gives one to
  // each.
  iterate_times(trio.loop, 5);
  assert_true(trio.a.calls >= 2 && trio.b.calls >= 1 && trio.c.calls >= 2);
  journal[0] = 0;
  free_trio(&trio);
}

// With fewer descriptors the reference's heap may hide it; twelve are enough to see the tail come out backwards.
static void ties_inside_one_iteration_go_in_the_order_of_the_report(void** state) {
  (void)state;
  enum { kMany = 12 };
  static char names[kMany][2];
  sd_event* loop = make_loop();
  struct Probe probes[kMany] = {{0}};
  int fds[kMany];
  for (int i = 0; i < kMany; i++) {
    names[i][0] = (char)('a' + i);
    probes[i].name = names[i];
    fds[i] = make_eventfd(1);
    probe_io(loop, &probes[i], fds[i], EPOLLIN);
    set_enabled(&probes[i], SD_EVENT_ONESHOT);
  }
  iterate_times(loop, kMany);
  assert_journal(differs_text(kAgeOfEquals, "a l k j i h g f e d c b ", "a b c d e f g h i j k l "));
  for (int i = 0; i < kMany; i++) {
    free_probe(&probes[i]);
    close(fds[i]);
  }
  sd_event_unref(loop);
}

// `b` is ready before `hi` is dispatched, `a` after it.
static void equals_that_become_ready_around_a_better_dispatch_go_in_that_order(void** state) {
  (void)state;
  struct Trio trio;
  make_trio(&trio);
  trio.a.act = trio.b.act = act_lower;
  struct Probe hi = {.name = "hi"}, idle = {.name = "idle"};
  probe_defer(trio.loop, &hi);
  probe_defer(trio.loop, &idle);
  set_priority(&hi, -1);
  set_priority(&idle, 1);
  raise_eventfd(trio.fds[1]);
  iterate_times(trio.loop, 1);
  raise_eventfd(trio.fds[0]);
  iterate_times(trio.loop, 3);
  assert_journal("hi b a idle ");
  free_probe(&hi);
  free_probe(&idle);
  free_trio(&trio);
}

static void ties_inside_one_iteration_do_not_starve_anybody(void** state) {
  (void)state;
  struct Trio trio;
  make_trio(&trio);
  raise_eventfd(trio.fds[2]);
  raise_eventfd(trio.fds[0]);
  raise_eventfd(trio.fds[1]);
  iterate_times(trio.loop, 3);
  assert_journal_ties("c a b ");  // the kernel reports in the order in which they became ready
  iterate_times(trio.loop, 30);
  unsigned least = trio.a.calls, most = trio.a.calls;
  for (struct Probe** p = (struct Probe*[]){&trio.b, &trio.c, NULL}; *p; p++) {
    if ((*p)->calls < least) least = (*p)->calls;
    if ((*p)->calls > most) most = (*p)->calls;
  }
  assert_int_equal(least, 11);
  assert_int_equal(most, 11);
  journal[0] = 0;
  free_trio(&trio);
}

static void defer_sources_that_stay_on_take_turns(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"}, b = {.name = "b"};
  probe_defer(loop, &a);
  probe_defer(loop, &b);
  set_enabled(&a, SD_EVENT_ON);
  set_enabled(&b, SD_EVENT_ON);
  iterate_times(loop, 8);
  // 252 remembers the first iteration of a defer source for ever: one of the two starves.
  assert_int_equal(a.calls < b.calls ? a.calls : b.calls, differs(kDeferTurns, 0, 4));
  if (!as_reference(kDeferTurns)) assert_journal("a b a b a b a b ");
  journal[0] = 0;
  free_probe(&a);
  free_probe(&b);
  sd_event_unref(loop);
}

static void a_defer_source_that_stays_on_lets_io_of_equal_priority_through(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(1);
  struct Probe a = {.name = "a"}, io = {.name = "io"};
  probe_defer(loop, &a);
  set_enabled(&a, SD_EVENT_ON);
  probe_io(loop, &io, fd, EPOLLIN);
  iterate_times(loop, 8);
  assert_int_equal(io.calls > 0, differs(kDeferTurns, 0, 1));
  if (!as_reference(kAgeOfEquals)) assert_true(io.calls == 3 || io.calls == 4);
  journal[0] = 0;
  free_probe(&a);
  free_probe(&io);
  close(fd);
  sd_event_unref(loop);
}

static void two_elapsed_timers_that_stay_on_take_turns_with_each_other_and_with_io(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(1);
  struct Probe a = {.name = "a"}, b = {.name = "b"}, io = {.name = "io"};
  probe_time(loop, &a, CLOCK_MONOTONIC, 1);
  probe_time(loop, &b, CLOCK_MONOTONIC, 1);
  set_enabled(&a, SD_EVENT_ON);
  set_enabled(&b, SD_EVENT_ON);
  iterate_times(loop, 8);
  assert_int_equal(a.calls, 4);
  assert_int_equal(b.calls, 4);
  probe_io(loop, &io, fd, EPOLLIN);
  a.calls = b.calls = 0;
  gather(loop);
  iterate_times(loop, 12);
  assert_int_equal(a.calls, 4);
  assert_int_equal(b.calls, 4);
  assert_int_equal(io.calls, 4);
  journal[0] = 0;
  free_probe(&a);
  free_probe(&b);
  free_probe(&io);
  close(fd);
  sd_event_unref(loop);
}

// Sources that need no kernel: a row of one kind, made with gaps in memory, all pending in one iteration.
static void ties_among_sources_without_a_kernel_object_go_in_order_of_creation(void** state) {
  (void)state;
  void (*const kinds[])(sd_event*, struct Probe*) = {probe_defer, probe_post, probe_exit};
  static const char* const names[] = {"1", "2", "3", "4", "5", "6", "7", "8"};
  for (size_t kind = 0; kind < lengthof(kinds); kind++) {
    sd_event* loop = make_loop();
    struct Probe probes[lengthof(names)], fillers[lengthof(names)];
    for (size_t i = 0; i < lengthof(names); i++)
      fillers[i] = (struct Probe){.name = "-"}, probe_post(loop, &fillers[i]);
    for (size_t i = 0; i < lengthof(names); i += 2) free_probe(&fillers[i]);
    for (size_t i = 0; i < lengthof(names); i++) {
      probes[i] = (struct Probe){.name = names[i]};
      kinds[kind](loop, &probes[i]);
      if (i % 2) free_probe(&fillers[i]);
    }
    if (kinds[kind] == probe_post) gather(loop);
    if (kinds[kind] == probe_exit) assert_result(sd_event_exit(loop, 0), 0);
    for (size_t i = 0; i < lengthof(names); i++) assert_result(iterate(loop), 1);
    assert_journal_ties("1 2 3 4 5 6 7 8 ");
    for (size_t i = 0; i < lengthof(names); i++) free_probe(&probes[i]);
    sd_event_unref(loop);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      recorded_test(io_of_equal_priority_is_served_in_the_order_in_which_it_became_ready),
      recorded_test(sources_that_stay_ready_take_turns),
      recorded_test(switching_off_and_on_sends_a_pending_source_to_the_end),
      recorded_test(switching_between_on_and_oneshot_keeps_the_place),
      recorded_test(a_change_of_priority_keeps_a_source_pending_with_its_age),
      recorded_test(new_io_events_send_a_pending_source_to_the_end_and_equal_ones_do_not),
      recorded_test(ties_inside_one_iteration_go_in_the_order_of_the_report),
      recorded_test(equals_that_become_ready_around_a_better_dispatch_go_in_that_order),
      recorded_test(ties_inside_one_iteration_do_not_starve_anybody),
      recorded_test(ties_among_sources_without_a_kernel_object_go_in_order_of_creation),
      recorded_test(defer_sources_that_stay_on_take_turns),
      recorded_test(a_defer_source_that_stays_on_lets_io_of_equal_priority_through),
      recorded_test(two_elapsed_timers_that_stay_on_take_turns_with_each_other_and_with_io),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
