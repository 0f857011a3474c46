/* SPDX-License-Identifier: MIT
 *
 * tevent (Debian's libtevent-dev), with the back end that tevent chooses. tevent_loop_once handles one event, so
 * leaving it between events is what any program does.
 *
 * Its order is fixed: signals, immediates, timers, descriptors. An immediate that schedules itself again stands for the
 * defer source that stays on. It has no child sources.
 */
#include <stdlib.h>
#include <talloc.h>
#include <tevent.h>

#include "bench/loop.h"

struct State {
  struct tevent_context* context;
  struct Run* run;
};

static const char* name(void) { return "tevent"; }

static void stop(void* loop) { (void)loop; }  // `run` looks at what is left.

static void* create(struct Run* run) {
  static struct State state;
  state.context = tevent_context_init(NULL);
  state.run = run;
  run->stop = stop;
  return state.context ? &state : NULL;
}

static void run(void* loop) {
  struct State* state = loop;
  while (state->run->left > 0) {
    if (tevent_loop_once(state->context) != 0) abort();
  }
}

static void on_fd(struct tevent_context* context, struct tevent_fd* fd, uint16_t flags, void* userdata) {
  (void)context, (void)fd, (void)flags;
  fired(userdata);
}

static void on_timer(struct tevent_context* context, struct tevent_timer* timer, struct timeval now, void* userdata) {
  struct Watch* watch = userdata;
  (void)context, (void)timer, (void)now;
  watch->source = NULL;  // A timer that has fired is freed by tevent.
  fired(watch);
}

static void on_immediate(struct tevent_context* context, struct tevent_immediate* immediate, void* userdata) {
  tevent_schedule_immediate(immediate, context, on_immediate, userdata);
  fired(userdata);
}

static void on_signal(struct tevent_context* context, struct tevent_signal* signal, int number, int count, void* info,
                      void* userdata) {
  (void)context, (void)signal, (void)number, (void)count, (void)info;
  fired(userdata);
}

static void* given(void* source) {
  if (!source) abort();
  return source;
}

static void io_add(void* loop, struct Watch* watch) {
  struct tevent_context* context = ((struct State*)loop)->context;
  watch->source = given(tevent_add_fd(context, context, watch->fd, TEVENT_FD_READ, on_fd, watch));
}

static void io_enable(void* loop, struct Watch* watch, bool on) {
  (void)loop;
  tevent_fd_set_flags(watch->source, on ? TEVENT_FD_READ : 0);
}

static void drop(void* loop, struct Watch* watch) {
  (void)loop;
  TALLOC_FREE(watch->source);
}

static void time_add(void* loop, struct Watch* watch, uint64_t usec) {
  struct State* state = loop;
  const uint64_t after = relative_usec(state->run, usec);
  const struct timeval then = tevent_timeval_current_ofs((uint32_t)(after / 1000000), (uint32_t)(after % 1000000));
  watch->source = given(tevent_add_timer(state->context, state->context, then, on_timer, watch));
}

static void time_set(void* loop, struct Watch* watch, uint64_t usec) {
  if (watch->source) drop(loop, watch);
  time_add(loop, watch, usec);
}

static void again_add(void* loop, struct Watch* watch) {
  struct tevent_context* context = ((struct State*)loop)->context;
  struct tevent_immediate* immediate = given(tevent_create_immediate(context));
  watch->source = immediate;
  tevent_schedule_immediate(immediate, context, on_immediate, watch);
}

static void signal_add(void* loop, struct Watch* watch, int signal) {
  struct tevent_context* context = ((struct State*)loop)->context;
  watch->source = given(tevent_add_signal(context, context, signal, 0, on_signal, watch));
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
    .time_limit = 20000,
};
