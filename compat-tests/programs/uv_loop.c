// SPDX-License-Identifier: MIT
//
// uv-loop SERVICE: a program on libuv's loop, with an sd-event loop inside to which an sd-bus connection is attached.
//
// libuv has a socket, a timer and a signal of its own; the inner loop has as many, and the client of bus-service, which
// is started from here. foreign_work.h says what goes to and fro, bus_client_load.c what is called.
//
// The inner loop runs in the handles of examples/uv-adapter.h.
#include <signal.h>
#include <uv.h>

#include "../../examples/uv-adapter.h"
#include "bus_client.h"
#include "foreign_work.h"

struct Program {
  struct Client client;
  struct Work work;
  struct AdapterUv inner;
  uv_poll_t own;
  uv_timer_t timer;
  uv_signal_t signal;
};

static void on_readable(uv_poll_t* handle, int status, int events) {
  struct Program* p = handle->data;
  EXPECT(status == 0 && events == UV_READABLE);
  outer_readable(&p->work);
}

static void on_timer(uv_timer_t* handle) {
  struct Program* p = handle->data;
  if (!outer_tick(&p->work)) uv_timer_stop(handle);
}

static void on_signal(uv_signal_t* handle, int number) {
  struct Program* p = handle->data;
  EXPECT(number == SIGUSR1);
  outer_signal(&p->work);
}

static void attach(struct Program* p, uv_loop_t* loop) {
  MUST(adapter_uv_start(&p->inner, loop, p->client.event, inner_ended, NULL));
  uv_timer_init(loop, &p->timer);
  uv_signal_init(loop, &p->signal);
  MUST(uv_poll_init(loop, &p->own, p->work.outer_fd));
  p->own.data = p->timer.data = p->signal.data = p;
  MUST(uv_poll_start(&p->own, UV_READABLE, on_readable));
  MUST(uv_timer_start(&p->timer, on_timer, kTickMsec, kTickMsec));
  MUST(uv_signal_start(&p->signal, on_signal, SIGUSR1));
}

void run_until(struct Client* client, const bool* done) {
  (void)client;
  while (!*done) uv_run(uv_default_loop(), UV_RUN_ONCE);
}

static void close_handle(uv_handle_t* handle, void* unused) {
  (void)unused;
  if (!uv_is_closing(handle)) uv_close(handle, NULL);
}

int main(int argc, char** argv) {
  struct Program p = {.client = {.event = NULL}};
  EXPECT(argc == 2);
  MUST(sd_event_new(&p.client.event));
  work_begin(&p.work, p.client.event);
  attach(&p, uv_default_loop());

  connect_to(&p.client, argv[1]);
  many_late_answers(&p.client);
  many_calls(&p.client);
  many_signals(&p.client);
  run_until(&p.client, &p.work.done);
  disconnect(&p.client);

  adapter_uv_stop(&p.inner);
  uv_walk(uv_default_loop(), close_handle, NULL);
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  MUST(uv_loop_close(uv_default_loop()));
  work_end(&p.work);
  sd_event_unref(p.client.event);
  return EXIT_SUCCESS;
}
