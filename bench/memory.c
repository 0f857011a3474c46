/* SPDX-License-Identifier: MIT
 *
 * How much heap does a source take, and in how many pieces? --what io, time or defer; --n of them are added.
 *
 * The program counts the calls of malloc and its kin in the whole process, and the bytes by what the heap has handed
 * out (mallinfo2, headers of blocks and unused parts of tables that grow included), after adding as against before. For
 * loops whose watchers are part of the program's own structures these are counted as if allocated one by one. The
 * figures are the same each time.
 */
#include <malloc.h>
#include <stddef.h>
#include <string.h>

#include "bench/bench.h"

static long n_allocations;

#define EXPORTED __attribute__((visibility("default")))

// glibc's own names for what is replaced here.
extern void* __libc_malloc(size_t size);
extern void* __libc_calloc(size_t n, size_t size);
extern void* __libc_realloc(void* memory, size_t size);

EXPORTED void* malloc(size_t size) {
  ++n_allocations;
  return __libc_malloc(size);
}

EXPORTED void* calloc(size_t n, size_t size) {
  ++n_allocations;
  return __libc_calloc(n, size);
}

EXPORTED void* realloc(void* memory, size_t size) {
  ++n_allocations;
  return __libc_realloc(memory, size);
}

static size_t heap_bytes(void) {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

static void add(const struct LoopOps* ops, void* loop, struct Watch* watch, const char* what) {
  if (!strcmp(what, "io")) {
    ops->io_add(loop, watch);
  } else if (!strcmp(what, "time")) {
    bench_need(ops->time_add != NULL, ops, "timers");
    ops->time_add(loop, watch, watch->run->now + kUsecPerSec + bench_random(kUsecPerSec));
  } else {
    bench_need(ops->again_add != NULL, ops, "source that is always pending");
    bench_check(!strcmp(what, "defer"), "--what is io, time or defer");
    ops->again_add(loop, watch);
  }
}

int main(int argc, char** argv) {
  const struct Options options = bench_options(argc, argv, (struct Options){.n = 10000, .what = "io"});
  const struct LoopOps* ops = bench_loop(&options);
  const bool io = !strcmp(options.what, "io");
  struct Run run = {0};
  if (io) bench_want_fds(options.n);
  struct Watch* watches = calloc((size_t)options.n + 1, sizeof(*watches));
  bench_check(watches != NULL, "calloc");
  void* loop = bench_create(ops, &run);
  for (long i = 0; i <= options.n; ++i) watches[i] = (struct Watch){.run = &run, .fd = io ? bench_eventfd(0) : -1};
  // The first may bring what all of its kind share.
  add(ops, loop, &watches[options.n], options.what);
  const size_t bytes = heap_bytes();
  const long allocations = n_allocations;
  for (long i = 0; i < options.n; ++i) add(ops, loop, &watches[i], options.what);
  const long n_new = n_allocations - allocations;
  const double per_source = (double)(heap_bytes() - bytes) / (double)options.n;
  char scenario[64];
  (void)snprintf(scenario, sizeof(scenario), "memory-%s", options.what);
  bench_print(ops, scenario, per_source, "bytes");
  bench_print(ops, scenario, (double)n_new / (double)options.n, "allocations");
  bench_done();
}
