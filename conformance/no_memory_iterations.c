// SPDX-License-Identifier: MIT
//
// What a loop does between its sources' making and their end takes no memory; what a program sets meanwhile may, and
// can be tried again.
//
// Idea: every kind of source (every_kind.h), alone, with a prepare callback, a rate limit, a post source, a watchdog
// beside it, is fired and dispatched while each allocation of the process is counted (no_memory.h). There is none. And
// a script of settings and dispatches runs with a shortage at its n-th allocation, for each n: the step that lacked
// memory is made again, and in the end the same has happened, and the same memory is in use.
//
// Invariant: what a test does itself between two counts (kill, write) takes no memory either, so all of it is counted.
#include "every_kind.h"
#include "no_memory.h"

enum Beside { kAlone, kPrepared, kLimited, kPosted, kWatched, kBesides };

static void set_up(struct Thing* t, struct Probe* post, enum Beside beside) {
  sd_event* loop = t->probe.loop;
  switch (beside) {
    case kPrepared:
      assert_result(sd_event_source_set_prepare(t->probe.source, record_prepare), 0);
      break;
    case kLimited:
      set_limit(&t->probe, 300, 1);
      assert_result(sd_event_source_set_ratelimit_expire_callback(t->probe.source, record_prepare), 0);
      break;
    case kPosted:
      probe_post(loop, post);
      set_enabled(post, SD_EVENT_ON);
      break;
    case kWatched:
      // Nobody receives it; that a message is due every millisecond is what counts.
      setenv("NOTIFY_SOCKET", "@evenkeel-nobody-is-there", 1);
      setenv("WATCHDOG_USEC", "4000", 1);
      assert_result(sd_event_set_watchdog(loop, 1), 1);
      break;
    default:
      break;
  }
}

// Like sd_event_run; a loop that has come to its end does nothing.
static int run_on(sd_event* loop) { return sd_event_get_state(loop) == SD_EVENT_FINISHED ? 0 : sd_event_run(loop, 0); }

// The allocations of some iterations: idle ones, those with an event, those in which a limit ends or the watchdog is
// due.
static unsigned long count_in_iterations(struct Thing* t, enum Beside beside) {
  sd_event* loop = t->probe.loop;
  const bool once = (t->kind->traits & kHappensOnce) != 0;
  const unsigned long before = count_allocations();
  for (int round = 0; round < (once ? 1 : 3); round++) {
    assert_true(iterate(loop) >= 0);
    fire(t);
    for (int i = 0; i < 3; i++) assert_true(run_on(loop) >= 0);
    settle(t);
    journal[0] = 0;
    if (beside == kLimited || beside == kWatched) usleep(1100);
  }
  return count_allocations() - before;
}

static int iterations_allocate(void* context) {
  const int kind = ((int*)context)[0];
  const enum Beside beside = (enum Beside)((int*)context)[1];
  sd_event* loop = make_loop();
  struct Thing t, other;
  struct Probe post = {.name = "post", .loop = loop};
  add_thing(&t, loop, kind, 0);
  add_thing(&other, loop, kind == kIo ? kEdge : kIo, 1);  // What a post source follows.
  set_up(&t, &post, beside);
  if (kind == kPost) raise_eventfd(other.fd);
  const unsigned long n = count_in_iterations(&t, beside);
  end_thing(&t);
  end_thing(&other);
  free_probe(&post);
  sd_event_unref(loop);
  return n > 1000 ? 1000 : (int)n;
}

static void nothing_is_allocated_from_prepare_to_dispatch(void** state) {
  (void)state;
  int n_wrong = 0;
  for_each_kind(id) {
    for (int beside = kAlone; beside < kBesides; beside++) {
      if (beside == kLimited && (kinds[id].traits & kLimitable) == 0) continue;
      if (beside == kPrepared && id == kExit) continue;
      int which[] = {id, beside};
      const int n = in_child(iterations_allocate, which);
      if (n < 0 || n >= 1000) fail_msg("%s with %d beside it: %s", kinds[id].name, beside, result_name(n));
      if (n > 0 && !on_reference()) print_error("%s with %d beside it: %d allocations\n", kinds[id].name, beside, n);
      n_wrong += n != 0;
    }
  }
  assert_int_equal(n_wrong > 0, differs(kMemoryOfWait, true, false));
}

// ---- a script -----------------------------------------------------------------------------------------------------

// Each step may lack memory, and is made again then.
#define step(call)                                    \
  do {                                                \
    int step_result = (call);                         \
    if (step_result == -ENOMEM) step_result = (call); \
    if (step_result < 0) return step_result;          \
  } while (0)

static int play(struct Thing* t) {
  sd_event_source* s = t->probe.source;
  const bool limitable = (t->kind->traits & kLimitable) != 0,
             inotify = is_kind(t, kInotifyPath) || is_kind(t, kInotifyFd);
  step(sd_event_source_set_priority(s, -5));
  step(sd_event_source_set_description(s, "first"));
  step(sd_event_source_set_description(s, "second"));
  if (!is_kind(t, kExit)) step(sd_event_source_set_prepare(s, record_prepare));
  step(sd_event_source_set_destroy_callback(s, record_destroy));
  if (limitable) step(sd_event_source_set_ratelimit(s, 1, 100));
  step(sd_event_source_set_ratelimit_expire_callback(s, record_event));
  step(sd_event_run(t->probe.loop, 0));
  fire(t);
  for (int i = 0; i < 3; i++) step(run_on(t->probe.loop));
  settle(t);
  if (is_kind(t, kExit)) return 0;
  if (!inotify) step(sd_event_source_set_priority(s, 7));  // Not possible any more.
  step(sd_event_source_set_enabled(s, SD_EVENT_OFF));
  if ((t->kind->traits & (kSwitched | kHappensOnce)) == 0) step(sd_event_source_set_enabled(s, SD_EVENT_ON));
  step(sd_event_run(t->probe.loop, 0));
  return 0;
}

enum { kPlayed = 0, kShort, kOtherJournal = 100, kOtherBlocks, kOtherError };

static int play_with_a_shortage(int kind, int nth, char* result, long* blocks) {
  sd_event* loop = make_loop();
  struct Thing t;
  journal[0] = 0;
  add_thing(&t, loop, kind, 0);
  if (nth >= 0) fail_allocation(nth);
  const int r = play(&t);
  const bool failed = failed_allocation();
  end_thing(&t);
  sd_event_unref(loop);
  *blocks = count_blocks();
  snprintf(result, sizeof(journal), "%s", journal);
  return r < 0 ? kOtherError : failed ? kShort : kPlayed;
}

static int play_at_each_allocation(void* context) {
  static char rich[sizeof(journal)], poor[sizeof(journal)];
  const int kind = *(int*)context;
  long before = 0, after = 0;
  play_with_a_shortage(kind, -1, rich, &before);
  int r = play_with_a_shortage(kind, -1, rich, &before);
  for (int nth = 0; r != kOtherError; nth++) {
    r = play_with_a_shortage(kind, nth, poor, &after);
    if (strcmp(rich, poor) != 0) return kOtherJournal;
    if (after != before) return kOtherBlocks;
    if (r != kShort) return r;
  }
  return r;
}

static void a_script_with_a_shortage_at_any_allocation_ends_as_without(void** state) {
  (void)state;
  int n_wrong = 0;
  for_each_kind(id) {
    int kind = id;
    const int r = in_child(play_at_each_allocation, &kind);
    if (r == kPlayed) continue;
    n_wrong++;
    if (!on_reference()) print_error("%s: %s\n", kinds[id].name, result_name(r));
  }
  // An iteration that fails has called the prepare callbacks, and the next one calls them again.
  assert_int_equal(n_wrong > 0, differs(kMemoryOfWait, true, false));
}

int main(void) {
  exit_77_with_another_allocator();
  const struct CMUnitTest tests[] = {
      kinds_test(nothing_is_allocated_from_prepare_to_dispatch),
      kinds_test(a_script_with_a_shortage_at_any_allocation_ends_as_without),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
