/* SPDX-License-Identifier: MIT
 *
 * raw: no library, but epoll_wait with room for 1,024 events, and a function for each descriptor. This is the limit of
 * what the kernel allows a loop that is no more than a loop: no timers, no priorities, no registration that is
 * remembered.
 *
 * Signals come by signalfd, children by pidfd, as a program of today would have it.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/loop.h"

enum { kEvents = 1024 };

struct Entry {
  void (*function)(struct Watch* watch);
  struct Watch* watch;
};

struct State {
  int epoll_fd;
  struct Run* run;
  bool stopped;
};

static void check(int r, const char* what) {
  if (r >= 0) return;
  perror(what);
  exit(EXIT_FAILURE);
}

static const char* name(void) { return "raw"; }

static void stop(void* loop) { ((struct State*)loop)->stopped = true; }

static void* create(struct Run* run) {
  static struct State state;
  state.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  check(state.epoll_fd, "epoll_create1");
  state.run = run;
  run->stop = stop;
  return &state;
}

static void run(void* loop) {
  static struct epoll_event events[kEvents];
  struct State* state = loop;
  for (state->stopped = false; !state->stopped;) {
    const int n = epoll_wait(state->epoll_fd, events, kEvents, -1);
    check(n, "epoll_wait");
    for (int i = 0; i < n; ++i) {
      struct Entry* entry = events[i].data.ptr;
      entry->function(entry->watch);
    }
  }
}

static void add(struct State* state, struct Watch* watch, int fd, uint32_t events, void (*function)(struct Watch*)) {
  struct Entry* entry = malloc(sizeof(*entry));
  if (!entry) abort();
  *entry = (struct Entry){function, watch};
  watch->source = entry;
  struct epoll_event event = {.events = events, .data.ptr = entry};
  check(epoll_ctl(state->epoll_fd, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

static void io_add(void* loop, struct Watch* watch) { add(loop, watch, watch->fd, EPOLLIN, fired); }

static void io_enable(void* loop, struct Watch* watch, bool on) {
  struct State* state = loop;
  struct epoll_event event = {.events = on ? EPOLLIN : 0, .data.ptr = watch->source};
  check(epoll_ctl(state->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event), "epoll_ctl");
}

static void io_drop(void* loop, struct Watch* watch) {
  struct State* state = loop;
  check(epoll_ctl(state->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL), "epoll_ctl");
  free(watch->source);
}

static void on_signal(struct Watch* watch) {
  struct signalfd_siginfo info;
  check((int)read(watch->fd, &info, sizeof(info)), "read");
  fired(watch);
}

static void signal_add(void* loop, struct Watch* watch, int signal) {
  sigset_t mask;
  (void)sigemptyset(&mask);
  (void)sigaddset(&mask, signal);
  check(sigprocmask(SIG_BLOCK, &mask, NULL), "sigprocmask");
  watch->fd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
  check(watch->fd, "signalfd");
  add(loop, watch, watch->fd, EPOLLIN, on_signal);
}

// What a child source promises: the callback knows how the process has ended, and finds it a zombie.
static void on_child(struct Watch* watch) {
  siginfo_t info;
  check(waitid(P_PIDFD, (id_t)watch->fd, &info, WEXITED | WNOHANG | WNOWAIT), "waitid");
  fired(watch);
  check(waitid(P_PIDFD, (id_t)watch->fd, &info, WEXITED | WNOHANG), "waitid");
}

static void child_add(void* loop, struct Watch* watch, int pid) {
  watch->fd = (int)syscall(SYS_pidfd_open, pid, 0);
  check(watch->fd, "pidfd_open");
  add(loop, watch, watch->fd, EPOLLIN | EPOLLONESHOT, on_child);
}

const struct LoopOps bench_loop_ops = {
    .name = name,
    .create = create,
    .run = run,
    .io_add = io_add,
    .io_enable = io_enable,
    .io_drop = io_drop,
    .signal_add = signal_add,
    .child_add = child_add,
};
