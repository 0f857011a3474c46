// SPDX-License-Identifier: MIT
//
// A loop inside of libuv's: the cases of foreign_loop.h.
//
// libuv has a handle for each phase: uv_prepare runs before it sleeps, uv_poll wakes it, uv_check runs after; uv_idle
// keeps it from sleeping as long as something is pending. With uv_check left out the loop is found ARMED by the next
// uv_prepare, which goes on from there.
#include <uv.h>

#include "foreign_loop.h"

struct Adapter {
  struct Outer* outer;
  uv_loop_t loop;
  uv_prepare_t prepare;
  uv_check_t check;
  uv_idle_t idle;
  uv_poll_t inner, own;
};

static void nothing(uv_idle_t* handle) { (void)handle; }
static void woken(uv_poll_t* handle, int status, int events) { (void)handle, (void)status, (void)events; }

static void on_own_fd(uv_poll_t* handle, int status, int events) {
  (void)status;
  (void)events;
  serve(((struct Adapter*)handle->data)->outer);
}

static void before_sleep(uv_prepare_t* handle) {
  struct Adapter* a = handle->data;
  if (to_rest(a->outer->loop))
    uv_idle_start(&a->idle, nothing);
  else
    uv_idle_stop(&a->idle);
}

// Without a check of its own the adapter dispatches before the sleep, one source a round.
static void before_sleep_and_dispatch(uv_prepare_t* handle) {
  struct Adapter* a = handle->data;
  if (to_rest(a->outer->loop)) dispatch_one(a->outer->loop);
  before_sleep(handle);
  if (finished(a->outer->loop)) uv_stop(&a->loop);
}

static void after_sleep(uv_check_t* handle) {
  struct Adapter* a = handle->data;
  (void)looked(a->outer->loop);
  dispatch_one(a->outer->loop);
  if (finished(a->outer->loop)) uv_stop(&a->loop);
}

static void close_handle(uv_handle_t* handle, void* unused) {
  (void)unused;
  uv_close(handle, NULL);
}

static void run_adapter(struct Outer* outer, bool with_check) {
  struct Adapter a = {.outer = outer};
  assert_int_equal(uv_loop_init(&a.loop), 0);
  uv_prepare_init(&a.loop, &a.prepare);
  uv_check_init(&a.loop, &a.check);
  uv_idle_init(&a.loop, &a.idle);
  assert_int_equal(uv_poll_init(&a.loop, &a.inner, sd_event_get_fd(outer->loop)), 0);
  assert_int_equal(uv_poll_init(&a.loop, &a.own, outer->fd), 0);
  a.prepare.data = a.check.data = a.own.data = &a;
  uv_poll_start(&a.inner, UV_READABLE, woken);
  uv_poll_start(&a.own, UV_READABLE, on_own_fd);
  uv_prepare_start(&a.prepare, with_check ? before_sleep : before_sleep_and_dispatch);
  if (with_check) uv_check_start(&a.check, after_sleep);
  uv_run(&a.loop, UV_RUN_DEFAULT);
  uv_walk(&a.loop, close_handle, NULL);
  uv_run(&a.loop, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&a.loop), 0);
}

static void in_libuv(struct Outer* outer) { run_adapter(outer, true); }
static void in_libuv_without_a_check(struct Outer* outer) { run_adapter(outer, false); }

int main(void) {
  exit_77_without_pidfds();
  uv_loop_t first;  // What libuv keeps open for good is no leak of a test.
  if (uv_loop_init(&first) || uv_loop_close(&first)) return 1;
  const struct CMUnitTest tests[] = {
      foreign_tests(in_libuv),
      foreign_tests(in_libuv_without_a_check),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
