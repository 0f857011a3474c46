// SPDX-License-Identifier: MIT
//
// What a callback may do to sources and to its loop: every callback of every kind of source, and what it does to a
// source of every kind.
//
// The callback is the handler, the prepare, the rate-limit or the destroy callback of the `actor`. The `victim` is a
// source of any kind that is pending meanwhile, worse than the actor or younger. Invariants under test, in each cell:
// 1. A victim that is freed or disabled is not dispatched, and the loop goes to sleep.
// 2. A source that is added works.
// 3. An actor that frees itself is destroyed once, after the callback, and never called again.
// 4. The last reference to the loop may go: the call that drives it returns, and all is destroyed once.
// 5. An exit request ends the loop with its code, and nothing that was pending is dispatched.
// 6. Floating either way changes who holds the source, and nothing else.
// The harness sees descriptors and processes that are left, valgrind and the sanitizers the memory.
#include "every_kind.h"

enum Callback { kHandler, kPrepare, kExpire, kDestroy };
enum { kInterval = 5000 };

struct Stage {
  sd_event* loop;
  struct Thing actor, victim;
  enum Callback callback;
  void (*act)(void);
  int victim_kind;
  bool equal;
  unsigned acted, actors_destroyed, victims_destroyed;
  char shown[80];  // the cell, for messages
};

static struct Stage stage;

#define assert_in_cell(condition)                                          \
  do {                                                                     \
    if (!(condition)) fail_msg("%s: not so: %s", stage.shown, #condition); \
  } while (0)

// ---- callbacks ----------------------------------------------------------------------------------------------------

static void act_once(void) {
  if (stage.acted++ == 0) stage.act();
}
static void act_of_actor(struct Probe* p) {
  (void)p;
  if (!(stage.actor.kind->traits & kSwitched)) settle(&stage.actor);
  if (stage.callback == kHandler) act_once();
}
static int prepare_of_actor(sd_event_source* s, void* userdata) { return (void)s, (void)userdata, act_once(), 0; }
static void count_destroyed(void* userdata) {
  if (userdata == &stage.victim.probe) stage.victims_destroyed++;
  if (userdata != &stage.actor.probe) return;
  stage.actors_destroyed++;
  if (stage.callback == kDestroy) act_once();
}

// ---- the scene ----------------------------------------------------------------------------------------------------

static bool is_possible(enum Callback callback, int kind) {
  if (callback == kPrepare) return kind != kExit;
  return callback != kExpire || kinds[kind].traits & kLimitable;
}

static void watch_destruction(struct Thing* t) {
  assert_result(sd_event_source_set_destroy_callback(t->probe.source, count_destroyed), 0);
}

static void open_stage(enum Callback callback, int actor, void (*act)(void)) {
  static const char* const names[] = {"handler", "prepare", "expire", "destroy"};
  stage = (struct Stage){.loop = make_loop(), .callback = callback, .act = act, .victim_kind = kAllKinds};
  add_thing(&stage.actor, stage.loop, actor, 0);
  stage.actor.probe.act = act_of_actor;
  watch_destruction(&stage.actor);
  snprintf(stage.shown, sizeof(stage.shown), "%s of %s", names[callback], kinds[actor].name);
}

// Exit sources do not become pending: they only wait for the end.
static void add_victim(int kind, bool equal) {
  add_thing(&stage.victim, stage.loop, kind, 1);
  watch_destruction(&stage.victim);
  if (!(kinds[kind].traits & kSwitched)) set_enabled(&stage.victim.probe, SD_EVENT_ONESHOT);
  if (!equal) set_priority(&stage.victim.probe, 1);
  stage.victim_kind = kind;
  stage.equal = equal;
  snprintf(strchr(stage.shown, 0), 32, ", %s victim", kinds[kind].name);
}

static void fire_victim(void) {
  if (stage.victim_kind == kAllKinds || stage.victim_kind == kExit) return;
  fire(&stage.victim);
  gather(stage.loop);
}

static void reach_limit(void) {
  struct Thing* actor = &stage.actor;
  assert_result(sd_event_source_set_ratelimit(actor->probe.source, kInterval, 1), 0);
  assert_result(sd_event_source_set_ratelimit_expire_callback(actor->probe.source, prepare_of_actor), 0);
  while (!sd_event_source_is_ratelimited(actor->probe.source)) {
    fire(actor);
    assert_true(iterate(stage.loop) >= 0);
  }
}

// Until the callback has acted; what is pending then has not been dispatched.
static void play(void) {
  struct Thing* actor = &stage.actor;
  switch (stage.callback) {
    case kHandler:
      if (!is_kind(actor, kExit)) fire(actor);
      if (!is_kind(actor, kExit) && stage.equal) gather(stage.loop);
      fire_victim();
      if (is_kind(actor, kPost)) gather(stage.loop);
      if (is_kind(actor, kExit)) fire(actor);
      assert_result(iterate(stage.loop), 1);
      break;
    case kPrepare:
      fire_victim();
      if (actor->kind->traits & kSwitched) fire(actor);
      assert_result(sd_event_source_set_prepare(actor->probe.source, prepare_of_actor), 0);
      assert_true(iterate(stage.loop) >= 0);
      break;
    case kExpire:
      reach_limit();
      fire_victim();
      if (stage.acted == 0) usleep(kInterval + 100);
      while (stage.acted == 0) assert_true(iterate(stage.loop) >= 0);
      break;
    case kDestroy:
      fire_victim();
      free_probe(&actor->probe);
      break;
  }
  assert_in_cell(stage.acted > 0);
}

static void close_stage(void) {
  end_thing(&stage.actor);
  if (stage.victim_kind != kAllKinds) end_thing(&stage.victim);
  if (stage.loop) sd_event_unref(stage.loop);
  assert_in_cell(stage.actors_destroyed == 1);
  assert_in_cell(stage.victims_destroyed == (stage.victim_kind != kAllKinds));
  journal[0] = 0;
}

static bool is_over(void) { return sd_event_get_state(stage.loop) == SD_EVENT_FINISHED; }

static void finish_stage(void) {
  if (!is_over() && sd_event_get_exit_code(stage.loop, &(int){0}) < 0) assert_result(sd_event_exit(stage.loop, 0), 0);
  while (!is_over()) assert_true(iterate(stage.loop) >= 0);
}

// ---- what is done to another --------------------------------------------------------------------------------------

static void free_victim(void) { free_probe(&stage.victim.probe); }
static void disable_victim(void) { set_enabled(&stage.victim.probe, SD_EVENT_OFF); }
static void disable_and_free_victim(void) {
  stage.victim.probe.source = sd_event_source_disable_unref(stage.victim.probe.source);
}
static void exit_loop(void) { assert_result(sd_event_exit(stage.loop, 42), 0); }

static void victim_is_not_dispatched(enum Callback callback, int actor, int victim, bool equal, void (*act)(void)) {
  open_stage(callback, actor, act);
  add_victim(victim, equal);
  play();
  if (act == free_victim || act == disable_and_free_victim) assert_in_cell(stage.victims_destroyed == 1);
  if (act == disable_victim) assert_in_cell(enabled_of(&stage.victim.probe) == SD_EVENT_OFF);
  if (act != exit_loop && actor != kExit) iterate_until_idle(stage.loop);
  if (act != exit_loop && (actor == kExit || victim == kExit)) finish_stage();
  if (act == exit_loop) {
    int code = 0;
    finish_stage();
    assert_result(sd_event_get_exit_code(stage.loop, &code), 0);
    assert_int_equal(code, 42);
  }
  assert_in_cell(stage.victim.probe.calls == (act == exit_loop && victim == kExit));
  close_stage();
}

static void no_victim_is_dispatched(void** state, void (*act)(void)) {
  const enum Callback callback = (enum Callback)(intptr_t)*state;
  for (int equal = 0; equal < (callback == kHandler ? 2 : 1); equal++) for_each_kind(actor) for_each_kind(victim) {
      if (!is_possible(callback, actor)) continue;
      if (equal && victim == kDefer && as_reference(kAgeOfEquals)) continue;  // is taken for the older
      if (act == disable_victim && kinds[victim].fire == fire_inotify && as_reference(kUnwantedInotify)) continue;
      victim_is_not_dispatched(callback, actor, victim, equal, act);
    }
}

static void what_is_freed_is_not_dispatched(void** state) { no_victim_is_dispatched(state, free_victim); }
static void what_is_disabled_is_not_dispatched(void** state) { no_victim_is_dispatched(state, disable_victim); }
static void what_is_disabled_and_freed_is_not_dispatched(void** state) {
  no_victim_is_dispatched(state, disable_and_free_victim);
}
static void after_an_exit_request_nothing_else_is_dispatched(void** state) {
  no_victim_is_dispatched(state, exit_loop);
}

static int kind_to_add;
static void add_another(void) { add_victim(kind_to_add, false); }

static void what_is_added_works(void** state) {
  const enum Callback callback = (enum Callback)(intptr_t)*state;
  for_each_kind(actor) for_each_kind(victim) {
    if (!is_possible(callback, actor)) continue;
    open_stage(callback, actor, add_another);
    kind_to_add = victim;
    play();
    // A loop that exits lets exit sources run alone.
    const bool runs = actor != kExit || callback == kDestroy || victim == kExit;
    if (runs) fire(&stage.victim);
    if (runs && victim == kPost) gather(stage.loop);
    if (victim == kExit || (actor == kExit && callback == kHandler)) {
      finish_stage();
    } else {
      iterate_until_idle(stage.loop);
    }
    assert_in_cell(stage.victim.probe.calls == runs);
    close_stage();
  }
}

// ---- what is done to itself, and to the loop ----------------------------------------------------------------------

static void free_actor(void) {
  free_probe(&stage.actor.probe);
  stage.victims_destroyed = stage.actors_destroyed;  // seen inside the callback
}

static void a_source_that_frees_itself_goes_after_its_callback(void** state) {
  const enum Callback callback = (enum Callback)(intptr_t)*state;
  for_each_kind(actor) {
    if (!is_possible(callback, actor)) continue;
    open_stage(callback, actor, free_actor);
    play();
    assert_in_cell(stage.victims_destroyed == 0);
    assert_in_cell(stage.actors_destroyed == 1);
    const unsigned calls = stage.actor.probe.calls;
    if (actor != kExit) iterate_until_idle(stage.loop);
    finish_stage();
    assert_in_cell(stage.actor.probe.calls == calls);
    assert_in_cell(stage.acted == 1);
    close_stage();
  }
}

// The loop holds it from now on; the pointer stays good for as long as the loop does.
static void let_float(struct Thing* t) {
  assert_result(sd_event_source_set_floating(t->probe.source, 1), 1);
  assert_result(sd_event_source_set_floating(t->probe.source, 1), 0);
  sd_event_source_unref(t->probe.source);
}

static void drop_loop(void) { stage.loop = sd_event_unref(stage.loop); }

// 252 never frees a loop that holds an inotify source.
static bool leaks(int kind) { return kinds[kind].fire == fire_inotify && as_reference(kFloatingInotify); }

static void the_last_reference_to_the_loop_may_go(void** state) {
  const enum Callback callback = (enum Callback)(intptr_t)*state;
  for_each_kind(actor) for_each_kind(victim) {
    if (!is_possible(callback, actor) || leaks(actor) || leaks(victim)) continue;
    open_stage(callback, actor, drop_loop);
    add_victim(victim, false);
    if (callback != kDestroy) let_float(&stage.actor);
    let_float(&stage.victim);
    play();
    if (callback == kHandler) assert_in_cell(stage.victim.probe.calls == 0);
    stage.actor.probe.source = stage.victim.probe.source = NULL;
    close_stage();
  }
}

static void fire_actor_again(sd_event* loop) {
  struct Thing* actor = &stage.actor;
  if (actor->kind->traits & kHappensOnce) return;
  if (stage.callback == kExpire) assert_result(sd_event_source_set_ratelimit(actor->probe.source, 0, 0), 0);
  iterate_until_idle(loop);
  const unsigned calls = actor->probe.calls;
  fire(actor);
  if (is_kind(actor, kPost)) gather(loop);
  iterate_until_idle(loop);
  assert_in_cell(actor->probe.calls == calls + 1);
}

static void give_actor(void) { let_float(&stage.actor); }

static void a_source_may_be_given_to_its_loop(void** state) {
  const enum Callback callback = (enum Callback)(intptr_t)*state;
  for_each_kind(actor) {
    if (!is_possible(callback, actor) || leaks(actor)) continue;
    open_stage(callback, actor, give_actor);
    play();
    fire_actor_again(stage.loop);
    assert_in_cell(stage.actors_destroyed == 0);
    stage.actor.probe.source = NULL;
    drop_loop();
    close_stage();
  }
}

static void take_actor(void) {
  sd_event_source_ref(stage.actor.probe.source);
  assert_result(sd_event_source_set_floating(stage.actor.probe.source, 0), 1);
  assert_result(sd_event_source_set_floating(stage.actor.probe.source, 0), 0);
}

// The source holds the loop then, as the last one.
static void a_source_may_be_taken_from_its_loop(void** state) {
  const enum Callback callback = (enum Callback)(intptr_t)*state;
  for_each_kind(actor) {
    if (!is_possible(callback, actor)) continue;
    open_stage(callback, actor, take_actor);
    let_float(&stage.actor);
    play();
    sd_event* loop = stage.loop;
    drop_loop();
    assert_in_cell(stage.actors_destroyed == 0);
    fire_actor_again(loop);
    close_stage();
  }
}

#define cells(f, callback, name) kinds_test_of(f, "in_" name, (void*)(intptr_t)(callback))
#define tests_of_others(callback, name)                                                                              \
  cells(what_is_freed_is_not_dispatched, callback, name), cells(what_is_disabled_is_not_dispatched, callback, name), \
      cells(what_is_disabled_and_freed_is_not_dispatched, callback, name),                                           \
      cells(after_an_exit_request_nothing_else_is_dispatched, callback, name),                                       \
      cells(what_is_added_works, callback, name), cells(the_last_reference_to_the_loop_may_go, callback, name)
#define tests_of_itself(callback, name)                                      \
  cells(a_source_that_frees_itself_goes_after_its_callback, callback, name), \
      cells(a_source_may_be_given_to_its_loop, callback, name),              \
      cells(a_source_may_be_taken_from_its_loop, callback, name)

int main(void) {
  const struct CMUnitTest tests[] = {
      tests_of_others(kHandler, "a_handler"),          tests_of_itself(kHandler, "a_handler"),
      tests_of_others(kPrepare, "a_prepare_callback"), tests_of_itself(kPrepare, "a_prepare_callback"),
      tests_of_others(kExpire, "an_expire_callback"),  tests_of_itself(kExpire, "an_expire_callback"),
      tests_of_others(kDestroy, "a_destroy_callback"),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
