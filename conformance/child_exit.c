// SPDX-License-Identifier: MIT
//
// Child sources and the end of a process: what the callback sees, who reaps, what happens when others interfere.
//
// Invariants under test:
// 1. The callback runs while the process is a zombie; it is reaped right after, whatever the callback did. A source
//    that is freed or off before its callback ran leaves the zombie alone.
// 2. A process that is dead before the source is added, or dies while it is off, is still reported.
// 3. Priorities order children among themselves and against other kinds, SIGCHLD sources included.
// 4. Nobody else's processes are touched.
// 5. With WNOWAIT the zombie stays, and a source that is ON tells of it in each iteration, as of a descriptor.
#include "loop_recorder.h"

static void act_expect_zombie(struct Probe* p) {
  pid_t pid = 0;
  assert_int_equal(sd_event_source_get_child_pid(p->source, &pid), 0);
  assert_int_equal(child_state(pid), 'Z');
}
static void act_expect_zombie_and_free(struct Probe* p) {
  act_expect_zombie(p);
  free_probe(p);
}

static void the_process_is_a_zombie_in_the_callback_and_reaped_after_it(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a", .act = act_expect_zombie};
  pid_t pid = spawn_exiting(3);
  probe_child(loop, &a, pid, WEXITED);
  assert_int_equal(enabled_of(&a), SD_EVENT_ONESHOT);
  run_until_calls(&a, 1);
  assert_int_equal(a.siginfo.si_pid, pid);
  assert_int_equal(a.siginfo.si_uid, getuid());
  assert_int_equal(a.siginfo.si_signo, SIGCHLD);
  assert_journal("a:1:3 ");
  assert_int_equal(child_state(pid), '-');
  assert_int_equal(enabled_of(&a), SD_EVENT_OFF);
  assert_result(iterate(loop), 0);
  free_probe(&a);
  sd_event_unref(loop);
}

static void a_callback_that_fails_or_frees_its_source_changes_nothing_about_reaping(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a", .act = act_expect_zombie, .result = -EIO};
  struct Probe b = {.name = "b", .act = act_expect_zombie_and_free};
  pid_t pid_a = spawn_exiting(1), pid_b = spawn_exiting(2);
  probe_child(loop, &a, pid_a, WEXITED);
  run_until_calls(&a, 1);
  assert_int_equal(child_state(pid_a), '-');
  assert_int_equal(enabled_of(&a), SD_EVENT_OFF);
  probe_child(loop, &b, pid_b, WEXITED);
  run_until_calls(&b, 1);
  assert_int_equal(child_state(pid_b), '-');
  assert_journal("a:1:1 b:1:2 ");
  free_probe(&a);
  sd_event_unref(loop);
}

static void a_process_that_a_signal_killed_is_reported_as_such(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  pid_t pid = spawn_sleeper();
  probe_child(loop, &a, pid, WEXITED);
  assert_result(iterate(loop), 0);
  kill(pid, SIGTERM);
  run_until_calls(&a, 1);
  assert_int_equal(a.siginfo.si_code, CLD_KILLED);
  assert_int_equal(a.siginfo.si_status, SIGTERM);
  free_probe(&a);
  sd_event_unref(loop);
}

static void a_process_that_is_dead_already_is_reported(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  pid_t pid = spawn_zombie(4);
  probe_child(loop, &a, pid, WEXITED);
  assert_int_equal(is_pending(&a), 0);
  assert_result(iterate(loop), 1);
  assert_journal("a:1:4 ");
  assert_int_equal(child_state(pid), '-');
  free_probe(&a);
  sd_event_unref(loop);
}

static void an_end_while_off_is_reported_when_on_again(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  pid_t pid = spawn_sleeper();
  probe_child(loop, &a, pid, WEXITED);
  assert_result(iterate(loop), 0);
  set_enabled(&a, SD_EVENT_OFF);
  kill(pid, SIGKILL);
  await_zombie(pid);
  assert_result(iterate(loop), 0);
  assert_int_equal(child_state(pid), 'Z');
  set_enabled(&a, SD_EVENT_ONESHOT);
  gather(loop);
  assert_int_equal(is_pending(&a), 1);
  set_enabled(&a, SD_EVENT_OFF);
  assert_int_equal(is_pending(&a), 0);
  assert_result(iterate(loop), 0);
  set_enabled(&a, SD_EVENT_ON);
  assert_result(iterate(loop), 1);
  assert_journal("a:2:9 ");
  assert_int_equal(child_state(pid), '-');
  free_probe(&a);
  sd_event_unref(loop);
}

static void a_source_that_is_freed_before_its_callback_ran_leaves_the_zombie(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  pid_t pid = spawn_zombie(0);
  probe_child(loop, &a, pid, WEXITED);
  free_probe(&a);
  assert_int_equal(child_state(pid), 'Z');
  probe_child(loop, &a, pid, WEXITED);
  gather(loop);
  assert_int_equal(is_pending(&a), 1);
  free_probe(&a);
  assert_int_equal(child_state(pid), 'Z');
  assert_result(iterate(loop), 0);
  assert_int_equal(waitpid(pid, NULL, 0), pid);
  sd_event_unref(loop);
}

static void what_was_seen_is_reported_even_if_somebody_else_reaps(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  pid_t pid = spawn_zombie(5);
  probe_child(loop, &a, pid, WEXITED);
  gather(loop);
  assert_int_equal(is_pending(&a), 1);
  assert_int_equal(waitpid(pid, NULL, 0), pid);
  assert_result(iterate(loop), 1);
  assert_journal("a:1:5 ");
  free_probe(&a);
  sd_event_unref(loop);
}

static void children_are_dispatched_by_priority(void** state) {
  (void)state;
  enum { kCount = 8 };
  sd_event* loop = make_loop();
  struct Probe probes[kCount];
  pid_t pids[kCount];
  for (int i = 0; i < kCount; i++) {
    probes[i] = (struct Probe){.name = "c"};
    probe_child(loop, &probes[i], pids[i] = spawn_zombie(i), WEXITED);
    set_priority(&probes[i], -i);
  }
  assert_int_equal(iterate_until_idle(loop), kCount);
  assert_journal("c:1:7 c:1:6 c:1:5 c:1:4 c:1:3 c:1:2 c:1:1 c:1:0 ");
  for (int i = 0; i < kCount; i++) {
    assert_int_equal(child_state(pids[i]), '-');
    free_probe(&probes[i]);
  }
  sd_event_unref(loop);
}

static void io_of_better_priority_goes_before_the_end_of_the_process_that_wrote_it(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fds[2];
  assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
  pid_t pid = fork();
  if (pid == 0) _exit(write(fds[1], "x", 1) == 1 ? 0 : 1);
  struct Probe io = {.name = "io"}, child = {.name = "child"};
  probe_child(loop, &child, pid, WEXITED);
  probe_io(loop, &io, fds[0], EPOLLIN);
  set_enabled(&io, SD_EVENT_ONESHOT);
  set_priority(&io, -1);
  while (child.calls == 0) assert_true(sd_event_run(loop, UINT64_MAX) >= 0);
  assert_journal("io child:1:0 ");
  free_probe(&io);
  free_probe(&child);
  close(fds[0]);
  close(fds[1]);
  sd_event_unref(loop);
}

static void a_sigchld_source_and_a_child_source_go_together(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe sig = {.name = "sigchld"}, child = {.name = "child"};
  probe_signal(loop, &sig, SIGCHLD);
  for (int64_t priority = -1; priority <= 1; priority++) {
    pid_t pid = spawn_zombie(3);
    set_priority(&sig, priority);
    probe_child(loop, &child, pid, WEXITED);
    assert_int_equal(iterate_until_idle(loop), 2);
    if (priority < 0) assert_journal("sigchld child:1:3 ");
    if (priority == 0) assert_journal_any_order("sigchld child:1:3 ");
    if (priority > 0) assert_journal("child:1:3 sigchld ");
    assert_int_equal(child_state(pid), '-');
    free_probe(&child);
  }
  free_probe(&sig);
  sd_event_unref(loop);
}

static void processes_without_a_source_are_not_reaped(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  pid_t watched = spawn_zombie(1), other = spawn_zombie(2);
  probe_child(loop, &a, watched, WEXITED);
  iterate_until_idle(loop);
  assert_int_equal(child_state(other), 'Z');
  assert_int_equal(waitpid(other, NULL, 0), other);
  free_probe(&a);
  sd_event_unref(loop);
}

static void a_zombie_that_is_to_stay_is_told_of_in_each_iteration(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  const pid_t pid = spawn_zombie(3);
  struct Probe a = {.name = "a", .loop = loop};
  const int r = sd_event_add_child(loop, &a.source, pid, WEXITED | WNOWAIT, record_child, &a);
  assert_result(r, differs(kNoWait, -EINVAL, 0));
  if (r == 0) {
    set_enabled(&a, SD_EVENT_ON);
    for (int i = 0; i < 4; i++) assert_result(iterate(loop), 1);
    assert_journal("a:1:3 a:1:3 a:1:3 a:1:3 ");
    assert_int_equal(enabled_of(&a), SD_EVENT_ON);
    set_enabled(&a, SD_EVENT_OFF);
    assert_result(iterate(loop), 0);
    for (int i = 0; i < 2; i++) {
      set_enabled(&a, SD_EVENT_ONESHOT);
      assert_int_equal(iterate_until_idle(loop), 1);
    }
    assert_journal("a:1:3 a:1:3 ");
    assert_int_equal(child_state(pid), 'Z');
    free_probe(&a);
  }
  assert_int_equal(child_state(pid), 'Z');
  probe_child(loop, &a, pid, WEXITED);
  assert_int_equal(iterate_until_idle(loop), 1);
  assert_journal("a:1:3 ");
  assert_int_equal(child_state(pid), '-');
  free_probe(&a);
  sd_event_unref(loop);
}

static void a_null_callback_exits_the_loop_and_reaps(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  pid_t pid = spawn_exiting(3);
  assert_result(sd_event_add_child(loop, NULL, pid, WEXITED, NULL, (void*)(intptr_t)6), 0);
  assert_int_equal(sd_event_loop(loop), 6);
  assert_int_equal(child_state(pid), '-');
  sd_event_unref(loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      child_test(the_process_is_a_zombie_in_the_callback_and_reaped_after_it),
      child_test(a_callback_that_fails_or_frees_its_source_changes_nothing_about_reaping),
      child_test(a_process_that_a_signal_killed_is_reported_as_such),
      child_test(a_process_that_is_dead_already_is_reported),
      child_test(an_end_while_off_is_reported_when_on_again),
      child_test(a_source_that_is_freed_before_its_callback_ran_leaves_the_zombie),
      child_test(what_was_seen_is_reported_even_if_somebody_else_reaps),
      child_test(children_are_dispatched_by_priority),
      child_test(io_of_better_priority_goes_before_the_end_of_the_process_that_wrote_it),
      child_test(a_sigchld_source_and_a_child_source_go_together),
      child_test(processes_without_a_source_are_not_reaped),
      child_test(a_zombie_that_is_to_stay_is_told_of_in_each_iteration),
      child_test(a_null_callback_exits_the_loop_and_reaps),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
