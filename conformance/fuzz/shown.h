// SPDX-License-Identifier: MIT
//
// What can be seen of the sources: after each operation and at the begin of each callback, what has changed since the
// last time stands in the trace.
//
// Idea: a program that asks for all of it all the time compares much more than the results of its own operations, and
// says at which of them two libraries part.
//
// Invariant: asking changes nothing, and what is told is what a loop must know by then: flags of pending are told only
// of strict programs, in which it has looked at everything.
#ifndef EVENKEEL_FUZZ_SHOWN_H
#define EVENKEEL_FUZZ_SHOWN_H

#include "slots.h"

// The changes since the last time. Flags of pending are compared only where the loop has looked at everything.
static void show_slot(int i) {
  struct Slot* s = &slots[i];
  char now[sizeof(s->shown)] = "gone";
  s->limited = s->source && sd_event_source_is_ratelimited(s->source) > 0;
  if (s->source) {
    int enabled = 9;
    int64_t priority = 0;
    const int a = sd_event_source_get_enabled(s->source, &enabled);
    sd_event_source_get_priority(s->source, &priority);
    int n = snprintf(now, sizeof(now), "enabled %s/%d priority %lld%s%s%s", error_name(a), enabled, (long long)priority,
                     sd_event_source_get_floating(s->source) > 0 ? " floating" : "",
                     sd_event_source_get_exit_on_failure(s->source) > 0 ? " failure=exit" : "",
                     s->limited ? " limited" : "");
    if (strict()) {
      uint32_t revents = 0;
      n +=
          snprintf(now + n, sizeof(now) - (size_t)n, " pending %s", error_name(sd_event_source_get_pending(s->source)));
      if (s->kind == kIo && !tells_the_first_only(s) && sd_event_source_get_io_revents(s->source, &revents) == 0)
        (void)snprintf(now + n, sizeof(now) - (size_t)n, " revents %x", revents);
    }
  }
  if (strcmp(now, s->shown[0] ? s->shown : "gone") != 0) trace("  [%d] %s\n", i, now);
  strcpy(s->shown, now);
}

static void show(void) {
  for (int i = 0; i < kSlots && !ended; i++) show_slot(i);
}

#endif
