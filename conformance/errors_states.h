// SPDX-License-Identifier: MIT
//
// Brings a loop into each of its seven states and makes a call there.
//
// The kit's sources (one of each kind, see errors_kinds.h) are all in the loop. PREPARING is a prepare callback of the
// post source, RUNNING the defer source's callback, EXITING the exit source's, so a source for a state exists besides
// those that are tried. ARMED is reached with the defer source off, PENDING with it on.
// Invariant checked at each call: a call that fails leaves the state as it is, else the result reads "changed".
// Each call runs in a forked process which made the loop itself.
#ifndef EVENKEEL_CONFORMANCE_ERRORS_STATES_H
#define EVENKEEL_CONFORMANCE_ERRORS_STATES_H

#include "errors_kinds.h"

enum { kStates = 7 };
// In the order of a loop's life, not of the constants.
static const int kLifeOfALoop[kStates] = {SD_EVENT_INITIAL, SD_EVENT_PREPARING, SD_EVENT_ARMED,   SD_EVENT_PENDING,
                                          SD_EVENT_RUNNING, SD_EVENT_EXITING,   SD_EVENT_FINISHED};

typedef int (*StateCall)(sd_event* e, struct Kit* kit);

struct StateProbe {
  StateCall call;
  int state;
  struct Kit kit;
  bool called;
  int result;
};

static inline int call_in_state(struct StateProbe* probe) {
  int before = sd_event_get_state(probe->kit.loop);
  probe->called = true;
  probe->result = before == probe->state ? probe->call(probe->kit.loop, &probe->kit) : kNoAnswer;
  if (probe->result < 0 && sd_event_get_state(probe->kit.loop) != before) probe->result = kDied + 1000;
  return 0;
}

static inline int call_once_in_callback(sd_event_source* s, void* userdata) {
  struct StateProbe* probe = userdata;
  (void)s;
  return probe->called ? 0 : call_in_state(probe);
}

static inline sd_event_source* replace_source(struct StateProbe* probe, enum Kind kind) {
  sd_event_source_disable_unref(probe->kit.source[kind]);
  sd_event_source* s = NULL;
  int r = kind == kExit   ? sd_event_add_exit(probe->kit.loop, &s, call_once_in_callback, probe)
          : kind == kPost ? sd_event_add_post(probe->kit.loop, &s, on_event, probe)
                          : sd_event_add_defer(probe->kit.loop, &s, call_once_in_callback, probe);
  assert_int_equal(r, 0);
  return probe->kit.source[kind] = s;
}

static inline int probe_state(void* context) {
  struct StateProbe* probe = context;
  kit_open(&probe->kit);
  sd_event* e = probe->kit.loop;
  switch (probe->state) {
    case SD_EVENT_PREPARING:
      assert_int_equal(sd_event_source_set_prepare(replace_source(probe, kPost), call_once_in_callback), 0);
      assert_int_equal(sd_event_prepare(e), 1);
      break;
    case SD_EVENT_ARMED:
      assert_int_equal(sd_event_source_set_enabled(probe->kit.source[kDefer], SD_EVENT_OFF), 0);
      assert_int_equal(sd_event_prepare(e), 0);
      break;
    case SD_EVENT_PENDING:
      assert_int_equal(sd_event_prepare(e), 1);
      break;
    case SD_EVENT_RUNNING:
      replace_source(probe, kDefer);
      assert_int_equal(sd_event_run(e, 0), 1);
      break;
    case SD_EVENT_EXITING:
      replace_source(probe, kExit);
      assert_int_equal(sd_event_exit(e, 3), 0);
      assert_int_equal(sd_event_run(e, 0), 1);
      break;
    case SD_EVENT_FINISHED:
      finish_loop(e);
      break;
  }
  if (!probe->called) call_in_state(probe);
  kill(probe->kit.child, SIGKILL);
  return probe->result;
}

struct StateRow {
  StateCall call;
  const char* expected;
};

#define DEFINE_STATE_CALL(name, expression, row) \
  static int name(sd_event* e, struct Kit* kit) { return (void)e, (void)kit, (expression); }
#define DEFINE_STATE_ROW(name, expression, row) static const struct StateRow name##_expectation = {name, row};
#define STATE_ROW_TEST(name, expression, row) \
  {#name "_answers_each_state", state_row_is_as_expected, begin_clean, end_clean, (void*)&name##_expectation},

static inline void state_row_is_as_expected(void** state) {
  const struct StateRow* row = *state;
  char got[256] = "";
  for (int i = 0; i < kStates; i++) {
    struct StateProbe probe = {.call = row->call, .state = kLifeOfALoop[i]};
    append_result(got, sizeof(got), in_child(probe_state, &probe));
  }
  assert_string_equal(got, row->expected);
}

#endif
