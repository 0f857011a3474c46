// SPDX-License-Identifier: MIT
//
// What each call answers in each state of its loop: INITIAL PREPARING ARMED PENDING RUNNING EXITING FINISHED.
//
// Each row holds seven results in that order. Two rules stand out: the calls that drive a loop are -EBUSY out of turn
// (a callback that calls them sees that, too), and everything else works in any state but FINISHED.
// Invariants: a call that fails leaves the state alone ("changed" in the row). `loop` is only let run from INITIAL,
// with an exit requested before, so that it ends.
#include "errors_states.h"

static struct {
  sd_event_source* s;
  uint64_t usec;
  int number;
} out;

static int sign(int result) { return result > 0 ? 1 : result; }

static int run_nested_loop(sd_event* e) {
  if (sd_event_get_state(e) == SD_EVENT_INITIAL) sd_event_exit(e, 3);
  return sd_event_loop(e);
}

static bool block(int sig) { return set_blocked(sig, true), true; }

// clang-format off
#define CALLS(X) \
  X(get_state, sd_event_get_state(e), "0 6 1 2 3 4 5")                                                                \
  X(prepare, sd_event_prepare(e), "1 EBUSY EBUSY EBUSY EBUSY EBUSY ESTALE")                                           \
  X(wait_0, sd_event_wait(e, 0), "EBUSY EBUSY 0 EBUSY EBUSY EBUSY ESTALE")                                            \
  X(dispatch, sd_event_dispatch(e), "EBUSY EBUSY EBUSY 1 EBUSY EBUSY ESTALE")                                         \
  X(run_0, sd_event_run(e, 0), "1 EBUSY EBUSY EBUSY EBUSY EBUSY ESTALE")                                              \
  X(loop, run_nested_loop(e), "3 EBUSY EBUSY EBUSY EBUSY EBUSY EBUSY")                                                \
  X(exit_7, sd_event_exit(e, 7), "0 0 0 0 0 0 ESTALE")                                                                \
  X(get_exit_code, sd_event_get_exit_code(e, &out.number), "ENODATA ENODATA ENODATA ENODATA ENODATA 0 0")             \
  X(get_fd, sign(sd_event_get_fd(e)), "1 1 1 1 1 1 1")                                                                \
  X(now, sd_event_now(e, CLOCK_MONOTONIC, &out.usec), "1 1 1 0 0 1 1")                                                \
  X(get_iteration, sd_event_get_iteration(e, &out.usec), "0 0 0 0 0 0 0")                                             \
  X(set_watchdog, sd_event_set_watchdog(e, 1), "0 0 0 0 0 0 0")                                                       \
  X(set_signal_exit, sd_event_set_signal_exit(e, 1), "1 1 1 1 1 1 ESTALE")                                            \
  X(set_signal_exit0, sd_event_set_signal_exit(e, 0), "0 0 0 0 0 0 ESTALE")                                           \
  X(add_io, sd_event_add_io(e, &out.s, kit->pipe_fds[1], EPOLLOUT, on_io, NULL), "0 0 0 0 0 0 ESTALE")                \
  X(add_time, sd_event_add_time(e, &out.s, CLOCK_REALTIME, 1, 1, on_time, NULL), "0 0 0 0 0 0 ESTALE")                \
  X(add_time_relative, sd_event_add_time_relative(e, &out.s, CLOCK_REALTIME, 1, 1, on_time, NULL),                    \
    "0 0 0 0 0 0 ESTALE")                                                                                             \
  X(add_signal, block(SIGUSR2) ? sd_event_add_signal(e, &out.s, SIGUSR2, on_signal, NULL) : -1, "0 0 0 0 0 0 ESTALE") \
  X(add_child, sd_event_add_child(e, &out.s, getpid(), WEXITED, on_child, NULL), "0 0 0 0 0 0 ESTALE")                \
  X(add_inotify, sd_event_add_inotify(e, &out.s, "/", IN_CREATE, on_inotify, NULL), "0 0 0 0 0 0 ESTALE")             \
  X(add_defer, sd_event_add_defer(e, &out.s, on_event, NULL), "0 0 0 0 0 0 ESTALE")                                   \
  X(add_post, sd_event_add_post(e, &out.s, on_event, NULL), "0 0 0 0 0 0 ESTALE")                                     \
  X(add_exit, sd_event_add_exit(e, &out.s, on_event, NULL), "0 0 0 0 0 0 ESTALE")                                     \
  X(set_prepare, sd_event_source_set_prepare(kit->source[kIo], on_event), "0 0 0 0 0 0 ESTALE")                       \
  X(set_priority, sd_event_source_set_priority(kit->source[kIo], 5), "0 0 0 0 0 0 ESTALE")                            \
  X(set_enabled_on, sd_event_source_set_enabled(kit->source[kIo], SD_EVENT_ON), "0 0 0 0 0 0 ESTALE")                 \
  X(set_enabled_on_exit, sd_event_source_set_enabled(kit->source[kExit], SD_EVENT_ON), "0 0 0 0 0 0 ESTALE")          \
  X(set_enabled_off, sd_event_source_set_enabled(kit->source[kIo], SD_EVENT_OFF), "0 0 0 0 0 0 0")                    \
  X(get_pending, sd_event_source_get_pending(kit->source[kIo]), "0 0 0 0 0 0 ESTALE")                                 \
  X(get_pending_defer, sd_event_source_get_pending(kit->source[kDefer]), "1 1 1 1 1 1 ESTALE")                        \
  X(get_pending_post, sd_event_source_get_pending(kit->source[kPost]), "0 0 0 0 1 1 ESTALE")                          \
  X(get_pending_exit, sd_event_source_get_pending(kit->source[kExit]), "EDOM EDOM EDOM EDOM EDOM EDOM EDOM")          \
  X(set_io_fd, sd_event_source_set_io_fd(kit->source[kIo], kit->pipe_fds[1]), "0 0 0 0 0 0 0")                        \
  X(set_io_events, sd_event_source_set_io_events(kit->source[kIo], EPOLLOUT), "0 0 0 0 0 0 ESTALE")                   \
  X(set_time, sd_event_source_set_time(kit->source[kTime], 5), "0 0 0 0 0 0 ESTALE")                                  \
  X(set_time_relative, sd_event_source_set_time_relative(kit->source[kTime], 5), "0 0 0 0 0 0 ESTALE")                \
  X(set_time_accuracy, sd_event_source_set_time_accuracy(kit->source[kTime], 5), "0 0 0 0 0 0 ESTALE")                \
  X(set_description, sd_event_source_set_description(kit->source[kTime], "x"), "1 1 1 1 1 1 1")                       \
  X(set_ratelimit, sd_event_source_set_ratelimit(kit->source[kTime], 5, 5), "0 0 0 0 0 0 0")                          \
  X(set_exit_on_failure, sd_event_source_set_exit_on_failure(kit->source[kTime], 5), "1 1 1 1 1 1 1")                 \
  X(set_floating, sd_event_source_set_floating(kit->source[kTime], 0), "0 0 0 0 0 0 0")                               \
  X(send_child_signal, sd_event_source_send_child_signal(kit->source[kChild], SIGCONT, NULL, 0), "0 0 0 0 0 0 0")
// clang-format on

CALLS(DEFINE_STATE_CALL)
CALLS(DEFINE_STATE_ROW)

int main(void) {
  exit_77_without_pidfds();
  const struct CMUnitTest tests[] = {CALLS(STATE_ROW_TEST)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
