// SPDX-License-Identifier: MIT
//
// One loop with one source of every kind: what the table-driven tests make their calls on.
//
// A kit owns its loop, its fds, its child process and one reference to each source; it blocks SIGUSR1 and SIGCHLD while
// it is open. Its io source watches the first fd of a pipe, which is empty; a floating one watches `taken`.
// Only its defer source is pending at first; that one and the exit source call `kit_hook`.
// With KIT_HAS_PRESSURE defined there are sources of memory, CPU and IO pressure, too, which 252 does not have.
// A result is a letter (`letter_of`), so that a call on all kinds gives a word, with the letters in the order of
// `enum Kind`.
#ifndef EVENKEEL_CONFORMANCE_ERRORS_KINDS_H
#define EVENKEEL_CONFORMANCE_ERRORS_KINDS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "harness.h"

enum Kind {
  kIo,
  kTime,
  kSignal,
  kChild,
  kInotify,
  kDefer,
  kPost,
  kExit,
#ifdef KIT_HAS_PRESSURE
  kMemoryPressure,
  kCpuPressure,
  kIoPressure,
#endif
  kKinds
};

struct Kit {
  sd_event* loop;
  int pipe_fds[2];  // the first is watched
  int directory;    // which epoll refuses
  int taken;        // watched by a source of its own, and never ready
  pid_t child;
  sd_event_source* source[kKinds];
};

// What the callbacks of the kit call, if anything; see errors_states.h.
static void (*kit_hook)(void);

static inline int on_kit_event(sd_event_source* s, void* userdata) {
  (void)s, (void)userdata;
  if (kit_hook) kit_hook();
  return 0;
}

#ifdef KIT_HAS_PRESSURE
// The pipe stands for the file of the kernel, which is never ready either.
static inline int add_pressure(struct Kit* kit, const char* variable, typeof(sd_event_add_memory_pressure)* add,
                               sd_event_source** s, void* userdata) {
  char path[32];
  snprintf(path, sizeof(path), "/proc/self/fd/%d", kit->pipe_fds[0]);
  setenv(variable, path, 1);
  int r = add(kit->loop, s, on_event, userdata);
  unsetenv(variable);
  return r;
}
#endif

static inline sd_event_source* add_kind(struct Kit* kit, enum Kind kind, void* userdata) {
  sd_event_source* s = NULL;
  sd_event* e = kit->loop;
  int r = -1;
  switch (kind) {
    case kIo:
      r = sd_event_add_io(e, &s, kit->pipe_fds[0], EPOLLIN, on_io, userdata);
      break;
    case kTime:
      r = sd_event_add_time(e, &s, CLOCK_MONOTONIC, UINT64_MAX, 0, on_time, userdata);
      break;
    case kSignal:
      r = sd_event_add_signal(e, &s, SIGUSR1, on_signal, userdata);
      break;
    case kChild:
      r = sd_event_add_child(e, &s, kit->child, WEXITED, on_child, userdata);
      break;
    case kInotify:
      r = sd_event_add_inotify(e, &s, "/tmp", IN_DELETE_SELF, on_inotify, userdata);
      break;
    case kDefer:
      r = sd_event_add_defer(e, &s, on_kit_event, userdata);
      break;
    case kPost:
      r = sd_event_add_post(e, &s, on_event, userdata);
      break;
    case kExit:
      r = sd_event_add_exit(e, &s, on_kit_event, userdata);
      break;
#ifdef KIT_HAS_PRESSURE
    case kMemoryPressure:
      r = add_pressure(kit, "MEMORY_PRESSURE_WATCH", sd_event_add_memory_pressure, &s, userdata);
      break;
    case kCpuPressure:
      r = add_pressure(kit, "CPU_PRESSURE_WATCH", sd_event_add_cpu_pressure, &s, userdata);
      break;
    case kIoPressure:
      r = add_pressure(kit, "IO_PRESSURE_WATCH", sd_event_add_io_pressure, &s, userdata);
      break;
#endif
    case kKinds:
      break;
  }
  assert_int_equal(r, 0);
  assert_non_null(s);
  return s;
}

static inline void kit_open(struct Kit* kit) {
  kit->loop = make_loop();
  assert_int_equal(pipe2(kit->pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
  kit->directory = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  kit->taken = epoll_create1(EPOLL_CLOEXEC);
  assert_int_equal(sd_event_add_io(kit->loop, NULL, kit->taken, EPOLLIN, on_io, NULL), 0);
  set_blocked(SIGCHLD, true);
  set_blocked(SIGUSR1, true);
  kit->child = spawn_sleeper();
  for (int kind = 0; kind < kKinds; kind++) kit->source[kind] = add_kind(kit, (enum Kind)kind, kit);
}

static inline void kit_close(struct Kit* kit) {
  sd_event_source_set_io_fd_own(kit->source[kIo], 0);  // a call under test may have given these away
  sd_event_source_set_child_process_own(kit->source[kChild], 0);
  for (int kind = 0; kind < kKinds; kind++) sd_event_source_unref(kit->source[kind]);
  sd_event_unref(kit->loop);
  kill_and_reap(kit->child);
  const int fds[] = {kit->pipe_fds[0], kit->pipe_fds[1], kit->directory, kit->taken};
  for (size_t i = 0; i < lengthof(fds); i++) close(fds[i]);
  set_blocked(SIGUSR1, false);
  set_blocked(SIGCHLD, false);
}

static inline char letter_of(int result) {
  switch (result) {
    case 0:
      return '.';
    case 1:
      return '1';
    case -EINVAL:
      return 'V';
    case -EDOM:
      return 'D';
    case -ESTALE:
      return 'S';
    case -ECHILD:
      return 'C';
    case -EBUSY:
      return 'B';
    case -EBADF:
      return 'F';
    case -EPERM:
      return 'P';
    case -EEXIST:
      return 'E';
    case -ENODATA:
      return 'N';
    case -ENXIO:
      return 'X';
    case -ESRCH:
      return 'R';
    case -ENOEXEC:
      return 'G';
    case -EOPNOTSUPP:
      return 'O';
    case -EOVERFLOW:
      return 'W';
    case -ENOENT:
      return 'T';
    case -ERANGE:
      return 'A';
  }
  return result > 1 && result < kDied ? '+' : '?';
}

#endif
