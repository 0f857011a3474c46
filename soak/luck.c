// SPDX-License-Identifier: MIT
//
// Chance, faults and shortages.
//
// Idea: chance is splitmix64, whose state is one number, so that everything can have a stream of its own. A shortage of
// memory lasts for one call: the malloc of conformance/no_memory.h fails at one of its first allocations. A shortage of
// descriptors lasts until it is ended: the limit of the process is where its first free number is.
//
// Invariants: `tried` accepts the failure that was arranged, and no other; when it returns memory is there again.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "conformance/no_memory.h"
#include "soak/soak.h"

struct World world;

static struct rlimit usual_limit;

uint64_t draw(uint64_t* luck) {
  uint64_t z = (*luck += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

void fault(const struct Thing* t, const char* format, ...) {
  va_list arguments;
  failed_allocation();
  printf("FAULT in round %llu of seed %llu: ", (unsigned long long)world.round, (unsigned long long)world.seed);
  va_start(arguments, format);
  vprintf(format, arguments);
  va_end(arguments);
  if (t)
    printf(" [%s %u, loop %d, state %d, sent %llu, received %llu, may be lost %llu]", t->kind->name, t->id, t->home,
           t->state, (unsigned long long)t->sent, (unsigned long long)t->received, (unsigned long long)t->may_be_lost);
  printf("\n");
  (void)fflush(stdout);
  end_few_descriptors();
  end_inotify_kinds();
  _exit(1);
}

void begin_shortage(void) {
  if (!world.settling && one_in(&world.shortage_luck, 8)) fail_allocation((int)below(&world.shortage_luck, 4));
}

int end_shortage(int result, const char* call) {
  bool short_of_memory = failed_allocation();
  if (result >= 0) return result;
  world.failed++;
  if (!(short_of_memory && result == -ENOMEM) && !(world.few_descriptors && result == -EMFILE))
    fault(NULL, "%s: %s", call, strerror(-result));
  return result;
}

int must_be(int result, const char* call) {
  if (result < 0) fault(NULL, "%s: %s", call, strerror(-result));
  return result;
}

void begin_few_descriptors(void) {
  const int fd = world.few_descriptors ? -1 : dup(0);
  if (fd < 0) return;
  close(fd);
  if (getrlimit(RLIMIT_NOFILE, &usual_limit) != 0) return;
  struct rlimit low = {.rlim_cur = (rlim_t)fd, .rlim_max = usual_limit.rlim_max};
  world.few_descriptors = setrlimit(RLIMIT_NOFILE, &low) == 0;
}

void end_few_descriptors(void) {
  if (!world.few_descriptors) return;
  world.few_descriptors = false;
  if (setrlimit(RLIMIT_NOFILE, &usual_limit) != 0) fault(NULL, "setrlimit: %s", strerror(errno));
}

long blocks_in_use_now(void) { return count_allocations() == 0 ? -1 : count_blocks(); }
