// SPDX-License-Identifier: MIT
//
// Descriptors that are closed in every order, and numbers that are used again at once.
//
// Idea: a *holder* is an IO source and a counter that it watches. A live one hears all that is added to its counter. A
// *dead* one is a source whose descriptor was closed by the program: it stays a while, is turned OFF, and freed; its
// number is taken by what is opened next, be it another holder's counter, or one that nobody watches. Where a duplicate
// of the closed descriptor is left, the kernel reports what happens to it until the source goes.
//
// Invariants: a live holder gets each event once. A dead one is called for its own counter only, while it is ON and
// a duplicate is left. What nobody watches calls nobody. Nothing depends on time: a counter is ready at once.
#include <sys/eventfd.h>
#include <unistd.h>

#include "soak/soak.h"

enum { kHolders = 8, kMostTurns = 1000 };

struct Holder {
  sd_event_source* source;
  int fd, duplicate;  // of what the source was made for
  bool dead, on, owned;
  bool pending;  // when it died: that event may come still
  // ON again after OFF: which file its number stands for is looked at when the loop has nothing else to do.
  bool unconfirmed;
  uint64_t sent, received;
};
struct Hall {
  sd_event* loop;
  struct Holder holders[kHolders];
  int unwatched;
  uint64_t* luck;
};

static int make_counter(void) {
  const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) fault(NULL, "eventfd: %d", errno);
  return fd;
}

static void add_to(int fd) {
  if (eventfd_write(fd, 1) != 0) fault(NULL, "eventfd_write: %d", errno);
}

static int on_counter(sd_event_source* s, int fd, uint32_t revents, void* userdata) {
  struct Holder* h = userdata;
  eventfd_t value = 0;
  must_not_stray(NULL);
  if (s != h->source || fd != h->fd || revents != EPOLLIN || !h->on)
    fault(NULL, "descriptor %d, events %x%s", fd, revents, h->on ? "" : ", while it is OFF");
  if (h->dead && h->duplicate < 0) {
    if (!h->pending) fault(NULL, "called for a descriptor that is closed");
    h->pending = false;
    return 0;
  }
  if (eventfd_read(h->dead ? h->duplicate : fd, &value) != 0)
    fault(NULL, "called with nothing to read%s", h->dead ? ", for a descriptor that is closed" : "");
  h->received += value;
  if (h->received > h->sent) fault(NULL, "a counter came twice");
  return 0;
}

static void make_holder(struct Hall* hall, struct Holder* h) {
  sd_event_source* source = NULL;
  const int fd = make_counter();
  if (tried(sd_event_add_io(hall->loop, &source, fd, EPOLLIN, on_counter, h)) < 0) {
    close(fd);
    return;
  }
  *h = (struct Holder){.source = source, .fd = fd, .duplicate = -1, .on = true};
  must(sd_event_source_set_priority(source, (int64_t)below(hall->luck, 3)));
  if (one_in(hall->luck, 4)) h->owned = must(sd_event_source_set_io_fd_own(source, 1)) >= 0;
}

static void kill_holder(struct Hall* hall, struct Holder* h) {
  if (h->owned || h->unconfirmed) return;
  if (one_in(hall->luck, 2)) h->duplicate = dup(h->fd);
  h->dead = true;
  h->pending = must(sd_event_source_get_pending(h->source)) > 0;
  close(h->fd);
}

static void end_holder(struct Holder* h) {
  sd_event_source_unref(h->source);
  if (!h->dead && !h->owned) close(h->fd);
  if (h->duplicate >= 0) close(h->duplicate);
  *h = (struct Holder){.duplicate = -1};
}

// What is in the counter of a source that gets another descriptor is nobody's any more.
static void move_holder(struct Hall* hall, struct Holder* h) {
  const int fd = make_counter(), old = h->fd;
  const bool closed = h->dead || (!h->owned && !h->unconfirmed && one_in(hall->luck, 2));
  if (closed && !h->dead) close(old);  // Its number may be asked for still.
  if (must(sd_event_source_set_io_fd(h->source, fd)) != 0) fault(NULL, "set_io_fd");
  if (!closed && !h->owned) close(old);
  if (h->duplicate >= 0) close(h->duplicate);
  h->sent = h->received;
  h->fd = fd;
  h->duplicate = -1;
  h->dead = false;
}

static void switch_holder(struct Hall* hall, struct Holder* h) {
  if (h->on || !h->dead) must(sd_event_source_set_enabled(h->source, h->on ? SD_EVENT_OFF : SD_EVENT_ON));
  h->on = !h->on && !h->dead;
  h->unconfirmed = true;
  // Off and on again between two iterations.
  if (!h->on && !h->dead && one_in(hall->luck, 2)) {
    must(sd_event_source_set_enabled(h->source, SD_EVENT_ON));
    h->on = true;
  }
}

static void step(struct Hall* hall) {
  const int result = sd_event_run(hall->loop, 0);
  if (result < 0) fault(NULL, "an iteration failed: %d", result);
}

static void act_on(struct Hall* hall, struct Holder* h) {
  if (!h->source) {
    make_holder(hall, h);
    return;
  }
  switch (below(hall->luck, 10)) {
    case 0:
    case 1:
      if (!h->dead) kill_holder(hall, h);
      break;
    case 2:
      end_holder(h);
      break;
    case 3:
      move_holder(hall, h);
      break;
    case 4:
      switch_holder(hall, h);
      break;
    default:
      if (h->dead && h->duplicate < 0) break;
      add_to(h->dead ? h->duplicate : h->fd);
      h->sent++;
  }
}

static void check_silence(struct Hall* hall) {
  for (struct Holder* h = hall->holders; h < hall->holders + kHolders; h++)
    if (h->source && !h->dead && !h->on) {
      must(sd_event_source_set_enabled(h->source, SD_EVENT_ON));
      h->on = true;
    }
  unsigned n = 0;
  while (sd_event_run(hall->loop, 0) != 0)
    if (++n == kMostTurns) fault(NULL, "a loop with closed descriptors never sleeps");
  for (struct Holder* h = hall->holders; h < hall->holders + kHolders; h++) {
    h->unconfirmed = false;
    if (h->source && !h->dead && h->received != h->sent)
      fault(NULL, "a source got %llu of %llu, after descriptors were closed", (unsigned long long)h->received,
            (unsigned long long)h->sent);
  }
}

void reuse_numbers(uint64_t* luck) {
  struct Hall hall = {.unwatched = -1, .luck = luck};
  must(sd_event_new(&hall.loop));
  world.loops++;
  for (unsigned n = 20 + below(luck, 80); n > 0; n--) {
    act_on(&hall, &hall.holders[below(luck, kHolders)]);
    if (one_in(luck, 8)) {
      if (hall.unwatched >= 0) close(hall.unwatched);
      hall.unwatched = make_counter();
      add_to(hall.unwatched);
    }
    if (one_in(luck, 3)) step(&hall);
    if (one_in(luck, 16)) check_silence(&hall);
  }
  check_silence(&hall);
  for (int i = 0; i < kHolders; i++)
    if (hall.holders[i].source) end_holder(&hall.holders[i]);
  if (hall.unwatched >= 0) close(hall.unwatched);
  sd_event_unref(hall.loop);
}
