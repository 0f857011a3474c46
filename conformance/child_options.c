// SPDX-License-Identifier: MIT
//
// Child sources: what can be watched, stop and continue, pidfds, ownership of fd and process, sending signals.
//
// Invariants under test:
// 1. options is a non-empty mask of WEXITED, WSTOPPED, WCONTINUED; one source a process and loop.
// 2. Stop and continue events are consumed by their notification; a process that is stopped is not reaped.
// 3. pidfd_own and process_own say what freeing the source closes and kills; the defaults differ by how it was made.
// 4. Signals go to the process and to nobody else: once its end was seen, -ESRCH.
#include "loop_recorder.h"

static void only_the_three_options_and_direct_children_are_accepted(void** state) {
  (void)state;
  static const int bad_options[] = {0, WNOHANG, WEXITED | WNOHANG, WEXITED | __WALL, WEXITED | (1 << 20)};
  static const pid_t bad_pids[] = {0, 1, -1, INT32_MIN};
  sd_event* loop = make_loop();
  sd_event_source* s = NULL;
  pid_t pid = spawn_sleeper(), reaped = spawn_exiting(0);
  assert_int_equal(waitpid(reaped, NULL, 0), reaped);
  for (size_t i = 0; i < lengthof(bad_options); i++)
    assert_result(sd_event_add_child(loop, &s, pid, bad_options[i], on_child, NULL), -EINVAL);
  for (size_t i = 0; i < lengthof(bad_pids); i++)
    assert_result(sd_event_add_child(loop, &s, bad_pids[i], WEXITED, on_child, NULL), -EINVAL);
  assert_result(sd_event_add_child(loop, &s, reaped, WEXITED, on_child, NULL), -ESRCH);
  assert_null(s);
  kill_and_reap(pid);
  sd_event_unref(loop);
}

static void one_source_a_process_and_loop(void** state) {
  (void)state;
  sd_event *loop = make_loop(), *other_loop = make_loop();
  pid_t pid = spawn_sleeper();
  int pidfd = open_pidfd(pid);
  sd_event_source *s = NULL, *second = NULL;
  assert_result(sd_event_add_child(loop, &s, pid, WEXITED, on_child, NULL), 0);
  for (int round = 0; round < 2; round++) {
    assert_result(sd_event_add_child(loop, &second, pid, WEXITED, on_child, NULL), -EBUSY);
    assert_result(sd_event_add_child_pidfd(loop, &second, pidfd, WSTOPPED, on_child, NULL), -EBUSY);
    assert_result(sd_event_source_set_enabled(s, SD_EVENT_OFF), 0);
  }
  assert_result(sd_event_add_child(other_loop, &second, pid, WEXITED, on_child, NULL), 0);
  sd_event_source_unref(second);
  sd_event_source_unref(s);
  assert_result(sd_event_add_child(loop, &s, pid, WEXITED, on_child, NULL), 0);
  sd_event_source_unref(s);
  kill_and_reap(pid);
  close(pidfd);
  sd_event_unref(loop);
  sd_event_unref(other_loop);
}

static void watching_for_stops_needs_sigchld_blocked_and_for_the_end_does_not(void** state) {
  (void)state;
  static const int options[] = {WEXITED, WSTOPPED, WCONTINUED, WEXITED | WSTOPPED};
  sd_event* loop = make_loop();
  pid_t pid = spawn_sleeper();
  set_blocked(SIGCHLD, false);
  for (size_t i = 0; i < lengthof(options); i++) {
    sd_event_source* s = NULL;
    int expected = options[i] != WEXITED ? -EBUSY : differs(kExitedUnblocked, -EBUSY, 0);
    assert_result(sd_event_add_child(loop, &s, pid, options[i], on_child, NULL), expected);
    sd_event_source_unref(s);
  }
  if (!as_reference(kExitedUnblocked)) {
    struct Probe a = {.name = "a"};
    probe_child(loop, &a, pid, WEXITED);
    kill(pid, SIGKILL);
    run_until_calls(&a, 1);
    assert_journal("a:2:9 ");
    free_probe(&a);
  } else {
    kill_and_reap(pid);
  }
  set_blocked(SIGCHLD, true);
  sd_event_unref(loop);
}

static void an_enabled_source_reports_stop_continue_and_end_once_each(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  pid_t pid = spawn_sleeper();
  struct Probe a = {.name = "a"};
  probe_child(loop, &a, pid, WEXITED | WSTOPPED | WCONTINUED);
  set_enabled(&a, SD_EVENT_ON);
  kill(pid, SIGSTOP);
  run_until_calls(&a, 1);
  iterate_until_idle(loop);
  assert_journal("a:5:19 ");
  kill(pid, SIGCONT);
  run_until_calls(&a, 2);
  iterate_until_idle(loop);
  assert_journal("a:6:18 ");
  kill(pid, SIGKILL);
  run_until_calls(&a, 3);
  assert_journal("a:2:9 ");
  assert_int_equal(child_state(pid), '-');
  assert_result(iterate(loop), 0);
  free_probe(&a);
  sd_event_unref(loop);
}

static void a_stop_that_was_notified_is_consumed(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  pid_t pid = spawn_sleeper();
  struct Probe a = {.name = "a"};
  siginfo_t info = {0};
  probe_child(loop, &a, pid, WSTOPPED);
  kill(pid, SIGSTOP);
  run_until_calls(&a, 1);
  assert_int_equal(waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOHANG), 0);
  assert_int_equal(info.si_pid, 0);
  assert_int_equal(child_state(pid), 'R');
  assert_journal("a:5:19 ");
  free_probe(&a);
  kill_and_reap(pid);
  sd_event_unref(loop);
}

static void a_source_for_continues_does_not_see_stops(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  pid_t pid = spawn_sleeper();
  struct Probe a = {.name = "a"};
  siginfo_t info = {0};
  probe_child(loop, &a, pid, WCONTINUED);
  kill(pid, SIGSTOP);
  assert_int_equal(waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOWAIT), 0);
  iterate_until_idle(loop);
  assert_journal("");
  kill(pid, SIGCONT);
  run_until_calls(&a, 1);
  assert_journal("a:6:18 ");
  free_probe(&a);
  kill_and_reap(pid);
  sd_event_unref(loop);
}

static void the_end_of_a_process_that_is_watched_for_stops_alone_does_not_fail_the_loop(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  pid_t pid = spawn_sleeper();
  struct Probe a = {.name = "a"};
  probe_child(loop, &a, pid, WSTOPPED);
  kill(pid, SIGKILL);
  await_zombie(pid);
  assert_result(iterate(loop), differs(kStoppedDies, -ECHILD, 0));
  assert_journal("");
  assert_int_equal(child_state(pid), 'Z');
  assert_result(iterate(loop), 0);
  assert_int_equal(enabled_of(&a), SD_EVENT_ONESHOT);
  assert_int_equal(waitpid(pid, NULL, 0), pid);
  free_probe(&a);
  sd_event_unref(loop);
}

static void getters_tell_how_the_source_was_made(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  pid_t pid = spawn_sleeper(), seen = 0;
  int pidfd = open_pidfd(pid);
  sd_event_source* s = NULL;
  const char* description = NULL;
  assert_result(sd_event_add_child(loop, &s, pid, WEXITED, on_child, NULL), 0);
  assert_result(sd_event_source_get_child_pid(s, &seen), 0);
  assert_int_equal(seen, pid);
  assert_true(sd_event_source_get_child_pidfd(s) > STDERR_FILENO);
  assert_int_equal(fcntl(sd_event_source_get_child_pidfd(s), F_GETFD), FD_CLOEXEC);
  assert_result(sd_event_source_get_child_pidfd_own(s), 1);
  assert_result(sd_event_source_get_child_process_own(s), 0);
  assert_result(sd_event_source_get_description(s, &description), -ENXIO);
  sd_event_source_unref(s);
  assert_result(sd_event_add_child_pidfd(loop, &s, pidfd, WEXITED, on_child, NULL), 0);
  assert_result(sd_event_source_get_child_pid(s, &seen), 0);
  assert_int_equal(seen, pid);
  assert_int_equal(sd_event_source_get_child_pidfd(s), pidfd);
  assert_result(sd_event_source_get_child_pidfd_own(s), 0);
  sd_event_source_unref(s);
  assert_true(fcntl(pidfd, F_GETFD) >= 0);
  close(pidfd);
  kill_and_reap(pid);
  sd_event_unref(loop);
}

static void a_pidfd_source_works_like_one_by_pid(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  pid_t pid = spawn_exiting(8);
  int pidfd = open_pidfd(pid);
  struct Probe a = {.name = "a", .loop = loop};
  assert_result(sd_event_add_child_pidfd(loop, &a.source, pidfd, WEXITED, record_child, &a), 0);
  run_until_calls(&a, 1);
  assert_journal("a:1:8 ");
  assert_int_equal(child_state(pid), '-');
  free_probe(&a);
  close(pidfd);
  sd_event_unref(loop);
}

static void pidfd_own_decides_whether_free_closes_the_pidfd(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  pid_t pid = spawn_sleeper();
  sd_event_source* s = NULL;
  assert_result(sd_event_add_child(loop, &s, pid, WEXITED, on_child, NULL), 0);
  int pidfd = sd_event_source_get_child_pidfd(s);
  assert_result(sd_event_source_set_child_pidfd_own(s, 0), 0);
  assert_result(sd_event_source_set_child_pidfd_own(s, 0), 0);
  assert_result(sd_event_source_get_child_pidfd_own(s), 0);
  sd_event_source_unref(s);
  assert_true(fcntl(pidfd, F_GETFD) >= 0);
  assert_result(sd_event_add_child_pidfd(loop, &s, pidfd, WEXITED, on_child, NULL), 0);
  assert_result(sd_event_source_set_child_pidfd_own(s, 4), 0);
  assert_result(sd_event_source_get_child_pidfd_own(s), 1);
  sd_event_source_unref(s);
  assert_true(fcntl(pidfd, F_GETFD) < 0);
  kill_and_reap(pid);
  sd_event_unref(loop);
}

static void the_pidfd_of_a_program_may_be_descriptor_0(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int stdin_fd = fcntl(0, F_DUPFD_CLOEXEC, 3);
  pid_t pid = spawn_exiting(8);
  int pidfd = open_pidfd(pid);
  struct Probe a = {.name = "a", .loop = loop};
  assert_int_equal(dup2(pidfd, 0), 0);
  close(pidfd);
  assert_result(sd_event_add_child_pidfd(loop, &a.source, 0, WEXITED, record_child, &a), 0);
  assert_result(sd_event_source_get_child_pidfd(a.source), 0);
  assert_result(sd_event_source_set_child_pidfd_own(a.source, 1), 0);
  assert_result(sd_event_source_get_child_pidfd_own(a.source), 1);
  assert_result(sd_event_source_set_child_pidfd_own(a.source, 0), 0);
  run_until_calls(&a, 1);
  assert_journal("a:1:8 ");
  free_probe(&a);
  assert_true(fcntl(0, F_GETFD) >= 0);
  if (stdin_fd >= 0) {
    assert_int_equal(dup2(stdin_fd, 0), 0);
    close(stdin_fd);
  } else {
    close(0);
  }
  sd_event_unref(loop);
}

static void process_own_kills_and_reaps_when_the_source_is_freed(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  for (int how = 0; how < 4; how++) {
    pid_t pid = how == 3 ? spawn_zombie(0) : spawn_sleeper();
    sd_event_source* s = NULL;
    assert_result(sd_event_add_child(loop, &s, pid, WEXITED, on_child, NULL), 0);
    assert_result(sd_event_source_set_child_process_own(s, 2), 0);
    assert_result(sd_event_source_set_child_process_own(s, 1), 0);
    assert_result(sd_event_source_get_child_process_own(s), 1);
    if (how == 1) assert_result(sd_event_source_set_enabled(s, SD_EVENT_OFF), 0);
    if (how == 2) {
      siginfo_t info;
      kill(pid, SIGSTOP);
      assert_int_equal(waitid(P_PID, (id_t)pid, &info, WSTOPPED), 0);
    }
    sd_event_source_unref(s);
    assert_int_equal(child_state(pid), '-');
  }
  sd_event_unref(loop);
}

static void an_owned_process_that_ended_in_its_own_time_is_reaped_once(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_child(loop, &a, spawn_exiting(1), WEXITED);
  assert_result(sd_event_source_set_child_process_own(a.source, 1), 0);
  run_until_calls(&a, 1);
  pid_t other = spawn_sleeper();
  free_probe(&a);
  assert_int_equal(child_state(other), 'R');
  kill_and_reap(other);
  sd_event_unref(loop);
}

static void a_loop_that_goes_leaves_processes_alone_unless_it_owns_them(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  pid_t pid = spawn_sleeper();
  assert_result(sd_event_add_child(loop, NULL, pid, WEXITED, on_child, NULL), 0);
  sd_event_unref(loop);
  assert_int_equal(child_state(pid), 'R');
  kill_and_reap(pid);
}

static sd_event_source* orphan_of(sd_event* loop, pid_t pid) {
  sd_event_source* s = NULL;
  assert_result(sd_event_add_child(loop, &s, pid, WEXITED, on_child, NULL), 0);
  assert_result(sd_event_source_set_child_process_own(s, 1), 0);
  assert_result(sd_event_source_set_floating(s, 1), 1);
  sd_event_unref(loop);
  return s;
}

static int free_here(void* s) { return sd_event_source_unref(s) != NULL; }

static void a_source_that_outlives_its_loop_keeps_what_it_owns_until_it_is_freed(void** state) {
  (void)state;
  pid_t pid = spawn_sleeper();
  int before = count_fds();
  sd_event_source* s = orphan_of(make_loop(), pid);
  assert_int_equal(child_state(pid), 'R');
  assert_int_equal(count_fds(), before + 1);
  sd_event_source_unref(s);
  assert_int_equal(child_state(pid), '-');
  assert_int_equal(count_fds(), before);
}

static void a_forked_process_that_frees_a_source_without_a_loop_kills_nobody(void** state) {
  (void)state;
  pid_t pid = spawn_sleeper();
  sd_event_source* s = orphan_of(make_loop(), pid);
  assert_int_equal(in_child(free_here, s), 0);
  if (as_reference(kGoneForked)) {
    await_zombie(pid);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
  } else {
    assert_int_equal(child_state(pid), 'R');
  }
  sd_event_source_unref(s);
}

static int on_stop_that_frees(sd_event_source* s, const siginfo_t* si, void* state) {
  sd_event_source_unref(s);
  *(char*)state = child_state(si->si_pid);
  return 0;
}

static void an_owned_process_outlives_the_callback_that_frees_its_source(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  sd_event_source* s = NULL;
  char seen = 0;
  pid_t pid = spawn_sleeper();
  assert_result(sd_event_add_child(loop, &s, pid, WSTOPPED, on_stop_that_frees, &seen), 0);
  assert_result(sd_event_source_set_child_process_own(s, 1), 0);
  kill(pid, SIGSTOP);
  while (!seen) assert_true(sd_event_run(loop, UINT64_MAX) >= 0);
  assert_int_not_equal(seen, '-');
  assert_int_equal(child_state(pid), '-');
  sd_event_unref(loop);
}

static void signals_are_sent_until_the_end_was_seen(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  pid_t pid = spawn_sleeper();
  siginfo_t info = {.si_signo = SIGTERM, .si_code = SI_QUEUE}, wrong = {.si_signo = SIGUSR1, .si_code = SI_QUEUE};
  probe_child(loop, &a, pid, WEXITED);
  assert_result(sd_event_source_send_child_signal(a.source, 0, NULL, 0), -EINVAL);
  assert_result(sd_event_source_send_child_signal(a.source, -1, NULL, 0), -EINVAL);
  assert_result(sd_event_source_send_child_signal(a.source, NSIG, NULL, 0), -EINVAL);
  assert_result(sd_event_source_send_child_signal(a.source, SIGTERM, &wrong, 0), -EINVAL);
  assert_int_equal(child_state(pid), 'R');
  assert_result(sd_event_source_send_child_signal(a.source, SIGTERM, &info, 0), 0);
  await_zombie(pid);
  assert_result(sd_event_source_send_child_signal(a.source, SIGTERM, NULL, 0), 0);  // nobody has seen the end yet
  gather(loop);
  assert_int_equal(is_pending(&a), 1);
  assert_result(sd_event_source_send_child_signal(a.source, SIGTERM, NULL, 0), -ESRCH);
  assert_result(iterate(loop), 1);
  assert_journal("a:2:15 ");
  assert_result(sd_event_source_send_child_signal(a.source, SIGTERM, NULL, 0), -ESRCH);
  assert_result(sd_event_source_send_child_signal(a.source, 0, NULL, 0), -EINVAL);
  free_probe(&a);
  sd_event_unref(loop);
}

int main(void) {
  exit_77_without_pidfds();
  const struct CMUnitTest tests[] = {
      child_test(only_the_three_options_and_direct_children_are_accepted),
      child_test(one_source_a_process_and_loop),
      child_test(watching_for_stops_needs_sigchld_blocked_and_for_the_end_does_not),
      child_test(an_enabled_source_reports_stop_continue_and_end_once_each),
      child_test(a_stop_that_was_notified_is_consumed),
      child_test(a_source_for_continues_does_not_see_stops),
      child_test(the_end_of_a_process_that_is_watched_for_stops_alone_does_not_fail_the_loop),
      child_test(getters_tell_how_the_source_was_made),
      child_test(a_pidfd_source_works_like_one_by_pid),
      child_test(pidfd_own_decides_whether_free_closes_the_pidfd),
      child_test(the_pidfd_of_a_program_may_be_descriptor_0),
      child_test(process_own_kills_and_reaps_when_the_source_is_freed),
      child_test(an_owned_process_that_ended_in_its_own_time_is_reaped_once),
      child_test(a_loop_that_goes_leaves_processes_alone_unless_it_owns_them),
      child_test(a_source_that_outlives_its_loop_keeps_what_it_owns_until_it_is_freed),
      child_test(a_forked_process_that_frees_a_source_without_a_loop_kills_nobody),
      child_test(an_owned_process_outlives_the_callback_that_frees_its_source),
      child_test(signals_are_sent_until_the_end_was_seen),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
