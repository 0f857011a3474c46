// SPDX-License-Identifier: MIT
//
// What the IO calls refuse, and that nothing has changed then: the source keeps its fd, events and enabled state, and
// still works.
//
// Values that epoll refuses give epoll's error at the call that registers the fd: add_io, set_io_fd and set_io_events
// of an enabled source, set_enabled(ON) of one that was off. A source that is off is not registered, so nothing is
// refused then but what the library itself looks at (negative fds, unknown event bits).
// Each test owns its loop and its fds; `Pipe` is closed by the test.
#define _GNU_SOURCE 1
#include <sys/socket.h>

#include "harness.h"

static const uint32_t kEvents = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLERR | EPOLLHUP | EPOLLET;

struct Pipe {
  sd_event* loop;
  int in, out;
};

static struct Pipe open_pipe(void) {
  int fds[2];
  assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
  return (struct Pipe){make_loop(), fds[0], fds[1]};
}

static void close_pipe(struct Pipe p) {
  close(p.in);
  close(p.out);
  assert_null(sd_event_unref(p.loop));
}

static sd_event_source* add_io(struct Pipe p, int fd, uint32_t events) {
  sd_event_source* s = NULL;
  assert_int_equal(sd_event_add_io(p.loop, &s, fd, events, on_io, NULL), 0);
  return s;
}

static int enabled_of(sd_event_source* s) {
  int enabled = 77;
  assert_true(sd_event_source_get_enabled(s, &enabled) >= 0);
  return enabled;
}

static void add_io_with_unknown_event_bits_is_EINVAL(void** state) {
  (void)state;
  struct Pipe p = open_pipe();
  for (unsigned bit = 0; bit < 32; bit++) {
    sd_event_source* s = NULL;
    uint32_t events = UINT32_C(1) << bit;
    int r = sd_event_add_io(p.loop, &s, p.in, events | EPOLLIN, on_io, NULL);
    assert_result(r, events & kEvents ? 0 : -EINVAL);
    assert_true((s != NULL) == (r == 0));
    sd_event_source_unref(s);
  }
  close_pipe(p);
}

static void set_io_events_with_unknown_event_bits_is_EINVAL_and_keeps_the_events(void** state) {
  (void)state;
  struct Pipe p = open_pipe();
  sd_event_source* s = add_io(p, p.in, EPOLLIN);
  for (unsigned bit = 0; bit < 32; bit++) {
    uint32_t events = UINT32_C(1) << bit, got = 0;
    if (events & kEvents) continue;
    assert_result(sd_event_source_set_io_events(s, events), -EINVAL);
    assert_int_equal(sd_event_source_get_io_events(s, &got), 0);
    assert_int_equal(got, EPOLLIN);
  }
  sd_event_source_unref(s);
  close_pipe(p);
}

static void no_events_at_all_is_accepted(void** state) {
  (void)state;
  struct Pipe p = open_pipe();
  sd_event_source* s = add_io(p, p.in, 0);
  uint32_t got = 7;
  assert_int_equal(sd_event_source_get_io_events(s, &got), 0);
  assert_int_equal(got, 0);
  sd_event_source_unref(s);
  close_pipe(p);
}

static void add_io_gives_the_error_of_epoll(void** state) {
  (void)state;
  struct Pipe p = open_pipe();
  sd_event* other = make_loop();
  const struct {
    int fd, expected;
  } cases[] = {
      {open("/proc/self/exe", O_RDONLY | O_CLOEXEC), -EPERM},
      {open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), -EPERM},
      {open("/dev/null", O_RDONLY | O_CLOEXEC), -EPERM},
      {open("/", O_PATH | O_CLOEXEC), -EBADF},
      {epoll_create1(EPOLL_CLOEXEC), 0},
      {dup(sd_event_get_fd(other)), 0},
      {dup(p.in), 0},
      {socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), 0},
  };
  for (size_t i = 0; i < lengthof(cases); i++) {
    sd_event_source* s = NULL;
    assert_true(cases[i].fd > 2);
    assert_result(sd_event_add_io(p.loop, &s, cases[i].fd, EPOLLIN, on_io, NULL), cases[i].expected);
    assert_true((s != NULL) == (cases[i].expected == 0));
    sd_event_source_unref(s);
    close(cases[i].fd);
  }
  sd_event_unref(other);
  close_pipe(p);
}

static void the_loops_own_fd_cannot_be_watched_by_itself(void** state) {
  (void)state;
  struct Pipe p = open_pipe();
  sd_event_source* s = NULL;
  assert_result(sd_event_add_io(p.loop, &s, sd_event_get_fd(p.loop), EPOLLIN, on_io, NULL), -EINVAL);
  assert_null(s);
  close_pipe(p);
}

static void loops_that_watch_each_other_are_ELOOP(void** state) {
  (void)state;
  struct Pipe p = open_pipe();
  sd_event* other = make_loop();
  sd_event_source *s = add_io(p, sd_event_get_fd(other), EPOLLIN), *back = NULL;
  assert_result(sd_event_add_io(other, &back, sd_event_get_fd(p.loop), EPOLLIN, on_io, NULL), -ELOOP);
  assert_null(back);
  sd_event_source_unref(s);
  sd_event_unref(other);
  close_pipe(p);
}

static void a_second_enabled_source_on_one_fd_is_EEXIST(void** state) {
  (void)state;
  struct Pipe p = open_pipe();
  sd_event_source *s = add_io(p, p.in, EPOLLIN), *second = NULL;
  assert_result(sd_event_add_io(p.loop, &second, p.in, EPOLLIN, on_io, NULL), -EEXIST);
  assert_null(second);
  assert_result(sd_event_add_io(p.loop, NULL, p.in, EPOLLIN, on_io, NULL), -EEXIST);
  assert_int_equal(sd_event_source_set_enabled(s, SD_EVENT_OFF), 0);
  second = add_io(p, p.in, EPOLLIN);
  assert_result(sd_event_source_set_enabled(s, SD_EVENT_ON), -EEXIST);
  assert_int_equal(enabled_of(s), SD_EVENT_OFF);
  assert_result(sd_event_source_set_enabled(s, SD_EVENT_ONESHOT), -EEXIST);
  assert_int_equal(enabled_of(s), SD_EVENT_OFF);
  assert_int_equal(sd_event_source_set_enabled(second, SD_EVENT_OFF), 0);
  assert_result(sd_event_source_set_enabled(s, SD_EVENT_ON), 0);
  sd_event_source_unref(s);
  sd_event_source_unref(second);
  close_pipe(p);
}

static void one_fd_may_be_watched_by_two_loops(void** state) {
  (void)state;
  struct Pipe p = open_pipe();
  sd_event* other = make_loop();
  sd_event_source *s = add_io(p, p.in, EPOLLIN), *second = NULL;
  assert_result(sd_event_add_io(other, &second, p.in, EPOLLIN, on_io, NULL), 0);
  sd_event_source_unref(s);
  sd_event_source_unref(second);
  sd_event_unref(other);
  close_pipe(p);
}

static void set_io_fd_that_fails_keeps_the_old_fd_watched(void** state) {
  (void)state;
  struct Pipe p = open_pipe();
  sd_event_source *s = add_io(p, p.in, EPOLLIN), *taken = add_io(p, p.out, EPOLLPRI);
  int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  assert_result(sd_event_source_set_io_fd(s, file), -EPERM);
  assert_result(sd_event_source_set_io_fd(s, p.out), -EEXIST);
  assert_result(sd_event_source_set_io_fd(s, 9999), -EBADF);
  assert_result(sd_event_source_set_io_fd(s, -1), -EBADF);
  assert_result(sd_event_source_set_io_fd(s, INT32_MIN), -EBADF);
  assert_int_equal(sd_event_source_get_io_fd(s), p.in);
  assert_int_equal(enabled_of(s), SD_EVENT_ON);
  assert_int_equal(sd_event_run(p.loop, 0), 0);
  assert_int_equal(write(p.out, "x", 1), 1);
  assert_int_equal(sd_event_run(p.loop, 0), 1);
  close(file);
  sd_event_source_unref(taken);
  sd_event_source_unref(s);
  close_pipe(p);
}

static void set_io_fd_of_a_disabled_source_takes_any_fd_that_is_not_negative(void** state) {
  (void)state;
  struct Pipe p = open_pipe();
  sd_event_source* s = add_io(p, p.in, EPOLLIN);
  int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  assert_int_equal(sd_event_source_set_enabled(s, SD_EVENT_OFF), 0);
  assert_result(sd_event_source_set_io_fd(s, file), 0);
  assert_int_equal(sd_event_source_get_io_fd(s), file);
  assert_result(sd_event_source_set_enabled(s, SD_EVENT_ON), -EPERM);
  assert_int_equal(enabled_of(s), SD_EVENT_OFF);
  assert_result(sd_event_source_set_io_fd(s, 9999), 0);
  assert_int_equal(sd_event_source_get_io_fd(s), 9999);
  assert_result(sd_event_source_set_enabled(s, SD_EVENT_ON), -EBADF);
  assert_result(sd_event_source_set_io_fd(s, -1), -EBADF);
  assert_result(sd_event_source_set_io_fd(s, p.in), 0);
  assert_result(sd_event_source_set_enabled(s, SD_EVENT_ON), 0);
  close(file);
  sd_event_source_unref(s);
  close_pipe(p);
}

static void set_io_events_of_a_closed_fd_fails_and_keeps_the_events(void** state) {
  (void)state;
  struct Pipe p = open_pipe();
  int copy = fcntl(p.in, F_DUPFD_CLOEXEC, 3);
  uint32_t events = 0;
  sd_event_source* s = add_io(p, copy, EPOLLIN);
  close(copy);
  assert_result(sd_event_source_set_io_events(s, EPOLLPRI), -EBADF);
  assert_int_equal(sd_event_source_get_io_events(s, &events), 0);
  assert_int_equal(events, EPOLLIN);
  assert_result(sd_event_source_set_io_events(s, EPOLLIN), 0);
  sd_event_source_unref(s);
  close_pipe(p);
}

static void a_disabled_source_whose_fd_is_closed_is_off_at_the_next_iteration_at_the_latest(void** state) {
  (void)state;
  struct Pipe p = open_pipe();
  int copy = fcntl(p.in, F_DUPFD_CLOEXEC, 3);
  sd_event_source* s = add_io(p, copy, EPOLLIN);
  assert_int_equal(sd_event_source_set_enabled(s, SD_EVENT_OFF), 0);
  close(copy);
  assert_result(sd_event_source_set_enabled(s, SD_EVENT_ON), differs(kClosedWhileOff, -EBADF, 0));
  assert_result(sd_event_run(sd_event_source_get_event(s), 0), 0);
  assert_int_equal(enabled_of(s), SD_EVENT_OFF);
  assert_result(sd_event_source_set_enabled(s, SD_EVENT_OFF), 0);
  sd_event_source_unref(s);
  close_pipe(p);
}

static void get_io_revents_is_ENODATA_unless_pending(void** state) {
  (void)state;
  struct Pipe p = open_pipe();
  uint32_t revents = 77;
  sd_event_source* s = add_io(p, p.out, EPOLLOUT);
  assert_result(sd_event_source_get_io_revents(s, &revents), -ENODATA);
  assert_int_equal(revents, 77);
  assert_int_equal(sd_event_prepare(p.loop), 0);
  assert_result(sd_event_source_get_io_revents(s, &revents), -ENODATA);
  assert_int_equal(sd_event_wait(p.loop, 0), 1);
  assert_result(sd_event_source_get_io_revents(s, &revents), 0);
  assert_int_equal(revents, EPOLLOUT);
  assert_int_equal(sd_event_dispatch(p.loop), 1);
  assert_result(sd_event_source_get_io_revents(s, &revents), -ENODATA);
  sd_event_source_unref(s);
  close_pipe(p);
}

static void an_fd_owned_is_not_closed_by_a_failed_set_io_fd(void** state) {
  (void)state;
  struct Pipe p = open_pipe();
  int copy = fcntl(p.in, F_DUPFD_CLOEXEC, 3);
  sd_event_source *s = add_io(p, copy, EPOLLIN), *taken = add_io(p, p.out, EPOLLPRI);
  assert_int_equal(sd_event_source_set_io_fd_own(s, 1), 0);
  assert_result(sd_event_source_set_io_fd(s, p.out), -EEXIST);
  assert_result(sd_event_source_set_io_fd(s, 9999), -EBADF);
  assert_int_not_equal(fcntl(copy, F_GETFD), -1);
  assert_int_equal(sd_event_source_get_io_fd_own(s), 1);
  sd_event_source_unref(s);
  assert_int_equal(fcntl(copy, F_GETFD), -1);
  sd_event_source_unref(taken);
  close_pipe(p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      clean_test(add_io_with_unknown_event_bits_is_EINVAL),
      clean_test(set_io_events_with_unknown_event_bits_is_EINVAL_and_keeps_the_events),
      clean_test(no_events_at_all_is_accepted),
      clean_test(add_io_gives_the_error_of_epoll),
      clean_test(the_loops_own_fd_cannot_be_watched_by_itself),
      clean_test(loops_that_watch_each_other_are_ELOOP),
      clean_test(a_second_enabled_source_on_one_fd_is_EEXIST),
      clean_test(one_fd_may_be_watched_by_two_loops),
      clean_test(set_io_fd_that_fails_keeps_the_old_fd_watched),
      clean_test(set_io_fd_of_a_disabled_source_takes_any_fd_that_is_not_negative),
      clean_test(set_io_events_of_a_closed_fd_fails_and_keeps_the_events),
      clean_test(a_disabled_source_whose_fd_is_closed_is_off_at_the_next_iteration_at_the_latest),
      clean_test(get_io_revents_is_ENODATA_unless_pending),
      clean_test(an_fd_owned_is_not_closed_by_a_failed_set_io_fd),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
