// SPDX-License-Identifier: MIT
//
// get_pending and get_io_revents along an iteration: what makes a source pending, and which calls take that back.
//
// A source of another kind than defer becomes pending in wait (or prepare) and stops being so when it is dispatched,
// turned off, or given another event mask or any time or accuracy; another fd leaves it pending. A defer source is
// pending from the start and says so even while it is off; a post source becomes pending when another source is
// dispatched. After the loop says PENDING a dispatch is due even if nothing is pending any more: it returns 1 and calls
// nothing.
#include "harness.h"

struct Fixture {
  sd_event* loop;
  sd_event_source *io, *timer, *signal;
  int in, out;
};

static struct Fixture open_fixture(void) {
  struct Fixture f = {.loop = make_loop()};
  int fds[2];
  assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
  f.in = fds[0];
  f.out = fds[1];
  set_blocked(SIGUSR1, true);
  assert_int_equal(sd_event_add_io(f.loop, &f.io, f.in, EPOLLIN, on_io, NULL), 0);
  assert_int_equal(sd_event_add_time(f.loop, &f.timer, CLOCK_MONOTONIC, 1, 1, on_time, NULL), 0);
  assert_int_equal(sd_event_add_signal(f.loop, &f.signal, SIGUSR1, on_signal, NULL), 0);
  return f;
}

static void drain_signal(void) {
  sigset_t set;
  struct timespec none = {0};
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigtimedwait(&set, NULL, &none);
}

static void close_fixture(struct Fixture f) {
  sd_event_source_unref(f.io);
  sd_event_source_unref(f.timer);
  sd_event_source_unref(f.signal);
  assert_null(sd_event_unref(f.loop));
  close(f.in);
  close(f.out);
  drain_signal();
  set_blocked(SIGUSR1, false);
}

static void make_all_ready(struct Fixture f) {
  assert_int_equal(write(f.out, "x", 1), 1);
  assert_int_equal(raise(SIGUSR1), 0);
  assert_int_equal(sd_event_prepare(f.loop), 0);
  assert_int_equal(sd_event_wait(f.loop, 0), 1);
  assert_int_equal(sd_event_get_state(f.loop), SD_EVENT_PENDING);
}

static bool pending(sd_event_source* s) {
  int r = sd_event_source_get_pending(s);
  assert_true(r == 0 || r == 1);
  return r == 1;
}

static void sources_become_pending_in_wait_and_are_not_after_their_dispatch(void** state) {
  (void)state;
  struct Fixture f = open_fixture();
  assert_false(pending(f.io) || pending(f.timer) || pending(f.signal));
  make_all_ready(f);
  assert_true(pending(f.io) && pending(f.timer) && pending(f.signal));
  int before = 3;
  while (before > 0) {
    assert_int_equal(sd_event_dispatch(f.loop), 1);
    int after = pending(f.io) + pending(f.timer) + pending(f.signal);
    assert_int_equal(after, before - 1);
    before = after;
    char byte;
    if (!pending(f.io)) assert_true(read(f.in, &byte, 1) == 1 || errno == EAGAIN);
    if (before > 0) assert_int_equal(sd_event_prepare(f.loop), 1);
  }
  assert_int_equal(sd_event_run(f.loop, 0), 0);
  close_fixture(f);
}

static void turning_off_clears_pending_for_good(void** state) {
  (void)state;
  struct Fixture f = open_fixture();
  make_all_ready(f);
  sd_event_source* all[] = {f.io, f.timer, f.signal};
  for (size_t i = 0; i < lengthof(all); i++) {
    assert_int_equal(sd_event_source_set_enabled(all[i], SD_EVENT_OFF), 0);
    assert_false(pending(all[i]));
  }
  assert_int_equal(sd_event_get_state(f.loop), SD_EVENT_PENDING);
  assert_int_equal(sd_event_dispatch(f.loop), 1);
  assert_int_equal(sd_event_get_state(f.loop), SD_EVENT_INITIAL);
  assert_int_equal(sd_event_run(f.loop, 0), 0);
  close_fixture(f);
}

// A change made while the three sources are pending; says which of them are pending after it, as "io time signal".
static void after(int (*change)(struct Fixture* f), const char* expected) {
  struct Fixture f = open_fixture();
  char got[32];
  make_all_ready(f);
  assert_result(change(&f), 0);
  snprintf(got, sizeof(got), "%s %s %s", pending(f.io) ? "io" : "-", pending(f.timer) ? "time" : "-",
           pending(f.signal) ? "signal" : "-");
  assert_string_equal(got, expected);
  assert_int_equal(sd_event_get_state(f.loop), SD_EVENT_PENDING);
  close_fixture(f);
}

static int turn_on_what_is_on(struct Fixture* f) {
  return sd_event_source_set_enabled(f->io, SD_EVENT_ON) | sd_event_source_set_enabled(f->timer, SD_EVENT_ONESHOT) |
         sd_event_source_set_enabled(f->signal, SD_EVENT_ON);
}

static int swap_on_and_oneshot(struct Fixture* f) {
  return sd_event_source_set_enabled(f->io, SD_EVENT_ONESHOT) | sd_event_source_set_enabled(f->timer, SD_EVENT_ON) |
         sd_event_source_set_enabled(f->signal, SD_EVENT_ONESHOT);
}

static int turn_off_and_on(struct Fixture* f) {
  return sd_event_source_set_enabled(f->io, SD_EVENT_OFF) | sd_event_source_set_enabled(f->timer, SD_EVENT_OFF) |
         sd_event_source_set_enabled(f->signal, SD_EVENT_OFF) | turn_on_what_is_on(f);
}

static int new_priority(struct Fixture* f) {
  return sd_event_source_set_priority(f->io, 1) | sd_event_source_set_priority(f->timer, 2) |
         sd_event_source_set_priority(f->signal, 3);
}

static int set_prepare(struct Fixture* f) { return sd_event_source_set_prepare(f->io, on_event); }
static int set_ratelimit(struct Fixture* f) { return sd_event_source_set_ratelimit(f->io, 1000000, 5); }
static int same_fd(struct Fixture* f) { return sd_event_source_set_io_fd(f->io, f->in); }
static int other_fd(struct Fixture* f) { return sd_event_source_set_io_fd(f->io, f->out); }
static int same_events(struct Fixture* f) { return sd_event_source_set_io_events(f->io, EPOLLIN); }
static int more_events(struct Fixture* f) { return sd_event_source_set_io_events(f->io, EPOLLIN | EPOLLPRI); }
static int edge_events(struct Fixture* f) { return sd_event_source_set_io_events(f->io, EPOLLIN | EPOLLET); }
static int same_time(struct Fixture* f) { return sd_event_source_set_time(f->timer, 1); }
static int other_time(struct Fixture* f) { return sd_event_source_set_time(f->timer, 2); }
static int relative_time(struct Fixture* f) { return sd_event_source_set_time_relative(f->timer, 0); }
static int same_accuracy(struct Fixture* f) { return sd_event_source_set_time_accuracy(f->timer, 1); }
static int other_accuracy(struct Fixture* f) { return sd_event_source_set_time_accuracy(f->timer, 2); }

static void turning_on_what_is_on_keeps_pending(void** state) {
  (void)state;
  after(turn_on_what_is_on, "io time signal");
  after(swap_on_and_oneshot, "io time signal");
}

static void turning_off_and_on_clears_pending(void** state) {
  (void)state;
  after(turn_off_and_on, "- - -");
}

static void a_new_priority_keeps_pending(void** state) {
  (void)state;
  after(new_priority, "io time signal");
}

static void a_prepare_callback_and_a_ratelimit_keep_pending(void** state) {
  (void)state;
  after(set_prepare, "io time signal");
  after(set_ratelimit, "io time signal");
}

static void another_event_mask_and_another_fd_clear_pending(void** state) {
  (void)state;
  after(same_fd, "io time signal");
  after(other_fd, differs_text(kMovedFd, "io time signal", "- time signal"));
  after(same_events, "io time signal");
  after(more_events, "- time signal");
  after(edge_events, "- time signal");
}

static void any_time_or_accuracy_clears_pending(void** state) {
  (void)state;
  after(same_time, "io - signal");
  after(other_time, "io - signal");
  after(relative_time, "io - signal");
  after(same_accuracy, "io - signal");
  after(other_accuracy, "io - signal");
}

static void what_is_ready_is_pending_once_an_iteration_has_asked_about_it(void** state) {
  (void)state;
  struct Fixture f = open_fixture();
  sd_event_source* defer = NULL;
  uint32_t revents = 0;
  assert_int_equal(sd_event_add_defer(f.loop, &defer, on_event, NULL), 0);
  assert_int_equal(sd_event_source_set_priority(defer, -5), 0);
  assert_int_equal(write(f.out, "x", 1), 1);
  assert_int_equal(raise(SIGUSR1), 0);
  assert_int_equal(sd_event_run(f.loop, 0), 1);
  assert_int_equal(sd_event_source_get_enabled(defer, NULL), 0);
  assert_int_equal(pending(f.io) && pending(f.timer) && pending(f.signal), differs(kAskedBefore, 1, 0));
  if (sd_event_prepare(f.loop) == 0) assert_int_equal(sd_event_wait(f.loop, 0), 1);
  assert_int_equal(sd_event_get_state(f.loop), SD_EVENT_PENDING);
  assert_true(pending(f.io) && pending(f.timer) && pending(f.signal));
  assert_result(sd_event_source_get_io_revents(f.io, &revents), 0);
  assert_int_equal(revents, EPOLLIN);
  sd_event_source_unref(defer);
  close_fixture(f);
}

static void post_sources_are_pending_once_another_source_was_dispatched(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  sd_event_source *defer = NULL, *post = NULL;
  assert_int_equal(sd_event_add_defer(loop, &defer, on_event, NULL), 0);
  assert_int_equal(sd_event_add_post(loop, &post, on_event, NULL), 0);
  assert_false(pending(post));
  assert_int_equal(sd_event_run(loop, 0), 1);
  assert_true(pending(post));
  assert_int_equal(sd_event_source_set_enabled(post, SD_EVENT_OFF), 0);
  assert_false(pending(post));
  assert_int_equal(sd_event_source_set_enabled(post, SD_EVENT_ON), 0);
  assert_false(pending(post));
  assert_int_equal(sd_event_run(loop, 0), 0);
  sd_event_source_unref(defer);
  sd_event_source_unref(post);
  sd_event_unref(loop);
}

static void defer_sources_are_pending_after_their_dispatch_on_or_off(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  sd_event_source* defer = NULL;
  assert_int_equal(sd_event_add_defer(loop, &defer, on_event, NULL), 0);
  assert_int_equal(sd_event_run(loop, 0), 1);
  assert_true(pending(defer));
  assert_int_equal(sd_event_source_get_enabled(defer, NULL), 0);
  assert_int_equal(sd_event_run(loop, 0), 0);
  assert_int_equal(sd_event_source_set_enabled(defer, SD_EVENT_ON), 0);
  assert_int_equal(sd_event_run(loop, 0), 1);
  assert_true(pending(defer));
  sd_event_source_unref(defer);
  sd_event_unref(loop);
}

int main(void) {
  signal(SIGUSR1, SIG_IGN);  // one that a failed test leaves is dropped when its mask goes, and does not kill the rest
  const struct CMUnitTest tests[] = {
      clean_test(sources_become_pending_in_wait_and_are_not_after_their_dispatch),
      clean_test(turning_off_clears_pending_for_good),
      clean_test(turning_on_what_is_on_keeps_pending),
      clean_test(turning_off_and_on_clears_pending),
      clean_test(a_new_priority_keeps_pending),
      clean_test(a_prepare_callback_and_a_ratelimit_keep_pending),
      clean_test(another_event_mask_and_another_fd_clear_pending),
      clean_test(any_time_or_accuracy_clears_pending),
      clean_test(what_is_ready_is_pending_once_an_iteration_has_asked_about_it),
      clean_test(post_sources_are_pending_once_another_source_was_dispatched),
      clean_test(defer_sources_are_pending_after_their_dispatch_on_or_off),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
