// SPDX-License-Identifier: MIT
//
// Null objects and null out-pointers: -EINVAL from every call that returns an int, NULL from those that return
// pointers; ref and unref do nothing. Three calls say otherwise: turning a null source off, asking whether it is on (it
// is not), and asking whether a default loop exists.
//
// Each call is a row, run in a process of its own, so that a crash fails one row only. The rows name every function of
// the 252 header that takes a source; those that take a loop are in errors_loop_calls.c and errors_order_*.c.
#include "harness.h"

struct Row {
  const char* name;
  int (*call)(void* nothing);
  int expected;
};

// clang-format off
#define CALLS(X)                                                            \
  X(set_description, sd_event_source_set_description(NULL, "x"))            \
  X(get_description, sd_event_source_get_description(NULL, &out.text))      \
  X(set_prepare, sd_event_source_set_prepare(NULL, on_event))               \
  X(get_pending, sd_event_source_get_pending(NULL))                         \
  X(get_priority, sd_event_source_get_priority(NULL, &out.priority))        \
  X(get_priority_nowhere, sd_event_source_get_priority(NULL, NULL))         \
  X(set_priority, sd_event_source_set_priority(NULL, 0))                    \
  X(set_enabled_on, sd_event_source_set_enabled(NULL, SD_EVENT_ON))         \
  X(set_enabled_oneshot, sd_event_source_set_enabled(NULL, SD_EVENT_ONESHOT)) \
  X(set_enabled_bad, sd_event_source_set_enabled(NULL, 2))                  \
  X(get_enabled, sd_event_source_get_enabled(NULL, &out.number))            \
  X(get_io_fd, sd_event_source_get_io_fd(NULL))                             \
  X(set_io_fd, sd_event_source_set_io_fd(NULL, 3))                          \
  X(set_io_fd_bad, sd_event_source_set_io_fd(NULL, -1))                     \
  X(get_io_fd_own, sd_event_source_get_io_fd_own(NULL))                     \
  X(set_io_fd_own, sd_event_source_set_io_fd_own(NULL, 1))                  \
  X(get_io_events, sd_event_source_get_io_events(NULL, &out.mask))          \
  X(set_io_events, sd_event_source_set_io_events(NULL, EPOLLIN))            \
  X(get_io_revents, sd_event_source_get_io_revents(NULL, &out.mask))        \
  X(get_time, sd_event_source_get_time(NULL, &out.usec))                    \
  X(set_time, sd_event_source_set_time(NULL, 1))                            \
  X(set_time_relative, sd_event_source_set_time_relative(NULL, 1))          \
  X(get_time_accuracy, sd_event_source_get_time_accuracy(NULL, &out.usec))  \
  X(set_time_accuracy, sd_event_source_set_time_accuracy(NULL, 1))          \
  X(get_time_clock, sd_event_source_get_time_clock(NULL, &out.clock))       \
  X(get_signal, sd_event_source_get_signal(NULL))                           \
  X(get_child_pid, sd_event_source_get_child_pid(NULL, &out.pid))           \
  X(get_child_pidfd, sd_event_source_get_child_pidfd(NULL))                 \
  X(get_child_pidfd_own, sd_event_source_get_child_pidfd_own(NULL))         \
  X(set_child_pidfd_own, sd_event_source_set_child_pidfd_own(NULL, 1))      \
  X(get_child_process_own, sd_event_source_get_child_process_own(NULL))     \
  X(set_child_process_own, sd_event_source_set_child_process_own(NULL, 1))  \
  X(send_child_signal, sd_event_source_send_child_signal(NULL, SIGCONT, NULL, 0)) \
  X(get_inotify_mask, sd_event_source_get_inotify_mask(NULL, &out.mask))    \
  X(set_destroy_callback, sd_event_source_set_destroy_callback(NULL, NULL)) \
  X(get_destroy_callback, sd_event_source_get_destroy_callback(NULL, &out.destroy)) \
  X(get_floating, sd_event_source_get_floating(NULL))                       \
  X(set_floating, sd_event_source_set_floating(NULL, 1))                    \
  X(get_exit_on_failure, sd_event_source_get_exit_on_failure(NULL))         \
  X(set_exit_on_failure, sd_event_source_set_exit_on_failure(NULL, 1))      \
  X(set_ratelimit, sd_event_source_set_ratelimit(NULL, 1, 1))               \
  X(get_ratelimit, sd_event_source_get_ratelimit(NULL, &out.usec, &out.burst)) \
  X(is_ratelimited, sd_event_source_is_ratelimited(NULL))                   \
  X(set_ratelimit_expire_callback, sd_event_source_set_ratelimit_expire_callback(NULL, on_event)) \
  X(event_new, sd_event_new(NULL))
// clang-format on

static struct {
  const char* text;
  int64_t priority;
  uint64_t usec;
  uint32_t mask;
  unsigned burst;
  int number;
  clockid_t clock;
  pid_t pid;
  sd_event_destroy_t destroy;
} out;

#define DEFINE(name, expression) \
  static int name(void* nothing) { return (void)nothing, (expression); }
CALLS(DEFINE)

static void is_EINVAL(void** state) {
  const struct Row* row = *state;
  assert_result(in_child(row->call, NULL), row->expected);
}

#define ROW(name, expression) static const struct Row name##_row = {#name, name, -EINVAL};
CALLS(ROW)

#define TEST(name, expression) \
  {#name "_with_a_null_object_is_EINVAL", is_EINVAL, begin_clean, end_clean, (void*)&name##_row},

static void calls_that_return_pointers_return_NULL_for_null_objects(void** state) {
  (void)state;
  assert_null(sd_event_ref(NULL));
  assert_null(sd_event_unref(NULL));
  assert_null(sd_event_source_ref(NULL));
  assert_null(sd_event_source_unref(NULL));
  assert_null(sd_event_source_disable_unref(NULL));
  assert_null(sd_event_source_get_event(NULL));
  assert_null(sd_event_source_get_userdata(NULL));
  assert_null(sd_event_source_set_userdata(NULL, state));
}

static void unref_and_disable_unref_return_NULL_for_any_object(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  sd_event_source *s = NULL, *t = NULL;
  assert_int_equal(sd_event_add_defer(loop, &s, on_event, NULL), 0);
  assert_int_equal(sd_event_add_defer(loop, &t, on_event, NULL), 0);
  assert_ptr_equal(sd_event_ref(loop), loop);
  assert_null(sd_event_unref(loop));
  assert_ptr_equal(sd_event_source_ref(s), s);
  assert_null(sd_event_source_unref(s));
  assert_null(sd_event_source_disable_unref(s));
  assert_null(sd_event_source_unref(t));
  assert_null(sd_event_unref(loop));
}

static void the_cleanup_helpers_accept_pointers_to_null(void** state) {
  (void)state;
  sd_event* loop = NULL;
  sd_event_source* s = NULL;
  sd_event_unrefp(&loop);
  sd_event_source_unrefp(&s);
  sd_event_source_disable_unrefp(&s);
}

static void a_null_source_is_off_and_may_be_turned_off(void** state) {
  (void)state;
  assert_result(sd_event_source_set_enabled(NULL, SD_EVENT_OFF), 0);
  assert_result(sd_event_source_get_enabled(NULL, NULL), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      CALLS(TEST) clean_test(calls_that_return_pointers_return_NULL_for_null_objects),
      clean_test(unref_and_disable_unref_return_NULL_for_any_object),
      clean_test(the_cleanup_helpers_accept_pointers_to_null),
      clean_test(a_null_source_is_off_and_may_be_turned_off),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
