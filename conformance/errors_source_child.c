// SPDX-License-Identifier: MIT
//
// The calls that belong to child sources: what the other kinds answer, and which error wins.
//
// Every call runs on a source of every kind, in four conditions: plain; the loop has finished; in a forked process;
// both. A row has eight letters - io time signal child inotify defer post exit - and is compared as a whole, so what
// wins of wrong type (D = -EDOM), finished (S = -ESTALE), forked (C = -ECHILD) and bad value (V = -EINVAL,
// F = -EBADF) is in it. Other letters: . = 0, 1 = 1, + = more, N = -ENODATA, X = -ENXIO, G = -ENOEXEC,
// W = -EOVERFLOW. Rows with a `_null` or a bad value show whether these win over the type.
// Invariants: no row here depends on time or on the kernel's version; each call runs in a process of its own.
#include "errors_kinds.h"

// Where the getters put what they got; what it should be is a matter of the getset_ programs.
static struct { pid_t pid; } out;

// clang-format off
#define CALLS(X) \
  X(get_child_pid, sd_event_source_get_child_pid(s, &out.pid), "DDD.DDDD", "DDD.DDDD", "DDDCDDDD", "DDDCDDDD")        \
  X(get_child_pid_null, sd_event_source_get_child_pid(s, NULL), "VVVVVVVV", "VVVVVVVV", "VVVVVVVV", "VVVVVVVV")       \
  X(get_child_pidfd, sd_event_source_get_child_pidfd(s), "DDD+DDDD", "DDD+DDDD", "DDDCDDDD", "DDDCDDDD")              \
  X(get_child_pidfd_own, sd_event_source_get_child_pidfd_own(s), "DDD1DDDD", "DDD1DDDD", "DDD1DDDD", "DDD1DDDD")      \
  X(set_child_pidfd_own1, sd_event_source_set_child_pidfd_own(s, 1),                                                  \
    "DDD.DDDD", "DDD.DDDD", "DDD.DDDD", "DDD.DDDD")                                                                   \
  X(set_child_pidfd_own0, sd_event_source_set_child_pidfd_own(s, 0),                                                  \
    "DDD.DDDD", "DDD.DDDD", "DDD.DDDD", "DDD.DDDD")                                                                   \
  X(get_child_process_own, sd_event_source_get_child_process_own(s),                                                  \
    "DDD.DDDD", "DDD.DDDD", "DDD.DDDD", "DDD.DDDD")                                                                   \
  X(set_child_process_own1, sd_event_source_set_child_process_own(s, 1),                                              \
    "DDD.DDDD", "DDD.DDDD", "DDD.DDDD", "DDD.DDDD")                                                                   \
  X(set_child_process_own0, sd_event_source_set_child_process_own(s, 0),                                              \
    "DDD.DDDD", "DDD.DDDD", "DDD.DDDD", "DDD.DDDD")                                                                   \
  X(send_child_signal, sd_event_source_send_child_signal(s, SIGCONT, NULL, 0),                                        \
    "DDD.DDDD", "DDD.DDDD", "DDDCDDDD", "DDDCDDDD")                                                                   \
  X(send_child_signal0, sd_event_source_send_child_signal(s, 0, NULL, 0),                                             \
    "DDDVDDDD", "DDDVDDDD", "DDDCDDDD", "DDDCDDDD")                                                                   \
  X(send_child_signalm1, sd_event_source_send_child_signal(s, -1, NULL, 0),                                           \
    "DDDVDDDD", "DDDVDDDD", "DDDCDDDD", "DDDCDDDD")                                                                   \
  X(send_child_signal_nsig, sd_event_source_send_child_signal(s, 65, NULL, 0),                                        \
    "DDDVDDDD", "DDDVDDDD", "DDDCDDDD", "DDDCDDDD")                                                                   \
  X(send_child_signal_32, sd_event_source_send_child_signal(s, 32, NULL, 0),                                          \
    "DDD.DDDD", "DDD.DDDD", "DDDCDDDD", "DDDCDDDD")
// clang-format on

CALLS(DEFINE_SOURCE_CALL)
CALLS(DEFINE_SOURCE_ROW)

int main(void) {
  exit_77_without_pidfds();
  const struct CMUnitTest tests[] = {CALLS(SOURCE_ROW_TEST)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
