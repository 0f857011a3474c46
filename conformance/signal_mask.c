// SPDX-License-Identifier: MIT
//
// Signal sources and the signal mask: what must be blocked, what the library blocks, and sd_event_set_signal_exit.
//
// Invariants under test:
// 1. Without SD_EVENT_SIGNAL_PROCMASK a signal has to be blocked already; the library then never touches the mask.
// 2. With it the call blocks the signal and freeing the source unblocks it, unless it was blocked before the call.
// 3. A refused call leaves the mask alone. One source a signal and loop, enabled or not.
// 4. set_signal_exit: SIGINT and SIGTERM, both or none.
#include "loop_recorder.h"

static void a_signal_must_be_blocked_or_asked_to_be(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  sd_event_source* s = NULL;
  assert_result(sd_event_add_signal(loop, &s, SIGUSR1, on_signal, NULL), -EBUSY);
  assert_false(is_blocked(SIGUSR1));
  assert_result(sd_event_add_signal(loop, &s, SIGUSR1 | SD_EVENT_SIGNAL_PROCMASK, on_signal, NULL), 0);
  assert_true(is_blocked(SIGUSR1));
  sd_event_source_unref(s);
  assert_false(is_blocked(SIGUSR1));
  sd_event_unref(loop);
}

static void the_mask_stays_as_it_was_when_the_signal_was_blocked_before(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  set_blocked(SIGUSR1, true);
  static const int flags[] = {0, SD_EVENT_SIGNAL_PROCMASK};
  for (size_t i = 0; i < lengthof(flags); i++) {
    sd_event_source* s = NULL;
    assert_result(sd_event_add_signal(loop, &s, SIGUSR1 | flags[i], on_signal, NULL), 0);
    sd_event_source_unref(s);
    assert_true(is_blocked(SIGUSR1));
  }
  sd_event_unref(loop);
  assert_true(is_blocked(SIGUSR1));
  set_blocked(SIGUSR1, false);
}

static void off_does_not_unblock_and_freeing_the_loop_does(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  sd_event_source* s = NULL;
  assert_result(sd_event_add_signal(loop, &s, SIGUSR1 | SD_EVENT_SIGNAL_PROCMASK, on_signal, NULL), 0);
  assert_result(sd_event_source_set_enabled(s, SD_EVENT_OFF), 0);
  assert_true(is_blocked(SIGUSR1));
  assert_result(sd_event_source_set_floating(s, 1), 1);
  sd_event_source_unref(s);
  assert_result(sd_event_add_signal(loop, NULL, SIGUSR2 | SD_EVENT_SIGNAL_PROCMASK, on_signal, NULL), 0);
  assert_true(is_blocked(SIGUSR1) && is_blocked(SIGUSR2));
  sd_event_unref(loop);
  assert_false(is_blocked(SIGUSR1) || is_blocked(SIGUSR2));
}

static void one_source_a_signal_and_loop(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  sd_event_source *s = NULL, *second = NULL;
  assert_result(sd_event_add_signal(loop, &s, SIGUSR1 | SD_EVENT_SIGNAL_PROCMASK, on_signal, NULL), 0);
  for (int round = 0; round < 2; round++) {
    assert_result(sd_event_add_signal(loop, &second, SIGUSR1, on_signal, NULL), -EBUSY);
    assert_result(sd_event_add_signal(loop, &second, SIGUSR1 | SD_EVENT_SIGNAL_PROCMASK, on_signal, NULL), -EBUSY);
    assert_null(second);
    assert_true(is_blocked(SIGUSR1));
    assert_result(sd_event_source_set_enabled(s, SD_EVENT_OFF), 0);
  }
  sd_event_source_unref(s);
  assert_false(is_blocked(SIGUSR1));
  sd_event_unref(loop);
}

static void only_real_signals_are_accepted(void** state) {
  (void)state;
  static const int bad[] = {0, -1, NSIG, NSIG + 1, SD_EVENT_SIGNAL_PROCMASK, SD_EVENT_SIGNAL_PROCMASK | NSIG};
  sd_event* loop = make_loop();
  sd_event_source* s = NULL;
  for (size_t i = 0; i < lengthof(bad); i++)
    assert_result(sd_event_add_signal(loop, &s, bad[i], on_signal, NULL), -EINVAL);
  assert_result(sd_event_add_signal(loop, &s, SIGKILL, on_signal, NULL), -EBUSY);  // cannot be blocked
  assert_null(s);
  sd_event_unref(loop);
}

static void sources_are_described_by_the_name_of_their_signal(void** state) {
  (void)state;
  static const struct {
    int sig, above_rtmin;
    const char* name;
  } rows[] = {{SIGUSR1, 0, "USR1"}, {SIGHUP, 0, "HUP"}, {SIGCHLD, 0, "CHLD"}, {SIGIO, 0, "IO"}, {0, 3, "RTMIN+3"}};
  sd_event* loop = make_loop();
  for (size_t i = 0; i < lengthof(rows); i++) {
    int sig = rows[i].sig ? rows[i].sig : SIGRTMIN + rows[i].above_rtmin;
    sd_event_source* s = NULL;
    const char* description = NULL;
    assert_result(sd_event_add_signal(loop, &s, sig | SD_EVENT_SIGNAL_PROCMASK, on_signal, NULL), 0);
    assert_result(sd_event_source_get_description(s, &description), 0);
    assert_string_equal(description, rows[i].name);
    sd_event_source_unref(s);
  }
  sd_event_unref(loop);
}

static void signal_exit_blocks_both_signals_and_either_ends_the_loop_with_0(void** state) {
  (void)state;
  static const int signals[] = {SIGINT, SIGTERM};
  for (size_t i = 0; i < lengthof(signals); i++) {
    sd_event* loop = make_loop();
    assert_result(sd_event_set_signal_exit(loop, 1), 1);
    assert_true(is_blocked(SIGINT) && is_blocked(SIGTERM));
    kill(getpid(), signals[i]);
    assert_int_equal(sd_event_loop(loop), 0);
    int code = 99;
    assert_result(sd_event_get_exit_code(loop, &code), 0);
    assert_int_equal(code, 0);
    assert_result(sd_event_set_signal_exit(loop, 0), -ESTALE);
    sd_event_unref(loop);
    assert_false(is_blocked(SIGINT) || is_blocked(SIGTERM));
  }
}

static void signal_exit_says_whether_it_changed_something(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  assert_result(sd_event_set_signal_exit(NULL, 1), -EINVAL);
  assert_result(sd_event_set_signal_exit(loop, 0), 0);
  assert_result(sd_event_set_signal_exit(loop, 5), 1);
  assert_result(sd_event_set_signal_exit(loop, 1), 0);
  assert_result(sd_event_set_signal_exit(loop, 0), 1);
  assert_false(is_blocked(SIGINT) || is_blocked(SIGTERM));
  assert_result(sd_event_set_signal_exit(loop, 0), 0);
  assert_result(sd_event_set_signal_exit(loop, -1), 1);
  assert_result(sd_event_set_signal_exit(loop, 0), 1);
  sd_event_unref(loop);
}

static void signal_exit_unblocks_only_what_it_has_blocked(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  set_blocked(SIGINT, true);
  assert_result(sd_event_set_signal_exit(loop, 1), 1);
  assert_result(sd_event_set_signal_exit(loop, 0), 1);
  assert_true(is_blocked(SIGINT));
  assert_false(is_blocked(SIGTERM));
  set_blocked(SIGINT, false);
  sd_event_unref(loop);
}

static void signal_exit_and_a_source_of_ones_own_exclude_each_other(void** state) {
  (void)state;
  static const int signals[] = {SIGINT, SIGTERM};
  for (size_t i = 0; i < lengthof(signals); i++) {
    sd_event* loop = make_loop();
    sd_event_source* s = NULL;
    assert_result(sd_event_add_signal(loop, &s, signals[i] | SD_EVENT_SIGNAL_PROCMASK, on_signal, NULL), 0);
    assert_result(sd_event_set_signal_exit(loop, 1), -EBUSY);
    assert_false(is_blocked(signals[1 - i]));
    sd_event_source_unref(s);
    assert_result(sd_event_set_signal_exit(loop, 1), 1);
    assert_result(sd_event_add_signal(loop, &s, signals[i], on_signal, NULL), -EBUSY);
    sd_event_unref(loop);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      recorded_test(a_signal_must_be_blocked_or_asked_to_be),
      recorded_test(the_mask_stays_as_it_was_when_the_signal_was_blocked_before),
      recorded_test(off_does_not_unblock_and_freeing_the_loop_does),
      recorded_test(one_source_a_signal_and_loop),
      recorded_test(only_real_signals_are_accepted),
      recorded_test(sources_are_described_by_the_name_of_their_signal),
      recorded_test(signal_exit_blocks_both_signals_and_either_ends_the_loop_with_0),
      recorded_test(signal_exit_says_whether_it_changed_something),
      recorded_test(signal_exit_unblocks_only_what_it_has_blocked),
      recorded_test(signal_exit_and_a_source_of_ones_own_exclude_each_other),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
