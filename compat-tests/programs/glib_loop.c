// SPDX-License-Identifier: MIT
//
// glib-loop SERVICE: a program on GLib's main loop, with an sd-event loop inside to which an sd-bus connection is
// attached.
//
// GLib has a socket, a timer and a signal of its own; the inner loop has as many, and the client of bus-service, which
// is started from here. foreign_work.h says what goes to and fro, bus_client_load.c what is called.
//
// The inner loop is the GSource of examples/glib-adapter.h. GLib leaves out phases of a source whose priority is worse
// than that of what is ready already: so does it here with the socket of its own, and then the next phase is a prepare
// in state ARMED.
#include <glib-unix.h>
#include <signal.h>

#include "../../examples/glib-adapter.h"
#include "bus_client.h"
#include "foreign_work.h"

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

int main(int argc, char** argv) {
  struct Client client = {0};
  struct Work work;
  EXPECT(argc == 2);
  MUST(sd_event_new(&client.event));
  work_begin(&work, client.event);
  GSource* inner = adapter_glib_source(client.event);
  g_source_set_callback(inner, G_SOURCE_FUNC(inner_ended), NULL, NULL);
  g_source_attach(inner, NULL);
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
