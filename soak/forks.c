// SPDX-License-Identifier: MIT
//
// Forked processes: some that do something with what they have got, and some that go on where they are.
//
// Idea: a child does one of three things with all that it has got: nothing; it frees it; it tries to use it, which must
// be refused. One that *strays* does so later: it returns from the callback in which it was forked, as if it were the
// parent, and whoever has made the step of the loop finds -ECHILD there (`came_back`), in each loop that is on its
// stack. That the parent did not notice is what the counts of the things tell.
//
// Invariants: the parent goes on when the child is gone, as that has duplicates of all descriptors. In a child
// `world.stray` is set; no callback may come there any more.
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "soak/soak.h"

static int free_everything(void) {
  for (struct Thing* t = world.things; t < world.things + kMostThings; t++)
    if (t->used && !t->gone && !t->floating) sd_event_source_unref(t->source);
  for (int i = 0; i < kHomes; i++) sd_event_unref(world.homes[i]);
  return 0;
}

static int use_everything(void) {
  sd_event* mine = NULL;
  for (int i = 0; i < kHomes; i++) {
    if (!world.homes[i]) continue;
    if (sd_event_run(world.homes[i], 0) != -ECHILD) return 2;
    if (sd_event_add_defer(world.homes[i], NULL, NULL, NULL) != -ECHILD) return 3;
    if (sd_event_exit(world.homes[i], 0) != -ECHILD) return 4;
  }
  for (struct Thing* t = world.things; t < world.things + kMostThings; t++)
    if (t->used && !t->gone && sd_event_source_set_priority(t->source, 4711) != -ECHILD) return 5;
  if (sd_event_new(&mine) < 0) return world.few_descriptors ? 0 : 6;
  if (sd_event_run(mine, 0) != 0) return 7;
  sd_event_unref(mine);
  return 0;
}

static _Noreturn void end_child(unsigned what) {
  _exit(what == 0 ? 0 : what == 1 ? free_everything() : use_everything());
}

// The parent has seen the end of the child when this returns 1; 0 in the child, -1 when there is none.
static int fork_and_wait(void) {
  const pid_t pid = fork();
  int status = 0;
  if (pid < 0) return -1;
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    world.stray = true;
    return 0;
  }
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) fault(NULL, "the forked process is gone");
  if (status != 0) fault(NULL, "a forked process ended with %x", (unsigned)status);
  world.forks++;
  return 1;
}

void fork_and_meddle(uint64_t* luck) {
  const unsigned what = below(luck, 3);
  if (fork_and_wait() == 0) end_child(what);
}

static unsigned stray_does;

bool fork_and_return(uint64_t* luck) {
  stray_does = below(luck, 3);
  if (fork_and_wait() != 0) return false;
  return true;
}

int came_back(int result) {
  if (!world.stray) return result;
  (void)end_shortage(0, "");
  if (result != -ECHILD) fault(NULL, "a forked process went on in the loop of its parent, with %d", result);
  end_child(stray_does);
}

void must_not_stray(const struct Thing* t) {
  if (world.stray) fault(t, "called in a forked process");
}
