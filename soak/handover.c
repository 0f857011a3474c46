// SPDX-License-Identifier: MIT
//
// A loop that goes from thread to thread.
//
// Idea: a loop with a counter, a timer and a defer source is handed round between the main thread and two others, each
// of which makes an iteration or changes something, and passes it on. The one that has it is the only one that uses it.
// Whoever has it last frees it, and all that is in it.
//
// Invariants: a semaphore each is all that synchronises. Each event comes once, in whatever thread. The last round
// waits for what is still missing.
#include <pthread.h>
#include <semaphore.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "soak/soak.h"

enum { kHands = 3 };
struct Baton {
  sd_event* loop;
  sd_event_source *counter, *timer, *defer;
  int fd;
  uint64_t sent, received, timers_wanted, timers, defers_wanted, defers;
  uint64_t luck;
  unsigned laps;
};
struct Hand {
  struct Baton* baton;
  struct Hand* next;
  sem_t turn;
  pthread_t thread;
};

static int on_counter(sd_event_source* s, int fd, uint32_t revents, void* userdata) {
  struct Baton* b = userdata;
  eventfd_t value = 0;
  (void)s;
  if (revents != EPOLLIN || eventfd_read(fd, &value) != 0) fault(NULL, "called with nothing to read");
  b->received += value;
  return 0;
}
static int on_timer(sd_event_source* s, uint64_t usec, void* userdata) {
  struct Baton* b = userdata;
  (void)s, (void)usec;
  b->timers++;
  return 0;
}
static int on_defer(sd_event_source* s, void* userdata) {
  struct Baton* b = userdata;
  (void)s;
  b->defers++;
  return 0;
}

static void build(struct Baton* b) {
  must(sd_event_new(&b->loop));
  must(sd_event_add_io(b->loop, &b->counter, b->fd, EPOLLIN, on_counter, b));
  must(sd_event_add_time(b->loop, &b->timer, CLOCK_MONOTONIC, UINT64_MAX, 1, on_timer, b));
  must(sd_event_add_defer(b->loop, &b->defer, on_defer, b));
  must(sd_event_source_set_enabled(b->defer, SD_EVENT_OFF));
}

static void take_apart(struct Baton* b) {
  const uint64_t since = clock_usec(CLOCK_MONOTONIC);
  while (b->received != b->sent || b->timers != b->timers_wanted || b->defers != b->defers_wanted) {
    must(sd_event_run(b->loop, 60u * 1000000u));
    if (clock_usec(CLOCK_MONOTONIC) - since > 60u * 1000000u) fault(NULL, "a loop that was handed over lost an event");
  }
  if (sd_event_run(b->loop, 0) != 0) fault(NULL, "a loop that was handed over has more than was sent");
  sd_event_source_unref(b->counter);
  sd_event_source_unref(b->timer);
  sd_event_source_unref(b->defer);
  b->loop = sd_event_unref(b->loop);
}

static void use(struct Baton* b) {
  if (!b->loop) build(b);
  switch (below(&b->luck, 6)) {
    case 0:
      if (b->timers != b->timers_wanted) break;
      b->timers_wanted++;
      must(sd_event_source_set_time_relative(b->timer, below(&b->luck, 300)));
      must(sd_event_source_set_enabled(b->timer, SD_EVENT_ONESHOT));
      break;
    case 1:
      if (b->defers != b->defers_wanted) break;
      b->defers_wanted++;
      must(sd_event_source_set_enabled(b->defer, SD_EVENT_ONESHOT));
      break;
    case 2:
      if (eventfd_write(b->fd, 1) != 0) fault(NULL, "eventfd_write");
      b->sent++;
      break;
    case 3:
      if (one_in(&b->luck, 4)) take_apart(b);
      break;
    default:
      must(sd_event_run(b->loop, 0));
  }
}

static void* carry(void* userdata) {
  struct Hand* h = userdata;
  for (bool last = false; !last;) {
    while (sem_wait(&h->turn) != 0) continue;
    last = h->baton->laps == 0;
    if (!last) {
      h->baton->laps--;
      use(h->baton);
    }
    (void)sem_post(&h->next->turn);
  }
  return NULL;
}

void hand_a_loop_round(uint64_t* luck) {
  struct Baton baton = {
      .luck = draw(luck), .laps = 20 + below(luck, 200), .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  struct Hand hands[kHands];
  if (baton.fd < 0) fault(NULL, "eventfd: %d", errno);
  for (int i = 0; i < kHands; i++) {
    hands[i] = (struct Hand){.baton = &baton, .next = &hands[(i + 1) % kHands]};
    if (sem_init(&hands[i].turn, 0, 0) != 0) fault(NULL, "sem_init");
  }
  for (int i = 1; i < kHands; i++) start_thread(&hands[i].thread, carry, &hands[i]);
  (void)sem_post(&hands[0].turn);
  (void)carry(&hands[0]);
  for (int i = 1; i < kHands; i++)
    if (pthread_join(hands[i].thread, NULL) != 0) fault(NULL, "pthread_join");
  if (baton.loop) take_apart(&baton);
  for (int i = 0; i < kHands; i++) (void)sem_destroy(&hands[i].turn);
  close(baton.fd);
  world.loops++;
  world.threads += kHands - 1;
}
