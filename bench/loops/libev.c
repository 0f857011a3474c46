/* SPDX-License-Identifier: MIT
 *
 * libev (Debian's libev-dev), on its default loop, with the back end that libev chooses. ev_run is not left between
 * events: the callback that has counted enough breaks it, after its batch.
 *
 * libev has priorities, which order what is in one batch; a signal cannot preempt the batch. An ev_idle watcher that is
 * always started stands for the defer source that stays on. Children are watched on the default loop alone.
 */
#include <ev.h>
#include <stdlib.h>

#include "bench/loop.h"

struct State {
  struct ev_loop* loop;
  struct Run* run;
};

static const char* name(void) { return "libev"; }

static void stop(void* loop) { ev_break(((struct State*)loop)->loop, EVBREAK_ALL); }

static void* create(struct Run* run) {
  static struct State state;
  state.loop = ev_default_loop(EVFLAG_AUTO);
  state.run = run;
  run->stop = stop;
  return state.loop ? &state : NULL;
}

static void run(void* loop) { (void)ev_run(((struct State*)loop)->loop, 0); }

static void* allocate(size_t size) {
  void* memory = malloc(size);
  if (!memory) abort();
  return memory;
}

static void on_io(struct ev_loop* loop, ev_io* io, int events) {
  (void)loop, (void)events;
  fired(io->data);
}

static void on_timer(struct ev_loop* loop, ev_timer* timer, int events) {
  (void)loop, (void)events;
  fired(timer->data);
}

static void on_idle(struct ev_loop* loop, ev_idle* idle, int events) {
  (void)loop, (void)events;
  fired(idle->data);
}

static void on_signal(struct ev_loop* loop, ev_signal* signal, int events) {
  (void)loop, (void)events;
  fired(signal->data);
}

static void on_child(struct ev_loop* loop, ev_child* child, int events) {
  (void)events;
  ev_child_stop(loop, child);
  fired(child->data);
}

static void io_add(void* loop, struct Watch* watch) {
  ev_io* io = allocate(sizeof(*io));
  ev_io_init(io, on_io, watch->fd, EV_READ);
  io->data = watch;
  watch->source = io;
  ev_io_start(((struct State*)loop)->loop, io);
}

static void io_enable(void* loop, struct Watch* watch, bool on) {
  struct State* state = loop;
  if (on) {
    ev_io_start(state->loop, watch->source);
  } else {
    ev_io_stop(state->loop, watch->source);
  }
}

static void io_drop(void* loop, struct Watch* watch) {
  ev_io_stop(((struct State*)loop)->loop, watch->source);
  free(watch->source);
}

static double seconds(const struct Run* run, uint64_t usec) { return (double)relative_usec(run, usec) / 1e6; }

static void time_add(void* loop, struct Watch* watch, uint64_t usec) {
  struct State* state = loop;
  ev_timer* timer = allocate(sizeof(*timer));
  ev_timer_init(timer, on_timer, seconds(state->run, usec), 0);
  timer->data = watch;
  watch->source = timer;
  ev_timer_start(state->loop, timer);
}

static void time_set(void* loop, struct Watch* watch, uint64_t usec) {
  struct State* state = loop;
  ev_timer* timer = watch->source;
  ev_timer_stop(state->loop, timer);
  ev_timer_set(timer, seconds(state->run, usec), 0);
  ev_timer_start(state->loop, timer);
}

static void time_drop(void* loop, struct Watch* watch) {
  ev_timer_stop(((struct State*)loop)->loop, watch->source);
  free(watch->source);
}

static void again_add(void* loop, struct Watch* watch) {
  ev_idle* idle = allocate(sizeof(*idle));
  ev_idle_init(idle, on_idle);
  idle->data = watch;
  watch->source = idle;
  ev_idle_start(((struct State*)loop)->loop, idle);
}

static void signal_add(void* loop, struct Watch* watch, int number) {
  struct State* state = loop;
  ev_signal* signal = allocate(sizeof(*signal));
  ev_signal_init(signal, on_signal, number);
  if (state->run->priorities) ev_set_priority(signal, EV_MAXPRI);
  signal->data = watch;
  watch->source = signal;
  ev_signal_start(state->loop, signal);
}

static void child_add(void* loop, struct Watch* watch, int pid) {
  ev_child* child = allocate(sizeof(*child));
  ev_child_init(child, on_child, pid, 0);
  child->data = watch;
  watch->source = child;
  ev_child_start(((struct State*)loop)->loop, child);
}

const struct LoopOps bench_loop_ops = {
    .name = name,
    .create = create,
    .run = run,
    .io_add = io_add,
    .io_enable = io_enable,
    .io_drop = io_drop,
    .time_add = time_add,
    .time_set = time_set,
    .time_drop = time_drop,
    .again_add = again_add,
    .signal_add = signal_add,
    .child_add = child_add,
};
