// SPDX-License-Identifier: MIT
//
// The single functions that are newer than 252: leave_ratelimit, trim_memory (254), get_inotify_path (256),
// set_exit_on_idle and get_exit_on_idle (259). Not for the reference 252, which has none of them.
//
// Errors follow the rules of their neighbours: null objects and out-pointers -EINVAL, no default loop -ENOPKG, the
// wrong kind of source -EDOM, a forked process -ECHILD. Each test owns its loop.
#include "harness.h"
#include "newer.h"

// ---- exit_on_idle --------------------------------------------------------------------------------------------------

static int get_exit_on_idle(void* loop) { return sd_event_get_exit_on_idle(loop); }
static int set_exit_on_idle(void* loop) { return sd_event_set_exit_on_idle(loop, 1); }

static void exit_on_idle_checks_its_loop(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  assert_result(sd_event_set_exit_on_idle(NULL, 1), -EINVAL);
  assert_result(sd_event_get_exit_on_idle(NULL), -EINVAL);
  assert_result(sd_event_set_exit_on_idle(SD_EVENT_DEFAULT, 1), -ENOPKG);
  assert_result(sd_event_get_exit_on_idle(SD_EVENT_DEFAULT), -ENOPKG);
  assert_result(in_child(set_exit_on_idle, loop), -ECHILD);
  assert_result(in_child(get_exit_on_idle, loop), -ECHILD);
  sd_event_unref(loop);
}

static void exit_on_idle_is_off_at_first_and_both_calls_return_the_setting(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  assert_result(sd_event_get_exit_on_idle(loop), 0);
  assert_result(sd_event_set_exit_on_idle(loop, 77), 1);
  assert_result(sd_event_get_exit_on_idle(loop), 1);
  assert_result(sd_event_set_exit_on_idle(loop, 1), 1);
  assert_result(sd_event_set_exit_on_idle(loop, 0), 0);
  assert_result(sd_event_get_exit_on_idle(loop), 0);
  sd_event_unref(loop);
}

static void an_idle_loop_ends_with_code_0_when_asked_to(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  sd_event_source *post = NULL, *last = NULL, *defer = NULL, *off = NULL;
  int code = 77;
  assert_int_equal(sd_event_add_post(loop, &post, on_event, NULL), 0);
  assert_int_equal(sd_event_add_exit(loop, &last, on_event, NULL), 0);
  assert_int_equal(sd_event_add_defer(loop, &defer, on_event, NULL), 0);
  assert_int_equal(sd_event_add_time(loop, &off, CLOCK_MONOTONIC, UINT64_MAX, 0, on_time, NULL), 0);
  assert_int_equal(sd_event_source_set_enabled(off, SD_EVENT_OFF), 0);
  assert_int_equal(sd_event_set_exit_on_idle(loop, 1), 1);
  assert_int_equal(sd_event_loop(loop), 0);
  assert_int_equal(sd_event_get_exit_code(loop, &code), 0);
  assert_int_equal(code, 0);
  assert_int_equal(sd_event_source_get_enabled(defer, NULL), 0);
  assert_int_equal(sd_event_source_get_enabled(last, NULL), 0);
  sd_event_source_unref(post);
  sd_event_source_unref(last);
  sd_event_source_unref(defer);
  sd_event_source_unref(off);
  sd_event_unref(loop);
}

struct Posts {
  sd_event_source* defer;
  int n_posts, n_defers;
};
static int count_defer(sd_event_source* s, void* userdata) { return (void)s, ((struct Posts*)userdata)->n_defers++, 0; }
static int turn_on_once(sd_event_source* s, void* userdata) {
  struct Posts* posts = userdata;
  (void)s;
  return ++posts->n_posts == 1 ? sd_event_source_set_enabled(posts->defer, SD_EVENT_ONESHOT) : 0;
}

static void whether_a_loop_is_idle_is_decided_after_the_post_sources_of_the_last_dispatch(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  sd_event_source* post = NULL;
  struct Posts posts = {NULL, 0, 0};
  assert_int_equal(sd_event_add_defer(loop, &posts.defer, count_defer, &posts), 0);
  assert_int_equal(sd_event_add_post(loop, &post, turn_on_once, &posts), 0);
  assert_int_equal(sd_event_set_exit_on_idle(loop, 1), 1);
  for (int i = 0; i < 4; i++) {
    assert_int_equal(sd_event_run(loop, 0), 1);
    assert_int_equal(sd_event_get_state(loop), SD_EVENT_INITIAL);
    assert_int_equal(posts.n_defers, (i + 2) / 2);
    assert_int_equal(posts.n_posts, (i + 1) / 2);
  }
  assert_int_equal(sd_event_run(loop, 0), 1);
  assert_int_equal(sd_event_get_state(loop), SD_EVENT_FINISHED);
  assert_int_equal(posts.n_posts, 2);
  sd_event_source_unref(post);
  sd_event_source_unref(posts.defer);
  sd_event_unref(loop);
}

static void a_loop_with_an_enabled_source_is_not_idle(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  sd_event_source* s = NULL;
  int code = 0;
  assert_int_equal(sd_event_add_time(loop, &s, CLOCK_MONOTONIC, UINT64_MAX, 0, on_time, NULL), 0);
  assert_int_equal(sd_event_set_exit_on_idle(loop, 1), 1);
  assert_int_equal(sd_event_run(loop, 0), 0);
  assert_result(sd_event_get_exit_code(loop, &code), -ENODATA);
  assert_int_equal(sd_event_source_set_enabled(s, SD_EVENT_OFF), 0);
  assert_int_equal(sd_event_loop(loop), 0);
  sd_event_source_unref(s);
  sd_event_unref(loop);
}

// ---- get_inotify_path ----------------------------------------------------------------------------------------------

static void expect_path(sd_event_source* s, const char* expected) {
  const char* path = NULL;
  assert_result(sd_event_source_get_inotify_path(s, &path), 0);
  assert_string_equal(path, expected);
}

static void get_inotify_path_returns_that_of_the_inode(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  sd_event_source *s = NULL, *by_fd = NULL, *by_file = NULL;
  const char* text = NULL;
  char resolved[4096] = "";
  int root = open("/", O_PATH | O_CLOEXEC), file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  assert_true(readlink("/proc/self/exe", resolved, sizeof(resolved) - 1) > 0);
  assert_int_equal(sd_event_add_inotify_fd(loop, &by_fd, root, IN_DELETE_SELF, on_inotify, NULL), 0);
  assert_int_equal(sd_event_add_inotify_fd(loop, &by_file, file, IN_ATTRIB, on_inotify, NULL), 0);
  close(root);
  close(file);
  expect_path(by_fd, "/");
  expect_path(by_file, resolved);
  assert_result(sd_event_source_get_description(by_fd, &text), -ENXIO);
  assert_int_equal(sd_event_add_inotify(loop, &s, "/proc/../tmp/./", IN_DELETE_SELF, on_inotify, NULL), 0);
  assert_result(sd_event_source_get_description(s, &text), 0);
  assert_string_equal(text, "/proc/../tmp/./");
  assert_result(sd_event_source_set_description(s, "another name"), 1);
  expect_path(s, "/tmp");
  assert_result(sd_event_run(loop, 0), 0);
  expect_path(s, "/tmp");
  sd_event_source_unref(by_fd);
  sd_event_source_unref(by_file);
  sd_event_source_unref(s);
  sd_event_unref(loop);
}

// ---- leave_ratelimit -----------------------------------------------------------------------------------------------

static int leave_ratelimit(void* s) { return sd_event_source_leave_ratelimit(s); }

static void leave_ratelimit_of_what_is_not_limited_is_0(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  sd_event_source* s = NULL;
  assert_result(sd_event_source_leave_ratelimit(NULL), -EINVAL);
  assert_int_equal(sd_event_add_defer(loop, &s, on_event, NULL), 0);
  assert_result(sd_event_source_leave_ratelimit(s), 0);
  assert_result(sd_event_source_set_ratelimit(s, 1000000, 5), 0);
  assert_result(sd_event_source_leave_ratelimit(s), 0);
  assert_result(in_child(leave_ratelimit, s), differs(kLeaveLimit, 0, -ECHILD));
  sd_event_source_unref(s);
  sd_event_unref(loop);
}

static int on_counted(sd_event_source* s, void* count) { return (void)s, ++*(int*)count, 0; }

static void leave_ratelimit_ends_it_and_the_count_starts_over(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  sd_event_source* s = NULL;
  int count = 0;
  assert_int_equal(sd_event_add_defer(loop, &s, on_counted, &count), 0);
  assert_int_equal(sd_event_source_set_enabled(s, SD_EVENT_ON), 0);
  assert_int_equal(sd_event_source_set_ratelimit(s, 3600000000, 2), 0);
  while (sd_event_run(loop, 0) > 0) continue;
  assert_int_equal(count, 2);
  assert_result(sd_event_source_is_ratelimited(s), 1);
  assert_result(sd_event_source_leave_ratelimit(s), 1);
  assert_result(sd_event_source_is_ratelimited(s), 0);
  assert_result(sd_event_source_leave_ratelimit(s), 0);
  while (sd_event_run(loop, 0) > 0) continue;
  assert_int_equal(count, 4);
  assert_result(sd_event_source_is_ratelimited(s), 1);
  sd_event_source_unref(s);
  sd_event_unref(loop);
}

// ---- trim_memory ---------------------------------------------------------------------------------------------------

static void trim_memory_works_with_and_without_loops(void** state) {
  (void)state;
  assert_true(sd_event_trim_memory() >= 0);
  sd_event* loop = make_loop();
  sd_event_source* s = NULL;
  int count = 0;
  assert_int_equal(sd_event_add_defer(loop, &s, on_counted, &count), 0);
  assert_true(sd_event_trim_memory() >= 0);
  assert_int_equal(sd_event_run(loop, 0), 1);
  assert_int_equal(count, 1);
  sd_event_source_unref(s);
  sd_event_unref(loop);
}

int main(void) {
  exit_77_on_older();
  const struct CMUnitTest tests[] = {
      clean_test(exit_on_idle_checks_its_loop),
      clean_test(exit_on_idle_is_off_at_first_and_both_calls_return_the_setting),
      clean_test(an_idle_loop_ends_with_code_0_when_asked_to),
      clean_test(whether_a_loop_is_idle_is_decided_after_the_post_sources_of_the_last_dispatch),
      clean_test(a_loop_with_an_enabled_source_is_not_idle),
      clean_test(get_inotify_path_returns_that_of_the_inode),
      clean_test(leave_ratelimit_of_what_is_not_limited_is_0),
      clean_test(leave_ratelimit_ends_it_and_the_count_starts_over),
      clean_test(trim_memory_works_with_and_without_loops),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
