// SPDX-License-Identifier: MIT
//
// Child sources that watch for stops, beside other sources: 252 learns of these by SIGCHLD and asks all of them then,
// and what it learns is lost on a source that is OFF. Evenkeel asks each of them when it is on.
//
// Invariants under test:
// 1. What happened to a process while its source was OFF is reported when it is ON, whatever other sources there are.
// 2. Sources for stops and for the end alone go together in one loop, in any order of adding and freeing.
// 3. A stop that WNOWAIT leaves to others is told of once for each signal, not for as long as it lasts.
// 4. A source that is turned on again after its process was reaped has nothing to say, and breaks nothing.
#include "loop_recorder.h"

static void stop_child(pid_t pid) {
  siginfo_t info;
  assert_int_equal(kill(pid, SIGSTOP), 0);
  assert_int_equal(waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOWAIT), 0);
}

static void end(pid_t pid) {
  assert_int_equal(kill(pid, SIGKILL), 0);
  await_zombie(pid);
}

// The continuation comes while the stop waits for its dispatch, and its signal is read by then.
static void a_continuation_that_comes_while_the_stop_is_pending_is_told_too(void** state) {
  (void)state;
  const pid_t pid = spawn_sleeper();
  siginfo_t info;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"}, first = {.name = "first"};
  probe_child(loop, &a, pid, WSTOPPED | WCONTINUED);
  set_enabled(&a, SD_EVENT_ON);
  iterate_until_idle(loop);
  stop_child(pid);
  gather(loop);
  probe_defer(loop, &first);
  set_priority(&first, -1);
  assert_int_equal(kill(pid, SIGCONT), 0);
  assert_int_equal(waitid(P_PID, (id_t)pid, &info, WCONTINUED | WNOWAIT), 0);
  assert_result(iterate(loop), 1);
  assert_result(sd_event_prepare(loop), 1);
  assert_int_equal(is_pending(&a), 1);  // Who asks makes the loop read all that there is.
  assert_result(sd_event_dispatch(loop), 1);
  iterate_until_idle(loop);
  assert_journal(differs_text(kStopContinued, "first a:5:19 ", "first a:5:19 a:6:18 "));
  free_probe(&a);
  free_probe(&first);
  sd_event_unref(loop);
  kill_and_reap(pid);
}

// waitid(2) may tell of a change before its signal is there.
static void change(pid_t pid, int sig) {
  sigset_t pending;
  assert_int_equal(kill(pid, sig), 0);
  do assert_int_equal(sigpending(&pending), 0);
  while (!sigismember(&pending, SIGCHLD));
}

static void a_stop_that_is_to_stay_is_told_of_once(void** state) {
  (void)state;
  const pid_t pid = spawn_sleeper();
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a", .loop = loop};
  const int options = WSTOPPED | WCONTINUED | WNOWAIT;
  const int r = sd_event_add_child(loop, &a.source, pid, options, record_child, &a);
  assert_result(r, differs(kNoWait, -EINVAL, 0));
  if (r == 0) {
    set_enabled(&a, SD_EVENT_ON);
    for (int i = 0; i < 2; i++) {
      change(pid, SIGSTOP);
      assert_int_equal(iterate_until_idle(loop), 1);
      change(pid, SIGCONT);
      assert_int_equal(iterate_until_idle(loop), 1);
    }
    assert_journal("a:5:19 a:6:18 a:5:19 a:6:18 ");
    free_probe(&a);
  }
  sd_event_unref(loop);
  kill_and_reap(pid);
}

enum Beside { kNothing, kSigchld, kOtherStops, kOtherEnd, kBesides };

static void add_beside(sd_event* loop, struct Probe* p, enum Beside beside, pid_t other) {
  if (beside == kSigchld) probe_signal(loop, p, SIGCHLD);
  if (beside == kOtherStops) probe_child(loop, p, other, WEXITED | WSTOPPED);
  if (beside == kOtherEnd) probe_child(loop, p, other, WEXITED);
}

static void what_happens_while_a_source_is_off_is_reported_when_it_is_on(void** state) {
  (void)state;
  for (enum Beside beside = kNothing; beside < kBesides; beside++) {
    const pid_t pid = spawn_sleeper(), other = spawn_sleeper();
    sd_event* loop = make_loop();
    struct Probe a = {.name = "a"}, b = {.name = "b"};
    probe_child(loop, &a, pid, WEXITED | WSTOPPED);
    add_beside(loop, &b, beside, other);
    for (int last = 0; last < 2; last++) {
      set_enabled(&a, SD_EVENT_OFF);
      if (last)
        end(pid);
      else
        stop_child(pid);
      iterate_until_idle(loop);
      assert_journal(beside == kSigchld ? "b " : "");
      set_enabled(&a, SD_EVENT_ON);
      iterate_until_idle(loop);
      const char* report = last ? "a:2:9 " : "a:5:19 ";
      assert_journal(beside == kNothing ? report : differs_text(kStoppedOff, "", report));
    }
    free_probe(beside == kSigchld ? &a : &b);  // The other order is kSigchldFreed.
    free_probe(beside == kSigchld ? &b : &a);
    sd_event_unref(loop);
    (void)waitpid(pid, NULL, WNOHANG);
    kill_and_reap(other);
  }
}

static void turned_on_before_anybody_looked_a_source_reports_what_happened(void** state) {
  (void)state;
  const pid_t pid = spawn_sleeper(), other = spawn_sleeper();
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"}, b = {.name = "b"};
  probe_child(loop, &a, pid, WEXITED | WSTOPPED);
  probe_child(loop, &b, other, WEXITED | WSTOPPED);
  set_enabled(&a, SD_EVENT_OFF);
  stop_child(pid);
  set_enabled(&a, SD_EVENT_ON);
  iterate_until_idle(loop);
  assert_journal("a:5:19 ");
  free_probe(&a);
  free_probe(&b);
  sd_event_unref(loop);
  kill_and_reap(pid);
  kill_and_reap(other);
}

static int fds_left_by_stops_before_the_end(void* context) {
  const bool* stops_first = context;
  const pid_t pid = spawn_sleeper(), other = spawn_sleeper();
  const int before = count_fds();
  sd_event* loop = make_loop();
  struct Probe stops = {.name = "stops"}, ends = {.name = "ends"};
  probe_child(loop, &stops, pid, WEXITED | WSTOPPED);
  probe_child(loop, &ends, other, WEXITED);
  free_probe(*stops_first ? &stops : &ends);
  free_probe(*stops_first ? &ends : &stops);
  sd_event_unref(loop);
  return count_fds() - before;
}

static void a_source_for_stops_freed_before_one_for_the_end_leaves_no_signalfd(void** state) {
  (void)state;
  bool stops_first = false;
  assert_int_equal(in_child(fds_left_by_stops_before_the_end, &stops_first), 0);
  stops_first = true;
  assert_int_equal(in_child(fds_left_by_stops_before_the_end, &stops_first), differs(kSigchldFreed, 1, 0));
}

static void a_source_that_is_turned_on_after_its_process_was_reaped_says_nothing(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_child(loop, &a, spawn_zombie(3), WEXITED);
  assert_result(iterate(loop), 1);
  assert_journal("a:1:3 ");
  set_enabled(&a, SD_EVENT_ONESHOT);
  assert_result(iterate(loop), differs(kLostChild, -ECHILD, 0));
  iterate_until_idle(loop);
  assert_journal("");
  free_probe(&a);
  sd_event_unref(loop);
}

static void the_prepare_after_a_source_for_stops_was_added_may_leave_looking_to_wait(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  const pid_t pid = spawn_sleeper();
  int fd = make_eventfd(1);
  struct Probe child = {.name = "child"}, io = {.name = "io"};
  probe_io(loop, &io, fd, EPOLLIN);
  probe_child(loop, &child, pid, WSTOPPED);
  assert_result(sd_event_prepare(loop), differs(kPrepareLooks, 1, 0));
  if (sd_event_get_state(loop) == SD_EVENT_ARMED) assert_result(sd_event_wait(loop, 0), 1);
  assert_result(sd_event_dispatch(loop), 1);
  assert_result(sd_event_prepare(loop), 0);
  assert_result(sd_event_wait(loop, 0), 1);
  assert_result(sd_event_dispatch(loop), 1);
  assert_journal("io io ");
  free_probe(&io);
  free_probe(&child);
  sd_event_unref(loop);
  close(fd);
  kill_and_reap(pid);
}

int main(void) {
  exit_77_without_pidfds();
  const struct CMUnitTest tests[] = {
      child_test(a_continuation_that_comes_while_the_stop_is_pending_is_told_too),
      child_test(a_stop_that_is_to_stay_is_told_of_once),
      child_test(what_happens_while_a_source_is_off_is_reported_when_it_is_on),
      child_test(turned_on_before_anybody_looked_a_source_reports_what_happened),
      child_test(a_source_for_stops_freed_before_one_for_the_end_leaves_no_signalfd),
      child_test(a_source_that_is_turned_on_after_its_process_was_reaped_says_nothing),
      child_test(the_prepare_after_a_source_for_stops_was_added_may_leave_looking_to_wait),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
