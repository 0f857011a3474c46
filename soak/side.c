// SPDX-License-Identifier: MIT
//
// What is done beside the homes: forks, loops that run to their end, and threads with default loops.
//
// Idea: each function leaves nothing behind, and can be called anywhere, callbacks included. A forked process does one
// of three things with all that it has got: nothing; it frees it; it tries to use it, which must be refused. That the
// parent did not notice is what the counts of the things tell.
//
// Invariants: threads share nothing with the main one but eventfds and what is read after they have been joined. They
// are as many as at the beginning (`warm_up`) at most, so that the C library keeps the stacks it has.
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "soak/soak.h"

// ---- forks ----------------------------------------------------------------------------------------------------------

static int free_everything(void) {
  for (struct Thing* t = world.things; t < world.things + kMostThings; t++)
    if (t->used && !t->gone && !t->floating) sd_event_source_unref(t->source);
  for (int i = 0; i < kHomes; i++) sd_event_unref(world.homes[i]);
  return 0;
}

static int use_everything(void) {
  sd_event* mine = NULL;
  for (int i = 0; i < kHomes; i++) {
    if (!world.homes[i]) continue;
    if (sd_event_run(world.homes[i], 0) != -ECHILD) return 1;
    if (sd_event_add_defer(world.homes[i], NULL, NULL, NULL) != -ECHILD) return 2;
    if (sd_event_exit(world.homes[i], 0) != -ECHILD) return 3;
  }
  for (struct Thing* t = world.things; t < world.things + kMostThings; t++)
    if (t->used && !t->gone && sd_event_source_set_priority(t->source, 4711) != -ECHILD) return 4;
  if (sd_event_new(&mine) < 0) return world.few_descriptors ? 0 : 5;
  if (sd_event_run(mine, 0) != 0) return 6;
  sd_event_unref(mine);
  return 0;
}

void fork_and_meddle(uint64_t* luck) {
  const unsigned what = below(luck, 3);
  const pid_t pid = fork();
  int status = 0;
  if (pid < 0) return;
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    _exit(what == 0 ? 0 : what == 1 ? free_everything() : use_everything());
  }
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) fault(NULL, "the forked process is gone");
  if (status != 0) fault(NULL, "a forked process (%u) ended with %x", what, (unsigned)status);
  world.forks++;
}

// ---- loops that run to their end ------------------------------------------------------------------------------------

enum { kMostExits = 6 };
struct Ending {
  sd_event* loop;
  int64_t priorities[kMostExits];
  unsigned count, order[kMostExits], seen;
  int code;
};
struct Exit {
  struct Ending* ending;
  unsigned number;
};

static int on_exit_source(sd_event_source* s, void* userdata) {
  const struct Exit* e = userdata;
  if (e->ending->seen >= e->ending->count) fault(NULL, "an exit source came twice");
  if (sd_event_get_state(sd_event_source_get_event(s)) != SD_EVENT_EXITING) fault(NULL, "an exit source came early");
  e->ending->order[e->ending->seen++] = e->number;
  return 0;
}

static int on_request(sd_event_source* s, void* userdata) {
  const struct Ending* ending = userdata;
  (void)s;
  return must(sd_event_exit(ending->loop, ending->code));
}

void run_a_loop_to_its_end(uint64_t* luck) {
  struct Ending ending = {.code = (int)below(luck, 100)};
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
    const int code = sd_event_loop(ending.loop);
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

// ---- threads with a default loop ------------------------------------------------------------------------------------

enum { kMostThreads = 4 };
struct Worker {
  pthread_t thread;
  int fd, next;  // where its events come from, and to whom it passes them on
  uint64_t sum, expected;
  sd_event* left;  // the loop, when it outlives the thread
  bool leaves, broken;
};

static int on_passed(sd_event_source* s, int fd, uint32_t revents, void* userdata) {
  struct Worker* w = userdata;
  eventfd_t value = 0;
  if (revents != EPOLLIN || eventfd_read(fd, &value) != 0) return -EIO;
  w->sum += value;
  if (w->next >= 0 && eventfd_write(w->next, value) != 0) return -EIO;
  return w->sum < w->expected ? 0 : sd_event_exit(sd_event_source_get_event(s), 42);
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
  if (w->leaves)
    w->left = loop;
  else
    w->broken = sd_event_unref(loop) || sd_event_default(NULL) != 0 || w->broken;
  return NULL;
}

static void end_worker(struct Worker* w) {
  if (pthread_join(w->thread, NULL) != 0) fault(NULL, "pthread_join");
  if (w->broken || w->sum != w->expected)
    fault(NULL, "a thread got %llu of %llu", (unsigned long long)w->sum, (unsigned long long)w->expected);
  if (w->left && sd_event_run(w->left, 0) != -EREMOTEIO && sd_event_get_state(w->left) != SD_EVENT_FINISHED)
    fault(NULL, "the default loop of another thread can be run");
  sd_event_unref(w->left);
  close(w->fd);
  world.threads++;
}

// A row of threads, each of which passes on what it gets to the next one.
void run_threads(uint64_t* luck, unsigned n) {
  struct Worker workers[kMostThreads];
  pthread_attr_t small;
  const uint64_t total = 1 + below(luck, 200);
  if (world.few_descriptors) return;
  if (n > kMostThreads) n = kMostThreads;
  (void)pthread_attr_init(&small);
  (void)pthread_attr_setstacksize(&small, 256 * 1024);
  for (unsigned i = 0; i < n; i++)
    workers[i] =
        (struct Worker){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .expected = total, .leaves = one_in(luck, 2)};
  for (unsigned i = 0; i < n; i++) {
    workers[i].next = i + 1 < n ? workers[i + 1].fd : -1;
    if (pthread_create(&workers[i].thread, &small, work, &workers[i]) != 0) fault(NULL, "pthread_create");
  }
  (void)pthread_attr_destroy(&small);
  for (uint64_t sent = 0; sent < total;) {
    const uint64_t some = 1 + below(luck, (unsigned)(total - sent));
    if (eventfd_write(workers[0].fd, some) != 0) fault(NULL, "eventfd_write");
    sent += some;
  }
  for (unsigned i = 0; i < n; i++) end_worker(&workers[i]);
}
