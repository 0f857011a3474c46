// SPDX-License-Identifier: MIT
//
// Which error wins in the calls on a loop other than add_*.
//
// Each row holds the results with a null loop, SD_EVENT_DEFAULT without a default loop, a plain loop, a finished one,
// in a forked process, and finished in a forked process. The pairs of errors in it tell the order of the checks:
// CONDITION_FIRST(x): x is only seen on a usable loop; VALUE_FIRST(x): x wins over finished and forked.
// Invariants: a call that fails changes neither the out-pointer nor the number of fds nor the state ("changed").
#include "errors_loops.h"

static struct {
  int number;
  uint64_t usec;
  pid_t pid;
} out;

static int sign(int result) { return result > 0 ? 1 : result; }

static int exit_and_run(sd_event* e) {
  if (e && e != SD_EVENT_DEFAULT) sd_event_exit(e, 3);
  return sd_event_loop(e);
}

// clang-format off
#define CALLS(X) \
  X(prepare, sd_event_prepare(e), "EINVAL ENOPKG 1 ESTALE ECHILD ECHILD")                                             \
  X(wait_for_events, sd_event_wait(e, 0), "EINVAL ENOPKG EBUSY ESTALE ECHILD ECHILD")                                 \
  X(dispatch, sd_event_dispatch(e), "EINVAL ENOPKG EBUSY ESTALE ECHILD ECHILD")                                       \
  X(run, sd_event_run(e, 0), "EINVAL ENOPKG 1 ESTALE ECHILD ECHILD")                                                  \
  X(exit_and_loop, exit_and_run(e),                               \
    "EINVAL ENOPKG 3 EBUSY ECHILD ECHILD")                                                                            \
  X(exit_loop, sd_event_exit(e, 3), CONDITION_FIRST("0"))                                                             \
  X(now, sd_event_now(e, CLOCK_REALTIME, &out.usec), "EINVAL ENOPKG 1 1 ECHILD ECHILD")                               \
  X(now_null, sd_event_now(e, CLOCK_REALTIME, NULL), VALUE_FIRST("EINVAL"))                                           \
  X(now_badclock, sd_event_now(e, CLOCK_TAI, &out.usec), "EINVAL ENOPKG EOPNOTSUPP EOPNOTSUPP ECHILD ECHILD")         \
  X(now_badclock_null, sd_event_now(e, CLOCK_TAI, NULL), VALUE_FIRST("EINVAL"))                                       \
  X(get_fd, sign(sd_event_get_fd(e)), "EINVAL ENOPKG 1 1 ECHILD ECHILD") \
  X(get_state, sd_event_get_state(e), "EINVAL ENOPKG 0 5 ECHILD ECHILD")                                              \
  X(get_tid, sd_event_get_tid(e, &out.pid), "EINVAL ENOPKG ENXIO ENXIO ECHILD ECHILD")                                \
  X(get_tid_null, sd_event_get_tid(e, NULL), VALUE_FIRST("EINVAL"))                                                   \
  X(get_exit_code, sd_event_get_exit_code(e, &out.number), "EINVAL ENOPKG ENODATA 0 ECHILD ECHILD")                   \
  X(get_exit_code_null, sd_event_get_exit_code(e, NULL), VALUE_FIRST("EINVAL"))                                       \
  X(set_watchdog1, sd_event_set_watchdog(e, 1), "EINVAL ENOPKG 0 0 ECHILD ECHILD")                                    \
  X(set_watchdog0, sd_event_set_watchdog(e, 0), "EINVAL ENOPKG 0 0 ECHILD ECHILD")                                    \
  X(get_watchdog, sd_event_get_watchdog(e), "EINVAL ENOPKG 0 0 ECHILD ECHILD")                                        \
  X(get_iteration, sd_event_get_iteration(e, &out.usec), "EINVAL ENOPKG 0 0 ECHILD ECHILD")                           \
  X(set_signal_exit1, sd_event_set_signal_exit(e, 1), CONDITION_FIRST("1"))                                           \
  X(set_signal_exit0, sd_event_set_signal_exit(e, 0), CONDITION_FIRST("0"))
// clang-format on

CALLS(DEFINE_LOOP_CALL)
CALLS(DEFINE_LOOP_ROW)

static int get_iteration_into_nowhere(sd_event* e, sd_event_source** s, struct LoopKit* kit) {
  return (void)s, (void)kit, sd_event_get_iteration(e, NULL);
}

static void get_iteration_with_null_out_pointer_is_EINVAL(void** state) {
  (void)state;
  assert_result(run_loop_call(get_iteration_into_nowhere, kNullLoop), -EINVAL);
  assert_result(run_loop_call(get_iteration_into_nowhere, kPlainLoop), differs(kNullResult, died_of(SIGSEGV), -EINVAL));
  assert_result(run_loop_call(get_iteration_into_nowhere, kFinishedLoop),
                differs(kNullResult, died_of(SIGSEGV), -EINVAL));
}

int main(void) {
  const struct CMUnitTest tests[] = {CALLS(LOOP_ROW_TEST) clean_test(get_iteration_with_null_out_pointer_is_EINVAL)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
