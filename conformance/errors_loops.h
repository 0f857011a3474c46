// SPDX-License-Identifier: MIT
//
// Tables of calls on loops: each call is made with a null loop, with SD_EVENT_DEFAULT where no default loop exists,
// with a loop in each of its states, and in a process that was forked in each of these. The results, in words, are
// compared at once with the reference's; so each row says which error wins.
//
// A row is "null default | seven states | the same, forked", the states in the order of a loop's life: INITIAL
// PREPARING ARMED PENDING RUNNING EXITING FINISHED. In most rows all states but FINISHED give the same, which the
// macros write. Invariant checked at each call that fails: the out-pointer holds what it held, and the process has as
// many fds, and the loop the state, as before. A call that breaks it gives "changed" in its place of the row. A LoopKit
// is a Kit (one source of each kind on pipe_fds[0], SIGUSR1, `child`, "/tmp") and more to make sources of: a second
// child and its pidfd, a pidfd of the first.
#ifndef EVENKEEL_CONFORMANCE_ERRORS_LOOPS_H
#define EVENKEEL_CONFORMANCE_ERRORS_LOOPS_H

#include <sys/mman.h>

#include "errors_states.h"

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
  kit->directory = kit->kit.directory;
  kit->child = kit->kit.child;
  kit->child2 = spawn_sleeper();
  kit->pidfd = open_pidfd(kit->child);
  kit->pidfd2 = open_pidfd(kit->child2);
}

static inline void loop_kit_close(struct LoopKit* kit) {
  close(kit->pidfd);
  close(kit->pidfd2);
  kill_and_reap(kit->child2);
  kit_close(&kit->kit);
}

struct LoopResults {
  int null_loop, no_default, own[kStates], forked[kStates];
};

struct LoopProbe {
  LoopCall call;
  int state;
  struct LoopKit kit;
  struct LoopResults* results;  // shared with the parent
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

static inline int call_on_null(void* context) {
  struct LoopProbe* probe = context;
  return call_and_compare(probe->call, NULL, &probe->kit);
}
static inline int call_on_no_default(void* context) {
  struct LoopProbe* probe = context;
  return call_and_compare(probe->call, SD_EVENT_DEFAULT, &probe->kit);
}
static inline int call_on_loop(void* context) {
  struct LoopProbe* probe = context;
  return call_and_compare(probe->call, probe->kit.kit.loop, &probe->kit);
}

// The calls that may not work come first, and each in a process of its own: what they do here is not seen by the next.
static inline void call_everywhere(void* context) {
  struct LoopProbe* probe = context;
  struct LoopResults* results = probe->results;
  if (probe->state == SD_EVENT_INITIAL) {
    results->null_loop = in_child(call_on_null, probe);
    results->no_default = in_child(call_on_no_default, probe);
  }
  results->forked[probe->state] = in_child(call_on_loop, probe);
  drop_pending_signals();
  results->own[probe->state] = call_on_loop(probe);
}

static inline int probe_loop_call(void* context) {
  struct LoopProbe* probe = context;
  loop_kit_open(&probe->kit);
  act_in_state(&probe->kit.kit, probe->state, call_everywhere, probe);
  loop_kit_close(&probe->kit);
  return 0;
}

static inline struct LoopResults run_loop_call(LoopCall call) {
  struct LoopResults* shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_ptr_not_equal(shared, MAP_FAILED);
  rehearse();
  for (int state = 0; state < kStates; state++) {
    struct LoopProbe probe = {.call = call, .state = state, .results = shared};
    int end = in_child(probe_loop_call, &probe);
    if (end != 0) shared->own[state] = end;
  }
  struct LoopResults results = *shared;
  munmap(shared, sizeof(*shared));
  return results;
}

struct LoopRow {
  LoopCall call;
  const char* expected;
};

#define LIVE_THEN(live, finished) live " " live " " live " " live " " live " " live " " finished
#define EVERYWHERE(result) LIVE_THEN(result, result)
#define LOOP_ROW(states, forked) "EINVAL ENOPKG | " states " | " forked

// The three usual rows: the value is looked at after the condition of the loop, or before it (but after the loop
// itself); and what works on a finished loop as well.
#define CONDITION_FIRST(result) LOOP_ROW(LIVE_THEN(result, "ESTALE"), LIVE_THEN("ECHILD", "ESTALE"))
#define VALUE_FIRST(result) LOOP_ROW(EVERYWHERE(result), EVERYWHERE(result))
#define ALWAYS(result) result " " result " | " EVERYWHERE(result) " | " EVERYWHERE(result)
#define NOT_FORKED(states) LOOP_ROW(states, EVERYWHERE("ECHILD"))

#define DEFINE_LOOP_CALL(name, expression, row)                            \
  static int name(sd_event* e, sd_event_source** s, struct LoopKit* kit) { \
    return (void)e, (void)s, (void)kit, (expression);                      \
  }
#define DEFINE_LOOP_ROW(name, expression, row) static const struct LoopRow name##_expectation = {name, row};
#define LOOP_ROW_TEST(name, expression, row)                                                                        \
  {#name "_answers_null_nodefault_and_each_state_here_and_forked", loop_row_is_as_expected, begin_clean, end_clean, \
   (void*)&name##_expectation},

static inline void append_states(char* row, size_t size, const int* results) {
  strcat(row, " |");
  for (int i = 0; i < kStates; i++) {
    int result = results[kLifeOfALoop[i]];
    if (result == kChanged)
      strcat(row, " changed");
    else
      append_result(row, size, result);
  }
}

static inline void loop_call_answers(LoopCall call, const char* expected) {
  struct LoopResults results = run_loop_call(call);
  char got[512] = "";
  append_result(got, sizeof(got), results.null_loop);
  append_result(got, sizeof(got), results.no_default);
  append_states(got, sizeof(got), results.own);
  append_states(got, sizeof(got), results.forked);
  assert_string_equal(got, expected);
}

static inline void loop_row_is_as_expected(void** state) {
  const struct LoopRow* row = *state;
  loop_call_answers(row->call, row->expected);
}

#endif
