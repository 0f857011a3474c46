// SPDX-License-Identifier: MIT
//
// What is done beside the homes, each in a file of its own, and how often.
//
// Idea: an aside has loops of its own and leaves nothing behind, so that it can be done at any moment: between two
// operations, or in a callback of a home, a destroy callback included, where it makes the process run loops within
// loops. Those with threads or with a process of their own are done between operations alone.
//
// Invariants: nothing is short while an aside goes on, but what it makes short itself. None is done within itself more
// often than `kDeepest`.
#include "soak/soak.h"

enum { kDeepest = 3 };

static void some_threads(uint64_t* luck) { run_threads(luck, 1 + below(luck, 4)); }

static const struct Aside {
  void (*act)(uint64_t* luck);
  unsigned weight;
} kAnywhere[] = {{run_a_loop_to_its_end, 16}, {end_a_loop, 4},    {run_a_tower, 4},         {reuse_numbers, 4},
                 {go_to_the_edges, 2},        {limit_inotify, 2}, {end_children_at_once, 1}},
  kBetween[] = {{some_threads, 4}, {hand_a_loop_round, 4}, {unload_the_library, 1}, {cancel_threads, 1}};

static void pick(const struct Aside* asides, size_t n, uint64_t* luck) {
  unsigned all = 0;
  for (size_t i = 0; i < n; i++) all += asides[i].weight;
  unsigned drawn = below(luck, all);
  while (drawn >= asides->weight) drawn -= asides++->weight;
  asides->act(luck);
}

void do_something_aside(uint64_t* luck) {
  static unsigned depth;
  if (world.few_descriptors || depth == kDeepest) return;
  depth++;
  pick(kAnywhere, lengthof(kAnywhere), luck);
  depth--;
  world.asides++;
}

void do_something_with_threads(uint64_t* luck) {
  if (world.few_descriptors) return;
  pick(kBetween, lengthof(kBetween), luck);
  world.asides++;
}

// So that all that is made once is there when counting begins.
void do_everything_aside(uint64_t* luck) {
  for (size_t i = 0; i < lengthof(kAnywhere); i++) kAnywhere[i].act(luck);
  for (size_t i = 0; i < lengthof(kBetween); i++) kBetween[i].act(luck);
}
