/* SPDX-License-Identifier: MIT
 *
 * What does a dispatch of a defer source that stays on cost?
 *
 * It is always pending, so the loop never sleeps and has nothing to ask the kernel: what is left is the loop itself.
 * Beside it what other loops call once in each round for as long as it is wanted (idle handles, immediates and the
 * like); most of them look at the kernel in between.
 */
#include "bench/bench.h"

struct Defer {
  const struct LoopOps* ops;
  struct Run run;
};

static long dispatch(void* state, long n) {
  struct Defer* defer = state;
  defer->run.left = n;
  defer->ops->run(defer->run.loop);
  return n - (long)defer->run.left;
}

int main(int argc, char** argv) {
  const struct Options options = bench_options(argc, argv, (struct Options){0});
  struct Defer defer = {.ops = bench_loop(&options)};
  bench_need(defer.ops->again_add != NULL, defer.ops, "source that is always pending");
  void* loop = bench_create(defer.ops, &defer.run);
  struct Watch watch = {.run = &defer.run};
  defer.ops->again_add(loop, &watch);
  bench_print(defer.ops, "defer", bench_measure(&options, dispatch, &defer), "ns");
  bench_done();
}
