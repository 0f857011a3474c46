// SPDX-License-Identifier: MIT
//
// Loops that run to their end, with exit sources.
//
// Idea: a loop of its own is asked to leave, by a callback or by a timer that has none; its exit sources come then, by
// priority and age, each once, and the code is what sd_event_loop() returns.
//
// Invariant: nothing is left, so it can be called anywhere, callbacks included.
#include "soak/soak.h"

enum { kMostExits = 6 };
struct Ending {
  sd_event* loop;
  int64_t priorities[kMostExits];
  unsigned count, order[kMostExits], seen;
  int code;
  uint64_t* luck;
};
struct Exit {
  struct Ending* ending;
  unsigned number;
};

static int on_exit_source(sd_event_source* s, void* userdata) {
  const struct Exit* e = userdata;
  must_not_stray(NULL);
  if (e->ending->seen >= e->ending->count) fault(NULL, "an exit source came twice");
  if (sd_event_get_state(sd_event_source_get_event(s)) != SD_EVENT_EXITING) fault(NULL, "an exit source came early");
  e->ending->order[e->ending->seen++] = e->number;
  if (one_in(e->ending->luck, 256)) (void)fork_and_return(e->ending->luck);
  return 0;
}

static int on_request(sd_event_source* s, void* userdata) {
  const struct Ending* ending = userdata;
  (void)s;
  return must(sd_event_exit(ending->loop, ending->code));
}

void run_a_loop_to_its_end(uint64_t* luck) {
  struct Ending ending = {.code = (int)below(luck, 100), .luck = luck};
  struct Exit exits[kMostExits];
  if (tried(sd_event_new(&ending.loop)) < 0) return;
  const unsigned wanted = below(luck, kMostExits + 1);
  while (ending.count < wanted) {
    const unsigned n = ending.count;
    sd_event_source* source = NULL;
    exits[n] = (struct Exit){&ending, n};
    ending.priorities[n] = (int64_t)below(luck, 3);
    if (tried(sd_event_add_exit(ending.loop, &source, on_exit_source, &exits[n])) < 0) break;
    ending.count++;
    // Not in `tried`: the order that is expected depends on it.
    must(sd_event_source_set_priority(source, ending.priorities[n]));
    must(sd_event_source_set_floating(source, 1));
    sd_event_source_unref(source);
  }
  const uint64_t soon = below(luck, 300);
  const bool by_timer = one_in(luck, 3);
  if ((by_timer ? tried(sd_event_add_time_relative(ending.loop, NULL, CLOCK_MONOTONIC, soon, 1, NULL,
                                                   (void*)(intptr_t)ending.code))
                : tried(sd_event_add_defer(ending.loop, NULL, on_request, &ending))) >= 0) {
    begin_shortage();
    const int code = came_back(sd_event_loop(ending.loop));
    (void)end_shortage(code, "sd_event_loop");
    if (code != ending.code || sd_event_get_state(ending.loop) != SD_EVENT_FINISHED)
      fault(NULL, "a loop ended with %d instead of %d", code, ending.code);
    if (ending.seen != ending.count) fault(NULL, "%u of %u exit sources came", ending.seen, ending.count);
    for (unsigned i = 1; i < ending.seen; i++) {
      const unsigned a = ending.order[i - 1], b = ending.order[i];
      if (ending.priorities[a] > ending.priorities[b] || (ending.priorities[a] == ending.priorities[b] && a >= b))
        fault(NULL, "exit source %u came before %u", a, b);
    }
  }
  sd_event_unref(ending.loop);
  world.loops++;
}
