// SPDX-License-Identifier: MIT
//
// Children that end in bursts.
//
// Idea: up to 24 children wait for the end of a pipe, and go all at once, before, while or after their sources are
// added to a loop of their own. Each end is told once, with the status that is that child's, and the child is reaped.
//
// Invariants: a source that is dropped by another one's callback is told of nothing, and its child is ours to reap.
// The sources are for WEXITED alone, so that no other loop's SIGCHLD is taken.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "soak/soak.h"

enum { kMost = 24 };
struct Burst;
struct Born {
  struct Burst* burst;
  sd_event_source* source;
  pid_t pid;
  int pidfd, status;
  unsigned told;
};
struct Burst {
  struct Born born[kMost];
  unsigned n, missing;
  uint64_t* luck;
};

static void give_up(struct Born* b) {
  b->source = sd_event_source_unref(b->source);
  b->burst->missing--;
}

static int on_end(sd_event_source* s, const siginfo_t* si, void* userdata) {
  struct Born* b = userdata;
  struct Burst* burst = b->burst;
  must_not_stray(NULL);
  if (s != b->source || b->told++ > 0) fault(NULL, "the end of a child came twice, or too late");
  if (si->si_pid != b->pid || si->si_code != CLD_EXITED || si->si_status != b->status)
    fault(NULL, "PID %d, code %d, status %d instead of %d, %d", si->si_pid, si->si_code, si->si_status, b->pid,
          b->status);
  burst->missing--;
  struct Born* other = &burst->born[below(burst->luck, burst->n)];
  if (one_in(burst->luck, 16) && other != b && other->source && !other->told) give_up(other);
  if (one_in(burst->luck, 4)) b->source = sd_event_source_unref(b->source);
  return 0;
}

static void bear(struct Born* b, const int* gate) {
  const pid_t parent = getpid();
  char byte;
  b->pid = fork();
  if (b->pid < 0) fault(NULL, "fork: %d", errno);
  if (b->pid > 0) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  close(gate[1]);
  if (getppid() == parent) (void)!read(gate[0], &byte, 1);
  _exit(b->status);
}

static void add_source(sd_event* loop, struct Born* b) {
  b->pidfd = one_in(b->burst->luck, 3) ? (int)syscall(SYS_pidfd_open, b->pid, 0) : -1;
  if (b->pidfd >= 0) {
    must(sd_event_add_child_pidfd(loop, &b->source, b->pidfd, WEXITED, on_end, b));
    if (one_in(b->burst->luck, 2)) return;
    must(sd_event_source_set_child_pidfd_own(b->source, 1));
    b->pidfd = -1;
  } else {
    must(sd_event_add_child(loop, &b->source, b->pid, WEXITED, on_end, b));
  }
}

static void clear(struct Born* b) {
  // Told: the loop has reaped it.
  if (waitpid(b->pid, NULL, b->told ? WNOHANG : 0) != (b->told ? -1 : b->pid))
    fault(NULL, "a child was %s", b->told ? "told of and not reaped" : "reaped and not told of");
  sd_event_source_unref(b->source);
  if (b->pidfd >= 0) close(b->pidfd);
}

void end_children_at_once(uint64_t* luck) {
  struct Burst burst = {.n = 1 + below(luck, kMost), .luck = luck};
  sd_event* loop = NULL;
  int gate[2];
  burst.missing = burst.n;
  must(sd_event_new(&loop));
  if (pipe2(gate, O_CLOEXEC) != 0) fault(NULL, "pipe2: %d", errno);
  const unsigned open_at = below(luck, 2 * burst.n);
  for (unsigned i = 0; i < burst.n; i++) {
    burst.born[i] = (struct Born){.burst = &burst, .status = (int)i + 1};
    bear(&burst.born[i], gate);
    if (i == open_at) close(gate[1]), gate[1] = -1;
    add_source(loop, &burst.born[i]);
    if (i > open_at && one_in(luck, 3)) must(sd_event_run(loop, 0));
  }
  if (gate[1] >= 0) close(gate[1]);
  const uint64_t since = clock_usec(CLOCK_MONOTONIC);
  while (burst.missing > 0) {
    must(sd_event_run(loop, 60u * 1000000u));
    if (clock_usec(CLOCK_MONOTONIC) - since > 600u * 1000000u)
      fault(NULL, "%u ends of children are lost", burst.missing);
  }
  for (unsigned i = 0; i < burst.n; i++) clear(&burst.born[i]);
  close(gate[0]);
  sd_event_unref(loop);
  world.loops++;
}
