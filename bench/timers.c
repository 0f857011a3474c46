/* SPDX-License-Identifier: MIT
 *
 * What do timers cost, when there are --n of them? --what is one of
 *
 *   add    adding them, with random times a long way off (time per timer)
 *   set    giving a random one of them another random time
 *   drop   dropping them, in the order in which they were added
 *   due    dispatching them, when all have become due before the loop looks
 */
#include <string.h>

#include "bench/bench.h"

enum { kSoonest = 10000, kSpread = 100 };  // Seconds from now, so that none fires by itself.

struct Timers {
  const struct LoopOps* ops;
  struct Run run;
  struct Watch* watches;
  long n;
};

static uint64_t random_time(const struct Timers* t) {
  return t->run.now + (uint64_t)kSoonest * kUsecPerSec + bench_random((uint64_t)kSpread * kUsecPerSec);
}

static long add_all(void* state, long n) {
  struct Timers* t = state;
  for (long i = 0; i < n; ++i) t->ops->time_add(t->run.loop, &t->watches[i], random_time(t));
  return n;
}

static long set_some(void* state, long n) {
  struct Timers* t = state;
  for (long i = 0; i < n; ++i) {
    t->ops->time_set(t->run.loop, &t->watches[bench_random((uint64_t)t->n)], random_time(t));
  }
  return n;
}

static long drop_all(void* state, long n) {
  struct Timers* t = state;
  for (long i = 0; i < n; ++i) t->ops->time_drop(t->run.loop, &t->watches[i]);
  return n;
}

static long dispatch(void* state, long n) {
  struct Timers* t = state;
  t->run.left = n;
  t->ops->run(t->run.loop);
  return n;
}

// One round of it is warm-up. Loops whose finest unit is a millisecond must have seen it pass.
static double dispatch_all(struct Timers* t) {
  double ns = 0;
  for (int round = 0; round < 2; ++round) {
    t->run.now = bench_usec();
    for (long i = 0; i < t->n; ++i) {
      const uint64_t usec = t->run.now - 1 - bench_random(1000);
      if (round == 0) {
        t->ops->time_add(t->run.loop, &t->watches[i], usec);
      } else {
        t->ops->time_set(t->run.loop, &t->watches[i], usec);
      }
    }
    while (bench_usec() < t->run.now + 2 * kUsecPerMsec) continue;
    if (round == 0) {
      (void)dispatch(t, t->n);
    } else {
      ns = bench_once(dispatch, t, t->n);
    }
  }
  return ns;
}

static void nothing(struct Watch* watch) { (void)watch; }

int main(int argc, char** argv) {
  const struct Options options = bench_options(argc, argv, (struct Options){.n = 1000000, .what = "add"});
  struct Timers t = {.ops = bench_loop(&options), .n = options.n};
  const bool due = !strcmp(options.what, "due");
  bench_need(t.ops->time_add != NULL, t.ops, "timers");
  bench_need(t.ops->time_limit == 0 || t.n <= t.ops->time_limit, t.ops, "timers for so many: it takes minutes");
  t.watches = calloc((size_t)t.n, sizeof(*t.watches));
  bench_check(t.watches != NULL, "calloc");
  (void)bench_create(t.ops, &t.run);
  for (long i = 0; i < t.n; ++i) t.watches[i] = (struct Watch){.run = &t.run, .work = due ? nothing : NULL};
  double ns = 0;
  if (due) {
    ns = dispatch_all(&t);
  } else {
    ns = bench_once(add_all, &t, t.n);
    if (!strcmp(options.what, "set")) {
      ns = bench_measure(&options, set_some, &t);
    } else if (!strcmp(options.what, "drop")) {
      ns = bench_once(drop_all, &t, t.n);
    } else {
      bench_check(!strcmp(options.what, "add"), "--what is add, set, drop or due");
    }
  }
  char scenario[64];
  (void)snprintf(scenario, sizeof(scenario), "timers-%ld-%s", t.n, options.what);
  bench_print(t.ops, scenario, ns, "ns");
  bench_done();
}
