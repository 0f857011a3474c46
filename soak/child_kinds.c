// SPDX-License-Identifier: MIT
//
// Child processes: by PID, by pidfd, one that is not reaped, one that is stopped and continued, one that ends by
// itself.
//
// Idea: a child sleeps until it is killed, by one of two signals, which the callback has to be told. Once its end was
// told it is reaped by the loop when the callback returns, whatever has become of the source; if not, the process has a
// child too many after the round. A child whose source goes before is ours, or its source owns it.
//
// Invariants: `pid` is 0 once nobody has to care for the process. Only one thing at a time waits for stops, as loops of
// one process would take SIGCHLD from each other.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "soak/soak.h"

enum { kByPidfd = 1, kUnreaped = 2, kStops = 4, kEnds = 8 };

static pid_t spawn(bool ends) {
  const pid_t parent = getpid(), pid = fork();
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (ends || getppid() != parent) _exit(7);
  for (;;) pause();
}

static int on_child(sd_event_source* s, const siginfo_t* si, void* userdata) {
  struct Thing* t = enter(s, userdata);
  const int code = t->due == SIGSTOP   ? CLD_STOPPED
                   : t->due == SIGCONT ? CLD_CONTINUED
                   : t->due            ? CLD_KILLED
                                       : CLD_EXITED;
  const int status = t->due ? (int)t->due : 7;
  if (si->si_pid != t->pid || si->si_code != code || si->si_status != status)
    fault(t, "PID %d, code %d, status %d instead of %d, %d, %d", si->si_pid, si->si_code, si->si_status, t->pid, code,
          status);
  receive(t, 1);
  if (code == CLD_KILLED || code == CLD_EXITED) {
    t->done = true;
    if (!(t->kind->detail & kUnreaped)) t->pid = 0;
    if (t->state != SD_EVENT_OFF) {
      must(sd_event_source_set_enabled(s, SD_EVENT_OFF));
      t->state = SD_EVENT_OFF;
    }
  }
  return leave(t);
}

static int add_child(struct Thing* t) {
  sd_event* loop = world.homes[t->home];
  const int detail = t->kind->detail;
  const int options = WEXITED | (detail & kStops ? WSTOPPED | WCONTINUED : 0) | (detail & kUnreaped ? WNOWAIT : 0);
  int result;
  if (detail & kStops && world.signals_taken & 1ull << SIGCHLD) return -EBUSY;
  t->pid = spawn(detail & kEnds);
  if (t->pid < 0) return -EAGAIN;
  if (detail & kByPidfd) {
    t->fds[0] = (int)syscall(SYS_pidfd_open, t->pid, 0);
    if (t->fds[0] < 0) return -EMFILE;
    result = tried(sd_event_add_child_pidfd(loop, &t->source, t->fds[0], options, on_child, t));
  } else {
    result = tried(sd_event_add_child(loop, &t->source, t->pid, options, on_child, t));
  }
  if (result < 0) return result;
  if (detail & kByPidfd && one_in(&t->luck, 2)) t->owned = must(sd_event_source_set_child_pidfd_own(t->source, 1)) >= 0;
  if (one_in(&t->luck, 2)) must(sd_event_source_set_child_process_own(t->source, 1));
  if (detail & kStops) {
    world.signals_taken |= 1ull << SIGCHLD;
    t->signo = SIGCHLD;
    must(sd_event_source_set_enabled(t->source, SD_EVENT_ON));
  }
  t->sent = detail & kEnds ? 1 : 0;
  return result;
}

static bool fire_child(struct Thing* t) {
  static const int kEndings[] = {SIGKILL, SIGTERM};
  if (is_outstanding(t) || t->kind->detail & kEnds) return false;
  // It is on its way out, told or not.
  if (t->due == SIGKILL || t->due == SIGTERM) return false;
  if (t->kind->detail & kStops && !world.settling && (t->due == SIGSTOP || !one_in(&t->luck, 4)))
    t->due = t->due == SIGSTOP ? SIGCONT : SIGSTOP;
  else
    t->due = (uint64_t)kEndings[t->due == SIGSTOP ? 0 : below(&t->luck, 2)];
  t->sent++;
  if (kill(t->pid, (int)t->due) != 0) fault(t, "kill: %d", errno);
  return true;
}

static void close_child(struct Thing* t) {
  if (t->pid > 0 && waitpid(t->pid, NULL, WNOHANG) == 0) {
    (void)kill(t->pid, SIGKILL);
    while (waitpid(t->pid, NULL, 0) < 0 && errno == EINTR) continue;
  }
  t->pid = 0;
  if (t->signo) world.signals_taken &= ~(1ull << t->signo);
  close_two(t);
}

const struct Kind child_kinds[] = {
    {"child", add_child, fire_child, NULL, close_child, 0, 0},
    {"child by pidfd", add_child, fire_child, NULL, close_child, 0, kByPidfd},
    {"unreaped child", add_child, fire_child, NULL, close_child, 0, kUnreaped},
    {"stopping child", add_child, fire_child, lose_what_is_pending, close_child, 0, kStops},
    {"ending child", add_child, fire_child, NULL, close_child, 0, kEnds},
};
_Static_assert(lengthof(child_kinds) == kChildKinds, "");
