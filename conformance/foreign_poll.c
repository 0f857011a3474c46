// SPDX-License-Identifier: MIT
//
// A loop inside of a bare poll, and nested in an epoll set, level- and edge-triggered: the cases of foreign_loop.h.
//
// Edge-triggered, a foreign loop is told of what becomes ready, not of what still is. So it may sleep only after `wait`
// has said that there is nothing: `prepare` says that nothing is pending, which is less.
//
// A case of its own: a foreign loop that calls `prepare` whenever it comes by, and takes -EBUSY for what it is.
#include "foreign_loop.h"

static void in_poll(struct Outer* outer) {
  while (!finished(outer->loop)) {
    struct pollfd fds[] = {{.fd = outer->fd, .events = POLLIN}, {.fd = sd_event_get_fd(outer->loop), .events = POLLIN}};
    const bool busy = to_rest(outer->loop);
    assert_true(poll(fds, 2, busy ? 0 : -1) >= 0);
    if (fds[0].revents) serve(outer);
    (void)looked(outer->loop);
    dispatch_one(outer->loop);
  }
}

// Never looks after it has slept: each round begins ARMED.
static void in_poll_without_a_check(struct Outer* outer) {
  while (!finished(outer->loop)) {
    struct pollfd fds[] = {{.fd = outer->fd, .events = POLLIN}, {.fd = sd_event_get_fd(outer->loop), .events = POLLIN}};
    const bool busy = to_rest(outer->loop);
    if (!busy) assert_result(sd_event_prepare(outer->loop), -EBUSY);
    assert_true(poll(fds, 2, busy ? 0 : -1) >= 0);
    if (fds[0].revents) serve(outer);
    dispatch_one(outer->loop);
  }
}

static int make_epoll(struct Outer* outer, uint32_t edge) {
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event own = {.events = EPOLLIN, .data = {.fd = outer->fd}};
  struct epoll_event inner = {.events = EPOLLIN | edge, .data = {.fd = sd_event_get_fd(outer->loop)}};
  assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, outer->fd, &own), 0);
  assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, inner.data.fd, &inner), 0);
  return epoll;
}

static void wait_in_epoll(struct Outer* outer, int epoll, bool busy) {
  struct epoll_event events[2];
  const int n = epoll_wait(epoll, events, 2, busy ? 0 : -1);
  assert_true(n >= 0);
  for (int i = 0; i < n; i++)
    if (events[i].data.fd == outer->fd) serve(outer);
}

static void in_epoll(struct Outer* outer) {
  const int epoll = make_epoll(outer, 0);
  while (!finished(outer->loop)) {
    wait_in_epoll(outer, epoll, to_rest(outer->loop));
    (void)looked(outer->loop);
    dispatch_one(outer->loop);
  }
  close(epoll);
}

static void in_epoll_by_edges(struct Outer* outer) {
  const int epoll = make_epoll(outer, EPOLLET);
  while (!finished(outer->loop)) {
    // What was ready before `prepare` has had its edge: it is looked for once more.
    bool busy = to_rest(outer->loop) || looked(outer->loop);
    if (!busy) busy = to_rest(outer->loop);
    wait_in_epoll(outer, epoll, busy);
    (void)looked(outer->loop);
    dispatch_one(outer->loop);
  }
  close(epoll);
}

int main(void) {
  exit_77_without_pidfds();
  const struct CMUnitTest tests[] = {
      foreign_tests(in_poll),
      foreign_tests(in_poll_without_a_check),
      foreign_tests(in_epoll),
      foreign_tests(in_epoll_by_edges),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
