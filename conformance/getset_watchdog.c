// SPDX-License-Identifier: MIT
//
// set_watchdog and get_watchdog: what they answer to each value of $WATCHDOG_USEC and $WATCHDOG_PID.
//
// The variables are only read, and left alone. Where no service manager asks for a watchdog the answer is 0, which is
// no error; a value that cannot be read is one, and the watchdog stays off then. $NOTIFY_SOCKET need not even exist.
// Each try runs in a forked process with an environment of its own, which sends nothing: it has no socket to send to.
#include "harness.h"

struct Environment {
  const char *usec, *pid;
};

static const char kOwnPid[] = "(own)", kParentsPid[] = "(parent's)";

static void set_environment(const struct Environment* environment) {
  char pid[32];
  clearenv();
  snprintf(pid, sizeof(pid), "%d", environment->pid == kOwnPid ? getpid() : getppid());
  if (environment->usec) setenv("WATCHDOG_USEC", environment->usec, 1);
  if (environment->pid) setenv("WATCHDOG_PID", *environment->pid == '(' ? pid : environment->pid, 1);
}

// The result of set_watchdog(1); everything that must follow from it is asserted.
static int turn_on(void* environment) {
  set_environment(environment);
  sd_event* loop = make_loop();
  assert_int_equal(sd_event_get_watchdog(loop), 0);
  int r = sd_event_set_watchdog(loop, 1);
  assert_int_equal(sd_event_get_watchdog(loop), r > 0);
  assert_int_equal(sd_event_set_watchdog(loop, 77), r);
  assert_int_equal(sd_event_set_watchdog(loop, 0), 0);
  assert_int_equal(sd_event_get_watchdog(loop), 0);
  assert_int_equal(sd_event_set_watchdog(loop, 0), 0);
  assert_int_equal(sd_event_set_watchdog(loop, 1), r);
  if (((struct Environment*)environment)->usec) assert_non_null(getenv("WATCHDOG_USEC"));
  sd_event_unref(loop);
  return r;
}

static int answer_to(const char* usec, const char* pid) {
  struct Environment environment = {usec, pid};
  return in_child(turn_on, &environment);
}

static void nobody_asks_for_a_watchdog_is_0(void** state) {
  (void)state;
  assert_result(answer_to(NULL, NULL), 0);
  assert_result(answer_to(NULL, kOwnPid), 0);
  assert_result(answer_to(NULL, "rubbish"), 0);
}

static void a_period_turns_it_on(void** state) {
  (void)state;
  const char* const periods[] = {"1000000", "1", "3", "0x10", " 5", "+7", "010"};
  for (size_t i = 0; i < lengthof(periods); i++) assert_result(answer_to(periods[i], NULL), 1);
  assert_result(answer_to("1000000", kOwnPid), 1);
}

static void another_process_is_meant_is_0(void** state) {
  (void)state;
  assert_result(answer_to("1000000", kParentsPid), 0);
  assert_result(answer_to("1000000", "2147483647"), 0);
}

static void a_period_that_is_no_number_or_has_no_meaning_is_EINVAL(void** state) {
  (void)state;
  const char* const periods[] = {"", "abc", "0", "5s", "5 ", "1.5", "18446744073709551615"};
  for (size_t i = 0; i < lengthof(periods); i++) assert_result(answer_to(periods[i], NULL), -EINVAL);
}

static void a_period_that_does_not_fit_is_ERANGE(void** state) {
  (void)state;
  assert_result(answer_to("-5", NULL), -ERANGE);
  assert_result(answer_to("99999999999999999999999", NULL), -ERANGE);
}

static void a_bad_PID_is_an_error(void** state) {
  (void)state;
  assert_result(answer_to("1000000", ""), -EINVAL);
  assert_result(answer_to("1000000", "abc"), -EINVAL);
  assert_result(answer_to("1000000", "0"), -ERANGE);
  assert_result(answer_to("1000000", "-1"), -ERANGE);
}

static void a_bad_period_is_an_error_even_when_another_process_is_meant(void** state) {
  (void)state;
  assert_result(answer_to("abc", kParentsPid), -EINVAL);
}

static void the_longest_period_is_accepted(void** state) {
  (void)state;
  assert_result(answer_to("18446744073709551614", NULL), differs(kWatchdogHuge, died_of(SIGABRT), 1));
}

struct Forked {
  sd_event* loop;
  int (*call)(sd_event*);
};

static int turn_on_here(sd_event* loop) { return sd_event_set_watchdog(loop, 1); }
static int turn_off_here(sd_event* loop) { return sd_event_set_watchdog(loop, 0); }

static int call_forked(void* context) {
  struct Forked* forked = context;
  struct Environment bad = {"abc", NULL};
  set_environment(&bad);
  return forked->call(forked->loop);
}

static void a_forked_process_is_told_before_the_variables_are_read(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int (*const calls[])(sd_event*) = {turn_on_here, turn_off_here, sd_event_get_watchdog};
  for (size_t i = 0; i < lengthof(calls); i++) {
    struct Forked forked = {loop, calls[i]};
    assert_result(in_child(call_forked, &forked), -ECHILD);
  }
  sd_event_unref(loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      clean_test(nobody_asks_for_a_watchdog_is_0),
      clean_test(a_period_turns_it_on),
      clean_test(another_process_is_meant_is_0),
      clean_test(a_period_that_is_no_number_or_has_no_meaning_is_EINVAL),
      clean_test(a_period_that_does_not_fit_is_ERANGE),
      clean_test(a_bad_PID_is_an_error),
      clean_test(a_bad_period_is_an_error_even_when_another_process_is_meant),
      clean_test(the_longest_period_is_accepted),
      clean_test(a_forked_process_is_told_before_the_variables_are_read),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
