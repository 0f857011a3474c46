// SPDX-License-Identifier: MIT
//
// A child that somebody else reaps before the loop has seen its end.
//
// There is nothing to report then, as the status is gone. 252 lets the whole iteration fail, and so ends sd_event_loop;
// ours treats it as what it is, a failure of that one source: it is turned off, or with exit_on_failure ends the loop.
// Each test owns its loop and its child.
#include "loop_recorder.h"

static void a_child_that_was_reaped_elsewhere_turns_its_source_off(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  pid_t pid = spawn_zombie(3);
  probe_child(loop, &a, pid, WEXITED);
  assert_int_equal(waitpid(pid, NULL, 0), pid);
  assert_result(iterate(loop), differs(kLostChild, -ECHILD, 0));
  assert_int_equal(enabled_of(&a), differs(kLostChild, SD_EVENT_ONESHOT, SD_EVENT_OFF));
  assert_result(iterate(loop), 0);
  assert_journal("");
  free_probe(&a);
  sd_event_unref(loop);
}

static void a_source_with_exit_on_failure_ends_the_loop_with_ECHILD(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  pid_t pid = spawn_zombie(3);
  probe_child(loop, &a, pid, WEXITED);
  assert_result(sd_event_source_set_exit_on_failure(a.source, 1), 1);
  assert_int_equal(waitpid(pid, NULL, 0), pid);
  assert_result(sd_event_loop(loop), -ECHILD);  // Of 252 it is the result of the iteration, of ours the exit code.
  assert_journal("");
  free_probe(&a);
  sd_event_unref(loop);
}

static void its_siblings_are_reported_all_the_same(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"}, b = {.name = "b"};
  pid_t lost = spawn_zombie(3), kept = spawn_zombie(4);
  probe_child(loop, &a, lost, WEXITED);
  probe_child(loop, &b, kept, WEXITED);
  assert_int_equal(waitpid(lost, NULL, 0), lost);
  for (int i = 0; i < 5; i++) (void)iterate(loop);
  assert_int_equal(b.calls, differs(kLostChild, 0, 1));
  journal[0] = 0;
  (void)waitpid(kept, NULL, WNOHANG);
  free_probe(&a);
  free_probe(&b);
  sd_event_unref(loop);
}

static void act_add_another(struct Probe* p) {
  pid_t pid = 0;
  assert_result(sd_event_source_get_child_pid(p->source, &pid), 0);
  free_probe(p);
  probe_child(p->loop, p->other, pid, WEXITED);
}

// The first one has told of the end, and with the return of its callback the process is reaped.
static void a_source_that_is_added_by_the_callback_that_tells_of_the_end_is_turned_off(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe second = {.name = "second"}, first = {.name = "first", .act = act_add_another, .other = &second};
  pid_t pid = spawn_zombie(3);
  probe_child(loop, &first, pid, WEXITED);
  assert_result(iterate(loop), 1);
  assert_journal("first:1:3 ");
  assert_int_equal(child_state(pid), '-');
  assert_result(iterate(loop), differs(kLostChild, -ECHILD, 0));
  assert_int_equal(enabled_of(&second), differs(kLostChild, SD_EVENT_ONESHOT, SD_EVENT_OFF));
  assert_result(iterate(loop), 0);
  assert_journal("");
  free_probe(&second);
  sd_event_unref(loop);
}

int main(void) {
  set_blocked(SIGCHLD, true);
  const struct CMUnitTest tests[] = {
      clean_test(a_child_that_was_reaped_elsewhere_turns_its_source_off),
      clean_test(a_source_with_exit_on_failure_ends_the_loop_with_ECHILD),
      clean_test(its_siblings_are_reported_all_the_same),
      recorded_test(a_source_that_is_added_by_the_callback_that_tells_of_the_end_is_turned_off),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
