// SPDX-License-Identifier: MIT
//
// A forked process that goes on without exec holds all descriptors of its parent's loop open. What the loop closes is
// then not gone: epoll watches files, and reports the signalfd of a source that is no more.
//
// Invariants under test: no signal that the loop does not care for any more wakes it, or ends it, whatever took the
// signalfd away; and a source that has moved to another priority works on.
#include "loop_recorder.h"

enum Change { kNone, kOff, kFree, kMove, kChanges };

// A loop with one source, which is changed while a forked process is there; then its signal comes. How often it was
// called.
static int calls_after(void* context) {
  const enum Change change = *(enum Change*)context;
  struct Probe a = {.name = "a"};
  sd_event* loop = make_loop();
  set_blocked(SIGUSR1, true);
  probe_signal(loop, &a, SIGUSR1);
  assert_result(iterate(loop), 0);
  const pid_t pid = spawn_sleeper();
  if (change == kOff) set_enabled(&a, SD_EVENT_OFF);
  if (change == kFree) free_probe(&a);
  if (change == kMove) set_priority(&a, 5);
  raise(SIGUSR1);
  iterate_until_idle(loop);
  kill_and_reap(pid);
  free_probe(&a);
  sd_event_unref(loop);
  return (int)a.calls;
}

static void a_signal_that_no_source_wants_any_more_is_no_event_while_a_forked_process_lives(void** state) {
  (void)state;
  static const int kCalls[kChanges] = {[kNone] = 1, [kOff] = 0, [kFree] = 0, [kMove] = 1};
  for (enum Change change = kNone; change < kChanges; change++) {
    const int result = in_child(calls_after, &change);
    assert_result(result, change == kNone ? 1 : differs(kForkedSignalfd, died_of(SIGABRT), kCalls[change]));
  }
}

// The signalfd is that of SIGCHLD, which the last source for stops gives up when it is turned off.
static int calls_of_a_source_for_stops(void* context) {
  (void)context;
  struct Probe a = {.name = "a"};
  siginfo_t info;
  sd_event* loop = make_loop();
  set_blocked(SIGCHLD, true);
  const pid_t pid = spawn_sleeper();
  probe_child(loop, &a, pid, WEXITED | WSTOPPED);
  assert_result(iterate(loop), 0);
  const pid_t other = spawn_sleeper();
  set_enabled(&a, SD_EVENT_OFF);
  assert_int_equal(kill(pid, SIGSTOP), 0);
  assert_int_equal(waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOWAIT), 0);
  iterate_until_idle(loop);
  assert_int_equal(a.calls, 0);
  set_enabled(&a, SD_EVENT_ON);
  iterate_until_idle(loop);
  kill_and_reap(other);
  kill_and_reap(pid);
  free_probe(&a);
  sd_event_unref(loop);
  return (int)a.calls;
}

static void a_stop_while_its_source_is_off_is_kept_while_a_forked_process_lives(void** state) {
  (void)state;
  assert_result(in_child(calls_of_a_source_for_stops, NULL), differs(kForkedSignalfd, died_of(SIGABRT), 1));
}

// The other descriptors that a loop makes, of which the reference takes back the registration before it closes them.
static void children_files_and_descriptors_that_went_are_no_events_while_a_forked_process_lives(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  char* dir = make_dir();
  const pid_t pid = spawn_sleeper();
  struct Probe child = {.name = "child"}, file = {.name = "file"}, io = {.name = "io"};
  const int fd = make_eventfd(0), kept = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  probe_child(loop, &child, pid, WEXITED);
  probe_inotify(loop, &file, dir, IN_CREATE);
  probe_io(loop, &io, fd, EPOLLIN);
  assert_result(sd_event_source_set_io_fd_own(io.source, 1), 0);
  assert_result(iterate(loop), 0);
  const pid_t other = spawn_sleeper();
  free_probe(&child);
  free_probe(&file);
  free_probe(&io);
  kill_and_reap(pid);
  create_file(dir, "1");
  raise_eventfd(kept);
  assert_int_equal(iterate_until_idle(loop), 0);
  assert_journal("");
  kill_and_reap(other);
  sd_event_unref(loop);
  remove_dir(dir);
  close(kept);
}

int main(void) {
  exit_77_without_pidfds();
  const struct CMUnitTest tests[] = {
      recorded_test(a_signal_that_no_source_wants_any_more_is_no_event_while_a_forked_process_lives),
      recorded_test(a_stop_while_its_source_is_off_is_kept_while_a_forked_process_lives),
      child_test(children_files_and_descriptors_that_went_are_no_events_while_a_forked_process_lives),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
