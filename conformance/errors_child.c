// SPDX-License-Identifier: MIT
//
// What add_child, add_child_pidfd and send_child_signal refuse, and that nothing has changed then.
//
// SIGCHLD has to be blocked for the first child source of a loop in 252, whatever it waits for. With pidfds that is
// needless for WEXITED, so here it is only asked for with WSTOPPED and WCONTINUED (a difference, as releases from 260
// on). A pidfd must name a process that has not been reaped: a fd that is none is -ENOTTY, a closed one -EBADF. Each
// test owns its loop, its children (killed and reaped at its end) and its pidfds.
#include "harness.h"

struct Nursery {
  sd_event* loop;
  pid_t child;
  int pidfd;
};

static struct Nursery open_nursery(bool sigchld_blocked) {
  if (sigchld_blocked) set_blocked(SIGCHLD, true);
  struct Nursery n = {make_loop(), spawn_sleeper(), -1};
  n.pidfd = open_pidfd(n.child);
  assert_true(n.pidfd > 2);
  return n;
}

static void close_nursery(struct Nursery n) {
  assert_null(sd_event_unref(n.loop));
  kill_and_reap(n.child);
  close(n.pidfd);
  set_blocked(SIGCHLD, false);
}

// Adds and frees; the source pointer and the number of fds tell whether a failure left something.
static int add_child(sd_event* loop, pid_t pid, int options) {
  sd_event_source* s = NULL;
  int fds = count_fds();
  int r = sd_event_add_child(loop, &s, pid, options, on_child, NULL);
  assert_true((s != NULL) == (r == 0));
  if (r < 0) assert_int_equal(count_fds(), fds);
  sd_event_source_unref(s);
  return r;
}

static int add_pidfd(sd_event* loop, int pidfd, int options) {
  sd_event_source* s = NULL;
  int fds = count_fds();
  int r = sd_event_add_child_pidfd(loop, &s, pidfd, options, on_child, NULL);
  assert_true((s != NULL) == (r == 0));
  if (r < 0) assert_int_equal(count_fds(), fds);
  sd_event_source_unref(s);
  return r;
}

static void pids_that_cannot_be_children_are_EINVAL(void** state) {
  (void)state;
  struct Nursery n = open_nursery(true);
  const pid_t pids[] = {0, 1, -1, -n.child, INT32_MIN};
  for (size_t i = 0; i < lengthof(pids); i++) assert_result(add_child(n.loop, pids[i], WEXITED), -EINVAL);
  close_nursery(n);
}

static void options_must_be_a_nonempty_set_of_the_known_ones(void** state) {
  (void)state;
  struct Nursery n = open_nursery(true);
  const int known = WEXITED | WSTOPPED | WCONTINUED;
  for (unsigned bit = 0; bit < 32; bit++) {
    int option = (int)(1U << bit);
    if (option == WNOWAIT) continue;
    assert_result(add_child(n.loop, n.child, option), option & known ? 0 : -EINVAL);
    assert_result(add_pidfd(n.loop, n.pidfd, option), option & known ? 0 : -EINVAL);
    assert_result(add_child(n.loop, n.child, option | WEXITED), option & known ? 0 : -EINVAL);
  }
  assert_result(add_child(n.loop, n.child, 0), -EINVAL);
  assert_result(add_pidfd(n.loop, n.pidfd, 0), -EINVAL);
  assert_result(add_child(n.loop, n.child, known), 0);
  assert_result(add_pidfd(n.loop, n.pidfd, known), 0);
  close_nursery(n);
}

static void WNOWAIT_goes_alone_and_with_another_option(void** state) {
  (void)state;
  struct Nursery n = open_nursery(true);
  assert_result(add_child(n.loop, n.child, WNOWAIT), differs(kNoWait, -EINVAL, 0));
  assert_result(add_pidfd(n.loop, n.pidfd, WNOWAIT), differs(kNoWait, -EINVAL, 0));
  assert_result(add_child(n.loop, n.child, WEXITED | WNOWAIT), differs(kNoWait, -EINVAL, 0));
  assert_result(add_pidfd(n.loop, n.pidfd, WEXITED | WNOWAIT), differs(kNoWait, -EINVAL, 0));
  close_nursery(n);
}

static void a_second_source_for_a_process_is_EBUSY(void** state) {
  (void)state;
  struct Nursery n = open_nursery(true);
  sd_event_source* s = NULL;
  assert_int_equal(sd_event_add_child(n.loop, &s, n.child, WEXITED, on_child, NULL), 0);
  assert_result(add_child(n.loop, n.child, WEXITED), -EBUSY);
  assert_result(add_child(n.loop, n.child, WSTOPPED), -EBUSY);
  assert_result(add_pidfd(n.loop, n.pidfd, WEXITED), -EBUSY);
  assert_int_equal(sd_event_source_set_enabled(s, SD_EVENT_OFF), 0);
  assert_result(add_child(n.loop, n.child, WEXITED), -EBUSY);
  sd_event_source_unref(s);
  assert_result(add_pidfd(n.loop, n.pidfd, WEXITED), 0);
  close_nursery(n);
}

static void two_loops_may_watch_one_process(void** state) {
  (void)state;
  struct Nursery n = open_nursery(true);
  sd_event* other = make_loop();
  sd_event_source* s = NULL;
  assert_int_equal(sd_event_add_child(n.loop, &s, n.child, WEXITED, on_child, NULL), 0);
  assert_result(add_child(other, n.child, WEXITED), 0);
  sd_event_source_unref(s);
  sd_event_unref(other);
  close_nursery(n);
}

static void WEXITED_without_SIGCHLD_blocked_needs_no_signal(void** state) {
  (void)state;
  struct Nursery n = open_nursery(false);
  assert_result(add_child(n.loop, n.child, WEXITED), differs(kExitedUnblocked, -EBUSY, 0));
  assert_result(add_pidfd(n.loop, n.pidfd, WEXITED), differs(kExitedUnblocked, -EBUSY, 0));
  close_nursery(n);
}

static void WSTOPPED_and_WCONTINUED_without_SIGCHLD_blocked_are_EBUSY(void** state) {
  (void)state;
  struct Nursery n = open_nursery(false);
  const int options[] = {WSTOPPED, WCONTINUED, WSTOPPED | WCONTINUED, WEXITED | WSTOPPED, WEXITED | WCONTINUED};
  for (size_t i = 0; i < lengthof(options); i++) {
    assert_result(add_child(n.loop, n.child, options[i]), -EBUSY);
    assert_result(add_pidfd(n.loop, n.pidfd, options[i]), -EBUSY);
  }
  close_nursery(n);
}

// 252 looks at the mask for the first child source of a loop alone, and then hears nothing: the signal is ignored.
static void stops_need_SIGCHLD_blocked_beside_another_child_source_too(void** state) {
  (void)state;
  struct Nursery n = open_nursery(true);
  sd_event_source *other = NULL, *s = NULL;
  pid_t child = spawn_sleeper();
  siginfo_t si;
  assert_int_equal(sd_event_add_child(n.loop, &other, child, WEXITED, on_child, NULL), 0);
  set_blocked(SIGCHLD, false);
  assert_result(sd_event_add_child(n.loop, &s, n.child, WSTOPPED, on_child, NULL),
                differs(kStoppedUnblocked, 0, -EBUSY));
  assert_result(sd_event_run(n.loop, 0), 0);
  assert_int_equal(kill(n.child, SIGSTOP), 0);
  assert_int_equal(waitid(P_PID, (id_t)n.child, &si, WSTOPPED | WNOWAIT), 0);
  assert_result(sd_event_run(n.loop, 0), 0);
  sd_event_source_unref(other);
  sd_event_source_unref(s);
  kill_and_reap(child);
  close_nursery(n);
}

static void a_process_that_does_not_exist_is_ESRCH(void** state) {
  (void)state;
  struct Nursery n = open_nursery(true);
  pid_t gone = spawn_exiting(0);
  int pidfd = open_pidfd(gone);
  assert_int_equal(waitpid(gone, NULL, 0), gone);
  assert_result(add_child(n.loop, gone, WEXITED), -ESRCH);
  assert_result(add_pidfd(n.loop, pidfd, WEXITED), differs(kReapedPidfd, -ERANGE, -ESRCH));
  assert_result(add_child(n.loop, INT32_MAX, WEXITED), -ESRCH);
  close(pidfd);
  close_nursery(n);
}

static void a_zombie_is_accepted(void** state) {
  (void)state;
  struct Nursery n = open_nursery(true);
  pid_t zombie = spawn_exiting(0);
  int pidfd = open_pidfd(zombie);
  siginfo_t si;
  assert_int_equal(waitid(P_PID, (id_t)zombie, &si, WEXITED | WNOWAIT), 0);
  assert_result(add_child(n.loop, zombie, WEXITED), 0);
  assert_result(add_pidfd(n.loop, pidfd, WEXITED), 0);
  assert_int_equal(waitpid(zombie, NULL, 0), zombie);
  close(pidfd);
  close_nursery(n);
}

static void processes_that_are_no_children_are_accepted(void** state) {
  (void)state;
  struct Nursery n = open_nursery(true);
  int self = open_pidfd(getpid());
  assert_result(add_child(n.loop, getpid(), WEXITED), 0);
  assert_result(add_pidfd(n.loop, self, WEXITED), 0);
  if (getppid() > 1) assert_result(add_child(n.loop, getppid(), WEXITED), 0);
  close(self);
  close_nursery(n);
}

static void fds_that_are_no_pidfds_are_refused(void** state) {
  (void)state;
  struct Nursery n = open_nursery(true);
  const int fds[] = {open("/proc/self/exe", O_RDONLY | O_CLOEXEC), open("/", O_RDONLY | O_CLOEXEC),
                     epoll_create1(EPOLL_CLOEXEC), fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)};
  for (size_t i = 0; i < lengthof(fds); i++) {
    assert_result(add_pidfd(n.loop, fds[i], WEXITED), -ENOTTY);
    close(fds[i]);
  }
  assert_result(add_pidfd(n.loop, -1, WEXITED), -EBADF);
  assert_result(add_pidfd(n.loop, INT32_MIN, WEXITED), -EBADF);
  assert_result(add_pidfd(n.loop, 9999, WEXITED), differs(kClosedPidfd, -ESRCH, -EBADF));
  close_nursery(n);
}

static void a_pidfd_stays_open_when_the_call_fails_and_when_the_source_goes(void** state) {
  (void)state;
  struct Nursery n = open_nursery(true);
  sd_event* finished = make_finished_loop();
  assert_result(add_pidfd(finished, n.pidfd, WEXITED), -ESTALE);
  assert_int_not_equal(fcntl(n.pidfd, F_GETFD), -1);
  assert_result(add_pidfd(n.loop, n.pidfd, WEXITED), 0);
  assert_int_not_equal(fcntl(n.pidfd, F_GETFD), -1);
  sd_event_unref(finished);
  close_nursery(n);
}

// SIGCHLD is ignored, or SIG_DFL with `flags`.
static void act_on_sigchld(void (*handler)(int), int flags) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
  assert_int_equal(sigaction(SIGCHLD, &action, NULL), 0);
}

static void exits_are_EBUSY_while_the_kernel_reaps(void** state) {
  (void)state;
  struct Nursery n = open_nursery(true);
  for (int ignored = 0; ignored < 2; ignored++) {
    act_on_sigchld(ignored ? SIG_IGN : SIG_DFL, ignored ? 0 : SA_NOCLDWAIT);
    assert_result(add_child(n.loop, n.child, WEXITED), differs(kReapedByKernel, 0, -EBUSY));
    assert_result(add_child(n.loop, n.child, WEXITED | WSTOPPED), differs(kReapedByKernel, 0, -EBUSY));
    assert_result(add_pidfd(n.loop, n.pidfd, WEXITED), differs(kReapedByKernel, 0, -EBUSY));
    assert_result(add_child(n.loop, INT32_MAX, WEXITED), differs(kReapedByKernel, -ESRCH, -EBUSY));
    assert_result(add_pidfd(n.loop, STDERR_FILENO, WEXITED), differs(kReapedByKernel, -ENOTTY, -EBUSY));
    assert_result(add_child(n.loop, INT32_MAX, WSTOPPED), -ESRCH);
    assert_result(add_child(n.loop, n.child, WSTOPPED), 0);
    assert_result(add_pidfd(n.loop, n.pidfd, WCONTINUED), 0);
    assert_result(add_pidfd(n.loop, -1, WEXITED), -EBADF);
    assert_result(add_child(n.loop, 1, WEXITED), -EINVAL);
  }
  act_on_sigchld(SIG_DFL, SA_NOCLDSTOP);
  assert_result(add_child(n.loop, n.child, WEXITED), 0);
  act_on_sigchld(SIG_DFL, 0);
  close_nursery(n);
}

static int add_while_ignored(void* loop) {
  act_on_sigchld(SIG_IGN, 0);
  return sd_event_add_child(loop, NULL, getpid(), WEXITED, on_child, NULL);
}

static void the_condition_of_the_loop_is_told_before_that(void** state) {
  (void)state;
  sd_event *finished = make_finished_loop(), *loop = make_loop();
  act_on_sigchld(SIG_IGN, 0);
  assert_result(add_child(finished, getpid(), WEXITED), -ESTALE);
  act_on_sigchld(SIG_DFL, 0);
  assert_result(in_child(add_while_ignored, loop), -ECHILD);
  sd_event_unref(loop);
  sd_event_unref(finished);
}

static void send_child_signal_checks_the_number_and_the_kernel_the_flags(void** state) {
  (void)state;
  struct Nursery n = open_nursery(true);
  sd_event_source* s = NULL;
  assert_int_equal(sd_event_add_child(n.loop, &s, n.child, WEXITED, on_child, NULL), 0);
  const int bad[] = {0, -1, NSIG, NSIG + 1, 1 << 30, (1 << 30) | SIGCONT, INT32_MAX, INT32_MIN};
  for (size_t i = 0; i < lengthof(bad); i++)
    assert_result(sd_event_source_send_child_signal(s, bad[i], NULL, 0), -EINVAL);
  assert_result(sd_event_source_send_child_signal(s, SIGCONT, NULL, 0), 0);
  // The kernel knows the lower flags, one release more of them than the other.
  for (unsigned bit = 16; bit < 32; bit++)
    assert_result(sd_event_source_send_child_signal(s, SIGCONT, NULL, 1U << bit), differs(kSignalFlags, 0, -EINVAL));
  assert_result(sd_event_source_send_child_signal(s, SIGCONT, NULL, 77), differs(kSignalFlags, 0, -EINVAL));
  assert_result(sd_event_source_send_child_signal(s, 0, NULL, 77), -EINVAL);
  siginfo_t si = {.si_signo = SIGWINCH, .si_code = SI_QUEUE, .si_pid = getpid()};
  assert_result(sd_event_source_send_child_signal(s, SIGWINCH, &si, 0), 0);
  assert_result(sd_event_source_send_child_signal(s, SIGCONT, &si, 0), -EINVAL);
  si.si_code = SI_KERNEL;
  assert_result(sd_event_source_send_child_signal(s, SIGWINCH, &si, 0), -EPERM);
  sd_event_source_unref(s);
  close_nursery(n);
}

static void send_child_signal_after_the_exit_was_seen_is_ESRCH(void** state) {
  (void)state;
  struct Nursery n = open_nursery(true);
  sd_event_source* s = NULL;
  pid_t child = spawn_sleeper();
  assert_int_equal(sd_event_add_child(n.loop, &s, child, WEXITED, on_child, NULL), 0);
  assert_result(sd_event_source_send_child_signal(s, SIGKILL, NULL, 0), 0);
  assert_int_equal(sd_event_run(n.loop, UINT64_MAX), 1);
  assert_result(sd_event_source_send_child_signal(s, SIGCONT, NULL, 0), -ESRCH);
  assert_result(sd_event_source_send_child_signal(s, 0, NULL, 0), -EINVAL);
  assert_int_equal(waitpid(child, NULL, WNOHANG), -1);
  sd_event_source_unref(s);
  close_nursery(n);
}

int main(void) {
  exit_77_without_pidfds();
  const struct CMUnitTest tests[] = {
      clean_test(pids_that_cannot_be_children_are_EINVAL),
      clean_test(options_must_be_a_nonempty_set_of_the_known_ones),
      clean_test(WNOWAIT_goes_alone_and_with_another_option),
      clean_test(a_second_source_for_a_process_is_EBUSY),
      clean_test(two_loops_may_watch_one_process),
      clean_test(WEXITED_without_SIGCHLD_blocked_needs_no_signal),
      clean_test(WSTOPPED_and_WCONTINUED_without_SIGCHLD_blocked_are_EBUSY),
      clean_test(stops_need_SIGCHLD_blocked_beside_another_child_source_too),
      clean_test(a_process_that_does_not_exist_is_ESRCH),
      clean_test(a_zombie_is_accepted),
      clean_test(processes_that_are_no_children_are_accepted),
      clean_test(fds_that_are_no_pidfds_are_refused),
      clean_test(a_pidfd_stays_open_when_the_call_fails_and_when_the_source_goes),
      clean_test(exits_are_EBUSY_while_the_kernel_reaps),
      clean_test(the_condition_of_the_loop_is_told_before_that),
      clean_test(send_child_signal_checks_the_number_and_the_kernel_the_flags),
      clean_test(send_child_signal_after_the_exit_was_seen_is_ESRCH),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
