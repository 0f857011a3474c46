// SPDX-License-Identifier: MIT
//
// What all things have in common: how they come and go, are turned off and on, and what their callbacks check.
//
// Idea: each thing knows what the library has to say of its source, and compares. A callback asks whether it may be
// called at all (the source is there, not OFF, and no pending source of its loop has a better priority), takes what has
// come, and then does something to itself or to another thing, at random.
//
// Invariants:
//  1. `state` is what sd_event_source_get_enabled() says. A call that fails changes nothing.
//  2. A slot is free again (`used`) when its source is given back and none of its callbacks runs.
//  3. `added - destroyed` is the number of sources: each destroy callback comes once.
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "soak/soak.h"

static const int64_t kPriorities[] = {INT64_MIN, -100, 0, 0, 0, 1, 7, INT64_MAX};

// Anything may be done in here, while a source of any loop goes, and while the loop goes, too. That the slot of its
// thing may be another thing's by now is why there is a stream of luck for all of them.
static void on_destroy(void* userdata) {
  uint64_t* luck = &world.destroy_luck;
  (void)userdata;
  world.destroyed++;
  (void)end_shortage(0, "");
  if (world.stray || world.in_destroy || !one_in(luck, 16)) return;
  world.in_destroy = true;
  struct Thing* other = any_thing(luck);
  switch (below(luck, 7)) {
    case 0:
      try_to_run(any_home(luck));
      break;
    case 1:
      if (other) free_thing(other);
      break;
    case 2:
      if (other && !world.settling) turn(other, SD_EVENT_OFF);
      break;
    case 3:
      if (other) turn_on(other);
      break;
    case 4:
      if (other && !world.settling && !world.dropping) send_event(other);
      break;
    case 5:
      if (!world.settling && !world.dropping) (void)add_thing(&io_kinds[below(luck, kIoKinds)], any_home(luck));
      break;
    case 6:
      do_something_aside(luck);
      break;
  }
  world.in_destroy = false;
}

static int on_prepare(sd_event_source* s, void* userdata) {
  struct Thing* t = userdata;
  uint64_t iteration = 0;
  world.prepared++;
  (void)end_shortage(0, "");
  must_not_stray(t);
  if (t->gone || t->source != s) fault(t, "prepared after it was freed");
  if (t->state == SD_EVENT_OFF) fault(t, "prepared while it is OFF");
  must(sd_event_get_iteration(sd_event_source_get_event(s), &iteration));
  if (iteration == t->prepared_in) fault(t, "prepared twice in an iteration");
  t->prepared_in = iteration;
  if (one_in(&t->luck, 64)) free_thing(t);
  if (one_in(&t->luck, 512)) (void)fork_and_return(&t->luck);
  return 0;
}

// The state that the end of a limit sees lets it do that; the same source may be dispatched in here.
static void wait_and_dispatch(sd_event* loop) {
  int result = sd_event_wait(loop, 0);
  if (result > 0) result = sd_event_dispatch(loop);
  if (result < 0 && !(world.stray && result == -ECHILD))
    fault(NULL, "an iteration within the end of a limit: %d", result);
}

static int on_expire(sd_event_source* s, void* userdata) {
  struct Thing* t = userdata;
  world.expired++;
  (void)end_shortage(0, "");
  must_not_stray(t);
  if (t->gone || t->source != s) fault(t, "its rate limit ended after it was freed");
  if (sd_event_source_is_ratelimited(s) != 0) fault(t, "its rate limit ended, and it is limited");
  if (one_in(&t->luck, 32)) free_thing(t);
  if (!t->gone && one_in(&t->luck, 4)) {
    t->depth++;
    t->expiring = true;
    wait_and_dispatch(sd_event_source_get_event(s));
    if (!world.stray && one_in(&t->luck, 4)) free_thing(t);
    t->expiring = false;
    t->depth--;
    if (t->gone) t->used = t->depth > 0;
  }
  if (!world.stray && one_in(&t->luck, 64)) (void)fork_and_return(&t->luck);
  return 0;
}

static void change_priority(struct Thing* t, uint64_t* luck) {
  const bool inotify = t->kind->before_off == lose_what_is_on_the_way && !(t->kind->traits & kByHand);
  begin_shortage();
  const int result = sd_event_source_set_priority(t->source, kPriorities[below(luck, 8)]);
  (void)end_shortage(inotify && result == -EOPNOTSUPP ? 0 : result, "sd_event_source_set_priority");
  // Each priority has a queue of inotify; what is in the old one stays behind.
  if (inotify && result >= 0) lose_what_is_on_the_way(t);
}

struct Thing* add_thing(const struct Kind* kind, int home) {
  struct Thing* t = NULL;
  for (size_t i = 0; i < kMostThings && !t; i++)
    if (!world.things[i].used) t = &world.things[i];
  if (!t || !world.homes[home]) return NULL;
  *t = (struct Thing){.kind = kind, .home = home, .id = ++world.next_id, .used = true, .fds = {-1, -1}};
  t->luck = world.seed * 31 + world.round * 1000003 + t->id;
  if (kind->add(t) < 0) {
    if (t->source) fault(t, "a call that failed returned a source");
    kind->close(t);
    t->used = false;
    return NULL;
  }
  must(sd_event_source_get_enabled(t->source, &t->state));
  must(sd_event_source_set_destroy_callback(t->source, on_destroy));
  world.added++;
  if (one_in(&t->luck, 2)) change_priority(t, &t->luck);
  return t;
}

struct Thing* any_thing(uint64_t* luck) {
  struct Thing* t = &world.things[below(luck, kMostThings)];
  for (size_t i = 0; i < kMostThings; i++, t++) {
    if (t == &world.things[kMostThings]) t = world.things;
    if (t->used && !t->gone) return t;
  }
  return NULL;
}

void free_thing(struct Thing* t) {
  if (t->gone) return;
  t->gone = true;
  if (t->floating) {
    sd_event_source_ref(t->source);
    must(sd_event_source_set_floating(t->source, 0));
  }
  // Or its descriptor first, whose number is another source's at once.
  const bool closed = t->kind->traits & kDescriptor && !t->owned && one_in(&t->luck, 4);
  if (closed) t->kind->close(t);
  if (closed && !world.settling && !world.dropping) (void)add_thing(&io_kinds[0], t->home);
  if (one_in(&t->luck, 2))
    sd_event_source_unref(t->source);
  else
    sd_event_source_disable_unref(t->source);
  if (!closed) t->kind->close(t);
  t->used = t->depth > 0;
}

void turn(struct Thing* t, int state) {
  if (state == SD_EVENT_OFF && t->state != SD_EVENT_OFF && t->kind->before_off) {
    const uint64_t before = t->may_be_lost;
    t->kind->before_off(t);
    if (tried(sd_event_source_set_enabled(t->source, state)) < 0) t->may_be_lost = before;
  } else if (tried(sd_event_source_set_enabled(t->source, state)) < 0) {
    return;
  }
  t->state = state;
}

// As it has to be for its events to come.
void turn_on(struct Thing* t) {
  if (t->done) return;
  if (!(t->kind->traits & kByHand))
    turn(t, t->armed || (!world.settling && one_in(&t->luck, 3)) ? SD_EVENT_ONESHOT : SD_EVENT_ON);
  else if (is_outstanding(t))
    turn(t, SD_EVENT_ONESHOT);
}

void send_event(struct Thing* t) {
  if (!t->done) (void)t->kind->fire(t);
}

bool fire_by_hand(struct Thing* t) {
  if (is_outstanding(t)) return false;
  turn(t, SD_EVENT_ONESHOT);
  if (t->state != SD_EVENT_OFF) t->sent++;
  return true;
}

// By its header a source that goes OFF may lose the one event that was taken from the kernel for it: it is pending, or
// held back by its rate limit.
void lose_what_is_pending(struct Thing* t) {
  if (!is_outstanding(t)) return;
  if (must(sd_event_source_get_pending(t->source)) > 0 || sd_event_source_is_ratelimited(t->source) > 0)
    t->may_be_lost++;
}

void lose_what_is_on_the_way(struct Thing* t) { t->may_be_lost = t->sent - t->received; }

// ---- callbacks ------------------------------------------------------------------------------------------------------

static void check_order(const struct Thing* t) {
  int64_t mine, other;
  must(sd_event_source_get_priority(t->source, &mine));
  for (struct Thing* u = world.things; u < world.things + kMostThings; u++) {
    if (!u->used || u->gone || u == t || u->home != t->home || u->state == SD_EVENT_OFF || u->kind->traits & kLast)
      continue;
    must(sd_event_source_get_priority(u->source, &other));
    if (other < mine && sd_event_source_is_ratelimited(u->source) == 0 && sd_event_source_get_pending(u->source) > 0)
      fault(t, "dispatched before a pending source of better priority (%s %u)", u->kind->name, u->id);
  }
}

struct Thing* enter(sd_event_source* s, void* userdata) {
  struct Thing* t = userdata;
  int enabled = 0;
  world.dispatched++;
  (void)end_shortage(0, "");  // It was for the iteration.
  must_not_stray(t);
  if (t->gone || t->source != s) fault(t, "called after it was freed");
  if (t->state == SD_EVENT_OFF) fault(t, "called while it is OFF");
  if (t->state == SD_EVENT_ONESHOT) t->state = SD_EVENT_OFF;
  must(sd_event_source_get_enabled(s, &enabled));
  if (enabled != t->state) fault(t, "is %d in its callback", enabled);
  if (!(t->kind->traits & kLast)) check_order(t);
  t->depth++;
  return t;
}

void receive(struct Thing* t, uint64_t events) {
  t->received += events;
  if (t->received > t->sent) fault(t, "got more than was sent");
}

int leave(struct Thing* t) {
  int result = 0;
  if (!t->gone && t->state == SD_EVENT_OFF && t->kind->before_off) t->kind->before_off(t);  // It was ONESHOT.
  if (t->expiring && one_in(&t->luck, 4)) free_thing(t);
  if (!world.settling) {
    struct Thing* other = any_thing(&t->luck);
    switch (below(&t->luck, 48)) {
      case 0:
        free_thing(t);
        break;
      case 1:
        if (other) free_thing(other);
        break;
      case 2:
        if (other) turn(other, SD_EVENT_OFF);
        break;
      case 3:
        if (other) turn_on(other);
        break;
      case 4:
      case 5:
        if (other) send_event(other);
        break;
      case 6:
        if (other) change_something(other, &t->luck);
        break;
      case 7:
        if (!t->gone) change_something(t, &t->luck);
        break;
      case 8:
        result = -EIO;
        break;
      case 9:
        if (one_in(&t->luck, 4)) do_something_aside(&t->luck);
        break;
      case 10:
        if (!one_in(&t->luck, 16)) break;
        if (one_in(&t->luck, 4))
          fork_and_meddle(&t->luck);
        else if (fork_and_return(&t->luck))
          return one_in(&t->luck, 2) ? 0 : -EIO;
        break;
    }
  }
  t->depth--;
  if (t->gone) t->used = t->depth > 0;
  if (result < 0 && !t->gone && t->state != SD_EVENT_OFF) {
    if (t->kind->before_off) t->kind->before_off(t);
    t->state = SD_EVENT_OFF;
  }
  return result;
}

// ---- setters --------------------------------------------------------------------------------------------------------

static void change_floating(struct Thing* t) {
  if (!t->floating && must(sd_event_source_set_floating(t->source, 1)) == 1) {
    sd_event_source_unref(t->source);
  } else if (t->floating) {
    sd_event_source_ref(t->source);
    must(sd_event_source_set_floating(t->source, 0));
  }
  t->floating = !t->floating;
}

static void change_descriptor(struct Thing* t) {
  const int fd = dup(t->fds[0]), old = t->fds[0];
  if (fd < 0) return;
  if (tried(sd_event_source_set_io_fd(t->source, fd)) < 0) {
    close(fd);
    return;
  }
  t->fds[0] = fd;
  if (!t->owned) close(old);
}

void change_something(struct Thing* t, uint64_t* luck) {
  char text[32];
  switch (below(luck, 8)) {
    case 0:
    case 1:
      change_priority(t, luck);
      break;
    case 2:
      change_floating(t);
      break;
    case 3:
      must(sd_event_source_set_prepare(t->source, one_in(luck, 3) ? NULL : on_prepare));
      break;
    case 4:
      if (!(t->kind->traits & kLimitable)) break;
      (void)tried(sd_event_source_set_ratelimit(t->source, below(luck, 4) * 700, below(luck, 4)));
      must(sd_event_source_set_ratelimit_expire_callback(t->source, one_in(luck, 4) ? NULL : on_expire));
      break;
    case 5:
      (void)snprintf(text, sizeof(text), "thing %u", t->id);
      (void)tried(sd_event_source_set_description(t->source, one_in(luck, 4) ? NULL : text));
      break;
    case 6:
      if (t->kind->traits & kDescriptor) change_descriptor(t);
      if (t->kind->traits & kTimed)
        (void)tried(sd_event_source_set_time_accuracy(t->source, below(luck, 2) * 4000 + 1));
      break;
    case 7:
      if (t->kind->traits & kLimitable) must(sd_event_source_leave_ratelimit(t->source));
      break;
  }
}
