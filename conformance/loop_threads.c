// SPDX-License-Identifier: MIT
//
// A default loop and its thread need not end together, and the loop may be freed by another thread.
//
// Two threads take turns by a barrier: nothing is shared while both run, so each order of their ends is certain.
#include <malloc.h>
#include <pthread.h>

#include "harness.h"

struct Owner {
  pthread_t thread;
  pthread_barrier_t turn;
  sd_event* loop;
  char row[128];
};

static void note(struct Owner* owner, int result) { append_result(owner->row, sizeof(owner->row), result); }
static void take_turns(struct Owner* owner) { pthread_barrier_wait(&owner->turn); }

static void start(struct Owner* owner, void* (*body)(void*)) {
  assert_int_equal(pthread_barrier_init(&owner->turn, NULL, 2), 0);
  assert_int_equal(pthread_create(&owner->thread, NULL, body, owner), 0);
}

static void join(struct Owner* owner) {
  assert_int_equal(pthread_join(owner->thread, NULL), 0);
  assert_int_equal(pthread_barrier_destroy(&owner->turn), 0);
}

static void* makes_a_loop_and_ends(void* userdata) {
  struct Owner* owner = userdata;
  note(owner, sd_event_default(&owner->loop));
  return NULL;
}

static void a_default_loop_outlives_its_thread(void** state) {
  (void)state;
  struct Owner owner = {0};
  pid_t thread = 0;
  start(&owner, makes_a_loop_and_ends);
  join(&owner);
  assert_string_equal(owner.row, "1");
  assert_result(sd_event_default(NULL), 0);
  assert_result(sd_event_get_state(owner.loop), SD_EVENT_INITIAL);
  assert_result(sd_event_get_tid(owner.loop, &thread), 0);
  assert_true(thread > 0 && thread != getpid());
  assert_null(sd_event_unref(owner.loop));
  assert_result(sd_event_default(NULL), 0);
}

static void* makes_a_loop_twice(void* userdata) {
  struct Owner* owner = userdata;
  note(owner, sd_event_default(&owner->loop));
  take_turns(owner);
  take_turns(owner);
  note(owner, sd_event_default(NULL));
  note(owner, sd_event_run(SD_EVENT_DEFAULT, 0));
  sd_event* second = NULL;
  note(owner, sd_event_default(&second));
  note(owner, sd_event_default(NULL));
  note(owner, sd_event_run(second, 0));
  sd_event_unref(second);
  note(owner, sd_event_default(NULL));
  return NULL;
}

static void a_thread_whose_default_loop_another_one_has_freed_can_have_a_new_one(void** state) {
  (void)state;
  struct Owner owner = {0};
  start(&owner, makes_a_loop_twice);
  take_turns(&owner);
  assert_result(sd_event_default(NULL), 0);
  assert_null(sd_event_unref(owner.loop));
  take_turns(&owner);
  join(&owner);
  assert_string_equal(owner.row, "1 0 ENOPKG 1 1 0 0");
}

static void* makes_a_loop_and_waits(void* userdata) {
  struct Owner* owner = userdata;
  note(owner, sd_event_default(&owner->loop));
  take_turns(owner);
  take_turns(owner);
  return NULL;
}

static void a_thread_may_end_after_another_one_has_freed_its_default_loop(void** state) {
  (void)state;
  struct Owner owner = {0};
  start(&owner, makes_a_loop_and_waits);
  take_turns(&owner);
  assert_null(sd_event_unref(owner.loop));
  take_turns(&owner);
  join(&owner);
  assert_string_equal(owner.row, "1");
  // Our own default loop is none of its business.
  sd_event* mine = NULL;
  assert_result(sd_event_default(&mine), 1);
  assert_result(sd_event_run(mine, 0), 0);
  assert_null(sd_event_unref(mine));
}

static void freeing_the_default_loop_of_another_thread_leaves_ones_own(void** state) {
  (void)state;
  struct Owner owner = {0};
  sd_event *mine = NULL, *again = NULL;
  assert_result(sd_event_default(&mine), 1);
  start(&owner, makes_a_loop_and_waits);
  take_turns(&owner);
  assert_true(owner.loop != mine);
  assert_null(sd_event_unref(owner.loop));
  take_turns(&owner);
  join(&owner);
  assert_result(sd_event_default(&again), 0);
  assert_ptr_equal(again, mine);
  sd_event_unref(again);
  sd_event_unref(mine);
}

static void live_and_end_in_both_orders(void) {
  struct Owner first = {0}, last = {0};
  start(&first, makes_a_loop_and_ends);
  join(&first);
  assert_null(sd_event_unref(first.loop));
  start(&last, makes_a_loop_and_waits);
  take_turns(&last);
  assert_null(sd_event_unref(last.loop));
  take_turns(&last);
  join(&last);
}

static void no_order_of_their_ends_leaves_memory(void** state) {
  (void)state;
  for (int i = 0; i < 20; i++) live_and_end_in_both_orders();
  const size_t before = mallinfo2().uordblks;
  for (int i = 0; i < 20; i++) live_and_end_in_both_orders();
  assert_int_equal(mallinfo2().uordblks, before);
}

int main(void) {
  (void)mallopt(M_ARENA_MAX, 1);  // Of others, mallinfo2 tells nothing.
  const struct CMUnitTest tests[] = {
      clean_test(a_default_loop_outlives_its_thread),
      clean_test(a_thread_whose_default_loop_another_one_has_freed_can_have_a_new_one),
      clean_test(a_thread_may_end_after_another_one_has_freed_its_default_loop),
      clean_test(freeing_the_default_loop_of_another_thread_leaves_ones_own),
      clean_test(no_order_of_their_ends_leaves_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
