// SPDX-License-Identifier: MIT
//
// Brings the loop of a kit into each of its seven states, and acts there.
//
// PREPARING is a prepare callback of the post source, RUNNING the callback of the defer source, EXITING that of the
// exit source. ARMED is reached with the defer source off, PENDING with it on. FINISHED has dispatched the exit source.
// Invariants: `act` runs once, in the state that was asked for; what it does may change anything, also how the
// iteration goes on.
#ifndef EVENKEEL_CONFORMANCE_ERRORS_STATES_H
#define EVENKEEL_CONFORMANCE_ERRORS_STATES_H

#include "errors_kinds.h"

enum { kStates = 7 };
// In the order of a loop's life, not of the constants.
static const int kLifeOfALoop[kStates] = {SD_EVENT_INITIAL, SD_EVENT_PREPARING, SD_EVENT_ARMED,   SD_EVENT_PENDING,
                                          SD_EVENT_RUNNING, SD_EVENT_EXITING,   SD_EVENT_FINISHED};
static const char* const kStateNames[kStates] = {"INITIAL", "ARMED",    "PENDING",  "RUNNING",
                                                 "EXITING", "FINISHED", "PREPARING"};

static struct {
  sd_event* loop;
  int state;
  void (*act)(void* context);
  void* context;
  bool acted;
} stage;

static inline void act_if_there(void) {
  if (stage.acted || sd_event_get_state(stage.loop) != stage.state) return;
  stage.acted = true;
  stage.act(stage.context);
}

static inline int on_prepare(sd_event_source* s, void* userdata) { return (void)s, (void)userdata, act_if_there(), 0; }

static inline void act_in_state(struct Kit* kit, int state, void (*act)(void* context), void* context) {
  sd_event* e = kit->loop;
  stage.loop = e;
  stage.state = state;
  stage.act = act;
  stage.context = context;
  stage.acted = false;
  kit_hook = act_if_there;
  switch (state) {
    case SD_EVENT_PREPARING:
      assert_int_equal(sd_event_source_set_prepare(kit->source[kPost], on_prepare), 0);
      (void)sd_event_prepare(e);
      break;
    case SD_EVENT_ARMED:
      assert_int_equal(sd_event_source_set_enabled(kit->source[kDefer], SD_EVENT_OFF), 0);
      assert_int_equal(sd_event_prepare(e), 0);
      break;
    case SD_EVENT_PENDING:
      assert_int_equal(sd_event_prepare(e), 1);
      break;
    case SD_EVENT_RUNNING:
      (void)sd_event_run(e, 0);
      break;
    case SD_EVENT_EXITING:
      assert_int_equal(sd_event_exit(e, 3), 0);
      (void)sd_event_run(e, 0);
      break;
    case SD_EVENT_FINISHED:
      finish_loop(e);
      break;
  }
  act_if_there();
  kit_hook = NULL;
  assert_true(stage.acted);
}

static inline void act_nothing(void* context) { (void)context; }

// Every state once in this process, before what may crash is done in forked ones. memcheck judges no forked process;
// and in each it would translate all code anew that has not been run before.
static inline void rehearse(void) {
  static bool rehearsed;
  if (rehearsed) return;
  rehearsed = true;
  for (int state = 0; state < kStates; state++) {
    struct Kit kit;
    kit_open(&kit);
    act_in_state(&kit, state, act_nothing, NULL);
    kit_close(&kit);
  }
}

#endif
