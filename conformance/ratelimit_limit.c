// SPDX-License-Identifier: MIT
//
// Rate limits: when a source goes offline, and what it means to be offline.
//
// Invariants under test:
// 1. `burst` dispatches within `interval` are let through; one more sends the source offline until the interval, which
//    began with the first of them, is over. An attempt that is refused counts as an iteration, not as a dispatch.
// 2. Offline is not off: get_enabled is unchanged, pending stays. The loop sleeps: its fd is quiet until the interval
//    ends.
// 3. New parameters, also none, end the limit at once and start the count afresh.
//
// Intervals of 10 s stand for "does not end during the test"; lower bounds alone are asserted for those that do end.
#include "loop_recorder.h"

enum { kNever = 10 * 1000 * 1000 };

static void getters_show_the_parameters_and_0_means_no_limit(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  uint64_t interval = 0;
  unsigned burst = 0;
  probe_defer(loop, &a);
  assert_result(sd_event_source_get_ratelimit(a.source, &interval, &burst), -ENOEXEC);
  set_limit(&a, 50000, 2);
  assert_result(sd_event_source_get_ratelimit(a.source, &interval, &burst), 0);
  assert_int_equal(interval, 50000);
  assert_int_equal(burst, 2);
  assert_result(sd_event_source_get_ratelimit(a.source, NULL, NULL), 0);
  assert_int_equal(is_limited(&a), 0);
  static const uint64_t none[][2] = {{0, 5}, {5, 0}, {0, 0}};
  for (size_t i = 0; i < lengthof(none); i++) {
    set_limit(&a, 50000, 2);
    set_limit(&a, none[i][0], (unsigned)none[i][1]);
    assert_result(sd_event_source_get_ratelimit(a.source, &interval, &burst), -ENOEXEC);
  }
  free_probe(&a);
  sd_event_unref(loop);
}

static void post_exit_and_child_sources_have_no_limit(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  set_blocked(SIGCHLD, true);
  struct Probe probes[] = {{.name = "post"}, {.name = "exit"}, {.name = "child"}};
  pid_t pid = spawn_sleeper();
  probe_post(loop, &probes[0]);
  probe_exit(loop, &probes[1]);
  probe_child(loop, &probes[2], pid, WEXITED);
  for (size_t i = 0; i < lengthof(probes); i++) {
    uint64_t interval;
    unsigned burst;
    assert_result(sd_event_source_set_ratelimit(probes[i].source, 1, 1), -EDOM);
    assert_result(sd_event_source_get_ratelimit(probes[i].source, &interval, &burst), -EDOM);
    assert_result(sd_event_source_set_ratelimit_expire_callback(probes[i].source, on_event), 0);
    assert_result(sd_event_source_is_ratelimited(probes[i].source), 0);
    free_probe(&probes[i]);
  }
  kill_and_reap(pid);
  set_blocked(SIGCHLD, false);
  sd_event_unref(loop);
}

static void after_burst_dispatches_the_source_goes_offline_and_the_loop_sleeps(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(1);
  struct Probe a = {.name = "a"};
  probe_io(loop, &a, fd, EPOLLIN);
  set_limit(&a, kNever, 2);
  for (int i = 0; i < 2; i++) {
    assert_result(iterate(loop), 1);
    assert_int_equal(is_limited(&a), 0);
  }
  assert_result(iterate(loop), 1);  // the attempt that is refused
  assert_int_equal(is_limited(&a), 1);
  assert_int_equal(is_pending(&a), 1);
  assert_int_equal(enabled_of(&a), SD_EVENT_ON);
  assert_journal("a a ");
  assert_result(iterate(loop), 0);
  assert_result(sd_event_prepare(loop), 0);
  assert_false(fd_readable(loop, 0));
  assert_result(sd_event_wait(loop, 0), 0);
  assert_journal("");
  free_probe(&a);
  close(fd);
  sd_event_unref(loop);
}

static void each_kind_that_has_limits_is_limited(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  char* dir = make_dir();
  struct Probe timer = {.name = "time"}, sig = {.name = "signal"}, inotify = {.name = "inotify"};
  struct Probe defer = {.name = "defer"};
  struct Probe* all[] = {&timer, &sig, &inotify, &defer};
  set_blocked(SIGRTMIN, true);
  probe_time(loop, &timer, CLOCK_MONOTONIC, 1);
  probe_signal(loop, &sig, SIGRTMIN);
  probe_inotify(loop, &inotify, dir, IN_CREATE);
  probe_defer(loop, &defer);
  for (size_t i = 0; i < lengthof(all); i++) {
    set_enabled(all[i], SD_EVENT_ON);
    set_limit(all[i], kNever, 2);
  }
  for (int i = 0; i < 4; i++) {
    char name[8];
    snprintf(name, sizeof(name), "%d", i);
    create_file(dir, name);
    kill(getpid(), SIGRTMIN);
  }
  iterate_until_idle(loop);
  for (size_t i = 0; i < lengthof(all); i++) {
    assert_int_equal(all[i]->calls, 2);
    assert_int_equal(is_limited(all[i]), 1);
    free_probe(all[i]);
  }
  journal[0] = 0;
  sd_event_unref(loop);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN);
  while (sigtimedwait(&set, NULL, &(struct timespec){0}) == SIGRTMIN) continue;
  set_blocked(SIGRTMIN, false);
  remove_dir(dir);
}

static void a_limited_source_of_better_priority_lets_others_run(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(1);
  struct Probe a = {.name = "a"}, io = {.name = "io"};
  probe_defer(loop, &a);
  set_enabled(&a, SD_EVENT_ON);
  set_priority(&a, -5);
  set_limit(&a, kNever, 2);
  probe_io(loop, &io, fd, EPOLLIN);
  while (io.calls < 2) assert_result(iterate(loop), 1);
  assert_journal("a a io io ");
  free_probe(&a);
  free_probe(&io);
  close(fd);
  sd_event_unref(loop);
}

static void post_sources_are_triggered_by_true_dispatches_alone(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"}, post = {.name = "post"};
  probe_defer(loop, &a);
  set_enabled(&a, SD_EVENT_ON);
  set_limit(&a, kNever, 2);
  probe_post(loop, &post);
  set_priority(&post, -1);
  iterate_until_idle(loop);
  assert_int_equal(is_limited(&a), 1);
  assert_journal("a post a post ");
  free_probe(&a);
  free_probe(&post);
  sd_event_unref(loop);
}

static void off_and_on_do_not_end_a_limit(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(1);
  struct Probe a = {.name = "a"};
  probe_io(loop, &a, fd, EPOLLIN);
  set_limit(&a, kNever, 1);
  iterate_until_idle(loop);
  set_enabled(&a, SD_EVENT_OFF);
  assert_int_equal(is_limited(&a), 1);
  assert_int_equal(enabled_of(&a), SD_EVENT_OFF);
  set_enabled(&a, SD_EVENT_ONESHOT);
  assert_int_equal(is_limited(&a), 1);
  set_enabled(&a, SD_EVENT_ON);
  assert_result(iterate(loop), 0);
  assert_journal("a ");
  free_probe(&a);
  close(fd);
  sd_event_unref(loop);
}

static void new_parameters_end_a_limit_and_start_the_count_afresh(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(1);
  struct Probe a = {.name = "a"};
  probe_io(loop, &a, fd, EPOLLIN);
  assert_result(sd_event_source_set_ratelimit_expire_callback(a.source, record_prepare), 0);
  set_limit(&a, kNever, 1);
  iterate_until_idle(loop);
  assert_int_equal(is_limited(&a), 1);
  set_limit(&a, kNever, 3);
  assert_int_equal(is_limited(&a), 0);
  iterate_until_idle(loop);
  assert_int_equal(is_limited(&a), 1);
  set_limit(&a, 0, 0);
  assert_int_equal(is_limited(&a), 0);
  iterate_times(loop, 2);
  assert_journal("a a a a a a ");
  free_probe(&a);
  close(fd);
  sd_event_unref(loop);
}

static void set_time_of_a_limited_timer_is_kept_for_later(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_time(loop, &a, CLOCK_MONOTONIC, 1);
  set_enabled(&a, SD_EVENT_ON);
  set_limit(&a, kNever, 1);
  iterate_until_idle(loop);
  assert_result(sd_event_source_set_time(a.source, 2), 0);
  assert_int_equal(is_limited(&a), 1);
  assert_int_equal(is_pending(&a), 0);
  assert_result(iterate(loop), 0);
  set_limit(&a, 0, 0);
  assert_result(iterate(loop), 1);
  assert_int_equal(a.usec, 2);
  assert_journal("a a ");
  free_probe(&a);
  sd_event_unref(loop);
}

static void prepare_callbacks_of_a_limited_source_rest_with_it(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(1);
  struct Probe a = {.name = "a"};
  probe_io(loop, &a, fd, EPOLLIN);
  assert_result(sd_event_source_set_prepare(a.source, record_prepare), 0);
  set_limit(&a, kNever, 1);
  iterate_until_idle(loop);
  assert_int_equal(is_limited(&a), 1);
  journal[0] = 0;
  iterate_times(loop, 2);
  assert_journal("");
  free_probe(&a);
  close(fd);
  sd_event_unref(loop);
}

static void a_limited_source_can_be_freed_with_or_before_its_loop(void** state) {
  (void)state;
  for (int floating = 0; floating < 2; floating++) {
    sd_event* loop = make_loop();
    int fd = make_eventfd(1);
    struct Probe a = {.name = "a"};
    probe_io(loop, &a, fd, EPOLLIN);
    set_limit(&a, 1000, 1);
    while (!is_limited(&a)) assert_true(iterate(loop) >= 0);
    if (floating) assert_result(sd_event_source_set_floating(a.source, 1), 1);
    free_probe(&a);
    if (!floating) assert_result(sd_event_run(loop, 2000), 0);
    sd_event_unref(loop);
    close(fd);
    journal[0] = 0;
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      recorded_test(getters_show_the_parameters_and_0_means_no_limit),
      recorded_test(post_exit_and_child_sources_have_no_limit),
      recorded_test(after_burst_dispatches_the_source_goes_offline_and_the_loop_sleeps),
      recorded_test(each_kind_that_has_limits_is_limited),
      recorded_test(a_limited_source_of_better_priority_lets_others_run),
      recorded_test(post_sources_are_triggered_by_true_dispatches_alone),
      recorded_test(off_and_on_do_not_end_a_limit),
      recorded_test(new_parameters_end_a_limit_and_start_the_count_afresh),
      recorded_test(set_time_of_a_limited_timer_is_kept_for_later),
      recorded_test(prepare_callbacks_of_a_limited_source_rest_with_it),
      recorded_test(a_limited_source_can_be_freed_with_or_before_its_loop),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
