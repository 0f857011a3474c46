// SPDX-License-Identifier: MIT
//
// The sources of a program, each in a slot, and their callbacks.
//
// Idea: operations name sources by slot, so that a program stays one whatever is left out of it: an operation on an
// empty slot, or one that adds to a full slot, does nothing. The slot's number is the source's userdata.
//
// Invariants:
//  1. A slot is full as long as its source may be called. Who gave its reference away (a floating source) still has the
//     pointer, which is good as long as the loop is; of a source that was added floating it is known from its first
//     call on.
//  2. Strict and lazy: no two sources have one priority, so there is one right order. Ties: those that become ready by
//     operations share three priorities; what makes itself ready (defer, post) or is read one at a time (signals,
//     inotify) does not share its priority with its like.
//  3. What an operation does depends on the program and on what is in the trace already, never on an answer of the
//     library that may be another one in the other: so `enabled` is what has been set and what the callbacks seen so
//     far have made of it, and `limited` what was shown last.
//  4. A program makes a bounded number of callbacks; then the loop is asked to exit.
#ifndef EVENKEEL_FUZZ_SLOTS_H
#define EVENKEEL_FUZZ_SLOTS_H

#include "world.h"

enum SlotKind { kNone, kIo, kTime, kSignal, kChild, kInotify, kDefer, kPost, kExit };
enum { kMostCallbacks = 300 };

static struct Slot {
  sd_event_source* source;
  enum SlotKind kind;
  int enabled;          // As it has to be.
  int64_t priority;     // As it has to be.
  bool limited;         // As it was shown last: offline for its rate limit.
  bool owned;           // The reference is ours.
  bool fd_owned;        // The library closes the descriptor.
  bool from_off;        // Registered while it was ONESHOT.
  bool limit_near;      // The rate limit may end during the program.
  bool expires;         // It has a callback for the end of its rate limit.
  bool unnamed;         // It was added without a pointer, so its priority is 0.
  bool stops;           // Its options have WSTOPPED.
  bool silent;          // The callback is the library's.
  bool process_reaped;  // Its process is gone.
  int which;            // Of a channel's end, a signal, or a process.
  int greed;            // What its callback reads: nothing, a byte, all.
  uint32_t watched;     // Of inotify: its mask.
  int untold;           // Of inotify: how many events may be on their way to it.
  unsigned wave;
  uint64_t near;
  unsigned calls[kContexts];
  unsigned far_burst;  // Of the model: a limit that does not end during the program, and the calls since it was set.
  unsigned n_limited;
  bool woken;  // Of the model: a post source is pending.
  char shown[160];
} slots[kSlots];

static int n_callbacks;
static int n_expired;
static bool uses_prepare;  // These two exclude each other, for kAvoidLimitedExpire.
static bool uses_expire;
static bool uses_time;
static bool signal_exit;              // Its sources have priority 0.
static int n_destroyed_late[kSlots];  // When the loop was not ours any more.
static unsigned n_destroyed[kSlots];
static int kinds_of_children;  // 1: WEXITED alone. 2: WSTOPPED, too.

// The operations of the program that stand in a callback.
static void run_inside(enum Context context, int slot, unsigned call);

// Of model.h: a callback begins, and is over (by then the slot may be empty).
static void model_calls(enum Context context, int slot);
static void model_called(enum Context context, enum SlotKind kind);
static void model_revents(int slot, uint32_t revents);

static void show(void);
static void inner_run(void);  // Of others.h.

static bool full(int slot) { return slots[slot].kind != kNone; }
static bool usable(int slot) { return slots[slot].source && !ended; }
static bool is(int slot, enum SlotKind kind) { return usable(slot) && slots[slot].kind == kind; }

static int64_t priority_of(int slot) {
  const struct Slot* s = &slots[slot];
  if (!ties()) return slot * 10 + 1;
  switch (s->kind) {
    case kSignal:
      return s->which < 3 ? s->which : 100 + s->which;
    case kTime:  // kAvoidLazyTimers
      return 50 + slot % 3;
    case kInotify:
    case kDefer:
      return 200 + slot;
    case kPost:
      return slot % 2 ? 300 + slot : -300 - slot;
    default:
      return slot % 3;
  }
}

// ---- callbacks -----------------------------------------------------------------------------------------------------

// Since when a source is ready, of ties: in how many waves the loop got to sources of a worse priority before. Only
// then it has asked about this one (kAvoidLazyTies).
static unsigned age_of(const struct Slot* s, int priority) {
  unsigned since = s->wave;
  if (s->kind == kIo && channels[s->which / 2].wave > since) since = channels[s->which / 2].wave;
  if (s->kind == kSignal && signal_waves[s->which] > since) since = signal_waves[s->which];
  if (s->kind == kTime) return 0;  // kAvoidLazyTimers
  unsigned n = 0;
  for (unsigned i = 0; i < since && i < kMostOperations; i++) n += worst_of_wave[i] > priority;
  return n;
}

// What every callback does. Of ties, a call is one line of the trace, with the group in which it may change places.
static int called(enum Context context, sd_event_source* source, intptr_t number, const char* what) {
  struct Slot* s = &slots[number];
  const size_t begin = trace_length;
  const int outer = callback_result;
  if (ties()) {
    const int priority = (int)priority_of((int)number);
    trace("~%d.%u ", priority, age_of(s, priority));
    if (wave < kMostOperations && priority > worst_of_wave[wave]) worst_of_wave[wave] = priority;
  }
  trace("call %d %s\n", (int)number, what);
  if (!s->source && full((int)number)) s->source = source;
  check_stalled();
  if (s->limit_near) comes_near();
  const enum Context outer_context = context_now;
  const enum SlotKind kind = s->kind;
  callback_result = 0;
  context_now = context;
  inside++;
  model_calls(context, (int)number);
  if (context == kDispatched && !ties()) show();
  run_inside(context, (int)number, ++s->calls[context]);
  inside--;
  context_now = outer_context;
  model_called(context, kind);
  if (++n_callbacks >= kMostCallbacks && n_callbacks < 2 * kMostCallbacks && !ended)
    trace("enough: %d\n", sd_event_exit(loop, 99));
  if (context == kDispatched && callback_result == 0 && s->kind == kExit && n_callbacks >= kMostCallbacks)
    callback_result = -EIO;
  const int result = callback_result;
  callback_result = outer;
  if (result < 0 && s->source == source) s->enabled = SD_EVENT_OFF;
  if (ties()) {
    for (size_t i = begin; i < trace_length; i++)
      if (trace_text[i] == '\n') trace_text[i] = ';';
    trace("\n");
  }
  return result;
}

static int on_event(sd_event_source* s, void* slot) { return called(kDispatched, s, (intptr_t)slot, "event"); }
static int on_prepare(sd_event_source* s, void* slot) { return called(kPrepared, s, (intptr_t)slot, "prepare"); }
static int on_expire(sd_event_source* s, void* slot) {
  n_expired++;
  return called(kExpired, s, (intptr_t)slot, "expire");
}
static void on_destroy(void* number) {
  const int slot = (int)(intptr_t)number;
  if (ended) n_destroyed_late[slot]++;  // kAvoidDestroyOrder
  if (ended) return;
  trace("destroyed %d\n", slot);
  const enum Context outer_context = context_now;
  context_now = kDestroyed;
  inside++;
  run_inside(kDestroyed, slot, ++n_destroyed[slot]);
  inside--;
  context_now = outer_context;
  if (forked) _exit(0);
}

// Whether a library may tell of less than there is (kAvoidOneshotFromOff), or knows more as it looked once more
// (kAvoidLimitedExpire, kAvoidLimitedReturn).
static bool tells_the_first_only(const struct Slot* s) {
  uint32_t events = 0;
  const bool may = (s->from_off && kept_clear(kAvoidOneshotFromOff)) ||
                   (s->limit_near && (kept_clear(kAvoidLimitedExpire) || kept_clear(kAvoidLimitedReturn)));
  if (!may || !s->source) return may;
  (void)sd_event_source_get_io_events(s->source, &events);
  return hung_up || events == (EPOLLIN | EPOLLOUT);
}

static int on_io(sd_event_source* s, int fd, uint32_t revents, void* slot) {
  struct Slot* own = &slots[(intptr_t)slot];
  char what[64];
  const bool known = fd == channel_fd(own->which);
  model_revents((int)(intptr_t)slot, revents);
  const char* which = known ? "" : own->fd_owned ? " owned" : " OTHER";
  if (tells_the_first_only(own)) revents = 0;
  (void)snprintf(what, sizeof(what), "io %d%s revents %x", own->which, which, revents);
  if (own->which == 2 * kChannels) inner_run();
  if (own->greed > 0 && (revents & EPOLLIN)) empty_channel(own->which / 2, own->greed > 1);
  return called(kDispatched, s, (intptr_t)slot, what);
}

static const char* time_name(const struct Slot* s, uint64_t usec) {
  static char text[24];
  (void)snprintf(text, sizeof(text), "%d", (int)usec);
  return usec == UINT64_MAX ? "never" : usec > 1000 && usec == s->near ? "near" : usec > 1000 ? "some" : text;
}

static int on_time(sd_event_source* s, uint64_t usec, void* slot) {
  char what[64];
  (void)snprintf(what, sizeof(what), "time %s", time_name(&slots[(intptr_t)slot], usec));
  return called(kDispatched, s, (intptr_t)slot, what);
}

static int on_signal(sd_event_source* s, const struct signalfd_siginfo* info, void* slot) {
  char what[64];
  const int number = (int)info->ssi_signo;
  if (!ties()) signal_sent[signal_index(number)] = false;
  signals_unseen[signal_index(number)]--;
  (void)snprintf(what, sizeof(what), "signal %d value %d", number, number < 34 ? 0 : info->ssi_int);
  return called(kDispatched, s, (intptr_t)slot, what);
}

static int on_child(sd_event_source* s, const siginfo_t* info, void* slot) {
  char what[64];
  struct Slot* own = &slots[(intptr_t)slot];
  const bool ours = own->which >= 0 && info->si_pid == children[own->which].pid;
  if (own->which >= 0) children[own->which].untold = false;
  if (info->si_code != CLD_STOPPED && info->si_code != CLD_CONTINUED) own->process_reaped = true;
  (void)snprintf(what, sizeof(what), "child %s code %d status %d", ours ? "own" : "OTHER", info->si_code,
                 info->si_status);
  return called(kDispatched, s, (intptr_t)slot, what);
}

static int on_inotify(sd_event_source* s, const struct inotify_event* event, void* slot) {
  slots[(intptr_t)slot].untold--;
  char what[96];
  (void)snprintf(what, sizeof(what), "inotify %x %.40s", event->mask, event->len ? event->name : "-");
  return called(kDispatched, s, (intptr_t)slot, what);
}

// ---- adding --------------------------------------------------------------------------------------------------------

static const uint32_t kEventMasks[kEvents] = {EPOLLIN,
                                              EPOLLIN,
                                              EPOLLIN | EPOLLPRI,
                                              EPOLLIN | EPOLLET,
                                              EPOLLOUT,
                                              EPOLLIN | EPOLLOUT,
                                              0,
                                              EPOLLIN | EPOLLRDHUP,
                                              EPOLLIN | EPOLLONESHOT};
static const uint64_t kTimeValues[kTimes] = {
    1, 2, 0, UINT64_MAX, 1, 5, UINT64_MAX - 1, UINT64_MAX - 2, INT64_MAX, (uint64_t)INT64_MAX + 1};

// Whether something may be added to the slot.
static bool begin_add(int slot, enum SlotKind kind) {
  const bool is_static = kind == kDefer || kind == kPost || kind == kExit;
  if (ended || full(slot) || (!is_static && too_late())) return false;
  const bool once = kind == kTime || kind == kChild || kind == kDefer || kind == kExit;
  uses_time = uses_time || kind == kTime;
  slots[slot] = (struct Slot){
      .kind = kind, .enabled = once ? SD_EVENT_ONESHOT : SD_EVENT_ON, .which = -1, .wave = wave, .owned = true};
  return true;
}

static void end_add(int slot, const char* what, int result) {
  struct Slot* s = &slots[slot];
  trace("add %d %s: %s\n", slot, what, error_name(result));
  if (result < 0) {
    *s = (struct Slot){.kind = kNone};
    return;
  }
  if (!s->owned) return;
  s->priority = priority_of(slot);
  trace("  priority %s\n", error_name(sd_event_source_set_priority(s->source, s->priority)));
}

static void* userdata(int slot) { return (void*)(intptr_t)slot; }

static bool limited(int slot) { return usable(slot) && slots[slot].limited; }

// Whether some source would be told of less, or more, than with the other.
static bool oneshot_gathers(void) {
  for (int i = 0; i < kSlots; i++)
    if (is(i, kIo) && slots[i].enabled == SD_EVENT_ONESHOT) return avoided(kAvoidOneshotGathers);
  return false;
}

// Whether the end is that of another source, and one of the two is offline for its rate limit.
static bool contested(int slot, int end) {
  for (int i = 0; i < kSlots; i++) {
    if (i == slot || !is(i, kIo) || slots[i].fd_owned || channel_fd(slots[i].which) != channel_fd(end)) continue;
    if (limited(i) || limited(slot)) return avoided(kAvoidLimitedFd);
  }
  return false;
}

static void add_io(int slot, int end, int events, int greed) {
  if (ties()) {
    end &= ~1;
    events = 0;
    greed = 2;
    for (int i = 0; i < kSlots; i++)
      if (slots[i].kind == kIo && slots[i].which == end) return;
  }
  if (lazy() && (events == 5 || events == 3)) events = 0;  // kAvoidLazyRevents, kAvoidLazyEdge
  if (ended || full(slot) || contested(slot, end) || !begin_add(slot, kIo)) return;
  slots[slot].which = end;
  slots[slot].greed = greed;
  end_add(slot, "io",
          sd_event_add_io(loop, &slots[slot].source, channel_fd(end), kEventMasks[events], on_io, userdata(slot)));
}

// Whether it is never, or cannot be told from that.
static bool at_the_end_of_time(uint64_t usec, uint64_t accuracy) {
  return usec != UINT64_MAX && usec >= UINT64_MAX - accuracy && avoided(kAvoidEndOfTime);
}

static void add_time(int slot, int clock, int time) {
  static const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME};
  if (ended || full(slot) || at_the_end_of_time(kTimeValues[time], 1) || !begin_add(slot, kTime)) return;
  end_add(slot, "time",
          sd_event_add_time(loop, &slots[slot].source, clocks[clock], kTimeValues[time], 1, on_time, userdata(slot)));
}

static void add_time_relative(int slot, int span) {
  static const uint64_t spans[] = {0, UINT64_MAX, 3600000000u, UINT64_MAX - 1, INT64_MAX};
  if (ended || full(slot) || (span == 1 && avoided(kAvoidRelativeNever)) || !begin_add(slot, kTime)) return;
  end_add(
      slot, "relative",
      sd_event_add_time_relative(loop, &slots[slot].source, CLOCK_MONOTONIC, spans[span], 1, on_time, userdata(slot)));
}

static void add_signal(int slot, int i, int block) {
  if (!begin_add(slot, kSignal)) return;
  slots[slot].which = i;
  const int number = kSignalNumbers[i] | (block == 0 ? SD_EVENT_SIGNAL_PROCMASK : 0);
  end_add(slot, "signal", sd_event_add_signal(loop, &slots[slot].source, number, on_signal, userdata(slot)));
}

static void add_child(int slot, int options, int by_pidfd) {
  static const int kOptions[] = {WEXITED, WEXITED, WEXITED | WSTOPPED | WCONTINUED, WEXITED};
  if (ended || full(slot) || (options == 2 && strict() && avoided(kAvoidStoppedPrepare))) return;
  kinds_of_children |= options == 2 ? 2 : 1;
  const int child = options == 3 && n_children > 0 && !ties() ? n_children - 1 : spawn();
  if (child < 0 || !begin_add(slot, kChild)) return;
  slots[slot].which = child;
  slots[slot].stops = options == 2;
  const pid_t pid = children[child].pid;
  sd_event_source** source = &slots[slot].source;
  int r;
  if (by_pidfd) {
    const int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    r = sd_event_add_child_pidfd(loop, source, pidfd, kOptions[options], on_child, userdata(slot));
    if (r < 0) close(pidfd);
    if (r >= 0) sd_event_source_set_child_pidfd_own(*source, 1);
  } else {
    r = sd_event_add_child(loop, source, pid, kOptions[options], on_child, userdata(slot));
  }
  end_add(slot, "child", r);
}

// Whether one more event would be more than 252 reads at a time, for some source that wants it.
static bool overflows(int how) {
  static const uint32_t kinds[] = {IN_CREATE, IN_DELETE, IN_MODIFY};
  // What is read with events that nobody wants goes with them.
  for (int i = 0; i < kSlots; i++)
    if (is(i, kInotify) && (slots[i].watched & kinds[how]) && slots[i].untold > 0 && !slots[i].enabled)
      return avoided(kAvoidLazyInotify);
  for (int i = 0; i < kSlots; i++)
    if (is(i, kInotify) && (slots[i].watched & kinds[how]) && slots[i].untold >= 8)
      return avoided(kAvoidBufferedPrepare);
  for (int i = 0; i < kSlots; i++) slots[i].untold += (slots[i].watched & kinds[how]) != 0;
  return false;
}

static void add_inotify(int slot, int mask, int what) {
  static const uint32_t masks[] = {IN_CREATE | IN_DELETE | IN_MODIFY, IN_CREATE | IN_MODIFY,
                                   IN_DELETE | IN_MODIFY | IN_ONESHOT};
  if ((lazy() && mask == 2) || !begin_add(slot, kInotify)) return;
  if (masks[mask] & IN_ONESHOT) slots[slot].enabled = SD_EVENT_ONESHOT;
  slots[slot].watched = what == 1 ? IN_MODIFY : masks[mask];
  sd_event_source** source = &slots[slot].source;
  int r;
  if (what == 2) {
    const int fd = open(work_dir, O_PATH | O_CLOEXEC);
    r = sd_event_add_inotify_fd(loop, source, fd, masks[mask], on_inotify, userdata(slot));
    close(fd);
  } else {
    r = sd_event_add_inotify(loop, source, what ? file_path(-1) : work_dir, masks[mask], on_inotify, userdata(slot));
  }
  end_add(slot, "inotify", r);
}

// Sources of which there is no pointer when they are added have priority 0: there shall be one at a time.
static bool priority_0_taken(void) {
  bool taken = signal_exit;
  for (int i = 0; i < kSlots; i++) taken = taken || (full(i) && slots[i].unnamed);
  return taken;
}

// `how`: 2 in slot 0 has no callback, 3 leaves the source to the loop.
static sd_event_source** begin_static(int slot, enum SlotKind kind, int how) {
  const bool unnamed = how == 3 && !ties() && !priority_0_taken();
  if (!begin_add(slot, kind)) return NULL;
  slots[slot].owned = !unnamed;
  slots[slot].unnamed = unnamed;
  return &slots[slot].source;
}

static void add_defer(int slot, int how) {
  sd_event_source** ret = begin_static(slot, kDefer, how);
  if (!ret) return;
  slots[slot].silent = how == 2 && slot == 0;
  end_add(
      slot, "defer",
      sd_event_add_defer(loop, slots[slot].owned ? ret : NULL, slots[slot].silent ? NULL : on_event, userdata(slot)));
}

static void add_post(int slot, int how) {
  if (ended || full(slot) || (inside && avoided(kAvoidPostInCallback))) return;
  sd_event_source** ret = begin_static(slot, kPost, how);
  if (!ret) return;
  end_add(slot, "post", sd_event_add_post(loop, slots[slot].owned ? ret : NULL, on_event, userdata(slot)));
}

static void add_exit(int slot, int how) {
  sd_event_source** ret = begin_static(slot, kExit, how);
  if (!ret) return;
  end_add(slot, "exit", sd_event_add_exit(loop, slots[slot].owned ? ret : NULL, on_event, userdata(slot)));
}

#endif
