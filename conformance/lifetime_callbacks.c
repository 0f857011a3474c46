// SPDX-License-Identifier: MIT
//
// What a callback may destroy: its own source, other sources that are pending in the same iteration, the loop.
//
// Invariants under test:
// 1. Dropping the last reference to the running source detaches it at once (its fd may be closed and reused inside the
//    callback) and frees it when the callback returns; the destroy callback runs then, once.
// 2. A source that another callback frees or disables is not dispatched any more, pending or not.
// 3. The last reference to the loop may go inside a callback: the call that drives it still returns properly.
#include "loop_recorder.h"

static void act_free(struct Probe* p) {
  note("before ");
  free_probe(p);
  note("after ");
}

static void a_source_that_frees_itself_is_destroyed_after_its_callback(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a", .act = act_free};
  probe_defer(loop, &a);
  assert_result(sd_event_source_set_destroy_callback(a.source, record_destroy), 0);
  assert_result(iterate(loop), 1);
  assert_journal("a before after ~a ");
  assert_result(iterate(loop), 0);
  sd_event_unref(loop);
}

static void act_free_close_and_reuse_fd(struct Probe* p) {
  int fd = sd_event_source_get_io_fd(p->source);
  free_probe(p);
  close(fd);
  int again = make_eventfd(0);
  assert_int_equal(again, fd);
  probe_io(p->loop, p->other, again, EPOLLIN);
}

static void an_io_callback_may_free_its_source_and_reuse_the_fd_at_once(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(1);
  struct Probe b = {.name = "b"}, a = {.name = "a", .act = act_free_close_and_reuse_fd, .other = &b};
  probe_io(loop, &a, fd, EPOLLIN);
  assert_result(iterate(loop), 1);
  assert_result(iterate(loop), 0);
  raise_eventfd(sd_event_source_get_io_fd(b.source));
  assert_result(iterate(loop), 1);
  assert_journal("a b ");
  close(sd_event_source_get_io_fd(b.source));
  free_probe(&b);
  sd_event_unref(loop);
}

static void act_free_and_keep_fd_open(struct Probe* p) {
  int copy = fcntl(sd_event_source_get_io_fd(p->source), F_DUPFD_CLOEXEC, 0);
  free_probe(p);
  assert_false(fd_readable(p->loop, 0));  // nothing of it is left in the epoll set
  close(copy);
}

static void a_source_that_frees_itself_leaves_the_epoll_set_inside_the_callback(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(1);
  struct Probe a = {.name = "a", .act = act_free_and_keep_fd_open};
  probe_io(loop, &a, fd, EPOLLIN);
  assert_result(iterate(loop), 1);
  assert_journal("a ");
  close(fd);
  sd_event_unref(loop);
}

static void act_free_other(struct Probe* p) { free_probe(p->other); }
static void act_disable_other(struct Probe* p) { set_enabled(p->other, SD_EVENT_OFF); }

static void a_pending_source_that_another_callback_frees_or_disables_is_not_dispatched(void** state) {
  (void)state;
  void (*const acts[])(struct Probe*) = {act_free_other, act_disable_other};
  for (size_t i = 0; i < lengthof(acts); i++) {
    sd_event* loop = make_loop();
    int fd_a = make_eventfd(1), fd_b = make_eventfd(1);
    struct Probe b = {.name = "b"}, a = {.name = "a", .act = acts[i], .other = &b};
    probe_io(loop, &a, fd_a, EPOLLIN);
    set_enabled(&a, SD_EVENT_ONESHOT);
    probe_io(loop, &b, fd_b, EPOLLIN);
    set_priority(&b, 1);
    gather(loop);
    assert_int_equal(is_pending(&b), 1);
    assert_int_equal(iterate_until_idle(loop), 1);
    assert_journal("a ");
    free_probe(&a);
    free_probe(&b);
    close(fd_a);
    close(fd_b);
    sd_event_unref(loop);
  }
}

static void act_free_both(struct Probe* p) {
  free_probe(p->other);
  free_probe(p);
}

static void a_callback_of_any_kind_may_free_its_own_source_and_another_pending_one(void** state) {
  (void)state;
  for (int kind = 0; kind < 4; kind++) {
    sd_event* loop = make_loop();
    set_blocked(SIGCHLD, true);
    int fd = make_eventfd(1);
    struct Probe io = {.name = "io"}, a = {.name = "a", .act = act_free_both, .other = &io};
    pid_t pid = kind == 2 ? spawn_zombie(0) : 0;
    probe_io(loop, &io, fd, EPOLLIN);
    set_priority(&io, 1);
    if (kind == 0) probe_time(loop, &a, CLOCK_MONOTONIC, 1);
    if (kind == 1) probe_signal(loop, &a, SIGUSR1 | SD_EVENT_SIGNAL_PROCMASK), kill(getpid(), SIGUSR1);
    if (kind == 2) probe_child(loop, &a, pid, WEXITED);
    if (kind == 3) probe_post(loop, &a);
    gather(loop);
    assert_int_equal(iterate_until_idle(loop), 1);
    if (pid) assert_int_equal(child_state(pid), '-');
    assert_int_equal(a.calls, 1);
    assert_int_equal(io.calls, 0);
    journal[0] = 0;
    close(fd);
    sd_event_unref(loop);
    set_blocked(SIGCHLD, false);
  }
}

static void act_unref_loop(struct Probe* p) {
  sd_event_unref(p->loop);
  note("unref ");
}

static void the_last_reference_to_the_loop_may_go_in_a_callback(void** state) {
  (void)state;
  for (int floating = 0; floating < 2; floating++) {
    sd_event* loop = make_loop();
    struct Probe a = {.name = "a", .act = act_unref_loop};
    probe_defer(loop, &a);
    assert_result(sd_event_source_set_destroy_callback(a.source, record_destroy), 0);
    if (floating) {
      assert_result(sd_event_source_set_floating(a.source, 1), 1);
      free_probe(&a);
    }
    assert_result(sd_event_run(loop, 0), 1);
    assert_journal(floating ? "a unref ~a " : "a unref ");
    free_probe(&a);
    assert_journal(floating ? "" : "~a ");
  }
}

static void act_unref_loop_and_source(struct Probe* p) {
  sd_event_unref(p->loop);
  free_probe(p);
  note("unref ");
}

static void a_callback_may_free_its_source_and_its_loop_together(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a", .act = act_unref_loop_and_source};
  probe_defer(loop, &a);
  assert_result(sd_event_source_set_destroy_callback(a.source, record_destroy), 0);
  assert_result(sd_event_run(loop, 0), 1);
  assert_journal("a unref ~a ");
}

static void act_exit_and_unref_loop(struct Probe* p) {
  assert_int_equal(sd_event_exit(p->loop, 12), 0);
  sd_event_unref(p->loop);
}

static void a_loop_may_lose_its_last_reference_while_sd_event_loop_runs(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a", .act = act_exit_and_unref_loop};
  probe_defer(loop, &a);
  assert_result(sd_event_source_set_floating(a.source, 1), 1);
  free_probe(&a);
  assert_int_equal(sd_event_loop(loop), 12);
  assert_journal("a ");
}

static void act_add_many(struct Probe* p) {
  for (int i = 0; i < 100; i++) assert_int_equal(sd_event_add_defer(p->loop, NULL, record_event, p->other), 0);
}

static void a_callback_may_add_many_sources(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe b = {.name = ""}, a = {.name = "a", .act = act_add_many, .other = &b};
  probe_defer(loop, &a);
  assert_int_equal(iterate_until_idle(loop), 101);
  assert_int_equal(b.calls, 100);
  free_probe(&a);
  sd_event_unref(loop);
}

static int unref_and_fail(sd_event_source* s, void* userdata) {
  sd_event_source_unref(s);
  note("%s ", (const char*)userdata);
  return -EIO;
}

static void a_callback_that_fails_after_it_freed_its_source_is_no_problem(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  sd_event_source* s = NULL;
  assert_result(sd_event_add_defer(loop, &s, unref_and_fail, "a"), 0);
  assert_result(sd_event_source_set_enabled(s, SD_EVENT_ON), 0);
  assert_result(iterate(loop), 1);
  assert_result(iterate(loop), 0);
  assert_journal("a ");
  sd_event_unref(loop);
}

static void free_other_on_destroy(void* userdata) {
  struct Probe* p = userdata;
  note("~%s ", p->name);
  if (p->other) free_probe(p->other);
}

static void a_destroy_callback_may_free_another_source(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe b = {.name = "b"}, a = {.name = "a", .other = &b};
  probe_defer(loop, &a);
  probe_defer(loop, &b);
  assert_result(sd_event_source_set_destroy_callback(a.source, free_other_on_destroy), 0);
  assert_result(sd_event_source_set_destroy_callback(b.source, free_other_on_destroy), 0);
  free_probe(&a);
  assert_journal("~a ~b ");
  assert_result(iterate(loop), 0);
  sd_event_unref(loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      recorded_test(a_source_that_frees_itself_is_destroyed_after_its_callback),
      recorded_test(an_io_callback_may_free_its_source_and_reuse_the_fd_at_once),
      recorded_test(a_source_that_frees_itself_leaves_the_epoll_set_inside_the_callback),
      recorded_test(a_pending_source_that_another_callback_frees_or_disables_is_not_dispatched),
      recorded_test(a_callback_of_any_kind_may_free_its_own_source_and_another_pending_one),
      recorded_test(the_last_reference_to_the_loop_may_go_in_a_callback),
      recorded_test(a_callback_may_free_its_source_and_its_loop_together),
      recorded_test(a_loop_may_lose_its_last_reference_while_sd_event_loop_runs),
      recorded_test(a_callback_may_add_many_sources),
      recorded_test(a_callback_that_fails_after_it_freed_its_source_is_no_problem),
      recorded_test(a_destroy_callback_may_free_another_source),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
