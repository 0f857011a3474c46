// SPDX-License-Identifier: MIT
//
// Default loops: one a thread, made on demand, freed with the last reference, run by their own thread only.
//
// The threads here are joined at once: one of the two always waits for the other, nothing is shared while both run.
#include "loop_recorder.h"

static void the_default_loop_is_made_once_and_freed_with_its_last_reference(void** state) {
  (void)state;
  sd_event *first = NULL, *second = NULL;
  assert_result(sd_event_default(NULL), 0);
  assert_result(sd_event_default(&first), 1);
  assert_result(sd_event_default(NULL), 1);
  assert_result(sd_event_default(&second), 0);
  assert_ptr_equal(first, second);
  sd_event_unref(first);
  assert_result(sd_event_default(NULL), 1);
  sd_event_unref(second);
  assert_result(sd_event_default(NULL), 0);
  assert_result(sd_event_default(&first), 1);
  sd_event_unref(first);
}

static void a_source_keeps_the_default_loop_alive(void** state) {
  (void)state;
  sd_event* loop = NULL;
  struct Probe a = {.name = "a"};
  assert_result(sd_event_default(&loop), 1);
  probe_defer(loop, &a);
  sd_event_unref(loop);
  assert_result(sd_event_default(NULL), 1);
  assert_result(sd_event_run(SD_EVENT_DEFAULT, 0), 1);
  assert_journal("a ");
  free_probe(&a);
  assert_result(sd_event_default(NULL), 0);
}

static void the_constant_means_the_default_loop_of_this_thread(void** state) {
  (void)state;
  assert_result(sd_event_run(SD_EVENT_DEFAULT, 0), -ENOPKG);
  assert_result(sd_event_get_fd(SD_EVENT_DEFAULT), -ENOPKG);
  assert_result(sd_event_get_state(SD_EVENT_DEFAULT), -ENOPKG);
  assert_result(sd_event_exit(SD_EVENT_DEFAULT, 0), -ENOPKG);
  sd_event* loop = NULL;
  assert_result(sd_event_default(&loop), 1);
  struct Probe a = {.name = "a"};
  probe_defer(SD_EVENT_DEFAULT, &a);
  assert_ptr_equal(sd_event_source_get_event(a.source), loop);
  assert_int_equal(sd_event_get_fd(SD_EVENT_DEFAULT), sd_event_get_fd(loop));
  assert_result(sd_event_run(SD_EVENT_DEFAULT, 0), 1);
  assert_journal("a ");
  assert_result(sd_event_exit(SD_EVENT_DEFAULT, 9), 0);
  assert_int_equal(sd_event_loop(SD_EVENT_DEFAULT), 9);
  free_probe(&a);
  sd_event_unref(loop);
}

static void only_a_default_loop_belongs_to_a_thread(void** state) {
  (void)state;
  sd_event *loop = NULL, *plain = make_loop();
  pid_t tid = 0;
  assert_result(sd_event_get_tid(plain, &tid), -ENXIO);
  assert_result(sd_event_default(&loop), 1);
  assert_result(sd_event_get_tid(loop, &tid), 0);
  assert_int_equal(tid, syscall(SYS_gettid));
  assert_result(sd_event_get_tid(plain, &tid), -ENXIO);
  sd_event_unref(loop);
  sd_event_unref(plain);
}

struct Visit {
  sd_event* loop;
  char row[256];
};

static void* visit_default_loop(void* userdata) {
  struct Visit* visit = userdata;
  sd_event* own = NULL;
  char* row = visit->row;
  size_t size = sizeof(visit->row);
  append_result(row, size, sd_event_default(NULL));
  append_result(row, size, sd_event_default(&own));
  append_result(row, size, own == visit->loop);
  append_result(row, size, own && sd_event_unref(own) == NULL);
  append_result(row, size, sd_event_default(NULL));
  append_result(row, size, sd_event_run(visit->loop, 0));
  append_result(row, size, sd_event_loop(visit->loop));
  append_result(row, size, sd_event_prepare(visit->loop));
  append_result(row, size, sd_event_wait(visit->loop, 0));
  append_result(row, size, sd_event_add_defer(visit->loop, NULL, on_event, NULL));
  append_result(row, size, sd_event_get_state(visit->loop));
  return NULL;
}

static void each_thread_has_its_own_default_loop_and_runs_no_other_ones(void** state) {
  (void)state;
  struct Visit visit = {0};
  pthread_t thread;
  assert_result(sd_event_default(&visit.loop), 1);
  assert_int_equal(pthread_create(&thread, NULL, visit_default_loop, &visit), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_string_equal(visit.row, "0 1 0 1 0 EREMOTEIO EREMOTEIO EREMOTEIO EBUSY 0 0");
  assert_result(sd_event_run(visit.loop, 0), 1);
  sd_event_unref(visit.loop);
}

static void* visit_plain_loop(void* userdata) {
  struct Visit* visit = userdata;
  append_result(visit->row, sizeof(visit->row), sd_event_run(visit->loop, 0));
  append_result(visit->row, sizeof(visit->row), sd_event_run(visit->loop, 0));
  return NULL;
}

static void a_loop_that_is_no_default_loop_may_move_to_another_thread(void** state) {
  (void)state;
  struct Visit visit = {.loop = make_loop()};
  struct Probe a = {.name = "a"};
  pthread_t thread;
  probe_defer(visit.loop, &a);
  assert_int_equal(pthread_create(&thread, NULL, visit_plain_loop, &visit), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_string_equal(visit.row, "1 0");
  assert_journal("a ");
  free_probe(&a);
  sd_event_unref(visit.loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      recorded_test(the_default_loop_is_made_once_and_freed_with_its_last_reference),
      recorded_test(a_source_keeps_the_default_loop_alive),
      recorded_test(the_constant_means_the_default_loop_of_this_thread),
      recorded_test(only_a_default_loop_belongs_to_a_thread),
      recorded_test(each_thread_has_its_own_default_loop_and_runs_no_other_ones),
      recorded_test(a_loop_that_is_no_default_loop_may_move_to_another_thread),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
