// SPDX-License-Identifier: MIT
//
// The calls that belong to one kind of source: what the other kinds answer, and which error wins.
// Child sources are in errors_source_child.c.
//
// Every call runs on a source of every kind, in four conditions: plain; the loop has finished; in a forked process;
// both. A row has eight letters - io time signal child inotify defer post exit - and is compared as a whole, so what
// wins of wrong type (D = -EDOM), finished (S = -ESTALE), forked (C = -ECHILD) and bad value (V = -EINVAL,
// F = -EBADF) is in it. Other letters: . = 0, 1 = 1, + = more, N = -ENODATA, X = -ENXIO, G = -ENOEXEC,
// W = -EOVERFLOW. Rows with a `_null` or a bad value show whether these win over the type.
// Invariants: no row here depends on time or on the kernel's version; each call runs in a process of its own.
#include "errors_kinds.h"

// Where the getters put what they got; what it should be is a matter of the getset_ programs.
static struct {
  uint64_t usec;
  uint32_t mask;
  clockid_t clock;
} out;

// clang-format off
#define CALLS(X) \
  X(get_io_fd, sd_event_source_get_io_fd(s), "+DDDDDDD", "+DDDDDDD", "CDDDDDDD", "CDDDDDDD")                          \
  X(set_io_fd_same, sd_event_source_set_io_fd(s, kit->pipe_fds[0]), ".DDDDDDD", ".DDDDDDD", "CDDDDDDD", "CDDDDDDD")   \
  X(set_io_fd_new, sd_event_source_set_io_fd(s, kit->pipe_fds[1]), ".DDDDDDD", ".DDDDDDD", "CDDDDDDD", "CDDDDDDD")    \
  X(set_io_fd_m1, sd_event_source_set_io_fd(s, -1), "FFFFFFFF", "FFFFFFFF", "FFFFFFFF", "FFFFFFFF")                   \
  X(set_io_fd_closed, sd_event_source_set_io_fd(s, 9999), "FDDDDDDD", "FDDDDDDD", "CDDDDDDD", "CDDDDDDD")             \
  X(get_io_fd_own, sd_event_source_get_io_fd_own(s), ".DDDDDDD", ".DDDDDDD", ".DDDDDDD", ".DDDDDDD")                  \
  X(set_io_fd_own1, sd_event_source_set_io_fd_own(s, 1), ".DDDDDDD", ".DDDDDDD", ".DDDDDDD", ".DDDDDDD")              \
  X(set_io_fd_own0, sd_event_source_set_io_fd_own(s, 0), ".DDDDDDD", ".DDDDDDD", ".DDDDDDD", ".DDDDDDD")              \
  X(set_io_fd_own2, sd_event_source_set_io_fd_own(s, 2), ".DDDDDDD", ".DDDDDDD", ".DDDDDDD", ".DDDDDDD")              \
  X(get_io_events, sd_event_source_get_io_events(s, &out.mask), ".DDDDDDD", ".DDDDDDD", "CDDDDDDD", "CDDDDDDD")       \
  X(get_io_events_null, sd_event_source_get_io_events(s, NULL), "VVVVVVVV", "VVVVVVVV", "VVVVVVVV", "VVVVVVVV")       \
  X(set_io_events_same, sd_event_source_set_io_events(s, EPOLLIN), ".DDDDDDD", "SDDDDDDD", "CDDDDDDD", "SDDDDDDD")    \
  X(set_io_events_new, sd_event_source_set_io_events(s, EPOLLOUT), ".DDDDDDD", "SDDDDDDD", "CDDDDDDD", "SDDDDDDD")    \
  X(set_io_events_bad, sd_event_source_set_io_events(s, EPOLLONESHOT),                                                \
    "VDDDDDDD", "VDDDDDDD", "VDDDDDDD", "VDDDDDDD")                                                                   \
  X(get_io_revents, sd_event_source_get_io_revents(s, &out.mask), "NDDDDDDD", "NDDDDDDD", "NDDDDDDD", "NDDDDDDD")     \
  X(get_io_revents_null, sd_event_source_get_io_revents(s, NULL), "VVVVVVVV", "VVVVVVVV", "VVVVVVVV", "VVVVVVVV")     \
  X(get_time, sd_event_source_get_time(s, &out.usec), "D.DDDDDD", "D.DDDDDD", "DCDDDDDD", "DCDDDDDD")                 \
  X(get_time_null, sd_event_source_get_time(s, NULL), "VVVVVVVV", "VVVVVVVV", "VVVVVVVV", "VVVVVVVV")                 \
  X(set_time, sd_event_source_set_time(s, 5), "D.DDDDDD", "DSDDDDDD", "DCDDDDDD", "DSDDDDDD")                         \
  X(set_time_same, sd_event_source_set_time(s, UINT64_MAX), "D.DDDDDD", "DSDDDDDD", "DCDDDDDD", "DSDDDDDD")           \
  X(set_time_relative, sd_event_source_set_time_relative(s, 5), "D.DDDDDD", "DSDDDDDD", "DCDDDDDD", "DCDDDDDD")       \
  X(set_time_relative_max, sd_event_source_set_time_relative(s, UINT64_MAX),                                          \
    "D.DDDDDD", "DSDDDDDD", "DCDDDDDD", "DSDDDDDD")                                                                   \
  X(set_time_relative_over, sd_event_source_set_time_relative(s, UINT64_MAX - 1),                                     \
    "DWDDDDDD", "DWDDDDDD", "DCDDDDDD", "DCDDDDDD")                                                                   \
  X(get_time_accuracy, sd_event_source_get_time_accuracy(s, &out.usec),                                               \
    "D.DDDDDD", "D.DDDDDD", "DCDDDDDD", "DCDDDDDD")                                                                   \
  X(get_time_accuracy_null, sd_event_source_get_time_accuracy(s, NULL),                                               \
    "VVVVVVVV", "VVVVVVVV", "VVVVVVVV", "VVVVVVVV")                                                                   \
  X(set_time_accuracy, sd_event_source_set_time_accuracy(s, 5), "D.DDDDDD", "DSDDDDDD", "DCDDDDDD", "DSDDDDDD")       \
  X(set_time_accuracy_0, sd_event_source_set_time_accuracy(s, 0), "D.DDDDDD", "DSDDDDDD", "DCDDDDDD", "DSDDDDDD")     \
  X(set_time_accuracy_max, sd_event_source_set_time_accuracy(s, UINT64_MAX),                                          \
    "VVVVVVVV", "VVVVVVVV", "VVVVVVVV", "VVVVVVVV")                                                                   \
  X(get_time_clock, sd_event_source_get_time_clock(s, &out.clock), "D.DDDDDD", "D.DDDDDD", "DCDDDDDD", "DCDDDDDD")    \
  X(get_time_clock_null, sd_event_source_get_time_clock(s, NULL), "VVVVVVVV", "VVVVVVVV", "VVVVVVVV", "VVVVVVVV")     \
  X(get_signal, sd_event_source_get_signal(s), "DD+DDDDD", "DD+DDDDD", "DDCDDDDD", "DDCDDDDD")                        \
  X(get_inotify_mask, sd_event_source_get_inotify_mask(s, &out.mask),                                                 \
    "DDDD.DDD", "DDDD.DDD", "DDDDCDDD", "DDDDCDDD")                                                                   \
  X(get_inotify_mask_null, sd_event_source_get_inotify_mask(s, NULL),                                                 \
    "VVVVVVVV", "VVVVVVVV", "VVVVVVVV", "VVVVVVVV")
// clang-format on

CALLS(DEFINE_SOURCE_CALL)
CALLS(DEFINE_SOURCE_ROW)

int main(void) {
  const struct CMUnitTest tests[] = {CALLS(SOURCE_ROW_TEST)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
