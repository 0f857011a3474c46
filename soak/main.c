// SPDX-License-Identifier: MIT
//
// soak --minutes N | --seconds N [--seed S] [--round R]: rounds until the time is over; a line a minute and a summary.
//
// Exit code 0: every event came exactly as often as it must, and the process has not grown. 1: not so, and what. The
// seed of a run is printed; with --round the first round is that one, which is how a fault is tried again: --seconds 1
// then. Idea and rules: soak.h; what is counted and what "flat" means: watch.c.
//
// A minute is a minute from six minutes on, else a sixth of the time. Between minutes nothing else happens than between
// any two rounds.
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "soak/soak.h"

static _Noreturn void usage(void) {
  (void)fprintf(stderr, "usage: soak --minutes N | --seconds N [--seed S] [--round R]\n");
  exit(2);
}

// Blocked before there is any thread. The one that a source blocks by itself does no harm when it is not.
static void block_signals(void) {
  sigset_t set;
  sigfillset(&set);
  static const int left[] = {SIGINT, SIGTERM, SIGQUIT, SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGSTKFLT};
  for (size_t i = 0; i < lengthof(left); i++) sigdelset(&set, left[i]);
  (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
  (void)signal(SIGSTKFLT, SIG_IGN);
}

// The C library counts as in use what it keeps for the next allocation of a size, unless it is told, when a process
// begins, not to.
static void keep_no_freed_memory(char** arguments) {
  static const char kTunables[] = "glibc.malloc.tcache_count=0";
  const char* now = getenv("GLIBC_TUNABLES");
  if (now && strcmp(now, kTunables) == 0) return;
  if (setenv("GLIBC_TUNABLES", kTunables, 1) == 0) (void)execv("/proc/self/exe", arguments);
  fault(NULL, "/proc/self/exe: %s", strerror(errno));
}

static void run_for(uint64_t usec) {
  const uint64_t minute = usec >= 360000000u ? 60000000u : usec / 6, begin = clock_usec(CLOCK_MONOTONIC);
  uint64_t next_minute = minute, next_second = 0, passed;
  unsigned ended = 0;
  do {
    run_round();
    passed = clock_usec(CLOCK_MONOTONIC) - begin;
    if (passed >= next_second) {
      const struct Count count = count_all();
      note_second(&count);
      next_second = passed + (minute < 10000000u ? 0 : 1000000u);
    }
    if (passed >= next_minute) {
      end_minute(++ended);
      next_minute += minute;
    }
  } while (passed < usec || ended < 6);  // However slow the machine is, there is something to compare.
}

int main(int count, char** arguments) {
  uint64_t seconds = 0;
  world.seed = (uint64_t)time(NULL);
  for (int i = 1; i < count; i++) {
    if (i + 1 == count) usage();
    const char* name = arguments[i];
    const uint64_t value = strtoull(arguments[++i], NULL, 10);
    if (strcmp(name, "--minutes") == 0)
      seconds = value * 60;
    else if (strcmp(name, "--seconds") == 0)
      seconds = value;
    else if (strcmp(name, "--seed") == 0)
      world.seed = value;
    else if (strcmp(name, "--round") == 0)
      world.round = value;
    else
      usage();
  }
  if (seconds == 0) usage();
  keep_no_freed_memory(arguments);
  (void)mallopt(M_ARENA_MAX, 1);  // mallinfo2 tells of one.
  printf("seed %llu\n", (unsigned long long)world.seed);
  (void)fflush(stdout);
  block_signals();
  begin_static_kinds();
  begin_inotify_kinds();
  begin_threads();
  begin_library();
  warm_up();
  run_for(seconds * 1000000);
  const int result = judge();
  world.homes[kOld] = sd_event_unref(world.homes[kOld]);
  end_inotify_kinds();
  printf(
      "%llu rounds of seed %llu, %llu operations; %llu sources came and went, %llu loops, %llu threads, %llu forks, "
      "%llu asides; "
      "%llu dispatches, %llu prepares, %llu rate limits ended, %llu calls failed as they had to: %s\n",
      (unsigned long long)world.rounds, (unsigned long long)world.seed, (unsigned long long)world.operations,
      (unsigned long long)world.added, (unsigned long long)world.loops, (unsigned long long)world.threads,
      (unsigned long long)world.forks, (unsigned long long)world.asides, (unsigned long long)world.dispatched,
      (unsigned long long)world.prepared, (unsigned long long)world.expired, (unsigned long long)world.failed,
      result ? "FAILED" : "passed");
  return result;
}
