// SPDX-License-Identifier: MIT
//
// An inotify source that is over its rate limit makes no other source wait, and loses none of its events.
//
// Invariants under test:
// 1. What comes behind an event that waits for the end of a limit is served: to sources of the same file and of others.
// 2. When the limit ends the source gets all its events, in their order, an event a dispatch.
// 3. A source that is OFF in the next iteration has lost what waited for it, one that is ON again by then has not.
// 4. The source may be freed at any time, in the callback for such an event too.
// 5. Only so many events are kept aside for one source; with more, the others wait, and nothing is lost.
#include "inotify_dir.h"

static struct Probe a, b;
static sd_event* loop;

// `b` is limited to one event and has had it.
static void begin(void) {
  a = (struct Probe){.name = "a"};
  b = (struct Probe){.name = "b"};
  loop = make_loop();
  probe_inotify(loop, &a, dir, IN_CREATE);
  probe_inotify(loop, &b, dir, IN_CREATE);
  set_limit(&b, UINT64_MAX, 1);
  create_file(dir, "0");
  iterate_times(loop, 4);
  assert_int_equal(b.calls, 1);
  journal[0] = 0;
}

static void create_files(char first, char last) {
  for (char name = first; name <= last; name++) {
    create_file(dir, (char[]){name, 0});
    iterate_times(loop, 4);
  }
}

static void end(void) {
  free_probe(&a);
  free_probe(&b);
  sd_event_unref(loop);
}

static void a_source_of_the_same_file_is_served(void** state) {
  (void)state;
  begin();
  create_files('1', '4');
  assert_int_equal(is_limited(&b), 1);
  assert_int_equal(is_pending(&b), 1);
  assert_int_equal(a.calls, differs(kInotifyBehind, 2, 5));
  set_limit(&b, 0, 0);
  iterate_until_idle(loop);
  assert_int_equal(a.calls, 5);
  assert_int_equal(b.calls, 5);
  if (!as_reference(kInotifyBehind)) assert_journal("a:100:1 a:100:2 a:100:3 a:100:4 b:100:1 b:100:2 b:100:3 b:100:4 ");
  create_file(dir, "5");
  iterate_until_idle(loop);
  assert_int_equal(a.calls + b.calls, 12);
  end();
}

static void a_source_of_another_file_is_served(void** state) {
  (void)state;
  begin();
  create_file(dir, "other");
  iterate_times(loop, 4);
  struct Probe c = {.name = "c"};
  probe_inotify(loop, &c, in_dir(dir, "other"), IN_ATTRIB);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(chmod(in_dir(dir, "other"), (mode_t)(0600 + i)), 0);
    iterate_times(loop, 4);
  }
  assert_int_equal(c.calls, differs(kInotifyBehind, 0, 3));
  free_probe(&c);
  end();
}

// More than a buffer holds, with names of every length.
static void the_end_of_the_limit_brings_all_events_in_their_order(void** state) {
  (void)state;
  begin();
  char expected[sizeof(journal)] = "", name[200];
  for (int i = 1; i <= 60; i++) {
    memset(name, 'a' + i % 26, sizeof(name));
    name[i % 40] = 'A';
    name[i % 40 + 1] = 0;
    create_file(dir, name);
    const size_t used = strlen(expected);
    snprintf(expected + used, sizeof(expected) - used, "b:100:%s ", name);
  }
  set_enabled(&a, SD_EVENT_OFF);  // Its part of the journal has been tested.
  iterate_times(loop, 4);
  create_file(dir, "last");
  iterate_times(loop, 4);
  set_limit(&b, 0, 0);
  iterate_until_idle(loop);
  strcat(expected, "b:100:last ");
  assert_journal(expected);
  end();
}

static void the_limit_counts_each_of_the_events_that_waited(void** state) {
  (void)state;
  begin();
  create_files('1', '6');
  // Two of them may come, and the source is over its limit again.
  set_limit(&b, UINT64_MAX, 2);
  iterate_times(loop, 20);
  assert_int_equal(b.calls, 3);
  assert_int_equal(is_limited(&b), 1);
  assert_int_equal(a.calls, differs(kInotifyBehind, 4, 7));
  set_limit(&b, 0, 0);
  iterate_until_idle(loop);
  assert_int_equal(a.calls + b.calls, 14);
  end();
}

static void a_source_that_is_turned_off_loses_what_waited(void** state) {
  (void)state;
  begin();
  create_files('1', '3');
  set_enabled(&b, SD_EVENT_OFF);
  iterate_times(loop, 4);
  set_limit(&b, 0, 0);
  set_enabled(&b, SD_EVENT_ON);
  iterate_until_idle(loop);
  assert_int_equal(a.calls, differs(kInotifyBehind, 5, 4));  // One of them twice.
  assert_int_equal(b.calls, 1);
  create_file(dir, "4");
  iterate_until_idle(loop);
  assert_int_equal(b.calls, 2);
  end();
}

static int off_and_on(void* context) {
  (void)context;
  begin();
  create_files('1', '3');
  set_enabled(&b, SD_EVENT_OFF);
  set_enabled(&b, SD_EVENT_ON);
  iterate_times(loop, 4);
  create_file(dir, "4");
  iterate_times(loop, 4);
  set_limit(&b, 0, 0);
  iterate_until_idle(loop);
  return (int)(a.calls * 10 + b.calls);
}
static void a_source_that_is_turned_off_and_on_loses_nothing(void** state) {
  (void)state;
  assert_result(in_child(off_and_on, NULL), differs(kInotifyBehind, 61, 55));
}

static void act_turn_on(struct Probe* p) { set_enabled(p, SD_EVENT_ONESHOT); }
static void a_oneshot_source_that_turns_itself_on_gets_each_of_them(void** state) {
  (void)state;
  begin();
  create_files('1', '3');
  b.act = act_turn_on;
  set_enabled(&b, SD_EVENT_ONESHOT);
  set_limit(&b, 0, 0);
  iterate_until_idle(loop);
  assert_int_equal(a.calls + b.calls, 8);
  end();
}
static void a_oneshot_source_gets_one_of_them(void** state) {
  (void)state;
  begin();
  create_files('1', '3');
  set_enabled(&b, SD_EVENT_ONESHOT);
  set_limit(&b, 0, 0);
  iterate_until_idle(loop);
  assert_int_equal(a.calls, 4);
  assert_int_equal(b.calls, 2);
  end();
}

static void a_source_is_freed_while_its_events_wait(void** state) {
  (void)state;
  begin();
  create_files('1', '3');
  free_probe(&b);
  create_files('4', '5');
  iterate_until_idle(loop);
  assert_int_equal(a.calls, differs(kInotifyBehind, 7, 6));  // One of them twice.
  end();
}

static char last_name[16];
static int free_and_read(sd_event_source* s, const struct inotify_event* event, void* userdata) {
  sd_event_source** source = userdata;
  if (is_limited(&(struct Probe){.source = s})) fail_msg("a source that is over its limit was dispatched");
  if (event->name[0] == '2') *source = sd_event_source_unref(*source);
  strcpy(last_name, event->name);
  return 0;
}
static void a_source_is_freed_in_the_callback_for_an_event_that_waited(void** state) {
  (void)state;
  begin();
  sd_event_source* s = NULL;
  assert_result(sd_event_add_inotify(loop, &s, dir, IN_CREATE, free_and_read, &s), 0);
  assert_result(sd_event_source_set_ratelimit(s, UINT64_MAX, 1), 0);
  create_files('1', '4');
  assert_string_equal(last_name, "1");
  assert_result(sd_event_source_set_ratelimit(s, 0, 0), 0);
  set_limit(&b, 0, 0);
  iterate_until_idle(loop);
  assert_null(s);
  assert_string_equal(last_name, "2");
  assert_int_equal(a.calls + b.calls, 10);
  end();
}

// As many as the kernel keeps by default, and one more.
static void so_many_events_that_the_others_wait_are_not_lost(void** state) {
  (void)state;
  begin();
  enum { kKept = 16384 };
  for (int i = 1; i <= kKept + 5; i++) {
    const char* name = i % 2 ? "f" : "g";  // Of two equal events in a row the kernel keeps one.
    create_file(dir, name);
    remove_file(dir, name);
    iterate_times(loop, 2);
    journal[0] = 0;
  }
  assert_int_equal(b.calls, 1);
  assert_int_equal(a.calls, differs(kInotifyBehind, 2, kKept + 2));
  if (on_reference()) return end();  // The kernel's queue may be full.
  free_probe(&b);
  iterate_until_idle(loop);
  assert_int_equal(a.calls, kKept + 6);
  end();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      dir_test(a_source_of_the_same_file_is_served),
      dir_test(a_source_of_another_file_is_served),
      dir_test(the_end_of_the_limit_brings_all_events_in_their_order),
      dir_test(the_limit_counts_each_of_the_events_that_waited),
      dir_test(a_source_that_is_turned_off_loses_what_waited),
      dir_test(a_source_that_is_turned_off_and_on_loses_nothing),
      dir_test(a_oneshot_source_that_turns_itself_on_gets_each_of_them),
      dir_test(a_oneshot_source_gets_one_of_them),
      dir_test(a_source_is_freed_while_its_events_wait),
      dir_test(a_source_is_freed_in_the_callback_for_an_event_that_waited),
      dir_test(so_many_events_that_the_others_wait_are_not_lost),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
