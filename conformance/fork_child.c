// SPDX-License-Identifier: MIT
//
// A loop in a forked process: nothing works there but letting go, and letting go changes nothing for the parent.
//
// Invariants under test:
// 1. In the child every call that would use the loop is -ECHILD, or NULL; descriptions stay readable.
// 2. Whatever the child frees or exits with, the parent keeps its epoll set, timers, signals, inotify watches and the
//    processes that it owns.
// 3. The child may make loops of its own.
#include "loop_recorder.h"

struct Everything {
  sd_event* loop;
  struct Probe io, timer, sig, child, inotify, defer, post, exit;
  int fd;
  pid_t pid;
  char* dir;
};

static void make_everything(struct Everything* all) {
  *all = (struct Everything){.loop = make_loop(),
                             .io = {.name = "io"},
                             .timer = {.name = "time"},
                             .sig = {.name = "signal"},
                             .child = {.name = "child"},
                             .inotify = {.name = "inotify"},
                             .defer = {.name = "defer"},
                             .post = {.name = "post"},
                             .exit = {.name = "exit"}};
  set_blocked(SIGCHLD, true);
  all->dir = make_dir();
  all->pid = spawn_sleeper();
  probe_io(all->loop, &all->io, all->fd = make_eventfd(0), EPOLLIN);
  assert_result(sd_event_source_set_io_fd_own(all->io.source, 1), 0);
  probe_time(all->loop, &all->timer, CLOCK_MONOTONIC, UINT64_MAX - 1);
  probe_signal(all->loop, &all->sig, SIGUSR1 | SD_EVENT_SIGNAL_PROCMASK);
  probe_child(all->loop, &all->child, all->pid, WEXITED);
  assert_result(sd_event_source_set_child_process_own(all->child.source, 1), 0);
  probe_inotify(all->loop, &all->inotify, all->dir, IN_CREATE);
  probe_defer(all->loop, &all->defer);
  probe_post(all->loop, &all->post);
  set_enabled(&all->post, SD_EVENT_OFF);
  probe_exit(all->loop, &all->exit);
  iterate_until_idle(all->loop);
  assert_journal("defer ");
}

static void free_everything(struct Everything* all) {
  free_probe(&all->io);
  free_probe(&all->timer);
  free_probe(&all->sig);
  free_probe(&all->child);
  free_probe(&all->inotify);
  free_probe(&all->defer);
  free_probe(&all->post);
  free_probe(&all->exit);
  sd_event_unref(all->loop);
}

static void everything_still_works(struct Everything* all) {
  assert_int_equal(child_state(all->pid), 'R');
  assert_true(is_blocked(SIGUSR1));
  assert_result(iterate(all->loop), 0);
  raise_eventfd(all->fd);
  set_enabled(&all->io, SD_EVENT_ONESHOT);
  assert_int_equal(iterate_until_idle(all->loop), 1);
  assert_result(sd_event_source_set_time(all->timer.source, 5), 0);
  assert_int_equal(iterate_until_idle(all->loop), 1);
  kill(getpid(), SIGUSR1);
  assert_int_equal(iterate_until_idle(all->loop), 1);
  create_file(all->dir, "f");
  assert_int_equal(iterate_until_idle(all->loop), 1);
  kill(all->pid, SIGKILL);
  run_until_calls(&all->child, 1);
  assert_journal("io time signal inotify:100:f child:2:9 ");
  assert_int_equal(child_state(all->pid), '-');
}

static void end_everything(struct Everything* all) {
  free_everything(all);
  remove_dir(all->dir);
  set_blocked(SIGCHLD, false);
}

static int child_frees_all(void* context) { return free_everything(context), 0; }
static int child_only_exits(void* context) { return (void)context, 0; }
static int child_disables_and_frees(void* context) {
  struct Everything* all = context;
  all->io.source = sd_event_source_disable_unref(all->io.source);
  all->sig.source = sd_event_source_disable_unref(all->sig.source);
  all->inotify.source = sd_event_source_disable_unref(all->inotify.source);
  all->timer.source = sd_event_source_disable_unref(all->timer.source);
  return free_everything(all), 0;
}
static int child_uses_its_own_loop(void* context) {
  struct Everything* all = context;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"}, b = {.name = "b"};
  int fd = make_eventfd(1);
  probe_io(loop, &a, fd, EPOLLIN);
  probe_time(loop, &b, CLOCK_MONOTONIC, 1);
  iterate_times(loop, 2);
  free_probe(&a);
  free_probe(&b);
  sd_event_unref(loop);
  return free_everything(all), b.calls == 1 && a.calls == 1 ? 0 : 1;
}

static void what_a_child_does_to_its_copy_changes_nothing_in_the_parent(void** state) {
  (void)state;
  int (*const probes[])(void*) = {child_only_exits, child_frees_all, child_disables_and_frees, child_uses_its_own_loop};
  for (size_t i = 0; i < lengthof(probes); i++) {
    struct Everything all;
    make_everything(&all);
    assert_result(in_child(probes[i], &all), 0);
    everything_still_works(&all);
    end_everything(&all);
  }
}

static int results_in_child(void* context) {
  struct Everything* all = context;
  sd_event* loop = all->loop;
  sd_event_source* s = NULL;
  uint64_t usec = 0;
  int64_t priority = 0;
  int enabled = 0, code = 0;
  const int results[] = {
      sd_event_prepare(loop),
      sd_event_run(loop, 0),
      sd_event_loop(loop),
      sd_event_exit(loop, 0),
      sd_event_get_state(loop),
      sd_event_get_fd(loop),
      sd_event_get_exit_code(loop, &code),
      sd_event_now(loop, CLOCK_MONOTONIC, &usec),
      sd_event_get_iteration(loop, &usec),
      sd_event_add_defer(loop, &s, on_event, NULL),
      sd_event_add_time(loop, &s, CLOCK_MONOTONIC, 1, 1, on_time, NULL),
      sd_event_source_set_enabled(all->defer.source, SD_EVENT_ON),
      sd_event_source_get_enabled(all->defer.source, &enabled),
      sd_event_source_get_pending(all->defer.source),
      sd_event_source_set_priority(all->defer.source, 1),
      sd_event_source_get_priority(all->defer.source, &priority),
      sd_event_source_set_prepare(all->defer.source, on_event),
      sd_event_source_set_time(all->timer.source, 1),
      sd_event_source_set_io_events(all->io.source, EPOLLOUT),
      sd_event_set_watchdog(loop, 1),
      sd_event_set_signal_exit(loop, 1),
  };
  for (size_t i = 0; i < lengthof(results); i++)
    if (results[i] != -ECHILD) return (int)(1000 * i) - results[i];
  return 0;
}

static void calls_that_use_the_loop_fail_with_echild(void** state) {
  (void)state;
  struct Everything all;
  make_everything(&all);
  assert_int_equal(in_child(results_in_child, &all), 0);
  everything_still_works(&all);
  end_everything(&all);
}

static int description_in_child(void* context) {
  struct Everything* all = context;
  const char* description = NULL;
  if (sd_event_source_get_description(all->sig.source, &description) != 0) return 1;
  return strcmp(description, "USR1") == 0 ? 0 : 2;
}

static void descriptions_stay_readable(void** state) {
  (void)state;
  struct Everything all;
  make_everything(&all);
  assert_int_equal(in_child(description_in_child, &all), 0);
  end_everything(&all);
}

static int pointers_in_child(void* context) {
  struct Everything* all = context;
  struct Probe* const probes[] = {&all->sig, &all->defer};
  int count = 0;
  for (size_t i = 0; i < lengthof(probes); i++) {
    sd_event_source* s = probes[i]->source;
    count += sd_event_source_get_event(s) == all->loop;
    count += sd_event_source_get_userdata(s) == probes[i];
    count += sd_event_source_set_userdata(s, all) == probes[i];
  }
  return count;
}

static void userdata_and_loop_are_NULL(void** state) {
  (void)state;
  struct Everything all;
  make_everything(&all);
  assert_int_equal(in_child(pointers_in_child, &all), differs(kForkedCalls, 6, 0));
  everything_still_works(&all);
  end_everything(&all);
}

static int destroy_callbacks_in_child(void* context) {
  struct Everything* all = context;
  journal[0] = 0;
  free_everything(all);
  return strcmp(journal, "~defer ~post ") == 0 ? 0 : 1;
}

static void destroy_callbacks_run_in_the_process_that_frees(void** state) {
  (void)state;
  struct Everything all;
  make_everything(&all);
  assert_result(sd_event_source_set_destroy_callback(all.defer.source, record_destroy), 0);
  assert_result(sd_event_source_set_destroy_callback(all.post.source, record_destroy), 0);
  assert_int_equal(in_child(destroy_callbacks_in_child, &all), 0);
  end_everything(&all);
  assert_journal("~defer ~post ");
}

static int default_loop_in_child(void* context) {
  sd_event* loop = NULL;
  int r = sd_event_default(&loop);
  if (loop == context || !loop) return 100 + r;  // none of its own
  if (sd_event_default(NULL) != 1 || sd_event_run(loop, 0) != 0) return -1;
  if (sd_event_run(context, 0) != -ECHILD) return -2;
  sd_event_unref(loop);
  if (sd_event_default(NULL) != 0) return -3;
  return r;
}

// 252 gives the parent's loop, which is of no use to the child; newer releases say 0 and give none.
static void a_child_makes_a_default_loop_of_its_own_and_the_parents_is_still_there(void** state) {
  (void)state;
  sd_event* loop = NULL;
  struct Probe a = {.name = "a"};
  assert_result(sd_event_default(&loop), 1);
  probe_defer(loop, &a);
  assert_int_equal(in_child(default_loop_in_child, loop), differs(kForkedDefault, 100, 1));
  assert_result(sd_event_run(SD_EVENT_DEFAULT, 0), 1);
  assert_journal("a ");
  free_probe(&a);
  sd_event_unref(loop);
}

static int free_loop(void* loop) {
  sd_event_unref(loop);
  return 0;
}

// A library may keep the descriptors of sources that are gone for the next ones; a child has no business with them.
static void a_child_that_frees_a_loop_without_sources_leaves_the_parents_next_sources_alone(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe sig = {.name = "signal"}, timer = {.name = "time"};
  for (int round = 0; round < 2; round++) {
    probe_signal(loop, &sig, SIGUSR1 | SD_EVENT_SIGNAL_PROCMASK);
    probe_time(loop, &timer, CLOCK_MONOTONIC, 1);
    set_priority(&timer, 1);
    assert_int_equal(raise(SIGUSR1), 0);
    while (timer.calls == 0) assert_true(sd_event_run(loop, UINT64_MAX) >= 0);
    assert_int_equal(sig.calls, 1);
    free_probe(&sig);
    free_probe(&timer);
    sig.calls = timer.calls = 0;
    journal[0] = 0;
    if (round == 0) assert_int_equal(in_child(free_loop, loop), 0);
  }
  sd_event_unref(loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      recorded_test(a_child_that_frees_a_loop_without_sources_leaves_the_parents_next_sources_alone),
      recorded_test(what_a_child_does_to_its_copy_changes_nothing_in_the_parent),
      recorded_test(calls_that_use_the_loop_fail_with_echild),
      recorded_test(descriptions_stay_readable),
      recorded_test(userdata_and_loop_are_NULL),
      recorded_test(destroy_callbacks_run_in_the_process_that_frees),
      recorded_test(a_child_makes_a_default_loop_of_its_own_and_the_parents_is_still_there),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
