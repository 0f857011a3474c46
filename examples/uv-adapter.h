/* SPDX-License-Identifier: MIT
 *
 * An sd-event loop inside of libuv's.
 *
 *   struct AdapterUv adapter;
 *   int r = adapter_uv_start(&adapter, uv_default_loop(), event, on_end, data);
 *   uv_run(uv_default_loop(), UV_RUN_DEFAULT);
 *
 * libuv has a handle for each phase of adapter.h: uv_prepare runs before it sleeps, uv_poll wakes it up, uv_check runs
 * after that. uv_idle keeps it from sleeping as long as something is pending.
 *
 * When the loop has finished, or failed, `ended` gets its exit code or -errno; the handles are closed by then, so that
 * they don't keep uv_run(). The adapter holds a reference on the loop. Its memory is the caller's, and must stay until
 * libuv has closed the handles, that is until uv_run() has returned, or one round later after adapter_uv_stop().
 */
#pragma once

#include <uv.h>

#include "adapter.h"

typedef void (*AdapterEnded)(int result, void* userdata);

struct AdapterUv {
  sd_event* event;
  AdapterEnded ended;
  void* userdata;
  uv_prepare_t prepare;
  uv_check_t check;
  uv_idle_t idle;
  uv_poll_t poll;
};

static inline void adapter_uv_stop(struct AdapterUv* adapter) {
  if (!adapter->event) return;
  uv_close((uv_handle_t*)&adapter->prepare, NULL);
  uv_close((uv_handle_t*)&adapter->check, NULL);
  uv_close((uv_handle_t*)&adapter->idle, NULL);
  uv_close((uv_handle_t*)&adapter->poll, NULL);
  adapter->event = sd_event_unref(adapter->event);
}

static inline void adapter_uv_end(struct AdapterUv* adapter, int failure) {
  const int result = adapter_result(adapter->event, failure);
  adapter_uv_stop(adapter);
  if (adapter->ended) adapter->ended(result, adapter->userdata);
}

static inline void adapter_uv_keep_awake(uv_idle_t* handle) { (void)handle; }
static inline void adapter_uv_woken(uv_poll_t* handle, int status, int events) {
  (void)handle, (void)status, (void)events; /* The check comes next, and looks. */
}

static inline void adapter_uv_before_sleep(uv_prepare_t* handle) {
  struct AdapterUv* adapter = (struct AdapterUv*)handle->data;
  const int r = adapter_before_sleep(adapter->event);
  if (r < 0)
    adapter_uv_end(adapter, r);
  else if (r > 0)
    uv_idle_start(&adapter->idle, adapter_uv_keep_awake);
  else
    uv_idle_stop(&adapter->idle);
}

static inline void adapter_uv_after_sleep(uv_check_t* handle) {
  struct AdapterUv* adapter = (struct AdapterUv*)handle->data;
  int r = adapter_after_sleep(adapter->event);
  if (r == 0) return;
  if (r > 0) r = adapter_dispatch(adapter->event);
  if (r <= 0) adapter_uv_end(adapter, r);
}

/* 0, or one of libuv's errors, which are -errno on Linux. */
static inline int adapter_uv_start(struct AdapterUv* adapter, uv_loop_t* loop, sd_event* event, AdapterEnded ended,
                                   void* userdata) {
  *adapter = (struct AdapterUv){.ended = ended, .userdata = userdata};
  /* The only one that can fail, so it goes first. The others take nothing but their places in lists. */
  int r = uv_poll_init(loop, &adapter->poll, sd_event_get_fd(event));
  if (r < 0) return r;
  adapter->event = sd_event_ref(event);
  uv_prepare_init(loop, &adapter->prepare);
  uv_check_init(loop, &adapter->check);
  uv_idle_init(loop, &adapter->idle);
  adapter->prepare.data = adapter->check.data = adapter;
  uv_prepare_start(&adapter->prepare, adapter_uv_before_sleep);
  uv_check_start(&adapter->check, adapter_uv_after_sleep);
  r = uv_poll_start(&adapter->poll, UV_READABLE, adapter_uv_woken);
  if (r < 0) adapter_uv_stop(adapter);
  return r;
}
