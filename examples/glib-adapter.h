/* SPDX-License-Identifier: MIT
 *
 * A GSource that runs an sd-event loop inside of GLib's main loop.
 *
 *   GSource* source = adapter_glib_source(event);
 *   g_source_set_callback(source, G_SOURCE_FUNC(on_end), data, NULL);
 *   g_source_attach(source, NULL);
 *   g_source_unref(source);
 *
 * The phases of a GSource are those of adapter.h: prepare, check, dispatch. GLib leaves out check and dispatch of a
 * source when one of better priority is ready, and then calls prepare again.
 *
 * When the loop has finished, or failed, the callback (AdapterEnded) gets its exit code or -errno, and the source is
 * removed. The source holds a reference on the loop. Sources of the loop may be added and changed by anything that runs
 * in the same thread: prepare comes before the next sleep.
 */
#pragma once

#include <glib.h>

#include "adapter.h"

typedef void (*AdapterEnded)(int result, gpointer userdata);

struct AdapterGlib {
  GSource base;
  sd_event* event;
  int failure;
};

static inline gboolean adapter_glib_ready(struct AdapterGlib* adapter, int result) {
  /* Dispatch is called next, and tells of the failure. */
  if (result < 0) adapter->failure = result;
  return result != 0;
}

static inline gboolean adapter_glib_prepare(GSource* source, gint* timeout) {
  struct AdapterGlib* adapter = (struct AdapterGlib*)source;
  *timeout = -1; /* The descriptor tells of times as well. */
  return adapter_glib_ready(adapter, adapter_before_sleep(adapter->event));
}

static inline gboolean adapter_glib_check(GSource* source) {
  struct AdapterGlib* adapter = (struct AdapterGlib*)source;
  return adapter_glib_ready(adapter, adapter_after_sleep(adapter->event));
}

static inline gboolean adapter_glib_dispatch(GSource* source, GSourceFunc callback, gpointer userdata) {
  struct AdapterGlib* adapter = (struct AdapterGlib*)source;
  const int r = adapter->failure < 0 ? adapter->failure : adapter_dispatch(adapter->event);
  if (r > 0) return G_SOURCE_CONTINUE;
  if (callback) ((AdapterEnded)(void (*)(void))callback)(adapter_result(adapter->event, r), userdata);
  return G_SOURCE_REMOVE;
}

static inline void adapter_glib_finalize(GSource* source) { sd_event_unref(((struct AdapterGlib*)source)->event); }

static inline GSource* adapter_glib_source(sd_event* event) {
  static GSourceFuncs functions = {.prepare = adapter_glib_prepare,
                                   .check = adapter_glib_check,
                                   .dispatch = adapter_glib_dispatch,
                                   .finalize = adapter_glib_finalize};
  GSource* source = g_source_new(&functions, sizeof(struct AdapterGlib));
  struct AdapterGlib* adapter = (struct AdapterGlib*)source;
  adapter->event = sd_event_ref(event);
  adapter->failure = 0;
  g_source_add_unix_fd(source, sd_event_get_fd(event), G_IO_IN);
  return source;
}
