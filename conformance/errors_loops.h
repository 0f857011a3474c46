// SPDX-License-Identifier: MIT
//
// Tables of calls on loops: each call is made with a null loop, with SD_EVENT_DEFAULT where no default loop exists,
// with a plain loop, a finished one, in a forked process, and with a finished one in a forked process. The six results,
// in words, are compared at once with the reference's; so each row says which error wins.
//
// Invariant checked at each call that fails: the out-pointer holds what it held, and the process has as many fds, and
// the loop the state, as before. A call that breaks it gives "changed" in its place of the row.
// A LoopKit is a Kit (one source of each kind on pipe_fds[0], SIGUSR1, `child`, "/tmp") and more to make sources of: a
// second child and its pidfd, a pidfd of the first, a fd of "/tmp". Each call runs in a forked process of its own.
#ifndef EVENKEEL_CONFORMANCE_ERRORS_LOOPS_H
#define EVENKEEL_CONFORMANCE_ERRORS_LOOPS_H

#include "errors_kinds.h"

enum { kNullLoop, kNoDefault, kPlainLoop, kFinishedLoop, kForkedLoop, kFinishedForkedLoop, kLoopConditions };

struct LoopKit {
  struct Kit kit;
  int pipe_fds[2];
  pid_t child, child2;
  int pidfd, pidfd2, directory;
};

typedef int (*LoopCall)(sd_event* e, sd_event_source** s, struct LoopKit* kit);

static inline void loop_kit_open(struct LoopKit* kit) {
  kit_open(&kit->kit);
  memcpy(kit->pipe_fds, kit->kit.pipe_fds, sizeof(kit->pipe_fds));
  kit->child = kit->kit.child;
  kit->child2 = spawn_sleeper();
  kit->pidfd = open_pidfd(kit->child);
  kit->pidfd2 = open_pidfd(kit->child2);
  kit->directory = open("/tmp", O_RDONLY | O_CLOEXEC);
}

static inline void loop_kit_close(struct LoopKit* kit) {
  close(kit->pidfd);
  close(kit->pidfd2);
  close(kit->directory);
  kill_and_reap(kit->child2);
  kit_close(&kit->kit);
}

struct LoopProbe {
  LoopCall call;
  struct LoopKit* kit;
  int condition;
};

enum { kChanged = kDied + 1000 };

static inline int call_and_compare(LoopCall call, sd_event* e, struct LoopKit* kit) {
  sd_event_source* const untouched = (sd_event_source*)&kit->pidfd;
  sd_event_source* s = untouched;
  int fds = count_fds(), state = sd_event_get_state(kit->kit.loop);
  int result = call(e, &s, kit);
  if (result >= 0) return result;
  bool same = s == untouched && count_fds() == fds && sd_event_get_state(kit->kit.loop) == state;
  return same ? result : kChanged;
}

static inline int probe_loop_call(void* context) {
  struct LoopProbe* probe = context;
  struct LoopKit* kit = probe->kit;
  bool open_here = probe->condition < kForkedLoop;
  if (open_here) loop_kit_open(kit);
  if (probe->condition == kFinishedLoop) finish_loop(kit->kit.loop);
  sd_event* e = probe->condition == kNullLoop    ? NULL
                : probe->condition == kNoDefault ? SD_EVENT_DEFAULT
                                                 : kit->kit.loop;
  int result = call_and_compare(probe->call, e, kit);
  if (open_here) kill(kit->child, SIGKILL), kill(kit->child2, SIGKILL);
  return result;
}

static inline int run_loop_call(LoopCall call, int condition) {
  struct LoopKit kit;
  struct LoopProbe probe = {call, &kit, condition};
  if (condition < kForkedLoop) return in_child(probe_loop_call, &probe);
  loop_kit_open(&kit);
  if (condition == kFinishedForkedLoop) finish_loop(kit.kit.loop);
  int result = in_child(probe_loop_call, &probe);
  loop_kit_close(&kit);
  return result;
}

struct LoopRow {
  LoopCall call;
  const char* expected;
};

// The two usual rows: the value is looked at after the loop's condition, or before it (but after the loop itself).
#define CONDITION_FIRST(result) "EINVAL ENOPKG " result " ESTALE ECHILD ESTALE"
#define VALUE_FIRST(result) "EINVAL ENOPKG " result " " result " " result " " result

#define DEFINE_LOOP_CALL(name, expression, row)                            \
  static int name(sd_event* e, sd_event_source** s, struct LoopKit* kit) { \
    return (void)e, (void)s, (void)kit, (expression);                      \
  }
#define DEFINE_LOOP_ROW(name, expression, row) static const struct LoopRow name##_expectation = {name, row};
#define LOOP_ROW_TEST(name, expression, row)                                                                        \
  {#name "_answers_null_nodefault_plain_finished_forked_and_both", loop_row_is_as_expected, begin_clean, end_clean, \
   (void*)&name##_expectation},

static inline void loop_row_is_as_expected(void** state) {
  const struct LoopRow* row = *state;
  char got[256] = "";
  for (int condition = 0; condition < kLoopConditions; condition++) {
    int result = run_loop_call(row->call, condition);
    if (result == kChanged)
      strcat(got, " changed");
    else
      append_result(got, sizeof(got), result);
  }
  assert_string_equal(got, row->expected);
}

#endif
