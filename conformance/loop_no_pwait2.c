// SPDX-License-Identifier: MIT
//
// A kernel, or a sandbox, without epoll_pwait2: timeouts are rounded to milliseconds then, and never down.
//
// A seccomp filter in a forked process refuses the system call, in the ways in which old kernels (ENOSYS) and the
// filters of containers (EPERM) do. Only lower bounds are asserted: how late a wake-up is says something about the
// machine.
#include "loop_recorder.h"
#include "refuse.h"

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

static int timeouts_that_are_too_short(void* context) {
  static const uint64_t kTimeouts[] = {1, 50, 999, 1000, 1001, 2500};
  int count = 0;
  if (!refuse(SYS_epoll_pwait2, *(int*)context)) return -EPERM;
  sd_event* loop = make_loop();
  for (size_t i = 0; i < lengthof(kTimeouts); i++) {
    const uint64_t before = clock_usec(CLOCK_MONOTONIC);
    assert_result(sd_event_run(loop, kTimeouts[i]), 0);
    count += clock_usec(CLOCK_MONOTONIC) < before + kTimeouts[i];
  }
  sd_event_unref(loop);
  return count;
}

static int events_without_it(void* context) {
  struct Probe io = {.name = "io", .act = act_lower}, timer = {.name = "timer"};
  if (!refuse(SYS_epoll_pwait2, *(int*)context)) return -EPERM;
  sd_event* loop = make_loop();
  const int fd = make_eventfd(1);
  probe_io(loop, &io, fd, EPOLLIN);
  assert_result(sd_event_run(loop, 1500), 1);
  const uint64_t time = clock_usec(CLOCK_MONOTONIC) + 1500;
  probe_time(loop, &timer, CLOCK_MONOTONIC, time);
  while (timer.calls == 0) assert_true(sd_event_run(loop, 700) >= 0);
  assert_true(clock_usec(CLOCK_MONOTONIC) >= time);
  assert_journal("io timer ");
  free_probe(&io);
  free_probe(&timer);
  sd_event_unref(loop);
  close(fd);
  return 0;
}

static int kErrors[] = {ENOSYS, EPERM};

static void without_epoll_pwait2_no_timeout_is_too_short(void** state) {
  (void)state;
  for (size_t i = 0; i < lengthof(kErrors); i++) assert_result(in_child(timeouts_that_are_too_short, &kErrors[i]), 0);
}

static void without_epoll_pwait2_events_and_timers_are_served(void** state) {
  (void)state;
  for (size_t i = 0; i < lengthof(kErrors); i++) assert_result(in_child(events_without_it, &kErrors[i]), 0);
}

int main(void) {
  exit_77_without_filters();
  const struct CMUnitTest tests[] = {
      recorded_test(without_epoll_pwait2_no_timeout_is_too_short),
      recorded_test(without_epoll_pwait2_events_and_timers_are_served),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
