// SPDX-License-Identifier: MIT
//
// What all conformance programs share. Each program is compiled once, against the public header alone, and run
// against the reference library, against Evenkeel linked, and against Evenkeel preloaded over the reference.
//
// Rules that keep the comparison honest:
// 1. A test never asks how a library works, only what a call returns and changes.
// 2. Where the answers differ on purpose, the expectation is `differs(kRow, reference, ours)`: differs.h.
// 3. Each test leaves no fd, no child process, no default loop, and the signal mask that it found: setup and teardown
//    `begin_clean`/`end_clean` check that (`clean_test(f)` makes the cmocka entry).
// 4. What may crash or what needs a forked process runs in `in_child`: the result comes back over a pipe, a death by a
//    signal comes back as `died_of(SIG...)`, so that both can be expected with the same assertion.
//
// The helper functions are static inline: a program uses those it needs. Threads: none are made here.
#ifndef EVENKEEL_CONFORMANCE_HARNESS_H
#define EVENKEEL_CONFORMANCE_HARNESS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

// cmocka.h needs these before it.
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "differs.h"

#define lengthof(array) (sizeof(array) / sizeof((array)[0]))

// ---- nothing is left behind ---------------------------------------------------------------------------------------

static inline int count_fds(void) {
  DIR* dir = opendir("/proc/self/fd");
  int count = 0;
  if (!dir) fail_msg("/proc/self/fd: %s", strerror(errno));
  while (readdir(dir)) count++;
  closedir(dir);
  return count;
}

struct Baseline {
  int fds;
  sigset_t mask;
  pid_t owner;
};

static inline struct Baseline* baseline(void) {
  static struct Baseline the_baseline;
  return &the_baseline;
}

static inline int begin_clean(void** state) {
  (void)state;
  baseline()->fds = count_fds();
  baseline()->owner = getpid();
  return sigprocmask(SIG_SETMASK, NULL, &baseline()->mask);
}

static inline void drop_pending_signals(void) {
  const struct timespec at_once = {0, 0};
  sigset_t pending;
  sigpending(&pending);
  while (sigtimedwait(&pending, NULL, &at_once) > 0) continue;
}

// Fails (and names the reason) when the test left something; then puts the signal mask back for the next one.
static inline int end_clean(void** state) {
  (void)state;
  if (getpid() != baseline()->owner) _exit(1);  // an assertion failed inside `in_child`: do not run the other tests too
  int rc = 0;
  int fds = count_fds();
  if (fds != baseline()->fds) {
    print_error("leaked fds: %d before, %d after\n", baseline()->fds, fds);
    rc = -1;
  }
  if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD) {
    print_error("left a child process\n");
    rc = -1;
  }
  if (sd_event_default(NULL) != 0) {
    print_error("left a default loop\n");
    rc = -1;
  }
  sigset_t now;
  drop_pending_signals();  // a test that failed half-way may have left one, which would kill the next
  sigprocmask(SIG_SETMASK, &baseline()->mask, &now);
  for (int sig = 1; sig < NSIG; sig++)
    if (sigismember(&now, sig) != sigismember(&baseline()->mask, sig)) {
      print_error("left signal %d %s\n", sig, sigismember(&now, sig) ? "blocked" : "unblocked");
      rc = -1;
    }
  return rc;
}

#define clean_test(f) cmocka_unit_test_setup_teardown(f, begin_clean, end_clean)
#define clean_test_of(f, row) \
  { #f, f, begin_clean, end_clean, row }

// ---- signals and processes ----------------------------------------------------------------------------------------

static inline void set_blocked(int sig, bool blocked) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, sig);
  assert_int_equal(sigprocmask(blocked ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL), 0);
}

static inline bool is_blocked(int sig) {
  sigset_t set;
  sigprocmask(SIG_SETMASK, NULL, &set);
  return sigismember(&set, sig) == 1;
}

// A child process that only waits to be killed, and dies with its parent: that is settled when the call returns, as one
// that is stopped before would outlive a parent that crashes.
static inline pid_t spawn_sleeper(void) {
  int settled[2];
  char byte;
  assert_int_equal(pipe2(settled, O_CLOEXEC), 0);
  pid_t parent = getpid(), pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    close(settled[0]);
    close(settled[1]);
    for (;;) pause();
  }
  close(settled[1]);
  assert_int_equal(read(settled[0], &byte, 1), 0);
  close(settled[0]);
  return pid;
}

static inline pid_t spawn_exiting(int status) {
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) _exit(status);
  return pid;
}

static inline void kill_and_reap(pid_t pid) {
  assert_int_equal(kill(pid, SIGKILL), 0);
  assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static inline int open_pidfd(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

// Linux 6.13 and newer tell whose pidfd it is; before, /proc has to be asked, which takes a descriptor.
static inline bool kernel_tells_of_pidfds(void) {
  uint64_t info[8] = {0};
  int fd = open_pidfd(getpid());
  const int r = ioctl(fd, _IOWR(0xff, 11, uint64_t[8]), info);
  close(fd);
  return r >= 0;
}

// For the first line of a `main` whose tests need pidfds: without them (valgrind 3.19 has none) it ends the program.
static inline void exit_77_without_pidfds(void) {
  int fd = open_pidfd(getpid());
  if (fd >= 0) {
    close(fd);
    return;
  }
  print_message("skipped: no pidfds here (%s)\n", strerror(errno));
  exit(77);
}

enum { kDied = 1 << 20, kNoAnswer = 1 << 21 };
#define died_of(sig) (kDied + (sig))

// Seconds after which a call is taken for hung: far more than any takes, on a slow machine and under memcheck.
enum { kPatience = 600 };

// Calls `probe` in a forked process; what it returned, or died_of(signal). The process has no core dump, and dies of
// SIGALRM should the call hang.
static inline int in_child(int (*probe)(void* context), void* context) {
  int pipe_fds[2], status, result = kNoAnswer;
  assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
  fflush(NULL);
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    close(pipe_fds[0]);
    for (int sig = SIGILL; sig <= SIGTERM; sig++)  // cmocka's handlers would turn a crash into a report of its own
      if (sig != SIGKILL && sig != SIGSTOP) signal(sig, SIG_DFL);
    prctl(PR_SET_DUMPABLE, 0);
    set_blocked(SIGALRM, false);
    signal(SIGALRM, SIG_DFL);
    alarm(kPatience);
    int value = probe(context);
    _exit(write(pipe_fds[1], &value, sizeof(value)) == sizeof(value) ? 0 : 1);
  }
  close(pipe_fds[1]);
  if (read(pipe_fds[0], &result, sizeof(result)) != sizeof(result)) result = kNoAnswer;
  close(pipe_fds[0]);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  return WIFSIGNALED(status) ? died_of(WTERMSIG(status)) : result;
}

// A probe for `in_child` that hangs on the reference: death by SIGALRM soon, not after the harness' patience.
static inline void expect_hang_on_reference(enum Difference row) {
  struct itimerval soon = {.it_value = {.tv_usec = 100000}};
  if (as_reference(row)) setitimer(ITIMER_REAL, &soon, NULL);
}

// ---- loops --------------------------------------------------------------------------------------------------------

static inline sd_event* make_loop(void) {
  sd_event* loop = NULL;
  assert_int_equal(sd_event_new(&loop), 0);
  assert_non_null(loop);
  return loop;
}

// Drives a loop that has no exit sources to FINISHED.
static inline void finish_loop(sd_event* loop) {
  assert_int_equal(sd_event_exit(loop, 0), 0);
  assert_int_equal(sd_event_loop(loop), 0);
  assert_int_equal(sd_event_get_state(loop), SD_EVENT_FINISHED);
}

static inline sd_event* make_finished_loop(void) {
  sd_event* loop = make_loop();
  finish_loop(loop);
  return loop;
}

// Handlers that do nothing; a test that needs more has its own.
static inline int on_event(sd_event_source* s, void* userdata) { return (void)s, (void)userdata, 0; }
static inline int on_io(sd_event_source* s, int fd, uint32_t revents, void* userdata) {
  return (void)s, (void)fd, (void)revents, (void)userdata, 0;
}
static inline int on_time(sd_event_source* s, uint64_t usec, void* userdata) {
  return (void)s, (void)usec, (void)userdata, 0;
}
static inline int on_signal(sd_event_source* s, const struct signalfd_siginfo* si, void* userdata) {
  return (void)s, (void)si, (void)userdata, 0;
}
static inline int on_child(sd_event_source* s, const siginfo_t* si, void* userdata) {
  return (void)s, (void)si, (void)userdata, 0;
}
static inline int on_inotify(sd_event_source* s, const struct inotify_event* event, void* userdata) {
  return (void)s, (void)event, (void)userdata, 0;
}

// ---- results as text, so that whole rows of results are compared, and shown, at once ------------------------------

static inline const char* result_name(int result) {
  static _Thread_local char number[4][32];
  static _Thread_local unsigned turn;
  switch (result) {
    case -EINVAL:
      return "EINVAL";
    case -EDOM:
      return "EDOM";
    case -ESTALE:
      return "ESTALE";
    case -ECHILD:
      return "ECHILD";
    case -EBUSY:
      return "EBUSY";
    case -EBADF:
      return "EBADF";
    case -EPERM:
      return "EPERM";
    case -EEXIST:
      return "EEXIST";
    case -ENOENT:
      return "ENOENT";
    case -ENOTDIR:
      return "ENOTDIR";
    case -EISDIR:
      return "EISDIR";
    case -ENODATA:
      return "ENODATA";
    case -ENXIO:
      return "ENXIO";
    case -ENOPKG:
      return "ENOPKG";
    case -ESRCH:
      return "ESRCH";
    case -ENOEXEC:
      return "ENOEXEC";
    case -EOPNOTSUPP:
      return "EOPNOTSUPP";
    case -EOVERFLOW:
      return "EOVERFLOW";
    case -EREMOTEIO:
      return "EREMOTEIO";
    case -ERANGE:
      return "ERANGE";
    case -EHOSTDOWN:
      return "EHOSTDOWN";
    case -EBADMSG:
      return "EBADMSG";
    case -ENOTTY:
      return "ENOTTY";
    case -ENOSYS:
      return "ENOSYS";
    case -ELOOP:
      return "ELOOP";
    case -ENOSPC:
      return "ENOSPC";
    case -EMFILE:
      return "EMFILE";
    case -ENOMEM:
      return "ENOMEM";
    case died_of(SIGSEGV):
      return "SIGSEGV";
    case died_of(SIGABRT):
      return "SIGABRT";
    case kNoAnswer:
      return "no-answer";
  }
  char* text = number[turn++ % 4];
  snprintf(text, sizeof(number[0]), "%d", result);
  return text;
}

// Appends a result and a blank to a row of results.
static inline void append_result(char* row, size_t size, int result) {
  size_t used = strlen(row);
  snprintf(row + used, size - used, "%s%s", used ? " " : "", result_name(result));
}

#define assert_result(result, expected) assert_string_equal(result_name(result), result_name(expected))

#endif
