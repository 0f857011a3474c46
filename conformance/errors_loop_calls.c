// SPDX-License-Identifier: MIT
//
// Which error wins in the calls on a loop other than add_*.
//
// Each row holds the results with a null loop, SD_EVENT_DEFAULT without a default loop, a loop in each of its states,
// and in a process forked in each of these (errors_loops.h). The pairs of errors in it tell the order of the checks:
// CONDITION_FIRST(x): x is only seen on a usable loop; VALUE_FIRST(x): x wins over finished and forked.
// Invariants: a call that fails changes neither the out-pointer nor the number of fds nor the state ("changed").
#include "errors_loops.h"

static struct {
  sd_event* loop;
  int number;
  uint64_t usec;
  pid_t pid;
} out;

static int sign(int result) { return result > 0 ? 1 : result; }

static bool usable(sd_event* e) { return e && e != SD_EVENT_DEFAULT; }

// So that the call of sd_event_loop that works ends.
static bool exit_from_initial(sd_event* e) {
  return usable(e) && sd_event_get_state(e) == SD_EVENT_INITIAL && sd_event_exit(e, 3) == 0;
}

static bool watchdog_of(const char* usec) { return setenv("WATCHDOG_USEC", usec, 1) == 0; }

static int unrefed(int result) { return sd_event_unref(out.loop), result; }

#define WORKS(result) NOT_FORKED(EVERYWHERE(result))

// clang-format off
#define CALLS(X)                                                                                                      \
  X(prepare, sd_event_prepare(e), NOT_FORKED("1 EBUSY EBUSY EBUSY EBUSY EBUSY ESTALE"))                               \
  X(wait_0, sd_event_wait(e, 0), NOT_FORKED("EBUSY EBUSY 0 EBUSY EBUSY EBUSY ESTALE"))                                \
  X(dispatch, sd_event_dispatch(e), NOT_FORKED("EBUSY EBUSY EBUSY 1 EBUSY EBUSY ESTALE"))                             \
  X(run_0, sd_event_run(e, 0), NOT_FORKED("1 EBUSY EBUSY EBUSY EBUSY EBUSY ESTALE"))                                  \
  X(exit_and_loop, (exit_from_initial(e), sd_event_loop(e)), NOT_FORKED("3 EBUSY EBUSY EBUSY EBUSY EBUSY EBUSY"))     \
  X(exit_loop, sd_event_exit(e, 7), CONDITION_FIRST("0"))                                                             \
  X(get_exit_code, sd_event_get_exit_code(e, &out.number),                                                            \
    NOT_FORKED("ENODATA ENODATA ENODATA ENODATA ENODATA 0 0"))                                                        \
  X(get_state, sd_event_get_state(e), NOT_FORKED("0 6 1 2 3 4 5"))                                                    \
  X(get_fd, sign(sd_event_get_fd(e)), WORKS("1"))                                                                     \
  X(now, sd_event_now(e, CLOCK_MONOTONIC, &out.usec), NOT_FORKED("1 1 1 0 0 1 1"))                                    \
  X(now_null, sd_event_now(e, CLOCK_REALTIME, NULL), VALUE_FIRST("EINVAL"))                                           \
  X(now_badclock, sd_event_now(e, CLOCK_TAI, &out.usec), WORKS("EOPNOTSUPP"))                                         \
  X(now_badclock_null, sd_event_now(e, CLOCK_TAI, NULL), VALUE_FIRST("EINVAL"))                                       \
  X(get_tid, sd_event_get_tid(e, &out.pid), WORKS("ENXIO"))                                                           \
  X(get_tid_null, sd_event_get_tid(e, NULL), VALUE_FIRST("EINVAL"))                                                   \
  X(get_iteration, sd_event_get_iteration(e, &out.usec), WORKS("0"))                                                  \
  X(set_watchdog1, sd_event_set_watchdog(e, 1), WORKS("0"))                                                           \
  X(set_watchdog0, sd_event_set_watchdog(e, 0), WORKS("0"))                                                           \
  X(set_watchdog_unparsable, (watchdog_of("x"), sd_event_set_watchdog(e, 1)), WORKS("EINVAL"))                        \
  X(set_watchdog_0_of_unparsable, (watchdog_of("x"), sd_event_set_watchdog(e, 0)), WORKS("0"))                        \
  X(set_watchdog_of_no_pid, (watchdog_of("10000000"), setenv("WATCHDOG_PID", "x", 1), sd_event_set_watchdog(e, 1)),   \
    WORKS("EINVAL"))                                                                                                  \
  X(set_watchdog_of_0, (watchdog_of("0"), sd_event_set_watchdog(e, 1)), WORKS("EINVAL"))                              \
  X(set_watchdog_wanted, (watchdog_of("10000000"), sd_event_set_watchdog(e, 1)), WORKS("1"))                          \
  X(get_watchdog, sd_event_get_watchdog(e), WORKS("0"))                                                               \
  X(set_signal_exit1, sd_event_set_signal_exit(e, 1), CONDITION_FIRST("1"))                                           \
  X(set_signal_exit0, sd_event_set_signal_exit(e, 0), CONDITION_FIRST("0"))                                           \
  X(new_beside, unrefed(sd_event_new(&out.loop)), "0 0 | " EVERYWHERE("0") " | " EVERYWHERE("0"))                     \
  X(default_beside, unrefed(sd_event_default(&out.loop)), "1 1 | " EVERYWHERE("1") " | " EVERYWHERE("1"))
// clang-format on

CALLS(DEFINE_LOOP_CALL)
CALLS(DEFINE_LOOP_ROW)

static int get_iteration_into_nowhere(sd_event* e, sd_event_source** s, struct LoopKit* kit) {
  return (void)s, (void)kit, sd_event_get_iteration(e, NULL);
}

static void get_iteration_with_null_out_pointer_is_EINVAL(void** context) {
  (void)context;
  struct LoopResults results = run_loop_call(get_iteration_into_nowhere);
  assert_result(results.null_loop, -EINVAL);
  for (int state = 0; state < kStates; state++)
    assert_result(results.own[state], differs(kNullIteration, died_of(SIGSEGV), -EINVAL));
}

static int get_exit_code_into_nowhere(sd_event* e, sd_event_source** s, struct LoopKit* kit) {
  return (void)s, (void)kit, sd_event_get_exit_code(e, NULL);
}

static void get_exit_code_with_null_out_pointer_says_whether_exit_was_requested(void** context) {
  (void)context;
  loop_call_answers(
      get_exit_code_into_nowhere,
      differs_text(kExitCodeNull, VALUE_FIRST("EINVAL"), NOT_FORKED("ENODATA ENODATA ENODATA ENODATA ENODATA 0 0")));
}

#define REF_AND_UNREF(e) (sd_event_ref(e) == (e) && !sd_event_unref(e))

static int ref_and_unref(sd_event* e, sd_event_source** s, struct LoopKit* kit) {
  return (void)s, (void)kit, usable(e) ? REF_AND_UNREF(e) : 77;
}

static void ref_in_a_forked_process_is_null(void** context) {
  (void)context;
  loop_call_answers(ref_and_unref, differs_text(kForkedCalls, "77 77 | " EVERYWHERE("1") " | " EVERYWHERE("1"),
                                                "77 77 | " EVERYWHERE("1") " | " EVERYWHERE("0")));
}

int main(void) {
  exit_77_without_pidfds();
  const struct CMUnitTest tests[] = {CALLS(LOOP_ROW_TEST) clean_test(get_iteration_with_null_out_pointer_is_EINVAL),
                                     clean_test(get_exit_code_with_null_out_pointer_says_whether_exit_was_requested),
                                     clean_test(ref_in_a_forked_process_is_null)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
