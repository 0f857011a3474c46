// SPDX-License-Identifier: MIT
//
// A callback forks, and the child returns from it, into the loop of its parent.
//
// Invariants under test:
// 1. The call in which the child returns says -ECHILD there, and nothing of the parent's is dispatched in the child.
// 2. The parent notices nothing: what happens later is told to it, its own child included.
//
// On the reference the child goes on in its parent's loop, so this is shown on ours alone.
#include "loop_recorder.h"

static pid_t parent;
static unsigned n_calls;

// The first call forks. The child says by its exit status what the loop's call has returned (kGoesOn: it was called
// once more); the parent waits for that.
enum { kEchild = 42, kGoesOn = 43, kOther = 44 };
static int verdict;

static void fork_once(void) {
  int status;
  n_calls++;
  if (getpid() != parent) _exit(kGoesOn);
  if (n_calls > 1) return;
  const pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) return;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  verdict = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void act_fork(struct Probe* p) { (void)p, fork_once(); }
static int on_prepare_or_expiry(sd_event_source* s, void* userdata) { return (void)s, (void)userdata, fork_once(), 0; }

// Ends the child, with what it was told.
static int returned(int r) {
  if (getpid() != parent) _exit(r == -ECHILD ? kEchild : kOther);
  return r;
}

static sd_event* begin_forking(void) {
  parent = getpid();
  n_calls = 0;
  verdict = 0;
  return make_loop();
}

static int run(sd_event* loop) { return sd_event_run(loop, UINT64_MAX); }
static int step(sd_event* loop) {
  int r = returned(sd_event_prepare(loop));
  if (r == 0) r = returned(sd_event_wait(loop, UINT64_MAX));
  return r > 0 ? sd_event_dispatch(loop) : r;
}
static int (*const kWays[])(sd_event*) = {run, step};

static void each_kind_of_callback(int (*drive)(sd_event*)) {
  enum { kIo, kTime, kSignal, kChild, kInotify, kDefer, kPost, kKinds };
  for (int kind = 0; kind < kKinds; kind++) {
    sd_event* loop = begin_forking();
    const int fd = make_eventfd(1), later = make_eventfd(0);
    char* dir = make_dir();
    pid_t pid = 0;
    struct Probe a = {.name = "a", .act = act_fork}, after = {.name = "after", .act = act_lower}, other = {.name = "b"};
    if (kind == kIo) probe_io(loop, &a, fd, EPOLLIN);
    if (kind == kTime) probe_time(loop, &a, CLOCK_MONOTONIC, 1);
    if (kind == kSignal) probe_signal(loop, &a, SIGUSR1 | SD_EVENT_SIGNAL_PROCMASK), raise(SIGUSR1);
    if (kind == kChild) probe_child(loop, &a, pid = spawn_zombie(3), WEXITED);
    if (kind == kInotify) probe_inotify(loop, &a, dir, IN_CREATE), create_file(dir, "1"), create_file(dir, "2");
    if (kind == kDefer) probe_defer(loop, &a);
    if (kind == kPost) probe_post(loop, &a), probe_defer(loop, &other);
    if (kind != kInotify && kind != kPost) set_enabled(&a, SD_EVENT_ONESHOT);
    if (kind == kPost) assert_result(iterate(loop), 1);
    assert_result(returned(drive(loop)), 1);
    if (verdict != kEchild) fail_msg("kind %d: the child ended with %d", kind, verdict);
    // The parent's registrations and its event at hand are as they were.
    probe_io(loop, &after, later, EPOLLIN);
    raise_eventfd(later);
    iterate_until_idle(loop);
    assert_int_equal(after.calls, 1);
    assert_int_equal(a.calls, kind == kInotify ? 2 : kind == kPost ? a.calls : 1);
    if (kind == kChild) assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);  // Reaped by the loop.
    journal[0] = 0;
    free_probe(&a);
    free_probe(&after);
    free_probe(&other);
    sd_event_unref(loop);
    close(fd);
    close(later);
    if (kind == kInotify) remove_file(dir, "1"), remove_file(dir, "2");
    remove_dir(dir);
  }
}

static void a_child_that_returns_from_a_callback_gets_echild(void** state) {
  (void)state;
  (void)as_reference(kForkReturns);  // Which is met here.
  for (size_t i = 0; i < lengthof(kWays); i++) each_kind_of_callback(kWays[i]);
}

static void a_child_that_returns_from_a_prepare_callback_gets_echild(void** state) {
  (void)state;
  for (size_t i = 0; i < lengthof(kWays); i++) {
    sd_event* loop = begin_forking();
    struct Probe a = {.name = "a", .act = act_fork};
    probe_defer(loop, &a);
    assert_result(sd_event_source_set_prepare(a.source, on_prepare_or_expiry), 0);
    assert_result(returned(kWays[i](loop)), 1);
    assert_int_equal(verdict, kEchild);
    assert_int_equal(a.calls, 1);
    journal[0] = 0;
    free_probe(&a);
    sd_event_unref(loop);
  }
}

static void a_child_that_returns_from_the_end_of_a_rate_limit_gets_echild(void** state) {
  (void)state;
  sd_event* loop = begin_forking();
  struct Probe a = {.name = "a"};
  probe_defer(loop, &a);
  set_enabled(&a, SD_EVENT_ON);
  set_limit(&a, 1000, 1);
  assert_result(sd_event_source_set_ratelimit_expire_callback(a.source, on_prepare_or_expiry), 0);
  while (n_calls == 0) assert_true(returned(sd_event_run(loop, UINT64_MAX)) >= 0);
  assert_int_equal(verdict, kEchild);
  set_limit(&a, 0, 0);
  assert_result(iterate(loop), 1);
  journal[0] = 0;
  free_probe(&a);
  sd_event_unref(loop);
}

static void a_child_that_returns_from_an_exit_source_gets_echild(void** state) {
  (void)state;
  sd_event* loop = begin_forking();
  struct Probe a = {.name = "a", .act = act_fork}, b = {.name = "b", .act = act_fork};
  probe_exit(loop, &a);
  probe_exit(loop, &b);
  assert_result(sd_event_exit(loop, 5), 0);
  assert_result(returned(sd_event_loop(loop)), 5);
  assert_int_equal(verdict, kEchild);
  assert_journal("a b ");
  free_probe(&a);
  free_probe(&b);
  sd_event_unref(loop);
}

int main(void) {
  exit_77_without_pidfds();
  if (on_reference()) {
    printf("skipped: on the reference the child goes on in its parent's loop\n");
    return 77;
  }
  const struct CMUnitTest tests[] = {
      recorded_test(a_child_that_returns_from_a_callback_gets_echild),
      recorded_test(a_child_that_returns_from_a_prepare_callback_gets_echild),
      recorded_test(a_child_that_returns_from_the_end_of_a_rate_limit_gets_echild),
      recorded_test(a_child_that_returns_from_an_exit_source_gets_echild),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
