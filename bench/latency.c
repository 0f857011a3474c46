/* SPDX-License-Identifier: MIT
 *
 * How long does an important signal wait while --n unimportant descriptors are ready all the time?
 *
 * Another process sends SIGUSR1 (--count of them, or as many as are handled in --ms), notes the time in shared memory
 * just before, and sends the next one some time after the last was handled. The signal source is to go before all
 * others. Percentiles of the time from sending to the callback, in microseconds. Without priorities that a loop can act
 * upon between two callbacks, a signal waits for the batch.
 *
 * What the scheduler does to both processes is in it: two processors are needed, and on a busy machine the worst is the
 * machine's.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench.h"

enum { kPauseUsec = 200, kWarmUp = 100 };

struct Shared {
  _Atomic uint64_t sent;  // When; 0 once it has been handled.
  _Atomic bool started;
};

static struct Shared* shared;
static uint64_t* samples;
static long n_samples, n_wanted;
static uint64_t end;

static void on_signal(struct Watch* watch) {
  const uint64_t sent = atomic_load(&shared->sent);
  if (sent == 0) return;  // A loop may tell of one signal twice.
  samples[n_samples++] = bench_nsec() - sent;
  atomic_store(&shared->sent, 0);
  if (n_samples >= n_wanted || bench_nsec() >= end) watch->run->left = 1;
}

static _Noreturn void send_signals(int receiver) {
  bench_check(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0, "prctl");
  while (!atomic_load(&shared->started)) usleep(kPauseUsec);
  for (;;) {
    usleep(kPauseUsec + (useconds_t)bench_random(kPauseUsec));
    if (atomic_load(&shared->sent) != 0) continue;
    atomic_store(&shared->sent, bench_nsec());
    if (kill(receiver, SIGUSR1) < 0) _exit(0);
  }
}

static int compare(const void* a, const void* b) {
  const uint64_t x = *(const uint64_t*)a, y = *(const uint64_t*)b;
  return (x > y) - (x < y);
}

static void print_percentile(const struct LoopOps* ops, long n, long per_mille, const char* unit) {
  long i = (n_samples * per_mille + 999) / 1000;
  if (i > 0) --i;
  char scenario[64];
  (void)snprintf(scenario, sizeof(scenario), "latency-%ld", n);
  bench_print(ops, scenario, (double)samples[i] / kNsecPerUsec, unit);
}

int main(int argc, char** argv) {
  const struct Options options = bench_options(argc, argv, (struct Options){.n = 5000, .count = 1000, .ms = 2000});
  const struct LoopOps* ops = bench_loop(&options);
  struct Run run = {.priorities = true, .left = INT64_MAX};
  bench_want_fds(options.n);
  n_wanted = options.count;
  samples = calloc((size_t)n_wanted, sizeof(*samples));
  struct Watch* watches = calloc((size_t)options.n, sizeof(*watches));
  shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  bench_check(samples && watches && shared != MAP_FAILED, "memory");
  const int receiver = getpid();
  const int sender = fork();
  bench_check(sender >= 0, "fork");
  if (sender == 0) send_signals(receiver);

  void* loop = bench_create(ops, &run);
  struct Watch important = {.run = &run, .work = on_signal};
  ops->signal_add(loop, &important, SIGUSR1);
  for (long i = 0; i < options.n; ++i) {
    watches[i] = (struct Watch){.run = &run, .fd = bench_eventfd(1)};
    ops->io_add(loop, &watches[i]);
  }
  run.left = kWarmUp;
  ops->run(loop);
  run.left = INT64_MAX;
  end = bench_nsec() + (uint64_t)options.ms * 1000000u;
  atomic_store(&shared->started, true);
  ops->run(loop);
  bench_check(kill(sender, SIGKILL) == 0, "kill");
  qsort(samples, (size_t)n_samples, sizeof(*samples), compare);
  print_percentile(ops, options.n, 500, "us p50");
  print_percentile(ops, options.n, 990, "us p99");
  print_percentile(ops, options.n, 999, "us p99.9");
  print_percentile(ops, options.n, 1000, "us worst");
  bench_done();
}
