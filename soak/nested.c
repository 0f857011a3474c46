// SPDX-License-Identifier: MIT
//
// Loops within loops, and loops whose descriptor is polled.
//
// Idea: a tower of one to three loops, each of which watches the descriptor of the one below it. A loop has some lines,
// pairs of sockets. Only the uppermost is driven, by poll(2), and only when its descriptor is readable: so an event
// anywhere below that the descriptors do not tell of is lost, and one that they tell of without end is a spin. The
// loops are driven the usual way (readable, then sd_event_run() with no time-out) or by the rules of the manual page
// (prepare, wait, dispatch by the state, in a prepare callback of the watching source); then there are timers, too.
//
// Invariants: what a callback, or we between two runs, change of a line (OFF, other events, ON; a new one; one whose
// descriptor is closed first while a duplicate lives on) counts at once. When all that was sent has come, the
// descriptor falls silent.
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "soak/soak.h"

enum { kMostFloors = 3, kLines = 3, kPatience = 60000, kMostTurns = 4000 };

struct Line {
  struct Floor* floor;
  sd_event_source* source;
  int ends[2];
  uint64_t sent, received;
  unsigned rooms, wanted_rooms;  // for EPOLLOUT, which is asked for now and then
};
struct Floor {
  struct Tower* tower;
  sd_event* loop;
  sd_event_source* watch;  // of the loop below; NULL in the lowest
  struct Line lines[kLines];
  sd_event_source* timer;
  unsigned timers, wanted_timers;
};
struct Tower {
  struct Floor floors[kMostFloors];
  unsigned height;
  bool by_the_rules;
  uint64_t* luck;
};

// As the manual page has it.
static int drive(sd_event* loop) {
  int r = 0;
  if (sd_event_get_state(loop) == SD_EVENT_ARMED) r = sd_event_wait(loop, 0);
  if (r >= 0 && sd_event_get_state(loop) == SD_EVENT_INITIAL) r = sd_event_prepare(loop);
  if (r >= 0 && sd_event_get_state(loop) == SD_EVENT_PENDING) r = sd_event_dispatch(loop);
  if (r < 0) return r;
  return sd_event_get_state(loop) != SD_EVENT_ARMED;
}

static int drive_until_it_sleeps(sd_event* loop) {
  int r = 1;
  for (unsigned n = 0; r > 0; n++) {
    if (n > kMostTurns) fault(NULL, "a loop that is driven by its descriptor never sleeps");
    r = drive(loop);
  }
  return r;
}

static int step_below(struct Floor* f) {
  const int result = f->tower->by_the_rules ? drive_until_it_sleeps(f[-1].loop) : sd_event_run(f[-1].loop, 0);
  if (result < 0 && !(world.stray && result == -ECHILD)) fault(NULL, "a loop in a loop: %d", result);
  if (world.stray && result != -ECHILD) fault(NULL, "a forked process went on in a loop in a loop");
  return 0;
}

static int on_below(sd_event_source* s, int fd, uint32_t revents, void* userdata) {
  (void)s, (void)fd;
  must_not_stray(NULL);
  if (revents != EPOLLIN) fault(NULL, "the descriptor of a loop: %x", revents);
  return step_below(userdata);
}

static int prepare_below(sd_event_source* s, void* userdata) {
  (void)s;
  must_not_stray(NULL);
  return step_below(userdata);
}

// ---- lines ----------------------------------------------------------------------------------------------------------

static void ask_for_room(struct Line* l) {
  must(sd_event_source_set_enabled(l->source, SD_EVENT_OFF));
  must(sd_event_source_set_io_events(l->source, EPOLLIN | EPOLLOUT));
  must(sd_event_source_set_enabled(l->source, SD_EVENT_ON));
  l->wanted_rooms = l->rooms + 1;
}

static int on_line(sd_event_source* s, int fd, uint32_t revents, void* userdata) {
  struct Line* l = userdata;
  unsigned char bytes[8];
  must_not_stray(NULL);
  if (s != l->source || fd != l->ends[0]) fault(NULL, "a line that is gone was called");
  if (revents & EPOLLIN) {
    const ssize_t n = read(fd, bytes, 1 + below(l->floor->tower->luck, sizeof(bytes)));
    if (n <= 0) fault(NULL, "a line was called with nothing to read");
    for (ssize_t i = 0; i < n; i++)
      if (bytes[i] != (unsigned char)++l->received) fault(NULL, "a line read %u", bytes[i]);
  }
  if (revents & EPOLLOUT) {
    if (l->rooms == l->wanted_rooms) fault(NULL, "a line was told of room to write once too often");
    l->rooms++;
    must(sd_event_source_set_io_events(s, EPOLLIN));
  }
  switch (below(l->floor->tower->luck, 24)) {
    case 0:
      if (l->rooms == l->wanted_rooms) ask_for_room(l);
      break;
    case 1:
      must(sd_event_source_set_enabled(s, SD_EVENT_OFF));
      must(sd_event_source_set_enabled(s, SD_EVENT_ON));
      break;
    case 2:
      if (one_in(l->floor->tower->luck, 16)) (void)fork_and_return(l->floor->tower->luck);
      break;
  }
  return 0;
}

static int on_no_line(sd_event_source* s, int fd, uint32_t revents, void* userdata) {
  (void)s, (void)fd, (void)revents, (void)userdata;
  fault(NULL, "a source that is gone was called");
}

static void add_line(struct Floor* f, struct Line* l) {
  *l = (struct Line){.floor = f};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, l->ends) != 0) fault(NULL, "socketpair");
  must(sd_event_add_io(f->loop, &l->source, l->ends[0], EPOLLIN, on_line, l));
  must(sd_event_source_set_priority(l->source, (int64_t)below(f->tower->luck, 2)));
}

static void drop_line(struct Line* l) {
  sd_event_source_unref(l->source);
  close(l->ends[0]);
  close(l->ends[1]);
}

static void send_on(struct Line* l) {
  for (unsigned n = 1 + below(l->floor->tower->luck, 12); n > 0; n--) {
    const unsigned char byte = (unsigned char)++l->sent;
    if (write(l->ends[1], &byte, 1) != 1) fault(NULL, "write: %d", errno);
  }
}

static int on_timer(sd_event_source* s, uint64_t usec, void* userdata) {
  struct Floor* f = userdata;
  (void)s, (void)usec;
  must_not_stray(NULL);
  if (f->timers++ == f->wanted_timers) fault(NULL, "a timer in a loop in a loop came twice");
  return 0;
}

static void set_timer(struct Floor* f) {
  if (f->timers != f->wanted_timers) return;
  f->wanted_timers++;
  const uint64_t soon = below(f->tower->luck, 500);
  if (f->timer) {
    must(sd_event_source_set_time_relative(f->timer, soon));
    must(sd_event_source_set_enabled(f->timer, SD_EVENT_ONESHOT));
  } else {
    must(sd_event_add_time_relative(f->loop, &f->timer, CLOCK_MONOTONIC, soon, 1, on_timer, f));
  }
}

// ---- the tower ------------------------------------------------------------------------------------------------------

static bool build(struct Tower* tower) {
  for (unsigned i = 0; i < tower->height; i++) {
    struct Floor* f = &tower->floors[i];
    f->tower = tower;
    must(sd_event_new(&f->loop));
    world.loops++;
    if (i > 0) {
      must(sd_event_add_io(f->loop, &f->watch, sd_event_get_fd(f[-1].loop), EPOLLIN, on_below, f));
      if (tower->by_the_rules) must(sd_event_source_set_prepare(f->watch, prepare_below));
    }
    for (int k = 0; k < kLines; k++) add_line(f, &f->lines[k]);
  }
  return true;
}

static void pull_down(struct Tower* tower) {
  for (unsigned i = tower->height; i-- > 0;) {
    struct Floor* f = &tower->floors[i];
    const bool source_first = one_in(tower->luck, 2);
    if (source_first) sd_event_source_unref(f->watch);
    for (int k = 0; k < kLines; k++) drop_line(&f->lines[k]);
    sd_event_source_unref(f->timer);
    sd_event_unref(f->loop);
    if (!source_first) sd_event_source_unref(f->watch);
  }
}

static bool all_came(const struct Tower* tower) {
  for (unsigned i = 0; i < tower->height; i++) {
    const struct Floor* f = &tower->floors[i];
    if (f->timers != f->wanted_timers) return false;
    for (int k = 0; k < kLines; k++)
      if (f->lines[k].received != f->lines[k].sent || f->lines[k].rooms != f->lines[k].wanted_rooms) return false;
  }
  return true;
}

static void turn_tower(struct Tower* tower) {
  sd_event* top = tower->floors[tower->height - 1].loop;
  const int result = tower->by_the_rules ? drive_until_it_sleeps(top) : sd_event_run(top, 0);
  // A stray child frees all of it first, now and then: the parent has to hear on.
  if (world.stray && result == -ECHILD && one_in(tower->luck, 2)) pull_down(tower);
  if (came_back(result) < 0) fault(NULL, "an iteration of a loop that is polled failed: %d", result);
}

// What it had registered stays in the kernel, and is ready for ever.
static void leave_a_registration(struct Floor* f) {
  int ends[2];
  sd_event_source* source = NULL;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) fault(NULL, "socketpair");
  const int duplicate = dup(ends[0]);
  must(sd_event_add_io(f->loop, &source, ends[0], EPOLLIN, on_no_line, NULL));
  close(ends[0]);
  sd_event_source_unref(source);
  if (write(ends[1], "x", 1) != 1) fault(NULL, "write: %d", errno);
  for (unsigned n = below(f->tower->luck, 3); n > 0; n--) turn_tower(f->tower);
  close(duplicate);
  close(ends[1]);
}

static void hear_all(struct Tower* tower) {
  struct pollfd p = {.fd = sd_event_get_fd(tower->floors[tower->height - 1].loop), .events = POLLIN};
  if (tower->by_the_rules) turn_tower(tower);
  while (!all_came(tower)) {
    if (poll(&p, 1, kPatience) != 1)
      fault(NULL, "a descriptor is deaf to what is ready within its loop (%u loops%s)", tower->height,
            tower->by_the_rules ? ", by the rules" : "");
    turn_tower(tower);
  }
  // A registration that was left behind may wake the loop once more.
  for (unsigned n = 0; poll(&p, 1, 0) != 0; n++) {
    if (n == kMostTurns) fault(NULL, "a descriptor never falls silent (%u loops)", tower->height);
    turn_tower(tower);
  }
}

void run_a_tower(uint64_t* luck) {
  struct Tower tower = {.height = 1 + below(luck, kMostFloors), .by_the_rules = one_in(luck, 2), .luck = luck};
  build(&tower);
  hear_all(&tower);
  for (unsigned n = 5 + below(luck, 20); n > 0; n--) {
    struct Floor* f = &tower.floors[below(luck, tower.height)];
    struct Line* l = &f->lines[below(luck, kLines)];
    switch (below(luck, 8)) {
      case 0:
        if (l->rooms == l->wanted_rooms) ask_for_room(l);
        break;
      case 1:
        drop_line(l);
        add_line(f, l);
        break;
      case 2:
        leave_a_registration(f);
        break;
      case 3:
        if (tower.by_the_rules) set_timer(f);
        break;
      default:
        send_on(l);
    }
    if (one_in(luck, 2)) hear_all(&tower);
  }
  hear_all(&tower);
  pull_down(&tower);
}
