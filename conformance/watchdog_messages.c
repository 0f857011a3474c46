// SPDX-License-Identifier: MIT
//
// sd_event_set_watchdog: what is sent to the service manager, and when. The manager is a socket of the test's own.
//
// Invariants under test:
// 1. Without $WATCHDOG_USEC (or with another process' $WATCHDOG_PID) the call does nothing and returns 0.
// 2. When on, WATCHDOG=1 is sent at once and then again and again while the loop runs, never two within a quarter of
//    the period; also by a loop that is always busy, and by one that is driven through its fd.
// 3. The watchdog's timer is no event of the caller's: sd_event_wait and sd_event_run return 0 for it, as for a
//    timeout.
//
// Periods are short; only lower bounds on the time between messages are asserted.
#include "loop_recorder.h"

static int manager;
static char* dir;

static int begin_manager(void** state) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int r = begin_recorded(state);
  dir = make_dir();
  snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", dir);
  manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  assert_int_equal(bind(manager, (struct sockaddr*)&address, sizeof(address)), 0);
  setenv("NOTIFY_SOCKET", address.sun_path, 1);
  unsetenv("WATCHDOG_USEC");
  unsetenv("WATCHDOG_PID");
  return r;
}

static int end_manager(void** state) {
  unsetenv("NOTIFY_SOCKET");
  unsetenv("WATCHDOG_USEC");
  unsetenv("WATCHDOG_PID");
  close(manager);
  remove_dir(dir);
  return end_clean(state);
}

#define watchdog_test(f) cmocka_unit_test_setup_teardown(f, begin_manager, end_manager)

// The number of messages that have come; each is WATCHDOG=1 and nothing else.
static int take_messages(void) {
  char text[64];
  ssize_t size;
  int count = 0;
  while ((size = recv(manager, text, sizeof(text) - 1, 0)) > 0) {
    text[size] = 0;
    if (text[size - 1] == '\n') text[size - 1] = 0;
    assert_string_equal(text, "WATCHDOG=1");
    count++;
  }
  return count;
}

static void ask_for_watchdog(unsigned usec) {
  char text[16];
  snprintf(text, sizeof(text), "%u", usec);
  setenv("WATCHDOG_USEC", text, 1);
}

static void nothing_happens_unless_the_manager_asked_for_it(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  assert_result(sd_event_get_watchdog(loop), 0);
  assert_result(sd_event_set_watchdog(loop, 1), 0);
  assert_result(sd_event_get_watchdog(loop), 0);
  ask_for_watchdog(1000000);
  setenv("WATCHDOG_PID", "1", 1);
  assert_result(sd_event_set_watchdog(loop, 1), 0);
  assert_result(sd_event_get_watchdog(loop), 0);
  assert_result(sd_event_set_watchdog(loop, 0), 0);
  assert_result(sd_event_run(loop, 1000), 0);
  assert_int_equal(take_messages(), 0);
  sd_event_unref(loop);
}

static void bad_values_of_the_variables_are_errors(void** state) {
  (void)state;
  static const char* const bad[] = {"0", "x", "-1", "", "18446744073709551616"};
  sd_event* loop = make_loop();
  for (size_t i = 0; i < lengthof(bad); i++) {
    setenv("WATCHDOG_USEC", bad[i], 1);
    assert_true(sd_event_set_watchdog(loop, 1) < 0);
    assert_result(sd_event_get_watchdog(loop), 0);
  }
  ask_for_watchdog(1000000);
  setenv("WATCHDOG_PID", "x", 1);
  assert_true(sd_event_set_watchdog(loop, 1) < 0);
  assert_int_equal(take_messages(), 0);
  sd_event_unref(loop);
}

static void switching_on_sends_a_message_at_once_and_only_one(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  char pid[16];
  snprintf(pid, sizeof(pid), "%d", getpid());
  setenv("WATCHDOG_PID", pid, 1);
  ask_for_watchdog(60 * 1000000);
  assert_result(sd_event_set_watchdog(loop, 7), 1);
  assert_result(sd_event_get_watchdog(loop), 1);
  assert_int_equal(take_messages(), 1);
  assert_result(sd_event_set_watchdog(loop, 1), 1);
  assert_result(iterate(loop), 0);
  assert_int_equal(take_messages(), 0);
  assert_result(sd_event_set_watchdog(loop, 0), 0);
  assert_result(sd_event_get_watchdog(loop), 0);
  assert_int_equal(take_messages(), 0);
  assert_non_null(getenv("WATCHDOG_USEC"));
  sd_event_unref(loop);
}

static void messages_go_on_while_the_loop_sleeps_and_a_run_returns_0_for_them(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  ask_for_watchdog(40000);
  uint64_t start = clock_usec(CLOCK_MONOTONIC);
  assert_result(sd_event_set_watchdog(loop, 1), 1);
  int messages = take_messages();
  while (messages < 4) {
    assert_result(sd_event_run(loop, UINT64_MAX), 0);
    messages += take_messages();
    assert_true(clock_usec(CLOCK_MONOTONIC) >= start + (uint64_t)(messages - 1) * 10000);
  }
  assert_result(sd_event_set_watchdog(loop, 0), 0);
  assert_result(sd_event_run(loop, 60000), 0);
  assert_int_equal(take_messages(), 0);
  sd_event_unref(loop);
}

static void the_fd_of_the_loop_becomes_readable_for_the_watchdog(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  ask_for_watchdog(20000);
  assert_result(sd_event_set_watchdog(loop, 1), 1);
  assert_int_equal(take_messages(), 1);
  for (int messages = 0; messages == 0;) {
    assert_result(sd_event_prepare(loop), 0);
    assert_true(fd_readable(loop, -1));
    assert_result(sd_event_wait(loop, 0), 0);
    assert_int_equal(sd_event_get_state(loop), SD_EVENT_INITIAL);
    messages = take_messages();
  }
  sd_event_unref(loop);
}

static void a_loop_that_is_always_busy_does_not_starve_the_watchdog(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = ""};
  int fds[20];
  struct Probe probes[lengthof(fds)];
  ask_for_watchdog(8000);
  uint64_t start = clock_usec(CLOCK_MONOTONIC);
  assert_result(sd_event_set_watchdog(loop, 1), 1);
  probe_defer(loop, &a);
  set_enabled(&a, SD_EVENT_ON);
  set_priority(&a, INT64_MIN);
  for (size_t i = 0; i < lengthof(fds); i++) {
    probes[i] = (struct Probe){.name = ""};
    probe_io(loop, &probes[i], fds[i] = make_eventfd(1), EPOLLIN);
  }
  int messages = 0;
  while (messages < 4) {  // the runner's time limit is what ends this if it starves
    assert_result(iterate(loop), 1);
    messages += take_messages();
  }
  assert_true(clock_usec(CLOCK_MONOTONIC) >= start + 3 * 2000);
  set_enabled(&a, SD_EVENT_OFF);
  for (messages = 0; messages < 3;) {  // the same with a long batch of IO sources
    assert_result(iterate(loop), 1);
    messages += take_messages();
  }
  free_probe(&a);
  for (size_t i = 0; i < lengthof(fds); i++) {
    free_probe(&probes[i]);
    close(fds[i]);
  }
  sd_event_unref(loop);
}

static void no_two_messages_come_within_a_quarter_of_the_period(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  enum { kPeriod = 40000 };
  ask_for_watchdog(kPeriod);
  uint64_t last = clock_usec(CLOCK_MONOTONIC);
  assert_result(sd_event_set_watchdog(loop, 1), 1);
  assert_int_equal(take_messages(), 1);
  for (int messages = 0; messages < 3;) {
    uint64_t before = clock_usec(CLOCK_MONOTONIC);
    assert_true(sd_event_run(loop, 500) >= 0);
    uint64_t after = clock_usec(CLOCK_MONOTONIC);
    int came = take_messages();
    assert_true(came <= 1);
    if (!came) continue;
    assert_true(after >= last + kPeriod / 4);
    last = before;  // it was sent after this
    messages++;
  }
  sd_event_unref(loop);
}

static void switching_on_and_off_can_be_repeated_without_taking_more_fds(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  ask_for_watchdog(60 * 1000000);
  int fds = 0;
  for (int i = 0; i < 3; i++) {
    assert_result(sd_event_set_watchdog(loop, 1), 1);
    assert_result(iterate(loop), 0);
    assert_result(sd_event_set_watchdog(loop, 0), 0);
    if (i == 0) fds = count_fds();
    assert_int_equal(count_fds(), fds);
  }
  assert_true(take_messages() >= 1);
  sd_event_unref(loop);
}

static void a_manager_that_does_not_listen_is_no_reason_to_fail_a_run(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  ask_for_watchdog(4000);
  assert_result(sd_event_set_watchdog(loop, 1), 1);
  assert_int_equal(take_messages(), 1);
  sd_event_unref(loop);

  loop = make_loop();
  unsetenv("NOTIFY_SOCKET");
  assert_result(sd_event_set_watchdog(loop, 1), 1);
  assert_result(sd_event_run(loop, 10000), 0);
  sd_event_unref(loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      watchdog_test(nothing_happens_unless_the_manager_asked_for_it),
      watchdog_test(bad_values_of_the_variables_are_errors),
      watchdog_test(switching_on_sends_a_message_at_once_and_only_one),
      watchdog_test(messages_go_on_while_the_loop_sleeps_and_a_run_returns_0_for_them),
      watchdog_test(the_fd_of_the_loop_becomes_readable_for_the_watchdog),
      watchdog_test(a_loop_that_is_always_busy_does_not_starve_the_watchdog),
      watchdog_test(no_two_messages_come_within_a_quarter_of_the_period),
      watchdog_test(switching_on_and_off_can_be_repeated_without_taking_more_fds),
      watchdog_test(a_manager_that_does_not_listen_is_no_reason_to_fail_a_run),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
