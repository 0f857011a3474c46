// SPDX-License-Identifier: MIT
//
// One loop with one source of every kind, in each of the conditions in which a call can find them: the table-driven
// tests run a call on all kinds at once and compare the row of results with the reference's.
//
// A row has one letter a kind, in the order of `enum Kind`: io time signal child inotify defer post exit.
// Letters: `letter_of`. A kit owns its loop, its pipe, its child process and one reference to each source; it blocks
// SIGUSR1 and SIGCHLD while it is open. Conditions: kPlain, kFinished (the loop has exited), kForked (the call is made
// in a process forked after the kit was opened), kFinishedForked (both).
// The call itself always runs in a forked process of its own, so that a crash is just another letter.
#ifndef EVENKEEL_CONFORMANCE_ERRORS_KINDS_H
#define EVENKEEL_CONFORMANCE_ERRORS_KINDS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <sys/mman.h>

#include "harness.h"

enum Kind { kIo, kTime, kSignal, kChild, kInotify, kDefer, kPost, kExit, kKinds };
enum Condition { kPlain, kFinished, kForked, kFinishedForked, kConditions };

static const char* const kKindNames[kKinds] = {"io", "time", "signal", "child", "inotify", "defer", "post", "exit"};
static const char* const kConditionNames[kConditions] = {"plain", "finished", "forked", "finished_and_forked"};

struct Kit {
  sd_event* loop;
  int pipe_fds[2];
  pid_t child;
  sd_event_source* source[kKinds];
};

static inline sd_event_source* add_kind(struct Kit* kit, enum Kind kind, void* userdata) {
  sd_event_source* s = NULL;
  sd_event* e = kit->loop;
  int r = -1;
  switch (kind) {
    case kIo:
      r = sd_event_add_io(e, &s, kit->pipe_fds[0], EPOLLIN, on_io, userdata);
      break;
    case kTime:
      r = sd_event_add_time(e, &s, CLOCK_MONOTONIC, UINT64_MAX, 0, on_time, userdata);
      break;
    case kSignal:
      r = sd_event_add_signal(e, &s, SIGUSR1, on_signal, userdata);
      break;
    case kChild:
      r = sd_event_add_child(e, &s, kit->child, WEXITED, on_child, userdata);
      break;
    case kInotify:
      r = sd_event_add_inotify(e, &s, "/tmp", IN_DELETE_SELF, on_inotify, userdata);
      break;
    case kDefer:
      r = sd_event_add_defer(e, &s, on_event, userdata);
      break;
    case kPost:
      r = sd_event_add_post(e, &s, on_event, userdata);
      break;
    case kExit:
      r = sd_event_add_exit(e, &s, on_event, userdata);
      break;
    case kKinds:
      break;
  }
  assert_int_equal(r, 0);
  assert_non_null(s);
  return s;
}

static inline void kit_open(struct Kit* kit) {
  kit->loop = make_loop();
  assert_int_equal(pipe2(kit->pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
  set_blocked(SIGCHLD, true);
  set_blocked(SIGUSR1, true);
  kit->child = spawn_sleeper();
  for (int kind = 0; kind < kKinds; kind++) kit->source[kind] = add_kind(kit, (enum Kind)kind, kit);
}

static inline void kit_close(struct Kit* kit) {
  sd_event_source_set_io_fd_own(kit->source[kIo], 0);  // a call under test may have given these away
  sd_event_source_set_child_process_own(kit->source[kChild], 0);
  for (int kind = 0; kind < kKinds; kind++) sd_event_source_unref(kit->source[kind]);
  sd_event_unref(kit->loop);
  kill_and_reap(kit->child);
  close(kit->pipe_fds[0]);
  close(kit->pipe_fds[1]);
  set_blocked(SIGUSR1, false);
  set_blocked(SIGCHLD, false);
}

static inline char letter_of(int result) {
  switch (result) {
    case 0:
      return '.';
    case 1:
      return '1';
    case -EINVAL:
      return 'V';
    case -EDOM:
      return 'D';
    case -ESTALE:
      return 'S';
    case -ECHILD:
      return 'C';
    case -EBUSY:
      return 'B';
    case -EBADF:
      return 'F';
    case -EPERM:
      return 'P';
    case -EEXIST:
      return 'E';
    case -ENODATA:
      return 'N';
    case -ENXIO:
      return 'X';
    case -ESRCH:
      return 'R';
    case -ENOEXEC:
      return 'G';
    case -EOPNOTSUPP:
      return 'O';
    case -EOVERFLOW:
      return 'W';
    case -ENOENT:
      return 'T';
  }
  return result > 1 && result < kDied ? '+' : '?';
}

typedef int (*SourceCall)(sd_event_source* s, struct Kit* kit);

struct RowProbe {
  SourceCall call;
  struct Kit* kit;
  bool open_here;  // the kit is opened by the process that calls, so the call does not see a fork
  bool finish_here;
  char* row;  // shared with the parent
};

static inline int probe_row(void* context) {
  struct RowProbe* probe = context;
  if (probe->open_here) kit_open(probe->kit);
  if (probe->finish_here) finish_loop(probe->kit->loop);
  for (int kind = 0; kind < kKinds; kind++)
    probe->row[kind] = letter_of(probe->call(probe->kit->source[kind], probe->kit));
  if (probe->open_here) kit_close(probe->kit);
  return 0;
}

// Fills `row` (kKinds + 1 chars): a letter a kind; '!' for the kind where the call crashed, and nothing behind it.
static inline void run_row(SourceCall call, enum Condition condition, char* row) {
  struct Kit kit;
  char* shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_ptr_not_equal(shared, MAP_FAILED);
  bool open_here = condition == kPlain || condition == kFinished;
  struct RowProbe probe = {call, &kit, open_here, condition == kFinished, shared};
  if (!open_here) kit_open(&kit);
  if (condition == kFinishedForked) finish_loop(kit.loop);
  int result = in_child(probe_row, &probe);
  if (result != 0) strcat(shared, result == died_of(SIGSEGV) ? "!" : result == died_of(SIGABRT) ? "#" : "?");
  if (!open_here) kit_close(&kit);
  snprintf(row, kKinds + 1, "%s", shared);
  munmap(shared, 4096);
}

// A table of calls: X(name, expression of `s` and `kit`, row when plain, finished, forked, finished and forked).
struct SourceRow {
  SourceCall call;
  const char* expected[kConditions];
};

#define DEFINE_SOURCE_CALL(name, expression, ...) \
  static int name(sd_event_source* s, struct Kit* kit) { return (void)kit, (expression); }
#define DEFINE_SOURCE_ROW(name, expression, ...) \
  static const struct SourceRow name##_expectation = {name, {__VA_ARGS__}};
#define SOURCE_ROW_TEST(name, ...)                                                                   \
  {#name "_answers_each_kind_plain_finished_and_forked", row_is_as_expected, begin_clean, end_clean, \
   (void*)&name##_expectation},

static inline void row_is_as_expected(void** state) {
  const struct SourceRow* row = *state;
  for (int condition = 0; condition < kConditions; condition++) {
    char got[kKinds + 16], expected[kKinds + 64];
    run_row(row->call, (enum Condition)condition, got);
    snprintf(got + strlen(got), 16, " %.14s", kConditionNames[condition]);
    snprintf(expected, sizeof(expected), "%s %.14s", row->expected[condition], kConditionNames[condition]);
    assert_string_equal(got, expected);
  }
}

#endif
