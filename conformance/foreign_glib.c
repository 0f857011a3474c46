// SPDX-License-Identifier: MIT
//
// A loop as a source of GLib's main loop: the cases of foreign_loop.h.
//
// GLib asks a source in three phases: prepare (may I sleep?), check (is it ready now?), dispatch. It leaves out phases
// of sources that are of worse priority than what is ready already: after a prepare there need not be a check, and the
// next thing may be a prepare, in state ARMED. So the three go by the state of the loop (`to_rest`).
//
// Each run has a context of its own.
#include <glib-unix.h>

#include "foreign_loop.h"

struct LoopSource {
  GSource base;
  struct Outer* outer;
  GMainLoop* main_loop;
  unsigned armed_again;
};

static gboolean prepare(GSource* source, gint* timeout) {
  struct LoopSource* s = (struct LoopSource*)source;
  *timeout = -1;
  s->armed_again += in_state(s->outer->loop, SD_EVENT_ARMED);
  return to_rest(s->outer->loop);
}

static gboolean check(GSource* source) { return looked(((struct LoopSource*)source)->outer->loop); }

static gboolean dispatch(GSource* source, GSourceFunc callback, gpointer userdata) {
  struct LoopSource* s = (struct LoopSource*)source;
  (void)callback;
  (void)userdata;
  dispatch_one(s->outer->loop);
  if (!finished(s->outer->loop)) return G_SOURCE_CONTINUE;
  g_main_loop_quit(s->main_loop);
  return G_SOURCE_REMOVE;
}

static GSourceFuncs kFunctions = {.prepare = prepare, .check = check, .dispatch = dispatch};

static gboolean on_own_fd(gint fd, GIOCondition condition, gpointer userdata) {
  (void)fd;
  (void)condition;
  serve(userdata);
  return G_SOURCE_CONTINUE;
}

static GSource* attach_own_fd(GMainContext* context, struct Outer* outer, int priority) {
  GSource* source = g_unix_fd_source_new(outer->fd, G_IO_IN);
  g_source_set_callback(source, G_SOURCE_FUNC(on_own_fd), outer, NULL);
  g_source_set_priority(source, priority);
  g_source_attach(source, context);
  return source;
}

// Returns how often `prepare` found the loop ARMED.
static unsigned run_at_priority(struct Outer* outer, int priority_of_own_fd) {
  GMainContext* context = g_main_context_new();
  GMainLoop* main_loop = g_main_loop_new(context, FALSE);
  struct LoopSource* source = (struct LoopSource*)g_source_new(&kFunctions, sizeof(*source));
  source->outer = outer;
  source->main_loop = main_loop;
  source->armed_again = 0;
  g_source_add_unix_fd(&source->base, sd_event_get_fd(outer->loop), G_IO_IN);
  g_source_attach(&source->base, context);
  GSource* own = attach_own_fd(context, outer, priority_of_own_fd);
  g_main_loop_run(main_loop);
  const unsigned armed_again = source->armed_again;
  g_source_destroy(own);
  g_source_unref(own);
  g_source_unref(&source->base);
  g_main_loop_unref(main_loop);
  g_main_context_unref(context);
  return armed_again;
}

static void in_glib(struct Outer* outer) { (void)run_at_priority(outer, G_PRIORITY_DEFAULT); }
static void in_glib_behind_others(struct Outer* outer) { (void)run_at_priority(outer, G_PRIORITY_HIGH); }

static void raise_again(struct Outer* outer) {
  if (outer->served < 3) return raise_eventfd(outer->fd);
  request_exit(outer);
}

static void a_phase_that_is_left_out_leaves_the_loop_armed_and_loses_nothing(void** state) {
  (void)state;
  struct Outer outer = make_outer();
  struct Probe a = {.name = "a", .act = act_lower};
  int fd = make_eventfd(0);
  outer.on_served = raise_again;
  probe_io(outer.loop, &a, fd, EPOLLIN);
  raise_eventfd(outer.fd);
  // GLib does not get to the check of the loop as long as its own source of better priority is ready.
  assert_true(run_at_priority(&outer, G_PRIORITY_HIGH) > 0);
  assert_int_equal(outer.served, 3);
  assert_journal("");
  free_probe(&a);
  close(fd);
  free_outer(&outer);
}

int main(void) {
  exit_77_without_pidfds();
  const struct CMUnitTest tests[] = {
      foreign_tests(in_glib),
      foreign_tests(in_glib_behind_others),
      recorded_test(a_phase_that_is_left_out_leaves_the_loop_armed_and_loses_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
