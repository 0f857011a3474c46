// SPDX-License-Identifier: MIT
//
// Every transition between OFF, ON and ONESHOT, for every kind of source: after each, a new event wakes the loop
// exactly as the state says, and no event from before is reported twice.
//
// A row of the table is a kind; the test walks through all sequences of three states and triggers one event after each.
// `trigger` makes something that the kind reports once, `settle` undoes what would make it report again by itself.
#include "loop_recorder.h"

struct Kind {
  const char* name;
  void (*add)(struct Kind*, sd_event*);
  void (*trigger)(struct Kind*);
  void (*settle)(struct Kind*);
  void (*remove)(struct Kind*);
  bool keeps_events_while_off;  // an event of the time that the source was off is reported when it is on again
  struct Probe probe;
  int fd;
  char* dir;
  sd_event* loop;
};

static void add_io(struct Kind* k, sd_event* loop) { probe_io(loop, &k->probe, k->fd = make_eventfd(0), EPOLLIN); }
static void trigger_io(struct Kind* k) { raise_eventfd(k->fd); }
static void settle_io(struct Kind* k) {
  eventfd_t value;
  (void)!eventfd_read(k->fd, &value);
}
static void remove_io(struct Kind* k) { close(k->fd); }

static void add_edge(struct Kind* k, sd_event* loop) {
  probe_io(loop, &k->probe, k->fd = make_eventfd(0), EPOLLIN | EPOLLET);
}

static void add_time(struct Kind* k, sd_event* loop) { probe_time(loop, &k->probe, CLOCK_MONOTONIC, UINT64_MAX); }
static void trigger_time(struct Kind* k) {
  assert_result(sd_event_source_set_time(k->probe.source, clock_usec(CLOCK_MONOTONIC)), 0);
}
static void settle_time(struct Kind* k) { assert_result(sd_event_source_set_time(k->probe.source, UINT64_MAX), 0); }

static void add_signal(struct Kind* k, sd_event* loop) {
  set_blocked(SIGRTMIN, true);
  probe_signal(loop, &k->probe, SIGRTMIN);
}
static void trigger_signal(struct Kind* k) {
  (void)k;
  assert_int_equal(kill(getpid(), SIGRTMIN), 0);
}
static void remove_signal(struct Kind* k) {
  (void)k;
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN);
  while (sigtimedwait(&set, NULL, &(struct timespec){0}) == SIGRTMIN) continue;  // what came while it was off
  set_blocked(SIGRTMIN, false);
}

static void add_post(struct Kind* k, sd_event* loop) { probe_post(k->loop = loop, &k->probe); }
static void trigger_post(struct Kind* k) { gather(k->loop); }

static void settle_nothing(struct Kind* k) { (void)k; }

static struct Kind kinds[] = {
    {.name = "io",
     .add = add_io,
     .trigger = trigger_io,
     .settle = settle_io,
     .remove = remove_io,
     .keeps_events_while_off = false},
    {.name = "edge",
     .add = add_edge,
     .trigger = trigger_io,
     .settle = settle_io,
     .remove = remove_io,
     .keeps_events_while_off = false},
    {.name = "time",
     .add = add_time,
     .trigger = trigger_time,
     .settle = settle_time,
     .remove = settle_nothing,
     .keeps_events_while_off = false},
    {.name = "signal",
     .add = add_signal,
     .trigger = trigger_signal,
     .settle = settle_nothing,
     .remove = remove_signal,
     .keeps_events_while_off = true},
    {.name = "post",
     .add = add_post,
     .trigger = trigger_post,
     .settle = settle_nothing,
     .remove = settle_nothing,
     .keeps_events_while_off = false},
};

static void enter_state(struct Kind* kind, int enabled, unsigned* expected, unsigned* queued) {
  set_enabled(&kind->probe, enabled);
  assert_int_equal(enabled_of(&kind->probe), enabled);
  // What the kernel kept while the source was off comes first, and uses a ONESHOT up.
  while (*queued > 0 && enabled != SD_EVENT_OFF) {
    *expected += 1, *queued -= 1;
    if (enabled == SD_EVENT_ONESHOT) break;
  }
  iterate_until_idle(kind->probe.loop);
  assert_int_equal(kind->probe.calls, *expected);
}

static void trigger_once(struct Kind* kind, unsigned* expected, unsigned* queued) {
  int enabled = enabled_of(&kind->probe);
  kind->trigger(kind);
  if (enabled != SD_EVENT_OFF) *expected += 1;
  if (enabled == SD_EVENT_OFF && kind->keeps_events_while_off) *queued += 1;
  int busy = 0, r;
  while ((r = iterate(kind->probe.loop)) > 0 && kind->probe.calls < *expected + 1) {
    if (++busy > kMaxBusy) fail_msg("%s: the loop does not go to sleep", kind->name);
    kind->settle(kind);
  }
  kind->settle(kind);
  assert_int_equal(kind->probe.calls, *expected);
  if (enabled == SD_EVENT_ONESHOT) assert_int_equal(enabled_of(&kind->probe), SD_EVENT_OFF);
}

static void each_transition_wakes_exactly_as_its_state_says(void** state) {
  struct Kind* kind = *state;
  static const int states[] = {SD_EVENT_OFF, SD_EVENT_ON, SD_EVENT_ONESHOT};
  for (int sequence = 0; sequence < 27; sequence++) {
    sd_event* loop = make_loop();
    unsigned expected = 0, queued = 0;
    kind->probe = (struct Probe){.name = ""};
    kind->add(kind, loop);
    for (int step = 0, rest = sequence; step < 3; step++, rest /= 3) {
      enter_state(kind, states[rest % 3], &expected, &queued);
      trigger_once(kind, &expected, &queued);
      trigger_once(kind, &expected, &queued);
    }
    free_probe(&kind->probe);
    kind->remove(kind);
    sd_event_unref(loop);
  }
}

// Three states in a row with no event between; then two events.
static void a_state_that_followed_others_without_an_event_counts_alone(void** state) {
  struct Kind* kind = *state;
  static const int states[] = {SD_EVENT_OFF, SD_EVENT_ON, SD_EVENT_ONESHOT};
  for (int sequence = 0; sequence < 27; sequence++) {
    int first = states[sequence / 9], second = states[sequence / 3 % 3], last = states[sequence % 3];
    sd_event* loop = make_loop();
    unsigned expected = 0, queued = 0;
    kind->probe = (struct Probe){.name = ""};
    kind->add(kind, loop);
    iterate_times(loop, 1);
    set_enabled(&kind->probe, first);
    iterate_times(loop, 1);
    set_enabled(&kind->probe, second);
    enter_state(kind, last, &expected, &queued);
    trigger_once(kind, &expected, &queued);
    if (kind->fd > 0 && first == SD_EVENT_OFF && second == SD_EVENT_ONESHOT && last == SD_EVENT_ON) {
      kind->trigger(kind);
      iterate_times(loop, 1);
      assert_int_equal(kind->probe.calls - expected, differs(kOneshotThenOn, 0, 1));
    } else {
      trigger_once(kind, &expected, &queued);
    }
    free_probe(&kind->probe);
    kind->remove(kind);
    sd_event_unref(loop);
  }
}

// Transitions between two looks at the kernel: only the last state counts.
static void a_source_that_is_switched_many_times_between_two_iterations_ends_up_in_its_last_state(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(1);
  struct Probe a = {.name = "a"};
  probe_io(loop, &a, fd, EPOLLIN);
  for (int i = 0; i < 7; i++) {
    set_enabled(&a, SD_EVENT_OFF);
    set_enabled(&a, SD_EVENT_ONESHOT);
    set_enabled(&a, SD_EVENT_ON);
  }
  iterate_times(loop, 2);
  assert_journal(differs_text(kOneshotThenOn, "a ", "a a "));
  set_enabled(&a, SD_EVENT_OFF);
  set_enabled(&a, SD_EVENT_ON);
  set_enabled(&a, SD_EVENT_OFF);
  assert_result(iterate(loop), 0);
  set_enabled(&a, SD_EVENT_ON);
  set_enabled(&a, SD_EVENT_ONESHOT);
  assert_int_equal(iterate_until_idle(loop), 1);
  assert_journal("a ");
  free_probe(&a);
  close(fd);
  sd_event_unref(loop);
}

static void act_off_then_oneshot(struct Probe* p) {
  set_enabled(p, SD_EVENT_OFF);
  set_enabled(p, SD_EVENT_ONESHOT);
}
static void act_off(struct Probe* p) { set_enabled(p, SD_EVENT_OFF); }

static void the_state_that_a_callback_sets_is_the_one_that_stays(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(1);
  struct Probe a = {.name = "a", .act = act_off};
  probe_io(loop, &a, fd, EPOLLIN);
  assert_int_equal(iterate_until_idle(loop), 1);
  assert_int_equal(enabled_of(&a), SD_EVENT_OFF);
  a.act = act_off_then_oneshot;
  set_enabled(&a, SD_EVENT_ON);
  iterate_times(loop, 3);
  assert_int_equal(enabled_of(&a), SD_EVENT_ONESHOT);
  a.act = NULL;
  assert_int_equal(iterate_until_idle(loop), 1);
  assert_journal("a a a a a ");
  free_probe(&a);
  close(fd);
  sd_event_unref(loop);
}

#define kind_tests(index, kind)                                                                              \
  {"each_transition_of_" kind "_source_wakes_exactly_as_its_state_says",                                     \
   each_transition_wakes_exactly_as_its_state_says, begin_recorded, end_clean, &kinds[index]},               \
  {                                                                                                          \
    "a_state_of_" kind "_source_that_followed_others_without_an_event_counts_alone",                         \
        a_state_that_followed_others_without_an_event_counts_alone, begin_recorded, end_clean, &kinds[index] \
  }

int main(void) {
  const struct CMUnitTest tests[] = {
      kind_tests(0, "an_io"),
      kind_tests(1, "an_edge_triggered"),
      kind_tests(2, "a_time"),
      kind_tests(3, "a_signal"),
      kind_tests(4, "a_post"),
      recorded_test(a_source_that_is_switched_many_times_between_two_iterations_ends_up_in_its_last_state),
      recorded_test(the_state_that_a_callback_sets_is_the_one_that_stays),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
