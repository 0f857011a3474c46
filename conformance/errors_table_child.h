// SPDX-License-Identifier: MIT
//
// The table of the calls that belong to child sources; errors_rows.h says how to read it.
//
// What the other kinds answer is in it, too.
// Rows with a `_null` or a bad value show whether these win over the kind, finished and forked.
// Invariant: no row here depends on time or on the kernel's version.
#ifndef EVENKEEL_CONFORMANCE_ERRORS_TABLE_CHILD_H
#define EVENKEEL_CONFORMANCE_ERRORS_TABLE_CHILD_H

// clang-format off
#define CHILD_CALLS(X)                                                                                                \
  X(get_child_pid, sd_event_source_get_child_pid(s, &out.pid),                                                        \
    "DDD.DDDD", "DDD.DDDD", "DDDCDDDD", "DDDCDDDD", GONE_ON_REFERENCE = "DDD!DDDD")                                   \
  X(get_child_pid_null, sd_event_source_get_child_pid(s, NULL), "VVVVVVVV", "VVVVVVVV", "VVVVVVVV", "VVVVVVVV")       \
  X(get_child_pidfd, sd_event_source_get_child_pidfd(s),                                                              \
    "DDD+DDDD", "DDD+DDDD", "DDDCDDDD", "DDDCDDDD", GONE_ON_REFERENCE = "DDD!DDDD")                                   \
  X(get_child_pidfd_own, sd_event_source_get_child_pidfd_own(s),                                                      \
    "DDD1DDDD", "DDD1DDDD", "DDDCDDDD", "DDDCDDDD", FORKED_ON_REFERENCE = "DDD1DDDD")                                 \
  X(set_child_pidfd_own1, sd_event_source_set_child_pidfd_own(s, 1),                                                  \
    "DDD.DDDD", "DDD.DDDD", "DDDCDDDD", "DDDCDDDD", FORKED_ON_REFERENCE = "DDD.DDDD")                                 \
  X(set_child_pidfd_own0, sd_event_source_set_child_pidfd_own(s, 0),                                                  \
    "DDD.DDDD", "DDD.DDDD", "DDDCDDDD", "DDDCDDDD", FORKED_ON_REFERENCE = "DDD.DDDD")                                 \
  X(get_child_process_own, sd_event_source_get_child_process_own(s),                                                  \
    "DDD.DDDD", "DDD.DDDD", "DDDCDDDD", "DDDCDDDD", FORKED_ON_REFERENCE = "DDD.DDDD")                                 \
  X(set_child_process_own1, sd_event_source_set_child_process_own(s, 1),                                              \
    "DDD.DDDD", "DDD.DDDD", "DDDCDDDD", "DDDCDDDD", FORKED_ON_REFERENCE = "DDD.DDDD")                                 \
  X(set_child_process_own0, sd_event_source_set_child_process_own(s, 0),                                              \
    "DDD.DDDD", "DDD.DDDD", "DDDCDDDD", "DDDCDDDD", FORKED_ON_REFERENCE = "DDD.DDDD")                                 \
  X(send_child_signal, sd_event_source_send_child_signal(s, SIGCONT, NULL, 0),                                        \
    "DDD.DDDD", "DDD.DDDD", "DDDCDDDD", "DDDCDDDD", GONE_ON_REFERENCE = "DDD!DDDD")                                   \
  X(send_child_signal0, sd_event_source_send_child_signal(s, 0, NULL, 0),                                             \
    "DDDVDDDD", "DDDVDDDD", "DDDCDDDD", "DDDCDDDD", GONE_ON_REFERENCE = "DDD!DDDD")                                   \
  X(send_child_signalm1, sd_event_source_send_child_signal(s, -1, NULL, 0),                                           \
    "DDDVDDDD", "DDDVDDDD", "DDDCDDDD", "DDDCDDDD", GONE_ON_REFERENCE = "DDD!DDDD")                                   \
  X(send_child_signal_nsig, sd_event_source_send_child_signal(s, 65, NULL, 0),                                        \
    "DDDVDDDD", "DDDVDDDD", "DDDCDDDD", "DDDCDDDD", GONE_ON_REFERENCE = "DDD!DDDD")                                   \
  X(send_child_signal_32, sd_event_source_send_child_signal(s, 32, NULL, 0),                                          \
    "DDD.DDDD", "DDD.DDDD", "DDDCDDDD", "DDDCDDDD", GONE_ON_REFERENCE = "DDD!DDDD")                                   \
  X(send_child_signal_of_another_siginfo,                                                                             \
    sd_event_source_send_child_signal(s, SIGCONT, &(siginfo_t){.si_signo = SIGWINCH, .si_code = SI_QUEUE}, 0),        \
    "DDDVDDDD", "DDDVDDDD", "DDDCDDDD", "DDDCDDDD", GONE_ON_REFERENCE = "DDD!DDDD")                                   \
  X(send_child_signal_as_the_kernel,                                                                                  \
    sd_event_source_send_child_signal(s, SIGCONT, &(siginfo_t){.si_signo = SIGCONT, .si_code = SI_KERNEL}, 0),        \
    "DDDPDDDD", "DDDPDDDD", "DDDCDDDD", "DDDCDDDD", GONE_ON_REFERENCE = "DDD!DDDD")                                   \
  X(send_child_signal0_as_the_kernel,                                                                                 \
    sd_event_source_send_child_signal(s, 0, &(siginfo_t){.si_signo = 0, .si_code = SI_KERNEL}, 0),                    \
    "DDDVDDDD", "DDDVDDDD", "DDDCDDDD", "DDDCDDDD", GONE_ON_REFERENCE = "DDD!DDDD")
// clang-format on

#endif
