// SPDX-License-Identifier: MIT
//
// sd_event_now: one timestamp for a whole iteration, taken when it woke up.
//
// Invariants under test:
// 1. Until the loop has first looked for events, the current time and the result 1; after that the frozen time and 0.
// 2. The time changes when a wait (or a prepare that found something pending) has looked for events, at no other
//    moment.
// 3. REALTIME, MONOTONIC, BOOTTIME and their ALARM twins are known, the twins have the same time; others -EOPNOTSUPP.
#include "loop_recorder.h"

static uint64_t now_of(sd_event* loop, clockid_t clock) {
  uint64_t usec = 0;
  assert_true(sd_event_now(loop, clock, &usec) >= 0);
  return usec;
}

static void before_the_first_wait_now_is_the_current_time_with_result_1(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  for (int round = 0; round < 2; round++) {
    uint64_t before = clock_usec(CLOCK_MONOTONIC), usec = 0;
    assert_result(sd_event_now(loop, CLOCK_MONOTONIC, &usec), 1);
    assert_true(usec >= before && usec <= clock_usec(CLOCK_MONOTONIC));
    if (round == 0) assert_result(sd_event_prepare(loop), 0);
  }
  assert_result(sd_event_wait(loop, 0), 0);
  uint64_t usec = 0;
  assert_result(sd_event_now(loop, CLOCK_MONOTONIC, &usec), 0);
  sd_event_unref(loop);
}

static void now_is_frozen_from_one_wait_to_the_next(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  assert_result(sd_event_prepare(loop), 0);
  uint64_t before = clock_usec(CLOCK_MONOTONIC);
  assert_result(sd_event_wait(loop, 1500), 0);
  uint64_t first = now_of(loop, CLOCK_MONOTONIC);
  assert_true(first >= before + 1500 && first <= clock_usec(CLOCK_MONOTONIC));
  usleep(1500);
  assert_int_equal(now_of(loop, CLOCK_MONOTONIC), first);
  assert_result(sd_event_prepare(loop), 0);
  assert_int_equal(now_of(loop, CLOCK_MONOTONIC), first);
  assert_result(sd_event_wait(loop, 0), 0);
  assert_true(now_of(loop, CLOCK_MONOTONIC) >= first + 1500);
  sd_event_unref(loop);
}

static void act_sleep_and_compare(struct Probe* p) {
  uint64_t usec = 0, later = 0;
  note("%d ", sd_event_now(p->loop, CLOCK_MONOTONIC, &usec));
  usleep(1500);
  assert_int_equal(sd_event_now(p->loop, CLOCK_MONOTONIC, &later), 0);
  assert_int_equal(later, usec);
  assert_true(clock_usec(CLOCK_MONOTONIC) >= usec + 1500);
  p->usec = usec;
}
static int prepare_notes_now(sd_event_source* s, void* userdata) {
  struct Probe* p = userdata;
  uint64_t usec = 0;
  int r = sd_event_now(p->loop, CLOCK_MONOTONIC, &usec);
  note("(%d %s) ", r, p->usec == 0 ? "new" : usec == p->usec ? "same" : "other");
  return record_prepare(s, userdata);
}

static void now_is_the_same_in_a_long_callback_and_in_the_prepare_callback_after_it(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a", .act = act_sleep_and_compare};
  probe_defer(loop, &a);
  set_enabled(&a, SD_EVENT_ON);
  assert_result(sd_event_source_set_prepare(a.source, prepare_notes_now), 0);
  assert_result(iterate(loop), 1);
  assert_journal("(1 new) (a) a 0 ");
  uint64_t first = a.usec;
  assert_result(iterate(loop), 1);
  assert_journal("(0 same) (a) a 0 ");
  assert_true(a.usec >= first + 1500);
  free_probe(&a);
  sd_event_unref(loop);
}

static void a_look_at_what_is_pending_does_not_change_the_time(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  const int fd = make_eventfd(1);
  struct Probe defer = {.name = "d"}, io = {.name = "i"};
  probe_defer(loop, &defer);
  probe_io(loop, &io, fd, EPOLLIN);
  set_priority(&io, 1);
  assert_result(sd_event_prepare(loop), 1);
  const uint64_t first = now_of(loop, CLOCK_MONOTONIC);
  usleep(1500);
  assert_int_equal(is_pending(&io), 1);
  assert_int_equal(now_of(loop, CLOCK_MONOTONIC), first);
  assert_result(sd_event_dispatch(loop), 1);
  free_probe(&defer);
  free_probe(&io);
  close(fd);
  sd_event_unref(loop);
}

static void a_prepare_that_finds_something_pending_takes_the_time(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  uint64_t usec = 0;
  struct Probe a = {.name = "a"};
  probe_defer(loop, &a);
  assert_result(sd_event_prepare(loop), 1);
  assert_result(sd_event_now(loop, CLOCK_MONOTONIC, &usec), 0);
  assert_result(sd_event_dispatch(loop), 1);
  free_probe(&a);
  sd_event_unref(loop);

  loop = make_loop();
  assert_result(sd_event_exit(loop, 0), 0);
  assert_result(sd_event_prepare(loop), 1);
  assert_result(sd_event_now(loop, CLOCK_MONOTONIC, &usec), 1);
  sd_event_unref(loop);
}

static void all_clocks_of_timers_are_known_and_the_alarm_twins_show_the_same_time(void** state) {
  (void)state;
  static const clockid_t unknown[] = {CLOCK_PROCESS_CPUTIME_ID,
                                      CLOCK_THREAD_CPUTIME_ID,
                                      CLOCK_MONOTONIC_RAW,
                                      CLOCK_REALTIME_COARSE,
                                      CLOCK_MONOTONIC_COARSE,
                                      CLOCK_TAI,
                                      10,
                                      99,
                                      -1};
  sd_event* loop = make_loop();
  uint64_t usec = 0;
  for (int round = 0; round < 2; round++) {
    for (size_t i = 0; i < lengthof(unknown); i++) assert_result(sd_event_now(loop, unknown[i], &usec), -EOPNOTSUPP);
    assert_result(sd_event_now(loop, CLOCK_MONOTONIC, NULL), -EINVAL);
    assert_result(sd_event_now(loop, 99, NULL), -EINVAL);
    assert_result(iterate(loop), 0);
  }
  assert_result(iterate(loop), 0);
  assert_int_equal(now_of(loop, CLOCK_REALTIME), now_of(loop, CLOCK_REALTIME_ALARM));
  assert_int_equal(now_of(loop, CLOCK_BOOTTIME), now_of(loop, CLOCK_BOOTTIME_ALARM));
  assert_true(now_of(loop, CLOCK_BOOTTIME) <= clock_usec(CLOCK_BOOTTIME));
  assert_true(now_of(loop, CLOCK_BOOTTIME) >= now_of(loop, CLOCK_MONOTONIC));
  // Year 2020 or later: the realtime clock it is.
  assert_true(now_of(loop, CLOCK_REALTIME) > UINT64_C(1577836800000000));
  sd_event_unref(loop);
}

static void now_of_a_finished_loop_is_its_last_time(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  assert_result(iterate(loop), 0);
  uint64_t last = now_of(loop, CLOCK_MONOTONIC), usec = 0;
  finish_loop(loop);
  usleep(100);
  assert_result(sd_event_now(loop, CLOCK_MONOTONIC, &usec), 0);
  assert_int_equal(usec, last);
  sd_event_unref(loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      recorded_test(before_the_first_wait_now_is_the_current_time_with_result_1),
      recorded_test(now_is_frozen_from_one_wait_to_the_next),
      recorded_test(now_is_the_same_in_a_long_callback_and_in_the_prepare_callback_after_it),
      recorded_test(a_look_at_what_is_pending_does_not_change_the_time),
      recorded_test(a_prepare_that_finds_something_pending_takes_the_time),
      recorded_test(all_clocks_of_timers_are_known_and_the_alarm_twins_show_the_same_time),
      recorded_test(now_of_a_finished_loop_is_its_last_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
