// SPDX-License-Identifier: MIT
//
// What a loop says of itself: state, fd, iteration, exit code, time. Defaults, and what changes them.
//
// Out-parameters are written by calls that succeed, and by these only. Each test owns its loop.
#include "harness.h"

static void a_new_loop_has_run_nothing(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  uint64_t iteration = 77;
  int code = 77;
  pid_t tid = 77;
  assert_int_equal(sd_event_get_state(loop), SD_EVENT_INITIAL);
  assert_int_equal(sd_event_get_iteration(loop, &iteration), 0);
  assert_int_equal(iteration, 0);
  assert_result(sd_event_get_exit_code(loop, &code), -ENODATA);
  assert_int_equal(code, 77);
  assert_result(sd_event_get_tid(loop, &tid), -ENXIO);
  assert_int_equal(tid, 77);
  assert_int_equal(sd_event_get_watchdog(loop), 0);
  sd_event_unref(loop);
}

static void the_fd_is_an_epoll_fd_and_stays_the_same(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = sd_event_get_fd(loop);
  struct epoll_event event;
  assert_true(fd > 2);
  assert_int_equal(epoll_wait(fd, &event, 1, 0), 0);
  assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  assert_int_equal(sd_event_run(loop, 0), 0);
  assert_int_equal(sd_event_get_fd(loop), fd);
  finish_loop(loop);
  assert_int_equal(sd_event_get_fd(loop), fd);
  sd_event_unref(loop);
  assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void the_exit_code_is_what_the_last_exit_said(void** state) {
  (void)state;
  const int codes[] = {0, 1, 255, 256, INT32_MAX, -1, -7, INT32_MIN};
  for (size_t i = 0; i < lengthof(codes); i++) {
    sd_event* loop = make_loop();
    int code = 77;
    assert_int_equal(sd_event_exit(loop, 5), 0);
    assert_int_equal(sd_event_get_exit_code(loop, &code), 0);
    assert_int_equal(code, 5);
    assert_int_equal(sd_event_exit(loop, codes[i]), 0);
    assert_int_equal(sd_event_loop(loop), codes[i]);
    assert_int_equal(sd_event_get_exit_code(loop, &code), 0);
    assert_int_equal(code, codes[i]);
    assert_result(sd_event_exit(loop, 9), -ESTALE);
    assert_int_equal(sd_event_get_exit_code(loop, &code), 0);
    assert_int_equal(code, codes[i]);
    sd_event_unref(loop);
  }
}

static void each_prepare_counts_as_an_iteration(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  uint64_t iteration = 77;
  for (uint64_t i = 1; i < 5; i++) {
    assert_int_equal(sd_event_prepare(loop), 0);
    assert_int_equal(sd_event_get_iteration(loop, &iteration), 0);
    assert_int_equal(iteration, i);
    assert_result(sd_event_prepare(loop), -EBUSY);
    assert_int_equal(sd_event_wait(loop, 0), 0);
    assert_int_equal(sd_event_get_iteration(loop, &iteration), 0);
    assert_int_equal(iteration, i);
  }
  sd_event_unref(loop);
}

static void now_is_1_and_moves_on_before_the_first_iteration(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  uint64_t first = 0, second = 0;
  assert_int_equal(sd_event_now(loop, CLOCK_MONOTONIC, &first), 1);
  assert_int_equal(usleep(1500), 0);
  assert_int_equal(sd_event_now(loop, CLOCK_MONOTONIC, &second), 1);
  assert_true(second >= first + 1500);
  sd_event_unref(loop);
}

static void now_is_0_and_stands_still_between_iterations(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME};
  uint64_t first[3], second = 0;
  assert_int_equal(sd_event_run(loop, 0), 0);
  for (size_t i = 0; i < 3; i++) assert_int_equal(sd_event_now(loop, clocks[i], &first[i]), 0);
  assert_int_equal(usleep(1500), 0);
  for (size_t i = 0; i < 3; i++) {
    assert_int_equal(sd_event_now(loop, clocks[i], &second), 0);
    assert_true(second == first[i]);
  }
  assert_int_equal(sd_event_run(loop, 0), 0);
  assert_int_equal(sd_event_now(loop, CLOCK_MONOTONIC, &second), 0);
  assert_true(second >= first[1] + 1500);
  sd_event_unref(loop);
}

static void the_alarm_clocks_tell_the_time_of_their_twins(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  uint64_t plain = 0, alarm_clock = 1;
  assert_int_equal(sd_event_run(loop, 0), 0);
  assert_int_equal(sd_event_now(loop, CLOCK_REALTIME, &plain), 0);
  assert_int_equal(sd_event_now(loop, CLOCK_REALTIME_ALARM, &alarm_clock), 0);
  assert_true(plain == alarm_clock);
  assert_int_equal(sd_event_now(loop, CLOCK_BOOTTIME, &plain), 0);
  assert_int_equal(sd_event_now(loop, CLOCK_BOOTTIME_ALARM, &alarm_clock), 0);
  assert_true(plain == alarm_clock);
  sd_event_unref(loop);
}

static void a_source_keeps_its_loop_alive(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  sd_event_source* s = NULL;
  assert_int_equal(sd_event_add_defer(loop, &s, on_event, NULL), 0);
  int fd = sd_event_get_fd(loop);
  assert_null(sd_event_unref(loop));
  assert_ptr_equal(sd_event_source_get_event(s), loop);
  assert_int_equal(sd_event_run(loop, 0), 1);
  assert_null(sd_event_source_unref(s));
  assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static int on_exit_code(sd_event_source* s, void* seen) {
  int code = -1;
  assert_int_equal(sd_event_get_exit_code(sd_event_source_get_event(s), &code), 0);
  *(int*)seen = code;
  return 0;
}

static void the_exit_code_is_known_in_exit_callbacks(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int seen = 77;
  assert_int_equal(sd_event_add_exit(loop, NULL, on_exit_code, &seen), 0);
  assert_int_equal(sd_event_exit(loop, 42), 0);
  assert_int_equal(sd_event_loop(loop), 42);
  assert_int_equal(seen, 42);
  sd_event_unref(loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      clean_test(a_new_loop_has_run_nothing),
      clean_test(the_fd_is_an_epoll_fd_and_stays_the_same),
      clean_test(the_exit_code_is_what_the_last_exit_said),
      clean_test(each_prepare_counts_as_an_iteration),
      clean_test(now_is_1_and_moves_on_before_the_first_iteration),
      clean_test(now_is_0_and_stands_still_between_iterations),
      clean_test(the_alarm_clocks_tell_the_time_of_their_twins),
      clean_test(a_source_keeps_its_loop_alive),
      clean_test(the_exit_code_is_known_in_exit_callbacks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
