// SPDX-License-Identifier: MIT
//
// Where in the window that its timers leave a loop wakes: at a spot that all processes of the machine share.
//
// The wake-up is not waited for but read off the timerfd, and compared with the formula of time_windows.h. Both
// libraries are held to the same formula, so that their processes wake together.
//
// Each case makes windows on CLOCK_MONOTONIC far in the future, and owns its loop.
#include "time_windows.h"

static struct Range wakeup_for(const uint64_t (*windows)[2], size_t n) {
  sd_event* loop = make_loop();
  sd_event_source* sources[4] = {NULL};
  for (size_t i = 0; i < n; i++)
    assert_int_equal(sd_event_add_time(loop, &sources[i], CLOCK_MONOTONIC, windows[i][0], windows[i][1] - windows[i][0],
                                       on_time, NULL),
                     0);
  assert_int_equal(sd_event_prepare(loop), 0);
  const struct Range wakeup = programmed_wakeup(CLOCK_MONOTONIC);
  for (size_t i = 0; i < n; i++) sd_event_source_unref(sources[i]);
  sd_event_unref(loop);
  return wakeup;
}

static void a_window_is_left_at_the_coarsest_grid_that_has_a_point_in_it(void** state) {
  (void)state;
  const uint64_t far = clock_usec(CLOCK_MONOTONIC) + 3600ULL * kSecond;
  for (size_t i = 0; i < lengthof(kGrids); i++) {
    // One point of this grid is in the window for certain; a point of a coarser one may be.
    const uint64_t windows[][2] = {{far, far + kGrids[i] + 1000}};
    assert_wakes_at(wakeup_for(windows, 1), spot_in((struct Range){windows[0][0], windows[0][1]}));
  }
}

static void a_point_at_the_very_end_of_a_window_is_not_taken(void** state) {
  (void)state;
  const uint64_t point = last_point(kMinute, clock_usec(CLOCK_MONOTONIC) + 3660ULL * kSecond);
  for (size_t i = 0; i < lengthof(kGrids); i++) {
    const uint64_t windows[][2] = {{point - kGrids[i] - 1000, point}, {point - kGrids[i] - 1000, point + 1}};
    assert_wakes_at(wakeup_for(windows, 1), point - kGrids[i]);
    assert_wakes_at(wakeup_for(windows + 1, 1), point);
  }
}

static void a_window_without_a_point_of_any_grid_is_left_at_its_end(void** state) {
  (void)state;
  const uint64_t point = last_point(kQuarter, clock_usec(CLOCK_MONOTONIC) + 3600ULL * kSecond);
  const uint64_t windows[][2] = {{point + 30000, point + 200000}};
  assert_wakes_at(wakeup_for(windows, 1), point + 200000);
}

static void the_window_reaches_from_the_earliest_time_to_the_earliest_end(void** state) {
  (void)state;
  const uint64_t point = last_point(kQuarter, clock_usec(CLOCK_MONOTONIC) + 3600ULL * kSecond);
  // The first timer begins it, the second, with its better accuracy, ends it; the third lies behind it.
  const uint64_t windows[][2] = {
      {point + 30000, point + 900000}, {point + 60000, point + 180000}, {point + 400000, point + 410000}};
  assert_wakes_at(wakeup_for(windows, 3), point + 180000);
}

static void never_is_no_wakeup(void** state) {
  (void)state;
  const uint64_t windows[][2] = {{UINT64_MAX, UINT64_MAX}};
  assert_int_equal(wakeup_for(windows, 1).to, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      clean_test(a_window_is_left_at_the_coarsest_grid_that_has_a_point_in_it),
      clean_test(a_point_at_the_very_end_of_a_window_is_not_taken),
      clean_test(a_window_without_a_point_of_any_grid_is_left_at_its_end),
      clean_test(the_window_reaches_from_the_earliest_time_to_the_earliest_end),
      clean_test(never_is_no_wakeup),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
