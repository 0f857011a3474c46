// SPDX-License-Identifier: MIT
//
// Several inotify sources on one inode, and events that are buffered when the sources change.
//
// Invariants under test:
// 1. Each source gets what it asked for, also when another one of the inode asks for more; an overflow goes to all.
// 2. An event that no enabled source wants is dropped: the loop goes back to sleep and the others still work. The
//    reference hangs inside sd_event_run in these cases, which is why they run in a forked process with a short alarm.
// 3. A callback may free its own source and its siblings with further events buffered.
#include "inotify_dir.h"

// Did the reference hang, and does ours come back with 0? `probe` returns 0 when all is as it should be.
static void assert_hang_on_reference_only(int (*probe)(void*)) {
  assert_result(in_child(probe, NULL), differs(kUnwantedInotify, died_of(SIGALRM), 0));
}

static bool goes_to_sleep(sd_event* loop) {
  for (int i = 0; i < 100; i++)
    if (iterate(loop) <= 0) return sd_event_prepare(loop) == 0 && !fd_readable(loop, 0) && sd_event_wait(loop, 0) == 0;
  return false;
}

static void each_source_gets_what_it_asked_for(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"}, b = {.name = "b"}, c = {.name = "c", .loop = loop};
  int fd = open(dir, O_PATH | O_CLOEXEC);
  probe_inotify(loop, &a, dir, IN_CREATE);
  probe_inotify(loop, &b, dir, IN_CREATE | IN_DELETE);
  assert_result(sd_event_add_inotify_fd(loop, &c.source, fd, IN_DELETE, record_inotify, &c), 0);
  create_file(dir, "f");
  iterate_until_idle(loop);
  assert_journal_ties("a:100:f b:100:f ");
  remove_file(dir, "f");
  iterate_until_idle(loop);
  assert_journal_ties("b:200:f c:200:f ");
  free_probe(&a);
  free_probe(&b);
  free_probe(&c);
  close(fd);
  sd_event_unref(loop);
}

static void a_source_that_is_added_later_extends_the_watch(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"}, b = {.name = "b"};
  probe_inotify(loop, &a, dir, IN_CREATE);
  create_file(dir, "1");
  iterate_until_idle(loop);
  probe_inotify(loop, &b, dir, IN_DELETE);
  create_file(dir, "2");
  remove_file(dir, "1");
  iterate_until_idle(loop);
  assert_journal("a:100:1 a:100:2 b:200:1 ");
  free_probe(&b);
  create_file(dir, "3");
  iterate_until_idle(loop);
  assert_journal("a:100:3 ");
  free_probe(&a);
  sd_event_unref(loop);
}

static void different_priorities_on_one_inode_both_get_the_event_and_the_better_one_first(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"}, b = {.name = "b"};
  probe_inotify(loop, &a, dir, IN_CREATE);
  probe_inotify(loop, &b, dir, IN_CREATE);
  set_priority(&b, -5);
  create_file(dir, "f");
  iterate_until_idle(loop);
  assert_journal("b:100:f a:100:f ");
  free_probe(&b);
  create_file(dir, "g");
  iterate_until_idle(loop);
  assert_journal("a:100:g ");
  free_probe(&a);
  sd_event_unref(loop);
}

static void the_enabled_sibling_of_a_disabled_source_gets_the_event(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"}, b = {.name = "b"};
  probe_inotify(loop, &a, dir, IN_CREATE);
  probe_inotify(loop, &b, dir, IN_CREATE);
  set_enabled(&a, SD_EVENT_OFF);
  create_file(dir, "f");
  iterate_until_idle(loop);
  assert_journal("b:100:f ");
  set_enabled(&a, SD_EVENT_ON);
  assert_result(iterate(loop), 0);
  create_file(dir, "g");
  iterate_until_idle(loop);
  assert_journal_ties("a:100:g b:100:g ");
  free_probe(&a);
  free_probe(&b);
  sd_event_unref(loop);
}

static int event_while_off(void* context) {
  (void)context;
  expect_hang_on_reference(kUnwantedInotify);
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_inotify(loop, &a, dir, IN_CREATE);
  set_enabled(&a, SD_EVENT_OFF);
  create_file(dir, "f");
  if (!goes_to_sleep(loop)) return 1;
  set_enabled(&a, SD_EVENT_ON);
  create_file(dir, "g");
  iterate_until_idle(loop);
  assert_true(strstr(journal, "a:100:g ") != NULL);
  return 0;
}
static void an_event_for_a_source_that_is_off_does_not_keep_the_loop_awake(void** state) {
  (void)state;
  assert_hang_on_reference_only(event_while_off);
}

static int off_while_pending(void* context) {
  (void)context;
  expect_hang_on_reference(kUnwantedInotify);
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_inotify(loop, &a, dir, IN_CREATE);
  create_file(dir, "f");
  gather(loop);
  assert_int_equal(is_pending(&a), 1);
  set_enabled(&a, SD_EVENT_OFF);
  assert_int_equal(is_pending(&a), 0);
  return goes_to_sleep(loop) && a.calls == 0 ? 0 : 1;
}
static void a_source_that_is_switched_off_while_pending_does_not_keep_the_loop_awake(void** state) {
  (void)state;
  assert_hang_on_reference_only(off_while_pending);
}

static int oneshot_with_more_buffered(void* context) {
  expect_hang_on_reference(kUnwantedInotify);
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a", .result = context ? -EIO : 0};
  probe_inotify(loop, &a, dir, context ? IN_CREATE : IN_CREATE | IN_ONESHOT);
  create_file(dir, "f");
  create_file(dir, "g");
  return goes_to_sleep(loop) && a.calls == 1 && enabled_of(&a) == SD_EVENT_OFF ? 0 : 1;
}
static void a_source_that_fired_its_one_shot_drops_what_is_buffered(void** state) {
  (void)state;
  // IN_ONESHOT is a state of the source: the watch may be shared with sources that stay on.
  assert_hang_on_reference_only(oneshot_with_more_buffered);
}
static int failing_with_more_buffered(void* context) { return (void)context, oneshot_with_more_buffered(""); }
static void a_source_whose_callback_failed_drops_what_is_buffered(void** state) {
  (void)state;
  assert_hang_on_reference_only(failing_with_more_buffered);
}

static int event_of_a_freed_sibling(void* context) {
  (void)context;
  expect_hang_on_reference(kUnwantedInotify);
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"}, b = {.name = "b"};
  probe_inotify(loop, &a, dir, IN_CREATE);
  probe_inotify(loop, &b, dir, IN_DELETE);
  iterate_times(loop, 1);
  free_probe(&a);
  for (int i = 0; i < 50; i++) {
    char name[16];
    snprintf(name, sizeof(name), "%d", i);
    create_file(dir, name);
    if (!goes_to_sleep(loop)) return 1;
  }
  remove_file(dir, "1");
  iterate_until_idle(loop);
  assert_journal("b:200:1 ");
  return 0;
}
static void the_event_of_a_freed_source_is_dropped_and_its_sibling_still_works(void** state) {
  (void)state;
  assert_hang_on_reference_only(event_of_a_freed_sibling);
}

static void act_free_both(struct Probe* p) {
  free_probe(p->other);
  free_probe(p);
}

static void a_callback_may_free_all_sources_of_the_inode_with_events_buffered(void** state) {
  (void)state;
  for (int round = 0; round < 2; round++) {
    sd_event* loop = make_loop();
    struct Probe a = {.name = "x", .act = act_free_both}, b = {.name = "x", .act = act_free_both};
    a.other = &b, b.other = &a;
    probe_inotify(loop, &a, dir, IN_CREATE | IN_DELETE);
    probe_inotify(loop, &b, dir, IN_CREATE | IN_DELETE);
    if (round == 1) set_priority(&b, 1);
    for (int i = 0; i < 20; i++) {
      create_file(dir, "f");
      remove_file(dir, "f");
    }
    assert_result(iterate(loop), 1);
    assert_journal("x:100:f ");
    assert_true(goes_to_sleep(loop));
    sd_event_unref(loop);
  }
}

static void act_free(struct Probe* p) { free_probe(p); }

static void a_callback_may_free_its_own_source_and_the_sibling_gets_the_rest(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a", .act = act_free}, b = {.name = "b"};
  probe_inotify(loop, &a, dir, IN_CREATE);
  probe_inotify(loop, &b, dir, IN_CREATE);
  create_file(dir, "1");
  create_file(dir, "2");
  iterate_until_idle(loop);
  assert_journal_ties("a:100:1 b:100:1 b:100:2 ");
  free_probe(&b);
  sd_event_unref(loop);
}

static void act_make_source_of_the_same_inode(struct Probe* p) {
  if (p->calls == 1) probe_inotify(p->loop, p->other, dir, IN_CREATE);
}

static void a_source_that_a_callback_adds_to_the_inode_sees_later_events(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe b = {.name = "b"}, a = {.name = "a", .act = act_make_source_of_the_same_inode, .other = &b};
  probe_inotify(loop, &a, dir, IN_CREATE);
  create_file(dir, "1");
  assert_result(iterate(loop), 1);
  create_file(dir, "2");
  iterate_until_idle(loop);
  assert_journal_ties("a:100:1 a:100:2 b:100:2 ");
  free_probe(&a);
  free_probe(&b);
  sd_event_unref(loop);
}

static unsigned overflows;
static int count_overflow(sd_event_source* s, const struct inotify_event* event, void* userdata) {
  (void)s;
  ++*(unsigned*)userdata;
  if (event->mask & IN_Q_OVERFLOW) overflows++;
  return 0;
}

static void an_overflow_of_the_queue_goes_to_every_source(void** state) {
  (void)state;
  unsigned limit = 16384, calls[2] = {0};
  FILE* file = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
  if (!file || fscanf(file, "%u", &limit) != 1) fail();
  fclose(file);
  if (limit > 20000) {
    print_message("a queue of %u events takes too long to fill\n", limit);
    skip();
  }
  sd_event* loop = make_loop();
  sd_event_source* s[2] = {NULL};
  assert_result(sd_event_add_inotify(loop, &s[0], dir, IN_CREATE | IN_DELETE, count_overflow, &calls[0]), 0);
  assert_result(sd_event_add_inotify(loop, &s[1], dir, IN_DELETE, count_overflow, &calls[1]), 0);
  overflows = 0;
  for (unsigned i = 0; i < limit / 2 + 50; i++) {
    create_file(dir, "f");
    remove_file(dir, "f");
  }
  iterate_until_idle(loop);
  assert_int_equal(overflows, 2);
  assert_int_equal(calls[0], limit + 1);
  assert_int_equal(calls[1], limit / 2 + 1);
  create_file(dir, "f");
  iterate_until_idle(loop);
  assert_int_equal(calls[0], limit + 2);
  sd_event_source_unref(s[0]);
  sd_event_source_unref(s[1]);
  sd_event_unref(loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      dir_test(each_source_gets_what_it_asked_for),
      dir_test(a_source_that_is_added_later_extends_the_watch),
      dir_test(different_priorities_on_one_inode_both_get_the_event_and_the_better_one_first),
      dir_test(the_enabled_sibling_of_a_disabled_source_gets_the_event),
      dir_test(an_event_for_a_source_that_is_off_does_not_keep_the_loop_awake),
      dir_test(a_source_that_is_switched_off_while_pending_does_not_keep_the_loop_awake),
      dir_test(a_source_that_fired_its_one_shot_drops_what_is_buffered),
      dir_test(a_source_whose_callback_failed_drops_what_is_buffered),
      dir_test(the_event_of_a_freed_source_is_dropped_and_its_sibling_still_works),
      dir_test(a_callback_may_free_all_sources_of_the_inode_with_events_buffered),
      dir_test(a_callback_may_free_its_own_source_and_the_sibling_gets_the_rest),
      dir_test(a_source_that_a_callback_adds_to_the_inode_sees_later_events),
      dir_test(an_overflow_of_the_queue_goes_to_every_source),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
