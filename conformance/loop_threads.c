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

// A loop that goes from its thread to another one while the first one ends: ThreadSanitizer has nothing to say.
static pthread_barrier_t handed_over;
static void* hands_its_loop_over(void* userdata) {
  assert_result(sd_event_default(userdata), 1);
  pthread_barrier_wait(&handed_over);
  return NULL;
}

static void a_default_loop_is_freed_by_another_thread_while_its_own_ends(void** state) {
  (void)state;
  assert_int_equal(pthread_barrier_init(&handed_over, NULL, 2), 0);
  for (int i = 0; i < 300; i++) {
    sd_event* loop = NULL;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, hands_its_loop_over, &loop), 0);
    pthread_barrier_wait(&handed_over);
    assert_null(sd_event_unref(loop));
    assert_int_equal(pthread_join(thread, NULL), 0);
  }
  assert_int_equal(pthread_barrier_destroy(&handed_over), 0);
}

// A program's own function for the end of a thread, made after the loop was first used, and so called late.
static pthread_key_t key;
static char row_at_the_end[64];
static void at_the_end(void* loop) {
  append_result(row_at_the_end, sizeof(row_at_the_end), sd_event_default(NULL));
  append_result(row_at_the_end, sizeof(row_at_the_end), sd_event_add_defer(loop, NULL, on_event, NULL));
  append_result(row_at_the_end, sizeof(row_at_the_end), sd_event_run(loop, 0));
  sd_event_unref(loop);
  append_result(row_at_the_end, sizeof(row_at_the_end), sd_event_default(NULL));
}

static void* uses_its_loop_at_the_end(void* userdata) {
  sd_event* loop = NULL;
  (void)userdata;
  assert_result(sd_event_default(&loop), 1);
  assert_int_equal(pthread_key_create(&key, at_the_end), 0);
  assert_int_equal(pthread_setspecific(key, loop), 0);
  return NULL;
}

static void the_destructor_of_a_key_has_the_threads_default_loop(void** state) {
  (void)state;
  pthread_t thread;
  row_at_the_end[0] = '\0';
  assert_int_equal(pthread_create(&thread, NULL, uses_its_loop_at_the_end, NULL), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_string_equal(row_at_the_end, "1 0 1 0");
  assert_int_equal(pthread_key_delete(key), 0);
}

static bool cleaned_up;
static pthread_barrier_t about_to_wait;
static void clean_up(void* userdata) { (void)userdata, cleaned_up = true; }
static void* waits_for_ever(void* timeout) {
  sd_event* loop = NULL;
  pthread_cleanup_push(clean_up, NULL);
  assert_result(sd_event_new(&loop), 0);
  pthread_barrier_wait(&about_to_wait);
  for (;;) (void)sd_event_run(loop, *(uint64_t*)timeout);
  pthread_cleanup_pop(0);
  return NULL;
}

// In a process of its own: what the cancelled wait held of the loop is not given back.
static int cancel(void* timeout) {
  pthread_t thread;
  void* result = NULL;
  if (*(uint64_t*)timeout != UINT64_MAX) expect_hang_on_reference(kCancelled);
  if (pthread_barrier_init(&about_to_wait, NULL, 2) != 0 || pthread_create(&thread, NULL, waits_for_ever, timeout) != 0)
    return -ENOMEM;
  pthread_barrier_wait(&about_to_wait);
  if (pthread_cancel(thread) != 0 || pthread_join(thread, &result) != 0) return -ESRCH;
  return result == PTHREAD_CANCELED && cleaned_up;
}

static void a_thread_that_waits_can_be_cancelled(void** state) {
  (void)state;
#ifdef __SANITIZE_ADDRESS__
  print_message("skipped: AddressSanitizer takes the end of a cancelled thread for an overflow of its stack\n");
  skip();
#endif
  static uint64_t timeouts[] = {UINT64_MAX, 3600000001u, 3600000000u};
  for (size_t i = 0; i < lengthof(timeouts); i++)
    assert_int_equal(in_child(cancel, &timeouts[i]),
                     timeouts[i] == UINT64_MAX ? 1 : differs(kCancelled, died_of(SIGALRM), 1));
}

int main(void) {
  (void)mallopt(M_ARENA_MAX, 1);  // Of others, mallinfo2 tells nothing.
  const struct CMUnitTest tests[] = {
      clean_test(a_default_loop_outlives_its_thread),
      clean_test(a_thread_whose_default_loop_another_one_has_freed_can_have_a_new_one),
      clean_test(a_thread_may_end_after_another_one_has_freed_its_default_loop),
      clean_test(freeing_the_default_loop_of_another_thread_leaves_ones_own),
      clean_test(no_order_of_their_ends_leaves_memory),
      clean_test(a_default_loop_is_freed_by_another_thread_while_its_own_ends),
      clean_test(the_destructor_of_a_key_has_the_threads_default_loop),
      clean_test(a_thread_that_waits_can_be_cancelled),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
