// SPDX-License-Identifier: MIT
//
// An inotify source that has an event is switched off and on, or moved: the event is not lost, and comes once.
//
// Invariants under test:
// 1. A source that is switched off with an event, and is on again by the next iteration, gets it; as long as it is
//    limited, when the limit ends. A sibling that had it does not get it again, whoever else is switched.
// 2. A source whose event waits does not change its priority.
// Where the reference loses events, hangs or aborts in these cases they run in a forked process.
#include "inotify_dir.h"

static void a_source_that_is_switched_off_and_on_again_while_pending_gets_its_event(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_inotify(loop, &a, dir, IN_CREATE);
  create_file(dir, "f");
  create_file(dir, "g");
  gather(loop);
  assert_int_equal(is_pending(&a), 1);
  set_enabled(&a, SD_EVENT_OFF);
  set_enabled(&a, SD_EVENT_ON);
  assert_int_equal(is_pending(&a), 0);
  iterate_until_idle(loop);
  assert_journal("a:100:f a:100:g ");
  free_probe(&a);
  sd_event_unref(loop);
}

static struct Probe* siblings[2];
static void act_switch_sibling(struct Probe* p) {
  struct Probe* other = siblings[p == siblings[0]];
  set_enabled(other, SD_EVENT_OFF);
  set_enabled(other, SD_EVENT_ON);
}

// The path is open again as another source of its inode is added, and with that the priority can be changed again.
static int move_with_an_event(void* context) {
  const bool limited = context != NULL;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"}, b = {.name = "b"};
  probe_inotify(loop, &a, dir, IN_CREATE);
  if (limited) {
    set_limit(&a, UINT64_MAX, 1);
    create_file(dir, "first");
  }
  iterate_until_idle(loop);
  if (limited) {
    create_file(dir, "1");
    iterate_until_idle(loop);
  } else {
    create_file(dir, "1");
    gather(loop);
  }
  probe_inotify(loop, &b, dir, IN_CREATE);
  const int moved = sd_event_source_set_priority(a.source, 5);
  if (on_reference()) return moved;  // What follows is an abort, or a loop that hangs, or a lost event.
  create_file(dir, "2");
  if (limited) set_limit(&a, 0, 0);
  iterate_until_idle(loop);
  assert_journal(limited ? "a:100:first a:100:1 a:100:2 b:100:2 " : "a:100:1 a:100:2 b:100:2 ");
  return moved;
}
static void an_event_that_waits_is_not_lost_by_a_change_of_the_priority(void** state) {
  (void)state;
  assert_result(in_child(move_with_an_event, NULL), differs(kInotifyMoved, 0, -EOPNOTSUPP));
}
static void an_event_that_is_held_back_by_a_rate_limit_is_not_lost_by_a_change_of_the_priority(void** state) {
  (void)state;
  assert_result(in_child(move_with_an_event, &(int){1}), differs(kInotifyMoved, 0, -EOPNOTSUPP));
}

// It is ON, but for its limit: the event that it was switched off with is held, and so is what a sibling has read.
static int off_and_on_while_limited(void* context) {
  (void)context;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"}, b = {.name = "b"};
  probe_inotify(loop, &a, dir, IN_CREATE);
  probe_inotify(loop, &b, dir, IN_CREATE);
  set_limit(&b, UINT64_MAX, 1);
  for (int i = 1; i <= 4; i++) {
    create_file(dir, (char[]){(char)('0' + i), 0});
    iterate_until_idle(loop);
    if (i != 2) continue;
    set_enabled(&b, SD_EVENT_OFF);
    set_enabled(&b, SD_EVENT_ON);
    iterate_until_idle(loop);
  }
  set_limit(&b, 0, 0);
  iterate_until_idle(loop);
  return a.calls >= 4 ? (int)b.calls : -1;
}
static void a_source_that_is_switched_off_and_on_while_limited_gets_each_event(void** state) {
  (void)state;
  assert_result(in_child(off_and_on_while_limited, NULL), differs(kInotifyLimited, 1, 4));
}

// What waits for it stays in the kernel, which wakes nobody. When the limit is gone all of it comes.
static int more_events_while_limited(void* context) {
  (void)context;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_inotify(loop, &a, dir, IN_CREATE);
  set_limit(&a, UINT64_MAX, 1);
  for (int i = 1; i <= 4; i++) {
    create_file(dir, (char[]){(char)('0' + i), 0});
    iterate_times(loop, 2);
  }
  assert_result(sd_event_prepare(loop), 0);
  if (fd_readable(loop, 0)) return -1;  // It would be woken for ever.
  assert_result(sd_event_wait(loop, 0), 0);
  set_limit(&a, 0, 0);
  iterate_until_idle(loop);
  create_file(dir, "5");
  iterate_until_idle(loop);
  return (int)a.calls;
}
static void a_limited_source_does_not_wake_the_loop_and_loses_nothing(void** state) {
  (void)state;
  assert_result(in_child(more_events_while_limited, NULL), differs(kInotifyAwake, -1, 5));
}

// Whoever of the two is first.
static void a_sibling_that_is_switched_off_and_on_in_a_callback_gets_the_same_event(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a", .act = act_switch_sibling}, b = {.name = "b", .act = act_switch_sibling};
  probe_inotify(loop, &a, dir, IN_CREATE);
  probe_inotify(loop, &b, dir, IN_CREATE);
  siblings[0] = &a;
  siblings[1] = &b;
  create_file(dir, "f");
  create_file(dir, "g");
  iterate_until_idle(loop);
  if (!as_reference(kInotifySibling)) assert_journal("a:100:f b:100:f a:100:g b:100:g ");
  assert_int_equal(a.calls + b.calls, differs(kInotifySibling, 2, 4));
  journal[0] = 0;
  free_probe(&a);
  free_probe(&b);
  sd_event_unref(loop);
}

// Both owe their event to being switched back on, and then each switches the other one.
static int switched_together(void* context) {
  (void)context;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a", .act = act_switch_sibling}, b = {.name = "b", .act = act_switch_sibling};
  probe_inotify(loop, &a, dir, IN_CREATE);
  probe_inotify(loop, &b, dir, IN_CREATE);
  siblings[0] = &a;
  siblings[1] = &b;
  create_file(dir, "f");
  gather(loop);
  for (int i = 0; i < 2; i++) {
    set_enabled(siblings[i], SD_EVENT_OFF);
    set_enabled(siblings[i], SD_EVENT_ON);
  }
  iterate_until_idle(loop);
  return (int)(10 * a.calls + b.calls);
}
static void two_that_are_switched_off_and_on_get_the_event_once_each(void** state) {
  (void)state;
  assert_result(in_child(switched_together, NULL), differs(kInotifySibling, 1, 11));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      dir_test(a_source_that_is_switched_off_and_on_again_while_pending_gets_its_event),
      dir_test(an_event_that_waits_is_not_lost_by_a_change_of_the_priority),
      dir_test(an_event_that_is_held_back_by_a_rate_limit_is_not_lost_by_a_change_of_the_priority),
      dir_test(a_source_that_is_switched_off_and_on_while_limited_gets_each_event),
      dir_test(a_limited_source_does_not_wake_the_loop_and_loses_nothing),
      dir_test(a_sibling_that_is_switched_off_and_on_in_a_callback_gets_the_same_event),
      dir_test(two_that_are_switched_off_and_on_get_the_event_once_each),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
