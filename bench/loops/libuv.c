/* SPDX-License-Identifier: MIT
 *
 * libuv (Debian's libuv1-dev), by uv_poll handles. uv_run is not left between events: the callback that has counted
 * enough stops it, after its batch.
 *
 * libuv has no priorities. A uv_idle handle stands for the defer source that stays on: it keeps the loop from sleeping,
 * and is called once in each round. Timers count milliseconds. Children are watched only by the handle that started
 * them, so there is no equivalent of a child source.
 */
#include <stdlib.h>
#include <uv.h>

#include "bench/loop.h"

struct State {
  uv_loop_t loop;
  struct Run* run;
};

static const char* name(void) { return "libuv"; }

static void check(int r) {
  if (r != 0) abort();
}

static void* allocate(size_t size, struct Watch* watch) {
  uv_handle_t* handle = malloc(size);
  if (!handle) abort();
  handle->data = watch;
  watch->source = handle;
  return handle;
}

static void stop(void* loop) { uv_stop(&((struct State*)loop)->loop); }

static void* create(struct Run* run) {
  static struct State state;
  check(uv_loop_init(&state.loop));
  state.run = run;
  run->stop = stop;
  return &state;
}

static void run(void* loop) { (void)uv_run(&((struct State*)loop)->loop, UV_RUN_DEFAULT); }

static void on_poll(uv_poll_t* poll, int status, int events) {
  (void)status, (void)events;
  fired(poll->data);
}

static void on_timer(uv_timer_t* timer) { fired(timer->data); }

static void on_idle(uv_idle_t* idle) { fired(idle->data); }

static void on_signal(uv_signal_t* signal, int number) {
  (void)number;
  fired(signal->data);
}

static void on_close(uv_handle_t* handle) { free(handle); }

static void io_add(void* loop, struct Watch* watch) {
  uv_poll_t* poll = allocate(sizeof(*poll), watch);
  check(uv_poll_init(&((struct State*)loop)->loop, poll, watch->fd));
  check(uv_poll_start(poll, UV_READABLE, on_poll));
}

static void io_enable(void* loop, struct Watch* watch, bool on) {
  (void)loop;
  check(on ? uv_poll_start(watch->source, UV_READABLE, on_poll) : uv_poll_stop(watch->source));
}

// A handle is freed when the loop goes round, so that has to be paid for.
static void io_drop(void* loop, struct Watch* watch) {
  uv_close(watch->source, on_close);
  (void)uv_run(&((struct State*)loop)->loop, UV_RUN_NOWAIT);
}

static void time_set(void* loop, struct Watch* watch, uint64_t usec) {
  const uint64_t after = relative_usec(((struct State*)loop)->run, usec);
  check(uv_timer_start(watch->source, on_timer, (after + 999) / 1000, 0));
}

static void time_add(void* loop, struct Watch* watch, uint64_t usec) {
  uv_timer_t* timer = allocate(sizeof(*timer), watch);
  check(uv_timer_init(&((struct State*)loop)->loop, timer));
  time_set(loop, watch, usec);
}

static void time_drop(void* loop, struct Watch* watch) {
  (void)loop;
  uv_close(watch->source, on_close);
}

static void again_add(void* loop, struct Watch* watch) {
  uv_idle_t* idle = allocate(sizeof(*idle), watch);
  check(uv_idle_init(&((struct State*)loop)->loop, idle));
  check(uv_idle_start(idle, on_idle));
}

static void signal_add(void* loop, struct Watch* watch, int number) {
  uv_signal_t* signal = allocate(sizeof(*signal), watch);
  check(uv_signal_init(&((struct State*)loop)->loop, signal));
  check(uv_signal_start(signal, on_signal, number));
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
};
