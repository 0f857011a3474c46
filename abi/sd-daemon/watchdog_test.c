// SPDX-License-Identifier: MIT
//
// sd_watchdog_enabled: every spelling of its two variables.
//
// The idea: a table of variables and results, and each row in all four forms of the call: with and without a place for
// the period, with and without `unset_environment`. The spellings of numbers are those that the reference takes; a
// program that sets these variables by hand may use any. See daemon_harness.h for the rules.
#include "daemon_harness.h"

#define UNTOUCHED UINT64_C(77)

struct Case {
  const char* usec;
  const char* pid;
  int result;
  uint64_t period;
};

// The PID is a printf format for ours, where it has a '%'.
static const struct Case kCases[] = {
    // not asked for
    {NULL, NULL, 0, 0},
    {NULL, "%d", 0, 0},
    {NULL, "junk", 0, 0},
    {"1000", "1", 0, 0},
    {"1000", "2147483647", 0, 0},
    // asked for
    {"1000", NULL, 1, 1000},
    {"1000", "%d", 1, 1000},
    {"1", NULL, 1, 1},
    {"18446744073709551614", NULL, 1, UINT64_MAX - 1},
    // spellings of a number
    {" 5", NULL, 1, 5},
    {"\t\n\v\f\r5", NULL, 1, 5},
    {"+5", NULL, 1, 5},
    {"0x10", NULL, 1, 16},
    {"0X1f", NULL, 1, 31},
    {"+0x10", NULL, 1, 16},
    {"010", NULL, 1, 8},
    {"0o17", NULL, 1, 15},
    {"0O7", NULL, 1, 7},
    {"0b11", NULL, 1, 3},
    {"0B11", NULL, 1, 3},
    {" 0b11", NULL, 1, 3},
    {"0b 1", NULL, 1, 1},
    {"0b+1", NULL, 1, 1},
    {"0o+7", NULL, 1, 7},
    {"1000", " %d", 1, 1000},
    {"1000", "+%d", 1, 1000},
    {"1000", "%#x", 1, 1000},
    {"1000", "%#o", 1, 1000},
    // no number
    {"", NULL, -EINVAL, 0},
    {"junk", NULL, -EINVAL, 0},
    {"5 ", NULL, -EINVAL, 0},
    {"5s", NULL, -EINVAL, 0},
    {"1e3", NULL, -EINVAL, 0},
    {"- 1", NULL, -EINVAL, 0},
    {"+ 1", NULL, -EINVAL, 0},
    {"--1", NULL, -EINVAL, 0},
    {"-5x", NULL, -EINVAL, 0},
    {"08", NULL, -EINVAL, 0},
    {"0x", NULL, -EINVAL, 0},
    {"0x-1", NULL, -EINVAL, 0},
    {"0b", NULL, -EINVAL, 0},
    {"0o", NULL, -EINVAL, 0},
    {"0o8", NULL, -EINVAL, 0},
    {"0b12", NULL, -EINVAL, 0},
    {"0b0x1", NULL, -EINVAL, 0},
    {"1_000", NULL, -EINVAL, 0},
    {"\xa0"
     "5",
     NULL, -EINVAL, 0},
    // no period
    {"0", NULL, -EINVAL, 0},
    {"00", NULL, -EINVAL, 0},
    {"-0", NULL, -EINVAL, 0},
    {"-0x0", NULL, -EINVAL, 0},
    {"0b-0", NULL, -EINVAL, 0},
    {"18446744073709551615", NULL, -EINVAL, 0},
    // outside of what a number can be
    {"-1", NULL, -ERANGE, 0},
    {"0b-1", NULL, -ERANGE, 0},
    {"0o-7", NULL, -ERANGE, 0},
    {"18446744073709551616", NULL, -ERANGE, 0},
    {"99999999999999999999x", NULL, -ERANGE, 0},
    {"-18446744073709551615", NULL, -ERANGE, 0},
    {"-18446744073709551616", NULL, -ERANGE, 0},
    {"0b11111111111111111111111111111111111111111111111111111111111111111", NULL, -ERANGE, 0},
    // no PID
    {"1000", "", -EINVAL, 0},
    {"1000", "junk", -EINVAL, 0},
    {"1000", "%d ", -EINVAL, 0},
    {"1000", "0", -ERANGE, 0},
    {"1000", "-1", -ERANGE, 0},
    {"1000", "2147483648", -ERANGE, 0},
    {"1000", "4294967297", -ERANGE, 0},
    {"1000", "99999999999999999999", -ERANGE, 0},
    // the period is looked at first
    {"junk", "1", -EINVAL, 0},
    {"-1", "junk", -ERANGE, 0},
    {"0", "1", -EINVAL, 0},
};

static void set_variables(const struct Case* c) {
  char pid[64] = "";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  if (c->pid) snprintf(pid, sizeof(pid), c->pid, (int)getpid());
#pragma GCC diagnostic pop
  set_variable("WATCHDOG_USEC", c->usec);
  set_variable("WATCHDOG_PID", c->pid ? pid : NULL);
}

// 257 alone leaves what is behind a sign or a prefix to strtoull, which knows such numbers by then.
static void a_binary_number_has_one_prefix_and_no_sign(void** state) {
  (void)state;
  uint64_t period;
  set_variable("WATCHDOG_PID", NULL);
  for (int sign = 0; sign < 2; sign++) {
    set_variable("WATCHDOG_USEC", sign ? "+0b11" : "0b0b1");
    assert_int_equal(sd_watchdog_enabled(0, &period), differs(kBinaryNumber, 1, -EINVAL));
  }
  set_variable("WATCHDOG_USEC", NULL);
}

static void every_spelling_of_the_variables_has_its_result(void** state) {
  (void)state;
  for (size_t i = 0; i < lengthof(kCases); i++) {
    const struct Case* c = &kCases[i];
    char name[200];
    snprintf(name, sizeof(name), "WATCHDOG_USEC='%s' WATCHDOG_PID='%s'", c->usec ? c->usec : "-",
             c->pid ? c->pid : "-");
    for (int unset = 0; unset < 2; unset++) {
      uint64_t period = UNTOUCHED;
      set_variables(c);
      expect_case(name, sd_watchdog_enabled(unset, &period), c->result);
      if (period != (c->result > 0 ? c->period : UNTOUCHED)) fail_msg("%s: the period is %ju", name, (uintmax_t)period);
      set_variables(c);
      expect_case(name, sd_watchdog_enabled(unset, NULL), c->result);
      expect_case(name, getenv("WATCHDOG_USEC") != NULL, !unset && c->usec);
      expect_case(name, getenv("WATCHDOG_PID") != NULL, !unset && c->pid);
    }
  }
}

static void once_the_variables_are_gone_nobody_asks(void** state) {
  (void)state;
  set_variable("WATCHDOG_USEC", "5");
  assert_int_equal(sd_watchdog_enabled(INT_MIN, NULL), 1);
  assert_int_equal(sd_watchdog_enabled(0, NULL), 0);
}

static int ask(void* argument) {
  (void)argument;
  return sd_watchdog_enabled(0, NULL);
}

static void a_child_of_the_process_that_is_watched_is_not_watched(void** state) {
  (void)state;
  char pid[32];
  snprintf(pid, sizeof(pid), "%d", (int)getpid());
  set_variable("WATCHDOG_USEC", "5");
  assert_int_equal(in_child(ask, NULL), 1);  // nobody in particular is
  set_variable("WATCHDOG_PID", pid);
  assert_int_equal(in_child(ask, NULL), 0);
}

static void errno_is_left_alone(void** state) {
  (void)state;
  set_variable("WATCHDOG_USEC", "99999999999999999999");
  errno = EDOM;
  assert_int_equal(sd_watchdog_enabled(1, NULL), -ERANGE);
  assert_int_equal(errno, differs(kErrno, ERANGE, EDOM));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      clean_test(every_spelling_of_the_variables_has_its_result),
      clean_test(a_binary_number_has_one_prefix_and_no_sign),
      clean_test(once_the_variables_are_gone_nobody_asks),
      clean_test(a_child_of_the_process_that_is_watched_is_not_watched),
      clean_test(errno_is_left_alone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
