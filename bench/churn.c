/* SPDX-License-Identifier: MIT
 *
 * What does an expiring timer cost in a server of --n connections, each of which has a timeout?
 *
 * --n timers (a million) are spread over 100 seconds, so that a hundredth of them expires each second. A timer that
 * expires is set to 100 seconds from then, and ten others, at random, are given another time, as activity on a
 * connection does: they stay spread evenly. Processor time per expiry, over --ms of real time; the loop sleeps in
 * between, for at least a millisecond at a time, which is the finest that all of these loops know. If a loop cannot
 * keep up, the time is exceeded: an expiry for every 5,000 timers is the least that is measured.
 */
#include "bench/bench.h"

enum { kSpreadSec = 100, kRearmed = 10, kFewestShare = 5000 };

static const struct LoopOps* loop_ops;
static struct Watch* watches;
static long n_watches;
static uint64_t n_expired, end;

static void on_timer(struct Watch* watch) {
  struct Run* run = watch->run;
  run->now = bench_usec();
  ++n_expired;
  loop_ops->time_set(run->loop, watch, run->now + (uint64_t)kSpreadSec * kUsecPerSec);
  for (int i = 0; i < kRearmed; ++i) {
    struct Watch* other = &watches[bench_random((uint64_t)n_watches)];
    loop_ops->time_set(run->loop, other, run->now + bench_random((uint64_t)kSpreadSec * kUsecPerSec));
  }
  if (run->now >= end && n_expired >= (uint64_t)n_watches / kFewestShare) run->left = 1;
}

int main(int argc, char** argv) {
  const struct Options options = bench_options(argc, argv, (struct Options){.n = 1000000, .ms = 1000});
  struct Run run = {.accuracy = kUsecPerMsec, .left = INT64_MAX};
  loop_ops = bench_loop(&options);
  n_watches = options.n;
  bench_need(loop_ops->time_add != NULL, loop_ops, "timers");
  bench_need(loop_ops->time_limit == 0 || n_watches <= loop_ops->time_limit, loop_ops,
             "timers for so many: it takes minutes");
  watches = calloc((size_t)n_watches, sizeof(*watches));
  bench_check(watches != NULL, "calloc");
  void* loop = bench_create(loop_ops, &run);
  for (long i = 0; i < n_watches; ++i) {
    watches[i] = (struct Watch){.run = &run, .work = on_timer};
    loop_ops->time_add(loop, &watches[i], run.now + bench_random((uint64_t)kSpreadSec * kUsecPerSec));
  }
  // Not measured: what became due while timers were being added, or the most of it.
  loop_ops->run(loop);
  n_expired = 0;
  run.left = INT64_MAX;
  end = bench_usec() + (uint64_t)options.ms * kUsecPerMsec;
  const uint64_t begin = bench_cpu_nsec();
  loop_ops->run(loop);
  const double ns = (double)(bench_cpu_nsec() - begin) / (double)n_expired;
  char scenario[64];
  (void)snprintf(scenario, sizeof(scenario), "churn-%ld", n_watches);
  bench_print(loop_ops, scenario, ns, "ns");
  bench_done();
}
