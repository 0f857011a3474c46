// SPDX-License-Identifier: MIT
//
// The end of a rate limit: when it comes, what the expire callback may do, and what happens to events of the meantime.
//
// Invariants under test:
// 1. The limit ends when the interval is over that began with the first dispatch of the burst; then the expire callback
//    runs, the source is back, and a new burst begins with its next dispatch.
// 2. Events of the meantime are not lost: queued signals, buffered inotify events, timers that elapsed, ready fds.
// 3. The expire callback may free its source or others, fail, or enter the limit again.
//
// Waits are for a state, without an upper bound; the intervals are short ones, and only lower bounds are asserted. A
// loaded machine may stretch the time between two dispatches, so no test needs several of them to fall in one interval.
#include "loop_recorder.h"

enum { kInterval = 20000 };

// A burst of 1 and a source that is ready for ever: the first refused attempt comes at once, or after a lost race
// against the interval at a later one.
static void run_until_limited(struct Probe* p) {
  while (!is_limited(p)) assert_true(sd_event_run(p->loop, UINT64_MAX) >= 0);
}
static void run_until_unlimited(struct Probe* p) {
  while (is_limited(p)) assert_true(sd_event_run(p->loop, UINT64_MAX) >= 0);
}

static int record_expire(sd_event_source* s, void* userdata) {
  struct Probe* p = userdata;
  note("(%s %d) ", p->name, sd_event_source_is_ratelimited(s));
  return 0;
}

static uint64_t first_dispatch;
static void act_note_time(struct Probe* p) {
  if (!first_dispatch) assert_int_equal(sd_event_now(p->loop, CLOCK_MONOTONIC, &first_dispatch), 0);
}

static void the_interval_begins_with_the_first_dispatch(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a", .act = act_note_time};
  first_dispatch = 0;
  probe_defer(loop, &a);
  set_enabled(&a, SD_EVENT_ON);
  set_limit(&a, 10 * kInterval, 3);
  assert_result(iterate(loop), 1);
  iterate_until_idle(loop);
  assert_int_equal(is_limited(&a), 1);
  run_until_unlimited(&a);
  assert_true(clock_usec(CLOCK_MONOTONIC) >= first_dispatch + 10 * kInterval);
  run_until_calls(&a, 4);
  journal[0] = 0;
  free_probe(&a);
  sd_event_unref(loop);
}

static void a_source_that_is_slower_than_its_limit_is_never_limited(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_defer(loop, &a);
  set_enabled(&a, SD_EVENT_ON);
  set_limit(&a, 2000, 1);
  for (int i = 0; i < 5; i++) {
    assert_result(iterate(loop), 1);
    assert_int_equal(is_limited(&a), 0);
    usleep(2100);
  }
  assert_journal("a a a a a ");
  free_probe(&a);
  sd_event_unref(loop);
}

static void the_expire_callback_runs_before_the_source_is_dispatched_again(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(1);
  struct Probe a = {.name = "a"};
  probe_io(loop, &a, fd, EPOLLIN);
  assert_result(sd_event_source_set_ratelimit_expire_callback(a.source, record_expire), 0);
  set_limit(&a, 10 * kInterval, 1);
  run_until_limited(&a);
  assert_journal("a ");
  a.calls = 0;
  run_until_calls(&a, 1);
  assert_journal("(a 0) a ");
  free_probe(&a);
  close(fd);
  sd_event_unref(loop);
}

static void the_expire_callback_runs_also_for_a_source_that_was_switched_off_meanwhile(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_defer(loop, &a);
  set_enabled(&a, SD_EVENT_ON);
  assert_result(sd_event_source_set_ratelimit_expire_callback(a.source, record_expire), 0);
  set_limit(&a, kInterval, 1);
  run_until_limited(&a);
  journal[0] = 0;
  set_enabled(&a, SD_EVENT_OFF);
  usleep(kInterval + 1000);  // a source that is off need not wake the loop for this
  iterate_times(loop, 2);
  assert_int_equal(is_limited(&a), 0);
  assert_journal("(a 0) ");
  free_probe(&a);
  sd_event_unref(loop);
}

static void a_one_shot_timer_that_elapsed_while_limited_fires_after_it(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_time(loop, &a, CLOCK_MONOTONIC, 1);
  set_enabled(&a, SD_EVENT_ON);
  set_limit(&a, kInterval, 1);
  run_until_limited(&a);
  a.calls = 0;
  assert_result(sd_event_source_set_time(a.source, 9), 0);
  set_enabled(&a, SD_EVENT_ONESHOT);
  run_until_calls(&a, 1);
  assert_int_equal(a.usec, 9);
  assert_int_equal(enabled_of(&a), SD_EVENT_OFF);
  journal[0] = 0;
  free_probe(&a);
  sd_event_unref(loop);
}

static void buffered_inotify_events_are_delivered_after_the_limit(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  char* dir = make_dir();
  struct Probe a = {.name = "a"};
  probe_inotify(loop, &a, dir, IN_CREATE);
  set_limit(&a, kInterval, 1);
  create_file(dir, "1");
  create_file(dir, "2");
  create_file(dir, "3");
  run_until_calls(&a, 3);
  assert_journal("a:100:1 a:100:2 a:100:3 ");
  free_probe(&a);
  sd_event_unref(loop);
  remove_dir(dir);
}

static void queued_signals_are_delivered_one_after_each_limit(void** state) {
  (void)state;
  for (int with_callback = 0; with_callback < 2; with_callback++) {
    sd_event* loop = make_loop();
    set_blocked(SIGRTMIN, true);
    struct Probe a = {.name = "a"};
    probe_signal(loop, &a, SIGRTMIN);
    uint64_t interval = with_callback ? 10 * kInterval : kInterval;
    set_limit(&a, interval, 1);
    if (with_callback) assert_result(sd_event_source_set_ratelimit_expire_callback(a.source, on_event), 0);
    for (int value = 1; value <= 4; value++) queue_value(SIGRTMIN, value);
    if (!with_callback || !as_reference(kQueuedSignals)) {
      run_until_calls(&a, 4);
      assert_journal("a=1 a=2 a=3 a=4 ");
    } else {
      run_until_limited(&a);
      for (int i = 0; i < 2; i++) {
        usleep((useconds_t)interval + 1000);
        iterate_times(loop, 3);
      }
    }
    assert_int_equal(a.calls, with_callback ? differs(kQueuedSignals, 2, 4) : 4);
    journal[0] = 0;
    free_probe(&a);
    sd_event_unref(loop);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    while (sigtimedwait(&set, NULL, &(struct timespec){0}) == SIGRTMIN) continue;
    set_blocked(SIGRTMIN, false);
  }
}

static void queued_signals_are_delivered_after_new_parameters_ended_the_limit(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  set_blocked(SIGRTMIN, true);
  probe_signal(loop, &a, SIGRTMIN);
  set_limit(&a, 3600000000u, 1);
  for (int value = 1; value <= 4; value++) queue_value(SIGRTMIN, value);
  run_until_limited(&a);
  set_limit(&a, 0, 0);
  iterate_until_idle(loop);
  assert_journal(differs_text(kQueuedSignals, "a=1 a=2 ", "a=1 a=2 a=3 a=4 "));
  drop_pending_signals();
  free_probe(&a);
  sd_event_unref(loop);
  set_blocked(SIGRTMIN, false);
}

static void sources_whose_limits_end_together_all_come_back(void** state) {
  (void)state;
  enum { kCount = 40 };
  static struct Probe probes[kCount];
  sd_event* loop = make_loop();
  for (int i = 0; i < kCount; i++) {
    probes[i] = (struct Probe){.name = ""};
    probe_defer(loop, &probes[i]);
    set_enabled(&probes[i], SD_EVENT_ON);
    set_priority(&probes[i], i);
    set_limit(&probes[i], 5 * kInterval, 1);
  }
  for (unsigned round = 1; round <= 3; round++)
    for (int i = 0; i < kCount; i++) run_until_calls(&probes[i], round);
  for (int i = 0; i < kCount; i++) free_probe(&probes[i]);
  sd_event_unref(loop);
}

static int expire_and_free(sd_event_source* s, void* userdata) {
  struct Probe* p = userdata;
  record_expire(s, p);
  if (p->other) free_probe(p->other);
  free_probe(p);
  return 0;
}

static void an_expire_callback_may_free_its_own_source_and_others(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe b = {.name = "b"}, a = {.name = "a", .other = &b};
  probe_defer(loop, &a);
  probe_defer(loop, &b);
  set_enabled(&a, SD_EVENT_ON);
  set_enabled(&b, SD_EVENT_ON);
  set_priority(&b, 1);
  set_limit(&a, 10 * kInterval, 1);
  set_limit(&b, 20 * kInterval, 1);
  assert_result(sd_event_source_set_ratelimit_expire_callback(a.source, expire_and_free), 0);
  assert_result(sd_event_source_set_ratelimit_expire_callback(b.source, record_expire), 0);
  run_until_limited(&a);
  run_until_limited(&b);
  assert_journal("a b ");
  while (a.source) assert_true(sd_event_run(loop, UINT64_MAX) >= 0);
  assert_journal("(a 0) ");
  assert_result(sd_event_run(loop, 1000), 0);
  sd_event_unref(loop);
}

static int expire_and_fail(sd_event_source* s, void* userdata) { return record_expire(s, userdata), -EIO; }

static void an_expire_callback_that_fails_turns_its_source_off(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_defer(loop, &a);
  set_enabled(&a, SD_EVENT_ON);
  set_limit(&a, 10 * kInterval, 1);
  assert_result(sd_event_source_set_ratelimit_expire_callback(a.source, expire_and_fail), 0);
  run_until_limited(&a);
  run_until_unlimited(&a);
  assert_int_equal(enabled_of(&a), SD_EVENT_OFF);
  assert_result(iterate(loop), 0);
  assert_journal("a (a 0) ");
  free_probe(&a);
  sd_event_unref(loop);
}

static void an_expire_callback_that_fails_with_exit_on_failure_ends_the_loop(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_defer(loop, &a);
  set_enabled(&a, SD_EVENT_ON);
  set_limit(&a, 10 * kInterval, 1);
  assert_result(sd_event_source_set_exit_on_failure(a.source, 1), 1);
  assert_result(sd_event_source_set_ratelimit_expire_callback(a.source, expire_and_fail), 0);
  assert_int_equal(sd_event_loop(loop), -EIO);
  assert_journal("a (a 0) ");
  free_probe(&a);
  sd_event_unref(loop);
}

static int expire_and_limit_again(sd_event_source* s, void* userdata) {
  struct Probe* p = userdata;
  record_expire(s, userdata);
  return sd_event_source_set_ratelimit(p->source, kInterval, 1);
}

static void an_expire_callback_may_set_a_new_limit(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_defer(loop, &a);
  set_enabled(&a, SD_EVENT_ON);
  set_limit(&a, kInterval / 2, 1);
  assert_result(sd_event_source_set_ratelimit_expire_callback(a.source, expire_and_limit_again), 0);
  run_until_limited(&a);
  unsigned calls = a.calls;
  run_until_calls(&a, calls + 1);
  run_until_limited(&a);
  calls = a.calls;
  run_until_calls(&a, calls + 1);
  uint64_t interval = 0;
  unsigned burst = 0;
  assert_result(sd_event_source_get_ratelimit(a.source, &interval, &burst), 0);
  assert_int_equal(interval, kInterval);
  journal[0] = 0;
  free_probe(&a);
  sd_event_unref(loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      recorded_test(the_interval_begins_with_the_first_dispatch),
      recorded_test(a_source_that_is_slower_than_its_limit_is_never_limited),
      recorded_test(the_expire_callback_runs_before_the_source_is_dispatched_again),
      recorded_test(the_expire_callback_runs_also_for_a_source_that_was_switched_off_meanwhile),
      recorded_test(a_one_shot_timer_that_elapsed_while_limited_fires_after_it),
      recorded_test(buffered_inotify_events_are_delivered_after_the_limit),
      recorded_test(queued_signals_are_delivered_one_after_each_limit),
      recorded_test(queued_signals_are_delivered_after_new_parameters_ended_the_limit),
      recorded_test(sources_whose_limits_end_together_all_come_back),
      recorded_test(an_expire_callback_may_free_its_own_source_and_others),
      recorded_test(an_expire_callback_that_fails_turns_its_source_off),
      recorded_test(an_expire_callback_that_fails_with_exit_on_failure_ends_the_loop),
      recorded_test(an_expire_callback_may_set_a_new_limit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
