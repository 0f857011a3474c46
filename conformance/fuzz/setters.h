// SPDX-License-Identifier: MIT
//
// The operations on sources that are there already.
//
// Each writes its result to the trace and does nothing on an empty slot. Where two libraries are known to differ the
// operation is `avoided` (differences.h), under a condition that both see alike. Calls for another kind of source are
// made too, for their errors.
#ifndef EVENKEEL_FUZZ_SETTERS_H
#define EVENKEEL_FUZZ_SETTERS_H

#include "model.h"

static void report(const char* what, int slot, int result) { trace("%s %d: %s\n", what, slot, error_name(result)); }

// Changes of a source that comes back during the program, which would come back without being pending.
static bool comes_back(int slot) { return slots[slot].limit_near && limited(slot) && avoided(kAvoidLimitedReturn); }

// Whether it would be OFF when its rate limit ends.
static bool off_at_the_end(int slot) {
  if (!slots[slot].limit_near || !limited(slot)) return false;
  return avoided(kAvoidLimitedOff) || avoided(kAvoidLimitedOffElsewhere);
}

// Sources that must keep what was read for them, most of them in lazy programs.
static bool keeps_its_events(int slot) {
  if (is(slot, kChild) && (kinds_of_children & 2)) return avoided(kAvoidStoppedOff);
  if (is(slot, kInotify) && (lazy() || slots[slot].untold > 0)) return avoided(kAvoidLazyInotify);
  return lazy() && is(slot, kSignal) && avoided(kAvoidLazySignal);
}

// What is registered while the source is ONESHOT.
static void note_oneshot(int slot) {
  if (is(slot, kIo) && slots[slot].enabled == SD_EVENT_ONESHOT) slots[slot].from_off = true;
}

static void set_enabled(int slot, int mode) {
  static const int values[] = {SD_EVENT_OFF, SD_EVENT_ON, SD_EVENT_ONESHOT, SD_EVENT_ON};
  struct Slot* s = &slots[slot];
  if (!usable(slot) || partly_run) return;
  int value = values[mode];
  const int before = s->enabled;
  if (ties() && (s->kind == kDefer || s->kind == kTime) && value == SD_EVENT_ON) value = SD_EVENT_ONESHOT;
  if ((value == SD_EVENT_OFF || (value == SD_EVENT_ONESHOT && s->kind != kChild)) && keeps_its_events(slot)) return;
  if (value == SD_EVENT_OFF && off_at_the_end(slot)) return;
  if (s->kind == kPost && inside && before == SD_EVENT_OFF && value && avoided(kAvoidPostInCallback)) return;
  if (s->kind == kChild && (value == SD_EVENT_ON || (value && s->process_reaped)) && avoided(kAvoidChildGone)) return;
  if (s->kind == kIo && value == SD_EVENT_ON && (s->from_off || s->limit_near) && before == SD_EVENT_ONESHOT &&
      avoided(kAvoidOneshotFromOff))
    return;
  uint32_t events = 0;
  const bool swapped = value != SD_EVENT_OFF && before != SD_EVENT_OFF && value != before;
  if (swapped && sd_event_source_get_io_events(s->source, &events) >= 0) {
    if ((events & EPOLLET) && avoided(kAvoidOneshotEdge)) return;
    if (value == SD_EVENT_ONESHOT && (events & (events - 1)) && avoided(kAvoidOneshotGathers)) return;
  }
  if (value != SD_EVENT_OFF && s->kind == kIo && contested(slot, s->which)) return;
  if (value != SD_EVENT_OFF && before == SD_EVENT_OFF && too_late()) return;
  if (value != SD_EVENT_OFF && before == SD_EVENT_OFF) s->from_off = value == SD_EVENT_ONESHOT;
  if (value == SD_EVENT_ONESHOT && limited(slot)) s->from_off = true;  // It comes back as one.
  if (value != SD_EVENT_OFF && before == SD_EVENT_OFF) s->wave = wave;
  const int r = sd_event_source_set_enabled(s->source, value);
  if (r >= 0 && !finished()) s->enabled = value;  // Then OFF changes nothing, and is no error.
  report(value == 0 ? "off" : value > 0 ? "on" : "oneshot", slot, r);
}

static void set_priority(int slot, int k) {
  if (!usable(slot)) return;
  if (slots[slot].kind == kSignal && signals_unseen[slots[slot].which] > 0 && avoided(kAvoidSignalMoved)) return;
  const int64_t own = priority_of(slot);
  const int64_t priorities[] = {own, own - 1000, own + 1000, INT64_MIN + own, INT64_MAX - own};
  const int r = sd_event_source_set_priority(slots[slot].source, priorities[k]);
  if (r >= 0) slots[slot].priority = priorities[k];
  report("priority", slot, r);
}

static void set_prepare(int slot, int on) {
  if (on && uses_expire && avoided(kAvoidLimitedExpire)) return;
  uses_prepare = uses_prepare || on;
  if (usable(slot)) report("prepare of", slot, sd_event_source_set_prepare(slots[slot].source, on ? on_prepare : NULL));
}

static void set_description(int slot, int which) {
  static const char* const texts[] = {"one", "another", NULL, ""};
  if (usable(slot)) report("description", slot, sd_event_source_set_description(slots[slot].source, texts[which]));
}

static void forget(int slot) {
  slots[slot].kind = kNone;
  slots[slot].source = NULL;
}

static void set_floating(int slot, int on) {
  if (!usable(slot)) return;
  struct Slot* s = &slots[slot];
  // The loop's reference may be the only one.
  sd_event_source* source = s->source;
  const bool goes = !on && !s->owned;
  if (goes && keeps_its_events(slot)) return;
  if (goes) forget(slot);
  report(on ? "floating" : "not floating", slot, sd_event_source_set_floating(source, on));
}

static void set_destroy(int slot, int on) {
  if (!usable(slot)) return;
  report("destroy callback", slot, sd_event_source_set_destroy_callback(slots[slot].source, on ? on_destroy : NULL));
}

static void set_exit_on_failure(int slot, int on) {
  if (usable(slot)) report("exit on failure", slot, sd_event_source_set_exit_on_failure(slots[slot].source, on));
}

static void give_up(int slot, sd_event_source* (*how)(sd_event_source*), const char* what) {
  if (!usable(slot) || !slots[slot].owned || keeps_its_events(slot)) return;
  sd_event_source* source = slots[slot].source;
  const bool floating = sd_event_source_get_floating(source) > 0;
  if (floating) slots[slot].owned = false;
  if (floating && how == sd_event_source_disable_unref && !finished()) slots[slot].enabled = SD_EVENT_OFF;
  if (!floating) forget(slot);
  how(source);
  trace("%s %d\n", what, slot);
}

static void unref(int slot) { give_up(slot, sd_event_source_unref, "unref"); }

static void disable_unref(int slot) {
  if (usable(slot) && off_at_the_end(slot)) return;
  give_up(slot, sd_event_source_disable_unref, "disable_unref");
}

static void ref_unref(int slot) {
  if (!usable(slot)) return;
  sd_event_source* same = sd_event_source_ref(slots[slot].source);
  trace("ref_unref %d: %s %s\n", slot, same == slots[slot].source ? "same" : "OTHER",
        sd_event_source_unref(same) ? "LEFT" : "none");
}

static void getters(int slot) {
  if (!usable(slot)) return;
  struct Slot* s = &slots[slot];
  sd_event_source* source = s->source;
  uint32_t word = 0;
  uint64_t usec = 0;
  clockid_t clock = 0;
  pid_t pid = 0;
  const char* text = "";
  unsigned burst = 0;
  const int fd = sd_event_source_get_io_fd(source);
  trace("getters %d: fd %s", slot, fd < 0 ? error_name(fd) : fd == channel_fd(s->which) ? "of the channel" : "other");
  trace(" events %s", error_name(sd_event_source_get_io_events(source, &word)));
  trace(" %x", word);
  trace(" time %s", error_name(sd_event_source_get_time(source, &usec)));
  trace(" %s accuracy %s", time_name(s, usec), error_name(sd_event_source_get_time_accuracy(source, &usec)));
  trace(" %s clock %s", time_name(s, usec), error_name(sd_event_source_get_time_clock(source, &clock)));
  trace(" %d signal %s", clock, error_name(sd_event_source_get_signal(source)));
  trace(" pid %s", error_name(sd_event_source_get_child_pid(source, &pid)));
  trace(" %s", pid == 0 ? "none" : s->which >= 0 && pid == children[s->which].pid ? "own" : "OTHER");
  const int pidfd = sd_event_source_get_child_pidfd(source);
  trace(" pidfd %s", pidfd < 0 ? error_name(pidfd) : "one");
  word = 0;
  trace(" inotify %s", error_name(sd_event_source_get_inotify_mask(source, &word)));
  trace(" %x description %s", word, error_name(sd_event_source_get_description(source, &text)));
  trace(" %s limit %s", text[0] == '/' ? "path" : text,
        error_name(sd_event_source_get_ratelimit(source, &usec, &burst)));
  trace(" %u owns %s", burst, error_name(sd_event_source_get_io_fd_own(source)));
  trace(" %s", error_name(sd_event_source_get_child_pidfd_own(source)));
  trace(" %s", error_name(sd_event_source_get_child_process_own(source)));
  trace(" destroy %s", error_name(sd_event_source_get_destroy_callback(source, NULL)));
  trace(" slot %s", sd_event_source_get_userdata(source) == userdata(slot) ? "own" : "OTHER");
  trace(" loop %s\n", sd_event_source_get_event(source) == loop ? "own" : "OTHER");
}

// ---- IO ------------------------------------------------------------------------------------------------------------

static void set_io_events(int slot, int events) {
  if (comes_back(slot) || too_late()) return;
  note_oneshot(slot);
  if (lazy() && (events == 5 || events == 3)) events = 0;  // kAvoidLazyRevents, kAvoidLazyEdge
  if (usable(slot) && slots[slot].limit_near && events == 3 && avoided(kAvoidLimitedEdge)) return;
  if (usable(slot)) report("io events", slot, sd_event_source_set_io_events(slots[slot].source, kEventMasks[events]));
}

// What the library closes is a duplicate; a channel's own descriptors stay.
static void move_io(int slot, int end, bool owned) {
  if (comes_back(slot) || too_late()) return;
  if (!is(slot, kIo)) {
    if (usable(slot)) report("io fd", slot, sd_event_source_set_io_fd(slots[slot].source, channel_fd(end)));
    return;
  }
  if (!owned && contested(slot, end)) return;
  uint32_t revents = 0;  // Which tells also in a loop that is finished.
  if (sd_event_source_get_io_revents(slots[slot].source, &revents) >= 0 && avoided(kAvoidMovedFd)) return;
  note_oneshot(slot);
  struct Slot* s = &slots[slot];
  const int old = sd_event_source_get_io_fd(s->source);
  const bool was_owned = s->fd_owned;
  const int fd = owned ? fcntl(channel_fd(end), F_DUPFD_CLOEXEC, 3) : channel_fd(end);
  if (was_owned && !owned) sd_event_source_set_io_fd_own(s->source, 0);
  const int r = sd_event_source_set_io_fd(s->source, fd);
  report(owned ? "io fd owned" : "io fd", slot, r);
  if (r >= 0) {
    s->which = end;
    s->fd_owned = owned;
    if (owned) sd_event_source_set_io_fd_own(s->source, 1);
    if (was_owned && !owned) close(old);
  } else {
    if (owned) close(fd);
    if (was_owned) sd_event_source_set_io_fd_own(s->source, 1);
  }
}

static void set_io_fd(int slot, int end) { move_io(slot, end, false); }
static void set_io_fd_owned(int slot, int end) { move_io(slot, end, is(slot, kIo)); }

// ---- time ----------------------------------------------------------------------------------------------------------

static void set_time(int slot, int time) {
  if (!usable(slot) || partly_run || comes_back(slot) || too_late()) return;
  uint64_t accuracy = 0;
  if (sd_event_source_get_time_accuracy(slots[slot].source, &accuracy) >= 0 &&
      at_the_end_of_time(kTimeValues[time], accuracy))
    return;
  slots[slot].wave = wave;
  report("set time", slot, sd_event_source_set_time(slots[slot].source, kTimeValues[time]));
}

static void set_time_relative(int slot, int span) {
  static const uint64_t spans[] = {0, UINT64_MAX, 3600000000u, UINT64_MAX - 1, UINT64_MAX - 2, INT64_MAX};
  if (usable(slot) && !comes_back(slot) && !too_late())
    report("set relative", slot, sd_event_source_set_time_relative(slots[slot].source, spans[span]));
}

static void set_time_accuracy(int slot, int which) {
  static const uint64_t values[] = {1, 0, 1000, UINT64_MAX, UINT64_MAX - 1, INT64_MAX, (uint64_t)INT64_MAX + 1};
  uint64_t usec = 0;
  if (!usable(slot) || comes_back(slot)) return;
  if (sd_event_source_get_time(slots[slot].source, &usec) >= 0 &&
      at_the_end_of_time(usec, values[which] ? values[which] : 250000))
    return;
  report("accuracy", slot, sd_event_source_set_time_accuracy(slots[slot].source, values[which]));
}

// Far enough away to be in the future for what follows at once; `nap` sleeps until it is past.
static void set_time_near(int slot) {
  if (!is(slot, kTime) || comes_back(slot)) return;
  clockid_t clock = CLOCK_MONOTONIC;
  sd_event_source_get_time_clock(slots[slot].source, &clock);
  slots[slot].near = clock_now(clock) + near_usec();
  comes_near();
  report("set near", slot, sd_event_source_set_time(slots[slot].source, slots[slot].near));
}

// ---- processes -----------------------------------------------------------------------------------------------------

static void set_process_own(int slot, int on) {
  if (usable(slot)) report("own process", slot, sd_event_source_set_child_process_own(slots[slot].source, on));
}

static void send_child_signal(int slot, int which) {
  static const int numbers[] = {SIGURG, 0, 65};
  if (lazy() && is(slot, kChild) && children[slots[slot].which].ended && avoided(kAvoidLazyChild)) return;
  if (usable(slot))
    report("child signal", slot, sd_event_source_send_child_signal(slots[slot].source, numbers[which], NULL, 0));
}

// Whether a source is OFF that should hear of what happens to its process, or nobody is on who hears of stops.
static bool deaf(int slot) {
  if (!(kinds_of_children & 2)) return false;
  bool anyone = false;
  for (int i = 0; i < kSlots; i++)
    if (is(i, kChild) && slots[i].stops) anyone = anyone || slots[i].enabled;
  return (!anyone || !slots[slot].enabled) && avoided(kAvoidStoppedOff);
}

static void end_child(int slot) {
  if (!is(slot, kChild) || partly_run || deaf(slot) || too_late()) return;
  if (lazy() && children[slots[slot].which].untold && avoided(kAvoidLazyMerge)) return;
  if (!children[slots[slot].which].ended) slots[slot].wave = wave;
  end_process(slots[slot].which);
  trace("end_child %d\n", slot);
}

// Only what changes its state has something to wait for.
static void stop_or_continue(int slot, bool stop) {
  if (!is(slot, kChild) || deaf(slot) || too_late()) return;
  struct Child* child = &children[slots[slot].which];
  siginfo_t info;
  if (child->ended || child->stopped == stop) return;
  if (child->untold && avoided(kAvoidLazyMerge)) return;
  child->untold = true;
  if (waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0) return;  // Reaped with its source.
  child->stopped = stop;
  kill(child->pid, stop ? SIGSTOP : SIGCONT);
  await(child->pid, stop ? WSTOPPED : WCONTINUED);
  trace("%s %d\n", stop ? "stop_child" : "continue_child", slot);
}

static void stop_child(int slot) { stop_or_continue(slot, true); }
static void continue_child(int slot) { stop_or_continue(slot, false); }

// ---- rate limits ---------------------------------------------------------------------------------------------------

static void limit(int slot, uint64_t interval, unsigned burst) {
  if (!usable(slot) || keeps_its_events(slot)) return;
  const bool comes_to_an_end = interval == near_usec();
  uint32_t events = 0;
  sd_event_source_get_io_events(slots[slot].source, &events);
  if (comes_to_an_end && (events & EPOLLET) && avoided(kAvoidLimitedEdge)) return;
  const bool lost = slots[slot].expires || limited(slot) || comes_to_an_end;
  if (slots[slot].kind == kSignal && lost && avoided(kAvoidSignalExpire)) return;
  note_oneshot(slot);
  slots[slot].limit_near = comes_to_an_end;
  uses_time = uses_time || comes_to_an_end;
  const int r = sd_event_source_set_ratelimit(slots[slot].source, interval, burst);
  if (r >= 0) slots[slot].far_burst = interval > near_usec() ? burst : 0;
  if (r >= 0) slots[slot].n_limited = 0;
  report("limit", slot, r);
}

static void set_ratelimit(int slot, int which) {
  static const struct {
    uint64_t interval;
    unsigned burst;
  } limits[] = {{3600000000u, 1}, {3600000000u, 2}, {3600000000u, 3},
                {0, 4},           {UINT64_MAX, 1},  {UINT64_MAX - 1, UINT_MAX}};
  limit(slot, limits[which].interval, limits[which].burst);
}
static void set_ratelimit_near(int slot, int which) { limit(slot, near_usec(), (unsigned)which + 1); }

static void set_ratelimit_expire(int slot, int on) {
  if (!usable(slot)) return;
  if (slots[slot].kind == kSignal && avoided(kAvoidSignalExpire)) return;
  if (on && uses_prepare && avoided(kAvoidLimitedExpire)) return;
  uses_expire = uses_expire || on;
  slots[slot].expires = on;
  report("expire callback", slot,
         sd_event_source_set_ratelimit_expire_callback(slots[slot].source, on ? on_expire : NULL));
}

static void fail(void) {
  callback_result = -EIO;
  trace("fail\n");
}

#endif
