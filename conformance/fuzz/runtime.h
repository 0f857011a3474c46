// SPDX-License-Identifier: MIT
//
// What a program of the fuzzer runs on: operations on the loop, begin and end. A printed program includes this file
// alone.
//
// Idea: the operations are functions with small numbers as arguments, so that the interpreter and a printed C program
// call the very same code. A program is `begin`, its operations, `end`; those that stand in callbacks are called by
// `run_inside`, which the interpreter or the printed program defines.
//
// Strict programs: after each `prepare` that finds something, and in each `wait`, the loop has looked at everything
// (the question whether a source is pending makes it do so); so both libraries know the same, and all can be compared.
// Ties: what is called is told in lines that begin with `~`, one a callback, between the lines of `run_some` and
// `run_all`.
#ifndef EVENKEEL_FUZZ_RUNTIME_H
#define EVENKEEL_FUZZ_RUNTIME_H

#include "others.h"

static sd_event_source* asker;  // Never on; good for asking.
static int fds_before;
static int n_fds_left;
static bool ran_to_end;

static int on_asker(sd_event_source* s, void* unused) {
  (void)s;
  (void)unused;
  abort();
}

// ---- operations on the loop ----------------------------------------------------------------------------------------

static void look(void) {
  if (!ended && asker) (void)sd_event_source_get_pending(asker);
}

static void trace_state(void) {
  if (!ended) trace("  state %d\n", sd_event_get_state(loop));
}

static bool exits(void) {
  int code;
  return !ended && sd_event_get_exit_code(loop, &code) >= 0;
}

static bool any_limited(void) {
  for (int i = 0; i < kSlots; i++)
    if (limited(i) && (slots[i].limit_near || slots[i].kind == kInotify)) return true;
  return false;
}

static bool any_unwanted(void) {
  for (int i = 0; i < kSlots; i++)
    if (is(i, kInotify) && !slots[i].enabled && slots[i].untold > 0) return true;
  return false;
}

// An iteration in which a rate limit was over, with a callback: goes on to where the source is pending, at any rate.
static bool settle_expired(int before) {
  if (n_expired == before || ended || !avoided(kAvoidLimitedExpire)) return false;
  // With ours the callback for the end of a limit has an iteration of its own: `run` says 1 then, and 0 with 252.
  if (on_ours() && !exits() && sd_event_get_state(loop) == SD_EVENT_PENDING) (void)back(sd_event_dispatch(loop));
  model_looks(SD_EVENT_INITIAL, true);
  if (sd_event_get_state(loop) == SD_EVENT_INITIAL && back(sd_event_prepare(loop)) == 0)
    (void)back(sd_event_wait(loop, 0));
  look();
  trace_state();
  return true;
}

static void prepare(void) {
  if (ended) return;
  trace("prepare\n");
  const bool exited = exits();
  // Told before: what the loop calls in here is called in `wait` by the other.
  const bool limited = (any_limited() || any_unwanted()) && avoided(kAvoidBufferedPrepare);
  const int before = n_expired;
  model_looks(SD_EVENT_INITIAL, true);
  const int r = back(sd_event_prepare(loop));
  if (ended) return;
  // Where only the result of this call may differ, the state at the end of `wait` tells enough.
  const bool other = limited || (!exited && exits() && avoided(kAvoidExitInPrepare));
  if (other && r >= 0) {
    if (r == 0) (void)back(sd_event_wait(loop, 0));
    if (settle_expired(before)) return;
    if (r > 0) look();
    trace_state();
    return;
  }
  if (r > 0 && !inside) look();
  trace("  prepared: %s\n", error_name(r));
  trace_state();
}

static void wait_0(void) {
  if (ended) return;
  trace("wait\n");
  const int before = n_expired;
  model_looks(SD_EVENT_ARMED, false);
  const int r = back(sd_event_wait(loop, 0));
  if (settle_expired(before)) return;
  trace("  waited: %s\n", error_name(r));
  trace_state();
}

static void dispatch(void) {
  if (ended) return;
  trace("dispatch\n");
  const int r = back(sd_event_dispatch(loop));
  trace("  dispatched: %s\n", error_name(r));
  trace_state();
}

// From wherever the last operation left off to the end of the iteration.
static void step(void) {
  if (ended) return;
  if (sd_event_get_state(loop) == SD_EVENT_INITIAL) prepare();
  if (!ended && sd_event_get_state(loop) == SD_EVENT_ARMED) wait_0();
  if (!ended && sd_event_get_state(loop) == SD_EVENT_PENDING) dispatch();
}

// As a program does that knows nothing of `prepare`. Who has timers has to call that, or they are not armed.
static void poll_naively(void) {
  if (ended || sd_event_get_state(loop) != SD_EVENT_INITIAL) return;
  if (uses_time) return;
  for (int i = 0; i < kSlots; i++)
    if (limited(i)) return;
  for (int i = 0; i < kSlots; i++) {
    const bool once = (is(i, kIo) || is(i, kChild)) && slots[i].enabled == SD_EVENT_ONESHOT;
    if ((once || (is(i, kInotify) && slots[i].untold > 0)) && avoided(kAvoidPendingPolled)) return;
  }
  trace("poll_naively: %d\n", readable(sd_event_get_fd(loop)));
}

static void poll_fd(void) {
  if (ended || sd_event_get_state(loop) != SD_EVENT_ARMED) return;
  trace("poll_fd: %d\n", readable(sd_event_get_fd(loop)));
}

// kAvoidLimitedExpire: a run that had a callback for the end of a limit, and no dispatch, is followed by another one.
static int run_once(void) {
  const int before = n_expired;
  model_looks(SD_EVENT_INITIAL, true);
  const int r = back(sd_event_run(loop, 0));
  if (ended || r < 0 || n_expired == before || exits()) return r;
  if (!kept_clear(kAvoidLimitedExpire) || r != on_ours()) return r;
  model_looks(SD_EVENT_INITIAL, true);
  return back(sd_event_run(loop, 0));
}

static void run(void) {
  if (ended) return;
  trace("run\n");
  const int r = run_once();
  trace("  ran: %s\n", error_name(r));
  trace_state();
}

static int run_waves(int n) {
  int count = 0;
  if (wave < kMostOperations) worst_of_wave[wave] = INT_MIN;
  while (!ended && count < n && run_once() > 0) count++;
  if (wave < kMostOperations && count < n) worst_of_wave[wave] = INT_MAX;
  wave++;
  return count;
}

static void run_some(int n) {
  partly_run = true;
  trace("run_some %d\n", n + 1);
  trace("  some: %d\n", run_waves(n + 1));
}

static void run_all(void) {
  trace("run_all\n");
  trace("  all: %d\n", run_waves(kMostCallbacks));
  partly_run = false;
  for (int i = 0; i < kChannels; i++) channels[i].fed = channels[i].fed && readable(channels[i].ends[0]);
  sigset_t pending;
  sigpending(&pending);
  for (int i = 0; i < kSignals; i++) signal_sent[i] = sigismember(&pending, kSignalNumbers[i]) == 1;
}

static void nap(void) {
  if (inside || ended) return;
  sleep_until(nap_until);
  near_from = 0;
  trace("nap\n");
}

static void exit_loop(int code) {
  if (!ended) trace("exit %d: %s\n", code, error_name(sd_event_exit(loop, code)));
}

// The loop as a whole: with an exit request, or it would sleep for ever.
static void run_to_end(void) {
  if (ended || ran_to_end) return;
  ran_to_end = true;
  exit_loop(7);
  trace("loop\n");
  const int r = back(sd_event_loop(loop));
  trace("  looped: %s\n", error_name(r));
}

static void ask_loop(void) {
  if (ended) return;
  static const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME};
  uint64_t iteration = 0;
  uint64_t now = 0;
  int code = 77;
  trace("loop: state %d", sd_event_get_state(loop));
  trace(" iteration %s", error_name(sd_event_get_iteration(loop, &iteration)));
  trace(" %d code %s", n_expired ? 0 : (int)iteration, error_name(sd_event_get_exit_code(loop, &code)));
  trace(" %d watchdog %s now", code, error_name(sd_event_get_watchdog(loop)));
  for (int i = 0; i < 3; i++) {
    const int r = sd_event_now(loop, clocks[i], &now);
    trace(" %s%s", error_name(r), now <= clock_now(clocks[i]) && now > 1000 ? "" : " WRONG");
  }
  trace("\n");
}

static void set_signal_exit(int on) {
  if (ended || (on && !signal_exit && priority_0_taken())) return;
  signal_exit = on;
  trace("signal_exit %d: %s\n", on, error_name(sd_event_set_signal_exit(loop, on)));
}

static void set_watchdog(int on) {
  if (!ended) trace("watchdog %d: %s\n", on, error_name(sd_event_set_watchdog(loop, on)));
}

static void ref_unref_loop(void) {
  if (ended) return;
  sd_event* same = sd_event_ref(loop);
  trace("ref_unref_loop: %s %s\n", same == loop ? "same" : "OTHER", sd_event_unref(same) ? "LEFT" : "none");
}

static void drop_loop(void) {
  if (ended) return;
  ended = true;
  trace("drop_loop\n");
  sd_event_source_unref(asker);
  sd_event_unref(loop);
  loop = NULL;
}

// An operation, and what it has changed. While the ends of rate limits are told the loop is in the middle of a look.
static void after_operation(void) {
  check_stalled();
  if (context_now != kExpired && !ties()) show();
  if (!inside || context_now == kExpired) model.fresh = false;
  model_check();
#ifdef FUZZ_CHECK
  if (!ended) FUZZ_CHECK(loop);
#endif
}

#define DO(operation)  \
  do {                 \
    if (forked) break; \
    operation;         \
    after_operation(); \
  } while (0)

// ---- begin and end -------------------------------------------------------------------------------------------------

static void begin(unsigned program_modes, unsigned program_release) {
  modes = program_modes;
  (void)snprintf(release, sizeof(release), "%u", program_release);
  if (!trace_text) trace_text = calloc(1, kTraceSize);
  block_signals();
  open_files();
  open_channels();
  fds_before = count_fds();
  const int r = modes & kDefaultLoop ? sd_event_default(&loop) : sd_event_new(&loop);
  trace("begin: %s\n", error_name(r));
  sd_event_add_post(loop, &asker, on_asker, NULL);
  sd_event_source_set_enabled(asker, SD_EVENT_OFF);
  sd_event_source_set_priority(asker, 5000);
}

static void end(void) {
  if (ties() && !ended) run_all();
  if (modes & kLoopFirst) drop_loop();
  ended = true;
  for (int i = 0; i < kSlots; i++) {
    sd_event_source* source = slots[i].source;
    const bool owned = slots[i].owned;
    slots[i] = (struct Slot){.kind = kNone};
    if (source && owned) sd_event_source_unref(source);
  }
  ended = loop == NULL;
  drop_loop();
  close_inner();
  n_fds_left = count_fds() - fds_before;
  if (kinds_of_children != 3 || !avoided(kAvoidStoppedFds)) trace("end: fds %+d\n", n_fds_left);
  for (int i = 0; i < kSlots; i++)
    if (n_destroyed_late[i]) trace("destroyed %d, %d times\n", i, n_destroyed_late[i]);
  trace_messages();
  trace_blocked();
  end_processes();
  close_channels();
  close(notify_socket);
}

// For a printed program.
__attribute__((unused)) static int print_and_end(void) {
  end();
  remove_files();
  rmdir(work_dir);
  fputs(trace_text, stdout);
  return 0;
}

#endif
