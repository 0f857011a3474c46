// SPDX-License-Identifier: MIT
//
// What a call says when the kernel refuses the system call that it needs: the error of the kernel.
//
// Idea: a seccomp filter in a forked process (refuse.h) gives one system call one error from then on; a row of the
// table says which, and which call of ours is made. Both libraries have to make these system calls, whatever else they
// do. Invariant: a call that fails leaves the out-pointer as it was, no descriptor open, and the loop usable for a
// source that needs nothing of the kernel.
#include "harness.h"
#include "refuse.h"

struct Scene {
  sd_event* loop;
  sd_event_source* s;
  pid_t child;
  int fd, pidfd;
};

typedef int (*Call)(struct Scene* n);

static int make_new(struct Scene* n) {
  sd_event* loop = NULL;
  (void)n;
  const int r = sd_event_new(&loop);
  sd_event_unref(loop);
  return r;
}
static int add_io(struct Scene* n) { return sd_event_add_io(n->loop, &n->s, n->fd, EPOLLIN, on_io, NULL); }
static int add_time(struct Scene* n) {
  return sd_event_add_time(n->loop, &n->s, CLOCK_BOOTTIME, UINT64_MAX, 0, on_time, NULL);
}
static int add_signal(struct Scene* n) { return sd_event_add_signal(n->loop, &n->s, SIGUSR1, on_signal, NULL); }
static int add_child(struct Scene* n) { return sd_event_add_child(n->loop, &n->s, n->child, WEXITED, on_child, NULL); }
static int add_child_pidfd(struct Scene* n) {
  return sd_event_add_child_pidfd(n->loop, &n->s, n->pidfd, WEXITED, on_child, NULL);
}
static int add_inotify(struct Scene* n) {
  return sd_event_add_inotify(n->loop, &n->s, "/tmp", IN_DELETE_SELF, on_inotify, NULL);
}
static int add_inotify_fd(struct Scene* n) {
  return sd_event_add_inotify_fd(n->loop, &n->s, n->fd, IN_ATTRIB, on_inotify, NULL);
}

struct Row {
  const char* name;
  Call call;
  long system_call;
  int errors[4];
};

static const struct Row kRows[] = {
    {"new without epoll_create1", make_new, SYS_epoll_create1, {EMFILE, ENFILE, ENOMEM, EPERM}},
    {"add_io without epoll_ctl", add_io, SYS_epoll_ctl, {ENOMEM, ENOSPC, EPERM}},
    {"add_time without epoll_ctl", add_time, SYS_epoll_ctl, {ENOMEM, ENOSPC}},
    {"add_time without timerfd_create", add_time, SYS_timerfd_create, {EMFILE, ENFILE, ENODEV, ENOMEM}},
    {"add_signal without signalfd4", add_signal, SYS_signalfd4, {EMFILE, ENFILE, ENODEV, ENOMEM}},
    {"add_signal without epoll_ctl", add_signal, SYS_epoll_ctl, {ENOMEM, ENOSPC}},
    {"add_child without pidfd_open", add_child, SYS_pidfd_open, {EMFILE, ENFILE, ENODEV, ENOMEM}},
    {"add_child without epoll_ctl", add_child, SYS_epoll_ctl, {ENOMEM, ENOSPC}},
    {"add_child_pidfd without epoll_ctl", add_child_pidfd, SYS_epoll_ctl, {ENOMEM, ENOSPC}},
    {"add_child_pidfd without openat", add_child_pidfd, SYS_openat, {EMFILE, ENFILE, EACCES}},
    {"add_inotify without inotify_init1", add_inotify, SYS_inotify_init1, {EMFILE, ENFILE, ENOMEM}},
    {"add_inotify without inotify_add_watch", add_inotify, SYS_inotify_add_watch, {ENOSPC, ENOMEM, EACCES}},
    {"add_inotify without openat", add_inotify, SYS_openat, {EMFILE, ENFILE, EACCES, ELOOP}},
    {"add_inotify_fd without inotify_init1", add_inotify_fd, SYS_inotify_init1, {EMFILE, ENFILE, ENOMEM}},
    {"add_inotify_fd without inotify_add_watch", add_inotify_fd, SYS_inotify_add_watch, {ENOSPC, ENOMEM}},
};

// 252 counts the source before it is watched, and asks /proc whose pidfd it is.
static int expected_of(const struct Row* row, int error) {
  const bool unwatched_pidfd = row->call == add_child_pidfd && row->system_call == SYS_epoll_ctl;
  const bool unseen_proc = row->call == add_child_pidfd && row->system_call == SYS_openat;
  if (unseen_proc && kernel_tells_of_pidfds()) return differs(kPidfdProc, -error, 0);
  return unwatched_pidfd ? differs(kUnwatchedPidfd, died_of(SIGABRT), -error) : -error;
}

struct Try {
  const struct Row* row;
  int error;
};

enum { kNotRefused = 1, kPointerChanged, kDescriptorsLeft, kNotUsable };

// The lowest free number, which tells of a leak without opening anything.
static int next_fd(void) {
  const int fd = fcntl(0, F_DUPFD_CLOEXEC, 0);
  close(fd);
  return fd;
}

static int call_refused(void* context) {
  const struct Try* try = context;
  sd_event_source* const untouched = (sd_event_source*)context;
  struct Scene n = {.s = untouched, .child = spawn_sleeper(), .fd = epoll_create1(EPOLL_CLOEXEC)};
  n.loop = make_loop();
  n.pidfd = open_pidfd(n.child);
  set_blocked(SIGUSR1, true);
  set_blocked(SIGCHLD, true);
  if (!refuse(try->row->system_call, try->error)) return kNotRefused;
  const int fd = next_fd(), r = try->row->call(&n);
  if (r < 0 && n.s != untouched) return kPointerChanged;
  if (r < 0 && next_fd() != fd) return kDescriptorsLeft;
  sd_event_source* defer = NULL;
  if (sd_event_add_defer(n.loop, &defer, on_event, NULL) < 0 || sd_event_run(n.loop, 0) != 1) return kNotUsable;
  return r;
}

static void what_the_kernel_refuses_is_told_and_changes_nothing(void** state) {
  (void)state;
  int n_wrong = 0;
  for (size_t i = 0; i < lengthof(kRows); i++) {
    for (size_t k = 0; k < lengthof(kRows[i].errors) && kRows[i].errors[k]; k++) {
      struct Try try = {&kRows[i], kRows[i].errors[k]};
      const int r = in_child(call_refused, &try);
      if (r == expected_of(try.row, try.error)) continue;
      n_wrong++;
      print_error("%s, which gives %s: %s\n", kRows[i].name, strerror(try.error), result_name(r));
    }
  }
  assert_int_equal(n_wrong, 0);
}

static int run_loop(void* loop) { return sd_event_run(loop, 0); }

// As under qemu-user, where madvise says that it has done what it is asked for.
static int fork_where_advice_does_nothing(void* context) {
  (void)context;
  if (!refuse(SYS_madvise, 0)) return kNotRefused;
  sd_event* loop = make_loop();
  const int r = in_child(run_loop, loop);
  return r == -ECHILD && sd_event_run(loop, 0) == 0 ? r : kNotUsable;
}
static void a_forked_process_is_recognised_where_the_kernel_takes_advice_and_follows_none(void** state) {
  (void)state;
  assert_result(in_child(fork_where_advice_does_nothing, NULL), -ECHILD);
}

int main(void) {
  exit_77_without_pidfds();
  exit_77_without_filters();
  const struct CMUnitTest tests[] = {
      clean_test(what_the_kernel_refuses_is_told_and_changes_nothing),
      clean_test(a_forked_process_is_recognised_where_the_kernel_takes_advice_and_follows_none),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
