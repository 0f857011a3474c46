// SPDX-License-Identifier: MIT
//
// Where several stacks share a thread, the wait of a loop suspends its caller and not the thread.
//
// libsystemd-shared has functions for such stacks (fibers) from release 262 on. This program has two of that name, by
// which it sees what the library asks of them: the other stacks would run in `sd_fiber_ppoll`. The real ones are in the
// process when systemd's own programs run (tools/newest).
#include <poll.h>

#include "loop_recorder.h"

__attribute__((visibility("default"))) int sd_fiber_is_running(void);
__attribute__((visibility("default"))) int sd_fiber_ppoll(struct pollfd* fds, size_t n, const struct timespec* timeout,
                                                          const sigset_t* mask);

static bool on_fiber;
static unsigned n_suspended;
static int result;
static bool endless;
static int raised = -1;  // The descriptor that another stack makes ready.

int sd_fiber_is_running(void) { return on_fiber; }

int sd_fiber_ppoll(struct pollfd* fds, size_t n, const struct timespec* timeout, const sigset_t* mask) {
  assert_int_equal(n, 1);
  assert_int_equal(fds[0].events, POLLIN);
  assert_int_equal(poll(fds, 1, 0), 0);  // Nothing was ready, or nobody would be suspended.
  assert_null(mask);
  endless = timeout == NULL;
  n_suspended++;
  if (raised >= 0) {
    raise_eventfd(raised);
    assert_int_equal(poll(fds, 1, 0), 1);  // The caller would be woken.
  }
  return result;
}

static void begin(bool fiber, int fd, int returns) {
  on_fiber = fiber;
  n_suspended = 0;
  raised = fd;
  result = returns;
}

static void a_run_suspends_its_caller_until_something_is_ready(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  const int fd = make_eventfd(0);
  struct Probe io = {.name = "io", .act = act_lower};
  probe_io(loop, &io, fd, EPOLLIN);
  begin(true, fd, 1);
  for (unsigned i = 1; i <= 2; i++) {
    assert_result(sd_event_run(loop, i == 1 ? UINT64_MAX : 5000000), 1);
    assert_int_equal(n_suspended, i);
    assert_int_equal(endless, i == 1);
  }
  assert_journal("io io ");
  free_probe(&io);
  close(fd);
  sd_event_unref(loop);
}

static void a_run_whose_time_is_over_says_0_and_an_error_ends_it(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  begin(true, -1, 0);
  assert_result(sd_event_run(loop, 1000), 0);
  assert_int_equal(n_suspended, 1);
  begin(true, -1, -ENOMEM);
  assert_result(sd_event_run(loop, 1000), -ENOMEM);
  assert_result(sd_event_get_state(loop), SD_EVENT_INITIAL);
  sd_event_unref(loop);
}

static void what_is_ready_and_who_does_not_wait_suspend_nobody(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  const int fd = make_eventfd(1);
  struct Probe io = {.name = "io", .act = act_lower}, defer = {.name = "defer"};
  probe_io(loop, &io, fd, EPOLLIN);
  begin(true, -1, 0);
  assert_result(sd_event_run(loop, UINT64_MAX), 1);
  assert_result(sd_event_run(loop, 0), 0);
  probe_defer(loop, &defer);
  assert_result(sd_event_run(loop, UINT64_MAX), 1);
  begin(false, -1, 0);
  assert_result(sd_event_run(loop, 1000), 0);
  assert_int_equal(n_suspended, 0);
  assert_journal("io defer ");
  free_probe(&io);
  free_probe(&defer);
  close(fd);
  sd_event_unref(loop);
}

static void act_exit(struct Probe* p) { assert_result(sd_event_exit(p->loop, 3), 0); }

static void a_loop_suspends_its_caller_in_each_iteration(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  const int fd = make_eventfd(0);
  struct Probe io = {.name = "io", .act = act_exit};
  probe_io(loop, &io, fd, EPOLLIN);
  begin(true, fd, 1);
  assert_result(sd_event_loop(loop), 3);
  assert_int_equal(n_suspended, 1);
  assert_journal("io ");
  free_probe(&io);
  close(fd);
  sd_event_unref(loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      recorded_test(a_run_suspends_its_caller_until_something_is_ready),
      recorded_test(a_run_whose_time_is_over_says_0_and_an_error_ends_it),
      recorded_test(what_is_ready_and_who_does_not_wait_suspend_nobody),
      recorded_test(a_loop_suspends_its_caller_in_each_iteration),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
