// SPDX-License-Identifier: MIT
//
// Which error wins in add_signal, add_inotify and add_inotify_fd.
//
// Each row holds the results with a null loop, SD_EVENT_DEFAULT without a default loop, a loop in each of its states,
// and in a process forked in each of these (errors_loops.h). The pairs of errors in it tell the order of the checks:
// CONDITION_FIRST(x): x is only seen on a usable loop; VALUE_FIRST(x): x wins over finished and forked.
// add_inotify opens its path before it looks at anything else, the loop included.
// Invariants: a call that fails changes neither the out-pointer nor the number of fds nor the state ("changed").
#include "errors_loops.h"

enum { kClosedFd = 9999 };

static bool block(int sig) { return set_blocked(sig, true), true; }

#define SIGNAL(...) sd_event_add_signal(e, s, __VA_ARGS__, on_signal, NULL)
#define INOTIFY(...) sd_event_add_inotify(e, s, __VA_ARGS__, on_inotify, NULL)
#define INOTIFY_FD(...) sd_event_add_inotify_fd(e, s, __VA_ARGS__, on_inotify, NULL)

// An inode that is watched already is opened again for the failing call once an iteration has closed it, and stays open
// until the next one.
#define KEEPS_AN_FD(result) \
  LOOP_ROW(result " " result " changed changed changed " result " ESTALE", LIVE_THEN("ECHILD", "ESTALE"))

// clang-format off
#define CALLS(X)                                                                                                      \
  X(add_signal_int, (block(SIGUSR2), SIGNAL(SIGUSR2)), CONDITION_FIRST("0"))                                          \
  X(add_signal_dup, SIGNAL(SIGUSR1), CONDITION_FIRST("EBUSY"))                                                        \
  X(add_signal_unblocked, SIGNAL(SIGHUP), CONDITION_FIRST("EBUSY"))                                                   \
  X(add_signal_0, SIGNAL(0), CONDITION_FIRST("EINVAL"))                                                               \
  X(add_signal_m1, SIGNAL(-1), CONDITION_FIRST("EINVAL"))                                                             \
  X(add_signal_65, SIGNAL(65), CONDITION_FIRST("EINVAL"))                                                             \
  X(add_signal_64, (block(64), SIGNAL(64)), CONDITION_FIRST("0"))                                                     \
  X(add_signal_32, SIGNAL(32), CONDITION_FIRST("EBUSY"))                                                              \
  X(add_signal_33, SIGNAL(33), CONDITION_FIRST("EBUSY"))                                                              \
  X(add_signal_kill, SIGNAL(SIGKILL), CONDITION_FIRST("EBUSY"))                                                       \
  X(add_signal_stop, SIGNAL(SIGSTOP), CONDITION_FIRST("EBUSY"))                                                       \
  X(add_signal_kill_pm, SIGNAL(SIGKILL | SD_EVENT_SIGNAL_PROCMASK), CONDITION_FIRST("0"))                             \
  X(add_signal_pm, SIGNAL(SIGHUP | SD_EVENT_SIGNAL_PROCMASK), CONDITION_FIRST("0"))                                   \
  X(add_signal_pm0, SIGNAL(SD_EVENT_SIGNAL_PROCMASK), CONDITION_FIRST("EINVAL"))                                      \
  X(add_signal_bit29, SIGNAL(SIGUSR2 | (1 << 29)), CONDITION_FIRST("EINVAL"))                                         \
  X(add_signal_nullcb, (block(SIGUSR2), sd_event_add_signal(e, s, SIGUSR2, NULL, NULL)), CONDITION_FIRST("0"))        \
  X(add_inotify, INOTIFY("/tmp", IN_CREATE), CONDITION_FIRST("0"))                                                    \
  X(add_inotify_null, INOTIFY(NULL, IN_CREATE), ALWAYS("EINVAL"))                                                     \
  X(add_inotify_empty, INOTIFY("", IN_CREATE), ALWAYS("ENOENT"))                                                      \
  X(add_inotify_missing, INOTIFY("/nonexistent", IN_CREATE), ALWAYS("ENOENT"))                                        \
  X(add_inotify_missing_maskadd, INOTIFY("/nonexistent", IN_MASK_ADD), ALWAYS("ENOENT"))                              \
  X(add_inotify_notdir, INOTIFY("/etc/passwd/x", IN_CREATE), ALWAYS("ENOTDIR"))                                       \
  X(add_inotify_maskadd, INOTIFY("/tmp", IN_MASK_ADD | IN_CREATE), CONDITION_FIRST("EINVAL"))                         \
  X(add_inotify_mask0, INOTIFY("/tmp", 0), CONDITION_FIRST("0"))                                                      \
  X(add_inotify_maskcreate, INOTIFY("/tmp", IN_MASK_CREATE | IN_CREATE), KEEPS_AN_FD("EEXIST"))                       \
  X(add_inotify_oneshot, INOTIFY("/tmp", IN_ONESHOT | IN_CREATE), CONDITION_FIRST("0"))                               \
  X(add_inotify_unkbits, INOTIFY("/tmp", 0x00100000), KEEPS_AN_FD("EINVAL"))                                          \
  X(add_inotify_nullcb, sd_event_add_inotify(e, s, "/tmp", IN_CREATE, NULL, NULL), CONDITION_FIRST("0"))              \
  X(add_inotify_fd, INOTIFY_FD(kit->directory, IN_CREATE), CONDITION_FIRST("0"))                                      \
  X(add_inotify_fd_m1, INOTIFY_FD(-1, IN_CREATE), VALUE_FIRST("EBADF"))                                               \
  X(add_inotify_fd_m1_maskadd, INOTIFY_FD(-1, IN_MASK_ADD), VALUE_FIRST("EBADF"))                                     \
  X(add_inotify_fd_closed, INOTIFY_FD(kClosedFd, IN_CREATE), CONDITION_FIRST("EBADF"))                                \
  X(add_inotify_fd_closed_maskadd, INOTIFY_FD(kClosedFd, IN_MASK_ADD), CONDITION_FIRST("EINVAL"))                     \
  X(add_inotify_fd_pipe, INOTIFY_FD(kit->pipe_fds[0], IN_OPEN), CONDITION_FIRST("0"))                                 \
  X(add_inotify_fd_maskadd, INOTIFY_FD(kit->directory, IN_MASK_ADD | IN_CREATE), CONDITION_FIRST("EINVAL"))           \
  X(add_inotify_fd_nullcb, sd_event_add_inotify_fd(e, s, kit->directory, IN_CREATE, NULL, NULL),                      \
    CONDITION_FIRST("0"))                                                                                             \
  X(add_signal_dup_pm, SIGNAL(SIGUSR1 | SD_EVENT_SIGNAL_PROCMASK), CONDITION_FIRST("EBUSY"))                          \
  X(add_inotify_notdir_onlydir, INOTIFY("/etc/passwd", IN_ONLYDIR | IN_CREATE), ALWAYS("ENOTDIR"))                    \
  X(add_inotify_onlydir_maskadd, INOTIFY("/etc/passwd", IN_ONLYDIR | IN_MASK_ADD), ALWAYS("ENOTDIR"))                 \
  X(add_inotify_fd_notdir_onlydir, INOTIFY_FD(kit->pipe_fds[0], IN_ONLYDIR | IN_CREATE), CONDITION_FIRST("0"))        \
  X(add_inotify_fd_unkbits, INOTIFY_FD(kit->directory, 0x00100000), KEEPS_AN_FD("EINVAL"))                            \
  X(add_inotify_fd_maskcreate, INOTIFY_FD(kit->directory, IN_MASK_CREATE | IN_CREATE), KEEPS_AN_FD("EEXIST"))
// clang-format on

CALLS(DEFINE_LOOP_CALL)
CALLS(DEFINE_LOOP_ROW)

int main(void) {
  const struct CMUnitTest tests[] = {CALLS(LOOP_ROW_TEST)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
