// SPDX-License-Identifier: MIT
//
// When time sources fire: never early, once per ONESHOT, with the scheduled time, coalesced within their accuracy.
//
// Invariants under test:
// 1. A callback never runs before its time on its own clock; its argument is the time that was scheduled.
// 2. An ON source whose time has passed fires in each iteration; a spent ONESHOT is silent until it is enabled again.
// 3. Timers whose windows [time, time + accuracy] overlap need at most two wake-ups (one of them at the spot that all
//    processes of a machine share, should it lie in the window), and no wake-up comes for nothing.
#include "loop_recorder.h"

static void act_check_not_early(struct Probe* p) {
  clockid_t clock = -1;
  uint64_t now = 0;
  assert_int_equal(sd_event_source_get_time_clock(p->source, &clock), 0);
  assert_int_equal(sd_event_now(p->loop, clock, &now), 0);
  assert_true(now >= p->usec);
  assert_true(clock_usec(clock) >= p->usec);
}

static void timers_on_all_clocks_fire_with_their_time_and_never_early(void** state) {
  (void)state;
  static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME};
  static const uint64_t accuracies[] = {1, 2, 3, 5, 500, 3000};
  sd_event* loop = make_loop();
  for (size_t i = 0; i < lengthof(clocks); i++)
    for (size_t j = 0; j < lengthof(accuracies); j++) {
      struct Probe a = {.name = "a", .act = act_check_not_early, .loop = loop};
      uint64_t due = clock_usec(clocks[i]) + 1000 + 100 * j;
      assert_result(sd_event_add_time(loop, &a.source, clocks[i], due, accuracies[j], record_time, &a), 0);
      run_until_calls(&a, 1);
      assert_int_equal(a.usec, due);
      assert_int_equal(enabled_of(&a), SD_EVENT_OFF);
      assert_result(iterate(loop), 0);
      free_probe(&a);
    }
  sd_event_unref(loop);
}

static void a_time_in_the_past_fires_at_once_and_0_is_one(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"}, b = {.name = "b"};
  probe_time(loop, &a, CLOCK_MONOTONIC, 0);
  assert_result(iterate(loop), 1);
  assert_int_equal(a.usec, 0);
  // The default accuracy delays a wake-up, not what is due already at the next one.
  assert_result(sd_event_add_time(loop, &b.source, CLOCK_MONOTONIC, 1, 1, record_time, &b), 0);
  assert_result(iterate(loop), 1);
  assert_int_equal(b.usec, 1);
  assert_journal("a b ");
  free_probe(&a);
  free_probe(&b);
  sd_event_unref(loop);
}

static void an_elapsed_timer_that_stays_on_fires_in_each_iteration(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_time(loop, &a, CLOCK_MONOTONIC, 3);
  set_enabled(&a, SD_EVENT_ON);
  iterate_times(loop, 3);
  assert_journal("a a a ");
  assert_int_equal(a.usec, 3);
  free_probe(&a);
  sd_event_unref(loop);
}

static void act_rearm(struct Probe* p) {
  assert_int_equal(enabled_of(p), SD_EVENT_OFF);
  if (p->calls == 4) return;
  assert_result(sd_event_source_set_time_relative(p->source, 500), 0);
  set_enabled(p, SD_EVENT_ONESHOT);
}

static void a_callback_may_rearm_its_timer(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a", .act = act_rearm};
  uint64_t start = clock_usec(CLOCK_MONOTONIC);
  probe_time(loop, &a, CLOCK_MONOTONIC, start + 500);
  run_until_calls(&a, 4);
  assert_true(clock_usec(CLOCK_MONOTONIC) >= start + 4 * 500);
  assert_result(iterate(loop), 0);
  assert_journal("a a a a ");
  free_probe(&a);
  sd_event_unref(loop);
}

static void a_prepare_does_not_look_at_the_clock(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_time(loop, &a, CLOCK_MONOTONIC, 1);
  assert_result(sd_event_prepare(loop), 0);
  assert_int_equal(is_pending(&a), 0);
  assert_result(sd_event_wait(loop, 0), 1);
  assert_int_equal(is_pending(&a), 1);
  assert_result(sd_event_dispatch(loop), 1);
  free_probe(&a);
  sd_event_unref(loop);
}

static void a_timer_ends_a_wait_that_has_a_later_timeout_and_a_timeout_one_that_has_a_later_timer(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_time(loop, &a, CLOCK_MONOTONIC, clock_usec(CLOCK_MONOTONIC) + 1000);
  assert_result(sd_event_run(loop, UINT64_MAX), 1);
  assert_journal("a ");
  assert_result(sd_event_source_set_time_relative(a.source, UINT64_C(3600) * 1000000), 0);
  set_enabled(&a, SD_EVENT_ONESHOT);
  assert_result(sd_event_run(loop, 1000), 0);
  assert_journal("");
  free_probe(&a);
  sd_event_unref(loop);
}

static void an_earlier_timer_that_is_added_later_fires_first(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe late = {.name = "late"}, early = {.name = "early"}, none = {.name = "none"};
  uint64_t now = clock_usec(CLOCK_MONOTONIC);
  probe_time(loop, &late, CLOCK_MONOTONIC, now + UINT64_C(3600) * 1000000);
  probe_time(loop, &none, CLOCK_MONOTONIC, now + UINT64_C(1800) * 1000000);
  assert_result(sd_event_prepare(loop), 0);
  assert_result(sd_event_wait(loop, 0), 0);
  probe_time(loop, &early, CLOCK_MONOTONIC, now + 1000);
  free_probe(&none);
  assert_result(sd_event_run(loop, UINT64_MAX), 1);
  assert_journal("early ");
  assert_int_equal(is_pending(&late), 0);
  free_probe(&late);
  free_probe(&early);
  sd_event_unref(loop);
}

static void many_timers_fire_once_each_and_none_before_its_time(void** state) {
  (void)state;
  enum { kCount = 100 };
  static struct Probe probes[kCount];
  sd_event* loop = make_loop();
  uint64_t start = clock_usec(CLOCK_MONOTONIC) + 500;
  for (unsigned i = 0; i < kCount; i++) {
    unsigned rank = i * 37 % kCount;  // added in another order than they fire
    probes[i] = (struct Probe){.name = "", .act = act_check_not_early};
    probe_time(loop, &probes[i], CLOCK_MONOTONIC, start + rank * 20);
  }
  for (int i = 0; i < kCount; i++) assert_result(sd_event_run(loop, UINT64_MAX), 1);
  assert_result(iterate(loop), 0);
  for (unsigned i = 0; i < kCount; i++) {
    assert_int_equal(probes[i].calls, 1);
    assert_int_equal(probes[i].usec, start + (i * 37 % kCount) * 20);
    free_probe(&probes[i]);
  }
  sd_event_unref(loop);
}

static void timers_within_each_others_accuracy_share_their_wakeups(void** state) {
  (void)state;
  enum { kCount = 10 };
  struct Probe probes[kCount];
  sd_event* loop = make_loop();
  uint64_t start = clock_usec(CLOCK_MONOTONIC) + 2000;
  for (int i = 0; i < kCount; i++) {
    probes[i] = (struct Probe){.name = "."};
    assert_result(sd_event_add_time(loop, &probes[i].source, CLOCK_MONOTONIC, start + (uint64_t)i * 1000, 40000,
                                    record_time, &probes[i]),
                  0);
  }
  int wakeups = 0, fired = 0;
  while (fired < kCount) {
    int pending = 0;
    assert_result(sd_event_prepare(loop), 0);
    assert_true(fd_readable(loop, -1));
    assert_result(sd_event_wait(loop, 0), 1);
    wakeups++;
    for (int i = 0; i < kCount; i++) pending += is_pending(&probes[i]);
    assert_true(pending > 0);  // no wake-up for nothing
    assert_result(sd_event_dispatch(loop), 1);
    for (fired++, pending--; pending > 0; pending--, fired++) assert_result(iterate(loop), 1);
  }
  assert_true(wakeups <= 2);
  journal[0] = 0;
  for (int i = 0; i < kCount; i++) free_probe(&probes[i]);
  sd_event_unref(loop);
}

static void the_alarm_clocks_work_where_the_kernel_allows_them(void** state) {
  (void)state;
  static const clockid_t clocks[] = {CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM};
  sd_event* loop = make_loop();
  for (size_t i = 0; i < lengthof(clocks); i++) {
    // Without a wake-up device timerfd_create works and nothing else does; without CAP_WAKE_ALARM it does not.
    struct timespec now;
    int error = clock_gettime(clocks[i], &now) < 0 ? EOPNOTSUPP : 0;
    int probe_fd = timerfd_create(clocks[i], TFD_CLOEXEC);
    if (probe_fd < 0 && !error) error = errno;
    if (probe_fd >= 0) close(probe_fd);
    struct Probe a = {.name = "a"};
    assert_result(sd_event_add_time(loop, &a.source, clocks[i], 1, 1, record_time, &a), -error);
    if (error) continue;
    assert_result(iterate(loop), 1);
    free_probe(&a);
  }
  sd_event_unref(loop);
}

// No time that a program may set stands for something else.
static void a_timer_at_the_end_of_time_lets_the_loop_sleep(void** state) {
  (void)state;
  static const uint64_t accuracies[] = {1, 2, 3, 4, 250000, UINT64_MAX - 1};
  for (unsigned i = 0; i < 5 * lengthof(accuracies); i++) {
    const uint64_t left = i % 5, accuracy = accuracies[i / 5];
    sd_event* loop = make_loop();
    struct Probe fired = {.name = "fired"}, last = {.name = "last"};
    sd_event_source* source = NULL;
    probe_time(loop, &fired, CLOCK_MONOTONIC, 1);
    assert_result(sd_event_add_time(loop, &source, CLOCK_MONOTONIC, UINT64_MAX - left, accuracy, record_time, &last),
                  0);
    assert_int_equal(iterate_until_idle(loop), 1);
    // Whatever has woken it, the second time it does not.
    for (int wait = 0; wait < 2; wait++) {
      assert_result(sd_event_prepare(loop), 0);
      if (wait == 1) assert_false(fd_readable(loop, 0));
      assert_result(sd_event_wait(loop, 0), 0);
    }
    assert_result(sd_event_source_set_time(source, 1), 0);
    assert_int_equal(iterate_until_idle(loop), 1);
    assert_journal("fired last ");
    free_probe(&fired);
    sd_event_source_unref(source);
    sd_event_unref(loop);
  }
}

static void a_timer_that_moves_to_the_end_of_time_lets_the_loop_sleep(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe last = {.name = "last"};
  probe_time(loop, &last, CLOCK_MONOTONIC, INT64_MAX);
  assert_result(iterate(loop), 0);
  assert_result(sd_event_source_set_time_accuracy(last.source, 1000), 0);
  assert_result(sd_event_source_set_time(last.source, UINT64_MAX - 2), 0);
  assert_result(iterate(loop), differs(kEndOfTime, -EINVAL, 0));
  assert_result(iterate(loop), 0);
  assert_result(sd_event_source_set_time(last.source, 1), 0);
  assert_result(iterate(loop), 1);
  assert_journal("last ");
  free_probe(&last);
  sd_event_unref(loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      recorded_test(a_timer_at_the_end_of_time_lets_the_loop_sleep),
      recorded_test(a_timer_that_moves_to_the_end_of_time_lets_the_loop_sleep),
      recorded_test(timers_on_all_clocks_fire_with_their_time_and_never_early),
      recorded_test(a_time_in_the_past_fires_at_once_and_0_is_one),
      recorded_test(an_elapsed_timer_that_stays_on_fires_in_each_iteration),
      recorded_test(a_callback_may_rearm_its_timer),
      recorded_test(a_prepare_does_not_look_at_the_clock),
      recorded_test(a_timer_ends_a_wait_that_has_a_later_timeout_and_a_timeout_one_that_has_a_later_timer),
      recorded_test(an_earlier_timer_that_is_added_later_fires_first),
      recorded_test(many_timers_fire_once_each_and_none_before_its_time),
      recorded_test(timers_within_each_others_accuracy_share_their_wakeups),
      recorded_test(the_alarm_clocks_work_where_the_kernel_allows_them),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
