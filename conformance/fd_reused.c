// SPDX-License-Identifier: MIT
//
// A program closes a descriptor before it drops the source that watches it, and the number is given to something new.
//
// Invariants under test:
// 1. The new source is served before and after the old one goes, is turned off, or is turned on again.
// 2. The number of a pidfd that the caller has closed says nothing of the process that its source is for.
// 3. A source that gets another descriptor forgets what it knew of the old one.
#include "loop_recorder.h"

static void act_off(struct Probe* p) { set_enabled(p, SD_EVENT_OFF); }

struct Pair {
  sd_event* loop;
  struct Probe older, newer;
  int fd;
};

// Two sources of one descriptor number: the file of the older one is closed, the newer one has an eventfd by its
// number.
static void open_pair(struct Pair* pair) {
  *pair = (struct Pair){make_loop(), {.name = "old"}, {.name = "new", .act = act_lower}, make_eventfd(0)};
  probe_io(pair->loop, &pair->older, pair->fd, EPOLLIN);
  assert_result(iterate(pair->loop), 0);
  close(pair->fd);
  assert_int_equal(make_eventfd(0), pair->fd);
  probe_io(pair->loop, &pair->newer, pair->fd, EPOLLIN);
}

static void close_pair(struct Pair* pair) {
  free_probe(&pair->newer);
  close(pair->fd);
  sd_event_unref(pair->loop);
}

static unsigned heard(struct Pair* pair) {
  const unsigned before = pair->newer.calls;
  raise_eventfd(pair->fd);
  iterate_until_idle(pair->loop);
  if (pair->newer.calls == before) lower_eventfd(pair->fd);
  return pair->newer.calls - before;
}

static void a_new_source_is_served_before_and_after_the_old_one_is_freed(void** state) {
  (void)state;
  struct Pair pair;
  open_pair(&pair);
  assert_int_equal(heard(&pair), 1);
  free_probe(&pair.older);
  assert_int_equal(heard(&pair), differs(kNumberReused, 0, 1));
  journal[0] = 0;
  close_pair(&pair);
}

static void a_new_source_is_served_after_the_old_one_is_turned_off(void** state) {
  (void)state;
  struct Pair pair;
  open_pair(&pair);
  set_enabled(&pair.older, SD_EVENT_OFF);
  assert_result(iterate(pair.loop), 0);
  assert_int_equal(heard(&pair), differs(kNumberReused, 0, 1));
  if (!as_reference(kNumberReused)) {
    assert_result(sd_event_source_set_enabled(pair.older.source, SD_EVENT_ON), -EEXIST);
    assert_int_equal(heard(&pair), 1);
  }
  assert_int_equal(pair.older.calls, 0);
  journal[0] = 0;
  free_probe(&pair.older);
  close_pair(&pair);
}

static sd_event_source* moved;
static int moved_to;
static void act_move(struct Probe* p) {
  act_lower(p);
  assert_result(sd_event_source_set_io_fd(moved, moved_to), 0);
}

// Both are ready in one report; the callback of the one gives the other a descriptor that has nothing to read.
static void a_new_descriptor_takes_a_source_from_the_old_ones_event(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  const int fd = make_eventfd(1), ready = make_eventfd(1), idle = make_eventfd(0);
  struct Probe first = {.name = "first", .act = act_move}, io = {.name = "io", .act = act_off};
  probe_io(loop, &first, fd, EPOLLIN);
  probe_io(loop, &io, ready, EPOLLIN);
  set_priority(&first, -1);
  moved = io.source;
  moved_to = idle;
  iterate_until_idle(loop);
  assert_int_equal(first.calls, 1);
  assert_int_equal(io.calls, differs(kMovedFd, 1, 0));
  set_enabled(&io, SD_EVENT_ON);
  raise_eventfd(idle);
  assert_result(iterate(loop), 1);
  journal[0] = 0;
  free_probe(&first);
  free_probe(&io);
  sd_event_unref(loop);
  close(fd);
  close(ready);
  close(idle);
}

static pid_t told;
static unsigned n_told;
static int on_end(sd_event_source* s, const siginfo_t* info, void* userdata) {
  (void)s, (void)userdata;
  told = info->si_pid;
  n_told++;
  return 0;
}

// The caller's pidfd of `a` is closed, and the pidfd that the library makes for `b` has its number.
static int closed_pidfd(void* context) {
  (void)context;
  sd_event* loop = make_loop();
  sd_event_source *a = NULL, *b = NULL;
  siginfo_t info;
  set_blocked(SIGCHLD, true);
  const pid_t pid_a = spawn_sleeper(), pid_b = spawn_exiting(7);
  const int pidfd = open_pidfd(pid_a);
  assert_result(sd_event_add_child_pidfd(loop, &a, pidfd, WEXITED | WSTOPPED, on_end, NULL), 0);
  close(pidfd);
  assert_result(sd_event_add_child(loop, &b, pid_b, WEXITED, on_child, NULL), 0);
  if (sd_event_source_get_child_pidfd(b) != pidfd) return -EBADF;
  assert_int_equal(waitid(P_PID, (id_t)pid_b, &info, WEXITED | WNOWAIT), 0);
  for (int i = 0; i < 4; i++) assert_true(sd_event_run(loop, 0) >= 0);
  const int wrong = n_told > 0 && told == pid_b;
  assert_int_equal(kill(pid_a, SIGKILL), 0);
  return wrong;
}

static void the_number_of_a_closed_pidfd_tells_nothing_of_another_process(void** state) {
  (void)state;
  assert_int_equal(in_child(closed_pidfd, NULL), 0);
}

int main(void) {
  exit_77_without_pidfds();
  const struct CMUnitTest tests[] = {
      recorded_test(a_new_source_is_served_before_and_after_the_old_one_is_freed),
      recorded_test(a_new_source_is_served_after_the_old_one_is_turned_off),
      recorded_test(a_new_descriptor_takes_a_source_from_the_old_ones_event),
      recorded_test(the_number_of_a_closed_pidfd_tells_nothing_of_another_process),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
