// SPDX-License-Identifier: MIT
//
// glib-loop SERVICE: a program on GLib's main loop, with an sd-event loop inside to which an sd-bus connection is
// attached.
//
// GLib has a socket, a timer and a signal of its own; the inner loop has as many, and the client of bus-service, which
// is started from here. foreign_work.h says what goes to and fro, bus_client_load.c what is called.
//
// The inner loop is a GSource. GLib asks it in three phases (prepare, check, dispatch), and leaves out those of a
// source whose priority is worse than that of what is ready already: so does it here with the socket of its own, and
// then the next phase is a prepare in state ARMED, where to_rest knows the way.
#include <glib-unix.h>
#include <signal.h>

#include "bus_client.h"
#include "foreign_work.h"

struct LoopSource {
  GSource base;
  sd_event* event;
};

static gboolean prepare(GSource* source, gint* timeout) {
  *timeout = -1;
  return to_rest(((struct LoopSource*)source)->event);
}

static gboolean check(GSource* source) {
  sd_event* event = ((struct LoopSource*)source)->event;
  if (sd_event_get_state(event) == SD_EVENT_ARMED) MUST(sd_event_wait(event, 0));
  return sd_event_get_state(event) == SD_EVENT_PENDING;
}

static gboolean dispatch(GSource* source, GSourceFunc callback, gpointer userdata) {
  (void)callback;
  (void)userdata;
  dispatch_one(((struct LoopSource*)source)->event);
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs kFunctions = {.prepare = prepare, .check = check, .dispatch = dispatch};

static gboolean on_readable(gint fd, GIOCondition condition, gpointer userdata) {
  (void)fd;
  (void)condition;
  outer_readable(userdata);
  return G_SOURCE_CONTINUE;
}

static gboolean on_tick(gpointer userdata) { return outer_tick(userdata) ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE; }

static gboolean on_signal(gpointer userdata) {
  outer_signal(userdata);
  return G_SOURCE_CONTINUE;
}

void run_until(struct Client* client, const bool* done) {
  (void)client;
  while (!*done) g_main_context_iteration(NULL, TRUE);
}

static GSource* attach_inner(sd_event* event) {
  GSource* source = g_source_new(&kFunctions, sizeof(struct LoopSource));
  ((struct LoopSource*)source)->event = event;
  g_source_add_unix_fd(source, sd_event_get_fd(event), G_IO_IN);
  g_source_attach(source, NULL);
  return source;
}

int main(int argc, char** argv) {
  struct Client client = {0};
  struct Work work;
  EXPECT(argc == 2);
  MUST(sd_event_new(&client.event));
  work_begin(&work, client.event);
  GSource* inner = attach_inner(client.event);
  const guint own = g_unix_fd_add_full(G_PRIORITY_HIGH, work.outer_fd, G_IO_IN, on_readable, &work, NULL);
  const guint signals = g_unix_signal_add(SIGUSR1, on_signal, &work);
  g_timeout_add(kTickMsec, on_tick, &work);

  connect_to(&client, argv[1]);
  many_late_answers(&client);
  many_calls(&client);
  many_signals(&client);
  run_until(&client, &work.done);
  disconnect(&client);

  work_end(&work);
  g_source_remove(own);
  g_source_remove(signals);
  g_source_destroy(inner);
  g_source_unref(inner);
  sd_event_unref(client.event);
  return EXIT_SUCCESS;
}
