// SPDX-License-Identifier: MIT
//
// Callbacks that use the loop in which they run: one that steps it, and destroy callbacks of a loop that is being
// freed.
//
// Invariants under test:
// 1. A source lives until the outermost of its callbacks has returned.
// 2. A loop that is being freed adds and runs nothing, and is nobody's default loop.
#include "loop_recorder.h"

static unsigned n_inside;
static bool inside;
static void act_drop_inside(struct Probe* p) {
  if (!inside) return;
  n_inside++;
  free_probe(p);
}

// The state that it sees lets it wait and dispatch.
static int step_the_loop(sd_event_source* s, void* userdata) {
  (void)s, (void)userdata;
  sd_event* loop = sd_event_source_get_event(s);
  inside = true;
  if (sd_event_wait(loop, 0) > 0) (void)sd_event_dispatch(loop);
  inside = false;
  return 0;
}

static int drop_in_a_nested_dispatch(void* context) {
  (void)context;
  sd_event* loop = make_loop();
  const int fd = make_eventfd(1);
  struct Probe a = {.name = "a", .act = act_drop_inside};
  probe_io(loop, &a, fd, EPOLLIN);
  set_limit(&a, 1000, 1);
  assert_result(sd_event_source_set_ratelimit_expire_callback(a.source, step_the_loop), 0);
  for (int i = 0; i < 100 && a.source; i++) assert_true(sd_event_run(loop, 10000) >= 0);
  sd_event_unref(loop);
  return a.source == NULL && n_inside == 1;
}

static void a_source_that_is_dropped_within_its_own_expire_callback_lives_until_that_returns(void** state) {
  (void)state;
  assert_int_equal(in_child(drop_in_a_nested_dispatch, NULL), 1);
}

static sd_event* dying;
static char row[160];
static sd_event_source* another;
static unsigned n_destroyed;
static void count_destroyed(void* userdata) { (void)userdata, n_destroyed++; }

static void use_the_dying_loop(void* userdata) {
  sd_event_source* source = NULL;
  sd_event* loop = NULL;
  (void)userdata;
  append_result(row, sizeof(row), sd_event_add_defer(dying, &source, on_event, NULL));
  append_result(row, sizeof(row), sd_event_run(dying, 0));
  append_result(row, sizeof(row), sd_event_exit(dying, 1));
  append_result(row, sizeof(row), sd_event_default(NULL));
  append_result(row, sizeof(row), sd_event_default(&loop));
  append_result(row, sizeof(row), loop != dying);
  append_result(row, sizeof(row), sd_event_ref(dying) == NULL);
  sd_event_unref(dying);  // As who has not looked at what `ref` said.
  sd_event_unref(loop);
  another = sd_event_source_unref(another);
}

static int free_a_loop(void* context) {
  (void)context;
  sd_event_source* source = NULL;
  assert_result(sd_event_default(&dying), 1);
  assert_result(sd_event_add_defer(dying, &source, on_event, NULL), 0);
  assert_result(sd_event_source_set_destroy_callback(source, use_the_dying_loop), 0);
  assert_result(sd_event_source_set_floating(source, 1), 1);
  sd_event_source_unref(source);
  assert_result(sd_event_add_defer(dying, &another, on_event, NULL), 0);
  assert_result(sd_event_source_set_destroy_callback(another, count_destroyed), 0);
  assert_result(sd_event_source_set_floating(another, 1), 1);
  sd_event_unref(dying);
  return n_destroyed == 1 && strcmp(row, "ESTALE ESTALE ESTALE 0 1 1 1") == 0 ? 1 : 0;
}

// The reference aborts.
static void destroy_callbacks_find_a_loop_that_is_finished_and_no_default(void** state) {
  (void)state;
  assert_int_equal(in_child(free_a_loop, NULL), differs(kDyingLoop, died_of(SIGABRT), 1));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      recorded_test(a_source_that_is_dropped_within_its_own_expire_callback_lives_until_that_returns),
      recorded_test(destroy_callbacks_find_a_loop_that_is_finished_and_no_default),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
