// SPDX-License-Identifier: MIT
//
// The table of the calls that belong to one kind of source; errors_rows.h says how to read it.
//
// What the other kinds answer is in it, too. Child sources are in errors_table_child.h.
// Rows with a `_null` or a bad value show whether these win over the kind, finished and forked.
// Invariant: no row here depends on time or on the kernel's version.
#ifndef EVENKEEL_CONFORMANCE_ERRORS_TABLE_KINDS_H
#define EVENKEEL_CONFORMANCE_ERRORS_TABLE_KINDS_H

// clang-format off
#define KIND_CALLS(X)                                                                                                 \
  X(get_io_fd, sd_event_source_get_io_fd(s),                                                                          \
    "+DDDDDDD", "+DDDDDDD", "CDDDDDDD", "CDDDDDDD", GONE_ON_REFERENCE = "!DDDDDDD")                                   \
  X(set_io_fd_same, sd_event_source_set_io_fd(s, kit->pipe_fds[0]),                                                   \
    ".DDDDDDD", ".DDDDDDD", "CDDDDDDD", "CDDDDDDD", GONE = "SDDDDDDD", GONE_ON_REFERENCE = "!DDDDDDD")                \
  X(set_io_fd_new, sd_event_source_set_io_fd(s, kit->pipe_fds[1]),                                                    \
    ".DDDDDDD", ".DDDDDDD", "CDDDDDDD", "CDDDDDDD", GONE = "SDDDDDDD", GONE_ON_REFERENCE = "!DDDDDDD")                \
  X(set_io_fd_m1, sd_event_source_set_io_fd(s, -1), "FFFFFFFF", "FFFFFFFF", "FFFFFFFF", "FFFFFFFF")                   \
  X(set_io_fd_closed, sd_event_source_set_io_fd(s, 9999),                                                             \
    "FDDDDDDD", "FDDDDDDD", "CDDDDDDD", "CDDDDDDD", GONE = "SDDDDDDD", GONE_ON_REFERENCE = "!DDDDDDD")                \
  X(get_io_fd_own, sd_event_source_get_io_fd_own(s),                                                                  \
    ".DDDDDDD", ".DDDDDDD", "CDDDDDDD", "CDDDDDDD", FORKED_ON_REFERENCE = ".DDDDDDD")                                 \
  X(set_io_fd_own1, sd_event_source_set_io_fd_own(s, 1),                                                              \
    ".DDDDDDD", ".DDDDDDD", "CDDDDDDD", "CDDDDDDD", FORKED_ON_REFERENCE = ".DDDDDDD")                                 \
  X(set_io_fd_own0, sd_event_source_set_io_fd_own(s, 0),                                                              \
    ".DDDDDDD", ".DDDDDDD", "CDDDDDDD", "CDDDDDDD", FORKED_ON_REFERENCE = ".DDDDDDD")                                 \
  X(set_io_fd_own2, sd_event_source_set_io_fd_own(s, 2),                                                              \
    ".DDDDDDD", ".DDDDDDD", "CDDDDDDD", "CDDDDDDD", FORKED_ON_REFERENCE = ".DDDDDDD")                                 \
  X(get_io_events, sd_event_source_get_io_events(s, &out.mask),                                                       \
    ".DDDDDDD", ".DDDDDDD", "CDDDDDDD", "CDDDDDDD", GONE_ON_REFERENCE = "!DDDDDDD")                                   \
  X(get_io_events_null, sd_event_source_get_io_events(s, NULL), "VVVVVVVV", "VVVVVVVV", "VVVVVVVV", "VVVVVVVV")       \
  X(set_io_events_same, sd_event_source_set_io_events(s, EPOLLIN),                                                    \
    ".DDDDDDD", "SDDDDDDD", "CDDDDDDD", "SDDDDDDD", GONE = "SDDDDDDD", GONE_ON_REFERENCE = "!DDDDDDD")                \
  X(set_io_events_new, sd_event_source_set_io_events(s, EPOLLOUT),                                                    \
    ".DDDDDDD", "SDDDDDDD", "CDDDDDDD", "SDDDDDDD", GONE = "SDDDDDDD", GONE_ON_REFERENCE = "!DDDDDDD")                \
  X(set_io_events_bad, sd_event_source_set_io_events(s, EPOLLONESHOT), "VDDDDDDD", "VDDDDDDD", "VDDDDDDD", "VDDDDDDD")\
  X(get_io_revents, sd_event_source_get_io_revents(s, &out.mask),                                                     \
    "NDDDDDDD", "NDDDDDDD", "CDDDDDDD", "CDDDDDDD", FORKED_BEFORE_262 = "NDDDDDDD")                                   \
  X(get_io_revents_null, sd_event_source_get_io_revents(s, NULL), "VVVVVVVV", "VVVVVVVV", "VVVVVVVV", "VVVVVVVV")     \
  X(get_time, sd_event_source_get_time(s, &out.usec),                                                                 \
    "D.DDDDDD", "D.DDDDDD", "DCDDDDDD", "DCDDDDDD", GONE_ON_REFERENCE = "D!DDDDDD")                                   \
  X(get_time_null, sd_event_source_get_time(s, NULL), "VVVVVVVV", "VVVVVVVV", "VVVVVVVV", "VVVVVVVV")                 \
  X(set_time, sd_event_source_set_time(s, 5),                                                                         \
    "D.DDDDDD", "DSDDDDDD", "DCDDDDDD", "DSDDDDDD", GONE = "DSDDDDDD", GONE_ON_REFERENCE = "D!DDDDDD")                \
  X(set_time_same, sd_event_source_set_time(s, UINT64_MAX),                                                           \
    "D.DDDDDD", "DSDDDDDD", "DCDDDDDD", "DSDDDDDD", GONE = "DSDDDDDD", GONE_ON_REFERENCE = "D!DDDDDD")                \
  X(set_time_relative, sd_event_source_set_time_relative(s, 5),                                                       \
    "D.DDDDDD", "DSDDDDDD", "DCDDDDDD", "DCDDDDDD", GONE = "DSDDDDDD", GONE_ON_REFERENCE = "DVDDDDDD")                \
  X(set_time_relative_max, sd_event_source_set_time_relative(s, UINT64_MAX),                                          \
    "D.DDDDDD", "DSDDDDDD", "DCDDDDDD", "DCDDDDDD", FINISHED_FORKED_ON_REFERENCE = "DSDDDDDD", GONE = "DSDDDDDD",     \
    GONE_ON_REFERENCE = "D!DDDDDD")                                                                                   \
  X(set_time_relative_over, sd_event_source_set_time_relative(s, UINT64_MAX - 1),                                     \
    "DWDDDDDD", "DWDDDDDD", "DCDDDDDD", "DCDDDDDD", GONE = "DSDDDDDD", GONE_ON_REFERENCE = "DVDDDDDD")                \
  X(get_time_accuracy, sd_event_source_get_time_accuracy(s, &out.usec),                                               \
    "D.DDDDDD", "D.DDDDDD", "DCDDDDDD", "DCDDDDDD", GONE_ON_REFERENCE = "D!DDDDDD")                                   \
  X(get_time_accuracy_null, sd_event_source_get_time_accuracy(s, NULL),                                               \
    "VVVVVVVV", "VVVVVVVV", "VVVVVVVV", "VVVVVVVV")                                                                   \
  X(set_time_accuracy, sd_event_source_set_time_accuracy(s, 5),                                                       \
    "D.DDDDDD", "DSDDDDDD", "DCDDDDDD", "DSDDDDDD", GONE = "DSDDDDDD", GONE_ON_REFERENCE = "D!DDDDDD")                \
  X(set_time_accuracy_0, sd_event_source_set_time_accuracy(s, 0),                                                     \
    "D.DDDDDD", "DSDDDDDD", "DCDDDDDD", "DSDDDDDD", GONE = "DSDDDDDD", GONE_ON_REFERENCE = "D!DDDDDD")                \
  X(set_time_accuracy_max, sd_event_source_set_time_accuracy(s, UINT64_MAX),                                          \
    "VVVVVVVV", "VVVVVVVV", "VVVVVVVV", "VVVVVVVV")                                                                   \
  X(get_time_clock, sd_event_source_get_time_clock(s, &out.clock),                                                    \
    "D.DDDDDD", "D.DDDDDD", "DCDDDDDD", "DCDDDDDD", GONE_ON_REFERENCE = "D!DDDDDD")                                   \
  X(get_time_clock_null, sd_event_source_get_time_clock(s, NULL), "VVVVVVVV", "VVVVVVVV", "VVVVVVVV", "VVVVVVVV")     \
  X(get_signal, sd_event_source_get_signal(s),                                                                        \
    "DD+DDDDD", "DD+DDDDD", "DDCDDDDD", "DDCDDDDD", GONE_ON_REFERENCE = "DD!DDDDD")                                   \
  X(get_inotify_mask, sd_event_source_get_inotify_mask(s, &out.mask),                                                 \
    "DDDD.DDD", "DDDD.DDD", "DDDDCDDD", "DDDDCDDD", GONE_ON_REFERENCE = "DDDD!DDD")                                   \
  X(get_inotify_mask_null, sd_event_source_get_inotify_mask(s, NULL), "VVVVVVVV", "VVVVVVVV", "VVVVVVVV", "VVVVVVVV") \
  X(set_io_fd_directory, sd_event_source_set_io_fd(s, kit->directory),                                                \
    "PDDDDDDD", "PDDDDDDD", "CDDDDDDD", "CDDDDDDD", GONE = "SDDDDDDD", GONE_ON_REFERENCE = "!DDDDDDD")                \
  X(set_io_fd_taken, sd_event_source_set_io_fd(s, kit->taken),                                                        \
    "EDDDDDDD", "EDDDDDDD", "CDDDDDDD", "CDDDDDDD", GONE = "SDDDDDDD", GONE_ON_REFERENCE = "!DDDDDDD")                \
  X(set_io_events_edge, sd_event_source_set_io_events(s, EPOLLIN | EPOLLET),                                          \
    ".DDDDDDD", "SDDDDDDD", "CDDDDDDD", "SDDDDDDD", GONE = "SDDDDDDD", GONE_ON_REFERENCE = "!DDDDDDD")                \
  X(set_io_events_none, sd_event_source_set_io_events(s, 0),                                                          \
    ".DDDDDDD", "SDDDDDDD", "CDDDDDDD", "SDDDDDDD", GONE = "SDDDDDDD", GONE_ON_REFERENCE = "!DDDDDDD")
// clang-format on

#endif
