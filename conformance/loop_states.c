// SPDX-License-Identifier: MIT
//
// The state machine of a loop: which state follows which call, what nested calls answer, how iterations are counted.
//
// Invariants under test:
// 1. prepare/run/loop need INITIAL, wait needs ARMED, dispatch needs PENDING; anything else is -EBUSY, and a finished
//    loop answers -ESTALE (sd_event_loop: -EBUSY). A refused call changes neither state nor iteration.
// 2. Inside callbacks the state is PREPARING, RUNNING or EXITING, and no call drives the loop from there.
// 3. The iteration counts prepares, and after an exit request the exit sources dispatched, nothing else.
// 4. `wait` that a signal handler interrupts says that a dispatch is due; that dispatch finds nothing and still
//    succeeds.
#include "loop_recorder.h"

static uint64_t iteration_of(sd_event* loop) {
  uint64_t iteration = 99;
  assert_result(sd_event_get_iteration(loop, &iteration), 0);
  return iteration;
}

// The five calls that drive a loop, as one text.
static const char* drive_results(sd_event* loop) {
  static char row[128];
  row[0] = 0;
  append_result(row, sizeof(row), sd_event_prepare(loop));
  append_result(row, sizeof(row), sd_event_wait(loop, 0));
  append_result(row, sizeof(row), sd_event_dispatch(loop));
  append_result(row, sizeof(row), sd_event_run(loop, 0));
  append_result(row, sizeof(row), sd_event_loop(loop));
  return row;
}

static void prepare_with_a_pending_source_leads_to_pending(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_defer(loop, &a);
  assert_result(sd_event_prepare(loop), 1);
  assert_int_equal(sd_event_get_state(loop), SD_EVENT_PENDING);
  assert_result(sd_event_wait(loop, 0), -EBUSY);
  assert_result(sd_event_prepare(loop), -EBUSY);
  assert_result(sd_event_run(loop, 0), -EBUSY);
  assert_result(sd_event_loop(loop), -EBUSY);
  assert_int_equal(sd_event_get_state(loop), SD_EVENT_PENDING);
  assert_result(sd_event_dispatch(loop), 1);
  assert_int_equal(sd_event_get_state(loop), SD_EVENT_INITIAL);
  assert_journal("a ");
  free_probe(&a);
  sd_event_unref(loop);
}

static void prepare_with_nothing_pending_leads_to_armed_and_wait_back_to_initial(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  assert_int_equal(sd_event_get_state(loop), SD_EVENT_INITIAL);
  assert_result(sd_event_wait(loop, 0), -EBUSY);
  assert_result(sd_event_dispatch(loop), -EBUSY);
  assert_result(sd_event_prepare(loop), 0);
  assert_int_equal(sd_event_get_state(loop), SD_EVENT_ARMED);
  assert_result(sd_event_prepare(loop), -EBUSY);
  assert_result(sd_event_dispatch(loop), -EBUSY);
  assert_result(sd_event_run(loop, 0), -EBUSY);
  assert_result(sd_event_loop(loop), -EBUSY);
  assert_int_equal(sd_event_get_state(loop), SD_EVENT_ARMED);
  assert_result(sd_event_wait(loop, 0), 0);
  assert_int_equal(sd_event_get_state(loop), SD_EVENT_INITIAL);
  assert_int_equal(iteration_of(loop), 1);
  sd_event_unref(loop);
}

static void wait_that_finds_an_event_leads_to_pending(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(0);
  struct Probe a = {.name = "a"};
  probe_io(loop, &a, fd, EPOLLIN);
  assert_result(sd_event_prepare(loop), 0);
  raise_eventfd(fd);
  assert_int_equal(is_pending(&a), 0);
  assert_result(sd_event_wait(loop, UINT64_MAX), 1);
  assert_int_equal(is_pending(&a), 1);
  assert_int_equal(sd_event_get_state(loop), SD_EVENT_PENDING);
  assert_result(sd_event_dispatch(loop), 1);
  assert_journal("a ");
  free_probe(&a);
  close(fd);
  sd_event_unref(loop);
}

static void act_note_drive_results(struct Probe* p) {
  note("%d:%s;", sd_event_get_state(p->loop), drive_results(p->loop));
}
static int note_drive_results(sd_event_source* s, void* userdata) {
  struct Probe* p = userdata;
  (void)s;
  note("prepare ");
  return act_note_drive_results(p), 0;
}

static void no_callback_can_drive_the_loop(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "defer", .act = act_note_drive_results};
  struct Probe b = {.name = "exit", .act = act_note_drive_results};
  probe_defer(loop, &a);
  assert_result(sd_event_source_set_prepare(a.source, note_drive_results), 0);
  probe_exit(loop, &b);
  assert_result(sd_event_run(loop, 0), 1);
  assert_journal("prepare 6:EBUSY EBUSY EBUSY EBUSY EBUSY;defer 3:EBUSY EBUSY EBUSY EBUSY EBUSY;");
  assert_int_equal(iteration_of(loop), 1);
  assert_result(sd_event_exit(loop, 0), 0);
  assert_result(sd_event_loop(loop), 0);
  assert_journal("exit 4:EBUSY EBUSY EBUSY EBUSY EBUSY;");
  free_probe(&a);
  free_probe(&b);
  sd_event_unref(loop);
}

static void a_finished_loop_cannot_be_driven(void** state) {
  (void)state;
  sd_event* loop = make_finished_loop();
  assert_string_equal(drive_results(loop), "ESTALE ESTALE ESTALE ESTALE EBUSY");
  assert_int_equal(sd_event_get_state(loop), SD_EVENT_FINISHED);
  assert_result(sd_event_exit(loop, 3), -ESTALE);
  int code = 99;
  assert_result(sd_event_get_exit_code(loop, &code), 0);
  assert_int_equal(code, 0);
  sd_event_unref(loop);
}

static void act_note_iteration(struct Probe* p) { note("%d ", (int)iteration_of(p->loop)); }
static int note_iteration(sd_event_source* s, void* userdata) {
  struct Probe* p = userdata;
  (void)s;
  note("(%s) ", p->name);
  return act_note_iteration(p), 0;
}

static void the_iteration_counts_prepares_and_the_callbacks_of_it_see_the_new_count(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a", .act = act_note_iteration};
  assert_int_equal(iteration_of(loop), 0);
  probe_defer(loop, &a);
  assert_result(sd_event_source_set_prepare(a.source, note_iteration), 0);
  assert_result(iterate(loop), 1);
  assert_journal("(a) 1 a 1 ");
  assert_result(iterate(loop), 0);
  assert_int_equal(iteration_of(loop), 2);
  free_probe(&a);
  sd_event_unref(loop);
}

static void after_an_exit_request_the_iteration_counts_exit_sources(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a", .act = act_note_iteration}, b = {.name = "b", .act = act_note_iteration};
  probe_exit(loop, &a);
  probe_exit(loop, &b);
  set_priority(&b, 1);
  assert_result(iterate(loop), 0);
  assert_result(sd_event_exit(loop, 0), 0);
  assert_result(sd_event_prepare(loop), 1);
  assert_int_equal(iteration_of(loop), 1);
  assert_result(sd_event_dispatch(loop), 1);
  assert_journal("a 2 ");
  assert_result(iterate(loop), 1);
  assert_journal("b 3 ");
  assert_int_equal(sd_event_get_state(loop), SD_EVENT_INITIAL);
  assert_result(iterate(loop), 1);
  assert_int_equal(sd_event_get_state(loop), SD_EVENT_FINISHED);
  assert_int_equal(iteration_of(loop), 3);
  free_probe(&a);
  free_probe(&b);
  sd_event_unref(loop);
}

static void ignore_signal(int sig) { (void)sig; }

// Wakes the waiting thread by SIGALRM again and again, so that one that comes before the wait does no harm.
static void set_alarm(long usec) {
  struct itimerval timer = {{0, usec}, {0, usec}};
  struct sigaction action = {.sa_handler = ignore_signal}, ignore = {.sa_handler = SIG_IGN};
  assert_int_equal(sigaction(SIGALRM, usec ? &action : &ignore, NULL), 0);
  assert_int_equal(setitimer(ITIMER_REAL, &timer, NULL), 0);
  if (!usec) assert_int_equal(sigaction(SIGALRM, &(struct sigaction){.sa_handler = SIG_DFL}, NULL), 0);
}

static void a_wait_that_a_signal_handler_interrupts_is_followed_by_an_empty_dispatch(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe post = {.name = "post"};
  probe_post(loop, &post);
  assert_result(sd_event_prepare(loop), 0);
  set_alarm(10000);
  assert_result(sd_event_wait(loop, UINT64_MAX), 1);
  set_alarm(0);
  assert_int_equal(sd_event_get_state(loop), SD_EVENT_PENDING);
  assert_result(sd_event_dispatch(loop), 1);
  assert_int_equal(sd_event_get_state(loop), SD_EVENT_INITIAL);
  assert_int_equal(is_pending(&post), 0);
  set_alarm(10000);
  assert_result(sd_event_run(loop, UINT64_MAX), 1);
  set_alarm(0);
  assert_journal("");
  free_probe(&post);
  sd_event_unref(loop);
}

static void a_wait_with_a_timeout_lasts_that_long(void** state) {
  (void)state;
  static const uint64_t timeouts[] = {0, 1, 300, 2500};
  sd_event* loop = make_loop();
  for (size_t i = 0; i < lengthof(timeouts); i++) {
    assert_result(sd_event_prepare(loop), 0);
    uint64_t before = clock_usec(CLOCK_MONOTONIC);
    assert_result(sd_event_wait(loop, timeouts[i]), 0);
    assert_true(clock_usec(CLOCK_MONOTONIC) >= before + timeouts[i]);
    before = clock_usec(CLOCK_MONOTONIC);
    assert_result(sd_event_run(loop, timeouts[i]), 0);
    assert_true(clock_usec(CLOCK_MONOTONIC) >= before + timeouts[i]);
  }
  sd_event_unref(loop);
}

static void a_run_dispatches_one_source_at_most(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"}, b = {.name = "b"};
  probe_defer(loop, &a);
  probe_defer(loop, &b);
  set_priority(&b, 1);
  assert_result(sd_event_run(loop, UINT64_MAX), 1);
  assert_journal("a ");
  assert_result(sd_event_run(loop, UINT64_MAX), 1);
  assert_journal("b ");
  assert_result(sd_event_run(loop, 0), 0);
  free_probe(&a);
  free_probe(&b);
  sd_event_unref(loop);
}

static void a_loop_that_profiles_its_delays_behaves_the_same(void** state) {
  (void)state;
  setenv("SD_EVENT_PROFILE_DELAYS", "1", 1);
  sd_event* loop = make_loop();
  unsetenv("SD_EVENT_PROFILE_DELAYS");
  struct Probe a = {.name = "a", .act = act_note_iteration};
  probe_defer(loop, &a);
  assert_result(iterate(loop), 1);
  assert_result(sd_event_run(loop, 1500), 0);
  assert_journal("a 1 ");
  assert_int_equal(iteration_of(loop), 2);
  free_probe(&a);
  sd_event_unref(loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      recorded_test(prepare_with_a_pending_source_leads_to_pending),
      recorded_test(prepare_with_nothing_pending_leads_to_armed_and_wait_back_to_initial),
      recorded_test(wait_that_finds_an_event_leads_to_pending),
      recorded_test(no_callback_can_drive_the_loop),
      recorded_test(a_finished_loop_cannot_be_driven),
      recorded_test(the_iteration_counts_prepares_and_the_callbacks_of_it_see_the_new_count),
      recorded_test(after_an_exit_request_the_iteration_counts_exit_sources),
      recorded_test(a_wait_that_a_signal_handler_interrupts_is_followed_by_an_empty_dispatch),
      recorded_test(a_wait_with_a_timeout_lasts_that_long),
      recorded_test(a_run_dispatches_one_source_at_most),
      recorded_test(a_loop_that_profiles_its_delays_behaves_the_same),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
