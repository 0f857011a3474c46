// SPDX-License-Identifier: MIT
//
// A program closes a descriptor before it drops the source that watches it, and the number is given to something new.
//
// Invariants under test:
// 1. The new source is served before and after the old one goes, is turned off, or is turned on again.
// 2. The number of a pidfd that the caller has closed says nothing of the process that its source is for, and who it
//    stands for now gets none of its signals.
// 3. A source that gets another descriptor forgets what it knew of the old one, and watches the new one, whatever its
//    number is.
// 4. A file that was never given to the loop calls nobody.
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
  assert_int_equal(heard(&pair), 1);
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

// Its registration is still that of the file which was closed: whatever has the number now is not the source's.
static void off_on_and_closed(sd_event* loop, struct Probe* a, int fd) {
  probe_io(loop, a, fd, EPOLLIN);
  iterate_until_idle(loop);
  set_enabled(a, SD_EVENT_OFF);
  set_enabled(a, SD_EVENT_ON);
  close(fd);
}

static void a_new_source_is_served_after_the_old_one_was_off_and_on_before_the_close(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  const int fd = make_eventfd(0);
  struct Probe a = {.name = "a"}, b = {.name = "b", .act = act_lower}, c = {.name = "c", .act = act_lower};
  off_on_and_closed(loop, &a, fd);
  assert_int_equal(make_eventfd(1), fd);
  probe_io(loop, &b, fd, EPOLLIN);
  iterate_until_idle(loop);
  assert_journal("b ");
  // And by a source that moves there.
  const int other = make_eventfd(0);
  probe_io(loop, &c, other, EPOLLIN);
  set_enabled(&b, SD_EVENT_OFF);
  set_enabled(&b, SD_EVENT_ON);
  close(fd);
  assert_int_equal(make_eventfd(1), fd);
  assert_result(sd_event_source_set_io_fd(c.source, fd), 0);
  iterate_until_idle(loop);
  assert_journal("c ");
  assert_int_equal(enabled_of(&a), SD_EVENT_ON);
  for (struct Probe** p = (struct Probe*[]){&a, &b, &c, NULL}; *p; p++) free_probe(*p);
  sd_event_unref(loop);
  close(fd);
  close(other);
}

static void a_timer_may_get_the_number_that_a_source_was_off_and_on_for(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"}, timer = {.name = "timer"};
  off_on_and_closed(loop, &a, make_eventfd(0));
  probe_time(loop, &timer, CLOCK_MONOTONIC, 1);
  iterate_until_idle(loop);
  assert_journal("timer ");
  free_probe(&a);
  free_probe(&timer);
  sd_event_unref(loop);
}

// To be ON again costs no system call, and so the loop can't know that the number became another file's after that, and
// not while the source was OFF.
static void a_file_that_nobody_watches_may_call_a_source_that_was_off_and_on(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  const int fd = make_eventfd(0);
  struct Probe a = {.name = "a", .act = act_lower};
  off_on_and_closed(loop, &a, fd);
  assert_int_equal(make_eventfd(1), fd);
  iterate_until_idle(loop);
  assert_int_equal(a.calls, differs(kOnThenClosed, 0, 1));
  journal[0] = 0;
  free_probe(&a);
  sd_event_unref(loop);
  close(fd);
}

static void a_new_descriptor_with_the_old_ones_number_is_watched(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  const int fd = make_eventfd(0);
  struct Probe a = {.name = "a", .act = act_lower};
  probe_io(loop, &a, fd, EPOLLIN);
  for (int i = 1; i <= 2; i++) {
    assert_result(iterate(loop), 0);
    close(fd);
    assert_int_equal(make_eventfd(1), fd);
    assert_result(sd_event_source_set_io_fd(a.source, fd), 0);
    assert_result(sd_event_source_set_io_fd_own(a.source, 1), 0);
    iterate_until_idle(loop);
    assert_int_equal(a.calls, differs(kSameNumber, 0, i));
  }
  journal[0] = 0;
  free_probe(&a);
  assert_int_equal(fcntl(fd, F_GETFD), -1);
  sd_event_unref(loop);
}

// What a freed source had registered is left by a duplicate: upon its event ours makes the epoll set anew. Another
// source's descriptor is closed, and its number that of a file which nobody has given to the loop.
static int event_of_a_file_that_nobody_watches(void* context) {
  (void)context;
  sd_event* loop = make_loop();
  struct Probe ghost = {.name = "ghost"}, a = {.name = "a"};
  const int left = make_eventfd(1), duplicate = fcntl(left, F_DUPFD_CLOEXEC, 100), closed = make_eventfd(0);
  probe_io(loop, &ghost, left, EPOLLIN);
  probe_io(loop, &a, closed, EPOLLIN);
  close(closed);
  if (make_eventfd(1) != closed) return -EBADF;
  close(left);
  free_probe(&ghost);
  for (int i = 0; i < 4; i++)
    if (sd_event_run(loop, 0) < 0) return -EIO;
  return duplicate < 0 || a.calls > 0;
}

static void the_file_that_has_the_number_of_a_closed_one_calls_nobody(void** state) {
  (void)state;
  assert_int_equal(in_child(event_of_a_file_that_nobody_watches, NULL), differs(kDuplicateLeft, died_of(SIGABRT), 0));
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

// ---- pidfds -------------------------------------------------------------------------------------------------------

struct Ends {
  sd_event* loop;
  pid_t a, b;
  sd_event_source *of_a, *of_b;
  pid_t told_a, told_b;  // Whose end each callback was told.
};

static int on_end(sd_event_source* s, const siginfo_t* info, void* userdata) {
  (void)s;
  *(pid_t*)userdata = info->si_pid;
  return 0;
}

// Two processes with a source each. The caller's pidfd of `a` is closed, and the one of `b`, which the library or the
// caller has opened, has its number.
static void open_ends(struct Ends* ends, int options, bool by_caller) {
  *ends = (struct Ends){.loop = make_loop(), .a = spawn_sleeper(), .b = spawn_sleeper()};
  const int pidfd = open_pidfd(ends->a);
  assert_result(sd_event_add_child_pidfd(ends->loop, &ends->of_a, pidfd, options, on_end, &ends->told_a), 0);
  close(pidfd);
  if (by_caller) {
    assert_int_equal(open_pidfd(ends->b), pidfd);
    assert_result(sd_event_add_child_pidfd(ends->loop, &ends->of_b, pidfd, WEXITED, on_end, &ends->told_b), 0);
  } else {
    assert_result(sd_event_add_child(ends->loop, &ends->of_b, ends->b, WEXITED, on_end, &ends->told_b), 0);
    assert_int_equal(sd_event_source_get_child_pidfd(ends->of_b), pidfd);
  }
}

static void close_ends(struct Ends* ends) {
  sd_event_source_unref(ends->of_a);
  if (!sd_event_source_get_child_pidfd_own(ends->of_b)) close(sd_event_source_get_child_pidfd(ends->of_b));
  sd_event_source_unref(ends->of_b);
  sd_event_unref(ends->loop);
  for (int i = 0; i < 2; i++) {
    const pid_t pid = i == 0 ? ends->a : ends->b;
    if (child_state(pid) == '-') continue;  // The loop has reaped it.
    kill_and_reap(pid);
  }
}

static void end_of(pid_t pid, sd_event* loop) {
  assert_int_equal(kill(pid, SIGKILL), 0);
  await_zombie(pid);
  iterate_times(loop, 4);
}

static void the_number_of_a_closed_pidfd_tells_nothing_of_another_process(void** state) {
  (void)state;
  for (int by_caller = 0; by_caller < 2; by_caller++) {
    struct Ends ends;
    open_ends(&ends, WEXITED, by_caller);
    end_of(ends.b, ends.loop);
    assert_int_equal(ends.told_a, 0);
    assert_int_equal(ends.told_b, ends.b);
    assert_int_equal(child_state(ends.a), 'R');
    close_ends(&ends);
    // Who asks for stops is asked about at each SIGCHLD. Of the references 262 tells it of the other's end.
    open_ends(&ends, WEXITED | WSTOPPED, by_caller);
    end_of(ends.b, ends.loop);
    if (!as_reference(kPidfdReused)) assert_int_equal(ends.told_a, 0);
    assert_int_equal(ends.told_b, ends.b);
    end_of(ends.a, ends.loop);
    if (!as_reference(kPidfdReused)) assert_int_equal(ends.told_a, ends.a);
    close_ends(&ends);
  }
}

static void a_signal_goes_to_the_process_of_the_source_whatever_the_number_of_its_pidfd_stands_for(void** state) {
  (void)state;
  for (int by_caller = 0; by_caller < 2; by_caller++) {
    struct Ends ends;
    open_ends(&ends, WEXITED, by_caller);
    const pid_t hit = as_reference(kPidfdReused) ? ends.b : ends.a, spared = hit == ends.a ? ends.b : ends.a;
    assert_result(sd_event_source_send_child_signal(ends.of_a, SIGTERM, NULL, 0), 0);
    await_zombie(hit);
    assert_int_equal(child_state(spared), 'R');
    assert_result(sd_event_source_send_child_signal(ends.of_b, SIGTERM, NULL, 0), 0);
    await_zombie(ends.b);
    close_ends(&ends);
  }
}

int main(void) {
  exit_77_without_pidfds();
  const struct CMUnitTest tests[] = {
      recorded_test(a_new_source_is_served_before_and_after_the_old_one_is_freed),
      recorded_test(a_new_source_is_served_after_the_old_one_is_turned_off),
      recorded_test(a_new_source_is_served_after_the_old_one_was_off_and_on_before_the_close),
      recorded_test(a_timer_may_get_the_number_that_a_source_was_off_and_on_for),
      recorded_test(a_file_that_nobody_watches_may_call_a_source_that_was_off_and_on),
      recorded_test(a_new_descriptor_with_the_old_ones_number_is_watched),
      recorded_test(the_file_that_has_the_number_of_a_closed_one_calls_nobody),
      recorded_test(a_new_descriptor_takes_a_source_from_the_old_ones_event),
      child_test(the_number_of_a_closed_pidfd_tells_nothing_of_another_process),
      child_test(a_signal_goes_to_the_process_of_the_source_whatever_the_number_of_its_pidfd_stands_for),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
