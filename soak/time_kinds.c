// SPDX-License-Identifier: MIT
//
// Timers, on every clock.
//
// Idea: a timer is armed for a moment that is near, or has passed, and must fire once for it: not before, and with the
// time that was set. A new time while it is armed replaces the old one. One that stays ON gets "never" in its callback.
//
// Invariants: `armed` from when a time was set until the callback. The clocks that may be set are not compared with.
#include <time.h>

#include "soak/soak.h"

uint64_t clock_usec(int clock) {
  struct timespec now;
  (void)clock_gettime(clock, &now);
  return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int on_time(sd_event_source* s, uint64_t usec, void* userdata) {
  struct Thing* t = enter(s, userdata);
  if (!t->armed) fault(t, "fired without a time");
  if (usec != t->due) fault(t, "fired for %llu instead of %llu", (unsigned long long)usec, (unsigned long long)t->due);
  const bool may_be_set = t->kind->detail == CLOCK_REALTIME || t->kind->detail == CLOCK_REALTIME_ALARM;
  if (!may_be_set && clock_usec(t->kind->detail) < usec) fault(t, "fired too soon");
  t->armed = false;
  must(sd_event_source_set_time(s, UINT64_MAX));
  receive(t, 1);
  return leave(t);
}

static int add_time(struct Thing* t) {
  static const uint64_t accuracies[] = {1, 1, 1000, 0};
  begin_shortage();
  const int result = sd_event_add_time(world.homes[t->home], &t->source, t->kind->detail, UINT64_MAX,
                                       accuracies[below(&t->luck, lengthof(accuracies))], on_time, t);
  // Who may not wake a machine up can't have the clocks for it.
  (void)end_shortage(result == -EPERM || result == -EOPNOTSUPP ? 0 : result, "sd_event_add_time");
  return result;
}

static bool fire_time(struct Thing* t) {
  const uint64_t soon = one_in(&t->luck, 4) ? 0 : below(&t->luck, 3000);
  int result;
  if (one_in(&t->luck, 3))
    result = tried(sd_event_source_set_time_relative(t->source, soon));
  else
    result = tried(sd_event_source_set_time(t->source, clock_usec(t->kind->detail) + soon - 500));
  if (result < 0) return false;
  must(sd_event_source_get_time(t->source, &t->due));
  t->sent += !t->armed;
  t->armed = true;
  if (t->state == SD_EVENT_OFF && one_in(&t->luck, 2)) turn(t, SD_EVENT_ONESHOT);
  return true;
}

static void close_nothing(struct Thing* t) { (void)t; }

#define KIND(name, clock) \
  { name, add_time, fire_time, NULL, close_nothing, kLimitable | kTimed, clock }
const struct Kind time_kinds[] = {
    KIND("monotonic", CLOCK_MONOTONIC),
    KIND("realtime", CLOCK_REALTIME),
    KIND("boottime", CLOCK_BOOTTIME),
    KIND("realtime alarm", CLOCK_REALTIME_ALARM),
    KIND("boottime alarm", CLOCK_BOOTTIME_ALARM),
};
_Static_assert(lengthof(time_kinds) == kTimeKinds, "");
