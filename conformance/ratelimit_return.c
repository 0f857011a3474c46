// SPDX-License-Identifier: MIT
//
// How a source comes back from its rate limit: in which iteration, and what may stand in its way.
//
// Invariants under test:
// 1. A source that is ready is dispatched by the iteration that notices the end of its limit, with or without a
//    callback for it. The reference does so without one; with one its iteration ends there, and the next one
//    dispatches.
// 2. A source that has to be found ready first is dispatched one iteration later, but for timers of CLOCK_MONOTONIC.
// 3. Neither that it was off, nor that its descriptor is another one's by now, keeps the loop from going on.
//
// A limit is over when its interval has been slept through; the next limit begins with the dispatch that follows. Each
// test owns its loop.
#include "loop_recorder.h"

enum { kInterval = 20000 };

enum Kind { kIo, kDefer, kMonotonic, kRealtime, kBoottime, kSignal, kInotify };

struct Row {
  enum Kind kind;
  bool cleared;  // It is not pending when it comes back, though there is something for it.
  int iterations;
};

static const struct Row kRows[] = {
    {kIo, false, 1},        {kIo, true, 2},        {kDefer, false, 1},    {kDefer, true, 1},
    {kMonotonic, false, 1}, {kMonotonic, true, 1}, {kRealtime, false, 1}, {kRealtime, true, 2},
    {kBoottime, false, 1},  {kBoottime, true, 1},  {kSignal, false, 1},   {kInotify, false, 1},
};

static int fd;
static char* dir;

static void act_queue_another(struct Probe* p) { queue_value(SIGRTMIN, (int)p->calls); }
static void act_create_another(struct Probe* p) {
  char name[16];
  snprintf(name, sizeof(name), "more%u", p->calls);
  create_file(dir, name);
}

// A source that is ready for ever.
static void add_ready(sd_event* loop, struct Probe* p, enum Kind kind) {
  static const clockid_t kClocks[] = {
      [kMonotonic] = CLOCK_MONOTONIC, [kRealtime] = CLOCK_REALTIME, [kBoottime] = CLOCK_BOOTTIME};
  switch (kind) {
    case kIo:
      return probe_io(loop, p, fd, EPOLLIN);
    case kDefer:
      probe_defer(loop, p);
      return set_enabled(p, SD_EVENT_ON);
    case kSignal:
      probe_signal(loop, p, SIGRTMIN | SD_EVENT_SIGNAL_PROCMASK);
      p->act = act_queue_another;
      for (int value = 1; value <= 3; value++) queue_value(SIGRTMIN, value);
      return;
    case kInotify:
      probe_inotify(loop, p, dir, IN_CREATE);
      p->act = act_create_another;
      for (int i = 0; i < 3; i++) create_file(dir, (const char*[]){"1", "2", "3"}[i]);
      return;
    default:
      probe_time(loop, p, kClocks[kind], 1);
      set_enabled(p, SD_EVENT_ON);
  }
}

static void clear_pending(struct Probe* p, enum Kind kind) {
  if (kind == kIo) assert_result(sd_event_source_set_io_events(p->source, EPOLLIN | EPOLLPRI), 0);
  if (kind >= kMonotonic) assert_result(sd_event_source_set_time(p->source, 2), 0);
  if (kind != kDefer) assert_int_equal(is_pending(p), 0);
}

static unsigned n_expired;
static int note_expired(sd_event_source* s, void* userdata) {
  (void)s;
  (void)userdata;
  n_expired++;
  return 0;
}

static void go_over_the_limit(struct Probe* p) {
  set_limit(p, kInterval, 1);
  while (!is_limited(p)) assert_true(iterate(p->loop) >= 0);
}

static void sleep_over_it(void) { sleep_until(CLOCK_MONOTONIC, clock_usec(CLOCK_MONOTONIC) + kInterval); }

// How many iterations the limit's end takes, up to the dispatch and with it.
static int iterations_to_come_back(const struct Row* row, sd_event_handler_t on_expired) {
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  int count = 0;
  fd = make_eventfd(1);
  dir = make_dir();
  add_ready(loop, &a, row->kind);
  assert_result(sd_event_source_set_ratelimit_expire_callback(a.source, on_expired), 0);
  go_over_the_limit(&a);
  n_expired = 0;
  if (row->cleared) clear_pending(&a, row->kind);
  a.calls = 0;
  sleep_over_it();
  for (; a.calls == 0; count++) assert_true(iterate(loop) >= 0);
  assert_int_equal(n_expired, on_expired ? 1 : 0);
  drop_pending_signals();  // They would end the process when they are unblocked.
  free_probe(&a);
  sd_event_unref(loop);
  remove_dir(dir);
  close(fd);
  return count;
}

static void a_source_comes_back_in_the_iteration_that_notices(void** state) {
  (void)state;
  for (size_t i = 0; i < lengthof(kRows); i++) {
    const bool boottime = kRows[i].kind == kBoottime && kRows[i].cleared;
    const int expected = boottime ? differs(kLimitedBoottime, 2, 1) : kRows[i].iterations;
    const int count = iterations_to_come_back(&kRows[i], NULL);
    if (count != expected) fail_msg("row %zu: %d iterations, not %d", i, count, expected);
  }
}

static void a_callback_for_the_end_takes_an_iteration_of_its_own(void** state) {
  (void)state;
  for (size_t i = 0; i < lengthof(kRows); i++) {
    // Buffered events make the reference look twice.
    const bool buffered = kRows[i].iterations == 1 && kRows[i].kind == kInotify;
    const int expected = buffered ? differs(kLimitCallback, 1, 2) : 2;
    const int count = iterations_to_come_back(&kRows[i], note_expired);
    if (count != expected) fail_msg("row %zu: %d iterations, not %d", i, count, expected);
  }
}

static void a_wait_that_runs_the_callback_for_the_end_says_1_and_the_source_follows(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_defer(loop, &a);
  set_enabled(&a, SD_EVENT_ON);
  assert_result(sd_event_source_set_ratelimit_expire_callback(a.source, note_expired), 0);
  go_over_the_limit(&a);
  n_expired = 0;
  a.calls = 0;
  sleep_over_it();
  assert_result(sd_event_prepare(loop), 0);
  assert_result(sd_event_wait(loop, 0), differs(kLimitCallback, 0, 1));
  assert_int_equal(n_expired, 1);
  if (!as_reference(kLimitCallback)) assert_result(sd_event_dispatch(loop), 1);
  assert_int_equal(a.calls, 0);
  assert_result(iterate(loop), 1);
  assert_int_equal(a.calls, 1);
  journal[0] = 0;
  free_probe(&a);
  sd_event_unref(loop);
}

static void a_source_that_was_off_when_its_limit_ended_is_back_when_it_is_on(void** state) {
  (void)state;
  static const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_BOOTTIME};
  for (size_t i = 0; i < lengthof(clocks); i++) {
    const bool stays = i == 0 ? as_reference(kLimitedOff) : as_reference(kLimitedOffElsewhere);
    sd_event* loop = make_loop();
    struct Probe a = {.name = "a"}, later = {.name = "later"};
    probe_time(loop, &later, clocks[i], clock_usec(clocks[i]) + 3600000000u);
    probe_defer(loop, &a);
    set_enabled(&a, SD_EVENT_ON);
    go_over_the_limit(&a);
    set_enabled(&a, SD_EVENT_OFF);
    sleep_over_it();
    a.calls = 0;
    assert_result(iterate(loop), 0);
    assert_int_equal(is_limited(&a), stays ? 1 : 0);
    set_enabled(&a, SD_EVENT_ON);
    assert_result(iterate(loop), stays ? 0 : 1);
    assert_int_equal(a.calls, stays ? 0 : 1);
    journal[0] = 0;
    free_probe(&a);
    free_probe(&later);
    sd_event_unref(loop);
  }
}

static void a_source_whose_descriptor_is_another_ones_when_its_limit_ends_is_turned_off(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"}, b = {.name = "b", .act = act_lower};
  fd = make_eventfd(1);
  probe_io(loop, &a, fd, EPOLLIN);
  go_over_the_limit(&a);
  lower_eventfd(fd);
  probe_io(loop, &b, fd, EPOLLIN);
  sleep_over_it();
  for (int i = 0; i < 3; i++) assert_result(iterate(loop), differs(kLimitedFd, -EEXIST, 0));
  assert_int_equal(enabled_of(&a), differs(kLimitedFd, SD_EVENT_ON, SD_EVENT_OFF));
  free_probe(&a);
  raise_eventfd(fd);
  iterate_until_idle(loop);
  assert_journal("a b ");
  free_probe(&b);
  close(fd);
  sd_event_unref(loop);
}

static void a_limit_counts_the_time_of_the_dispatch(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  fd = make_eventfd(1);
  probe_io(loop, &a, fd, EPOLLIN);
  set_limit(&a, kInterval, 1);
  assert_result(iterate(loop), 1);
  for (int i = 0; i < 3; i++) {
    if (sd_event_prepare(loop) == 0) assert_result(sd_event_wait(loop, 0), 1);
    sleep_over_it();  // The caller is busy.
    assert_result(sd_event_dispatch(loop), 1);
    assert_int_equal(is_limited(&a), 0);
  }
  assert_journal("a a a a ");
  free_probe(&a);
  close(fd);
  sd_event_unref(loop);
}

static void with_inotify_events_buffered_prepare_may_leave_the_end_of_a_limit_to_wait(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  dir = make_dir();
  add_ready(loop, &a, kInotify);
  go_over_the_limit(&a);
  a.calls = 0;
  sleep_over_it();
  assert_result(sd_event_prepare(loop), differs(kPrepareLooks, 1, 0));
  if (sd_event_get_state(loop) == SD_EVENT_ARMED) assert_result(sd_event_wait(loop, 0), 1);
  assert_result(sd_event_dispatch(loop), 1);
  assert_int_equal(a.calls, 1);
  journal[0] = 0;
  free_probe(&a);
  sd_event_unref(loop);
  remove_dir(dir);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      recorded_test(a_source_comes_back_in_the_iteration_that_notices),
      recorded_test(a_callback_for_the_end_takes_an_iteration_of_its_own),
      recorded_test(a_wait_that_runs_the_callback_for_the_end_says_1_and_the_source_follows),
      recorded_test(a_source_that_was_off_when_its_limit_ended_is_back_when_it_is_on),
      recorded_test(a_source_whose_descriptor_is_another_ones_when_its_limit_ends_is_turned_off),
      recorded_test(with_inotify_events_buffered_prepare_may_leave_the_end_of_a_limit_to_wait),
      recorded_test(a_limit_counts_the_time_of_the_dispatch),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
