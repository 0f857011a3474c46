// SPDX-License-Identifier: MIT
//
// A process that has locked itself in, as daemons do when they have started: no descriptor may be opened any more, or
// poll(2) and sigpending(2) are refused. The loop goes on, and the important goes first.
//
// Idea: RLIMIT_NOFILE is set to 0, which also makes poll(2) refuse to look at any descriptor; or a seccomp filter is
// set. Everything is added before, as it would be; every kind of source (every_kind.h) then has its event.
//
// Invariant: each case runs in a process of its own.
#include <sys/resource.h>

#include "every_kind.h"
#include "refuse.h"

enum Locked { kNoDescriptors, kNoPoll, kNoSigpending, kNeither };

static bool lock_in(enum Locked locked) {
  const struct rlimit none = {0};
  switch (locked) {
    case kNoDescriptors:
      return setrlimit(RLIMIT_NOFILE, &none) == 0;
    case kNoPoll:
#ifdef SYS_poll
      if (!refuse(SYS_poll, EPERM)) return false;
#endif
#ifdef SYS_ppoll_time64
      if (!refuse(SYS_ppoll_time64, EPERM)) return false;
#endif
      return refuse(SYS_ppoll, EPERM);
    case kNoSigpending:
      return refuse(SYS_rt_sigpending, EPERM);
    default:
      return lock_in(kNoPoll) && lock_in(kNoSigpending);
  }
}

// 0, or the number of the kind, from 1, that heard nothing.
static int every_kind_hears(void* context) {
  sd_event* loop = make_loop();
  static struct Thing things[kAllKinds];
  for_each_kind(id) add_thing(&things[id], loop, id, 0);
  if (!lock_in(*(enum Locked*)context)) return -EPERM;
  for_each_kind(id) {
    if (id == kExit) continue;
    fire(&things[id]);
    // A post source waits for another one.
    if (id == kPost) set_enabled(&things[kDefer].probe, SD_EVENT_ONESHOT);
    for (int i = 0; i < 10 && things[id].probe.calls == 0; i++) assert_true(iterate(loop) >= 0);
    if (things[id].probe.calls == 0) return id + 1;
    settle(&things[id]);
  }
  fire(&things[kExit]);
  assert_result(sd_event_loop(loop), 0);
  return things[kExit].probe.calls == 1 ? 0 : kExit + 1;
}

static bool woken;
static void act_wake_the_important(struct Probe* p) {
  lower_eventfd(sd_event_source_get_io_fd(p->source));
  if (woken) return;
  woken = true;
  raise_eventfd(sd_event_source_get_io_fd(p->other->source));
  assert_int_equal(kill(getpid(), SIGUSR2), 0);
}

// While many that are less important are pending, one wakes two that are more so.
static int the_important_goes_first(void* context) {
  sd_event* loop = make_loop();
  struct Probe urgent = {.name = "urgent", .act = act_lower}, signal = {.name = "signal"};
  struct Probe many[5];
  set_blocked(SIGUSR2, true);
  probe_io(loop, &urgent, make_eventfd(0), EPOLLIN);
  set_priority(&urgent, -2);
  probe_signal(loop, &signal, SIGUSR2);
  set_priority(&signal, -1);
  for (size_t i = 0; i < lengthof(many); i++) {
    many[i] = (struct Probe){.name = ".", .act = act_wake_the_important, .other = &urgent};
    probe_io(loop, &many[i], make_eventfd(1), EPOLLIN);
  }
  if (!lock_in(*(enum Locked*)context)) return -EPERM;
  for (int i = 0; i < 7; i++) assert_result(iterate(loop), 1);
  assert_result(iterate(loop), 0);
  return strcmp(journal, ". urgent signal . . . . ") == 0 ? 0 : 1;
}

static void in_every_lock(int (*probe)(void*)) {
  enum Locked locked[] = {kNoDescriptors, kNoPoll, kNoSigpending, kNeither};
  for (size_t i = 0; i < lengthof(locked); i++) {
    const int r = in_child(probe, &locked[i]);
    if (r != 0) fail_msg("lock %zu: %s", i, result_name(r));
  }
}

static void every_kind_of_source_hears_in_a_process_that_has_locked_itself_in(void** state) {
  (void)state;
  in_every_lock(every_kind_hears);
}

static void the_important_goes_first_in_a_process_that_has_locked_itself_in(void** state) {
  (void)state;
  in_every_lock(the_important_goes_first);
}

int main(void) {
  exit_77_without_pidfds();
  exit_77_without_filters();
  const struct CMUnitTest tests[] = {
      kinds_test(every_kind_of_source_hears_in_a_process_that_has_locked_itself_in),
      kinds_test(the_important_goes_first_in_a_process_that_has_locked_itself_in),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
