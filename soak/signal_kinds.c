// SPDX-License-Identifier: MIT
//
// Signals: standard ones, real-time ones with their queue and values, and one that the source itself blocks.
//
// Idea: a standard signal is sent when none is on the way, as the kernel merges them. Real-time signals carry their
// number, and come in order. All are sent to this thread, which is the one with the homes.
//
// Invariants: a signal has one thing at a time, as loops of one process would take them from each other. What is left
// in the kernel when a thing goes is taken out, so that the next one begins with nothing.
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "soak/soak.h"

enum { kQueued = 0 };  // SIGRTMIN is no constant.
static const int kStandard[] = {SIGUSR1, SIGUSR2, SIGHUP, SIGURG, SIGWINCH, SIGIO, SIGPWR};

static int on_signal(sd_event_source* s, const struct signalfd_siginfo* si, void* userdata) {
  struct Thing* t = enter(s, userdata);
  if ((int)si->ssi_signo != t->signo) fault(t, "signal %u instead of %d", si->ssi_signo, t->signo);
  if (t->kind->detail == kQueued) {
    const uint64_t lost = (uint64_t)si->ssi_int - t->last - 1;
    if ((uint64_t)si->ssi_int <= t->last || lost > t->may_be_lost)
      fault(t, "signal number %d after %llu", si->ssi_int, (unsigned long long)t->last);
    t->last = (uint64_t)si->ssi_int;
  }
  receive(t, 1);
  return leave(t);
}

static void drain(int signo) {
  const struct timespec at_once = {0, 0};
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signo);
  while (sigtimedwait(&set, NULL, &at_once) > 0) continue;
}

static int add_signal(struct Thing* t) {
  int signo = t->kind->detail;
  if (signo == SIGUSR1) signo = kStandard[below(&t->luck, lengthof(kStandard))];
  if (signo == kQueued) signo = SIGRTMIN + 1 + (int)below(&t->luck, 8);
  if (world.signals_taken & 1ull << signo) return -EBUSY;
  const int flags = t->kind->detail == SIGSTKFLT ? SD_EVENT_SIGNAL_PROCMASK : 0;
  const int result = tried(sd_event_add_signal(world.homes[t->home], &t->source, signo | flags, on_signal, t));
  if (result < 0) return result;
  t->signo = signo;
  world.signals_taken |= 1ull << signo;
  return result;
}

static bool fire_standard(struct Thing* t) {
  if (is_outstanding(t) || syscall(SYS_tgkill, getpid(), gettid(), t->signo) != 0) return false;
  t->sent++;
  return true;
}

static bool fire_queued(struct Thing* t) {
  for (unsigned n = 1 + below(&t->luck, 4); n > 0; n--) {
    const union sigval value = {.sival_int = (int)t->sent + 1};
    if (pthread_sigqueue(pthread_self(), t->signo, value) != 0) return false;
    t->sent++;
  }
  return true;
}

static void close_signal(struct Thing* t) {
  if (!t->signo) return;
  sigset_t now;
  drain(t->signo);
  world.signals_taken &= ~(1ull << t->signo);
  if (t->kind->detail != SIGSTKFLT || t->depth > 0) return;
  (void)pthread_sigmask(SIG_SETMASK, NULL, &now);
  if (sigismember(&now, t->signo)) fault(t, "its signal is still blocked");
}

// detail: SIGUSR1 stands for all standard ones.
const struct Kind signal_kinds[] = {
    {"signal", add_signal, fire_standard, lose_what_is_pending, close_signal, kLimitable, SIGUSR1},
    {"queued signal", add_signal, fire_queued, lose_what_is_pending, close_signal, kLimitable, kQueued},
    {"masked signal", add_signal, fire_standard, lose_what_is_pending, close_signal, kLimitable, SIGSTKFLT},
};
_Static_assert(lengthof(signal_kinds) == kSignalKinds, "");
