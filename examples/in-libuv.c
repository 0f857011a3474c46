/* SPDX-License-Identifier: MIT
 *
 * in-libuv: a program on libuv's loop that uses a library which wants an sd-event loop.
 *
 * The inner loop runs in handles of libuv, uv-adapter.h. To show that wake-ups go both ways: libuv's timer ticks three
 * times, and then signals this very process; the inner loop has a source for the signal, and exits upon it. With that
 * the adapter closes its handles, libuv has nothing left to wait for, and uv_run() returns.
 *
 * The signal is blocked before anything else is done, so that libuv's own threads, which start when they are first
 * needed, inherit that: a thread that had it open would be killed by it.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "uv-adapter.h"

struct program {
  uv_timer_t timer;
  unsigned ticks;
  int result;
};

static void on_outer_tick(uv_timer_t* handle) {
  struct program* p = handle->data;
  printf("outer: tick %u\n", ++p->ticks);
  if (p->ticks < 3) return;
  uv_close((uv_handle_t*)handle, NULL);
  kill(getpid(), SIGUSR1);
}

static int on_inner_signal(sd_event_source* source, const struct signalfd_siginfo* info, void* userdata) {
  (void)userdata;
  printf("inner: %s\n", info->ssi_pid == (uint32_t)getpid() ? "a signal of ours" : "a signal");
  return sd_event_exit(sd_event_source_get_event(source), EXIT_SUCCESS);
}

static void on_inner_end(int result, void* userdata) {
  struct program* p = userdata;
  printf("inner: ended with %d\n", result);
  p->result = result;
}

int main(void) {
  struct program p = {.ticks = 0};
  struct AdapterUv adapter = {.event = NULL};
  uv_loop_t outer;
  sd_event* inner = NULL;

  int r = sd_event_default(&inner);
  if (r < 0) goto finish;
  r = sd_event_add_signal(inner, NULL, SIGUSR1 | SD_EVENT_SIGNAL_PROCMASK, on_inner_signal, NULL);
  if (r < 0) goto finish;

  r = uv_loop_init(&outer);
  if (r < 0) goto finish;
  r = adapter_uv_start(&adapter, &outer, inner, on_inner_end, &p);
  if (r >= 0) {
    uv_timer_init(&outer, &p.timer);
    p.timer.data = &p;
    uv_timer_start(&p.timer, on_outer_tick, 10, 10);
    uv_run(&outer, UV_RUN_DEFAULT);
    r = p.result;
  }
  if (uv_loop_close(&outer) < 0) fprintf(stderr, "in-libuv: a handle is left open\n");

finish:
  sd_event_unref(inner);
  if (r < 0) fprintf(stderr, "in-libuv: %s\n", strerror(-r));
  return r < 0 ? EXIT_FAILURE : r;
}
