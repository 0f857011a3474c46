// SPDX-License-Identifier: MIT
//
// What the timer calls refuse: clocks, accuracies, times that overflow.
//
// The five clocks that are supported are those of timerfd; whether the ALARM ones work is the kernel's decision
// (CAP_WAKE_ALARM, a real-time clock), so the tests ask it first: a clock that cannot be read is -EOPNOTSUPP, else the
// error is that of timerfd_create.
// Accuracy UINT64_MAX is no accuracy; time UINT64_MAX is "never". Each test owns its loop.
#define _GNU_SOURCE 1
#include <linux/capability.h>
#include <sys/timerfd.h>

#include "harness.h"

static bool is_supported_clock(int clock) {
  return clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME ||
         clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM;
}

static int add_time_for_clock(void* context) {
  sd_event* loop = make_loop();
  sd_event_source* s = NULL;
  int r = sd_event_add_time(loop, &s, *(int*)context, 1, 0, on_time, NULL);
  if (r < 0 && s) r = kNoAnswer;
  sd_event_source_unref(s);
  sd_event_unref(loop);
  return r;
}

static int timerfd_for_clock(void* context) {
  struct itimerspec far = {.it_value = {.tv_sec = 1000000000}};
  struct timespec now;
  if (clock_gettime(*(int*)context, &now) < 0) return -EOPNOTSUPP;
  int fd = timerfd_create(*(int*)context, TFD_CLOEXEC | TFD_NONBLOCK);
  if (fd < 0) return -errno;
  int r = timerfd_settime(fd, TFD_TIMER_ABSTIME, &far, NULL) < 0 ? -errno : 0;
  close(fd);
  return r;
}

static int drop_wake_alarm_then(int (*probe)(void*), void* context) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct none[2] = {0};
  if (syscall(SYS_capset, &header, none) < 0) return -errno;
  return probe(context);
}

static int add_time_without_capabilities(void* context) { return drop_wake_alarm_then(add_time_for_clock, context); }
static int timerfd_without_capabilities(void* context) { return drop_wake_alarm_then(timerfd_for_clock, context); }

static void add_time_with_any_other_clock_is_EOPNOTSUPP(void** state) {
  (void)state;
  for (int clock = -40; clock < 40; clock++)
    if (!is_supported_clock(clock)) assert_result(add_time_for_clock(&clock), -EOPNOTSUPP);
  const int odd[] = {CLOCK_PROCESS_CPUTIME_ID,
                     CLOCK_THREAD_CPUTIME_ID,
                     CLOCK_MONOTONIC_RAW,
                     CLOCK_REALTIME_COARSE,
                     CLOCK_MONOTONIC_COARSE,
                     CLOCK_TAI,
                     INT32_MAX,
                     INT32_MIN};
  for (size_t i = 0; i < lengthof(odd); i++) {
    int clock = odd[i];
    assert_result(add_time_for_clock(&clock), -EOPNOTSUPP);
  }
}

static void add_time_relative_and_now_refuse_the_same_clocks(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  for (int clock = -40; clock < 40; clock++) {
    sd_event_source* s = NULL;
    uint64_t usec = 77;
    bool alarm_clock = clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM;
    int expected = is_supported_clock(clock) ? 1 : -EOPNOTSUPP;
    assert_result(sd_event_now(loop, clock, &usec), expected);
    assert_true(expected == 1 ? usec > 1000 : usec == 77);
    if (alarm_clock) continue;
    assert_result(sd_event_add_time_relative(loop, &s, clock, 1, 0, on_time, NULL), expected == 1 ? 0 : expected);
    assert_true((s != NULL) == (expected == 1));
    sd_event_source_unref(s);
  }
  sd_event_unref(loop);
}

static void the_clocks_answer_as_the_kernel_does(void** state) {
  (void)state;
  int clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM};
  for (size_t i = 0; i < lengthof(clocks); i++) {
    assert_result(in_child(add_time_for_clock, &clocks[i]), timerfd_for_clock(&clocks[i]));
    assert_result(in_child(add_time_without_capabilities, &clocks[i]),
                  in_child(timerfd_without_capabilities, &clocks[i]));
  }
}

static void without_CAP_WAKE_ALARM_alarm_clocks_are_EPERM_where_they_exist(void** state) {
  (void)state;
  int clock = CLOCK_REALTIME_ALARM;
  int kernel = in_child(timerfd_without_capabilities, &clock);
  assert_true(kernel == -EPERM || kernel == -EOPNOTSUPP || kernel == -EINVAL);
  assert_result(in_child(add_time_without_capabilities, &clock), kernel);
}

static void any_accuracy_but_UINT64_MAX_is_accepted(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  sd_event_source* s = NULL;
  const uint64_t accuracies[] = {0, 1, 250000, (uint64_t)INT64_MAX, UINT64_MAX - 1};
  for (size_t i = 0; i < lengthof(accuracies); i++) {
    assert_result(sd_event_add_time(loop, &s, CLOCK_MONOTONIC, 1, accuracies[i], on_time, NULL), 0);
    assert_result(sd_event_source_set_time_accuracy(s, accuracies[i]), 0);
    s = sd_event_source_unref(s);
  }
  assert_result(sd_event_add_time(loop, &s, CLOCK_MONOTONIC, 1, UINT64_MAX, on_time, NULL), -EINVAL);
  assert_null(s);
  sd_event_unref(loop);
}

static void set_time_accuracy_that_fails_keeps_the_accuracy(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  sd_event_source* s = NULL;
  uint64_t accuracy = 0;
  assert_int_equal(sd_event_add_time(loop, &s, CLOCK_MONOTONIC, 1, 7, on_time, NULL), 0);
  assert_result(sd_event_source_set_time_accuracy(s, UINT64_MAX), -EINVAL);
  assert_int_equal(sd_event_source_get_time_accuracy(s, &accuracy), 0);
  assert_int_equal(accuracy, 7);
  sd_event_source_unref(s);
  sd_event_unref(loop);
}

static void any_time_is_accepted(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  const uint64_t times[] = {0, 1, (uint64_t)INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX - 1, UINT64_MAX};
  for (size_t i = 0; i < lengthof(times); i++) {
    sd_event_source* s = NULL;
    uint64_t got = 77;
    assert_result(sd_event_add_time(loop, &s, CLOCK_MONOTONIC, times[i], 0, on_time, NULL), 0);
    assert_int_equal(sd_event_source_get_time(s, &got), 0);
    assert_true(got == times[i]);
    assert_result(sd_event_source_set_time(s, times[lengthof(times) - 1 - i]), 0);
    assert_int_equal(sd_event_source_get_time(s, &got), 0);
    assert_true(got == times[lengthof(times) - 1 - i]);
    sd_event_source_unref(s);
  }
  sd_event_unref(loop);
}

static void a_relative_time_that_overflows_is_EOVERFLOW_and_keeps_the_time(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  sd_event_source* s = NULL;
  uint64_t now = 0, got = 0;
  assert_int_equal(sd_event_now(loop, CLOCK_MONOTONIC, &now), 1);
  assert_result(sd_event_add_time_relative(loop, &s, CLOCK_MONOTONIC, UINT64_MAX - 1, 0, on_time, NULL), -EOVERFLOW);
  assert_result(sd_event_add_time_relative(loop, &s, CLOCK_MONOTONIC, UINT64_MAX - now + 1, 0, on_time, NULL),
                -EOVERFLOW);
  assert_null(s);
  assert_int_equal(sd_event_add_time(loop, &s, CLOCK_MONOTONIC, 5, 0, on_time, NULL), 0);
  assert_result(sd_event_source_set_time_relative(s, UINT64_MAX - 1), -EOVERFLOW);
  assert_int_equal(sd_event_source_get_time(s, &got), 0);
  assert_int_equal(got, 5);
  sd_event_source_unref(s);
  sd_event_unref(loop);
}

static void set_time_relative_of_UINT64_MAX_means_never(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  sd_event_source* s = NULL;
  uint64_t got = 0;
  assert_int_equal(sd_event_add_time(loop, &s, CLOCK_MONOTONIC, 5, 0, on_time, NULL), 0);
  assert_result(sd_event_source_set_time_relative(s, UINT64_MAX), 0);
  assert_int_equal(sd_event_source_get_time(s, &got), 0);
  assert_true(got == UINT64_MAX);
  assert_int_equal(sd_event_run(loop, 0), 0);
  sd_event_source_unref(s);
  sd_event_unref(loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      clean_test(add_time_with_any_other_clock_is_EOPNOTSUPP),
      clean_test(add_time_relative_and_now_refuse_the_same_clocks),
      clean_test(the_clocks_answer_as_the_kernel_does),
      clean_test(without_CAP_WAKE_ALARM_alarm_clocks_are_EPERM_where_they_exist),
      clean_test(any_accuracy_but_UINT64_MAX_is_accepted),
      clean_test(set_time_accuracy_that_fails_keeps_the_accuracy),
      clean_test(any_time_is_accepted),
      clean_test(a_relative_time_that_overflows_is_EOVERFLOW_and_keeps_the_time),
      clean_test(set_time_relative_of_UINT64_MAX_means_never),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
