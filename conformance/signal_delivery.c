// SPDX-License-Identifier: MIT
//
// Which signals a source delivers, in what order, and what becomes of queued ones.
//
// Invariants under test:
// 1. A signal is taken from the kernel one at a time for each priority level; real-time signals keep queue and value.
// 2. A source that is off takes nothing from the kernel; what had been taken already (pending) is dropped by OFF.
// 3. Nothing that is still queued gets lost by set_priority, ONESHOT, rate limits, or by freeing source or loop.
#include "loop_recorder.h"

static bool is_queued(int sig) {
  sigset_t set;
  assert_int_equal(sigpending(&set), 0);
  return sigismember(&set, sig) == 1;
}

// Takes what is left in the kernel, so that unblocking the signal harms nobody.
static void discard(int sig) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, sig);
  while (sigtimedwait(&set, NULL, &(struct timespec){0}) == sig) continue;
}

static void a_signal_sent_twice_before_it_is_read_is_delivered_once(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_signal(loop, &a, SIGUSR1 | SD_EVENT_SIGNAL_PROCMASK);
  assert_result(iterate(loop), 0);
  kill(getpid(), SIGUSR1);
  kill(getpid(), SIGUSR1);
  assert_int_equal(iterate_until_idle(loop), 1);
  kill(getpid(), SIGUSR1);
  gather(loop);
  assert_int_equal(is_pending(&a), 1);
  kill(getpid(), SIGUSR1);
  assert_int_equal(iterate_until_idle(loop), 2);
  assert_journal("a a a ");
  free_probe(&a);
  sd_event_unref(loop);
}

static int check_siginfo(sd_event_source* s, const struct signalfd_siginfo* si, void* userdata) {
  (void)s;
  assert_int_equal(si->ssi_signo, SIGUSR2);
  assert_int_equal(si->ssi_pid, getpid());
  assert_int_equal(si->ssi_uid, getuid());
  assert_int_equal(si->ssi_code, SI_USER);
  ++*(int*)userdata;
  return 0;
}

static void the_callback_gets_the_siginfo(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int calls = 0;
  sd_event_source* s = NULL;
  assert_result(sd_event_add_signal(loop, &s, SIGUSR2 | SD_EVENT_SIGNAL_PROCMASK, check_siginfo, &calls), 0);
  assert_int_equal(sd_event_source_get_signal(s), SIGUSR2);
  kill(getpid(), SIGUSR2);
  assert_result(iterate(loop), 1);
  assert_int_equal(calls, 1);
  sd_event_source_unref(s);
  sd_event_unref(loop);
}

static void realtime_signals_keep_their_queue_and_their_values(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"}, b = {.name = "b"};
  probe_signal(loop, &a, SIGRTMIN | SD_EVENT_SIGNAL_PROCMASK);
  probe_signal(loop, &b, (SIGRTMIN + 1) | SD_EVENT_SIGNAL_PROCMASK);
  queue_value(SIGRTMIN + 1, 7);
  queue_value(SIGRTMIN, 1);
  queue_value(SIGRTMIN + 1, 8);
  queue_value(SIGRTMIN, 2);
  assert_int_equal(iterate_until_idle(loop), 4);
  assert_journal("a=1 a=2 b=7 b=8 ");  // the kernel gives lower numbers first
  free_probe(&a);
  free_probe(&b);
  sd_event_unref(loop);
}

static void one_signal_is_read_at_a_time_for_each_priority(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"}, b = {.name = "b"};
  probe_signal(loop, &a, SIGUSR1 | SD_EVENT_SIGNAL_PROCMASK);
  probe_signal(loop, &b, SIGUSR2 | SD_EVENT_SIGNAL_PROCMASK);
  kill(getpid(), SIGUSR2);
  kill(getpid(), SIGUSR1);
  gather(loop);
  assert_int_equal(is_pending(&a) + is_pending(&b), 1);
  assert_int_equal(is_queued(SIGUSR1) + is_queued(SIGUSR2), 1);
  assert_int_equal(iterate_until_idle(loop), 2);
  assert_journal("a b ");
  set_priority(&b, -5);
  kill(getpid(), SIGUSR1);
  kill(getpid(), SIGUSR2);
  gather(loop);
  assert_int_equal(is_pending(&a) + is_pending(&b), 2);
  assert_int_equal(iterate_until_idle(loop), 2);
  assert_journal("b a ");
  free_probe(&a);
  free_probe(&b);
  sd_event_unref(loop);
}

static void a_signal_that_comes_while_the_source_is_off_waits_in_the_kernel(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_signal(loop, &a, SIGUSR1 | SD_EVENT_SIGNAL_PROCMASK);
  set_enabled(&a, SD_EVENT_OFF);
  kill(getpid(), SIGUSR1);
  assert_result(iterate(loop), 0);
  assert_true(is_queued(SIGUSR1));
  assert_true(is_blocked(SIGUSR1));
  set_enabled(&a, SD_EVENT_ON);
  assert_result(iterate(loop), 1);
  assert_journal("a ");
  free_probe(&a);
  sd_event_unref(loop);
}

static void off_drops_the_signal_that_was_read_and_no_other_one(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_signal(loop, &a, SIGRTMIN | SD_EVENT_SIGNAL_PROCMASK);
  queue_value(SIGRTMIN, 1);
  queue_value(SIGRTMIN, 2);
  gather(loop);
  assert_int_equal(is_pending(&a), 1);
  set_enabled(&a, SD_EVENT_OFF);
  assert_int_equal(is_pending(&a), 0);
  assert_result(iterate(loop), 0);
  set_enabled(&a, SD_EVENT_ON);
  assert_int_equal(iterate_until_idle(loop), 1);
  assert_journal("a=2 ");
  free_probe(&a);
  sd_event_unref(loop);
}

static void a_oneshot_source_leaves_the_rest_of_the_queue_for_later(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_signal(loop, &a, SIGRTMIN | SD_EVENT_SIGNAL_PROCMASK);
  set_enabled(&a, SD_EVENT_ONESHOT);
  for (int value = 1; value <= 3; value++) queue_value(SIGRTMIN, value);
  assert_int_equal(iterate_until_idle(loop), 1);
  assert_int_equal(enabled_of(&a), SD_EVENT_OFF);
  set_enabled(&a, SD_EVENT_ON);
  assert_int_equal(iterate_until_idle(loop), 2);
  assert_journal("a=1 a=2 a=3 ");
  free_probe(&a);
  sd_event_unref(loop);
}

static void freeing_a_pending_source_leaves_the_rest_of_the_queue_to_the_next_one(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  set_blocked(SIGRTMIN, true);
  struct Probe a = {.name = "a"}, b = {.name = "b"};
  probe_signal(loop, &a, SIGRTMIN);
  queue_value(SIGRTMIN, 1);
  queue_value(SIGRTMIN, 2);
  gather(loop);
  free_probe(&a);
  assert_result(iterate(loop), 0);
  assert_true(is_queued(SIGRTMIN));
  probe_signal(loop, &b, SIGRTMIN);
  assert_int_equal(iterate_until_idle(loop), 1);
  assert_journal("b=2 ");
  free_probe(&b);
  sd_event_unref(loop);
  set_blocked(SIGRTMIN, false);
}

static void a_loop_that_is_freed_with_a_signal_queued_leaves_it_in_the_kernel(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  set_blocked(SIGRTMIN, true);
  assert_result(sd_event_add_signal(loop, NULL, SIGRTMIN, on_signal, NULL), 0);
  queue_value(SIGRTMIN, 1);
  queue_value(SIGRTMIN, 2);
  gather(loop);
  sd_event_unref(loop);
  assert_true(is_queued(SIGRTMIN));
  discard(SIGRTMIN);
  set_blocked(SIGRTMIN, false);
}

// 252 loses a real-time signal whose source shared a priority with one that is moved away or turned off.
static void a_real_time_signal_survives_what_happens_to_the_source_of_another(void** state) {
  (void)state;
  for (int moved = 0; moved < 2; moved++) {
    sd_event* loop = make_loop();
    struct Probe a = {.name = "a"}, b = {.name = "b"};
    set_blocked(SIGRTMIN, true);
    set_blocked(SIGRTMIN + 1, true);
    probe_signal(loop, &a, SIGRTMIN);
    probe_signal(loop, &b, SIGRTMIN + 1);
    if (moved) set_priority(&b, 1);
    if (!moved) set_enabled(&b, SD_EVENT_OFF);
    assert_int_equal(kill(getpid(), SIGRTMIN), 0);
    iterate_until_idle(loop);
    assert_journal(differs_text(kSharedSignals, "", "a "));
    free_probe(&a);
    free_probe(&b);
    sd_event_unref(loop);
    discard(SIGRTMIN);
    set_blocked(SIGRTMIN, false);
    set_blocked(SIGRTMIN + 1, false);
  }
}

static void a_change_of_priority_keeps_the_queue(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  set_blocked(SIGRTMIN, true);
  struct Probe a = {.name = "a"};
  probe_signal(loop, &a, SIGRTMIN);
  queue_value(SIGRTMIN, 1);
  queue_value(SIGRTMIN, 2);
  set_priority(&a, 4);
  assert_int_equal(iterate_until_idle(loop), 2);
  assert_journal("a=1 a=2 ");

  queue_value(SIGRTMIN, 1);
  queue_value(SIGRTMIN, 2);
  gather(loop);
  set_priority(&a, -3);
  assert_int_equal(is_pending(&a), 1);
  iterate_until_idle(loop);
  assert_journal(differs_text(kQueuedSignals, "a=1 ", "a=1 a=2 "));
  discard(SIGRTMIN);
  free_probe(&a);
  sd_event_unref(loop);
  set_blocked(SIGRTMIN, false);
}

static void two_loops_may_watch_one_signal_and_each_is_told_only_once(void** state) {
  (void)state;
  sd_event *loop = make_loop(), *other_loop = make_loop();
  struct Probe a = {.name = "s"}, b = {.name = "s"};
  set_blocked(SIGUSR1, true);
  probe_signal(loop, &a, SIGUSR1);
  probe_signal(other_loop, &b, SIGUSR1);
  kill(getpid(), SIGUSR1);
  iterate_until_idle(loop);
  iterate_until_idle(other_loop);
  assert_journal("s ");
  free_probe(&a);
  kill(getpid(), SIGUSR1);
  iterate_until_idle(loop);
  iterate_until_idle(other_loop);
  assert_journal("s ");
  free_probe(&b);
  sd_event_unref(loop);
  sd_event_unref(other_loop);
  set_blocked(SIGUSR1, false);
}

static void act_free_other(struct Probe* p) { free_probe(p->other); }

static void a_signal_callback_may_free_another_signal_source(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  set_blocked(SIGUSR2, true);
  struct Probe b = {.name = "b"}, a = {.name = "a", .act = act_free_other, .other = &b};
  probe_signal(loop, &a, SIGUSR1 | SD_EVENT_SIGNAL_PROCMASK);
  probe_signal(loop, &b, SIGUSR2);
  set_priority(&b, 1);
  kill(getpid(), SIGUSR1);
  kill(getpid(), SIGUSR2);
  assert_int_equal(iterate_until_idle(loop), 1);
  assert_journal("a ");
  free_probe(&a);
  sd_event_unref(loop);
  discard(SIGUSR2);
  set_blocked(SIGUSR2, false);
}

static void* run_until_told(void* userdata) {
  run_until_calls(userdata, 1);
  return NULL;
}

// The thread alone touches its loop until it is joined.
static void a_signal_to_the_process_reaches_the_loop_of_another_thread(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  set_blocked(SIGUSR1, true);
  struct Probe a = {.name = "a"};
  pthread_t thread;
  probe_signal(loop, &a, SIGUSR1);
  assert_int_equal(pthread_create(&thread, NULL, run_until_told, &a), 0);
  assert_int_equal(kill(getpid(), SIGUSR1), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_journal("a ");
  free_probe(&a);
  sd_event_unref(loop);
  set_blocked(SIGUSR1, false);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      recorded_test(a_signal_sent_twice_before_it_is_read_is_delivered_once),
      recorded_test(the_callback_gets_the_siginfo),
      recorded_test(realtime_signals_keep_their_queue_and_their_values),
      recorded_test(one_signal_is_read_at_a_time_for_each_priority),
      recorded_test(a_signal_that_comes_while_the_source_is_off_waits_in_the_kernel),
      recorded_test(off_drops_the_signal_that_was_read_and_no_other_one),
      recorded_test(a_oneshot_source_leaves_the_rest_of_the_queue_for_later),
      recorded_test(freeing_a_pending_source_leaves_the_rest_of_the_queue_to_the_next_one),
      recorded_test(a_loop_that_is_freed_with_a_signal_queued_leaves_it_in_the_kernel),
      recorded_test(a_change_of_priority_keeps_the_queue),
      recorded_test(a_real_time_signal_survives_what_happens_to_the_source_of_another),
      recorded_test(two_loops_may_watch_one_signal_and_each_is_told_only_once),
      recorded_test(a_signal_callback_may_free_another_signal_source),
      recorded_test(a_signal_to_the_process_reaches_the_loop_of_another_thread),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
