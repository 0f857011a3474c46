/* SPDX-License-Identifier: MIT
 *
 * What does it cost to add an IO source and to drop it again?
 *
 * One eventfd, not ready, is added and dropped in turns; the loop has nothing else and does not run. At best that is
 * two system calls, one to register the descriptor and one to unregister it. (libev registers when the loop runs, so it
 * makes none here; a handle of libuv is not free before the loop has gone round, so it has to.)
 */
#include "bench/bench.h"

struct Adding {
  const struct LoopOps* ops;
  struct Run run;
  struct Watch watch;
};

static long add_and_drop(void* state, long n) {
  struct Adding* a = state;
  for (long i = 0; i < n; ++i) {
    a->ops->io_add(a->run.loop, &a->watch);
    a->ops->io_drop(a->run.loop, &a->watch);
  }
  return n;
}

int main(int argc, char** argv) {
  const struct Options options = bench_options(argc, argv, (struct Options){0});
  struct Adding a = {.ops = bench_loop(&options)};
  (void)bench_create(a.ops, &a.run);
  a.watch = (struct Watch){.run = &a.run, .fd = bench_eventfd(0)};
  bench_print(a.ops, "adding", bench_measure(&options, add_and_drop, &a), "ns");
  bench_done();
}
