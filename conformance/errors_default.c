// SPDX-License-Identifier: MIT
//
// The default loop: one per thread, made by sd_event_default, gone with its last reference; SD_EVENT_DEFAULT names it
// in every call that takes a loop. And threads: a default loop runs in its own thread only.
//
// `end_clean` checks after each test that no default loop is left. Each thread that is made is joined in the same test.
#define _GNU_SOURCE 1
#include <pthread.h>

#include "harness.h"

static sd_event* make_default(void) {
  sd_event* loop = NULL;
  assert_int_equal(sd_event_default(&loop), 1);
  assert_non_null(loop);
  return loop;
}

static void default_of_null_tells_whether_one_exists(void** state) {
  (void)state;
  assert_int_equal(sd_event_default(NULL), 0);
  sd_event* loop = make_default();
  assert_int_equal(sd_event_default(NULL), 1);
  sd_event_unref(loop);
  assert_int_equal(sd_event_default(NULL), 0);
}

static void default_gives_the_same_loop_again_with_a_reference_more(void** state) {
  (void)state;
  sd_event *loop = make_default(), *again = NULL;
  assert_int_equal(sd_event_default(&again), 0);
  assert_ptr_equal(again, loop);
  sd_event_unref(loop);
  assert_int_equal(sd_event_default(NULL), 1);
  sd_event_unref(again);
}

static void new_makes_no_default_loop(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  assert_int_equal(sd_event_default(NULL), 0);
  assert_result(sd_event_get_state(SD_EVENT_DEFAULT), -ENOPKG);
  sd_event_unref(loop);
}

static void SD_EVENT_DEFAULT_names_the_default_loop_in_all_calls(void** state) {
  (void)state;
  sd_event* loop = make_default();
  sd_event_source* s = NULL;
  uint64_t usec = 0;
  pid_t tid = 0;
  int code = 0;
  assert_int_equal(sd_event_get_state(SD_EVENT_DEFAULT), SD_EVENT_INITIAL);
  assert_int_equal(sd_event_get_fd(SD_EVENT_DEFAULT), sd_event_get_fd(loop));
  assert_int_equal(sd_event_get_tid(SD_EVENT_DEFAULT, &tid), 0);
  assert_int_equal(tid, gettid());
  assert_int_equal(sd_event_now(SD_EVENT_DEFAULT, CLOCK_MONOTONIC, &usec), 1);
  assert_int_equal(sd_event_add_defer(SD_EVENT_DEFAULT, &s, on_event, NULL), 0);
  assert_ptr_equal(sd_event_source_get_event(s), loop);
  assert_int_equal(sd_event_prepare(SD_EVENT_DEFAULT), 1);
  assert_int_equal(sd_event_dispatch(SD_EVENT_DEFAULT), 1);
  assert_int_equal(sd_event_prepare(SD_EVENT_DEFAULT), 0);
  assert_int_equal(sd_event_wait(SD_EVENT_DEFAULT, 0), 0);
  assert_int_equal(sd_event_run(SD_EVENT_DEFAULT, 0), 0);
  assert_int_equal(sd_event_get_iteration(SD_EVENT_DEFAULT, &usec), 0);
  assert_int_equal(usec, 3);
  assert_int_equal(sd_event_set_watchdog(SD_EVENT_DEFAULT, 0), 0);
  assert_int_equal(sd_event_get_watchdog(SD_EVENT_DEFAULT), 0);
  assert_int_equal(sd_event_set_signal_exit(SD_EVENT_DEFAULT, 1), 1);
  assert_int_equal(sd_event_set_signal_exit(SD_EVENT_DEFAULT, 0), 1);
  assert_int_equal(sd_event_exit(SD_EVENT_DEFAULT, 9), 0);
  assert_int_equal(sd_event_get_exit_code(SD_EVENT_DEFAULT, &code), 0);
  assert_int_equal(code, 9);
  assert_int_equal(sd_event_loop(SD_EVENT_DEFAULT), 9);
  sd_event_source_unref(s);
  sd_event_unref(loop);
}

static int ref_of_default(void* nothing) { return (void)nothing, (void)sd_event_ref(SD_EVENT_DEFAULT), 0; }
static int unref_of_default(void* nothing) { return (void)nothing, (void)sd_event_unref(SD_EVENT_DEFAULT), 0; }

static void ref_and_unref_of_SD_EVENT_DEFAULT_do_not_crash(void** state) {
  (void)state;
  assert_result(in_child(ref_of_default, NULL), differs(kDefaultRef, died_of(SIGSEGV), 0));
  assert_result(in_child(unref_of_default, NULL), differs(kDefaultRef, died_of(SIGSEGV), 0));
  sd_event* loop = make_default();
  assert_result(in_child(ref_of_default, NULL), differs(kDefaultRef, died_of(SIGSEGV), 0));
  assert_result(in_child(unref_of_default, NULL), differs(kDefaultRef, died_of(SIGSEGV), 0));
  sd_event_unref(loop);
}

static void get_tid_is_for_default_loops_only(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  pid_t tid = 77;
  assert_result(sd_event_get_tid(loop, &tid), -ENXIO);
  assert_int_equal(tid, 77);
  sd_event_unref(loop);
  loop = make_default();
  assert_int_equal(sd_event_get_tid(loop, &tid), 0);
  assert_int_equal(tid, gettid());
  sd_event_unref(loop);
}

// ---- other threads ------------------------------------------------------------------------------------------------

struct Elsewhere {
  sd_event* loop;
  int (*call)(sd_event*);
  int result;
};

static void* call_elsewhere(void* context) {
  struct Elsewhere* elsewhere = context;
  elsewhere->result = elsewhere->call(elsewhere->loop);
  return NULL;
}

static int in_thread(int (*call)(sd_event*), sd_event* loop) {
  struct Elsewhere elsewhere = {loop, call, kNoAnswer};
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, call_elsewhere, &elsewhere), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  return elsewhere.result;
}

static int does_a_default_exist(sd_event* loop) { return (void)loop, sd_event_default(NULL); }
static int state_of_the_default(sd_event* loop) { return (void)loop, sd_event_get_state(SD_EVENT_DEFAULT); }
static int run_0(sd_event* loop) { return sd_event_run(loop, 0); }
static int wait_0(sd_event* loop) { return sd_event_wait(loop, 0); }
static int exit_with_3(sd_event* loop) { return sd_event_exit(loop, 3); }
static int add_defer(sd_event* loop) { return sd_event_add_defer(loop, NULL, on_event, NULL); }

static int make_own_default(sd_event* loop) {
  sd_event* own = NULL;
  int r = sd_event_default(&own);
  if (own == loop) r = kNoAnswer;
  sd_event_unref(own);
  return r;
}

static int tid_is_another(sd_event* loop) {
  pid_t tid = 0;
  int r = sd_event_get_tid(loop, &tid);
  return r < 0 ? r : tid != gettid();
}

static void each_thread_has_a_default_loop_of_its_own(void** state) {
  (void)state;
  sd_event* loop = make_default();
  assert_int_equal(in_thread(does_a_default_exist, loop), 0);
  assert_result(in_thread(state_of_the_default, loop), -ENOPKG);
  assert_int_equal(in_thread(make_own_default, loop), 1);
  assert_int_equal(sd_event_default(NULL), 1);
  sd_event_unref(loop);
}

static void a_default_loop_driven_from_another_thread_is_EREMOTEIO(void** state) {
  (void)state;
  sd_event* loop = make_default();
  assert_result(in_thread(sd_event_prepare, loop), -EREMOTEIO);
  assert_result(in_thread(run_0, loop), -EREMOTEIO);
  assert_result(in_thread(sd_event_loop, loop), -EREMOTEIO);
  assert_int_equal(sd_event_get_state(loop), SD_EVENT_INITIAL);
  sd_event_unref(loop);
}

static void other_calls_on_a_default_loop_work_from_another_thread(void** state) {
  (void)state;
  sd_event* loop = make_default();
  assert_result(in_thread(tid_is_another, loop), 1);
  assert_result(in_thread(add_defer, loop), 0);
  assert_result(in_thread(sd_event_get_state, loop), SD_EVENT_INITIAL);
  assert_result(in_thread(wait_0, loop), -EBUSY);
  assert_result(in_thread(sd_event_dispatch, loop), -EBUSY);
  assert_result(in_thread(exit_with_3, loop), 0);
  assert_int_equal(sd_event_loop(loop), 3);
  sd_event_unref(loop);
}

static void wait_and_dispatch_of_a_default_loop_prepared_here_work_there(void** state) {
  (void)state;
  sd_event* loop = make_default();
  assert_int_equal(sd_event_prepare(loop), 0);
  assert_result(in_thread(wait_0, loop), 0);
  assert_result(in_thread(add_defer, loop), 0);
  assert_int_equal(sd_event_prepare(loop), 1);
  assert_result(in_thread(sd_event_dispatch, loop), 1);
  sd_event_unref(loop);
}

static void the_wrong_state_is_told_before_the_wrong_thread(void** state) {
  (void)state;
  sd_event* loop = make_default();
  assert_int_equal(sd_event_prepare(loop), 0);
  assert_result(sd_event_prepare(loop), -EBUSY);
  assert_result(in_thread(sd_event_prepare, loop), -EBUSY);
  assert_result(in_thread(run_0, loop), -EBUSY);
  assert_int_equal(sd_event_wait(loop, 0), 0);
  finish_loop(loop);
  assert_result(in_thread(sd_event_prepare, loop), -ESTALE);
  assert_result(in_thread(run_0, loop), -ESTALE);
  assert_result(in_thread(sd_event_loop, loop), -EBUSY);
  sd_event_unref(loop);
}

static int drive_in_thread_of_child(void* context) {
  sd_event* loop = context;
  int (*const calls[])(sd_event*) = {sd_event_prepare, wait_0, sd_event_dispatch, run_0, sd_event_loop};
  for (size_t i = 0; i < lengthof(calls); i++)
    if (in_thread(calls[i], loop) != -ECHILD) return (int)i + 1;
  return 0;
}

static void the_wrong_process_is_told_before_the_wrong_thread(void** state) {
  (void)state;
  sd_event* loop = make_default();
  assert_result(in_child(drive_in_thread_of_child, loop), 0);
  finish_loop(loop);
  assert_result(in_child(drive_in_thread_of_child, loop), 0);
  sd_event_unref(loop);
}

static void a_loop_that_is_not_default_runs_in_any_thread(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  assert_int_equal(sd_event_run(loop, 0), 0);
  assert_result(in_thread(run_0, loop), 0);
  assert_int_equal(sd_event_exit(loop, 4), 0);
  assert_result(in_thread(sd_event_loop, loop), 4);
  sd_event_unref(loop);
}

static int state_of_context(void* loop) { return sd_event_get_state(loop); }
static int default_in_child(void* nothing) { return (void)nothing, sd_event_default(NULL); }
static int default_again_in_child(void* nothing) {
  sd_event* loop = NULL;
  return (void)nothing, sd_event_default(&loop);
}

static void a_forked_process_cannot_use_the_default_loop_of_its_parent(void** state) {
  (void)state;
  sd_event* loop = make_default();
  assert_result(in_child(default_in_child, NULL), differs(kForkedDefault, 1, 0));
  assert_result(in_child(default_again_in_child, NULL), differs(kForkedDefault, 0, 1));
  assert_result(in_child(state_of_context, loop), -ECHILD);
  assert_result(in_child(state_of_context, SD_EVENT_DEFAULT), -ECHILD);
  sd_event_unref(loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      clean_test(default_of_null_tells_whether_one_exists),
      clean_test(default_gives_the_same_loop_again_with_a_reference_more),
      clean_test(new_makes_no_default_loop),
      clean_test(SD_EVENT_DEFAULT_names_the_default_loop_in_all_calls),
      clean_test(ref_and_unref_of_SD_EVENT_DEFAULT_do_not_crash),
      clean_test(get_tid_is_for_default_loops_only),
      clean_test(each_thread_has_a_default_loop_of_its_own),
      clean_test(a_default_loop_driven_from_another_thread_is_EREMOTEIO),
      clean_test(other_calls_on_a_default_loop_work_from_another_thread),
      clean_test(wait_and_dispatch_of_a_default_loop_prepared_here_work_there),
      clean_test(the_wrong_state_is_told_before_the_wrong_thread),
      clean_test(the_wrong_process_is_told_before_the_wrong_thread),
      clean_test(a_loop_that_is_not_default_runs_in_any_thread),
      clean_test(a_forked_process_cannot_use_the_default_loop_of_its_parent),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
