// SPDX-License-Identifier: MIT
//
// Prepare callbacks: run once an iteration for each enabled source that has one, before anything is dispatched.
//
// Invariants under test:
// 1. Lower priority values first; also in iterations in which something is pending already; not while exiting.
// 2. What one prepare callback enables, disables or adds counts for the ones after it in the same prepare.
// 3. A prepare callback that fails turns its source off (with exit_on_failure: ends the loop) and stops no other one.
// 4. It is no dispatch: ONESHOT is not used up, post sources do not become pending.
#include "loop_recorder.h"

static void prepare_callbacks_run_by_priority_in_each_iteration(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(0), fd2 = make_eventfd(0);
  struct Probe a = {.name = "a"}, b = {.name = "b"}, post = {.name = "post"}, defer = {.name = "defer"};
  probe_io(loop, &a, fd, EPOLLIN);
  probe_io(loop, &b, fd2, EPOLLIN);
  probe_post(loop, &post);
  set_priority(&b, -1);
  assert_result(sd_event_source_set_prepare(a.source, record_prepare), 0);
  assert_result(sd_event_source_set_prepare(b.source, record_prepare), 0);
  assert_result(iterate(loop), 0);
  assert_result(iterate(loop), 0);
  assert_journal("(b) (a) (b) (a) ");
  assert_int_equal(is_pending(&post), 0);

  set_priority(&b, 1);
  assert_result(iterate(loop), 0);
  assert_journal("(a) (b) ");

  probe_defer(loop, &defer);
  set_priority(&defer, -100);
  assert_result(iterate(loop), 1);
  assert_journal("(a) (b) defer ");

  assert_result(sd_event_source_set_prepare(a.source, NULL), 0);
  set_priority(&post, -100);
  set_enabled(&post, SD_EVENT_OFF);
  assert_result(iterate(loop), 0);
  assert_journal("(b) ");
  free_probe(&a);
  free_probe(&b);
  free_probe(&post);
  free_probe(&defer);
  close(fd);
  close(fd2);
  sd_event_unref(loop);
}

static void a_disabled_source_is_not_prepared_and_oneshot_is_not_used_up(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(0);
  struct Probe a = {.name = "a"};
  probe_io(loop, &a, fd, EPOLLIN);
  assert_result(sd_event_source_set_prepare(a.source, record_prepare), 0);
  set_enabled(&a, SD_EVENT_OFF);
  assert_result(iterate(loop), 0);
  assert_journal("");
  set_enabled(&a, SD_EVENT_ONESHOT);
  assert_result(iterate(loop), 0);
  assert_result(iterate(loop), 0);
  assert_int_equal(enabled_of(&a), SD_EVENT_ONESHOT);
  assert_journal("(a) (a) ");
  free_probe(&a);
  close(fd);
  sd_event_unref(loop);
}

static void a_disabled_source_with_a_prepare_callback_does_not_jump_the_queue(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd_a = make_eventfd(1), fd_b = make_eventfd(0);
  struct Probe a = {.name = "a"}, b = {.name = "b", .act = act_lower};
  probe_io(loop, &a, fd_a, EPOLLIN);
  probe_io(loop, &b, fd_b, EPOLLIN);
  assert_result(sd_event_source_set_prepare(a.source, record_prepare), 0);
  set_priority(&a, -1);
  gather(loop);
  assert_int_equal(is_pending(&a), 1);
  set_enabled(&a, SD_EVENT_OFF);
  raise_eventfd(fd_b);
  assert_result(iterate(loop), 1);
  assert_result(iterate(loop), 0);
  assert_journal("(a) b ");
  free_probe(&a);
  free_probe(&b);
  close(fd_a);
  close(fd_b);
  sd_event_unref(loop);
}

static int fail_to_prepare(sd_event_source* s, void* userdata) { return record_prepare(s, userdata), -EIO; }

static void a_prepare_callback_that_fails_turns_its_source_off_alone(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd_a = make_eventfd(1), fd_b = make_eventfd(1);
  struct Probe a = {.name = "a"}, b = {.name = "b"};
  probe_io(loop, &a, fd_a, EPOLLIN);
  probe_io(loop, &b, fd_b, EPOLLIN);
  assert_result(sd_event_source_set_prepare(a.source, fail_to_prepare), 0);
  assert_result(sd_event_source_set_prepare(b.source, record_prepare), 0);
  set_priority(&a, -1);
  assert_result(iterate(loop), 1);
  assert_int_equal(enabled_of(&a), SD_EVENT_OFF);
  assert_journal("(a) (b) b ");
  assert_result(iterate(loop), 1);
  assert_journal("(b) b ");
  free_probe(&a);
  free_probe(&b);
  close(fd_a);
  close(fd_b);
  sd_event_unref(loop);
}

static void a_prepare_callback_that_fails_with_exit_on_failure_ends_the_loop(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd_a = make_eventfd(0), fd_b = make_eventfd(0);
  struct Probe a = {.name = "a"}, b = {.name = "b"};
  probe_io(loop, &a, fd_a, EPOLLIN);
  probe_io(loop, &b, fd_b, EPOLLIN);
  assert_result(sd_event_source_set_exit_on_failure(a.source, 1), 1);
  assert_result(sd_event_source_set_prepare(a.source, fail_to_prepare), 0);
  assert_result(sd_event_source_set_prepare(b.source, record_prepare), 0);
  set_priority(&a, -1);
  assert_int_equal(sd_event_loop(loop), -EIO);
  assert_journal("(a) (b) ");
  free_probe(&a);
  free_probe(&b);
  close(fd_a);
  close(fd_b);
  sd_event_unref(loop);
}

static int prepare_disables_other(sd_event_source* s, void* userdata) {
  struct Probe* p = userdata;
  return record_prepare(s, userdata), sd_event_source_set_enabled(p->other->source, SD_EVENT_OFF);
}
static int prepare_enables_other(sd_event_source* s, void* userdata) {
  struct Probe* p = userdata;
  return record_prepare(s, userdata), sd_event_source_set_enabled(p->other->source, SD_EVENT_ON);
}

static void a_prepare_callback_may_disable_or_enable_a_source_that_is_prepared_after_it(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd_a = make_eventfd(0), fd_b = make_eventfd(1);
  struct Probe b = {.name = "b"}, a = {.name = "a", .other = &b};
  probe_io(loop, &a, fd_a, EPOLLIN);
  probe_io(loop, &b, fd_b, EPOLLIN);
  assert_result(sd_event_source_set_prepare(a.source, prepare_disables_other), 0);
  assert_result(sd_event_source_set_prepare(b.source, record_prepare), 0);
  set_priority(&a, -1);
  assert_result(iterate(loop), 0);
  assert_journal("(a) ");
  assert_result(sd_event_source_set_prepare(a.source, prepare_enables_other), 0);
  assert_result(iterate(loop), 1);
  assert_journal("(a) (b) b ");
  free_probe(&a);
  free_probe(&b);
  close(fd_a);
  close(fd_b);
  sd_event_unref(loop);
}

static int prepare_adds_other(sd_event_source* s, void* userdata) {
  struct Probe* p = userdata;
  record_prepare(s, userdata);
  if (p->other->source) return 0;
  probe_defer(p->loop, p->other);
  return sd_event_source_set_prepare(p->other->source, record_prepare);
}

static void a_source_that_a_prepare_callback_adds_takes_part_in_the_iteration(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(0);
  struct Probe late = {.name = "late"}, a = {.name = "a", .other = &late};
  probe_io(loop, &a, fd, EPOLLIN);
  assert_result(sd_event_source_set_prepare(a.source, prepare_adds_other), 0);
  assert_result(iterate(loop), 1);
  assert_journal("(a) (late) late ");
  free_probe(&a);
  free_probe(&late);
  close(fd);
  sd_event_unref(loop);
}

static int prepare_frees_itself(sd_event_source* s, void* userdata) {
  record_prepare(s, userdata);
  free_probe(userdata);
  return 0;
}
static int prepare_frees_other_and_itself(sd_event_source* s, void* userdata) {
  struct Probe* p = userdata;
  free_probe(p->other);
  return prepare_frees_itself(s, userdata);
}

static void a_prepare_callback_may_free_its_own_and_other_sources(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd_a = make_eventfd(1), fd_b = make_eventfd(1);
  struct Probe defer = {.name = "defer"}, b = {.name = "b"}, a = {.name = "a", .other = &b};
  probe_defer(loop, &defer);
  assert_result(sd_event_source_set_destroy_callback(defer.source, record_destroy), 0);
  assert_result(sd_event_source_set_prepare(defer.source, prepare_frees_itself), 0);
  assert_result(iterate(loop), 0);
  assert_journal("(defer) ~defer ");
  probe_io(loop, &a, fd_a, EPOLLIN);
  probe_io(loop, &b, fd_b, EPOLLIN);
  set_priority(&a, -1);
  assert_result(sd_event_source_set_prepare(a.source, prepare_frees_other_and_itself), 0);
  assert_result(sd_event_source_set_prepare(b.source, record_prepare), 0);
  assert_result(iterate(loop), 0);
  assert_journal("(a) ");
  close(fd_a);
  close(fd_b);
  sd_event_unref(loop);
}

static int prepare_raises(sd_event_source* s, void* userdata) {
  record_prepare(s, userdata);
  raise_eventfd(sd_event_source_get_io_fd(s));
  return 0;
}

static void what_becomes_ready_in_a_prepare_callback_is_found_by_the_same_iteration(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(0);
  struct Probe a = {.name = "a", .act = act_lower};
  probe_io(loop, &a, fd, EPOLLIN);
  assert_result(sd_event_source_set_prepare(a.source, prepare_raises), 0);
  assert_result(sd_event_run(loop, UINT64_MAX), 1);
  assert_journal("(a) a ");
  free_probe(&a);
  close(fd);
  sd_event_unref(loop);
}

static int prepare_moves_and_adds(sd_event_source* s, void* userdata) {
  struct Probe *p = userdata, *other = p->other;
  assert_result(sd_event_source_set_priority(s, 7), 0);
  assert_result(sd_event_add_inotify(sd_event_source_get_event(s), &other->source, "/", IN_CREATE, on_inotify, other),
                0);
  return 0;
}

// An inotify source can be moved until the iteration has begun, and that is after the callbacks.
static void a_prepare_callback_may_still_move_an_inotify_source_and_what_it_adds_can_not_be_moved_later(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe b = {.name = "b"}, a = {.name = "a", .other = &b};
  assert_result(sd_event_add_inotify(loop, &a.source, "/tmp", IN_DELETE_SELF, on_inotify, &a), 0);
  assert_result(sd_event_source_set_prepare(a.source, prepare_moves_and_adds), 0);
  assert_result(sd_event_prepare(loop), 0);
  assert_result(sd_event_source_set_priority(a.source, 8), -EOPNOTSUPP);
  assert_result(sd_event_source_set_priority(b.source, 8), -EOPNOTSUPP);
  assert_result(sd_event_wait(loop, 0), 0);
  sd_event_source_unref(a.source);
  sd_event_source_unref(b.source);
  sd_event_unref(loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      recorded_test(prepare_callbacks_run_by_priority_in_each_iteration),
      recorded_test(a_disabled_source_is_not_prepared_and_oneshot_is_not_used_up),
      recorded_test(a_disabled_source_with_a_prepare_callback_does_not_jump_the_queue),
      recorded_test(a_prepare_callback_that_fails_turns_its_source_off_alone),
      recorded_test(a_prepare_callback_that_fails_with_exit_on_failure_ends_the_loop),
      recorded_test(a_prepare_callback_may_disable_or_enable_a_source_that_is_prepared_after_it),
      recorded_test(a_source_that_a_prepare_callback_adds_takes_part_in_the_iteration),
      recorded_test(a_prepare_callback_may_free_its_own_and_other_sources),
      recorded_test(what_becomes_ready_in_a_prepare_callback_is_found_by_the_same_iteration),
      recorded_test(a_prepare_callback_may_still_move_an_inotify_source_and_what_it_adds_can_not_be_moved_later),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
