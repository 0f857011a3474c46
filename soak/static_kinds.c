// SPDX-License-Identifier: MIT
//
// Sources without a descriptor of ours: defer and post, whose event is to be turned on; and memory pressure.
//
// Idea: a pipe plays the kernel for one kind of pressure source, by $MEMORY_PRESSURE_WATCH, whose value is a buffer
// that stays in the environment, as setenv() would keep every value for ever. The other kind watches the kernel's own
// file, where it may; nobody can tell how often it fires.
//
// Invariant: an exit source is not here, as the homes never exit: side.c.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "soak/soak.h"

static int on_turn(sd_event_source* s, void* userdata) {
  struct Thing* t = enter(s, userdata);
  if (!(t->kind->traits & kEndless)) receive(t, 1);
  return leave(t);
}

static int add_static(struct Thing* t) {
  sd_event* loop = world.homes[t->home];
  const int result = t->kind->detail ? tried(sd_event_add_post(loop, &t->source, on_turn, t))
                                     : tried(sd_event_add_defer(loop, &t->source, on_turn, t));
  if (result >= 0) must(sd_event_source_set_enabled(t->source, SD_EVENT_OFF));
  return result;
}

static void close_nothing(struct Thing* t) { (void)t; }

// ---- pressure -------------------------------------------------------------------------------------------------------

static char watched[64] = "MEMORY_PRESSURE_WATCH=/dev/null";

void begin_static_kinds(void) { (void)putenv(watched); }

static int add_pressure_of(struct Thing* t, const char* path) {
  (void)snprintf(watched, sizeof(watched), "MEMORY_PRESSURE_WATCH=%s", path);
  begin_shortage();
  int result = sd_event_add_memory_pressure(world.homes[t->home], &t->source, on_turn, t);
  const bool refused = t->kind->traits & kEndless && result < 0 && result != -ENOMEM && result != -EMFILE;
  (void)end_shortage(refused ? 0 : result, "sd_event_add_memory_pressure");
  return result;
}

static int add_pressure(struct Thing* t) {
  char path[32];
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return -EMFILE;
  (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[0]);
  const int result = add_pressure_of(t, path);
  close(ends[0]);
  t->fds[1] = ends[1];
  return result;
}

static bool fire_pressure(struct Thing* t) {
  if (is_outstanding(t) || write(t->fds[1], "x", 1) != 1) return false;
  t->sent++;
  return true;
}

static int add_pressure_of_kernel(struct Thing* t) { return add_pressure_of(t, "/proc/pressure/memory"); }
static bool fire_nothing(struct Thing* t) { return (void)t, false; }

const struct Kind static_kinds[] = {
    {"defer", add_static, fire_by_hand, lose_what_is_on_the_way, close_nothing, kByHand | kLimitable, 0},
    {"post", add_static, fire_by_hand, lose_what_is_on_the_way, close_nothing, kByHand | kLast, 1},
    {"pressure", add_pressure, fire_pressure, lose_what_is_pending, close_two, kLimitable, 0},
    {"kernel's pressure", add_pressure_of_kernel, fire_nothing, NULL, close_nothing, kLimitable | kEndless, 0},
};
_Static_assert(lengthof(static_kinds) == kStaticKinds, "");
