/* SPDX-License-Identifier: MIT
 *
 * GLib (Debian's libglib2.0-dev), by a GMainLoop on the default context. It polls all descriptors each time; the
 * callback that has counted enough quits the loop, after its batch.
 *
 * GLib has strict priorities among what is ready in one poll. An idle source at the default priority stands for the
 * defer source that stays on.
 */
#include <glib-unix.h>
#include <glib.h>

#include "bench/loop.h"

struct State {
  GMainLoop* loop;
  struct Run* run;
};

static const char* name(void) { return "glib"; }

static void stop(void* loop) { g_main_loop_quit(((struct State*)loop)->loop); }

static void* create(struct Run* run) {
  static struct State state;
  state.loop = g_main_loop_new(NULL, FALSE);
  state.run = run;
  run->stop = stop;
  return &state;
}

static void run(void* loop) { g_main_loop_run(((struct State*)loop)->loop); }

static gboolean on_fd(gint fd, GIOCondition condition, gpointer userdata) {
  (void)fd, (void)condition;
  fired(userdata);
  return G_SOURCE_CONTINUE;
}

static gboolean on_source(gpointer userdata) {
  fired(userdata);
  return G_SOURCE_CONTINUE;
}

// A timer that stays, but is due never again until it is set.
static gboolean on_timer(gpointer userdata) {
  struct Watch* watch = userdata;
  g_source_set_ready_time(watch->source, -1);
  fired(watch);
  return G_SOURCE_CONTINUE;
}

static void on_child(GPid pid, gint status, gpointer userdata) {
  (void)pid, (void)status;
  fired(userdata);
}

static gboolean dispatch_timer(GSource* source, GSourceFunc callback, gpointer userdata) {
  (void)source;
  return callback(userdata);
}

static void attach(struct Watch* watch, GSource* source, GSourceFunc callback) {
  watch->source = source;
  g_source_set_callback(source, callback, watch, NULL);
  (void)g_source_attach(source, NULL);
}

static void io_add(void* loop, struct Watch* watch) {
  (void)loop;
  attach(watch, g_unix_fd_source_new(watch->fd, G_IO_IN), G_SOURCE_FUNC(on_fd));
}

static void drop(void* loop, struct Watch* watch) {
  (void)loop;
  g_source_destroy(watch->source);
  g_source_unref(watch->source);
}

static void time_add(void* loop, struct Watch* watch, uint64_t usec) {
  static GSourceFuncs functions = {.dispatch = dispatch_timer};
  (void)loop;
  GSource* source = g_source_new(&functions, sizeof(*source));
  g_source_set_ready_time(source, (gint64)usec);
  attach(watch, source, on_timer);
}

static void time_set(void* loop, struct Watch* watch, uint64_t usec) {
  (void)loop;
  g_source_set_ready_time(watch->source, (gint64)usec);
}

static void again_add(void* loop, struct Watch* watch) {
  (void)loop;
  GSource* source = g_idle_source_new();
  g_source_set_priority(source, G_PRIORITY_DEFAULT);
  attach(watch, source, on_source);
}

static void signal_add(void* loop, struct Watch* watch, int signal) {
  GSource* source = g_unix_signal_source_new(signal);
  if (((struct State*)loop)->run->priorities) g_source_set_priority(source, G_PRIORITY_HIGH);
  attach(watch, source, on_source);
}

static void child_add(void* loop, struct Watch* watch, int pid) {
  (void)loop;
  attach(watch, g_child_watch_source_new(pid), G_SOURCE_FUNC(on_child));
}

const struct LoopOps bench_loop_ops = {
    .name = name,
    .create = create,
    .run = run,
    .io_add = io_add,
    .io_drop = drop,
    .time_add = time_add,
    .time_set = time_set,
    .time_drop = drop,
    .again_add = again_add,
    .signal_add = signal_add,
    .child_add = child_add,
    .time_limit = 20000,
};
