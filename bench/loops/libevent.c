/* SPDX-License-Identifier: MIT
 *
 * libevent (Debian's libevent-dev; libevent_core is enough), without its locks: a program of one thread does not ask
 * for them. event_base_loop is not left between events: the callback that has counted enough breaks it; what is left of
 * the batch comes in the next run.
 *
 * Priorities are those of active events: a signal cannot be noticed within a batch. An event that makes itself active
 * again stands for the defer source that stays on. There are no child events but SIGCHLD.
 */
#include <event2/event.h>
#include <stdlib.h>

#include "bench/loop.h"

struct State {
  struct event_base* base;
  struct Run* run;
};

static const char* name(void) { return "libevent"; }

static void stop(void* loop) { (void)event_base_loopbreak(((struct State*)loop)->base); }

static void check(int r) {
  if (r != 0) abort();
}

static void* create(struct Run* run) {
  static struct State state;
  state.base = event_base_new();
  if (state.base && run->priorities) check(event_base_priority_init(state.base, 2));
  state.run = run;
  run->stop = stop;
  return state.base ? &state : NULL;
}

static void run(void* loop) { (void)event_base_loop(((struct State*)loop)->base, EVLOOP_NO_EXIT_ON_EMPTY); }

static void on_event(evutil_socket_t fd, short events, void* userdata) {
  (void)fd, (void)events;
  fired(userdata);
}

static void on_again(evutil_socket_t fd, short events, void* userdata) {
  struct Watch* watch = userdata;
  (void)fd, (void)events;
  event_active(watch->source, EV_TIMEOUT, 0);
  fired(watch);
}

static struct event* make(void* loop, struct Watch* watch, int fd, short events, event_callback_fn callback) {
  watch->source = event_new(((struct State*)loop)->base, fd, events, callback, watch);
  if (!watch->source) abort();
  return watch->source;
}

static void io_add(void* loop, struct Watch* watch) {
  check(event_add(make(loop, watch, watch->fd, EV_READ | EV_PERSIST, on_event), NULL));
}

static void io_enable(void* loop, struct Watch* watch, bool on) {
  (void)loop;
  check(on ? event_add(watch->source, NULL) : event_del(watch->source));
}

static void drop(void* loop, struct Watch* watch) {
  (void)loop;
  event_free(watch->source);
}

static void time_set(void* loop, struct Watch* watch, uint64_t usec) {
  const uint64_t after = relative_usec(((struct State*)loop)->run, usec);
  const struct timeval interval = {.tv_sec = (time_t)(after / 1000000), .tv_usec = (suseconds_t)(after % 1000000)};
  check(event_add(watch->source, &interval));
}

static void time_add(void* loop, struct Watch* watch, uint64_t usec) {
  (void)make(loop, watch, -1, 0, on_event);
  time_set(loop, watch, usec);
}

static void again_add(void* loop, struct Watch* watch) {
  event_active(make(loop, watch, -1, 0, on_again), EV_TIMEOUT, 0);
}

static void signal_add(void* loop, struct Watch* watch, int signal) {
  struct event* event = make(loop, watch, signal, EV_SIGNAL | EV_PERSIST, on_event);
  if (((struct State*)loop)->run->priorities) check(event_priority_set(event, 0));
  check(event_add(event, NULL));
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
};
