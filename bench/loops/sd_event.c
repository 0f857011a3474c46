/* SPDX-License-Identifier: MIT
 *
 * sd-event: compiled once; bench-loop-reference.so is this object linked to libsystemd, bench-loop-evenkeel.so the same
 * object linked to libevenkeel. The name is that of the library to which the calls were bound in fact, so a run of the
 * reference with ours preloaded is reported as ours.
 *
 * What is measured is sd_event_loop, as in most programs. After that an sd-event loop has finished for good, so to warm
 * it up it is driven by sd_event_run, once a dispatch.
 */
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "bench/loop.h"

static void check(int r, const char* what) {
  if (r >= 0) return;
  fprintf(stderr, "failed: %s (%s)\n", what, strerror(-r));
  exit(EXIT_FAILURE);
}

static const char* name(void) {
  Dl_info info;
  if (!dladdr((void*)(uintptr_t)sd_event_run, &info)) return "unknown";
  return strstr(info.dli_fname, "evenkeel") ? "evenkeel" : "reference";
}

static int on_io(sd_event_source* source, int fd, uint32_t revents, void* userdata) {
  (void)source, (void)fd, (void)revents;
  fired(userdata);
  return 0;
}

static int on_time(sd_event_source* source, uint64_t usec, void* userdata) {
  (void)source, (void)usec;
  fired(userdata);
  return 0;
}

static int on_defer(sd_event_source* source, void* userdata) {
  (void)source;
  fired(userdata);
  return 0;
}

static int on_signal(sd_event_source* source, const struct signalfd_siginfo* info, void* userdata) {
  (void)source, (void)info;
  fired(userdata);
  return 0;
}

static int on_child(sd_event_source* source, const siginfo_t* info, void* userdata) {
  (void)source, (void)info;
  fired(userdata);
  return 0;
}

struct State {
  sd_event* event;
  struct Run* run;
};

// Without sd_event_loop, `run` looks at what is left.
static void stop(void* loop) {
  struct State* state = loop;
  if (state->run->last) check(sd_event_exit(state->event, 0), "sd_event_exit");
}

static void* create(struct Run* run) {
  static struct State state;
  check(sd_event_new(&state.event), "sd_event_new");
  state.run = run;
  run->stop = stop;
  return &state;
}

static void run(void* loop) {
  struct State* state = loop;
  if (state->run->last) {
    if (state->run->left > 0) check(sd_event_loop(state->event), "sd_event_loop");
    return;
  }
  while (state->run->left > 0) check(sd_event_run(state->event, UINT64_MAX), "sd_event_run");
}

static void io_add(void* loop, struct Watch* watch) {
  struct State* state = loop;
  check(sd_event_add_io(state->event, (sd_event_source**)&watch->source, watch->fd, EPOLLIN, on_io, watch), "add_io");
}

static void io_enable(void* loop, struct Watch* watch, bool on) {
  (void)loop;
  check(sd_event_source_set_enabled(watch->source, on ? SD_EVENT_ON : SD_EVENT_OFF), "set_enabled");
}

static void drop(void* loop, struct Watch* watch) {
  (void)loop;
  watch->source = sd_event_source_unref(watch->source);
}

static void time_add(void* loop, struct Watch* watch, uint64_t usec) {
  struct State* state = loop;
  check(sd_event_add_time(state->event, (sd_event_source**)&watch->source, CLOCK_MONOTONIC, usec, state->run->accuracy,
                          on_time, watch),
        "add_time");
}

// A timer of sd-event is one-shot, and turned off by firing: once for all that has fired (those have `work`) it is
// turned on again.
static void time_set(void* loop, struct Watch* watch, uint64_t usec) {
  (void)loop;
  check(sd_event_source_set_time(watch->source, usec), "set_time");
  if (watch->work) check(sd_event_source_set_enabled(watch->source, SD_EVENT_ONESHOT), "set_enabled");
}

static void again_add(void* loop, struct Watch* watch) {
  struct State* state = loop;
  check(sd_event_add_defer(state->event, (sd_event_source**)&watch->source, on_defer, watch), "add_defer");
  check(sd_event_source_set_enabled(watch->source, SD_EVENT_ON), "set_enabled");
}

static void signal_add(void* loop, struct Watch* watch, int signal) {
  struct State* state = loop;
  sigset_t mask;
  (void)sigemptyset(&mask);
  (void)sigaddset(&mask, signal);
  check(-sigprocmask(SIG_BLOCK, &mask, NULL), "sigprocmask");
  check(sd_event_add_signal(state->event, (sd_event_source**)&watch->source, signal, on_signal, watch), "add_signal");
  if (state->run->priorities) check(sd_event_source_set_priority(watch->source, -100), "set_priority");
}

static void child_add(void* loop, struct Watch* watch, int pid) {
  struct State* state = loop;
  check(sd_event_add_child(state->event, (sd_event_source**)&watch->source, pid, WEXITED, on_child, watch),
        "add_child");
}

const struct LoopOps bench_loop_ops = {
    .name = name,
    .create = create,
    .run = run,
    .io_add = io_add,
    .io_enable = io_enable,
    .io_drop = drop,
    .time_add = time_add,
    .time_set = time_set,
    .time_drop = drop,
    .again_add = again_add,
    .signal_add = signal_add,
    .child_add = child_add,
};
