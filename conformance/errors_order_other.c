// SPDX-License-Identifier: MIT
//
// Which error wins in add_io, add_time, add_time_relative, add_defer, add_post and add_exit.
//
// Each row holds the results with a null loop, SD_EVENT_DEFAULT without a default loop, a loop in each of its states,
// and in a process forked in each of these (errors_loops.h). The pairs of errors in it tell the order of the checks:
// CONDITION_FIRST(x): x is only seen on a usable loop; VALUE_FIRST(x): x wins over finished and forked.
// Invariants: a call that fails changes neither the out-pointer nor the number of fds nor the state ("changed").
#include "errors_loops.h"

enum { kClosedFd = 9999 };

#define IO(...) sd_event_add_io(e, s, __VA_ARGS__, on_io, NULL)
#define TIME(...) sd_event_add_time(e, s, __VA_ARGS__, on_time, NULL)
#define TIME_RELATIVE(...) sd_event_add_time_relative(e, s, __VA_ARGS__, on_time, NULL)

// clang-format off
#define CALLS(X)                                                                                                      \
  X(add_io, IO(kit->pipe_fds[1], EPOLLOUT), CONDITION_FIRST("0"))                                                     \
  X(add_io_float, sd_event_add_io(e, NULL, kit->pipe_fds[1], EPOLLOUT, on_io, NULL), CONDITION_FIRST("0"))            \
  X(add_io_fdm1, IO(-1, EPOLLOUT), VALUE_FIRST("EBADF"))                                                              \
  X(add_io_fdm1_badev, IO(-1, EPOLLONESHOT), VALUE_FIRST("EBADF"))                                                    \
  X(add_io_badev, IO(kit->pipe_fds[1], EPOLLONESHOT), VALUE_FIRST("EINVAL"))                                          \
  X(add_io_closed, IO(kClosedFd, EPOLLIN), CONDITION_FIRST("EBADF"))                                                  \
  X(add_io_closed_badev, IO(kClosedFd, EPOLLONESHOT), VALUE_FIRST("EINVAL"))                                          \
  X(add_io_dup, IO(kit->pipe_fds[0], EPOLLIN), CONDITION_FIRST("EEXIST"))                                             \
  X(add_io_nullcb, sd_event_add_io(e, s, kit->pipe_fds[1], EPOLLIN, NULL, NULL), CONDITION_FIRST("0"))                \
  X(add_time, TIME(CLOCK_REALTIME, 5, 0), CONDITION_FIRST("0"))                                                       \
  X(add_time_nullcb, sd_event_add_time(e, s, CLOCK_REALTIME, 5, 0, NULL, NULL), CONDITION_FIRST("0"))                 \
  X(add_time_badclock, TIME(CLOCK_TAI, 5, 0), CONDITION_FIRST("EOPNOTSUPP"))                                          \
  X(add_time_negclock, TIME(-1, 5, 0), CONDITION_FIRST("EOPNOTSUPP"))                                                 \
  X(add_time_accmax, TIME(CLOCK_REALTIME, 5, UINT64_MAX), VALUE_FIRST("EINVAL"))                                      \
  X(add_time_badclock_accmax, TIME(CLOCK_TAI, 5, UINT64_MAX), VALUE_FIRST("EINVAL"))                                  \
  X(add_time_relative, TIME_RELATIVE(CLOCK_REALTIME, 5, 0), NOT_FORKED(LIVE_THEN("0", "ESTALE")))                     \
  X(add_time_relative_over, TIME_RELATIVE(CLOCK_REALTIME, UINT64_MAX - 1, 0),                                         \
    NOT_FORKED(LIVE_THEN("EOVERFLOW", "EOVERFLOW")))                                                                  \
  X(add_time_relative_badclock, TIME_RELATIVE(CLOCK_TAI, 5, 0), NOT_FORKED(LIVE_THEN("EOPNOTSUPP", "EOPNOTSUPP")))    \
  X(add_time_relative_accmax, TIME_RELATIVE(CLOCK_REALTIME, 5, UINT64_MAX),                                           \
    NOT_FORKED(LIVE_THEN("EINVAL", "EINVAL")))                                                                        \
  X(add_time_relative_over_accmax, TIME_RELATIVE(CLOCK_REALTIME, UINT64_MAX - 1, UINT64_MAX),                         \
    NOT_FORKED(LIVE_THEN("EOVERFLOW", "EOVERFLOW")))                                                                  \
  X(add_time_relative_badclock_accmax, TIME_RELATIVE(CLOCK_TAI, 5, UINT64_MAX),                                       \
    NOT_FORKED(LIVE_THEN("EOPNOTSUPP", "EOPNOTSUPP")))                                                                \
  X(add_time_relative_badclock_over, TIME_RELATIVE(CLOCK_TAI, UINT64_MAX - 1, 0),                                     \
    NOT_FORKED(LIVE_THEN("EOPNOTSUPP", "EOPNOTSUPP")))                                                                \
  X(add_time_relative_badclock_max, TIME_RELATIVE(CLOCK_TAI, UINT64_MAX, 0),                                          \
    NOT_FORKED(LIVE_THEN("EOPNOTSUPP", "EOPNOTSUPP")))                                                                \
  X(add_defer, sd_event_add_defer(e, s, on_event, NULL), CONDITION_FIRST("0"))                                        \
  X(add_defer_nullcb, sd_event_add_defer(e, s, NULL, NULL), CONDITION_FIRST("0"))                                     \
  X(add_post, sd_event_add_post(e, s, on_event, NULL), CONDITION_FIRST("0"))                                          \
  X(add_post_nullcb, sd_event_add_post(e, s, NULL, NULL), CONDITION_FIRST("0"))                                       \
  X(add_exit, sd_event_add_exit(e, s, on_event, NULL), CONDITION_FIRST("0"))                                          \
  X(add_exit_nullcb, sd_event_add_exit(e, s, NULL, NULL), VALUE_FIRST("EINVAL"))                                      \
  X(add_io_directory, IO(kit->directory, EPOLLIN), CONDITION_FIRST("EPERM"))                                          \
  X(add_io_directory_badev, IO(kit->directory, EPOLLONESHOT), VALUE_FIRST("EINVAL"))                                  \
  X(add_io_dup_badev, IO(kit->pipe_fds[0], EPOLLONESHOT), VALUE_FIRST("EINVAL"))                                      \
  X(add_io_float_dup, sd_event_add_io(e, NULL, kit->pipe_fds[0], EPOLLIN, on_io, NULL), CONDITION_FIRST("EEXIST"))    \
  X(add_exit_float_nullcb, sd_event_add_exit(e, NULL, NULL, NULL), VALUE_FIRST("EINVAL"))
// clang-format on

CALLS(DEFINE_LOOP_CALL)
CALLS(DEFINE_LOOP_ROW)

static int add_time_relative_never(sd_event* e, sd_event_source** s, struct LoopKit* kit) {
  return (void)kit, TIME_RELATIVE(CLOCK_REALTIME, UINT64_MAX, 0);
}

static void add_time_relative_of_UINT64_MAX_means_never(void** context) {
  (void)context;
  struct LoopResults results = run_loop_call(add_time_relative_never);
  for (int state = 0; state < kStates; state++) {
    int ours = state == SD_EVENT_FINISHED ? -ESTALE : 0;
    assert_result(results.own[state], differs(kRelativeNever, -EOVERFLOW, ours));
    assert_result(results.forked[state], -ECHILD);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {CALLS(LOOP_ROW_TEST) clean_test(add_time_relative_of_UINT64_MAX_means_never)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
