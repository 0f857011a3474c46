// SPDX-License-Identifier: MIT
//
// Setting time sources: what the setters store, clear and refuse.
//
// Invariants under test:
// 1. set_time and set_time_accuracy clear pending, even with the value that is set already; they never enable.
// 2. Accuracy 0 means the default of 250 ms and is shown as that; UINT64_MAX as time means never.
// 3. Relative times: UINT64_MAX is never, a sum beyond it is -EOVERFLOW, and a failed call changes nothing.
#include "loop_recorder.h"

static uint64_t time_of(struct Probe* p) {
  uint64_t usec = 0;
  assert_result(sd_event_source_get_time(p->source, &usec), 0);
  return usec;
}
static uint64_t accuracy_of(struct Probe* p) {
  uint64_t usec = 0;
  assert_result(sd_event_source_get_time_accuracy(p->source, &usec), 0);
  return usec;
}

static void getters_show_what_was_set(void** state) {
  (void)state;
  static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME};
  sd_event* loop = make_loop();
  for (size_t i = 0; i < lengthof(clocks); i++) {
    struct Probe a = {.name = "a"};
    clockid_t clock = -1;
    probe_time(loop, &a, clocks[i], 12345);
    assert_result(sd_event_source_get_time_clock(a.source, &clock), 0);
    assert_int_equal(clock, clocks[i]);
    assert_int_equal(enabled_of(&a), SD_EVENT_ONESHOT);
    assert_int_equal(is_pending(&a), 0);
    assert_int_equal(time_of(&a), 12345);
    assert_int_equal(accuracy_of(&a), 1);
    assert_result(sd_event_source_set_time(a.source, UINT64_MAX), 0);
    assert_int_equal(time_of(&a), UINT64_MAX);
    assert_result(sd_event_source_set_time(a.source, 0), 0);
    assert_int_equal(time_of(&a), 0);
    assert_result(sd_event_source_set_time_accuracy(a.source, 77), 0);
    assert_int_equal(accuracy_of(&a), 77);
    assert_result(sd_event_source_set_time_accuracy(a.source, 0), 0);
    assert_int_equal(accuracy_of(&a), 250000);
    free_probe(&a);
  }
  sd_event_unref(loop);
}

static void an_accuracy_of_0_is_the_default_and_of_uint64_max_is_refused(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  assert_result(sd_event_add_time(loop, &a.source, CLOCK_MONOTONIC, 1, UINT64_MAX, record_time, &a), -EINVAL);
  assert_null(a.source);
  assert_result(sd_event_add_time(loop, &a.source, CLOCK_MONOTONIC, UINT64_MAX, 0, record_time, &a), 0);
  assert_int_equal(accuracy_of(&a), 250000);
  assert_result(sd_event_source_set_time_accuracy(a.source, UINT64_MAX), -EINVAL);
  assert_int_equal(accuracy_of(&a), 250000);
  assert_result(sd_event_source_set_time_accuracy(a.source, UINT64_MAX - 1), 0);
  free_probe(&a);
  sd_event_unref(loop);
}

static void clocks_without_timers_are_refused(void** state) {
  (void)state;
  static const clockid_t clocks[] = {CLOCK_PROCESS_CPUTIME_ID,
                                     CLOCK_THREAD_CPUTIME_ID,
                                     CLOCK_MONOTONIC_RAW,
                                     CLOCK_REALTIME_COARSE,
                                     CLOCK_MONOTONIC_COARSE,
                                     CLOCK_TAI,
                                     10,
                                     99,
                                     -1};
  sd_event* loop = make_loop();
  sd_event_source* s = NULL;
  for (size_t i = 0; i < lengthof(clocks); i++) {
    assert_result(sd_event_add_time(loop, &s, clocks[i], 1, 1, on_time, NULL), -EOPNOTSUPP);
    assert_result(sd_event_add_time_relative(loop, &s, clocks[i], 1, 1, on_time, NULL), -EOPNOTSUPP);
  }
  assert_null(s);
  sd_event_unref(loop);
}

static void a_setter_clears_pending_even_with_the_same_value(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_time(loop, &a, CLOCK_MONOTONIC, 5);
  gather(loop);
  assert_int_equal(is_pending(&a), 1);
  assert_result(sd_event_source_set_time(a.source, 5), 0);
  assert_int_equal(is_pending(&a), 0);
  gather(loop);
  assert_int_equal(is_pending(&a), 1);
  assert_result(sd_event_source_set_time_accuracy(a.source, 1), 0);
  assert_int_equal(is_pending(&a), 0);
  gather(loop);
  assert_result(sd_event_source_set_time(a.source, 4), 0);
  assert_int_equal(is_pending(&a), 0);
  assert_result(iterate(loop), 1);
  assert_int_equal(a.usec, 4);
  assert_journal("a ");
  free_probe(&a);
  sd_event_unref(loop);
}

static void a_pending_timer_that_is_moved_to_the_future_does_not_fire(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_time(loop, &a, CLOCK_MONOTONIC, 1);
  gather(loop);
  assert_result(sd_event_source_set_time(a.source, UINT64_MAX), 0);
  assert_result(iterate(loop), 0);
  assert_result(sd_event_source_set_time_relative(a.source, 3600u * 1000000u), 0);
  assert_result(iterate(loop), 0);
  assert_journal("");
  free_probe(&a);
  sd_event_unref(loop);
}

static void set_time_does_not_enable(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_time(loop, &a, CLOCK_MONOTONIC, 1);
  assert_result(iterate(loop), 1);
  assert_result(sd_event_source_set_time(a.source, 2), 0);
  assert_int_equal(enabled_of(&a), SD_EVENT_OFF);
  assert_result(iterate(loop), 0);
  assert_int_equal(time_of(&a), 2);
  set_enabled(&a, SD_EVENT_ONESHOT);
  assert_result(iterate(loop), 1);
  assert_int_equal(a.usec, 2);
  assert_journal("a a ");
  free_probe(&a);
  sd_event_unref(loop);
}

static void relative_times_count_from_now(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  uint64_t before = clock_usec(CLOCK_MONOTONIC);
  assert_result(sd_event_add_time_relative(loop, &a.source, CLOCK_MONOTONIC, 1000000, 1, record_time, &a), 0);
  uint64_t after = clock_usec(CLOCK_MONOTONIC);
  assert_true(time_of(&a) >= before + 1000000 && time_of(&a) <= after + 1000000);
  before = clock_usec(CLOCK_MONOTONIC);
  assert_result(sd_event_source_set_time_relative(a.source, 2000000), 0);
  after = clock_usec(CLOCK_MONOTONIC);
  assert_true(time_of(&a) >= before + 2000000 && time_of(&a) <= after + 2000000);
  free_probe(&a);
  sd_event_unref(loop);
}

static void a_relative_time_of_uint64_max_means_never(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_time(loop, &a, CLOCK_MONOTONIC, 1);
  assert_result(sd_event_source_set_time_relative(a.source, UINT64_MAX), 0);
  assert_int_equal(time_of(&a), UINT64_MAX);
  assert_result(iterate(loop), 0);
  free_probe(&a);
  int r = sd_event_add_time_relative(loop, &a.source, CLOCK_MONOTONIC, UINT64_MAX, 1, record_time, &a);
  assert_result(r, differs(kRelativeNever, -EOVERFLOW, 0));
  if (r == 0) assert_int_equal(time_of(&a), UINT64_MAX);
  free_probe(&a);
  sd_event_unref(loop);
}

static void a_relative_time_beyond_the_end_overflows_and_changes_nothing(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_time(loop, &a, CLOCK_MONOTONIC, 7);
  assert_result(sd_event_source_set_time_relative(a.source, UINT64_MAX - 1), -EOVERFLOW);
  assert_int_equal(time_of(&a), 7);
  assert_result(sd_event_source_set_time_relative(a.source, UINT64_MAX - clock_usec(CLOCK_MONOTONIC) / 2), -EOVERFLOW);
  assert_int_equal(time_of(&a), 7);
  sd_event_source* s = NULL;
  assert_result(sd_event_add_time_relative(loop, &s, CLOCK_MONOTONIC, UINT64_MAX - 1, 1, on_time, NULL), -EOVERFLOW);
  assert_null(s);
  assert_result(iterate(loop), 1);
  assert_int_equal(a.usec, 7);
  free_probe(&a);
  sd_event_unref(loop);
}

static void a_time_too_far_for_the_kernel_is_no_error_and_does_not_fire(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  static const uint64_t times[] = {UINT64_MAX - 1, UINT64_MAX - 1000000, INT64_MAX, UINT64_C(1) << 62};
  for (size_t i = 0; i < lengthof(times); i++) {
    struct Probe a = {.name = "a"};
    probe_time(loop, &a, CLOCK_MONOTONIC, times[i]);
    assert_result(iterate(loop), 0);
    assert_int_equal(is_pending(&a), 0);
    free_probe(&a);
  }
  assert_journal("");
  sd_event_unref(loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      recorded_test(getters_show_what_was_set),
      recorded_test(an_accuracy_of_0_is_the_default_and_of_uint64_max_is_refused),
      recorded_test(clocks_without_timers_are_refused),
      recorded_test(a_setter_clears_pending_even_with_the_same_value),
      recorded_test(a_pending_timer_that_is_moved_to_the_future_does_not_fire),
      recorded_test(set_time_does_not_enable),
      recorded_test(relative_times_count_from_now),
      recorded_test(a_relative_time_of_uint64_max_means_never),
      recorded_test(a_relative_time_beyond_the_end_overflows_and_changes_nothing),
      recorded_test(a_time_too_far_for_the_kernel_is_no_error_and_does_not_fire),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
