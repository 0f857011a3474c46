// SPDX-License-Identifier: MIT
//
// The fds that a library makes inside other people's processes: each is close-on-exec, none is 0, 1 or 2 even when
// these are free, and all are gone when their owner is.
//
// Each test runs in a forked process, which may close its standard fds. `only_new_fds` looks at every fd that the call
// sequence added, whatever it is for, so nothing here knows how many a library needs.
#include "harness.h"

static sd_event_source* sources[16];
static size_t n_sources;

// One source of every kind that may need an fd, on several clocks and priorities.
static void add_sources(sd_event* loop, int io_fd, pid_t child) {
  const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME};
  n_sources = 0;
  assert_int_equal(sd_event_add_io(loop, &sources[n_sources++], io_fd, EPOLLIN, on_io, NULL), 0);
  for (size_t i = 0; i < lengthof(clocks); i++)
    assert_int_equal(sd_event_add_time(loop, &sources[n_sources++], clocks[i], UINT64_MAX, 0, on_time, NULL), 0);
  for (int sig = SIGUSR1; sig <= SIGUSR2; sig += SIGUSR2 - SIGUSR1) {
    int masked = sig | SD_EVENT_SIGNAL_PROCMASK;
    assert_int_equal(sd_event_add_signal(loop, &sources[n_sources++], masked, on_signal, NULL), 0);
    assert_int_equal(sd_event_source_set_priority(sources[n_sources - 1], sig), 0);
  }
  int options = WEXITED | WSTOPPED;
  assert_int_equal(sd_event_add_child(loop, &sources[n_sources++], child, options, on_child, NULL), 0);
  assert_int_equal(sd_event_add_inotify(loop, &sources[n_sources++], "/", IN_CREATE, on_inotify, NULL), 0);
  assert_int_equal(sd_event_source_set_priority(sources[n_sources - 1], 5), 0);
  assert_int_equal(sd_event_add_inotify(loop, &sources[n_sources++], "/tmp", IN_DELETE_SELF, on_inotify, NULL), 0);
  assert_int_equal(sd_event_add_defer(loop, &sources[n_sources++], on_event, NULL), 0);
}

static void free_sources(void) {
  for (size_t i = 0; i < n_sources; i++) sources[i] = sd_event_source_unref(sources[i]);
}

struct FdSet {
  bool open[256];
};

static struct FdSet open_fds(void) {
  struct FdSet set = {{false}};
  for (int fd = 0; fd < (int)lengthof(set.open); fd++) set.open[fd] = fcntl(fd, F_GETFD) != -1;
  return set;
}

enum { kNone = 0, kStandardFd = 1, kInheritable = 2, kLeft = 3 };

static int check_new_fds(const struct FdSet* before) {
  struct FdSet now = open_fds();
  for (int fd = 0; fd < (int)lengthof(now.open); fd++) {
    if (!now.open[fd] || before->open[fd]) continue;
    if (fd < 3) return kStandardFd;
    if (!(fcntl(fd, F_GETFD) & FD_CLOEXEC)) return kInheritable;
  }
  return kNone;
}

static int make_and_run_everything(void* context) {
  int io_fd = epoll_create1(EPOLL_CLOEXEC);
  pid_t child = spawn_sleeper();
  set_blocked(SIGCHLD, true);
  if (context)
    for (int fd = 0; fd < 3; fd++) close(fd);
  struct FdSet before = open_fds();
  sd_event* loop = make_loop();
  int r = check_new_fds(&before);
  add_sources(loop, io_fd, child);
  if (r == kNone) r = check_new_fds(&before);
  while (sd_event_run(loop, 0) > 0) continue;
  if (r == kNone) r = check_new_fds(&before);
  for (size_t i = 0; i < n_sources; i++) {
    assert_int_equal(sd_event_source_set_enabled(sources[i], SD_EVENT_OFF), 0);
    assert_int_equal(sd_event_source_set_enabled(sources[i], SD_EVENT_ON), 0);
  }
  if (r == kNone) r = check_new_fds(&before);
  free_sources();
  sd_event_unref(loop);
  struct FdSet after = open_fds();
  if (r == kNone && memcmp(&before, &after, sizeof(before)) != 0) r = kLeft;
  kill_and_reap(child);
  return r;
}

static void every_fd_is_cloexec_and_gone_at_the_end(void** state) {
  (void)state;
  assert_int_equal(in_child(make_and_run_everything, NULL), kNone);
}

static void no_fd_is_0_1_or_2_when_these_are_free(void** state) {
  (void)state;
  int yes;
  assert_int_equal(in_child(make_and_run_everything, &yes), differs(kStandardFds, kStandardFd, kNone));
}

int main(void) {
  exit_77_without_pidfds();
  const struct CMUnitTest tests[] = {
      clean_test(every_fd_is_cloexec_and_gone_at_the_end),
      clean_test(no_fd_is_0_1_or_2_when_these_are_free),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
