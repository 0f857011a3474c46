/* SPDX-License-Identifier: MIT
 *
 * How often does a process wake up that has --n periodic timers, none of which has to be exact?
 *
 * The timers have periods of 1 to 10 seconds, and may be up to 250 ms late: the default of sd-event, which uses it to
 * let them share wake-ups. Other loops have no such thing, and wake up for each millisecond in which a timer is due. A
 * wake-up is a voluntary context switch, as the kernel counts them (getrusage), over --ms of real time, for a minute.
 */
#include <sys/resource.h>

#include "bench/bench.h"

enum { kAccuracyUsec = 250000, kShortest = 1, kLongest = 10 };

static const struct LoopOps* loop_ops;
static uint64_t end;

static void on_timer(struct Watch* watch) {
  struct Run* run = watch->run;
  run->now = bench_usec();
  watch->due += watch->period;
  loop_ops->time_set(run->loop, watch, watch->due);
  if (run->now >= end) run->left = 1;
}

static long n_switches(void) {
  struct rusage usage;
  bench_check(getrusage(RUSAGE_SELF, &usage) == 0, "getrusage");
  return usage.ru_nvcsw;
}

int main(int argc, char** argv) {
  const struct Options options = bench_options(argc, argv, (struct Options){.n = 1000, .ms = 20000});
  struct Run run = {.accuracy = kAccuracyUsec, .left = INT64_MAX};
  loop_ops = bench_loop(&options);
  bench_need(loop_ops->time_add != NULL, loop_ops, "timers");
  struct Watch* watches = calloc((size_t)options.n, sizeof(*watches));
  bench_check(watches != NULL, "calloc");
  void* loop = bench_create(loop_ops, &run);
  for (long i = 0; i < options.n; ++i) {
    const uint64_t period = (uint64_t)kShortest * kUsecPerSec + bench_random((kLongest - kShortest) * kUsecPerSec);
    watches[i] = (struct Watch){.run = &run, .work = on_timer, .period = period, .due = run.now + bench_random(period)};
    loop_ops->time_add(loop, &watches[i], watches[i].due);
  }
  const long before = n_switches();
  const uint64_t begin = bench_usec();
  end = begin + (uint64_t)options.ms * kUsecPerMsec;
  loop_ops->run(loop);
  const double minutes = (double)(bench_usec() - begin) / (60.0 * kUsecPerSec);
  char scenario[64];
  (void)snprintf(scenario, sizeof(scenario), "wakeups-%ld", options.n);
  bench_print(loop_ops, scenario, (double)(n_switches() - before) / minutes, "per minute");
  bench_done();
}
