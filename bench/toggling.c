/* SPDX-License-Identifier: MIT
 *
 * What does it cost to turn an IO source off and on again?
 *
 * Programs that cannot write at the moment, or must not read on, do this all the time; two system calls for it are what
 * a loop pays that tells the kernel at once. The loop does not run between the two: nothing has to be asked of the
 * kernel. (What a loop postpones until it runs costs nothing here if the source is as it was by then.) One descriptor,
 * not ready.
 */
#include "bench/bench.h"

struct Toggling {
  const struct LoopOps* ops;
  struct Run run;
  struct Watch watch;
};

static long toggle(void* state, long n) {
  struct Toggling* t = state;
  for (long i = 0; i < n; ++i) {
    t->ops->io_enable(t->run.loop, &t->watch, false);
    t->ops->io_enable(t->run.loop, &t->watch, true);
  }
  return n;
}

int main(int argc, char** argv) {
  const struct Options options = bench_options(argc, argv, (struct Options){0});
  struct Toggling t = {.ops = bench_loop(&options)};
  bench_need(t.ops->io_enable != NULL, t.ops, "call that turns a source off and on");
  void* loop = bench_create(t.ops, &t.run);
  t.watch = (struct Watch){.run = &t.run, .fd = bench_eventfd(0)};
  t.ops->io_add(loop, &t.watch);
  bench_print(t.ops, "toggling", bench_measure(&options, toggle, &t), "ns");
  bench_done();
}
