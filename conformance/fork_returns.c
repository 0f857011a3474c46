// SPDX-License-Identifier: MIT
//
// A callback forks, and the child returns from it, into the loop of its parent.
//
// Invariants under test:
// 1. The call in which the child returns says -ECHILD there (on the reference that of a dispatch says what it says in
//    the parent), and so does each later one. Nothing of the parent's is dispatched in the child.
// 2. The child may free all it has got of the parent's, or keep it while it lives.
// 3. The parent notices nothing: what happens later is told to it, and its own processes live.
//
// Two children return from each callback: one keeps everything and lives on, one frees everything and ends.
#include "loop_recorder.h"

// What a child says by the status that it ends with.
enum { kRefused = 42, kRefusedLater = 43, kServed = 44, kOther = 45 };

enum Fork { kIo, kTime, kSignal, kChild, kInotify, kDefer, kPost, kPrepare, kExpire, kDestroy, kForks };

static struct World {
  pid_t parent;
  sd_event* loop;
  struct Probe a, after, other, mine;
  int fd, later;
  char* dir;
  unsigned n_calls;  // Of what forks.
  int verdict;       // Of the child that ended.
  pid_t keeper;      // The child that lives on,
  int keeping[2];    // until this is closed;
  int kept[2];       // it says by this that it has returned.
} world;

// ---- in the children ----------------------------------------------------------------------------------------------

// Ends a child, which has been told `r`.
static int returned(int r) {
  char byte = 0;
  if (getpid() == world.parent) return r;
  const bool later = sd_event_run(world.loop, 0) == -ECHILD && sd_event_loop(world.loop) == -ECHILD;
  if (world.keeper == 0) {
    close(world.keeping[1]);
    if (write(world.kept[1], &byte, 1) != 1 || read(world.keeping[0], &byte, 1) != 0) _exit(kOther);
  } else {
    struct Probe* const probes[] = {&world.a, &world.after, &world.other, &world.mine};
    for (size_t i = 0; i < lengthof(probes); i++) free_probe(probes[i]);
    sd_event_unref(world.loop);
  }
  _exit(!later ? kOther : r == -ECHILD ? kRefused : r == 1 ? kRefusedLater : kOther);
}

// ---- in the parent ------------------------------------------------------------------------------------------------

static int ended_with(pid_t pid) {
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

// The first call forks, and both children return from it.
static void fork_once(void) {
  char byte;
  world.n_calls++;
  if (getpid() != world.parent) _exit(kServed);
  if (world.n_calls > 1) return;
  assert_int_equal(pipe2(world.keeping, O_CLOEXEC), 0);
  assert_int_equal(pipe2(world.kept, O_CLOEXEC), 0);
  world.keeper = fork();
  assert_true(world.keeper >= 0);
  if (world.keeper == 0) return;
  close(world.kept[1]);
  if (read(world.kept[0], &byte, 1) != 1) fail_msg("the child that lives on has not returned");
  const pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) return;
  world.verdict = ended_with(pid);
  raise_eventfd(world.later);
}

static void act_fork(struct Probe* p) { (void)p, fork_once(); }
static void act_free(struct Probe* p) { free_probe(p); }
static void on_destroy(void* userdata) { (void)userdata, fork_once(); }
static int on_prepare_or_expiry(sd_event_source* s, void* userdata) { return (void)s, (void)userdata, fork_once(), 0; }

static bool leaves;
static void act_after(struct Probe* p) {
  if (getpid() != world.parent) _exit(kServed);
  act_lower(p);
  if (leaves) assert_result(sd_event_exit(p->loop, 5), 0);
}

static void open_world(void) {
  world = (struct World){.parent = getpid(), .loop = make_loop(), .keeper = -1, .dir = make_dir()};
  world.a = (struct Probe){.name = "a"};
  world.after = (struct Probe){.name = "after", .act = act_after};
  world.other = (struct Probe){.name = "b"};
  world.mine = (struct Probe){.name = "mine"};
  world.fd = make_eventfd(1);
  world.later = make_eventfd(0);
  probe_io(world.loop, &world.after, world.later, EPOLLIN);
  probe_child(world.loop, &world.mine, spawn_sleeper(), WEXITED);
  assert_result(sd_event_source_set_child_process_own(world.mine.source, 1), 0);
}

static void close_world(void) {
  pid_t mine = 0;
  // Whatever the children did, it lives until its source is freed here.
  if (world.mine.source) {
    assert_result(sd_event_source_get_child_pid(world.mine.source, &mine), 0);
    assert_int_equal(child_state(mine), 'R');
  }
  if (world.keeper > 0) {
    close(world.keeping[0]);
    close(world.keeping[1]);
    close(world.kept[0]);
    assert_int_equal(ended_with(world.keeper), world.verdict);
  }
  free_probe(&world.a);
  free_probe(&world.after);
  free_probe(&world.other);
  free_probe(&world.mine);
  sd_event_unref(world.loop);
  close(world.fd);
  close(world.later);
  remove_dir(world.dir);
  journal[0] = 0;
  drop_pending_signals();
}

// ---- the calls in which a child returns ---------------------------------------------------------------------------

static int run(sd_event* loop) { return returned(sd_event_run(loop, UINT64_MAX)); }
static int step(sd_event* loop) {
  int r = returned(sd_event_prepare(loop));
  if (r == 0) r = returned(sd_event_wait(loop, UINT64_MAX));
  return r > 0 ? returned(sd_event_dispatch(loop)) : r;
}
static int loop_until_exit(sd_event* loop) { return returned(sd_event_loop(loop)); }
static int (*const kWays[])(sd_event*) = {run, step, loop_until_exit};

static void add_what_forks(enum Fork what) {
  struct Probe* a = &world.a;
  if (what < kPrepare) a->act = act_fork;
  if (what == kIo) probe_io(world.loop, a, world.fd, EPOLLIN);
  if (what == kTime) probe_time(world.loop, a, CLOCK_MONOTONIC, 1);
  if (what == kSignal) probe_signal(world.loop, a, SIGUSR1 | SD_EVENT_SIGNAL_PROCMASK), raise(SIGUSR1);
  if (what == kChild) probe_child(world.loop, a, spawn_zombie(3), WEXITED);
  if (what == kInotify) {
    probe_inotify(world.loop, a, world.dir, IN_CREATE);
    create_file(world.dir, "1");
    create_file(world.dir, "2");
  }
  if (what == kPost) probe_post(world.loop, a), probe_defer(world.loop, &world.other);
  if (what == kDefer || what >= kPrepare) probe_defer(world.loop, a);
  if (what != kInotify && what != kPost) set_enabled(a, what == kExpire ? SD_EVENT_ON : SD_EVENT_ONESHOT);
  if (what == kPrepare) assert_result(sd_event_source_set_prepare(a->source, on_prepare_or_expiry), 0);
  if (what == kExpire) {
    set_limit(a, 1000, 1);
    assert_result(sd_event_source_set_ratelimit_expire_callback(a->source, on_prepare_or_expiry), 0);
  }
  if (what == kDestroy) {
    a->act = act_free;
    assert_result(sd_event_source_set_destroy_callback(a->source, on_destroy), 0);
  }
}

static void expect_echild_from(enum Fork what, size_t way) {
  open_world();
  add_what_forks(what);
  leaves = kWays[way] == loop_until_exit;
  while (world.n_calls == 0) {
    const int r = kWays[way](world.loop);
    assert_true(r >= 0);
    if (leaves) assert_int_equal(r, 5);
  }
  // The reference looks at the beginning of a call, and sd_event_loop and sd_event_run are several there.
  const bool refused = leaves || what == kPrepare || !as_reference(kForkReturns);
  if (world.verdict != (refused ? kRefused : kRefusedLater) && !(what == kExpire && as_reference(kForkReturns)))
    fail_msg("fork %d, way %zu: the child ended with %d", what, way, world.verdict);
  // The parent's registrations and its events at hand are as they were.
  if (what == kExpire && !leaves) set_limit(&world.a, 0, 0), set_enabled(&world.a, SD_EVENT_OFF);
  if (!leaves) iterate_until_idle(world.loop);
  assert_int_equal(world.after.calls, 1);
  if (what == kInotify && !leaves) assert_int_equal(world.a.calls, 2);
  if (what != kInotify && what != kPost && what != kExpire) assert_int_equal(world.a.calls, 1);
  if (what == kChild) assert_int_equal(child_state(world.a.siginfo.si_pid), '-');  // Reaped by the loop.
  close_world();
}

static void a_child_that_returns_from_a_callback_gets_echild(void** state) {
  (void)state;
  for (size_t way = 0; way < lengthof(kWays); way++)
    for (int what = 0; what < kForks; what++) expect_echild_from((enum Fork)what, way);
}

static void a_child_that_returns_from_an_exit_source_gets_echild(void** state) {
  (void)state;
  for (size_t way = 0; way < lengthof(kWays); way++) {
    open_world();
    leaves = false;
    world.a.act = world.other.act = act_fork;
    probe_exit(world.loop, &world.a);
    probe_exit(world.loop, &world.other);
    assert_result(sd_event_exit(world.loop, 5), 0);
    while (sd_event_get_state(world.loop) != SD_EVENT_FINISHED) assert_true(kWays[way](world.loop) >= 0);
    const bool refused = kWays[way] == loop_until_exit || !as_reference(kForkReturns);
    assert_int_equal(world.verdict, refused ? kRefused : kRefusedLater);
    assert_int_equal(world.a.calls + world.other.calls, 2);
    close_world();
  }
}

static pid_t mine;
static int ended;  // -1: it has not forked.
static void on_destroy_at_the_end(void* userdata) {
  (void)userdata;
  if (ended >= 0) return;
  ended = 0;
  const pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) return;
  ended = ended_with(pid);
  assert_int_equal(child_state(mine), 'R');
}

// The destroy callback of a floating source forks while the loop is freed, and the child frees the rest of it.
static void a_child_that_returns_from_the_end_of_a_loop_leaves_the_parents_process_alone(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  sd_event_source* sources[3] = {NULL};
  const pid_t parent = getpid();
  mine = spawn_sleeper();
  assert_result(sd_event_add_defer(loop, &sources[0], on_event, NULL), 0);
  assert_result(sd_event_add_child(loop, &sources[1], mine, WEXITED, on_child, NULL), 0);
  assert_result(sd_event_add_defer(loop, &sources[2], on_event, NULL), 0);
  for (size_t i = 0; i < lengthof(sources); i++) {
    // It is freed from either end.
    if (i != 1) assert_result(sd_event_source_set_destroy_callback(sources[i], on_destroy_at_the_end), 0);
    if (i == 1) assert_result(sd_event_source_set_child_process_own(sources[i], 1), 0);
    assert_result(sd_event_source_set_floating(sources[i], 1), 1);
    sd_event_source_unref(sources[i]);
  }
  ended = -1;
  sd_event_unref(loop);
  if (getpid() != parent) _exit(kRefused);
  assert_int_equal(ended, kRefused);
  assert_int_equal(child_state(mine), '-');
}

int main(void) {
  exit_77_without_pidfds();
  const struct CMUnitTest tests[] = {
      child_test(a_child_that_returns_from_a_callback_gets_echild),
      child_test(a_child_that_returns_from_an_exit_source_gets_echild),
      child_test(a_child_that_returns_from_the_end_of_a_loop_leaves_the_parents_process_alone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
