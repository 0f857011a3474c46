// SPDX-License-Identifier: MIT
//
// Which error wins in add_child and add_child_pidfd.
//
// Each row holds the results with a null loop, SD_EVENT_DEFAULT without a default loop, a loop in each of its states,
// and in a process forked in each of these (errors_loops.h). The pairs of errors in it tell the order of the checks:
// CONDITION_FIRST(x): x is only seen on a usable loop; VALUE_FIRST(x): x wins over finished and forked.
// Invariants: a call that fails changes neither the out-pointer nor the number of fds nor the state ("changed").
#include "errors_loops.h"

enum { kClosedFd = 9999 };

#define CHILD(...) sd_event_add_child(e, s, __VA_ARGS__, on_child, NULL)
#define CHILD_PIDFD(...) sd_event_add_child_pidfd(e, s, __VA_ARGS__, on_child, NULL)

static int unblocked(int value) { return set_blocked(SIGCHLD, false), value; }

// clang-format off
#define CALLS(X)                                                                                                      \
  X(add_child, CHILD(kit->child2, WEXITED), CONDITION_FIRST("0"))                                                     \
  X(add_child_dup, CHILD(kit->child, WEXITED), CONDITION_FIRST("EBUSY"))                                              \
  X(add_child_0, CHILD(0, WEXITED), VALUE_FIRST("EINVAL"))                                                            \
  X(add_child_1, CHILD(1, WEXITED), VALUE_FIRST("EINVAL"))                                                            \
  X(add_child_m1, CHILD(-1, WEXITED), VALUE_FIRST("EINVAL"))                                                          \
  X(add_child_opt0, CHILD(kit->child2, 0), VALUE_FIRST("EINVAL"))                                                     \
  X(add_child_optnohang, CHILD(kit->child2, WNOHANG | WEXITED), VALUE_FIRST("EINVAL"))                                \
  X(add_child_opts, CHILD(kit->child2, WSTOPPED | WEXITED | WCONTINUED), CONDITION_FIRST("0"))                        \
  X(add_child_self, CHILD(getpid(), WEXITED), CONDITION_FIRST("0"))                                                   \
  X(add_child_ppid, CHILD(getppid(), WEXITED), CONDITION_FIRST("0"))                                                  \
  X(add_child_noproc, CHILD(INT32_MAX, WEXITED), CONDITION_FIRST("ESRCH"))                                            \
  X(add_child_nullcb, sd_event_add_child(e, s, kit->child2, WEXITED, NULL, NULL), CONDITION_FIRST("0"))               \
  X(add_child_pidfd, CHILD_PIDFD(kit->pidfd2, WEXITED), CONDITION_FIRST("0"))                                         \
  X(add_child_pidfd_dup, CHILD_PIDFD(kit->pidfd, WEXITED), CONDITION_FIRST("EBUSY"))                                  \
  X(add_child_pidfd_m1, CHILD_PIDFD(-1, WEXITED), VALUE_FIRST("EBADF"))                                               \
  X(add_child_pidfd_m1_opt0, CHILD_PIDFD(-1, 0), VALUE_FIRST("EBADF"))                                                \
  X(add_child_pidfd_notpidfd, CHILD_PIDFD(kit->pipe_fds[0], WEXITED), CONDITION_FIRST("ENOTTY"))                      \
  X(add_child_pidfd_opt0, CHILD_PIDFD(kit->pidfd2, 0), VALUE_FIRST("EINVAL"))                                         \
  X(add_child_pidfd_nullcb, sd_event_add_child_pidfd(e, s, kit->pidfd2, WEXITED, NULL, NULL), CONDITION_FIRST("0"))   \
  X(add_child_dup_opt0, CHILD(kit->child, 0), VALUE_FIRST("EINVAL"))                                                  \
  X(add_child_noproc_opt0, CHILD(INT32_MAX, 0), VALUE_FIRST("EINVAL"))                                                \
  X(add_child_unblocked_opt0, CHILD(unblocked(kit->child2), 0), VALUE_FIRST("EINVAL"))                                \
  X(add_child_pidfd_closed_opt0, CHILD_PIDFD(kClosedFd, 0), VALUE_FIRST("EINVAL"))                                    \
  X(add_child_pidfd_notpidfd_opt0, CHILD_PIDFD(kit->pipe_fds[0], 0), VALUE_FIRST("EINVAL"))
// clang-format on

CALLS(DEFINE_LOOP_CALL)
CALLS(DEFINE_LOOP_ROW)

static int closed_pidfd(sd_event* e, sd_event_source** s, struct LoopKit* kit) {
  return (void)kit, CHILD_PIDFD(kClosedFd, WEXITED);
}

static int no_process_unblocked(sd_event* e, sd_event_source** s, struct LoopKit* kit) {
  return (void)kit, CHILD(unblocked(INT32_MAX), WSTOPPED);
}

static int no_pidfd_unblocked(sd_event* e, sd_event_source** s, struct LoopKit* kit) {
  return CHILD_PIDFD(unblocked(kit->pipe_fds[0]), WSTOPPED);
}

static int closed_pidfd_unblocked(sd_event* e, sd_event_source** s, struct LoopKit* kit) {
  return (void)kit, CHILD_PIDFD(unblocked(kClosedFd), WSTOPPED);
}

static void a_closed_pidfd_is_EBADF_after_the_condition_of_the_loop(void** state) {
  (void)state;
  const char* expected = differs_text(kClosedPidfd, CONDITION_FIRST("ESRCH"), CONDITION_FIRST("EBADF"));
  loop_call_answers(closed_pidfd, expected);
}

// 262 looks whether it would hear of a stop before it looks for the process.
static void for_stops_the_signal_mask_is_looked_at_before_the_process(void** state) {
  (void)state;
  const char* closed = differs_text(kClosedPidfd, CONDITION_FIRST("ESRCH"), CONDITION_FIRST("EBADF"));
  loop_call_answers(no_process_unblocked, differs_text(kMaskFirst, CONDITION_FIRST("ESRCH"), CONDITION_FIRST("EBUSY")));
  loop_call_answers(no_pidfd_unblocked, differs_text(kMaskFirst, CONDITION_FIRST("ENOTTY"), CONDITION_FIRST("EBUSY")));
  loop_call_answers(closed_pidfd_unblocked, differs_text(kMaskFirst, closed, CONDITION_FIRST("EBUSY")));
}

int main(void) {
  exit_77_without_pidfds();
  const struct CMUnitTest tests[] = {CALLS(LOOP_ROW_TEST)
                                         clean_test(a_closed_pidfd_is_EBADF_after_the_condition_of_the_loop),
                                     clean_test(for_stops_the_signal_mask_is_looked_at_before_the_process)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
