// SPDX-License-Identifier: MIT
//
// How often a loop wakes for many timers, in a time that nobody waits for.
//
// Idea: all timers are at least an hour away. Between `prepare` and `wait` the wake-up that the loop has asked the
// kernel for is read (time_windows.h), and compared with the one that the windows of its timers allow; then the test
// acts as if it had come: each timer whose time is reached by then is turned off, or set to its next time. That is one
// wake-up, and they are counted until no timer is left, or a period is over. Nothing elapses, so no machine is too slow
// for it.
//
// Invariants under test:
// 1. Each wake-up is where the windows allow it and not earlier, on each clock for itself: no wake-up is for nothing.
// 2. There are no more wake-ups than the accuracies ask for, however many timers there are: the last number of each
//    row.
#include "time_windows.h"

enum { kMost = 1000 };

struct Timer {
  sd_event_source* source;
  clockid_t clock;
  uint64_t time, accuracy;
};

static struct Timer timers[kMost];

struct Row {
  const char* what;
  size_t timers;
  uint64_t over;         // The first times are spread evenly over so long.
  uint64_t period;       // 0: they elapse once.
  uint64_t until;        // Periodic ones are followed for so long.
  uint64_t accuracy[3];  // Of each third one; 0 is the default, 250 ms.
  clockid_t clocks[2];   // Of each second one.
  unsigned wakeups;
};

#define ONE_CLOCK \
  { CLOCK_MONOTONIC, CLOCK_MONOTONIC }
#define ALL(accuracy) \
  { accuracy, accuracy, accuracy }

// A window of a quarter of a second always has a point of that grid in it, one of a second a point of the grid of
// seconds, and so on: so often, and once for what the last window cuts off. Where accuracies are mixed the exact timers
// make a wake-up each, and the others go along or take points of their grid.
static const struct Row kRows[] = {
    {"exact, each alone", 60, 600 * kSecond, 0, 0, ALL(1), ONE_CLOCK, 60},
    {"exact, all at one time", 60, 0, 0, 0, ALL(1), ONE_CLOCK, 1},
    {"the default accuracy, far from each other", 20, 20 * kMinute, 0, 0, ALL(0), ONE_CLOCK, 20},
    {"the default accuracy, within 10 s", 300, 10 * kSecond, 0, 0, ALL(0), ONE_CLOCK, 41},
    {"accuracies of a second, within 10 s", 300, 10 * kSecond, 0, 0, ALL(kSecond), ONE_CLOCK, 11},
    {"accuracies of 10 s, within 10 minutes", 300, 10 * kMinute, 0, 0, ALL(10 * kSecond), ONE_CLOCK, 61},
    {"accuracies of minutes, within an hour", 300, 60ull * kMinute, 0, 0, ALL(5ull * kMinute), ONE_CLOCK, 13},
    {"accuracies mixed", 300, 60 * kSecond, 0, 0, {1, 0, kMinute}, ONE_CLOCK, 261},
    {"different clocks", 300, 10 * kSecond, 0, 0, ALL(0), {CLOCK_MONOTONIC, CLOCK_REALTIME}, 81},
    {"different clocks, accuracies mixed", 60, kMinute, 0, 0, {1, 0, kMinute}, {CLOCK_BOOTTIME, CLOCK_MONOTONIC}, 44},
    {"1,000 of a second, default accuracy", 1000, kSecond, kSecond, 10 * kSecond, ALL(0), ONE_CLOCK, 41},
    {"1,000 of a second, as exact as seconds", 1000, kSecond, kSecond, 10 * kSecond, ALL(kSecond), ONE_CLOCK, 11},
    {"1,000 of a minute, as exact as minutes", 1000, kMinute, kMinute, 10ull * kMinute, ALL(kMinute), ONE_CLOCK, 11},
    {"1,000 of 10 s on two clocks",
     1000,
     10 * kSecond,
     10 * kSecond,
     kMinute,
     ALL(10 * kSecond),
     {CLOCK_REALTIME, CLOCK_BOOTTIME},
     13},
};

static const clockid_t kClocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME};

// From a minute of the grid on, so that the counts do not depend on when the test runs.
static void add_timers(sd_event* loop, const struct Row* row, uint64_t bases[]) {
  for (size_t i = 0; i < lengthof(kClocks); i++)
    bases[kClocks[i]] = last_point(kMinute, clock_usec(kClocks[i]) + 3660ull * kSecond);
  for (size_t i = 0; i < row->timers; i++) {
    struct Timer* t = &timers[i];
    t->clock = row->clocks[i % 2];
    t->accuracy = row->accuracy[i % 3];
    t->time = bases[t->clock] + row->over * i / row->timers;
    assert_result(sd_event_add_time(loop, &t->source, t->clock, t->time, t->accuracy, on_time, NULL), 0);
    if (t->accuracy == 0) t->accuracy = kQuarter;
  }
}

// From the earliest time to the earliest end; `never` if none is on.
static struct Range window_of(const struct Row* row, clockid_t clock) {
  struct Range window = {UINT64_MAX, UINT64_MAX};
  for (size_t i = 0; i < row->timers; i++) {
    const struct Timer* t = &timers[i];
    if (t->clock != clock || t->time == UINT64_MAX) continue;
    if (t->time < window.from) window.from = t->time;
    if (t->time + t->accuracy < window.to) window.to = t->time + t->accuracy;
  }
  return window;
}

static void act_as_if_woken(const struct Row* row, clockid_t clock, uint64_t now) {
  for (size_t i = 0; i < row->timers; i++) {
    struct Timer* t = &timers[i];
    if (t->clock != clock || t->time > now) continue;
    if (row->period) {
      t->time += row->period;
      assert_result(sd_event_source_set_time(t->source, t->time), 0);
    } else {
      t->time = UINT64_MAX;
      assert_result(sd_event_source_set_enabled(t->source, SD_EVENT_OFF), 0);
    }
  }
}

// One wake-up of each clock that has one to come; returns how many these are.
static unsigned wake_once(sd_event* loop, const struct Row* row, const uint64_t bases[]) {
  unsigned count = 0;
  assert_result(sd_event_prepare(loop), 0);
  for (size_t i = 0; i < lengthof(kClocks); i++) {
    const struct Range window = window_of(row, kClocks[i]);
    const struct Range wakeup = programmed_wakeup(kClocks[i]);
    if (window.from == UINT64_MAX) {
      assert_int_equal(wakeup.to, 0);
      continue;
    }
    const uint64_t now = spot_in(window);
    assert_wakes_at(wakeup, now);
    if (row->period && now > bases[kClocks[i]] + row->until) continue;
    act_as_if_woken(row, kClocks[i], now);
    count++;
  }
  assert_result(sd_event_wait(loop, 0), 0);
  return count;
}

static unsigned count_wakeups(const struct Row* row) {
  uint64_t bases[16];
  sd_event* loop = make_loop();
  add_timers(loop, row, bases);
  unsigned count = 0;
  for (unsigned n; (n = wake_once(loop, row, bases)) > 0;) count += n;
  for (size_t i = 0; i < row->timers; i++) sd_event_source_unref(timers[i].source);
  sd_event_unref(loop);
  return count;
}

static void timers_wake_a_loop_no_more_often_than_their_accuracies_ask_for(void** state) {
  (void)state;
  for (size_t i = 0; i < lengthof(kRows); i++) {
    const unsigned count = count_wakeups(&kRows[i]);
    if (count != kRows[i].wakeups) fail_msg("%s: %u wake-ups", kRows[i].what, count);
  }
}

// The wake-up is of the kernel, not of the source: what is on a clock may share it.
static void a_timer_that_can_wait_goes_with_one_that_can_not(void** state) {
  (void)state;
  const uint64_t base = clock_usec(CLOCK_MONOTONIC) + 3600ull * kSecond;
  const uint64_t point = last_point(kMinute, base);
  sd_event* loop = make_loop();
  sd_event_source *patient = NULL, *exact = NULL;
  assert_result(sd_event_add_time(loop, &patient, CLOCK_MONOTONIC, point + 10000, kSecond / 10, on_time, NULL), 0);
  assert_result(sd_event_add_time(loop, &exact, CLOCK_MONOTONIC, point + 30000, 1, on_time, NULL), 0);
  assert_result(sd_event_prepare(loop), 0);
  assert_wakes_at(programmed_wakeup(CLOCK_MONOTONIC), point + 30001);
  assert_result(sd_event_wait(loop, 0), 0);
  // Alone it takes a point of its own, and back again when the other one is there.
  assert_result(sd_event_source_set_enabled(exact, SD_EVENT_OFF), 0);
  assert_result(sd_event_prepare(loop), 0);
  assert_wakes_at(programmed_wakeup(CLOCK_MONOTONIC),
                  spot_in((struct Range){point + 10000, point + 10000 + kSecond / 10}));
  assert_result(sd_event_wait(loop, 0), 0);
  assert_result(sd_event_source_set_enabled(exact, SD_EVENT_ON), 0);
  assert_result(sd_event_prepare(loop), 0);
  assert_wakes_at(programmed_wakeup(CLOCK_MONOTONIC), point + 30001);
  sd_event_source_unref(patient);
  sd_event_source_unref(exact);
  sd_event_unref(loop);
}

static void iterations_without_a_timer_that_elapses_leave_the_wakeup_where_it_is(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(0);
  struct Probe io = {.name = "io", .act = act_lower};
  sd_event_source* timer = NULL;
  const uint64_t time = clock_usec(CLOCK_MONOTONIC) + 3600ull * kSecond;
  assert_result(sd_event_add_time(loop, &timer, CLOCK_MONOTONIC, time, 0, on_time, NULL), 0);
  probe_io(loop, &io, fd, EPOLLIN);
  for (int i = 0; i < 50; i++) {
    raise_eventfd(fd);
    assert_result(iterate(loop), 1);
    assert_wakes_at(programmed_wakeup(CLOCK_MONOTONIC), spot_in((struct Range){time, time + kQuarter}));
  }
  journal[0] = 0;
  sd_event_source_unref(timer);
  free_probe(&io);
  close(fd);
  sd_event_unref(loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      recorded_test(timers_wake_a_loop_no_more_often_than_their_accuracies_ask_for),
      recorded_test(a_timer_that_can_wait_goes_with_one_that_can_not),
      recorded_test(iterations_without_a_timer_that_elapses_leave_the_wakeup_where_it_is),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
