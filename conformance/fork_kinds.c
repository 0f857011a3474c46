// SPDX-License-Identifier: MIT
//
// A fork, for every kind of source in every condition: the parent's source is none the worse for anything that the
// child does with its copy.
//
// Conditions: idle, pending, off, one-shot, under a rate limit, floating. What the child does: it exits, drops the
// source, disables and drops it, drops the loop, tries every call. Invariants under test:
// 1. The child's calls are -ECHILD where they would use the loop, whichever kind the source is of.
// 2. Afterwards the parent's source is in the state, and as pending, as before; its next event is reported exactly as
//    without the fork; and an owned descriptor or process is still there.
// fork_child.c has what is to be said about all kinds together.
#include "every_kind.h"

enum Condition { kIdle, kPending, kOff, kOneshot, kLimited, kFloating, kConditions };
static const char* const condition_names[kConditions] = {"idle", "pending", "off", "one-shot", "limited", "floating"};

struct Forked {
  sd_event* loop;
  struct Thing thing;
  enum Condition condition;
};

static void own_what_can_be_owned(struct Thing* t) {
  if (is_kind(t, kIo) || is_kind(t, kEdge)) assert_result(sd_event_source_set_io_fd_own(t->probe.source, 1), 0);
  if (t->pid > 0) assert_result(sd_event_source_set_child_process_own(t->probe.source, 1), 0);
  if (is_kind(t, kChildPidfd)) assert_result(sd_event_source_set_child_pidfd_own(t->probe.source, 1), 0);
}

static void release_what_was_owned(struct Thing* t, int result) {
  if (is_kind(t, kIo) || is_kind(t, kEdge)) assert_result(sd_event_source_set_io_fd_own(t->probe.source, 0), result);
  if (is_kind(t, kChildPidfd)) assert_result(sd_event_source_set_child_pidfd_own(t->probe.source, 0), result);
}

static bool is_possible(int kind, enum Condition condition) {
  if (condition == kLimited) return kinds[kind].traits & kLimitable;
  if (condition == kPending) return kind != kExit;
  return true;
}

static void act_settle(struct Probe* p) { settle((struct Thing*)((char*)p - offsetof(struct Thing, probe))); }

// One event is dispatched, the next one is beyond the limit, which is over when the test says so: an hour, then none.
static void enter_limit(struct Forked* f) {
  struct Thing* t = &f->thing;
  assert_result(sd_event_source_set_ratelimit(t->probe.source, 3600 * 1000000ULL, 1), 0);
  t->probe.act = t->kind->traits & kSwitched ? NULL : act_settle;
  while (!sd_event_source_is_ratelimited(t->probe.source)) {
    fire(t);
    if (is_kind(t, kPost)) gather(f->loop);
    iterate_until_idle(f->loop);
  }
  assert_int_equal(t->probe.calls, 1);
  t->probe.calls = 0;
  journal[0] = 0;
}

static void enter(struct Forked* f, int kind, enum Condition condition) {
  f->loop = make_loop();
  f->condition = condition;
  add_thing(&f->thing, f->loop, kind, 0);
  own_what_can_be_owned(&f->thing);
  if (condition == kIdle || condition == kFloating) iterate_until_idle(f->loop);
  if (condition == kPending) fire(&f->thing), gather(f->loop);
  if (condition == kOff) set_enabled(&f->thing.probe, SD_EVENT_OFF);
  if (condition == kOneshot && !(kinds[kind].traits & kSwitched)) set_enabled(&f->thing.probe, SD_EVENT_ONESHOT);
  if (condition == kLimited) enter_limit(f);
  if (condition == kFloating) {
    sd_event_source_ref(f->thing.probe.source);
    assert_result(sd_event_source_set_floating(f->thing.probe.source, 1), 1);
  }
}

static void leave(struct Forked* f) {
  release_what_was_owned(&f->thing, 0);
  if (f->condition == kFloating) {
    sd_event_source_unref(f->thing.probe.source);
    assert_result(sd_event_source_set_floating(f->thing.probe.source, 0), 1);
  }
  end_thing(&f->thing);
  sd_event_unref(f->loop);
}

// Enough for each condition: the next event comes, once.
static void next_event_is_reported(struct Forked* f) {
  struct Thing* t = &f->thing;
  if (t->pid > 0 && f->condition != kPending) assert_int_equal(child_state(t->pid), 'R');
  if (f->condition == kOff && !(t->kind->traits & kSwitched))
    set_enabled(&t->probe, t->kind->traits & kHappensOnce ? SD_EVENT_ONESHOT : SD_EVENT_ON);
  if (f->condition == kLimited) {
    assert_result(sd_event_source_is_ratelimited(t->probe.source), 1);
    assert_result(sd_event_source_set_ratelimit(t->probe.source, 0, 0), 0);
    assert_result(sd_event_source_is_ratelimited(t->probe.source), 0);
  }
  t->probe.act = t->kind->traits & kSwitched ? NULL : act_settle;
  if (f->condition != kPending && f->condition != kLimited) {
    iterate_until_idle(f->loop);
    assert_int_equal(t->probe.calls, 0);
    fire(t);
  }
  if (is_kind(t, kPost) && f->condition != kPending) gather(f->loop);
  if (is_kind(t, kExit)) {
    assert_int_equal(iterate(f->loop), 1);
  } else {
    iterate_until_idle(f->loop);
  }
  if (t->probe.calls != 1) fail_msg("%s %s: %u calls", t->kind->name, condition_names[f->condition], t->probe.calls);
  if (t->pid > 0) assert_int_equal(child_state(t->pid), '-');
  journal[0] = 0;
}

// ---- what the child does ------------------------------------------------------------------------------------------

static int exit_only(void* context) { return (void)context, 0; }
static int drop_source(void* context) {
  struct Forked* f = context;
  if (f->condition == kFloating) sd_event_source_unref(f->thing.probe.source);
  free_probe(&f->thing.probe);
  return 0;
}
static int drop_source_and_loop(void* context) {
  drop_source(context);
  sd_event_unref(((struct Forked*)context)->loop);
  return 0;
}
static int drop_loop_and_source(void* context) {
  sd_event_unref(((struct Forked*)context)->loop);
  return drop_source(context);
}
static int disable_and_drop(void* context) {
  struct Forked* f = context;
  f->thing.probe.source = sd_event_source_disable_unref(f->thing.probe.source);
  sd_event_unref(f->loop);
  return 0;
}
static int release_and_drop(void* context) {
  release_what_was_owned(&((struct Forked*)context)->thing, differs(kForkedCalls, 0, -ECHILD));
  return drop_source_and_loop(context);
}
// 252 registers what was limited anew, in the parent's epoll set.
static int change_limit(void* context) {
  struct Forked* f = context;
  if (f->condition == kLimited && as_reference(kForkedCalls)) return 0;
  (void)sd_event_source_set_ratelimit(f->thing.probe.source, 0, 0);
  (void)sd_event_source_set_ratelimit(f->thing.probe.source, 3600 * 1000000ULL, 1);
  (void)sd_event_source_set_ratelimit(f->thing.probe.source, 0, 0);
  return 0;
}

// The calls that every kind has; -ECHILD from each, whatever the kind and the condition.
static int try_calls(void* context) {
  struct Forked* f = context;
  sd_event_source* s = f->thing.probe.source;
  const bool is_exit = is_kind(&f->thing, kExit);
  int64_t priority;
  int enabled;
  const int results[] = {
      sd_event_source_set_enabled(s, SD_EVENT_ON),
      sd_event_source_set_enabled(s, SD_EVENT_ONESHOT),
      sd_event_source_get_enabled(s, &enabled),
      is_exit ? -ECHILD : sd_event_source_get_pending(s),
      sd_event_source_set_priority(s, 77),
      sd_event_source_get_priority(s, &priority),
      is_exit ? -ECHILD : sd_event_source_set_prepare(s, on_event),
      sd_event_run(f->loop, 0),
      sd_event_prepare(f->loop),
      sd_event_loop(f->loop),
      sd_event_exit(f->loop, 0),
  };
  for (size_t i = 0; i < lengthof(results); i++)
    if (results[i] != -ECHILD) return (int)(i + 1) * 1000 - results[i];
  return 0;
}

static void in_every_condition(int kind, int (*child)(void*)) {
  for (int condition = 0; condition < kConditions; condition++) {
    struct Forked f = {0};
    if (!is_possible(kind, (enum Condition)condition)) continue;
    enter(&f, kind, (enum Condition)condition);
    const int enabled = enabled_of(&f.thing.probe), pending = kind == kExit ? 0 : is_pending(&f.thing.probe);
    const int result = in_child(child, &f);
    if (result != 0) fail_msg("%s %s: %d in the child", kinds[kind].name, condition_names[condition], result);
    assert_int_equal(enabled_of(&f.thing.probe), enabled);
    if (kind != kExit) assert_int_equal(is_pending(&f.thing.probe), pending);
    next_event_is_reported(&f);
    leave(&f);
  }
}

static void every_kind_fires_in_the_parent_after(int (*child)(void*)) {
  for_each_kind(kind) in_every_condition(kind, child);
}

static void every_kind_outlives_a_child_that_exits(void** state) {
  (void)state;
  every_kind_fires_in_the_parent_after(exit_only);
}
static void every_kind_outlives_a_child_that_drops_the_source(void** state) {
  (void)state;
  every_kind_fires_in_the_parent_after(drop_source);
}
static void every_kind_outlives_a_child_that_drops_source_and_loop(void** state) {
  (void)state;
  every_kind_fires_in_the_parent_after(drop_source_and_loop);
}
static void every_kind_outlives_a_child_that_drops_loop_and_source(void** state) {
  (void)state;
  every_kind_fires_in_the_parent_after(drop_loop_and_source);
}
static void every_kind_outlives_a_child_that_disables_and_drops_the_source(void** state) {
  (void)state;
  every_kind_fires_in_the_parent_after(disable_and_drop);
}
static void every_kind_outlives_a_child_that_changes_its_limit(void** state) {
  (void)state;
  every_kind_fires_in_the_parent_after(change_limit);
}
static void every_kind_outlives_a_child_that_would_own_nothing_and_drops_all(void** state) {
  (void)state;
  every_kind_fires_in_the_parent_after(release_and_drop);
}
static void every_kind_answers_a_child_with_echild(void** state) {
  (void)state;
  every_kind_fires_in_the_parent_after(try_calls);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      kinds_test(every_kind_outlives_a_child_that_exits),
      kinds_test(every_kind_outlives_a_child_that_drops_the_source),
      kinds_test(every_kind_outlives_a_child_that_drops_source_and_loop),
      kinds_test(every_kind_outlives_a_child_that_drops_loop_and_source),
      kinds_test(every_kind_outlives_a_child_that_disables_and_drops_the_source),
      kinds_test(every_kind_outlives_a_child_that_changes_its_limit),
      kinds_test(every_kind_outlives_a_child_that_would_own_nothing_and_drops_all),
      kinds_test(every_kind_answers_a_child_with_echild),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
