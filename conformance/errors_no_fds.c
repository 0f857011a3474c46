// SPDX-License-Identifier: MIT
//
// Calls made when the process has no fd left: they fail with -EMFILE, change nothing, and work once there are fds
// again.
//
// Each test runs in a forked process that lowers RLIMIT_NOFILE to what is in use (`without_fds`) and raises it again.
// Which calls need a fd is the library's business; so what is asserted of those that may or may not is: either it
// succeeded, or the property has its old value. Those that cannot do without a fd must fail: a new loop, a first timer
// of a clock, a first signal of a priority, a child (pidfd), a first inotify source.
#define _GNU_SOURCE 1
#include <sys/resource.h>

#include "harness.h"

static struct rlimit before;

static void take_fds_away(void) {
  struct rlimit none;
  int lowest = dup(0);
  assert_true(lowest > 2);
  close(lowest);
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  none = before;
  none.rlim_cur = (rlim_t)lowest;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
}

static void give_fds_back(void) { assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0); }

struct Scene {
  sd_event* loop;
  sd_event_source* s;
  pid_t child;
  int pidfd, io_fd;
};

typedef int (*Add)(struct Scene* scene);

static int add_time(struct Scene* n) {
  return sd_event_add_time(n->loop, &n->s, CLOCK_BOOTTIME, UINT64_MAX, 0, on_time, NULL);
}
static int add_signal(struct Scene* n) {
  return sd_event_add_signal(n->loop, &n->s, SIGUSR1 | SD_EVENT_SIGNAL_PROCMASK, on_signal, NULL);
}
static int add_child(struct Scene* n) {
  return sd_event_add_child(n->loop, &n->s, n->child, WEXITED | WSTOPPED, on_child, NULL);
}
static int add_inotify(struct Scene* n) {
  return sd_event_add_inotify(n->loop, &n->s, "/", IN_CREATE, on_inotify, NULL);
}
static int add_defer(struct Scene* n) { return sd_event_add_defer(n->loop, &n->s, on_event, NULL); }
static int add_post(struct Scene* n) { return sd_event_add_post(n->loop, &n->s, on_event, NULL); }
static int add_exit(struct Scene* n) { return sd_event_add_exit(n->loop, &n->s, on_event, NULL); }
static int add_io(struct Scene* n) { return sd_event_add_io(n->loop, &n->s, n->io_fd, EPOLLIN, on_io, NULL); }
static int add_time_relative(struct Scene* n) {
  return sd_event_add_time_relative(n->loop, &n->s, CLOCK_REALTIME, 5000000, 0, on_time, NULL);
}
static int add_child_pidfd(struct Scene* n) {
  return sd_event_add_child_pidfd(n->loop, &n->s, n->pidfd, WEXITED, on_child, NULL);
}
static int add_inotify_fd(struct Scene* n) {
  return sd_event_add_inotify_fd(n->loop, &n->s, n->io_fd, IN_ATTRIB, on_inotify, NULL);
}
static int set_watchdog(struct Scene* n) {
  setenv("WATCHDOG_USEC", "5000000", 1);
  return sd_event_set_watchdog(n->loop, 1);
}
static int set_signal_exit(struct Scene* n) { return sd_event_set_signal_exit(n->loop, 1); }

// What the call says without fds. If it fails it leaves nothing and works with fds; all is gone in the end.
static int attempt(void* context) {
  Add add = *(Add*)context;
  int start = count_fds();
  struct Scene n = {.child = spawn_sleeper(), .io_fd = epoll_create1(EPOLL_CLOEXEC)};
  n.pidfd = open_pidfd(n.child);
  set_blocked(SIGCHLD, true);
  n.loop = make_loop();
  int fds = count_fds();
  take_fds_away();
  int r = add(&n);
  give_fds_back();
  if (r < 0) {
    assert_null(n.s);
    assert_int_equal(count_fds(), fds);
    assert_false(is_blocked(SIGUSR1) || is_blocked(SIGINT) || is_blocked(SIGTERM));
    assert_true(add(&n) >= 0);
  }
  sd_event_source_unref(n.s);
  assert_true(sd_event_run(n.loop, 0) >= 0);
  sd_event_unref(n.loop);
  close(n.pidfd);
  close(n.io_fd);
  kill_and_reap(n.child);
  assert_int_equal(count_fds(), start);
  return r;
}

static void check(Add add, bool needs_a_fd) { assert_result(in_child(attempt, &add), needs_a_fd ? -EMFILE : 0); }

static int make_loop_without_fds(void* nothing) {
  (void)nothing;
  sd_event *untouched = (sd_event*)&before, *e = untouched, *d = untouched;
  take_fds_away();
  int made = sd_event_new(&e), made_default = sd_event_default(&d), exists = sd_event_default(NULL);
  give_fds_back();
  assert_result(made_default, -EMFILE);
  assert_int_equal(exists, 0);
  assert_true(e == untouched && d == untouched);
  assert_int_equal(sd_event_default(&d), 1);
  sd_event_unref(d);
  return made;
}

static void a_loop_cannot_be_made(void** state) {
  (void)state;
  assert_result(in_child(make_loop_without_fds, NULL), -EMFILE);
}

static void a_first_timer_of_a_clock_cannot_be_added(void** state) {
  (void)state;
  check(add_time, true);
  check(add_time_relative, true);
}

static void a_first_signal_cannot_be_added_and_is_not_blocked(void** state) {
  (void)state;
  check(add_signal, true);
}

static void a_child_cannot_be_added(void** state) {
  (void)state;
  check(add_child, true);
  check(add_child_pidfd, !kernel_tells_of_pidfds() || differs(kPidfdProc, true, false));
}

static void a_first_inotify_source_cannot_be_added(void** state) {
  (void)state;
  check(add_inotify, true);
  check(add_inotify_fd, true);
}

static void set_signal_exit_fails_and_blocks_nothing(void** state) {
  (void)state;
  check(set_signal_exit, true);
}

static void the_watchdog_cannot_be_turned_on(void** state) {
  (void)state;
  assert_result(in_child(attempt, &(Add){set_watchdog}), -EMFILE);
}

static void io_defer_post_and_exit_sources_need_no_fd(void** state) {
  (void)state;
  check(add_io, false);
  check(add_defer, false);
  check(add_post, false);
  check(add_exit, false);
}

// ---- changes that may need a fd ------------------------------------------------------------------------------------

struct Change {
  Add add;
  int (*change)(sd_event_source* s);
  bool (*is_old)(sd_event_source* s);
};

static int to_priority_7(sd_event_source* s) { return sd_event_source_set_priority(s, 7); }
static bool has_priority_0(sd_event_source* s) {
  int64_t priority = 77;
  return sd_event_source_get_priority(s, &priority) == 0 && priority == 0;
}
static int turn_on(sd_event_source* s) { return sd_event_source_set_enabled(s, SD_EVENT_ON); }
static bool is_off(sd_event_source* s) { return sd_event_source_get_enabled(s, NULL) == 0; }

static int change_without_fds(void* context) {
  struct Change* c = context;
  struct Scene n = {.loop = make_loop(), .child = spawn_sleeper()};
  set_blocked(SIGCHLD, true);
  assert_true(c->add(&n) >= 0);
  if (c->change == turn_on) assert_int_equal(sd_event_source_set_enabled(n.s, SD_EVENT_OFF), 0);
  assert_true(c->is_old(n.s));
  take_fds_away();
  int r = c->change(n.s);
  give_fds_back();
  assert_true(r >= 0 || r == -EMFILE);
  assert_true(c->is_old(n.s) == (r < 0));
  assert_true(c->change(n.s) >= 0);
  assert_false(c->is_old(n.s));
  sd_event_source_unref(n.s);
  assert_true(sd_event_run(n.loop, 0) >= 0);
  sd_event_unref(n.loop);
  kill_and_reap(n.child);
  return 0;
}

static void set_priority_without_fds_works_or_changes_nothing(void** state) {
  (void)state;
  const Add adds[] = {add_time, add_signal, add_child, add_inotify, add_defer};
  for (size_t i = 0; i < lengthof(adds); i++) {
    struct Change c = {adds[i], to_priority_7, has_priority_0};
    assert_result(in_child(change_without_fds, &c), 0);
  }
}

static void turning_on_without_fds_works_or_leaves_the_source_off(void** state) {
  (void)state;
  const Add adds[] = {add_time, add_signal, add_child, add_inotify, add_defer};
  for (size_t i = 0; i < lengthof(adds); i++) {
    struct Change c = {adds[i], turn_on, is_off};
    assert_result(in_child(change_without_fds, &c), 0);
  }
}

static int limit_rate(sd_event_source* s) { return sd_event_source_set_ratelimit(s, 1000, 5); }
static bool is_unlimited(sd_event_source* s) { return sd_event_source_get_ratelimit(s, NULL, NULL) == -ENOEXEC; }

static void limiting_a_rate_without_fds_works_or_leaves_the_source_unlimited(void** state) {
  (void)state;
  const Add adds[] = {add_time, add_signal, add_inotify, add_defer};
  for (size_t i = 0; i < lengthof(adds); i++) {
    struct Change c = {adds[i], limit_rate, is_unlimited};
    assert_result(in_child(change_without_fds, &c), 0);
  }
}

int main(void) {
  exit_77_without_pidfds();
  const struct CMUnitTest tests[] = {
      clean_test(a_loop_cannot_be_made),
      clean_test(a_first_timer_of_a_clock_cannot_be_added),
      clean_test(a_first_signal_cannot_be_added_and_is_not_blocked),
      clean_test(a_child_cannot_be_added),
      clean_test(a_first_inotify_source_cannot_be_added),
      clean_test(set_signal_exit_fails_and_blocks_nothing),
      clean_test(the_watchdog_cannot_be_turned_on),
      clean_test(io_defer_post_and_exit_sources_need_no_fd),
      clean_test(set_priority_without_fds_works_or_changes_nothing),
      clean_test(turning_on_without_fds_works_or_leaves_the_source_off),
      clean_test(limiting_a_rate_without_fds_works_or_leaves_the_source_unlimited),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
