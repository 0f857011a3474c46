// SPDX-License-Identifier: MIT
//
// One table of all kinds of sources, for the tests that go through every kind, every pair of kinds, every callback.
//
// A `struct Thing` is a source of some kind and all that its event needs: a descriptor, a process.
// 1. `add_thing` adds it ON and idle; a defer and a post source OFF, since to be on is their event.
// 2. `fire` lets one event happen and returns when the kernel has it. A post source is turned on by it, and becomes
//    pending with the next dispatch of another; an exit source is fired by `sd_event_exit`.
// 3. `settle` takes back what would report the event again. What is one-shot needs none.
// 4. `end_thing` frees the source, if the test has not, and everything else.
// 5. All callbacks write the plain name into the journal, and call the probe's `act`.
// 6. The rows behind `kKindsOf252` are for ours alone: 252 has no pressure sources. A pipe plays the kernel there.
//
// The tests are `kinds_test`s: SIGCHLD and `signals_of_things` are blocked around them.
#ifndef EVENKEEL_CONFORMANCE_EVERY_KIND_H
#define EVENKEEL_CONFORMANCE_EVERY_KIND_H

#include <sys/mman.h>

#include "loop_recorder.h"

enum KindId {
  kIo,
  kEdge,
  kRealtime,
  kBoottime,
  kMonotonic,
  kSignal,
  kChildPid,
  kChildPidfd,
  kInotifyPath,
  kInotifyFd,
  kDefer,
  kPost,
  kExit,
  kKindsOf252,
  kMemory = kKindsOf252,
  kCpu,
  kIoPressure,
  kAllKinds
};

struct Thing {
  const struct Kind* kind;
  struct Probe probe;
  int number;  // among the things of the test: one signal each
  int fd;
  pid_t pid;
};

enum Trait {
  kLimitable = 1,    // may have a rate limit
  kHappensOnce = 2,  // has one event in its life
  kSwitched = 4,     // to be on is its event
  kStays = 8,        // reports for as long as it is not settled
  kCostly = 16,      // a process, a watch, one of few signals: not by the hundred
};

struct Kind {
  const char* name;
  void (*add)(struct Thing*);
  void (*fire)(struct Thing*);
  void (*settle)(struct Thing*);
  unsigned traits;
  int detail;                      // the clock
  const char *variable, *adds_by;  // of pressure
};

// ---- callbacks ----------------------------------------------------------------------------------------------------

static inline int plain_io(sd_event_source* s, int fd, uint32_t revents, void* userdata) {
  return (void)fd, (void)revents, record_event(s, userdata);
}
static inline int plain_time(sd_event_source* s, uint64_t usec, void* userdata) {
  return (void)usec, record_event(s, userdata);
}
static inline int plain_signal(sd_event_source* s, const struct signalfd_siginfo* si, void* userdata) {
  return (void)si, record_event(s, userdata);
}
static inline int plain_child(sd_event_source* s, const siginfo_t* si, void* userdata) {
  return (void)si, record_event(s, userdata);
}
static inline int plain_inotify(sd_event_source* s, const struct inotify_event* event, void* userdata) {
  return (void)event, record_event(s, userdata);
}

// ---- the kinds ----------------------------------------------------------------------------------------------------

static inline void settle_nothing(struct Thing* t) { (void)t; }

static inline void add_io_with(struct Thing* t, uint32_t events) {
  t->fd = make_eventfd(0);
  assert_result(sd_event_add_io(t->probe.loop, &t->probe.source, t->fd, events, plain_io, &t->probe), 0);
}
static inline void add_io(struct Thing* t) { add_io_with(t, EPOLLIN); }
static inline void add_edge(struct Thing* t) { add_io_with(t, EPOLLIN | EPOLLET); }
static inline void fire_io(struct Thing* t) { raise_eventfd(t->fd); }
static inline void settle_io(struct Thing* t) {
  eventfd_t value;
  (void)!eventfd_read(t->fd, &value);
}

static inline void add_timer(struct Thing* t) {
  struct Probe* p = &t->probe;
  assert_result(sd_event_add_time(p->loop, &p->source, t->kind->detail, UINT64_MAX, 1, plain_time, p), 0);
  set_enabled(p, SD_EVENT_ON);
}
static inline void fire_timer(struct Thing* t) {
  uint64_t due = clock_usec(t->kind->detail) + 20;
  assert_result(sd_event_source_set_time(t->probe.source, due), 0);
  sleep_until(t->kind->detail, due + 1);
}
static inline void settle_timer(struct Thing* t) {
  if (t->probe.source) assert_result(sd_event_source_set_time(t->probe.source, UINT64_MAX), 0);
}

// Not real-time signals: 252 loses these (signal_delivery.c). Not those that a runner stops a hanging test with.
enum { kManySignals = 14 };
static const int signals_of_things[kManySignals] = {SIGUSR1, SIGUSR2, SIGHUP, SIGPIPE, SIGSTKFLT, SIGTSTP,   SIGTTIN,
                                                    SIGTTOU, SIGURG,  SIGIO,  SIGPWR,  SIGXCPU,   SIGVTALRM, SIGWINCH};
static inline int signal_of(struct Thing* t) { return signals_of_things[t->number]; }
static inline void add_signal(struct Thing* t) {
  assert_result(sd_event_add_signal(t->probe.loop, &t->probe.source, signal_of(t), plain_signal, &t->probe), 0);
}
static inline void fire_signal(struct Thing* t) { assert_int_equal(kill(getpid(), signal_of(t)), 0); }

static inline void add_child_by_pid(struct Thing* t) {
  t->pid = spawn_sleeper();
  assert_result(sd_event_add_child(t->probe.loop, &t->probe.source, t->pid, WEXITED, plain_child, &t->probe), 0);
}
static inline void add_child_by_pidfd(struct Thing* t) {
  t->pid = spawn_sleeper();
  assert_true((t->fd = open_pidfd(t->pid)) >= 0);
  assert_result(sd_event_add_child_pidfd(t->probe.loop, &t->probe.source, t->fd, WEXITED, plain_child, &t->probe), 0);
}
static inline void fire_child(struct Thing* t) {
  assert_int_equal(kill(t->pid, SIGKILL), 0);
  await_zombie(t->pid);
}

// A file without a name, or a pipe; what wants a path gets the one that leads to the descriptor.
static inline const char* path_to(int fd) {
  static char path[64];
  snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
  return path;
}
static inline void add_inotify_by_path(struct Thing* t) {
  struct Probe* p = &t->probe;
  assert_true((t->fd = memfd_create("watched", MFD_CLOEXEC)) >= 0);
  assert_result(sd_event_add_inotify(p->loop, &p->source, path_to(t->fd), IN_ATTRIB, plain_inotify, p), 0);
}
static inline void add_inotify_by_fd(struct Thing* t) {
  struct Probe* p = &t->probe;
  assert_true((t->fd = memfd_create("watched", MFD_CLOEXEC)) >= 0);
  assert_result(sd_event_add_inotify_fd(p->loop, &p->source, t->fd, IN_ATTRIB, plain_inotify, p), 0);
}
static inline void fire_inotify(struct Thing* t) { assert_int_equal(fchmod(t->fd, 0600), 0); }

static inline void add_defer(struct Thing* t) {
  assert_result(sd_event_add_defer(t->probe.loop, &t->probe.source, record_event, &t->probe), 0);
  set_enabled(&t->probe, SD_EVENT_OFF);
}
static inline void add_post(struct Thing* t) {
  assert_result(sd_event_add_post(t->probe.loop, &t->probe.source, record_event, &t->probe), 0);
  set_enabled(&t->probe, SD_EVENT_OFF);
}
static inline void fire_switched(struct Thing* t) { set_enabled(&t->probe, SD_EVENT_ONESHOT); }
static inline void settle_switched(struct Thing* t) { set_enabled(&t->probe, SD_EVENT_OFF); }

static inline void add_exit(struct Thing* t) {
  assert_result(sd_event_add_exit(t->probe.loop, &t->probe.source, record_event, &t->probe), 0);
}
static inline void fire_exit(struct Thing* t) { assert_result(sd_event_exit(t->probe.loop, 0), 0); }

static inline void add_pressure(struct Thing* t) {
  int (*add)(sd_event*, sd_event_source**, sd_event_handler_t, void*);
  *(void**)&add = dlsym(RTLD_DEFAULT, t->kind->adds_by);  // 252 could not be linked to it
  assert_non_null(add);
  int ends[2];
  assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  setenv(t->kind->variable, path_to(ends[0]), 1);
  assert_result(add(t->probe.loop, &t->probe.source, record_event, &t->probe), 0);
  unsetenv(t->kind->variable);
  close(ends[0]);
  t->fd = ends[1];
}
static inline void fire_pressure(struct Thing* t) { assert_int_equal(write(t->fd, "x", 1), 1); }

static const struct Kind kinds[kAllKinds] = {
    [kIo] = {.name = "io", .add = add_io, .fire = fire_io, .settle = settle_io, .traits = kLimitable | kStays},
    [kEdge] = {.name = "edge", .add = add_edge, .fire = fire_io, .settle = settle_io, .traits = kLimitable},
    [kRealtime] = {.name = "realtime",
                   .add = add_timer,
                   .fire = fire_timer,
                   .settle = settle_timer,
                   .traits = kLimitable | kStays,
                   .detail = CLOCK_REALTIME},
    [kBoottime] = {.name = "boottime",
                   .add = add_timer,
                   .fire = fire_timer,
                   .settle = settle_timer,
                   .traits = kLimitable | kStays,
                   .detail = CLOCK_BOOTTIME},
    [kMonotonic] = {.name = "monotonic",
                    .add = add_timer,
                    .fire = fire_timer,
                    .settle = settle_timer,
                    .traits = kLimitable | kStays,
                    .detail = CLOCK_MONOTONIC},
    [kSignal] = {.name = "signal",
                 .add = add_signal,
                 .fire = fire_signal,
                 .settle = settle_nothing,
                 .traits = kLimitable | kCostly},
    [kChildPid] = {.name = "child",
                   .add = add_child_by_pid,
                   .fire = fire_child,
                   .settle = settle_nothing,
                   .traits = kHappensOnce | kCostly},
    [kChildPidfd] = {.name = "pidfd",
                     .add = add_child_by_pidfd,
                     .fire = fire_child,
                     .settle = settle_nothing,
                     .traits = kHappensOnce | kCostly},
    [kInotifyPath] = {.name = "inotify",
                      .add = add_inotify_by_path,
                      .fire = fire_inotify,
                      .settle = settle_nothing,
                      .traits = kLimitable | kCostly},
    [kInotifyFd] = {.name = "inotify-fd",
                    .add = add_inotify_by_fd,
                    .fire = fire_inotify,
                    .settle = settle_nothing,
                    .traits = kLimitable | kCostly},
    [kDefer] = {.name = "defer",
                .add = add_defer,
                .fire = fire_switched,
                .settle = settle_switched,
                .traits = kLimitable | kSwitched},
    [kPost] = {.name = "post", .add = add_post, .fire = fire_switched, .settle = settle_switched, .traits = kSwitched},
    [kExit] = {.name = "exit", .add = add_exit, .fire = fire_exit, .settle = settle_nothing, .traits = kHappensOnce},
    [kMemory] = {.name = "memory",
                 .add = add_pressure,
                 .fire = fire_pressure,
                 .settle = settle_nothing,
                 .traits = kLimitable | kCostly,
                 .variable = "MEMORY_PRESSURE_WATCH",
                 .adds_by = "sd_event_add_memory_pressure"},
    [kCpu] = {.name = "cpu",
              .add = add_pressure,
              .fire = fire_pressure,
              .settle = settle_nothing,
              .traits = kLimitable | kCostly,
              .variable = "CPU_PRESSURE_WATCH",
              .adds_by = "sd_event_add_cpu_pressure"},
    [kIoPressure] = {.name = "io-pressure",
                     .add = add_pressure,
                     .fire = fire_pressure,
                     .settle = settle_nothing,
                     .traits = kLimitable | kCostly,
                     .variable = "IO_PRESSURE_WATCH",
                     .adds_by = "sd_event_add_io_pressure"},
};

static inline bool have_pidfds(void) {
  static int known = -1;
  if (known < 0) {
    int fd = open_pidfd(getpid());
    known = fd >= 0;
    if (known) close(fd);
    if (!known) print_message("no pidfds here (%s): no sources by pidfd\n", strerror(errno));
  }
  return known;
}

// The next kind from `id` on that is here and has all `traits`, or kAllKinds.
static inline int next_kind(int id, unsigned traits) {
  for (; id < kAllKinds; id++)
    if ((kinds[id].traits & traits) == traits && (id != kChildPidfd || have_pidfds()) &&
        (id < kKindsOf252 || !as_reference(id == kMemory ? kNewer : kNewest)))
      break;
  return id;
}
#define for_each_kind_with(id, traits) \
  for (int id = next_kind(0, traits); id < kAllKinds; id = next_kind(id + 1, traits))
#define for_each_kind(id) for_each_kind_with(id, 0)

// ---- things -------------------------------------------------------------------------------------------------------

static inline void add_thing(struct Thing* t, sd_event* loop, int kind, int number) {
  *t = (struct Thing){.kind = &kinds[kind], .number = number, .fd = -1};
  t->probe.name = t->kind->name;
  t->probe.loop = loop;
  t->kind->add(t);
}

static inline void fire(struct Thing* t) { t->kind->fire(t); }
static inline void settle(struct Thing* t) { t->kind->settle(t); }
static inline bool is_kind(struct Thing* t, enum KindId id) { return t->kind == &kinds[id]; }

static inline void drop_signal(int sig) {
  const struct timespec at_once = {0, 0};
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, sig);
  while (sigtimedwait(&set, NULL, &at_once) == sig) continue;
}

static inline void end_thing(struct Thing* t) {
  free_probe(&t->probe);
  if (t->fd >= 0) close(t->fd);
  if (t->pid > 0 && child_state(t->pid) != '-') kill_and_reap(t->pid);
  if (is_kind(t, kSignal)) drop_signal(signal_of(t));
}

// ---- tests --------------------------------------------------------------------------------------------------------

static inline void block_signals_of_kinds(bool blocked) {
  for (int i = 0; i < kManySignals; i++) set_blocked(signals_of_things[i], blocked);
  set_blocked(SIGCHLD, blocked);
}

static inline int begin_kinds(void** state) { return block_signals_of_kinds(true), begin_recorded(state); }
static inline int end_kinds(void** state) {
  int rc = end_clean(state);
  return block_signals_of_kinds(false), rc;
}

#define kinds_test(f) cmocka_unit_test_setup_teardown(f, begin_kinds, end_kinds)
#define kinds_test_of(f, what, row) \
  { #f "_" what, f, begin_kinds, end_kinds, row }

#endif
