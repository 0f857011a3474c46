// SPDX-License-Identifier: MIT
//
// Programs that poll the loop's descriptor without `prepare`, and loops that watch other loops.
//
// Invariants under test:
// 1. What a callback, or the program between two runs, changes of an I/O source counts for the descriptor at once.
// 2. The descriptor keeps its number, and who watches it hears on, also when a duplicate has left a registration behind
//    that can't be removed.
#include <sys/socket.h>

#include "loop_recorder.h"

// Looks at the descriptor as who got it once, and does not ask the loop again.
static bool is_readable(int fd) {
  struct pollfd p = {.fd = fd, .events = POLLIN};
  return poll(&p, 1, 0) == 1;
}

static void change_events(struct Probe* p, uint32_t events) {
  set_enabled(p, SD_EVENT_OFF);
  assert_result(sd_event_source_set_io_events(p->source, events), 0);
  set_enabled(p, SD_EVENT_ON);
}

static void act_write_next(struct Probe* p) {
  char byte;
  if (p->revents & EPOLLIN) {
    assert_int_equal(read(sd_event_source_get_io_fd(p->source), &byte, 1), 1);
    change_events(p, EPOLLOUT);
  } else {
    set_enabled(p, SD_EVENT_OFF);
  }
}

static void a_change_in_a_callback_is_seen_by_who_polls_the_descriptor(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int ends[2];
  struct Probe io = {.name = "io", .act = act_write_next};
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  probe_io(loop, &io, ends[0], EPOLLIN);
  const int fd = sd_event_get_fd(loop);
  assert_int_equal(write(ends[1], "x", 1), 1);
  for (unsigned i = 1; i <= 2; i++) {
    assert_true(is_readable(fd));
    assert_result(iterate(loop), 1);
    assert_int_equal(io.calls, i);
  }
  assert_false(is_readable(fd));
  // And between two runs.
  change_events(&io, EPOLLIN | EPOLLOUT);
  assert_true(is_readable(fd));
  assert_result(iterate(loop), 1);
  assert_int_equal(io.calls, 3);
  assert_int_equal(io.revents, EPOLLOUT);
  assert_false(is_readable(fd));
  set_enabled(&io, SD_EVENT_ON);
  assert_true(is_readable(fd));
  set_enabled(&io, SD_EVENT_OFF);
  assert_false(is_readable(fd));
  journal[0] = 0;
  free_probe(&io);
  sd_event_unref(loop);
  close(ends[0]);
  close(ends[1]);
}

static void the_descriptor_keeps_its_number(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe io = {.name = "io", .act = act_lower}, timer = {.name = "timer"};
  const int number = sd_event_get_fd(loop), fd = make_eventfd(1);
  assert_true(number > 2);
  probe_io(loop, &io, fd, EPOLLIN);
  probe_time(loop, &timer, CLOCK_MONOTONIC, 1);
  assert_int_equal(sd_event_get_fd(loop), number);
  assert_int_equal(iterate_until_idle(loop), 2);
  assert_int_equal(sd_event_get_fd(loop), number);
  free_probe(&io);
  free_probe(&timer);
  assert_result(iterate(loop), 0);
  assert_int_equal(sd_event_get_fd(loop), number);
  journal[0] = 0;
  close(fd);
  sd_event_unref(loop);
}

static void drive(sd_event* inner, sd_event* outer) {
  for (int i = 0; i < 4; i++) {
    if (sd_event_prepare(inner) > 0) {
      assert_result(sd_event_dispatch(inner), 1);
      continue;
    }
    assert_true(iterate(outer) >= 0);
    if (sd_event_wait(inner, 0) > 0) assert_result(sd_event_dispatch(inner), 1);
  }
}

// A source is freed after its descriptor was closed, and a duplicate is left: what it had registered stays in the
// kernel.
static int hear_after_ghosts(void* context) {
  (void)context;
  sd_event *inner = make_loop(), *outer = make_loop();
  const int fd = make_eventfd(0), number = sd_event_get_fd(inner);
  struct Probe watch = {.name = "outer"}, io = {.name = "inner", .act = act_lower};
  probe_io(inner, &io, fd, EPOLLIN);
  probe_io(outer, &watch, number, EPOLLIN);
  for (int i = 0; i < 3; i++) {
    struct Probe ghost = {.name = "ghost"};
    const int closed = make_eventfd(0), duplicate = fcntl(closed, F_DUPFD_CLOEXEC, 100);
    probe_io(inner, &ghost, closed, EPOLLIN);
    close(closed);
    free_probe(&ghost);
    raise_eventfd(duplicate);
    drive(inner, outer);
    const unsigned before = io.calls, woken = watch.calls;
    raise_eventfd(fd);
    drive(inner, outer);
    if (io.calls != before + 1 || watch.calls == woken) return 1;
    if (sd_event_get_fd(inner) != number) return 2;
    if (sd_event_prepare(inner) != 0 || fd_readable(inner, 0)) return 3;
    (void)sd_event_wait(inner, 0);
  }
  return 0;
}

static void a_loop_that_watches_another_hears_it_after_a_registration_was_left_behind(void** state) {
  (void)state;
  assert_int_equal(in_child(hear_after_ghosts, NULL), differs(kDuplicateLeft, died_of(SIGABRT), 0));
}

// Each callback runs the next loop further in. The innermost loop has the only event.
enum { kDeep = 3 };
static sd_event* nested[kDeep];
static void act_run_next(struct Probe* p) { assert_result(iterate(nested[p - p->other + 1]), 1); }

static int hear_three_deep(void* context) {
  const bool ghosts = context != NULL;
  struct Probe probes[kDeep];
  int lent[kDeep];
  const int fd = make_eventfd(0);
  for (int i = kDeep - 1; i >= 0; i--) {
    const bool innermost = i == kDeep - 1;
    nested[i] = make_loop();
    probes[i] = (struct Probe){.name = "i", .act = innermost ? act_lower : act_run_next, .other = probes};
    probe_io(nested[i], &probes[i], innermost ? fd : lent[i + 1], EPOLLIN);
    lent[i] = sd_event_get_fd(nested[i]);
  }
  for (unsigned heard = 1; heard <= 3; heard++) {
    for (int i = 0; ghosts && i < kDeep; i++) {
      struct Probe ghost = {.name = "ghost"};
      const int closed = make_eventfd(0), duplicate = fcntl(closed, F_DUPFD_CLOEXEC, 100);
      probe_io(nested[i], &ghost, closed, EPOLLIN);
      close(closed);
      free_probe(&ghost);
      raise_eventfd(duplicate);
      for (int k = kDeep - 1; k >= 0; k--) (void)iterate(nested[k]);
    }
    raise_eventfd(fd);
    if (!is_readable(lent[0]) || iterate(nested[0]) != 1) return 1;
    for (int i = 0; i < kDeep; i++)
      if (probes[i].calls != heard) return 2;
    for (int i = 0; i < kDeep; i++)
      if (is_readable(lent[i])) return 3;
  }
  for (int i = 0; i < kDeep; i++) free_probe(&probes[i]);
  for (int i = 0; i < kDeep; i++) sd_event_unref(nested[i]);
  close(fd);
  journal[0] = 0;
  return 0;
}

static void an_event_is_heard_three_loops_deep(void** state) {
  (void)state;
  assert_int_equal(hear_three_deep(NULL), 0);
  int ghosts = 1;
  assert_int_equal(in_child(hear_three_deep, &ghosts), differs(kDuplicateLeft, died_of(SIGABRT), 0));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      recorded_test(a_change_in_a_callback_is_seen_by_who_polls_the_descriptor),
      recorded_test(the_descriptor_keeps_its_number),
      recorded_test(an_event_is_heard_three_loops_deep),
      recorded_test(a_loop_that_watches_another_hears_it_after_a_registration_was_left_behind),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
