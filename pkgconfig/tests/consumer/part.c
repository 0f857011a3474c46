// SPDX-License-Identifier: MIT
//
// See split.c: a loop that is left at once, with 9.
#include <systemd/sd-event.h>

int run_loop(void);

static int leave(sd_event_source* source, void* userdata) {
  (void)userdata;
  return sd_event_exit(sd_event_source_get_event(source), 9);
}

int run_loop(void) {
  sd_event* event = NULL;
  int r = sd_event_new(&event);
  if (r >= 0) r = sd_event_add_defer(event, NULL, leave, NULL);
  if (r >= 0) r = sd_event_loop(event);
  sd_event_unref(event);
  return r;
}
