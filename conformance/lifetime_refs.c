// SPDX-License-Identifier: MIT
//
// Who keeps whom alive: references to sources and loops, floating sources, destroy callbacks, fds.
//
// Invariants under test:
// 1. A source lives while somebody has a reference to it; a source that is not floating keeps its loop alive.
// 2. A floating source belongs to its loop and goes with it; a reference of the caller's keeps it (and the loop)
//    longer.
// 3. Destroy callbacks run exactly once, when the source is really freed.
// 4. Failed calls and freed loops leave no fd behind.
#include "loop_recorder.h"

static void ref_and_unref_accept_null_and_return_what_they_should(void** state) {
  (void)state;
  assert_null(sd_event_ref(NULL));
  assert_null(sd_event_unref(NULL));
  assert_null(sd_event_source_ref(NULL));
  assert_null(sd_event_source_unref(NULL));
  assert_null(sd_event_source_disable_unref(NULL));
  sd_event* loop = make_loop();
  assert_ptr_equal(sd_event_ref(loop), loop);
  assert_null(sd_event_unref(loop));
  struct Probe a = {.name = "a"};
  probe_defer(loop, &a);
  assert_ptr_equal(sd_event_source_ref(a.source), a.source);
  assert_null(sd_event_source_unref(a.source));
  assert_null(sd_event_source_disable_unref(a.source));
  sd_event_unref(loop);
}

static void a_source_is_freed_with_its_last_reference(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_defer(loop, &a);
  assert_result(sd_event_source_set_destroy_callback(a.source, record_destroy), 0);
  sd_event_source_ref(a.source);
  sd_event_source_unref(a.source);
  assert_journal("");
  assert_result(iterate(loop), 1);
  assert_journal("a ");
  free_probe(&a);
  assert_journal("~a ");
  sd_event_unref(loop);
  assert_journal("");
}

static void disable_unref_disables_even_when_others_have_references(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_defer(loop, &a);
  sd_event_source_ref(a.source);
  sd_event_source_disable_unref(a.source);
  assert_int_equal(enabled_of(&a), SD_EVENT_OFF);
  assert_result(iterate(loop), 0);
  assert_journal("");
  free_probe(&a);
  sd_event_unref(loop);
}

static void a_source_keeps_its_loop_alive(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_defer(loop, &a);
  assert_result(sd_event_source_set_destroy_callback(a.source, record_destroy), 0);
  sd_event_unref(loop);
  assert_ptr_equal(sd_event_source_get_event(a.source), loop);
  assert_result(iterate(loop), 1);
  assert_journal("a ");
  free_probe(&a);
  assert_journal("~a ");
}

static void floating_says_whether_something_changed(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_defer(loop, &a);
  assert_result(sd_event_source_get_floating(a.source), 0);
  assert_result(sd_event_source_set_floating(a.source, 0), 0);
  assert_result(sd_event_source_set_floating(a.source, 5), 1);
  assert_result(sd_event_source_set_floating(a.source, 1), 0);
  assert_result(sd_event_source_get_floating(a.source), 1);
  assert_result(sd_event_source_set_floating(a.source, 0), 1);
  assert_result(sd_event_source_get_floating(a.source), 0);
  free_probe(&a);
  sd_event_unref(loop);
}

static void a_floating_source_goes_with_its_loop(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_defer(loop, &a);
  assert_result(sd_event_source_set_destroy_callback(a.source, record_destroy), 0);
  assert_result(sd_event_source_set_floating(a.source, 1), 1);
  free_probe(&a);
  assert_result(iterate(loop), 1);
  assert_journal("a ");
  sd_event_unref(loop);
  assert_journal("~a ");
}

static void a_loop_that_goes_takes_its_floating_sources_one_after_the_other(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe probes[] = {{.name = "a"}, {.name = "b"}, {.name = "c"}};
  for (size_t i = 0; i < lengthof(probes); i++) {
    probe_defer(loop, &probes[i]);
    assert_result(sd_event_source_set_destroy_callback(probes[i].source, record_destroy), 0);
    assert_result(sd_event_source_set_floating(probes[i].source, 1), 1);
    free_probe(&probes[i]);
  }
  sd_event_unref(loop);
  assert_journal(differs_text(kFreedByLoop, "~c ~b ~a ", "~a ~b ~c "));
}

static void a_source_that_stops_floating_holds_its_loop_again(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_defer(loop, &a);
  assert_result(sd_event_source_set_destroy_callback(a.source, record_destroy), 0);
  assert_result(sd_event_source_set_floating(a.source, 1), 1);
  assert_result(sd_event_source_set_floating(a.source, 0), 1);
  sd_event_unref(loop);
  assert_result(iterate(loop), 1);
  free_probe(&a);
  assert_journal("a ~a ");
}

static void a_source_whose_loop_is_gone_still_notes_what_it_is_told(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  uint64_t interval = 0;
  unsigned burst = 0;
  probe_defer(loop, &a);
  assert_result(sd_event_source_set_floating(a.source, 1), 1);
  sd_event_unref(loop);
  if (as_reference(kGoneAborts)) return free_probe(&a);  // errors_gone.c has each of these calls.
  assert_null(sd_event_source_get_event(a.source));
  assert_result(sd_event_source_set_ratelimit(a.source, 7, 9), 0);
  assert_result(sd_event_source_get_ratelimit(a.source, &interval, &burst), 0);
  assert_int_equal(interval, 7);
  assert_int_equal(burst, 9);
  assert_result(sd_event_source_set_exit_on_failure(a.source, 1), 1);
  assert_result(sd_event_source_get_exit_on_failure(a.source), 1);
  free_probe(&a);
}

static void sources_that_are_held_outlive_a_finished_loop(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"}, b = {.name = "b"};
  probe_defer(loop, &a);
  probe_post(loop, &b);
  assert_result(sd_event_source_set_destroy_callback(a.source, record_destroy), 0);
  assert_result(sd_event_source_set_destroy_callback(b.source, record_destroy), 0);
  finish_loop(loop);
  sd_event_unref(loop);
  assert_journal("");
  assert_int_equal(enabled_of(&a), SD_EVENT_ONESHOT);
  assert_ptr_equal(sd_event_source_get_userdata(b.source), &b);
  free_probe(&a);
  assert_journal("~a ");
  free_probe(&b);
  assert_journal("~b ");
}

static void userdata_descriptions_and_destroy_callbacks_can_be_replaced(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"}, other = {.name = "other"};
  const char* description = NULL;
  sd_event_destroy_t destroy = record_destroy;
  probe_defer(loop, &a);
  assert_result(sd_event_source_get_destroy_callback(a.source, &destroy), 0);
  assert_true(destroy == NULL);
  assert_result(sd_event_source_get_destroy_callback(a.source, NULL), 0);
  assert_result(sd_event_source_set_destroy_callback(a.source, record_destroy), 0);
  assert_result(sd_event_source_get_destroy_callback(a.source, &destroy), 1);
  assert_true(destroy == record_destroy);
  assert_ptr_equal(sd_event_source_set_userdata(a.source, &other), &a);
  assert_ptr_equal(sd_event_source_get_userdata(a.source), &other);
  assert_result(iterate(loop), 1);
  assert_result(sd_event_source_get_description(a.source, &description), -ENXIO);
  char text[] = "text";
  assert_true(sd_event_source_set_description(a.source, text) >= 0);
  text[0] = 'n';
  assert_result(sd_event_source_get_description(a.source, &description), 0);
  assert_string_equal(description, "text");
  assert_true(sd_event_source_set_description(a.source, "") >= 0);
  assert_result(sd_event_source_get_description(a.source, &description), 0);
  assert_string_equal(description, "");
  assert_true(sd_event_source_set_description(a.source, NULL) >= 0);
  assert_result(sd_event_source_get_description(a.source, &description), -ENXIO);
  free_probe(&a);
  assert_journal("other ~other ");
  sd_event_unref(loop);
}

static void a_destroy_callback_can_be_taken_back(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_defer(loop, &a);
  assert_result(sd_event_source_set_destroy_callback(a.source, record_destroy), 0);
  assert_result(sd_event_source_set_destroy_callback(a.source, NULL), 0);
  free_probe(&a);
  assert_journal("");
  sd_event_unref(loop);
}

// end_clean of this and of every other test counts the fds.
static void a_loop_that_used_everything_leaves_no_fd(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  char* dir = make_dir();
  int fd = make_eventfd(1);
  set_blocked(SIGCHLD, true);
  struct Probe probes[9] = {{0}};
  for (size_t i = 0; i < lengthof(probes); i++) probes[i].name = "";
  pid_t pid = spawn_sleeper();
  probe_io(loop, &probes[0], fd, EPOLLIN);
  probe_time(loop, &probes[1], CLOCK_MONOTONIC, 1);
  probe_time(loop, &probes[2], CLOCK_REALTIME, UINT64_MAX);
  probe_time(loop, &probes[3], CLOCK_BOOTTIME, 1);
  probe_signal(loop, &probes[4], SIGUSR1 | SD_EVENT_SIGNAL_PROCMASK);
  set_priority(&probes[4], 7);
  probe_child(loop, &probes[5], pid, WEXITED);
  probe_inotify(loop, &probes[6], dir, IN_CREATE);
  set_priority(&probes[6], 3);
  probe_exit(loop, &probes[7]);
  probe_post(loop, &probes[8]);
  iterate_times(loop, 5);
  for (size_t i = 0; i < lengthof(probes); i++) free_probe(&probes[i]);
  sd_event_unref(loop);
  close(fd);
  kill_and_reap(pid);
  set_blocked(SIGCHLD, false);
  remove_dir(dir);
}

static int fds_that_are_standard_or_inheritable(void* context) {
  struct Probe probes[5] = {{.name = ""}, {.name = ""}, {.name = ""}, {.name = ""}, {.name = ""}};
  int wrong = 0;
  set_blocked(SIGCHLD, true);
  pid_t pid = spawn_sleeper();
  for (int fd = 0; fd < 1024; fd++) {
    int flags = fcntl(fd, F_GETFD);  // what was inherited does not count
    if (flags >= 0 && fd > STDERR_FILENO) fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
  }
  for (int fd = 0; fd <= STDERR_FILENO; fd++) close(fd);
  sd_event* loop = make_loop();
  probe_time(loop, &probes[0], CLOCK_MONOTONIC, UINT64_MAX - 1);
  probe_time(loop, &probes[1], CLOCK_REALTIME, UINT64_MAX - 1);
  probe_signal(loop, &probes[2], SIGUSR1 | SD_EVENT_SIGNAL_PROCMASK);
  probe_child(loop, &probes[3], pid, WEXITED);
  probe_inotify(loop, &probes[4], context, IN_CREATE);
  for (int round = 0; round < 2; round++) {
    for (int fd = 0; fd < 1024; fd++) {
      int flags = fcntl(fd, F_GETFD);
      if (flags >= 0 && (fd <= STDERR_FILENO || !(flags & FD_CLOEXEC))) wrong++;
    }
    iterate_times(loop, 1);
  }
  kill_and_reap(pid);
  return wrong;
}

static void no_fd_of_a_loop_is_inheritable_or_a_standard_one_even_if_these_are_closed(void** state) {
  (void)state;
  char* dir = make_dir();
  assert_int_equal(in_child(fds_that_are_standard_or_inheritable, dir), differs(kStandardFds, 3, 0));
  remove_dir(dir);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      recorded_test(ref_and_unref_accept_null_and_return_what_they_should),
      recorded_test(a_source_is_freed_with_its_last_reference),
      recorded_test(disable_unref_disables_even_when_others_have_references),
      recorded_test(a_source_keeps_its_loop_alive),
      recorded_test(floating_says_whether_something_changed),
      recorded_test(a_floating_source_goes_with_its_loop),
      recorded_test(a_loop_that_goes_takes_its_floating_sources_one_after_the_other),
      recorded_test(a_source_that_stops_floating_holds_its_loop_again),
      recorded_test(a_source_whose_loop_is_gone_still_notes_what_it_is_told),
      recorded_test(sources_that_are_held_outlive_a_finished_loop),
      recorded_test(userdata_descriptions_and_destroy_callbacks_can_be_replaced),
      recorded_test(a_destroy_callback_can_be_taken_back),
      recorded_test(a_loop_that_used_everything_leaves_no_fd),
      recorded_test(no_fd_of_a_loop_is_inheritable_or_a_standard_one_even_if_these_are_closed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
