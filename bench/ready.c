/* SPDX-License-Identifier: MIT
 *
 * What does a dispatch cost when --n descriptors are ready all the time?
 *
 * Each is an eventfd that nobody reads, watched for input, level-triggered; its callback counts. A loop that asks the
 * kernel once for a batch pays for its part of the answer; the reference asks, and sorts, before each dispatch.
 *
 * --what idle-signal adds a signal source that goes before all of them, but never fires: the price of being ready to be
 * preempted. It is measured only where a signal would in fact go first.
 */
#include <signal.h>
#include <string.h>

#include "bench/bench.h"

struct Ready {
  const struct LoopOps* ops;
  struct Run run;
};

static long dispatch(void* state, long n) {
  struct Ready* ready = state;
  ready->run.left = n;
  ready->ops->run(ready->run.loop);
  return n - (long)ready->run.left;
}

static void add_idle_signal(struct Ready* ready) {
  static struct Watch watch;
  const char* name = ready->ops->name();
  bench_need(!strcmp(name, "reference") || !strcmp(name, "evenkeel"), ready->ops, "signal that preempts a batch");
  watch.run = &ready->run;
  ready->ops->signal_add(ready->run.loop, &watch, SIGUSR1);
}

int main(int argc, char** argv) {
  const struct Options options = bench_options(argc, argv, (struct Options){.n = 1000});
  const bool with_signal = options.what && !strcmp(options.what, "idle-signal");
  struct Ready ready = {.ops = bench_loop(&options), .run = {.priorities = with_signal}};
  bench_want_fds(options.n);
  void* loop = bench_create(ready.ops, &ready.run);
  struct Watch* watches = calloc((size_t)options.n, sizeof(*watches));
  bench_check(watches != NULL, "calloc");
  for (long i = 0; i < options.n; ++i) {
    watches[i] = (struct Watch){.run = &ready.run, .fd = bench_eventfd(1)};
    ready.ops->io_add(loop, &watches[i]);
  }
  if (with_signal) add_idle_signal(&ready);
  (void)dispatch(&ready, options.n < 100 ? options.n : 100);
  const double ns = bench_measure(&options, dispatch, &ready);
  char scenario[64];
  (void)snprintf(scenario, sizeof(scenario), "ready-%ld%s", options.n, with_signal ? "-idle-signal" : "");
  bench_print(ready.ops, scenario, ns, "ns");
  bench_done();
}
