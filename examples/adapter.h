/* SPDX-License-Identifier: MIT
 *
 * An sd-event loop inside of another loop: what has to be done in each phase of that one, whichever it is.
 *
 *   before the other loop sleeps    adapter_before_sleep: may it sleep on sd_event_get_fd()?
 *   when it has slept               adapter_after_sleep: is there anything to dispatch?
 *   then                            adapter_dispatch: one source
 *
 * Invariants:
 *  1. Each goes by the state of the loop, not by what was called last. Other loops leave out phases (GLib does when
 *     something of better priority is ready), and come back in state ARMED; the way on from there is sd_event_wait()
 *     with a timeout of 0, never sd_event_prepare(), which is -EBUSY.
 *  2. The other loop sleeps in state ARMED only, with nothing changed since adapter_before_sleep: it is there that new
 *     sources and new times are taken into account.
 *  3. One source is dispatched a round, so that neither loop starves the other.
 *
 * 1: there is something to dispatch, or the loop has finished; 0: there is not. Else -errno: the loop has failed, and
 * is not to be asked again. glib-adapter.h and uv-adapter.h are made of these; a loop of poll() needs nothing else.
 */
#pragma once

#include <systemd/sd-event.h>

static inline int adapter_after_sleep(sd_event* event) {
  if (sd_event_get_state(event) == SD_EVENT_ARMED) {
    const int r = sd_event_wait(event, 0);
    if (r < 0) return r;
  }
  const int state = sd_event_get_state(event);
  return state < 0 ? state : state == SD_EVENT_PENDING || state == SD_EVENT_FINISHED;
}

static inline int adapter_before_sleep(sd_event* event) {
  int r = adapter_after_sleep(event);
  if (r == 0 && sd_event_get_state(event) == SD_EVENT_INITIAL) r = sd_event_prepare(event);
  return r;
}

/* 1: the loop goes on, 0: it has finished. */
static inline int adapter_dispatch(sd_event* event) {
  if (sd_event_get_state(event) == SD_EVENT_PENDING) return sd_event_dispatch(event);
  return sd_event_get_state(event) != SD_EVENT_FINISHED;
}

/* What the loop came to: its exit code, or `failure`, which is -errno, if that is not 0. */
static inline int adapter_result(sd_event* event, int failure) {
  int code = 0;
  const int r = failure < 0 ? failure : sd_event_get_exit_code(event, &code);
  return r < 0 ? r : code;
}
