// SPDX-License-Identifier: MIT
//
// Values at the edges of their types: times, accuracies, priorities, limits, time-outs, exit codes.
//
// Idea: each loop gets a few timers whose times are near 0 or near the end of time, on every clock, with accuracies and
// priorities of the same sort. Those that have passed fire once, with the time that was set; the others never do, and
// the loop sleeps: its descriptor is not readable, and an iteration finds nothing. Then times change, from the one edge
// to the other and back.
//
// Invariant: what was set is what is told of it. Nothing here waits for anything.
#include <limits.h>
#include <poll.h>
#include <time.h>

#include "soak/soak.h"

enum { kTimers = 6, kMostTurns = 200 };
static const int kClocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME};
static const uint64_t kPassed[] = {0, 1, 2, 999, 1000};
// What is further away than any clock goes. Of the last ones one could be taken for a mark of the library's own.
static const uint64_t kFar[] = {INT64_MAX / 1000u, INT64_MAX - 1u,      INT64_MAX,         1ull << 63,
                                UINT64_MAX / 1000, UINT64_MAX - 250001, UINT64_MAX - 1001, UINT64_MAX - 3,
                                UINT64_MAX - 2,    UINT64_MAX - 1,      UINT64_MAX};
static const uint64_t kAccuracies[] = {0, 1, 2, 250000, INT64_MAX, UINT64_MAX - 1};
static const int64_t kEdges[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX - 1, INT64_MAX};
#define any_of(array, luck) ((array)[below((luck), lengthof(array))])

struct Timer {
  sd_event_source* source;
  uint64_t time;
  bool passed;
  unsigned expected, fired;
};

static int on_edge(sd_event_source* s, uint64_t usec, void* userdata) {
  struct Timer* t = userdata;
  must_not_stray(NULL);
  if (s != t->source || usec != t->time || !t->passed)
    fault(NULL, "a timer for %llu fired for %llu", (unsigned long long)t->time, (unsigned long long)usec);
  if (t->fired++ == t->expected) fault(NULL, "a timer for %llu fired twice", (unsigned long long)usec);
  return 0;
}

static void set_one(sd_event* loop, struct Timer* t, uint64_t* luck) {
  uint64_t time = 0, accuracy = any_of(kAccuracies, luck);
  int64_t priority = any_of(kEdges, luck), told = 0;
  t->passed = one_in(luck, 2);
  t->time = t->passed ? any_of(kPassed, luck) : any_of(kFar, luck);
  t->expected = t->fired + t->passed;
  if (!t->source) {
    must(sd_event_add_time(loop, &t->source, any_of(kClocks, luck), t->time, accuracy, on_edge, t));
  } else {
    must(sd_event_source_set_time(t->source, t->time));
    must(sd_event_source_set_time_accuracy(t->source, accuracy));
    must(sd_event_source_set_enabled(t->source, SD_EVENT_ONESHOT));
  }
  must(sd_event_source_set_priority(t->source, priority));
  must(sd_event_source_get_priority(t->source, &told));
  must(sd_event_source_get_time(t->source, &time));
  if (told != priority || time != t->time) fault(NULL, "a timer's time or priority was changed");
  // Far beyond what anybody reaches, and so without effect.
  if (one_in(luck, 3)) must(sd_event_source_set_ratelimit(t->source, any_of(kFar, luck), UINT_MAX - below(luck, 2)));
}

static void check_sleep(sd_event* loop) {
  const int before = sd_event_prepare(loop);
  struct pollfd p = {.fd = sd_event_get_fd(loop), .events = POLLIN};
  if (before != 0 || poll(&p, 1, 0) != 0 || sd_event_wait(loop, 0) != 0)
    fault(NULL, "a loop does not sleep, which has timers at the end of time only");
}

static int on_leave(sd_event_source* s, void* userdata) {
  return must(sd_event_exit(sd_event_source_get_event(s), *(const int*)userdata));
}

void go_to_the_edges(uint64_t* luck) {
  static const int codes[] = {INT_MIN, -1, 0, 1, INT_MAX};
  static const uint64_t time_outs[] = {0, 1, 2, INT64_MAX, UINT64_MAX - 2, UINT64_MAX - 1, UINT64_MAX};
  struct Timer timers[kTimers] = {0};
  int code = any_of(codes, luck);
  sd_event* loop = NULL;
  must(sd_event_new(&loop));
  world.loops++;
  for (unsigned round = 0; round < 4; round++) {
    for (int i = 0; i < kTimers; i++)
      if (!timers[i].source || one_in(luck, 2)) set_one(loop, &timers[i], luck);
    for (unsigned missing = 1, turns = 0; missing > 0; turns++) {
      missing = 0;
      for (int i = 0; i < kTimers; i++) missing += timers[i].expected - timers[i].fired;
      // Their accuracy may let the loop sleep much longer.
      if (missing > 0) must(sd_event_run(loop, below(luck, 3)));
      if (turns == kMostTurns) fault(NULL, "timers that have passed do not fire");
    }
    check_sleep(loop);
  }
  must(sd_event_add_defer(loop, NULL, on_leave, &code));
  if (one_in(luck, 2)) must(sd_event_run(loop, any_of(time_outs, luck)));
  if (sd_event_loop(loop) != code) fault(NULL, "a loop did not return the exit code %d", code);
  for (int i = 0; i < kTimers; i++) sd_event_source_unref(timers[i].source);
  sd_event_unref(loop);
}
