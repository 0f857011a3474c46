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
  assert_true(sd_event_get_fd(loop) > 2);
  assert_int_equal(write(ends[1], "x", 1), 1);
  for (unsigned i = 1; i <= 2; i++) {
    assert_true(fd_readable(loop, 0));
    assert_result(iterate(loop), 1);
    assert_int_equal(io.calls, i);
  }
  assert_false(fd_readable(loop, 0));
  // And between two runs.
  change_events(&io, EPOLLIN | EPOLLOUT);
  assert_true(fd_readable(loop, 0));
  set_enabled(&io, SD_EVENT_OFF);
  assert_false(fd_readable(loop, 0));
  journal[0] = 0;
  free_probe(&io);
  sd_event_unref(loop);
  close(ends[0]);
  close(ends[1]);
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

int main(void) {
  const struct CMUnitTest tests[] = {
      recorded_test(a_change_in_a_callback_is_seen_by_who_polls_the_descriptor),
      recorded_test(a_loop_that_watches_another_hears_it_after_a_registration_was_left_behind),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
