// SPDX-License-Identifier: MIT
//
// Other loops, threads and processes beside the loop of the program.
//
// 1. The inner loop is an IO source of the program's loop by its descriptor, as the last channel; who is called for
// that
//    runs it once, and nobody prepares it. It has a level-triggered source, an edge-triggered one and a defer source.
// 2. A process that is forked in a callback returns from it. With the reference it ends at once, as it would go on in
//    its parent's loop (kForkReturns). With ours it has to get -ECHILD from the call that it returns to, to free all
//    that it has, and to end; and its parent must not notice.
// 3. A thread has a default loop of its own, and is over when the operation returns.
#ifndef EVENKEEL_FUZZ_OTHERS_H
#define EVENKEEL_FUZZ_OTHERS_H

#include <pthread.h>

#include "setters.h"

// ---- the inner loop ------------------------------------------------------------------------------------------------

enum { kInnerSources = 3 };
static int inner_fds[kInnerSources - 1];

static int on_inner_io(sd_event_source* s, int fd, uint32_t revents, void* number) {
  uint64_t value;
  (void)s;
  trace("inner call %d revents %x read %zd\n", (int)(intptr_t)number, revents, read(fd, &value, sizeof(value)));
  return 0;
}

static int on_inner_defer(sd_event_source* s, void* number) {
  (void)s;
  trace("inner call %d\n", (int)(intptr_t)number);
  return 0;
}

// Until it is idle: what is pending in it and known to it already wakes nobody.
static void inner_run(void) {
  int r = 1;
  while (inner && r > 0) {
    r = sd_event_run(inner, 0);
    trace("inner ran: %s\n", error_name(r));
  }
}

static void open_inner(void) {
  if (sd_event_new(&inner) < 0) abort();
  for (int i = 0; i < kInnerSources - 1; i++) {
    inner_fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (sd_event_add_io(inner, &inner_sources[i], inner_fds[i], EPOLLIN | (i ? EPOLLET : 0u), on_inner_io,
                        userdata(i)) < 0)
      abort();
  }
  if (sd_event_add_defer(inner, &inner_sources[kInnerSources - 1], on_inner_defer, userdata(2)) < 0) abort();
  for (int i = 0; i < kInnerSources; i++) sd_event_source_set_priority(inner_sources[i], i);
  channels[kChannels].ends[0] = channels[kChannels].ends[1] = sd_event_get_fd(inner);
}

static void free_inner(void) {
  for (int i = 0; i < kInnerSources; i++) inner_sources[i] = sd_event_source_unref(inner_sources[i]);
  inner = sd_event_unref(inner);
}

static void close_inner(void) {
  if (!inner) return;
  free_inner();
  for (int i = 0; i < kInnerSources - 1; i++) close(inner_fds[i]);
}

static void add_inner(int slot, int how) {
  static const uint32_t events[] = {EPOLLIN, EPOLLIN, EPOLLIN | EPOLLET, EPOLLIN | EPOLLOUT};
  if (ended || full(slot) || too_late()) return;
  if (!inner) open_inner();
  if (contested(slot, 2 * kChannels) || !begin_add(slot, kIo)) return;
  slots[slot].which = 2 * kChannels;
  end_add(slot, "inner",
          sd_event_add_io(loop, &slots[slot].source, channel_fd(2 * kChannels), events[lazy() ? 0 : how], on_io,
                          userdata(slot)));
}

static void inner_feed(int i) {
  const uint64_t one = 1;
  if (inner && !too_late()) trace("inner feed %d: %zd\n", i, write(inner_fds[i], &one, sizeof(one)));
}

static void inner_enable(int i, int mode) {
  static const int values[] = {SD_EVENT_OFF, SD_EVENT_ON, SD_EVENT_ONESHOT};
  if (!inner || too_late()) return;
  if (i == kInnerSources - 1 && mode == 1) mode = 2;  // It would go on for ever.
  if (mode == 2 && i < kInnerSources - 1 && avoided(kAvoidOneshotFromOff)) return;
  trace("inner enable %d %d: %s\n", i, mode, error_name(sd_event_source_set_enabled(inner_sources[i], values[mode])));
}

// ---- processes that return from a callback -------------------------------------------------------------------------

static void fork_and_return(void) {
  if (kAlone) return;
  const pid_t pid = fork();
  if (pid < 0) abort();
  if (pid == 0) {
    if (!on_ours()) _exit(0);
    forked = true;
    trace_text = calloc(1, kTraceSize);
    trace_length = 0;
    return;
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  trace("forked: %x\n", (unsigned)status);
}

// What a call of the loop has come back with, at which a forked process ends.
static int back(int result) {
  if (!forked) return result;
  ended = true;
  for (int i = 0; i < kSlots; i++)
    if (slots[i].source && slots[i].owned) sd_event_source_unref(slots[i].source);
  free_inner();
  sd_event_unref(loop);
  _exit(result == -ECHILD ? 0 : 3);
}

// ---- threads -------------------------------------------------------------------------------------------------------

static void* in_thread(void* number) {
  static char text[128];
  const intptr_t how = (intptr_t)number;
  sd_event* own = NULL;
  sd_event* same = NULL;
  sd_event_source* source = NULL;
  pid_t tid = 0;
  const int before = sd_event_default(NULL);
  const int made = sd_event_default(&own);
  const int again = sd_event_default(&same);
  (void)sd_event_get_tid(own, &tid);
  const int added = sd_event_add_defer(own, how & 1 ? NULL : &source, on_inner_defer, userdata(9));
  const int ran = how & 2 ? sd_event_run(own, 0) : sd_event_exit(own, 3) + sd_event_loop(own);
  if (how & 1) sd_event_unref(same);
  sd_event_source_unref(source);
  if (!(how & 1)) sd_event_unref(same);
  const int left = sd_event_default(NULL);
  sd_event_unref(own);
  (void)snprintf(text, sizeof(text), "%d %d %d %s %s added %d ran %d left %d then %d", before, made, again,
                 own == same ? "same" : "OTHER", tid == gettid() ? "own" : "OTHER", added, ran, left,
                 sd_event_default(NULL));
  return text;
}

static void use_thread(int how) {
  pthread_t thread;
  void* text = NULL;
  if (pthread_create(&thread, NULL, in_thread, userdata(how)) || pthread_join(thread, &text)) abort();
  trace("thread: %s\n", (const char*)text);
}

#endif
