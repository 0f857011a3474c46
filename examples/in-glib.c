/* SPDX-License-Identifier: MIT
 *
 * in-glib: a program on GLib's main loop that uses a library which wants an sd-event loop.
 *
 * The inner loop is a GSource, glib-adapter.h. To show that wake-ups go both ways: GLib's timer ticks three times, and
 * then turns a timer of the inner loop on; that one asks the inner loop to exit, and with it the program ends. Between
 * them nothing but the descriptor of the inner loop can wake GLib up.
 *
 * The two loops run in one thread, a callback of one never interrupts a callback of the other, and each may call into
 * the other's API.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "glib-adapter.h"

struct program {
  GMainLoop* outer;
  sd_event_source* timer; /* of the inner loop */
  unsigned ticks;
  int result;
};

static gboolean on_outer_tick(gpointer userdata) {
  struct program* p = userdata;
  printf("outer: tick %u\n", ++p->ticks);
  if (p->ticks < 3) return G_SOURCE_CONTINUE;
  /* The adapter asks the inner loop before GLib sleeps, so this counts at once. */
  int r = sd_event_source_set_time_relative(p->timer, 20000);
  if (r >= 0) r = sd_event_source_set_enabled(p->timer, SD_EVENT_ONESHOT);
  if (r < 0) {
    p->result = r;
    g_main_loop_quit(p->outer);
  }
  return G_SOURCE_REMOVE;
}

static int on_inner_time(sd_event_source* source, uint64_t usec, void* userdata) {
  (void)usec, (void)userdata;
  printf("inner: the time has come\n");
  return sd_event_exit(sd_event_source_get_event(source), EXIT_SUCCESS);
}

static void on_inner_end(int result, gpointer userdata) {
  struct program* p = userdata;
  printf("inner: ended with %d\n", result);
  p->result = result;
  g_main_loop_quit(p->outer);
}

int main(void) {
  struct program p = {.ticks = 0};
  sd_event* inner = NULL;

  int r = sd_event_default(&inner);
  if (r < 0) goto finish;
  r = sd_event_add_time(inner, &p.timer, CLOCK_MONOTONIC, 0, 1, on_inner_time, NULL);
  if (r < 0) goto finish;
  r = sd_event_source_set_enabled(p.timer, SD_EVENT_OFF);
  if (r < 0) goto finish;

  p.outer = g_main_loop_new(NULL, FALSE);
  GSource* adapter = adapter_glib_source(inner);
  g_source_set_callback(adapter, G_SOURCE_FUNC(on_inner_end), &p, NULL);
  g_source_attach(adapter, NULL);
  g_timeout_add(10, on_outer_tick, &p);
  g_main_loop_run(p.outer);
  r = p.result;
  g_source_destroy(adapter);
  g_source_unref(adapter);
  g_main_loop_unref(p.outer);

finish:
  sd_event_source_disable_unref(p.timer);
  sd_event_unref(inner);
  if (r < 0) fprintf(stderr, "in-glib: %s\n", strerror(-r));
  return r < 0 ? EXIT_FAILURE : r;
}
