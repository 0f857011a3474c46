// SPDX-License-Identifier: MIT
//
// What an IO source reports: event masks, OR-ing while pending, edge-triggering, hang-ups.
//
// Invariants under test:
// 1. Masks may hold IN, OUT, RDHUP, PRI, ERR, HUP and ET; anything else is -EINVAL and changes nothing.
// 2. A pending source loses nothing that becomes ready until it is dispatched, and stays pending when the condition
//    goes.
// 3. EPOLLET reports an edge once; set_io_events, also to the same mask, and OFF/ON start afresh; ON to ON does not.
// 4. get_io_revents is for pending sources; in the callback it is -ENODATA as the events are an argument there.
#include "loop_recorder.h"

static void make_socketpair(int fds[2]) {
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
}

static void masks_that_epoll_knows_are_not_all_accepted(void** state) {
  (void)state;
  static const uint32_t bad[] = {EPOLLONESHOT, EPOLLWAKEUP, EPOLLEXCLUSIVE, EPOLLMSG,          EPOLLRDNORM,
                                 EPOLLRDBAND,  EPOLLWRNORM, EPOLLWRBAND,    UINT32_C(1) << 15, UINT32_MAX};
  static const uint32_t good[] = {
      0,          EPOLLIN,  EPOLLOUT,
      EPOLLRDHUP, EPOLLPRI, EPOLLERR,
      EPOLLHUP,   EPOLLET,  EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLERR | EPOLLHUP | EPOLLET};
  sd_event* loop = make_loop();
  int fd = make_eventfd(0);
  sd_event_source* s = NULL;
  for (size_t i = 0; i < lengthof(bad); i++)
    assert_result(sd_event_add_io(loop, &s, fd, EPOLLIN | bad[i], on_io, NULL), -EINVAL);
  assert_null(s);
  assert_result(sd_event_add_io(loop, &s, fd, EPOLLIN, on_io, NULL), 0);
  uint32_t events = 0;
  for (size_t i = 0; i < lengthof(good); i++) {
    assert_result(sd_event_source_set_io_events(s, good[i]), 0);
    for (size_t j = 0; j < lengthof(bad); j++)
      assert_result(sd_event_source_set_io_events(s, good[i] | bad[j]), -EINVAL);
    assert_result(sd_event_source_get_io_events(s, &events), 0);
    assert_int_equal(events, good[i]);
  }
  sd_event_source_unref(s);
  close(fd);
  sd_event_unref(loop);
}

// The reference asks for all fds in each iteration, so that it sees the second event before the first was dispatched.
// A loop that asks only for what could preempt may see it one dispatch later; no event gets lost either way.
static void events_that_come_while_pending_are_added_and_none_is_taken_back(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fds[2];
  make_socketpair(fds);
  struct Probe a = {.name = "a"};
  uint32_t revents = 0;
  probe_io(loop, &a, fds[0], EPOLLIN | EPOLLOUT);
  assert_result(sd_event_source_get_io_revents(a.source, &revents), -ENODATA);
  gather(loop);
  assert_result(sd_event_source_get_io_revents(a.source, &revents), 0);
  assert_int_equal(revents, EPOLLOUT);
  assert_int_equal(write(fds[1], "x", 1), 1);
  gather(loop);
  assert_result(sd_event_source_get_io_revents(a.source, &revents), 0);
  assert_int_equal(revents & EPOLLOUT, EPOLLOUT);
  if (as_reference(kAskedBefore)) assert_int_equal(revents, EPOLLIN | EPOLLOUT);
  assert_result(iterate(loop), 1);
  assert_int_equal(a.revents, revents);
  assert_result(iterate(loop), 1);
  assert_int_equal(a.revents, EPOLLIN | EPOLLOUT);
  journal[0] = 0;
  free_probe(&a);
  close(fds[0]);
  close(fds[1]);
  sd_event_unref(loop);
}

static void events_that_come_while_a_one_shot_source_is_pending_are_not_added(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fds[2];
  uint32_t revents = 0;
  make_socketpair(fds);
  struct Probe a = {.name = "a"};
  probe_io(loop, &a, fds[0], EPOLLIN | EPOLLOUT);
  for (int from_on = 0; from_on < 2; from_on++) {
    if (!from_on) set_enabled(&a, SD_EVENT_OFF);
    set_enabled(&a, SD_EVENT_ONESHOT);
    gather(loop);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_result(sd_event_prepare(loop), 1);
    assert_result(sd_event_source_get_io_revents(a.source, &revents), 0);
    // As it was ON, 252 does not register it anew.
    const int gathered = from_on ? differs(kOneshotGathers, EPOLLIN | EPOLLOUT, EPOLLOUT) : (int)EPOLLOUT;
    assert_int_equal(revents, gathered);
    if (from_on) break;
    set_enabled(&a, SD_EVENT_ON);
    assert_result(sd_event_dispatch(loop), 1);
    assert_int_equal(read(fds[0], &(char){0}, 1), 1);
    assert_result(sd_event_source_set_io_events(a.source, EPOLLIN), 0);
    assert_result(sd_event_source_set_io_events(a.source, EPOLLIN | EPOLLOUT), 0);
  }
  assert_result(sd_event_dispatch(loop), 1);
  assert_int_equal(a.revents, revents);
  journal[0] = 0;
  free_probe(&a);
  close(fds[0]);
  close(fds[1]);
  sd_event_unref(loop);
}

// An iteration in which the loop looks at everything, and dispatches something better.
static uint32_t look(struct Probe* p) {
  sd_event_source* better = NULL;
  uint32_t revents = 0;
  assert_result(sd_event_add_defer(p->loop, &better, on_event, NULL), 0);
  assert_result(sd_event_source_set_priority(better, -1), 0);
  assert_result(sd_event_prepare(p->loop), 1);
  assert_result(sd_event_source_get_io_revents(p->source, &revents), 0);
  assert_result(sd_event_dispatch(p->loop), 1);
  sd_event_source_unref(better);
  return revents;
}

static void a_pending_source_that_changes_between_on_and_one_shot_is_asked_about_anew(void** state) {
  (void)state;
  enum { kFromOn, kLookedAt, kFromOneshot, kLimitOver, kWays };
  for (int way = 0; way < kWays; way++) {
    sd_event* loop = make_loop();
    int fds[2], expected = EPOLLIN | EPOLLOUT;
    make_socketpair(fds);
    struct Probe a = {.name = "a"};
    probe_io(loop, &a, fds[0], EPOLLIN | EPOLLOUT);
    if (way >= kFromOneshot) {
      set_enabled(&a, SD_EVENT_OFF);
      set_enabled(&a, SD_EVENT_ONESHOT);
    }
    if (way == kLimitOver) {
      set_limit(&a, 3600000000u, 1);
      assert_result(iterate(loop), 1);
      set_enabled(&a, SD_EVENT_ONESHOT);
      assert_result(iterate(loop), 1);
      assert_result(is_limited(&a), 1);
      set_limit(&a, 0, 0);
    } else {
      assert_int_equal(look(&a), EPOLLOUT);
      set_enabled(&a, way == kFromOneshot ? SD_EVENT_ON : SD_EVENT_ONESHOT);
    }
    // One look is enough: then it has been reported as one-shot.
    if (way == kLookedAt) assert_int_equal(look(&a), EPOLLOUT);
    if (way == kLookedAt) expected = differs(kOneshotGathers, EPOLLIN | EPOLLOUT, EPOLLOUT);
    if (way == kFromOneshot) expected = differs(kOneshotThenOn, EPOLLOUT, EPOLLIN | EPOLLOUT);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(look(&a), expected);
    journal[0] = 0;
    free_probe(&a);
    close(fds[0]);
    close(fds[1]);
    sd_event_unref(loop);
  }
}

static void a_source_stays_pending_when_its_condition_goes_away(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(1);
  struct Probe a = {.name = "a"};
  probe_io(loop, &a, fd, EPOLLIN);
  gather(loop);
  lower_eventfd(fd);
  assert_result(iterate(loop), 1);
  assert_int_equal(a.revents, EPOLLIN);
  assert_result(iterate(loop), 0);
  assert_journal("a ");
  free_probe(&a);
  close(fd);
  sd_event_unref(loop);
}

static void act_expect_nothing_pending(struct Probe* p) {
  uint32_t revents = 0;
  assert_result(sd_event_source_get_io_revents(p->source, &revents), -ENODATA);
  assert_int_equal(is_pending(p), 0);
}

static void in_the_callback_the_source_is_no_longer_pending(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(1);
  struct Probe a = {.name = "a", .act = act_expect_nothing_pending};
  probe_io(loop, &a, fd, EPOLLIN);
  assert_result(iterate(loop), 1);
  assert_result(iterate(loop), 1);
  assert_int_equal(a.calls, 2);
  free_probe(&a);
  close(fd);
  sd_event_unref(loop);
}

static void a_mask_of_0_still_reports_hang_ups_and_errors(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fds[2];
  make_socketpair(fds);
  struct Probe a = {.name = "a"};
  probe_io(loop, &a, fds[0], 0);
  assert_int_equal(write(fds[1], "x", 1), 1);
  assert_result(iterate(loop), 0);
  shutdown(fds[1], SHUT_WR);
  assert_result(iterate(loop), 0);
  close(fds[1]);
  assert_result(iterate(loop), 1);
  assert_int_equal(a.revents, EPOLLHUP);
  free_probe(&a);
  close(fds[0]);

  assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
  probe_io(loop, &a, fds[1], 0);
  assert_result(iterate(loop), 0);
  close(fds[0]);
  assert_result(iterate(loop), 1);
  assert_int_equal(a.revents, EPOLLERR);
  free_probe(&a);
  close(fds[1]);
  sd_event_unref(loop);
}

static void rdhup_is_reported_when_asked_for(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fds[2];
  make_socketpair(fds);
  struct Probe a = {.name = "a"};
  probe_io(loop, &a, fds[0], EPOLLRDHUP);
  assert_result(iterate(loop), 0);
  shutdown(fds[1], SHUT_WR);
  assert_result(iterate(loop), 1);
  assert_int_equal(a.revents, EPOLLRDHUP);
  free_probe(&a);
  close(fds[0]);
  close(fds[1]);
  sd_event_unref(loop);
}

static void an_edge_is_reported_once_and_again_after_the_next_one(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(1);
  struct Probe a = {.name = "a"};
  probe_io(loop, &a, fd, EPOLLIN | EPOLLET);
  assert_int_equal(iterate_until_idle(loop), 1);
  raise_eventfd(fd);
  assert_int_equal(iterate_until_idle(loop), 1);
  assert_journal("a a ");
  free_probe(&a);
  close(fd);
  sd_event_unref(loop);
}

static void what_starts_an_edge_triggered_source_afresh(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(1), fd_b = make_eventfd(1);
  struct Probe a = {.name = "a"};
  probe_io(loop, &a, fd, EPOLLIN | EPOLLET);
  assert_int_equal(iterate_until_idle(loop), 1);
  assert_result(sd_event_source_set_io_events(a.source, EPOLLIN | EPOLLET), 0);
  assert_int_equal(iterate_until_idle(loop), 1);
  set_enabled(&a, SD_EVENT_ON);
  assert_int_equal(iterate_until_idle(loop), 0);
  set_enabled(&a, SD_EVENT_ONESHOT);
  assert_int_equal(iterate_until_idle(loop), differs(kEdgeOfOneshot, 0, 1));
  set_enabled(&a, SD_EVENT_OFF);
  set_enabled(&a, SD_EVENT_ON);
  assert_int_equal(iterate_until_idle(loop), 1);
  set_priority(&a, 3);
  assert_int_equal(iterate_until_idle(loop), 0);
  assert_result(sd_event_source_set_io_fd(a.source, fd_b), 0);
  assert_int_equal(iterate_until_idle(loop), 1);
  assert_result(sd_event_source_set_io_events(a.source, EPOLLIN), 0);
  assert_result(iterate(loop), 1);
  assert_result(iterate(loop), 1);
  journal[0] = 0;
  free_probe(&a);
  close(fd);
  close(fd_b);
  sd_event_unref(loop);
}

static void act_oneshot_again(struct Probe* p) {
  if (p->calls < 3) set_enabled(p, SD_EVENT_ONESHOT);
}
static void a_oneshot_edge_that_is_switched_on_again_in_its_callback_fires_again(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(1);
  struct Probe a = {.name = "a", .act = act_oneshot_again};
  probe_io(loop, &a, fd, EPOLLIN | EPOLLET);
  set_enabled(&a, SD_EVENT_ONESHOT);
  assert_int_equal(iterate_until_idle(loop), 3);
  assert_int_equal(enabled_of(&a), SD_EVENT_OFF);
  assert_journal("a a a ");
  free_probe(&a);
  close(fd);
  sd_event_unref(loop);
}

static void new_events_clear_what_was_pending_for_the_old_ones(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fds[2];
  make_socketpair(fds);
  struct Probe a = {.name = "a"};
  uint32_t revents = 0;
  probe_io(loop, &a, fds[0], EPOLLOUT);
  gather(loop);
  assert_result(sd_event_source_set_io_events(a.source, EPOLLIN), 0);
  assert_int_equal(is_pending(&a), 0);
  assert_result(sd_event_source_get_io_revents(a.source, &revents), -ENODATA);
  assert_result(iterate(loop), 0);
  assert_int_equal(write(fds[1], "x", 1), 1);
  assert_result(iterate(loop), 1);
  assert_int_equal(a.revents, EPOLLIN);
  free_probe(&a);
  close(fds[0]);
  close(fds[1]);
  sd_event_unref(loop);
}

static void hundreds_of_ready_sources_are_all_served(void** state) {
  (void)state;
  enum { kCount = 600 };
  static struct Probe probes[kCount];
  static int fds[kCount];
  sd_event* loop = make_loop();
  for (int i = 0; i < kCount; i++) {
    probes[i] = (struct Probe){.name = ""};
    probe_io(loop, &probes[i], fds[i] = make_eventfd(1), EPOLLIN);
    set_enabled(&probes[i], SD_EVENT_ONESHOT);
  }
  assert_int_equal(iterate_until_idle(loop), kCount);
  for (int i = 0; i < kCount; i++) {
    assert_int_equal(probes[i].calls, 1);
    free_probe(&probes[i]);
    close(fds[i]);
  }
  sd_event_unref(loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      recorded_test(masks_that_epoll_knows_are_not_all_accepted),
      recorded_test(events_that_come_while_pending_are_added_and_none_is_taken_back),
      recorded_test(events_that_come_while_a_one_shot_source_is_pending_are_not_added),
      recorded_test(a_pending_source_that_changes_between_on_and_one_shot_is_asked_about_anew),
      recorded_test(a_source_stays_pending_when_its_condition_goes_away),
      recorded_test(in_the_callback_the_source_is_no_longer_pending),
      recorded_test(a_mask_of_0_still_reports_hang_ups_and_errors),
      recorded_test(rdhup_is_reported_when_asked_for),
      recorded_test(an_edge_is_reported_once_and_again_after_the_next_one),
      recorded_test(what_starts_an_edge_triggered_source_afresh),
      recorded_test(a_oneshot_edge_that_is_switched_on_again_in_its_callback_fires_again),
      recorded_test(new_events_clear_what_was_pending_for_the_old_ones),
      recorded_test(hundreds_of_ready_sources_are_all_served),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
