// SPDX-License-Identifier: MIT
//
// Defer and post sources: pending without any kernel object.
//
// Invariants under test:
// 1. A defer source is pending whenever it exists (also while off, as get_pending tells), and dispatched when enabled.
// 2. When a source other than a post source is dispatched, every enabled post source becomes pending, before the
//    callback runs; each then runs once. Post sources do not trigger post sources.
// 3. A post source that the callback itself adds or enables runs after that very dispatch.
#include "loop_recorder.h"

static void a_defer_source_is_always_pending_and_oneshot_at_first(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_defer(loop, &a);
  assert_int_equal(enabled_of(&a), SD_EVENT_ONESHOT);
  assert_int_equal(is_pending(&a), 1);
  set_enabled(&a, SD_EVENT_OFF);
  assert_int_equal(is_pending(&a), 1);
  assert_result(iterate(loop), 0);
  set_enabled(&a, SD_EVENT_ONESHOT);
  assert_result(iterate(loop), 1);
  assert_int_equal(enabled_of(&a), SD_EVENT_OFF);
  assert_int_equal(is_pending(&a), 1);
  assert_result(iterate(loop), 0);
  set_enabled(&a, SD_EVENT_ON);
  iterate_times(loop, 2);
  assert_journal("a a a ");
  free_probe(&a);
  sd_event_unref(loop);
}

static void act_enable_oneshot(struct Probe* p) {
  assert_int_equal(enabled_of(p), SD_EVENT_OFF);
  if (p->calls < 3) set_enabled(p, SD_EVENT_ONESHOT);
}

static void a_oneshot_callback_may_enable_itself_again(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a", .act = act_enable_oneshot};
  probe_defer(loop, &a);
  assert_int_equal(iterate_until_idle(loop), 3);
  assert_journal("a a a ");
  free_probe(&a);
  sd_event_unref(loop);
}

static void act_note_other_pending(struct Probe* p) { note("[%d] ", is_pending(p->other)); }

static void a_dispatch_makes_post_sources_pending_before_its_callback_runs(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe post = {.name = "post"}, a = {.name = "a", .act = act_note_other_pending, .other = &post};
  probe_post(loop, &post);
  assert_int_equal(enabled_of(&post), SD_EVENT_ON);
  assert_int_equal(is_pending(&post), 0);
  assert_result(iterate(loop), 0);
  probe_defer(loop, &a);
  assert_result(iterate(loop), 1);
  assert_journal("a [1] ");
  assert_int_equal(is_pending(&post), 1);
  assert_result(iterate(loop), 1);
  assert_int_equal(is_pending(&post), 0);
  assert_result(iterate(loop), 0);
  assert_journal("post ");
  free_probe(&a);
  free_probe(&post);
  sd_event_unref(loop);
}

static void each_kind_of_source_triggers_post_sources(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  char* dir = make_dir();
  int fd = make_eventfd(1);
  set_blocked(SIGCHLD, true);
  struct Probe post = {.name = "post"}, io = {.name = "io"}, timer = {.name = "time"}, sig = {.name = "signal"};
  struct Probe child = {.name = "child"}, inotify = {.name = "inotify"}, defer = {.name = "defer"};
  probe_post(loop, &post);
  probe_io(loop, &io, fd, EPOLLIN);
  set_enabled(&io, SD_EVENT_ONESHOT);
  iterate_until_idle(loop);
  probe_time(loop, &timer, CLOCK_MONOTONIC, 1);
  iterate_until_idle(loop);
  probe_signal(loop, &sig, SIGUSR1 | SD_EVENT_SIGNAL_PROCMASK);
  kill(getpid(), SIGUSR1);
  iterate_until_idle(loop);
  probe_child(loop, &child, spawn_zombie(0), WEXITED);
  iterate_until_idle(loop);
  probe_inotify(loop, &inotify, dir, IN_CREATE);
  create_file(dir, "f");
  iterate_until_idle(loop);
  probe_defer(loop, &defer);
  iterate_until_idle(loop);
  assert_journal("io post time post signal post child:1:0 post inotify:100:f post defer post ");
  struct Probe* all[] = {&post, &io, &timer, &sig, &child, &inotify, &defer};
  for (size_t i = 0; i < lengthof(all); i++) free_probe(all[i]);
  close(fd);
  sd_event_unref(loop);
  set_blocked(SIGCHLD, false);
  remove_dir(dir);
}

static void several_post_sources_run_once_each_and_do_not_trigger_each_other(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"}, b = {.name = "b"}, off = {.name = "off"}, defer = {.name = "defer"};
  probe_post(loop, &a);
  probe_post(loop, &b);
  probe_post(loop, &off);
  set_enabled(&off, SD_EVENT_OFF);
  set_priority(&b, -1);
  probe_defer(loop, &defer);
  set_priority(&defer, -2);
  assert_int_equal(iterate_until_idle(loop), 3);
  assert_journal("defer b a ");
  set_enabled(&defer, SD_EVENT_ONESHOT);
  set_enabled(&off, SD_EVENT_ONESHOT);
  set_priority(&off, 9);
  assert_int_equal(iterate_until_idle(loop), 4);
  assert_int_equal(enabled_of(&off), SD_EVENT_OFF);
  assert_journal("defer b a off ");
  free_probe(&a);
  free_probe(&b);
  free_probe(&off);
  free_probe(&defer);
  sd_event_unref(loop);
}

static void a_post_source_of_better_priority_runs_after_each_dispatch(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(1);
  struct Probe post = {.name = "post"}, io = {.name = "io"};
  probe_post(loop, &post);
  probe_io(loop, &io, fd, EPOLLIN);
  set_priority(&post, -1);
  iterate_times(loop, 6);
  assert_journal("io post io post io post ");
  set_priority(&post, 1);
  assert_int_equal(is_pending(&post), 0);
  iterate_times(loop, 3);
  assert_journal("io io io ");
  assert_int_equal(is_pending(&post), 1);
  set_enabled(&io, SD_EVENT_OFF);
  assert_int_equal(iterate_until_idle(loop), 1);
  assert_journal("post ");
  free_probe(&post);
  free_probe(&io);
  close(fd);
  sd_event_unref(loop);
}

static void off_takes_a_post_source_back(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe post = {.name = "post"};
  probe_post(loop, &post);
  gather(loop);
  assert_int_equal(is_pending(&post), 1);
  set_enabled(&post, SD_EVENT_OFF);
  assert_int_equal(is_pending(&post), 0);
  set_enabled(&post, SD_EVENT_ON);
  assert_result(iterate(loop), 0);
  assert_journal("");
  free_probe(&post);
  sd_event_unref(loop);
}

static void act_add_post(struct Probe* p) { probe_post(p->loop, p->other); }
static void act_enable_post(struct Probe* p) { set_enabled(p->other, SD_EVENT_ON); }
static void act_toggle_post(struct Probe* p) {
  set_enabled(p->other, SD_EVENT_OFF);
  set_enabled(p->other, SD_EVENT_ON);
}

static void a_post_source_that_a_callback_adds_or_enables_runs_after_that_very_dispatch(void** state) {
  (void)state;
  void (*const acts[])(struct Probe*) = {act_add_post, act_enable_post, act_toggle_post};
  for (size_t i = 0; i < lengthof(acts); i++) {
    sd_event* loop = make_loop();
    struct Probe post = {.name = "post"}, a = {.name = "a", .act = acts[i], .other = &post};
    if (acts[i] != act_add_post) probe_post(loop, &post);
    if (acts[i] == act_enable_post) set_enabled(&post, SD_EVENT_OFF);
    probe_defer(loop, &a);
    iterate_until_idle(loop);
    assert_journal(differs_text(kPostOfCallback, "a ", "a post "));
    free_probe(&a);
    free_probe(&post);
    sd_event_unref(loop);
  }
}

static void a_post_source_is_not_starved_by_a_defer_source_of_equal_priority(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe post = {.name = "post"}, a = {.name = "a"};
  probe_post(loop, &post);
  probe_defer(loop, &a);
  set_enabled(&a, SD_EVENT_ON);
  iterate_times(loop, 8);
  assert_true((post.calls > 0) == differs(kDeferTurns, 0, 1));
  journal[0] = 0;
  free_probe(&a);
  free_probe(&post);
  sd_event_unref(loop);
}

static void a_post_source_that_an_exit_callback_adds_or_enables_is_said_to_be_pending(void** state) {
  (void)state;
  void (*const acts[])(struct Probe*) = {act_add_post, act_enable_post, act_toggle_post};
  for (size_t i = 0; i < lengthof(acts); i++) {
    sd_event* loop = make_loop();
    struct Probe post = {.name = "post"}, last = {.name = "last", .act = acts[i], .other = &post},
                 more = {.name = "more"};
    if (acts[i] != act_add_post) probe_post(loop, &post);
    if (acts[i] == act_enable_post) set_enabled(&post, SD_EVENT_OFF);
    probe_exit(loop, &last);
    probe_exit(loop, &more);
    set_priority(&last, -1);
    assert_result(sd_event_exit(loop, 0), 0);
    assert_result(iterate(loop), 1);
    assert_int_equal(is_pending(&post), differs(kPostOfCallback, 0, 1));
    assert_result(iterate(loop), 1);
    assert_journal("last more ");
    free_probe(&last);
    free_probe(&more);
    free_probe(&post);
    sd_event_unref(loop);
  }
}

static void an_exit_source_does_not_run_post_sources(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe post = {.name = "post"}, exit = {.name = "exit"};
  probe_post(loop, &post);
  probe_exit(loop, &exit);
  assert_result(sd_event_exit(loop, 0), 0);
  assert_int_equal(sd_event_loop(loop), 0);
  assert_journal("exit ");
  free_probe(&post);
  free_probe(&exit);
  sd_event_unref(loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      recorded_test(a_defer_source_is_always_pending_and_oneshot_at_first),
      recorded_test(a_oneshot_callback_may_enable_itself_again),
      recorded_test(a_dispatch_makes_post_sources_pending_before_its_callback_runs),
      recorded_test(each_kind_of_source_triggers_post_sources),
      recorded_test(several_post_sources_run_once_each_and_do_not_trigger_each_other),
      recorded_test(a_post_source_of_better_priority_runs_after_each_dispatch),
      recorded_test(off_takes_a_post_source_back),
      recorded_test(a_post_source_that_a_callback_adds_or_enables_runs_after_that_very_dispatch),
      recorded_test(a_post_source_is_not_starved_by_a_defer_source_of_equal_priority),
      recorded_test(a_post_source_that_an_exit_callback_adds_or_enables_is_said_to_be_pending),
      recorded_test(an_exit_source_does_not_run_post_sources),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
