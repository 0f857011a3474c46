// SPDX-License-Identifier: MIT
//
// What can be seen of the kernel not having been asked: the list of doc/dispatch.md, a case each.
//
// The reference asks about everything before each dispatch. Evenkeel asks about what could go first, so it does not
// know yet of a source that could not have been dispatched anyway. In each case a defer source of better priority is
// dispatched while something waits in the kernel; after it the reference has read that, and Evenkeel has not.
//
// Invariants: nothing is lost that lasts; what had not been read is as if it had come later.
#include "loop_recorder.h"

// One dispatch for which the kernel need not be asked about a source of priority 0.
static void dispatch_something_better(sd_event* loop) {
  sd_event_source* better = NULL;
  assert_result(sd_event_add_defer(loop, &better, on_event, NULL), 0);
  assert_result(sd_event_source_set_priority(better, -1), 0);
  assert_result(iterate(loop), 1);
  assert_int_equal(sd_event_source_get_enabled(better, NULL), 0);
  sd_event_source_unref(better);
}

static bool signal_waits(int sig) {
  sigset_t pending;
  sigpending(&pending);
  return sigismember(&pending, sig) == 1;
}

static void a_signal_that_was_not_read_yet_outlives_its_source(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  set_blocked(SIGUSR1, true);
  struct Probe a = {.name = "a"};
  probe_signal(loop, &a, SIGUSR1);
  raise(SIGUSR1);
  dispatch_something_better(loop);
  free_probe(&a);
  assert_int_equal(signal_waits(SIGUSR1), differs(kAskedBefore, 0, 1));
  drop_pending_signals();
  set_blocked(SIGUSR1, false);
  sd_event_unref(loop);
}

static void a_signal_that_was_not_read_yet_survives_off_and_on(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_signal(loop, &a, SIGUSR1 | SD_EVENT_SIGNAL_PROCMASK);
  raise(SIGUSR1);
  dispatch_something_better(loop);
  set_enabled(&a, SD_EVENT_OFF);
  set_enabled(&a, SD_EVENT_ON);
  iterate_until_idle(loop);
  assert_journal(differs_text(kAskedBefore, "", "a "));
  free_probe(&a);
  sd_event_unref(loop);
}

static void a_standard_signal_that_comes_again_before_it_was_read_is_one(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_signal(loop, &a, SIGUSR1 | SD_EVENT_SIGNAL_PROCMASK);
  raise(SIGUSR1);
  dispatch_something_better(loop);
  raise(SIGUSR1);
  iterate_until_idle(loop);
  assert_journal(differs_text(kAskedBefore, "a a ", "a "));
  free_probe(&a);
  sd_event_unref(loop);
}

static void equal_inotify_events_that_come_before_they_were_read_are_one(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  char* dir = make_dir();
  struct Probe a = {.name = "a"};
  probe_inotify(loop, &a, dir, IN_ATTRIB);
  assert_int_equal(chmod(dir, 0500), 0);
  dispatch_something_better(loop);
  assert_int_equal(chmod(dir, 0700), 0);
  iterate_until_idle(loop);
  assert_int_equal(a.calls, differs(kAskedBefore, 2, 1));
  journal[0] = 0;
  free_probe(&a);
  sd_event_unref(loop);
  remove_dir(dir);
}

static void an_inotify_event_that_was_not_read_yet_survives_off_and_on(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  char* dir = make_dir();
  struct Probe a = {.name = "a"}, sibling = {.name = "sibling"};
  probe_inotify(loop, &a, dir, IN_CREATE);
  probe_inotify(loop, &sibling, dir, IN_CREATE | IN_DELETE);
  create_file(dir, "1");
  dispatch_something_better(loop);
  set_enabled(&a, SD_EVENT_OFF);
  set_enabled(&a, SD_EVENT_ON);
  iterate_until_idle(loop);
  assert_int_equal(a.calls, differs(kAskedBefore, 0, 1));
  assert_int_equal(sibling.calls, 1);
  journal[0] = 0;
  free_probe(&a);
  free_probe(&sibling);
  sd_event_unref(loop);
  remove_dir(dir);
}

static void an_edge_that_comes_while_its_source_is_pending_is_a_second_one(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(0);
  struct Probe a = {.name = "a"};
  probe_io(loop, &a, fd, EPOLLIN | EPOLLET);
  raise_eventfd(fd);
  gather(loop);
  raise_eventfd(fd);
  iterate_until_idle(loop);
  assert_journal(differs_text(kAskedBefore, "a ", "a a "));
  free_probe(&a);
  close(fd);
  sd_event_unref(loop);
}

static void a_condition_that_comes_and_goes_meanwhile_is_not_noticed(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(1);
  struct Probe a = {.name = "a"};
  probe_io(loop, &a, fd, EPOLLIN);
  dispatch_something_better(loop);
  lower_eventfd(fd);
  iterate_until_idle(loop);
  assert_journal(differs_text(kAskedBefore, "a ", ""));
  free_probe(&a);
  close(fd);
  sd_event_unref(loop);
}

static void the_end_of_a_process_is_not_known_before_it_was_looked_for(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_child(loop, &a, spawn_zombie(3), WEXITED);
  dispatch_something_better(loop);
  assert_result(sd_event_source_send_child_signal(a.source, SIGURG, NULL, 0), differs(kAskedBefore, -ESRCH, 0));
  iterate_until_idle(loop);
  assert_journal("a:1:3 ");
  free_probe(&a);
  sd_event_unref(loop);
}

static void a_timer_that_is_found_together_with_a_descriptor_goes_behind_it(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(1);
  struct Probe io = {.name = "io"}, timer = {.name = "timer"};
  probe_io(loop, &io, fd, EPOLLIN);
  set_enabled(&io, SD_EVENT_ONESHOT);
  dispatch_something_better(loop);
  probe_time(loop, &timer, CLOCK_MONOTONIC, 1);
  iterate_until_idle(loop);
  assert_journal("io timer ");
  free_probe(&io);
  free_probe(&timer);
  close(fd);
  sd_event_unref(loop);
}

static void what_becomes_ready_during_a_batch_goes_behind_those_of_it_that_are_ready_still(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fds[] = {make_eventfd(1), make_eventfd(1), make_eventfd(0)};
  struct Probe probes[] = {{.name = "a"}, {.name = "b"}, {.name = "c"}};
  for (size_t i = 0; i < lengthof(probes); i++) probe_io(loop, &probes[i], fds[i], EPOLLIN);
  iterate_times(loop, 2);
  raise_eventfd(fds[2]);
  iterate_times(loop, 1);
  assert_int_equal(probes[2].calls, 0);
  iterate_times(loop, 2);
  assert_int_equal(probes[2].calls, 1);
  journal[0] = 0;
  for (size_t i = 0; i < lengthof(probes); i++) {
    free_probe(&probes[i]);
    close(fds[i]);
  }
  sd_event_unref(loop);
}

static uint64_t read_now(sd_event* loop) {
  uint64_t now = 0;
  assert_result(sd_event_now(loop, CLOCK_MONOTONIC, &now), 0);
  return now;
}

static void the_time_of_an_iteration_that_did_not_ask_is_that_of_the_first_question(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"}, b = {.name = "b"};
  probe_defer(loop, &a);
  probe_defer(loop, &b);
  iterate_times(loop, 1);
  assert_result(sd_event_prepare(loop), 1);
  const uint64_t later = clock_usec(CLOCK_MONOTONIC) + 1000;
  sleep_until(CLOCK_MONOTONIC, later);
  const uint64_t now = read_now(loop);
  assert_int_equal(now >= later, differs(kAskedBefore, 0, 1));
  sleep_until(CLOCK_MONOTONIC, now + 1000);
  assert_int_equal(read_now(loop), now);
  assert_result(sd_event_dispatch(loop), 1);
  assert_int_equal(read_now(loop), now);
  journal[0] = 0;
  free_probe(&a);
  free_probe(&b);
  sd_event_unref(loop);
}

int main(void) {
  exit_77_without_pidfds();
  const struct CMUnitTest tests[] = {
      recorded_test(a_signal_that_was_not_read_yet_outlives_its_source),
      recorded_test(a_signal_that_was_not_read_yet_survives_off_and_on),
      recorded_test(a_standard_signal_that_comes_again_before_it_was_read_is_one),
      recorded_test(equal_inotify_events_that_come_before_they_were_read_are_one),
      recorded_test(an_inotify_event_that_was_not_read_yet_survives_off_and_on),
      recorded_test(an_edge_that_comes_while_its_source_is_pending_is_a_second_one),
      recorded_test(a_condition_that_comes_and_goes_meanwhile_is_not_noticed),
      child_test(the_end_of_a_process_is_not_known_before_it_was_looked_for),
      recorded_test(a_timer_that_is_found_together_with_a_descriptor_goes_behind_it),
      recorded_test(what_becomes_ready_during_a_batch_goes_behind_those_of_it_that_are_ready_still),
      recorded_test(the_time_of_an_iteration_that_did_not_ask_is_that_of_the_first_question),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
