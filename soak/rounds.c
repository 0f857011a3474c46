// SPDX-License-Identifier: MIT
//
// A round: homes, some hundred operations, the settling, and that nothing is left.
//
// Idea: half of the rounds use the old loop, which is as old as the process; the others only loops of their own, so
// that the blocks of memory and the descriptors before and after must be as many. An iteration is made in one of three
// ways: by run, by the three steps, and by somebody else who sleeps on the loop's descriptor.
//
// Invariants: an iteration never fails but in a forked process, which ends there, whatever is short. Settling ends when
// no thing misses an event; if nothing at all comes for a minute they are lost. After it, what comes is too much.
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "soak/soak.h"

void iterate(int home, uint64_t* luck, uint64_t timeout) {
  sd_event* loop = world.homes[home];
  const unsigned way = below(luck, 3);
  int result;
  if (!loop) return;
  begin_shortage();
  if (way == 0) {
    result = came_back(sd_event_run(loop, timeout));
  } else {
    result = came_back(sd_event_prepare(loop));
    if (result == 0 && way == 1) result = came_back(sd_event_wait(loop, timeout));
    if (result == 0 && way == 2) {
      struct pollfd p = {.fd = sd_event_get_fd(loop), .events = POLLIN};
      (void)poll(&p, 1, (int)(timeout / 1000));
      result = came_back(sd_event_wait(loop, 0));
    }
    if (result > 0) result = came_back(sd_event_dispatch(loop));
  }
  if (result < 0) fault(NULL, "an iteration failed: %s", strerror(-result));
  (void)end_shortage(0, "");
}

void try_to_run(int home) {
  sd_event* loop = world.homes[home];
  if (!loop) return;
  // What is about to go with its loop is said to be gone already: dying.c is for that.
  if (home == world.dropped) return;
  const int result = came_back(sd_event_run(loop, 0));
  if (result < 0 && result != -EBUSY) fault(NULL, "an iteration within a callback: %s", strerror(-result));
}

// ---- homes ----------------------------------------------------------------------------------------------------------

static void make_home(int home) {
  if (tried(sd_event_new(&world.homes[home])) < 0) world.homes[home] = NULL;
  world.loops += world.homes[home] != NULL;
}

static void free_things_of(int home) {
  const bool before = world.dropping;
  world.dropping = true;
  const unsigned first = below(&world.luck, kMostThings);
  for (unsigned i = 0; i < kMostThings; i++) {
    struct Thing* t = &world.things[(first + i) % kMostThings];
    if (t->used && !t->gone && t->home == home) free_thing(t);
  }
  world.dropping = before;
}

// Floating sources may go with their loop.
static void drop_home(int home) {
  struct Thing* floating[kMostThings];
  unsigned n = 0;
  if (!world.homes[home]) return;
  world.dropping = true;
  world.dropped = home;
  for (struct Thing* t = world.things; t < world.things + kMostThings; t++)
    if (t->used && !t->gone && t->home == home && t->floating && one_in(&t->luck, 2)) {
      floating[n++] = t;
      t->gone = true;
    }
  if (one_in(&world.luck, 2)) {  // Things keep their loop.
    world.homes[home] = sd_event_unref(world.homes[home]);
    for (unsigned i = 0; i < kMostThings; i++) {
      struct Thing* t = &world.things[i];
      // The last source that isn't floating takes the loop with it, and all that is floating.
      if (t->used && !t->gone && t->home == home && t->floating) {
        floating[n++] = t;
        t->gone = true;
      }
    }
    free_things_of(home);
  } else {
    free_things_of(home);
    world.homes[home] = sd_event_unref(world.homes[home]);
  }
  while (n-- > 0) {
    floating[n]->kind->close(floating[n]);
    floating[n]->used = false;
  }
  world.dropping = false;
  world.dropped = -1;
}

// ---- operations -----------------------------------------------------------------------------------------------------

static const struct Kind* any_kind(void) {
  uint64_t* luck = &world.luck;
  switch (below(luck, 8)) {
    case 0:
    case 1:
      return &io_kinds[below(luck, kIoKinds)];
    case 2:
      return &static_kinds[below(luck, kStaticKinds)];
    case 3:
      return &time_kinds[below(luck, kTimeKinds)];
    case 4:
    case 5:
      return &signal_kinds[below(luck, kSignalKinds)];
    case 6:
      return one_in(luck, 3) ? &child_kinds[below(luck, kChildKinds)] : &time_kinds[below(luck, kTimeKinds)];
    default:
      return &inotify_kinds[below(luck, kInotifyKinds)];
  }
}

static void operate_on_a_thing(unsigned what) {
  struct Thing* t = any_thing(&world.luck);
  if (!t) return;
  if (what < 16)
    send_event(t);
  else if (what < 20)
    turn_on(t);
  else if (what < 23)
    turn(t, SD_EVENT_OFF);
  else if (what < 24)
    free_thing(t);
  else
    change_something(t, &world.luck);
}

// Nothing is turned off but by us, and by a kernel that refuses what a pressure source asks for.
static void check_enabled(void) {
  for (struct Thing* t = world.things; t < world.things + kMostThings; t++) {
    int enabled = SD_EVENT_OFF;
    if (!t->used || t->gone) continue;
    must(sd_event_source_get_enabled(t->source, &enabled));
    if (t->kind->traits & kEndless) t->state = enabled;
    if (enabled != t->state) fault(t, "is %d between iterations", enabled);
  }
}

static void operate(void) {
  uint64_t* luck = &world.luck;
  const unsigned what = below(luck, 64);
  const int home = any_home(luck);
  world.operations++;
  if (what < 34) {
    for (unsigned n = what < 16 ? 4 : 1; n > 0; n--) operate_on_a_thing(what);
  } else if (what < 45) {
    (void)add_thing(any_kind(), home);
  } else if (what < 60) {
    for (unsigned n = 1 + below(luck, 8); n > 0; n--) iterate(home, luck, below(luck, 4) * 100);
    check_enabled();
  } else if (what == 60) {
    if (one_in(luck, 4)) fork_and_meddle(luck);
  } else if (what == 61) {
    do_something_aside(luck);
    if (one_in(luck, 8)) do_something_with_threads(luck);
  } else if (what == 62 && home != kOld && one_in(luck, 4)) {
    drop_home(home);
    make_home(home);
  } else if (what == 63) {
    begin_few_descriptors();
  }
  if (one_in(luck, 16)) end_few_descriptors();
}

// ---- the end of a round ---------------------------------------------------------------------------------------------

// Post sources need something that they can follow.
static bool ticking[kHomes];

static int on_tick(sd_event_source* s, void* userdata) {
  *(bool*)userdata = false;
  sd_event_source_ref(s);
  must(sd_event_source_set_floating(s, 0));
  sd_event_source_disable_unref(s);
  return 0;
}

static void tick(int home) {
  if (ticking[home]) return;
  must(sd_event_add_defer(world.homes[home], NULL, on_tick, &ticking[home]));
  ticking[home] = true;
}

static bool anything_missing(void) {
  for (struct Thing* t = world.things; t < world.things + kMostThings; t++)
    if (is_outstanding(t)) return true;
  return false;
}

static bool anything_ticking(void) {
  for (int i = 0; i < kHomes; i++)
    if (ticking[i]) return true;
  return false;
}

static void hurry(struct Thing* t) {
  if (t->kind->traits & kTimed) must(sd_event_source_set_time_accuracy(t->source, 1));
  turn_on(t);
}

// They have duplicates of all descriptors: a hang-up, or the end of a directory, waits for theirs.
static void end_children(void) {
  for (struct Thing* t = world.things; t < world.things + kMostThings; t++)
    if (t->used && !t->gone && t->kind->add == child_kinds[0].add) send_event(t);
}

static void settle(void) {
  world.settling = true;
  end_few_descriptors();
  for (struct Thing* t = world.things; t < world.things + kMostThings; t++) {
    if (!t->used || t->gone) continue;
    hurry(t);
  }
  end_children();
  uint64_t last = world.dispatched, since = clock_usec(CLOCK_MONOTONIC);
  for (bool missing; (missing = anything_missing()) || anything_ticking();) {
    for (int i = 0; i < kHomes; i++) {
      if (!world.homes[i]) continue;
      if (missing) tick(i);
      for (int n = 0; n < 8; n++) iterate(i, &world.luck, n == 7 ? 300 : 0);
    }
    end_children();
    if (world.dispatched != last) {
      last = world.dispatched;
      since = clock_usec(CLOCK_MONOTONIC);
    }
    if (clock_usec(CLOCK_MONOTONIC) - since > 60u * 1000000u)
      for (struct Thing* t = world.things; t < world.things + kMostThings; t++)
        if (is_outstanding(t)) fault(t, "events are lost");
  }
  for (int i = 0; i < kHomes; i++)
    for (int n = 0; n < 3; n++) iterate(i, &world.luck, 0);
  world.settling = false;
}

void run_round(void) {
  world.luck = world.seed * 0x2545f4914f6cdd1du + world.round * 0x9e3779b9u;
  world.shortage_luck = world.luck ^ 1;
  world.dropped = -1;
  world.destroy_luck = world.luck ^ 2;
  world.next_id = 0;  // A round is the same whichever came before.
  world.with_old = one_in(&world.luck, 2);
  const struct Count before = count_all();
  world.settling = true;
  for (int i = 1; i < kHomes; i++) make_home(i);
  world.settling = false;
  for (unsigned n = 40 + below(&world.luck, 300); n > 0; n--) operate();
  settle();
  for (int i = 1; i < kHomes; i++) drop_home(i);
  free_things_of(kOld);
  if (world.with_old) iterate(kOld, &world.luck, 0);
  if (world.added != world.destroyed)
    fault(NULL, "%llu sources were added, %llu destroyed", (unsigned long long)world.added,
          (unsigned long long)world.destroyed);
  const struct Count after = count_all();
  compare_counts(&before, &after, world.with_old ? NULL : "a round without the old loop");
  world.round++;
  world.rounds++;
}

// What is made when it is first needed, by the library and by the C library.
void warm_up(void) {
  uint64_t luck = world.seed;
  make_home(kOld);
  // Tables that double get as large as they ever will be.
  world.settling = true;
  while (add_thing(&io_kinds[0], kOld)) continue;
  world.settling = false;
  free_things_of(kOld);
  for (int i = 0; i < kTimeKinds; i++) {
    struct Thing* t = add_thing(&time_kinds[i], kOld);
    if (t) send_event(t);
  }
  for (int i = 0; i < 50; i++) iterate(kOld, &luck, 200);
  free_things_of(kOld);
  for (int i = 0; i < 20; i++) run_threads(&luck, 4);
  for (int i = 0; i < 3; i++) do_everything_aside(&luck);
  fork_and_meddle(&luck);
}
