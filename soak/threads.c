// SPDX-License-Identifier: MIT
//
// Threads with default loops, which come and go.
//
// Idea: a row of threads, each of which passes on what it gets to the next one. Some free their loop before they end,
// some leave it to a function for the end of the thread, some to the main thread, which gets it after the end or while
// the thread is about to end; some make a second one after the first.
//
// Invariants: threads share nothing with the main one but eventfds, and what is handed over by a semaphore or read
// after they have been joined. They are as many as at the beginning (`warm_up`) at most, so that the C library keeps
// the stacks it has.
#include <pthread.h>
#include <semaphore.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "soak/soak.h"

enum { kMostThreads = 4 };
// What becomes of the loop when its thread ends.
enum Fate { kFreed, kFreedTwice, kFreedByKey, kLeft, kHandedOver, kFates };
struct Worker {
  pthread_t thread;
  int fd, next;  // where its events come from, and to whom it passes them on
  uint64_t sum, expected;
  enum Fate fate;
  sd_event* left;  // the loop, when it outlives the thread
  sem_t handed_over;
  bool broken;
};

static pthread_key_t at_the_end;

// Called when the thread has left `work`: its default loop is there still.
static void end_loop(void* userdata) {
  struct Worker* w = userdata;
  sd_event* loop = NULL;
  w->broken = sd_event_default(&loop) != 0 || sd_event_get_state(loop) != SD_EVENT_FINISHED || w->broken;
  sd_event_unref(loop);
  sd_event_unref(loop);
  w->broken = sd_event_default(NULL) != 0 || w->broken;
}

void begin_threads(void) {
  if (pthread_key_create(&at_the_end, end_loop) != 0) fault(NULL, "pthread_key_create");
}

static int on_passed(sd_event_source* s, int fd, uint32_t revents, void* userdata) {
  struct Worker* w = userdata;
  eventfd_t value = 0;
  if (revents != EPOLLIN || eventfd_read(fd, &value) != 0) return -EIO;
  w->sum += value;
  if (w->next >= 0 && eventfd_write(w->next, value) != 0) return -EIO;
  return w->sum < w->expected ? 0 : sd_event_exit(sd_event_source_get_event(s), 42);
}

static void free_loop(struct Worker* w, sd_event* loop) {
  w->broken = sd_event_unref(loop) || sd_event_default(NULL) != 0 || w->broken;
}

static void* work(void* userdata) {
  struct Worker* w = userdata;
  sd_event *loop = NULL, *again = NULL;
  sd_event_source* source = NULL;
  w->broken = sd_event_default(&loop) != 1 || sd_event_default(&again) != 0 || again != loop ||
              sd_event_add_io(SD_EVENT_DEFAULT, &source, w->fd, EPOLLIN, on_passed, w) != 0 ||
              sd_event_source_set_exit_on_failure(source, 1) < 0 || sd_event_loop(loop) != 42;
  sd_event_unref(again);
  sd_event_source_unref(source);
  switch (w->fate) {
    case kFreedTwice:
      free_loop(w, loop);
      w->broken = sd_event_default(&loop) != 1 || sd_event_run(loop, 0) != 0 || w->broken;
      free_loop(w, loop);
      break;
    case kFreedByKey:
      w->broken = pthread_setspecific(at_the_end, w) != 0 || w->broken;
      break;
    case kLeft:
      w->left = loop;
      break;
    case kHandedOver:
      w->left = loop;
      (void)sem_post(&w->handed_over);
      break;
    default:
      free_loop(w, loop);
  }
  return NULL;
}

static void free_left(struct Worker* w) {
  const int result = sd_event_run(w->left, 0);
  if (result != -ESTALE) fault(NULL, "a loop that has ended runs: %d", result);
  sd_event_unref(w->left);
}

static void end_worker(struct Worker* w) {
  if (w->fate == kHandedOver) {
    while (sem_wait(&w->handed_over) != 0) continue;
    free_left(w);
  }
  if (pthread_join(w->thread, NULL) != 0) fault(NULL, "pthread_join");
  if (w->broken || w->sum != w->expected)
    fault(NULL, "a thread (%d) got %llu of %llu", w->fate, (unsigned long long)w->sum, (unsigned long long)w->expected);
  if (w->fate == kLeft) free_left(w);
  (void)sem_destroy(&w->handed_over);
  close(w->fd);
  world.threads++;
}

static void make_worker(struct Worker* w, uint64_t total, enum Fate fate) {
  *w = (struct Worker){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .expected = total, .fate = fate};
  if (w->fd < 0 || sem_init(&w->handed_over, 0, 0) != 0) fault(NULL, "eventfd: %d", errno);
}

void start_thread(pthread_t* thread, void* (*body)(void*), void* userdata) {
  pthread_attr_t small;
  (void)pthread_attr_init(&small);
  (void)pthread_attr_setstacksize(&small, 256 * 1024);
  if (pthread_create(thread, &small, body, userdata) != 0) fault(NULL, "pthread_create");
  (void)pthread_attr_destroy(&small);
}

void run_threads(uint64_t* luck, unsigned n) {
  struct Worker workers[kMostThreads];
  const uint64_t total = 1 + below(luck, 200);
  if (world.few_descriptors) return;
  if (n > kMostThreads) n = kMostThreads;
  for (unsigned i = 0; i < n; i++) make_worker(&workers[i], total, (enum Fate)below(luck, kFates));
  for (unsigned i = 0; i < n; i++) {
    workers[i].next = i + 1 < n ? workers[i + 1].fd : -1;
    start_thread(&workers[i].thread, work, &workers[i]);
  }
  for (uint64_t sent = 0; sent < total;) {
    const uint64_t some = 1 + below(luck, (unsigned)(total - sent));
    if (eventfd_write(workers[0].fd, some) != 0) fault(NULL, "eventfd_write");
    sent += some;
  }
  for (unsigned i = 0; i < n; i++) end_worker(&workers[i]);
}
