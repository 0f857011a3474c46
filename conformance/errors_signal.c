// SPDX-License-Identifier: MIT
//
// What add_signal refuses, for each signal number, blocked and not, with SD_EVENT_SIGNAL_PROCMASK and without; and that
// a call that fails leaves the process' signal mask and the number of fds as they were.
//
// libc keeps signals 32 and 33 to itself: they cannot be blocked through sigprocmask, so they are never accepted
// without SD_EVENT_SIGNAL_PROCMASK. The same holds for SIGKILL and SIGSTOP. Each test owns its loop and puts the mask
// back; end_clean checks that.
#include "harness.h"

static int add_signal(sd_event* loop, int sig) {
  sd_event_source* s = NULL;
  int fds = count_fds();
  int r = sd_event_add_signal(loop, &s, sig, on_signal, NULL);
  assert_true((s != NULL) == (r == 0));
  sd_event_source_unref(s);
  if (r < 0) assert_int_equal(count_fds(), fds);
  return r;
}

static bool can_be_blocked(int sig) { return sig != SIGKILL && sig != SIGSTOP && sig != 32 && sig != 33; }

static void numbers_that_are_no_signals_are_EINVAL(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  const int numbers[] = {0,
                         -1,
                         -SIGUSR1,
                         NSIG,
                         NSIG + 1,
                         128,
                         1 << 29,
                         (1 << 29) | SIGUSR1,
                         INT32_MAX,
                         INT32_MIN,
                         (int)((unsigned)INT32_MIN | SIGUSR1)};
  for (size_t i = 0; i < lengthof(numbers); i++) {
    assert_result(add_signal(loop, numbers[i]), -EINVAL);
    assert_result(add_signal(loop, numbers[i] | SD_EVENT_SIGNAL_PROCMASK), -EINVAL);
  }
  sd_event_unref(loop);
}

static void a_signal_that_is_not_blocked_is_EBUSY(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  for (int sig = 1; sig < NSIG; sig++)
    if (!is_blocked(sig)) assert_result(add_signal(loop, sig), -EBUSY);
  sd_event_unref(loop);
}

static void a_signal_that_is_blocked_is_accepted(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  for (int sig = 1; sig < NSIG; sig++) {
    if (!can_be_blocked(sig)) continue;
    set_blocked(sig, true);
    assert_result(add_signal(loop, sig), 0);
    assert_true(is_blocked(sig));
    set_blocked(sig, false);
  }
  sd_event_unref(loop);
}

static void PROCMASK_blocks_the_signal_and_freeing_the_source_unblocks_it(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  for (int sig = 1; sig < NSIG; sig++) {
    sd_event_source* s = NULL;
    if (!can_be_blocked(sig)) continue;
    assert_false(is_blocked(sig));
    assert_result(sd_event_add_signal(loop, &s, sig | SD_EVENT_SIGNAL_PROCMASK, on_signal, NULL), 0);
    assert_true(is_blocked(sig));
    assert_int_equal(sd_event_source_get_signal(s), sig);
    sd_event_source_unref(s);
    assert_false(is_blocked(sig));
  }
  sd_event_unref(loop);
}

static void PROCMASK_leaves_a_signal_blocked_that_was_blocked_before(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  set_blocked(SIGUSR1, true);
  assert_result(add_signal(loop, SIGUSR1 | SD_EVENT_SIGNAL_PROCMASK), 0);
  assert_true(is_blocked(SIGUSR1));
  set_blocked(SIGUSR1, false);
  sd_event_unref(loop);
}

static void PROCMASK_accepts_SIGKILL_and_SIGSTOP_but_not_the_signals_of_libc(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  assert_result(add_signal(loop, SIGKILL | SD_EVENT_SIGNAL_PROCMASK), 0);
  assert_result(add_signal(loop, SIGSTOP | SD_EVENT_SIGNAL_PROCMASK), 0);
  assert_result(add_signal(loop, 32 | SD_EVENT_SIGNAL_PROCMASK), -EINVAL);
  assert_result(add_signal(loop, 33 | SD_EVENT_SIGNAL_PROCMASK), -EINVAL);
  sd_event_unref(loop);
}

static void a_second_source_for_a_signal_is_EBUSY_and_leaves_the_mask(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  sd_event_source* s = NULL;
  set_blocked(SIGUSR1, true);
  assert_int_equal(sd_event_add_signal(loop, &s, SIGUSR1, on_signal, NULL), 0);
  assert_result(add_signal(loop, SIGUSR1), -EBUSY);
  assert_result(add_signal(loop, SIGUSR1 | SD_EVENT_SIGNAL_PROCMASK), -EBUSY);
  assert_true(is_blocked(SIGUSR1));
  assert_int_equal(sd_event_source_set_enabled(s, SD_EVENT_OFF), 0);
  assert_result(add_signal(loop, SIGUSR1), -EBUSY);
  sd_event_source_unref(s);
  assert_result(add_signal(loop, SIGUSR1), 0);
  set_blocked(SIGUSR1, false);
  sd_event_unref(loop);
}

static void a_failed_PROCMASK_call_does_not_block_the_signal(void** state) {
  (void)state;
  sd_event *loop = make_loop(), *finished = make_finished_loop();
  sd_event_source* s = NULL;
  assert_int_equal(sd_event_add_signal(loop, &s, SIGUSR1 | SD_EVENT_SIGNAL_PROCMASK, on_signal, NULL), 0);
  set_blocked(SIGUSR1, false);
  assert_result(add_signal(loop, SIGUSR1 | SD_EVENT_SIGNAL_PROCMASK), -EBUSY);
  assert_false(is_blocked(SIGUSR1));
  assert_result(add_signal(finished, SIGUSR2 | SD_EVENT_SIGNAL_PROCMASK), -ESTALE);
  assert_false(is_blocked(SIGUSR2));
  sd_event_source_unref(s);
  sd_event_unref(finished);
  sd_event_unref(loop);
}

static void two_loops_may_watch_one_signal(void** state) {
  (void)state;
  sd_event *loop = make_loop(), *other = make_loop();
  sd_event_source* s = NULL;
  set_blocked(SIGUSR1, true);
  assert_int_equal(sd_event_add_signal(loop, &s, SIGUSR1, on_signal, NULL), 0);
  assert_result(add_signal(other, SIGUSR1), 0);
  sd_event_source_unref(s);
  set_blocked(SIGUSR1, false);
  sd_event_unref(other);
  sd_event_unref(loop);
}

static int fds_left_by_SIGCHLD_beside_a_child(void* context) {
  (void)context;
  int before = count_fds();
  sd_event* loop = make_loop();
  sd_event_source* s = NULL;
  pid_t pid = spawn_sleeper();
  set_blocked(SIGCHLD, true);
  assert_int_equal(sd_event_add_child(loop, &s, pid, WEXITED, on_child, NULL), 0);
  assert_result(sd_event_add_signal(loop, NULL, SIGCHLD, on_signal, NULL), 0);
  sd_event_source_unref(s);
  sd_event_unref(loop);
  kill_and_reap(pid);
  return count_fds() - before;
}

static int fds_left_when_SIGCHLD_goes_before_the_child(void* context) {
  (void)context;
  int before = count_fds();
  sd_event* loop = make_loop();
  sd_event_source *s = NULL, *sigchld = NULL;
  pid_t pid = spawn_sleeper();
  set_blocked(SIGCHLD, true);
  assert_int_equal(sd_event_add_child(loop, &s, pid, WEXITED, on_child, NULL), 0);
  assert_result(sd_event_add_signal(loop, &sigchld, SIGCHLD, on_signal, NULL), 0);
  sd_event_source_unref(sigchld);
  sd_event_source_unref(s);
  sd_event_unref(loop);
  kill_and_reap(pid);
  return count_fds() - before;
}

static void SIGCHLD_may_be_watched_beside_child_sources(void** state) {
  (void)state;
  assert_int_equal(in_child(fds_left_by_SIGCHLD_beside_a_child, NULL), 0);
}

static void a_SIGCHLD_source_freed_before_a_child_source_leaves_no_signalfd(void** state) {
  (void)state;
  int pidfd = open_pidfd(getpid());
  if (pidfd < 0) {
    print_message("without pidfds child sources live on SIGCHLD themselves\n");
    skip();
  }
  close(pidfd);
  assert_int_equal(in_child(fds_left_when_SIGCHLD_goes_before_the_child, NULL), differs(kSigchldFreed, 1, 0));
}

static void set_signal_exit_blocks_both_signals_and_unblocks_them(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  assert_result(sd_event_set_signal_exit(loop, 1), 1);
  assert_true(is_blocked(SIGINT) && is_blocked(SIGTERM));
  assert_result(sd_event_set_signal_exit(loop, 1), 0);
  assert_result(sd_event_set_signal_exit(loop, 77), 0);
  assert_result(add_signal(loop, SIGINT), -EBUSY);
  assert_result(sd_event_set_signal_exit(loop, 0), 1);
  assert_false(is_blocked(SIGINT) || is_blocked(SIGTERM));
  assert_result(sd_event_set_signal_exit(loop, 0), 0);
  sd_event_unref(loop);
}

static void set_signal_exit_fails_whole_when_a_signal_has_a_source(void** state) {
  (void)state;
  const int signals[] = {SIGINT, SIGTERM};
  for (size_t i = 0; i < lengthof(signals); i++) {
    sd_event* loop = make_loop();
    sd_event_source* s = NULL;
    int other = signals[1 - i];
    assert_int_equal(sd_event_add_signal(loop, &s, signals[i] | SD_EVENT_SIGNAL_PROCMASK, on_signal, NULL), 0);
    int fds = count_fds();
    assert_result(sd_event_set_signal_exit(loop, 1), -EBUSY);
    assert_int_equal(count_fds(), fds);
    assert_false(is_blocked(other));
    assert_true(is_blocked(signals[i]));
    assert_result(sd_event_set_signal_exit(loop, 0), 0);
    assert_result(add_signal(loop, other | SD_EVENT_SIGNAL_PROCMASK), 0);
    sd_event_source_unref(s);
    assert_result(sd_event_set_signal_exit(loop, 1), 1);
    sd_event_unref(loop);
    assert_false(is_blocked(SIGINT) || is_blocked(SIGTERM));
  }
}

static int set_signal_exit_here(void* loop) { return sd_event_set_signal_exit(loop, 1); }

static void set_signal_exit_looks_at_the_loop_before_the_signals_that_have_a_source(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  sd_event_source* s = NULL;
  assert_int_equal(sd_event_add_signal(loop, &s, SIGINT | SD_EVENT_SIGNAL_PROCMASK, on_signal, NULL), 0);
  assert_result(in_child(set_signal_exit_here, loop), -ECHILD);
  finish_loop(loop);
  assert_result(sd_event_set_signal_exit(loop, 1), -ESTALE);
  assert_result(in_child(set_signal_exit_here, loop), -ESTALE);
  sd_event_source_unref(s);
  sd_event_unref(loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      clean_test(numbers_that_are_no_signals_are_EINVAL),
      clean_test(a_signal_that_is_not_blocked_is_EBUSY),
      clean_test(a_signal_that_is_blocked_is_accepted),
      clean_test(PROCMASK_blocks_the_signal_and_freeing_the_source_unblocks_it),
      clean_test(PROCMASK_leaves_a_signal_blocked_that_was_blocked_before),
      clean_test(PROCMASK_accepts_SIGKILL_and_SIGSTOP_but_not_the_signals_of_libc),
      clean_test(a_second_source_for_a_signal_is_EBUSY_and_leaves_the_mask),
      clean_test(a_failed_PROCMASK_call_does_not_block_the_signal),
      clean_test(two_loops_may_watch_one_signal),
      clean_test(SIGCHLD_may_be_watched_beside_child_sources),
      clean_test(a_SIGCHLD_source_freed_before_a_child_source_leaves_no_signalfd),
      clean_test(set_signal_exit_blocks_both_signals_and_unblocks_them),
      clean_test(set_signal_exit_fails_whole_when_a_signal_has_a_source),
      clean_test(set_signal_exit_looks_at_the_loop_before_the_signals_that_have_a_source),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
