// SPDX-License-Identifier: MIT
//
// Every transition between OFF, ON and ONESHOT, for every kind of source that has events, at every moment: before
// anything happened, with an event pending, under a rate limit, inside the source's own callback and inside another's.
//
// Invariants under test, in each cell:
// 1. An event from before is reported once where the new state is ON or ONESHOT, and not at all where it is OFF; except
//    one that the kernel has no more (signals, inotify) and that the source gave up when it was OFF.
// 2. Two new events after that are reported as the state says: ON both, ONESHOT one unless it is used up, OFF none.
// 3. Between them the loop sleeps: nothing of a source that is off is left to wake it.
//
// io_transitions.c has sequences of three states; defer and post sources, whose state is their event, are there and in
// static_defer_post.c.
#include "every_kind.h"

enum Moment { kFresh, kPending, kLimited, kOwnCallback, kOthersCallback, kMoments };
static const char* const moment_names[kMoments] = {"fresh", "pending", "limited", "own callback", "other's callback"};
static const int states[] = {SD_EVENT_OFF, SD_EVENT_ON, SD_EVENT_ONESHOT};
static const char* const state_names[] = {"off", "on", "one-shot"};

struct Cell {
  sd_event* loop;
  struct Thing thing;
  enum Moment moment;
  int from, to;  // indexes of `states`
  bool switched;
  char shown[96];
};

static struct Cell cell;

#define assert_calls(expected)                                                                    \
  do {                                                                                            \
    if (cell.thing.probe.calls != (expected))                                                     \
      fail_msg("%s: %u calls, not %u", cell.shown, cell.thing.probe.calls, (unsigned)(expected)); \
    cell.thing.probe.calls = 0;                                                                   \
  } while (0)

static void make_transition(void) {
  if (cell.switched) return;
  cell.switched = true;
  set_enabled(&cell.thing.probe, states[cell.to]);
}

static void act_of_thing(struct Probe* p) {
  (void)p;
  settle(&cell.thing);
  if (cell.moment == kOwnCallback) make_transition();
}

static void act_of_other(struct Probe* p) {
  (void)p;
  make_transition();
}

static bool is_watch(void) { return cell.thing.kind->fire == fire_inotify; }

static void enter_limit(void) {
  struct Probe* p = &cell.thing.probe;
  assert_result(sd_event_source_set_ratelimit(p->source, 3600 * 1000000ULL, 1), 0);
  set_enabled(p, SD_EVENT_ON);
  while (!sd_event_source_is_ratelimited(p->source)) {
    fire(&cell.thing);
    iterate_until_idle(cell.loop);
  }
  assert_calls(1);
  set_enabled(p, states[cell.from]);
}

// True when an event is left from before the transition.
static bool reach_moment(void) {
  struct Probe* p = &cell.thing.probe;
  struct Probe other = {.name = "other", .act = act_of_other};
  if (cell.moment == kLimited) enter_limit();
  if (cell.moment != kLimited) set_enabled(p, states[cell.from]);
  switch (cell.moment) {
    case kFresh:
      make_transition();
      return false;
    case kPending:
      fire(&cell.thing);
      gather(cell.loop);
      make_transition();
      return true;
    case kLimited:
      make_transition();
      assert_result(sd_event_source_set_ratelimit(p->source, 0, 0), 0);
      return true;
    case kOwnCallback:
      fire(&cell.thing);
      iterate(cell.loop);
      assert_calls(1);
      return false;
    default:
      probe_defer(cell.loop, &other);
      set_priority(&other, -1);
      fire(&cell.thing);
      assert_result(iterate(cell.loop), 1);
      free_probe(&other);
      return true;
  }
}

static void loop_sleeps(void) {
  iterate_until_idle(cell.loop);
  if (sd_event_prepare(cell.loop) != 0) fail_msg("%s: something is pending", cell.shown);
  if (fd_readable(cell.loop, 0)) fail_msg("%s: the loop would not sleep", cell.shown);
  assert_result(sd_event_wait(cell.loop, 0), 0);
}

static bool is_possible(void) {
  const struct Kind* kind = cell.thing.kind;
  if (cell.moment == kLimited && !(kind->traits & kLimitable)) return false;
  return cell.moment != kOwnCallback || states[cell.from] != SD_EVENT_OFF;
}

// Where 252 spins, fails or stays one-shot, and newer releases have read the event and dropped it.
static bool breaks_the_reference(void) {
  const struct Kind* kind = cell.thing.kind;
  const bool was_off = states[cell.from] == SD_EVENT_OFF;
  if (is_watch() && was_off && cell.moment == kOthersCallback && as_reference(kAskedBefore)) return true;
  if (is_watch() && (was_off || states[cell.to] != SD_EVENT_ON)) return as_reference(kUnwantedInotify);
  const bool again = states[cell.to] == SD_EVENT_ON || (cell.moment == kOwnCallback && states[cell.to] != SD_EVENT_OFF);
  if (cell.thing.pid > 0 && again) return as_reference(kLostChild);
  if (kind->fire == fire_io && states[cell.from] == SD_EVENT_ONESHOT && states[cell.to] == SD_EVENT_ON)
    return as_reference(kOneshotThenOn);
  return false;
}

static void play(int kind, enum Moment moment, int from, int to) {
  cell = (struct Cell){.loop = make_loop(), .moment = moment, .from = from, .to = to};
  snprintf(cell.shown, sizeof(cell.shown), "%s from %s to %s, %s", kinds[kind].name, state_names[from], state_names[to],
           moment_names[moment]);
  add_thing(&cell.thing, cell.loop, kind, 0);
  cell.thing.probe.act = act_of_thing;
  if (is_possible() && !breaks_the_reference()) {
    const bool once = kinds[kind].traits & kHappensOnce;
    // What was read while nobody wanted it, or was pending when the source was turned off, does not come again.
    const bool unread = is_watch() && states[from] == SD_EVENT_OFF && moment == kPending;
    const bool lost = is_kind(&cell.thing, kSignal) && states[from] == SD_EVENT_OFF && moment == kLimited;
    const bool left = reach_moment() && states[to] != SD_EVENT_OFF && !unread && !lost;
    loop_sleeps();
    assert_calls(left);
    settle(&cell.thing);
    for (int event = 0; event < 2 && !(once && (event > 0 || moment != kFresh)); event++) {
      const bool reported = enabled_of(&cell.thing.probe) != SD_EVENT_OFF;
      if (states[to] == SD_EVENT_OFF) assert_false(reported);
      if (states[to] == SD_EVENT_ON) assert_true(reported);
      if (states[to] == SD_EVENT_ONESHOT) assert_int_equal(reported, !left && event == 0);
      fire(&cell.thing);
      loop_sleeps();
      assert_calls(reported);
      settle(&cell.thing);
    }
  }
  end_thing(&cell.thing);
  sd_event_unref(cell.loop);
  journal[0] = 0;
}

static void each_transition_leaves_the_state_that_it_says(void** state) {
  const enum Moment moment = (enum Moment)(intptr_t)*state;
  for_each_kind(kind) {
    if (kind == kDefer || kind == kPost || kind == kExit) continue;
    for (int from = 0; from < 3; from++)
      for (int to = 0; to < 3; to++) play(kind, moment, from, to);
  }
}

#define moment_test(moment, name) kinds_test_of(each_transition_leaves_the_state_that_it_says, name, (void*)(moment))

int main(void) {
  const struct CMUnitTest tests[] = {
      moment_test(kFresh, "before_anything_happened"),
      moment_test(kPending, "with_an_event_pending"),
      moment_test(kLimited, "under_a_rate_limit"),
      moment_test(kOwnCallback, "in_its_own_callback"),
      moment_test(kOthersCallback, "in_the_callback_of_another"),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
