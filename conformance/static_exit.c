// SPDX-License-Identifier: MIT
//
// Leaving a loop: sd_event_exit, exit codes, exit sources, and callbacks that fail.
//
// Invariants under test:
// 1. An exit request stops everything but exit sources: these are dispatched by priority, one an iteration, and only
//    then is the loop finished, in an iteration of its own that dispatches nothing.
// 2. The code that sd_event_loop returns is the last one that was asked for, any int.
// 3. A callback that fails turns its source off; with exit_on_failure it also ends the loop, with its error as code.
#include "loop_recorder.h"

static void the_code_of_the_exit_request_is_what_loop_returns(void** state) {
  (void)state;
  static const int codes[] = {0, 1, 7, -7, 255, 256, INT32_MAX, INT32_MIN};
  for (size_t i = 0; i < lengthof(codes); i++) {
    sd_event* loop = make_loop();
    int code = 99;
    assert_result(sd_event_get_exit_code(loop, &code), -ENODATA);
    assert_result(sd_event_exit(loop, codes[i]), 0);
    assert_result(sd_event_get_exit_code(loop, &code), 0);
    assert_int_equal(code, codes[i]);
    assert_int_equal(sd_event_loop(loop), codes[i]);
    assert_int_equal(sd_event_get_state(loop), SD_EVENT_FINISHED);
    sd_event_unref(loop);
  }
}

static void without_exit_sources_one_iteration_finishes_the_loop(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  assert_result(sd_event_exit(loop, 5), 0);
  assert_int_equal(sd_event_get_state(loop), SD_EVENT_INITIAL);
  assert_result(sd_event_prepare(loop), 1);
  assert_int_equal(sd_event_get_state(loop), SD_EVENT_PENDING);
  assert_result(sd_event_dispatch(loop), 0);
  assert_int_equal(sd_event_get_state(loop), SD_EVENT_FINISHED);
  sd_event_unref(loop);

  loop = make_loop();
  assert_result(sd_event_exit(loop, 5), 0);
  assert_result(sd_event_run(loop, UINT64_MAX), 1);
  assert_int_equal(sd_event_get_state(loop), SD_EVENT_FINISHED);
  sd_event_unref(loop);
}

static void exit_sources_run_by_priority_and_nothing_else_runs(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"}, b = {.name = "b"}, off = {.name = "off"}, defer = {.name = "defer"};
  struct Probe post = {.name = "post"};
  probe_exit(loop, &a);
  probe_exit(loop, &b);
  probe_exit(loop, &off);
  probe_defer(loop, &defer);
  probe_post(loop, &post);
  assert_result(sd_event_source_set_prepare(defer.source, record_prepare), 0);
  set_priority(&b, -1);
  set_enabled(&off, SD_EVENT_OFF);
  assert_int_equal(enabled_of(&a), SD_EVENT_ONESHOT);
  assert_result(iterate(loop), 1);
  assert_journal("(defer) defer ");
  set_enabled(&defer, SD_EVENT_ON);
  assert_result(sd_event_exit(loop, 0), 0);
  assert_result(iterate(loop), 1);
  assert_journal("b ");
  assert_int_equal(sd_event_get_state(loop), SD_EVENT_INITIAL);
  assert_result(iterate(loop), 1);
  assert_journal("a ");
  assert_int_equal(sd_event_get_state(loop), SD_EVENT_INITIAL);
  assert_result(iterate(loop), 1);
  assert_int_equal(sd_event_get_state(loop), SD_EVENT_FINISHED);
  assert_journal("");
  free_probe(&a);
  free_probe(&b);
  free_probe(&off);
  free_probe(&defer);
  free_probe(&post);
  sd_event_unref(loop);
}

static void act_exit_11(struct Probe* p) {
  assert_int_equal(sd_event_get_state(p->loop), SD_EVENT_EXITING);
  assert_result(sd_event_exit(p->loop, 11), 0);
  assert_int_equal(sd_event_get_state(p->loop), SD_EVENT_EXITING);
}

static void an_exit_callback_may_replace_the_code(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a", .act = act_exit_11}, b = {.name = "b"};
  probe_exit(loop, &a);
  probe_exit(loop, &b);
  set_priority(&b, 1);
  assert_result(sd_event_exit(loop, 3), 0);
  assert_int_equal(sd_event_loop(loop), 11);
  assert_journal("a b ");
  free_probe(&a);
  free_probe(&b);
  sd_event_unref(loop);
}

static void act_add_exit_other(struct Probe* p) {
  assert_int_equal(enabled_of(p), SD_EVENT_OFF);
  probe_exit(p->loop, p->other);
}

static void an_exit_source_added_while_exiting_runs_too(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe late = {.name = "late"}, a = {.name = "a", .act = act_add_exit_other, .other = &late};
  probe_exit(loop, &a);
  assert_result(sd_event_exit(loop, 3), 0);
  assert_int_equal(sd_event_loop(loop), 3);
  assert_journal("a late ");
  free_probe(&a);
  free_probe(&late);
  sd_event_unref(loop);
}

static void an_exit_source_that_stays_on_holds_the_loop_until_it_is_off(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_exit(loop, &a);
  set_enabled(&a, SD_EVENT_ON);
  assert_result(sd_event_exit(loop, 0), 0);
  for (int i = 0; i < 3; i++) assert_result(iterate(loop), 1);
  assert_journal("a a a ");
  set_enabled(&a, SD_EVENT_OFF);
  assert_result(iterate(loop), 1);
  assert_int_equal(sd_event_get_state(loop), SD_EVENT_FINISHED);
  assert_result(iterate(loop), -ESTALE);
  assert_journal("");
  free_probe(&a);
  sd_event_unref(loop);
}

static void an_exit_callback_that_fails_is_turned_off_and_changes_no_code(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a", .result = -EIO}, b = {.name = "b"};
  probe_exit(loop, &a);
  probe_exit(loop, &b);
  set_enabled(&a, SD_EVENT_ON);
  set_priority(&b, 1);
  assert_result(sd_event_source_set_exit_on_failure(a.source, 1), -EDOM);
  assert_result(sd_event_exit(loop, 3), 0);
  assert_int_equal(sd_event_loop(loop), 3);
  assert_int_equal(enabled_of(&a), SD_EVENT_OFF);
  assert_journal("a b ");
  free_probe(&a);
  free_probe(&b);
  sd_event_unref(loop);
}

static void act_exit_4(struct Probe* p) {
  assert_result(sd_event_exit(p->loop, 4), 0);
  assert_int_equal(sd_event_get_state(p->loop), SD_EVENT_RUNNING);
}

static void an_exit_request_in_a_callback_lets_no_other_source_run(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a", .act = act_exit_4}, b = {.name = "b"};
  probe_defer(loop, &a);
  probe_defer(loop, &b);
  set_priority(&b, 1);
  assert_result(iterate(loop), 1);
  assert_int_equal(sd_event_get_state(loop), SD_EVENT_INITIAL);
  assert_int_equal(sd_event_loop(loop), 4);
  assert_journal("a ");
  free_probe(&a);
  free_probe(&b);
  sd_event_unref(loop);
}

static int exit_in_prepare(sd_event_source* s, void* userdata) {
  (void)userdata;
  return sd_event_exit(sd_event_source_get_event(s), 6);
}

static void an_exit_request_in_a_prepare_callback_takes_effect_in_that_iteration(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"}, exit = {.name = "exit"};
  probe_defer(loop, &a);
  probe_exit(loop, &exit);
  assert_result(sd_event_source_set_prepare(a.source, exit_in_prepare), 0);
  assert_result(sd_event_prepare(loop), 1);
  assert_int_equal(sd_event_get_state(loop), SD_EVENT_PENDING);
  assert_result(sd_event_dispatch(loop), 1);
  assert_journal("exit ");
  assert_int_equal(sd_event_loop(loop), 6);
  free_probe(&a);
  free_probe(&exit);
  sd_event_unref(loop);
}

static void a_prepare_with_an_exit_request_lets_nobody_sleep(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(0);
  struct Probe a = {.name = "a"};
  probe_io(loop, &a, fd, EPOLLIN);
  assert_result(sd_event_source_set_prepare(a.source, exit_in_prepare), 0);
  assert_result(sd_event_prepare(loop), differs(kExitInPrepare, 0, 1));
  assert_false(fd_readable(loop, 0));
  if (as_reference(kExitInPrepare)) assert_result(sd_event_wait(loop, UINT64_MAX), 1);
  assert_int_equal(sd_event_get_state(loop), SD_EVENT_PENDING);
  assert_result(sd_event_dispatch(loop), 0);
  assert_journal("");
  free_probe(&a);
  close(fd);
  sd_event_unref(loop);
}

static void an_exit_request_to_an_armed_loop_ends_its_wait(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  assert_result(sd_event_prepare(loop), 0);
  assert_result(sd_event_exit(loop, 1), 0);
  assert_int_equal(sd_event_get_state(loop), SD_EVENT_ARMED);
  assert_result(sd_event_wait(loop, UINT64_MAX), 1);
  assert_int_equal(sd_event_get_state(loop), SD_EVENT_PENDING);
  assert_result(sd_event_dispatch(loop), 0);
  assert_int_equal(sd_event_get_state(loop), SD_EVENT_FINISHED);
  sd_event_unref(loop);
}

static void a_callback_that_fails_turns_its_source_off(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a", .result = -EIO};
  probe_defer(loop, &a);
  set_enabled(&a, SD_EVENT_ON);
  assert_result(iterate(loop), 1);
  assert_int_equal(enabled_of(&a), SD_EVENT_OFF);
  assert_result(iterate(loop), 0);
  set_enabled(&a, SD_EVENT_ON);
  a.result = 1;
  assert_result(iterate(loop), 1);
  assert_int_equal(enabled_of(&a), SD_EVENT_ON);
  assert_journal("a a ");
  free_probe(&a);
  sd_event_unref(loop);
}

static void exit_on_failure_ends_the_loop_with_the_error_as_code(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a", .result = -EIO}, exit = {.name = "exit"};
  probe_defer(loop, &a);
  probe_exit(loop, &exit);
  assert_result(sd_event_source_get_exit_on_failure(a.source), 0);
  assert_result(sd_event_source_set_exit_on_failure(a.source, 1), 1);
  assert_result(sd_event_source_set_exit_on_failure(a.source, 7), 0);
  assert_result(sd_event_source_get_exit_on_failure(a.source), 1);
  assert_result(iterate(loop), 1);
  assert_int_equal(sd_event_get_state(loop), SD_EVENT_INITIAL);
  assert_int_equal(sd_event_loop(loop), -EIO);
  assert_journal("a exit ");
  free_probe(&a);
  free_probe(&exit);
  sd_event_unref(loop);
}

static void a_source_without_a_callback_exits_the_loop_with_its_userdata_as_code(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  assert_result(sd_event_add_defer(loop, NULL, NULL, (void*)(intptr_t)42), 0);
  assert_int_equal(sd_event_loop(loop), 42);
  sd_event_unref(loop);

  loop = make_loop();
  assert_result(sd_event_add_time(loop, NULL, CLOCK_MONOTONIC, 1, 1, NULL, (void*)(intptr_t)43), 0);
  assert_int_equal(sd_event_loop(loop), 43);
  sd_event_unref(loop);

  loop = make_loop();
  int fd = make_eventfd(1);
  assert_result(sd_event_add_io(loop, NULL, fd, EPOLLIN, NULL, (void*)(intptr_t)-44), 0);
  assert_int_equal(sd_event_loop(loop), -44);
  sd_event_unref(loop);
  close(fd);
}

static void an_exit_request_is_not_starved_by_a_source_that_is_always_ready(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe busy = {.name = "busy"}, exit = {.name = "exit"};
  probe_defer(loop, &busy);
  set_enabled(&busy, SD_EVENT_ON);
  set_priority(&busy, INT64_MIN);
  probe_exit(loop, &exit);
  set_priority(&exit, INT64_MAX);
  iterate_times(loop, 3);
  assert_result(sd_event_exit(loop, 8), 0);
  assert_int_equal(sd_event_loop(loop), 8);
  assert_journal("busy busy busy exit ");
  free_probe(&busy);
  free_probe(&exit);
  sd_event_unref(loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      recorded_test(the_code_of_the_exit_request_is_what_loop_returns),
      recorded_test(without_exit_sources_one_iteration_finishes_the_loop),
      recorded_test(exit_sources_run_by_priority_and_nothing_else_runs),
      recorded_test(an_exit_callback_may_replace_the_code),
      recorded_test(an_exit_source_added_while_exiting_runs_too),
      recorded_test(an_exit_source_that_stays_on_holds_the_loop_until_it_is_off),
      recorded_test(an_exit_callback_that_fails_is_turned_off_and_changes_no_code),
      recorded_test(an_exit_request_in_a_callback_lets_no_other_source_run),
      recorded_test(an_exit_request_in_a_prepare_callback_takes_effect_in_that_iteration),
      recorded_test(a_prepare_with_an_exit_request_lets_nobody_sleep),
      recorded_test(an_exit_request_to_an_armed_loop_ends_its_wait),
      recorded_test(a_callback_that_fails_turns_its_source_off),
      recorded_test(exit_on_failure_ends_the_loop_with_the_error_as_code),
      recorded_test(a_source_without_a_callback_exits_the_loop_with_its_userdata_as_code),
      recorded_test(an_exit_request_is_not_starved_by_a_source_that_is_always_ready),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
