// SPDX-License-Identifier: MIT
//
// A naive model of a loop: what must be so after each operation and at each callback, whatever the library.
//
// Idea: the model is an array of slots, searched from the front, and looks at the world itself: it asks poll(2) whether
// a descriptor is readable, sigpending(2) for signals, waitid(2) for processes. What the library says otherwise is a
// line `WRONG: ...` of the trace, which is a difference even where both libraries say the same, and the end of an input
// of the libFuzzer target.
//
// What must be so:
//  1. A source is as enabled, and has the priority, that was set last; ONESHOT turns OFF before the callback, a failed
//     callback after it.
//  2. Only a source that is ON or ONESHOT is called, exit sources after an exit request and others before one.
//  3. When a source is called, none of better priority is enabled and ready: not by its flag, not in the world, of exit
//     sources not at all. (In the world only if nothing was done since the loop began to look.)
//  4. What is OFF is not pending (but of a defer source that means nothing). A defer source is pending as long as it is
//     ON, a post source from each dispatch of another kind to its own.
//  5. An iteration is counted for each `prepare` before an exit request, and for each exit source.
//  6. An IO source is called for something, and for nothing that it did not ask for but errors and hang-ups.
//  7. A loop is finished when every exit source has been called.
//  8. A source with a rate limit over a long interval is not called more often than its burst.
//
// Of the slots it reads what the program did; nothing here changes them but the model's own fields.
#ifndef EVENKEEL_FUZZ_MODEL_H
#define EVENKEEL_FUZZ_MODEL_H

#include "shown.h"

static struct Model {
  uint64_t iteration;
  bool fresh;  // Nothing was done since the loop began to look.
} model;

__attribute__((format(printf, 1, 2))) static void wrong(const char* format, ...) {
  char text[128];
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  trace("WRONG: %s\n", text);
  if (!kAlone) return;
  (void)fprintf(stderr, "%s\n", trace_text);
  abort();
}

static bool finished(void) { return sd_event_get_state(loop) == SD_EVENT_FINISHED; }

static bool model_exiting(void) {
  int code;
  return sd_event_get_exit_code(loop, &code) >= 0;
}

// The loop begins to look, if it is in that state; at another time there is an error.
static void model_looks(int state, bool counts) {
  if (ended || sd_event_get_state(loop) != state) return;
  model.fresh = true;
  if (counts && !model_exiting()) model.iteration++;
}

// Whether the world has something for the source, beyond doubt.
static bool ready_in_the_world(const struct Slot* s) {
  if (s->kind == kIo) {
    uint32_t events = 0;
    (void)sd_event_source_get_io_events(s->source, &events);
    if ((events & EPOLLET) || (s->from_off && kept_clear(kAvoidOneshotFromOff))) return false;
    struct pollfd p = {sd_event_source_get_io_fd(s->source), (short)events, 0};
    return poll(&p, 1, 0) > 0;
  }
  if (s->kind == kSignal) {
    sigset_t set;
    sigpending(&set);
    return sigismember(&set, kSignalNumbers[s->which]) == 1;
  }
  if (s->kind == kTime) {
    uint64_t time = 0;
    return sd_event_source_get_time(s->source, &time) >= 0 && time < 1000;
  }
  if (s->kind == kChild && s->which >= 0) {
    siginfo_t info = {.si_pid = 0};
    const pid_t pid = children[s->which].pid;
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
  }
  return s->kind == kExit || s->kind == kDefer;
}

static void check_better_ones(int slot) {
  const bool exits = slots[slot].kind == kExit;
  for (int i = 0; i < kSlots; i++) {
    const struct Slot* s = &slots[i];
    if (i == slot || !usable(i) || s->silent || (s->kind == kExit) != exits || !s->enabled) continue;
    // What was limited when the loop began to look is back after it.
    const bool limited = s->limited || sd_event_source_is_ratelimited(s->source) > 0;
    if (s->priority >= slots[slot].priority || limited) continue;
    // Post sources are pending by this very dispatch.
    const bool pending = s->kind == kPost ? s->woken : !exits && sd_event_source_get_pending(s->source) > 0;
    if (pending) wrong("%d is pending, and better than %d", i, slot);
    if ((exits || model.fresh) && ready_in_the_world(s)) wrong("%d is ready, and better than %d", i, slot);
  }
}

static void wake_posts(void) {
  for (int i = 0; i < kSlots; i++)
    if (slots[i].kind == kPost && slots[i].enabled) slots[i].woken = true;
}

static void model_calls(enum Context context, int slot) {
  struct Slot* s = &slots[slot];
  if (s->kind == kNone) wrong("an empty slot is called: %d", slot);
  if (!s->enabled && context != kExpired) wrong("%d is called, and OFF", slot);
  if (ended || context != kDispatched) return;
  const bool exits = s->kind == kExit;
  const int state = sd_event_get_state(loop);
  if (state != (exits ? SD_EVENT_EXITING : SD_EVENT_RUNNING)) wrong("%d is called in state %d", slot, state);
  if (model_exiting() != exits) wrong("%d is called at the wrong time", slot);
  if (s->enabled == SD_EVENT_ONESHOT) s->enabled = SD_EVENT_OFF;
  if (exits) model.iteration++;
  if (s->far_burst && ++s->n_limited > s->far_burst) wrong("%d is called more often than its limit is", slot);
  check_better_ones(slot);
  if (s->kind == kPost) s->woken = false;
  if (s->kind != kPost) wake_posts();
}

static void model_revents(int slot, uint32_t revents) {
  uint32_t events = 0;
  (void)sd_event_source_get_io_events(slots[slot].source, &events);
  if (revents == 0 || (revents & ~(events | EPOLLERR | EPOLLHUP))) wrong("%d is called for %x", slot, revents);
}

// A post source that the callback turned on follows this dispatch, too.
static void model_called(enum Context context, enum SlotKind kind) {
  if (context == kDispatched && kind != kPost) wake_posts();
}

static void check_slot(int i) {
  struct Slot* s = &slots[i];
  int enabled = 9;
  int64_t priority = 0;
  const int pending = sd_event_source_get_pending(s->source);
  if (!s->enabled) s->woken = false;
  sd_event_source_get_enabled(s->source, &enabled);
  sd_event_source_get_priority(s->source, &priority);
  if (enabled != s->enabled) wrong("%d is %d, not %d", i, enabled, s->enabled);
  if (priority != s->priority) wrong("%d has priority %lld, not %lld", i, (long long)priority, (long long)s->priority);
  if (s->kind == kExit && s->enabled && finished()) wrong("%d is an exit source, and was not called", i);
  if (s->kind == kExit || model_exiting()) return;
  if (pending > 0 && !s->enabled && s->kind != kDefer) wrong("%d is OFF and pending", i);
  if (s->kind == kDefer && s->enabled && pending == 0 && sd_event_source_is_ratelimited(s->source) == 0)
    wrong("%d is a defer source, ON and not pending", i);
  if (s->kind == kPost && (pending > 0) != s->woken) wrong("%d is a post source: %d, not %d", i, pending, s->woken);
}

// After an operation.
static void model_check(void) {
  if (ended || context_now == kExpired) return;
  for (int i = 0; i < kSlots; i++)
    if (slots[i].source && !slots[i].silent) check_slot(i);
  uint64_t iteration = 0;
  sd_event_get_iteration(loop, &iteration);
  if (iteration != model.iteration) wrong("iteration %d, not %d", (int)iteration, (int)model.iteration);
}

#endif
