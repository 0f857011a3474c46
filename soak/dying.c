// SPDX-License-Identifier: MIT
//
// Loops that end, and destroy callbacks that use them.
//
// Idea: the sources of a loop float, so that they go with it; of some we have a reference still. Each has a destroy
// callback, which tries something with the loop that it goes with (add, run, ask to exit, refer to it, have it as the
// default loop), gives back the references on other sources, or does something aside. Half of the loops are the default
// loop of the thread.
//
// Invariants: the loop refuses all of it, is nobody's default loop, and each destroy callback comes once: by the end of
// the loop, or later, when the last reference goes.
#include "soak/soak.h"

enum { kMost = 6 };
struct Dying {
  sd_event* loop;
  struct Child {
    struct Dying* dying;
    sd_event_source* kept;
    unsigned destroyed;
  } children[kMost];
  uint64_t* luck;
};

static int on_nothing(sd_event_source* s, void* userdata) {
  (void)s, (void)userdata;
  fault(NULL, "a source of a loop that ends was called");
}

static void refuse(int result, const char* what) {
  if (result != -ESTALE) fault(NULL, "a loop that is being freed can %s: %d", what, result);
}

static void ask_for_the_default(const struct Dying* d) {
  sd_event* mine = NULL;
  if (sd_event_default(NULL) != 0) fault(NULL, "a loop that is being freed is a default loop");
  must(sd_event_default(&mine));
  if (mine == d->loop) fault(NULL, "a loop that is being freed became a default loop");
  must(sd_event_run(mine, 0));
  sd_event_unref(mine);
}

static void on_destroyed(void* userdata) {
  struct Child* c = userdata;
  struct Dying* d = c->dying;
  sd_event_source* source = NULL;
  if (c->destroyed++ > 0) fault(NULL, "a source was destroyed twice");
  if (!d->loop) return;  // Gone before; this is the end of a reference.
  switch (below(d->luck, 7)) {
    case 0:
      refuse(sd_event_add_defer(d->loop, &source, on_nothing, NULL), "be added to");
      break;
    case 1:
      refuse(sd_event_run(d->loop, 0), "be run");
      break;
    case 2:
      refuse(sd_event_exit(d->loop, 1), "be asked to exit");
      break;
    case 3:
      if (sd_event_ref(d->loop)) fault(NULL, "a loop that is being freed gives a reference");
      sd_event_unref(d->loop);  // As who has not looked at the result.
      break;
    case 4:
      ask_for_the_default(d);
      break;
    case 5: {
      struct Child* other = &d->children[below(d->luck, kMost)];
      source = other->kept;
      other->kept = NULL;
      sd_event_source_unref(source);
      break;
    }
    case 6:
      do_something_aside(d->luck);
      break;
  }
}

static void add_child(struct Child* c) {
  sd_event_source* source = NULL;
  must(one_in(c->dying->luck, 2) ? sd_event_add_defer(c->dying->loop, &source, on_nothing, c)
                                 : sd_event_add_time(c->dying->loop, &source, CLOCK_MONOTONIC, UINT64_MAX, 1, NULL, c));
  must(sd_event_source_set_destroy_callback(source, on_destroyed));
  must(sd_event_source_set_floating(source, 1));
  if (one_in(c->dying->luck, 3))
    c->kept = source;
  else
    sd_event_source_unref(source);
}

void end_a_loop(uint64_t* luck) {
  struct Dying d = {.luck = luck};
  // Within itself it would meet its own default loop.
  must(sd_event_default(NULL) == 0 && one_in(luck, 2) ? sd_event_default(&d.loop) : sd_event_new(&d.loop));
  world.loops++;
  for (int i = 0; i < kMost; i++) {
    d.children[i].dying = &d;
    add_child(&d.children[i]);
  }
  sd_event_unref(d.loop);
  d.loop = NULL;
  for (int i = 0; i < kMost; i++) {
    if (d.children[i].kept) refuse(sd_event_source_set_enabled(d.children[i].kept, SD_EVENT_ON), "turn a source on");
    sd_event_source_unref(d.children[i].kept);
    if (d.children[i].destroyed != 1) fault(NULL, "a source was destroyed %u times", d.children[i].destroyed);
  }
}
