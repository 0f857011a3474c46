// SPDX-License-Identifier: MIT
//
// The properties of one kind of source: IO, time, signal, inotify (child: getset_child.c). What they are at first, and
// that a getter returns what add_* or the setter was given.
//
// An owned fd goes with its source, and with a move to another fd; what is not owned stays as it is. Each test owns its
// loop and its fds.
#define _GNU_SOURCE 1
#include <sys/eventfd.h>

#include "harness.h"

static bool is_open(int fd) { return fcntl(fd, F_GETFD) != -1; }

static int make_eventfd(void) {
  int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  assert_true(fd > 2);
  return fd;
}

static sd_event_source* add_io(sd_event* loop, int fd, uint32_t events) {
  sd_event_source* s = NULL;
  assert_int_equal(sd_event_add_io(loop, &s, fd, events, on_io, NULL), 0);
  return s;
}

static void io_fd_and_events_are_read_back(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd(), other = make_eventfd();
  const uint32_t all = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLERR | EPOLLHUP | EPOLLET;
  sd_event_source* s = add_io(loop, fd, EPOLLIN | EPOLLPRI);
  uint32_t events = 0;
  assert_int_equal(sd_event_source_get_io_fd(s), fd);
  assert_int_equal(sd_event_source_get_io_events(s, &events), 0);
  assert_int_equal(events, EPOLLIN | EPOLLPRI);
  assert_int_equal(sd_event_source_set_io_events(s, all), 0);
  assert_int_equal(sd_event_source_get_io_events(s, &events), 0);
  assert_true(events == all);
  assert_int_equal(sd_event_source_set_io_events(s, all), 0);
  assert_int_equal(sd_event_source_set_io_fd(s, other), 0);
  assert_int_equal(sd_event_source_get_io_fd(s), other);
  assert_int_equal(sd_event_source_get_io_events(s, &events), 0);
  assert_true(events == all);
  sd_event_source_unref(s);
  sd_event_unref(loop);
  assert_true(is_open(fd) && is_open(other));
  close(fd);
  close(other);
}

static void io_fds_are_not_owned_at_first_and_any_number_but_0_makes_them_so(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd();
  sd_event_source* s = add_io(loop, fd, EPOLLIN);
  assert_int_equal(sd_event_source_get_io_fd_own(s), 0);
  assert_int_equal(sd_event_source_set_io_fd_own(s, 77), 0);
  assert_int_equal(sd_event_source_get_io_fd_own(s), 1);
  assert_int_equal(sd_event_source_set_io_fd_own(s, 0), 0);
  assert_int_equal(sd_event_source_get_io_fd_own(s), 0);
  assert_int_equal(sd_event_source_set_io_fd_own(s, -1), 0);
  assert_int_equal(sd_event_source_get_io_fd_own(s), 1);
  sd_event_source_unref(s);
  assert_false(is_open(fd));
  sd_event_unref(loop);
}

static void an_owned_fd_is_closed_by_a_move_and_the_new_one_is_owned(void** state) {
  (void)state;
  for (int enabled = SD_EVENT_OFF; enabled <= SD_EVENT_ON; enabled++) {
    sd_event* loop = make_loop();
    int fd = make_eventfd(), other = make_eventfd();
    sd_event_source* s = add_io(loop, fd, EPOLLIN);
    assert_int_equal(sd_event_source_set_enabled(s, enabled), 0);
    assert_int_equal(sd_event_source_set_io_fd_own(s, 1), 0);
    assert_int_equal(sd_event_source_set_io_fd(s, fd), 0);
    assert_true(is_open(fd));
    assert_int_equal(sd_event_source_set_io_fd(s, other), 0);
    assert_false(is_open(fd));
    assert_int_equal(sd_event_source_get_io_fd_own(s), 1);
    sd_event_source_unref(s);
    assert_false(is_open(other));
    sd_event_unref(loop);
  }
}

static void an_owned_fd_is_closed_when_the_loop_goes_with_a_floating_source(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fd = make_eventfd();
  sd_event_source* s = add_io(loop, fd, EPOLLIN);
  assert_int_equal(sd_event_source_set_io_fd_own(s, 1), 0);
  assert_int_equal(sd_event_source_set_floating(s, 1), 1);
  sd_event_source_unref(s);
  assert_true(is_open(fd));
  sd_event_unref(loop);
  assert_false(is_open(fd));
}

static void time_accuracy_and_clock_are_read_back(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME};
  for (size_t i = 0; i < lengthof(clocks); i++) {
    sd_event_source* s = NULL;
    uint64_t usec = 0;
    clockid_t clock = -1;
    assert_int_equal(sd_event_add_time(loop, &s, clocks[i], 5, 7, on_time, NULL), 0);
    assert_int_equal(sd_event_source_get_time_clock(s, &clock), 0);
    assert_int_equal(clock, clocks[i]);
    assert_int_equal(sd_event_source_get_time(s, &usec), 0);
    assert_int_equal(usec, 5);
    assert_int_equal(sd_event_source_get_time_accuracy(s, &usec), 0);
    assert_int_equal(usec, 7);
    assert_int_equal(sd_event_source_set_time(s, UINT64_MAX), 0);
    assert_int_equal(sd_event_source_set_time_accuracy(s, 9), 0);
    assert_int_equal(sd_event_source_get_time(s, &usec), 0);
    assert_true(usec == UINT64_MAX);
    assert_int_equal(sd_event_source_get_time_accuracy(s, &usec), 0);
    assert_int_equal(usec, 9);
    sd_event_source_unref(s);
  }
  sd_event_unref(loop);
}

static void accuracy_0_is_read_back_as_250_ms(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  sd_event_source* s = NULL;
  uint64_t usec = 0;
  assert_int_equal(sd_event_add_time(loop, &s, CLOCK_MONOTONIC, 5, 0, on_time, NULL), 0);
  assert_int_equal(sd_event_source_get_time_accuracy(s, &usec), 0);
  assert_int_equal(usec, 250000);
  assert_int_equal(sd_event_source_set_time_accuracy(s, 1), 0);
  assert_int_equal(sd_event_source_set_time_accuracy(s, 0), 0);
  assert_int_equal(sd_event_source_get_time_accuracy(s, &usec), 0);
  assert_int_equal(usec, 250000);
  sd_event_source_unref(s);
  sd_event_unref(loop);
}

static void relative_times_are_read_back_as_absolute_ones(void** state) {
  (void)state;
  const uint64_t hour = 3600000000;
  sd_event* loop = make_loop();
  sd_event_source* s = NULL;
  uint64_t before = 0, after = 0, usec = 0;
  assert_int_equal(sd_event_now(loop, CLOCK_MONOTONIC, &before), 1);
  assert_int_equal(sd_event_add_time_relative(loop, &s, CLOCK_MONOTONIC, hour, 0, on_time, NULL), 0);
  assert_int_equal(sd_event_now(loop, CLOCK_MONOTONIC, &after), 1);
  assert_int_equal(sd_event_source_get_time(s, &usec), 0);
  assert_true(usec >= before + hour && usec <= after + hour);
  assert_int_equal(sd_event_now(loop, CLOCK_MONOTONIC, &before), 1);
  assert_int_equal(sd_event_source_set_time_relative(s, 2 * hour), 0);
  assert_int_equal(sd_event_now(loop, CLOCK_MONOTONIC, &after), 1);
  assert_int_equal(sd_event_source_get_time(s, &usec), 0);
  assert_true(usec >= before + 2 * hour && usec <= after + 2 * hour);
  sd_event_source_unref(s);
  sd_event_unref(loop);
}

static void a_relative_time_counts_from_the_time_of_the_iteration(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  sd_event_source* s = NULL;
  uint64_t now = 0, usec = 0;
  assert_int_equal(sd_event_run(loop, 0), 0);
  assert_int_equal(sd_event_now(loop, CLOCK_MONOTONIC, &now), 0);
  assert_int_equal(usleep(2000), 0);
  assert_int_equal(sd_event_add_time_relative(loop, &s, CLOCK_MONOTONIC, 1000000, 0, on_time, NULL), 0);
  assert_int_equal(sd_event_source_get_time(s, &usec), 0);
  assert_true(usec == now + 1000000);
  sd_event_source_unref(s);
  sd_event_unref(loop);
}

static void get_signal_returns_the_number_without_the_flag(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  const struct {
    int sig;
    const char* name;
  } cases[] = {{SIGUSR1, "USR1"}, {SIGHUP, "HUP"}, {SIGCHLD, "CHLD"}, {SIGWINCH, "WINCH"}, {SIGIO, "IO"}};
  for (size_t i = 0; i < lengthof(cases); i++) {
    sd_event_source* s = NULL;
    const char* text = NULL;
    int sig = cases[i].sig | SD_EVENT_SIGNAL_PROCMASK;
    assert_int_equal(sd_event_add_signal(loop, &s, sig, on_signal, NULL), 0);
    assert_int_equal(sd_event_source_get_signal(s), cases[i].sig);
    assert_int_equal(sd_event_source_get_description(s, &text), 0);
    assert_string_equal(text, cases[i].name);
    sd_event_source_unref(s);
  }
  sd_event_unref(loop);
}

static void realtime_signals_are_described_by_their_distance_from_SIGRTMIN(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  for (int sig = SIGRTMIN; sig <= SIGRTMAX; sig++) {
    sd_event_source* s = NULL;
    const char* text = NULL;
    char expected[32];
    snprintf(expected, sizeof(expected), "RTMIN+%d", sig - SIGRTMIN);
    assert_int_equal(sd_event_add_signal(loop, &s, sig | SD_EVENT_SIGNAL_PROCMASK, on_signal, NULL), 0);
    assert_int_equal(sd_event_source_get_description(s, &text), 0);
    assert_string_equal(text, expected);
    sd_event_source_unref(s);
  }
  sd_event_unref(loop);
}

static void inotify_masks_are_read_back_as_they_were_given(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  const uint32_t masks[] = {IN_CREATE, IN_ALL_EVENTS, IN_CREATE | IN_ONLYDIR, IN_CREATE | IN_ONESHOT,
                            IN_CREATE | IN_EXCL_UNLINK | IN_DONT_FOLLOW};
  int root = open("/", O_PATH | O_CLOEXEC);
  for (size_t i = 0; i < lengthof(masks); i++) {
    sd_event_source *s = NULL, *by_fd = NULL;
    uint32_t mask = 0;
    assert_int_equal(sd_event_add_inotify(loop, &s, "/", masks[i], on_inotify, NULL), 0);
    assert_int_equal(sd_event_source_get_inotify_mask(s, &mask), 0);
    assert_true(mask == masks[i]);
    assert_int_equal(sd_event_add_inotify_fd(loop, &by_fd, root, masks[i], on_inotify, NULL), 0);
    assert_int_equal(sd_event_source_get_inotify_mask(by_fd, &mask), 0);
    assert_true(mask == masks[i]);
    sd_event_source_unref(by_fd);
    sd_event_source_unref(s);
  }
  close(root);
  sd_event_unref(loop);
}

static void inotify_sources_are_described_by_their_path_as_it_was_given(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  const char* const paths[] = {"/", "/tmp/../tmp//.", "/proc/self", "."};
  for (size_t i = 0; i < lengthof(paths); i++) {
    sd_event_source* s = NULL;
    const char* text = NULL;
    assert_int_equal(sd_event_add_inotify(loop, &s, paths[i], IN_DELETE_SELF, on_inotify, NULL), 0);
    assert_int_equal(sd_event_source_get_description(s, &text), 0);
    assert_string_equal(text, paths[i]);
    sd_event_source_unref(s);
  }
  sd_event_unref(loop);
}

static void inotify_sources_made_from_a_fd_have_no_description(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  sd_event_source* s = NULL;
  const char* text = "untouched";
  int root = open("/", O_PATH | O_CLOEXEC);
  assert_int_equal(sd_event_add_inotify_fd(loop, &s, root, IN_DELETE_SELF, on_inotify, NULL), 0);
  assert_result(sd_event_source_get_description(s, &text), -ENXIO);
  assert_string_equal(text, "untouched");
  sd_event_source_unref(s);
  close(root);
  sd_event_unref(loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      clean_test(io_fd_and_events_are_read_back),
      clean_test(io_fds_are_not_owned_at_first_and_any_number_but_0_makes_them_so),
      clean_test(an_owned_fd_is_closed_by_a_move_and_the_new_one_is_owned),
      clean_test(an_owned_fd_is_closed_when_the_loop_goes_with_a_floating_source),
      clean_test(time_accuracy_and_clock_are_read_back),
      clean_test(accuracy_0_is_read_back_as_250_ms),
      clean_test(relative_times_are_read_back_as_absolute_ones),
      clean_test(a_relative_time_counts_from_the_time_of_the_iteration),
      clean_test(get_signal_returns_the_number_without_the_flag),
      clean_test(realtime_signals_are_described_by_their_distance_from_SIGRTMIN),
      clean_test(inotify_masks_are_read_back_as_they_were_given),
      clean_test(inotify_sources_are_described_by_their_path_as_it_was_given),
      clean_test(inotify_sources_made_from_a_fd_have_no_description),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
