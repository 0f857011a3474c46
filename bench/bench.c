/* SPDX-License-Identifier: MIT
 *
 * bench.h: arguments, clocks, limits, and how long a body is run.
 *
 * A measured run is preceded by shorter ones of twice the length each, until one takes a tenth of the time that is
 * wanted: they warm up caches, branch predictors and the heap, and tell how many operations fill the time.
 *
 * The time is that of the processor on behalf of this process, in user space and in the kernel. No measured body
 * sleeps, so on an idle machine that is the time which passes; on a busy one it does not count what others run
 * meanwhile.
 */
#include "bench/bench.h"

#include <dlfcn.h>
#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static const char kUsageText[] =
    "usage: %s [--loop NAME] [--n SOURCES] [--active SOURCES] [--what VARIANT] [--preload LIBRARY]\n"
    "          [--ms MILLISECONDS | --count OPERATIONS]\n";

static _Noreturn void usage(const char* program) {
  fprintf(stderr, kUsageText, program);
  exit(kUsage);
}

static long number_argument(const char* program, const char* text) {
  char* end = NULL;
  errno = 0;
  const long value = strtol(text, &end, 10);
  if (errno || end == text || *end || value < 1) usage(program);
  return value;
}

struct Options bench_options(int argc, char** argv, struct Options options) {
  static const struct option kNames[] = {
      {"loop", required_argument, NULL, 'l'},    {"what", required_argument, NULL, 'w'},
      {"n", required_argument, NULL, 'n'},       {"active", required_argument, NULL, 'a'},
      {"ms", required_argument, NULL, 'm'},      {"count", required_argument, NULL, 'c'},
      {"preload", required_argument, NULL, 'p'}, {NULL, 0, NULL, 0}};
  if (!options.loop) options.loop = "evenkeel";
  if (!options.ms) options.ms = 150;
  int c;
  while ((c = getopt_long(argc, argv, "", kNames, NULL)) >= 0) {
    switch (c) {
      case 'l':
        options.loop = optarg;
        break;
      case 'w':
        options.what = optarg;
        break;
      case 'p':
        options.preload = optarg;
        break;
      case 'n':
        options.n = number_argument(argv[0], optarg);
        break;
      case 'a':
        options.active = number_argument(argv[0], optarg);
        break;
      case 'm':
        options.ms = number_argument(argv[0], optarg);
        break;
      case 'c':
        options.count = number_argument(argv[0], optarg);
        break;
      default:
        usage(argv[0]);
    }
  }
  if (optind < argc) usage(argv[0]);
  return options;
}

const struct LoopOps* bench_loop(const struct Options* options) {
  char program[PATH_MAX], path[2 * PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
  bench_check(length > 0, "readlink /proc/self/exe");
  program[length] = 0;
  (void)snprintf(path, sizeof(path), "%s/bench-loop-%s.so", dirname(program), options->loop);
  if (access(path, R_OK) < 0) {
    printf("skipped: %s is not built (is its package missing?)\n", path);
    exit(kSkipped);
  }
  void* module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  const struct LoopOps* ops = module ? dlsym(module, "bench_loop_ops") : NULL;
  if (!ops) {
    fprintf(stderr, "%s\n", dlerror());
    exit(EXIT_FAILURE);
  }
  return ops;
}

static struct Run* the_run;

void* bench_create(const struct LoopOps* ops, struct Run* run) {
  the_run = run;
  run->now = bench_usec();
  run->loop = ops->create(run);
  bench_check(run->loop != NULL, "making the loop");
  return run->loop;
}

void bench_need(bool there, const struct LoopOps* ops, const char* what) {
  if (there) return;
  printf("skipped: %s has no %s\n", ops->name(), what);
  exit(kSkipped);
}

void bench_check(bool ok, const char* what) {
  if (ok) return;
  fprintf(stderr, "failed: %s (errno: %s)\n", what, strerror(errno));
  exit(EXIT_FAILURE);
}

void bench_want_fds(long n) {
  const rlim_t wanted = (rlim_t)n + 64;
  struct rlimit limit;
  bench_check(getrlimit(RLIMIT_NOFILE, &limit) == 0, "getrlimit");
  if (limit.rlim_cur >= wanted) return;
  limit.rlim_cur = wanted;
  if (limit.rlim_max < wanted) limit.rlim_max = wanted;  // Takes a privilege.
  if (setrlimit(RLIMIT_NOFILE, &limit) == 0) return;
  printf("skipped: %ld descriptors are more than this process may have\n", n);
  exit(kSkipped);
}

int bench_eventfd(unsigned value) {
  const int fd = eventfd(value, EFD_CLOEXEC | EFD_NONBLOCK);
  bench_check(fd >= 0, "eventfd");
  return fd;
}

static uint64_t read_clock(clockid_t id) {
  struct timespec t;
  bench_check(clock_gettime(id, &t) == 0, "clock_gettime");
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t bench_nsec(void) { return read_clock(CLOCK_MONOTONIC); }
uint64_t bench_cpu_nsec(void) { return read_clock(CLOCK_PROCESS_CPUTIME_ID); }

// Not inlined: by this name tools/bench-costs has instructions counted, and the system calls between the two looks at
// the process clock, which vDSO does not serve.
__attribute__((noinline)) long bench_measured(BenchBody body, void* state, long n) { return body(state, n); }

double bench_once(BenchBody body, void* state, long n) {
  if (the_run) the_run->last = true;
  const uint64_t begin = bench_cpu_nsec();
  const long done = bench_measured(body, state, n);
  return (double)(bench_cpu_nsec() - begin) / (double)done;
}

double bench_measure(const struct Options* options, BenchBody body, void* state) {
  const uint64_t wanted = (uint64_t)options->ms * 1000000u;
  long n = options->count;
  if (n > 0) {
    (void)body(state, options->n > 100 ? options->n : 100);
    return bench_once(body, state, n);
  }
  for (n = 1;; n *= 2) {
    const uint64_t begin = bench_cpu_nsec();
    const long done = body(state, n);
    const uint64_t took = bench_cpu_nsec() - begin;
    if (took >= wanted / 10) return bench_once(body, state, (long)((double)done * (double)wanted / (double)took) + 1);
  }
}

void bench_print(const struct LoopOps* ops, const char* scenario, double value, const char* unit) {
  printf("%s\t%s\t%.4g\t%s\n", scenario, ops->name(), value, unit);
}

void bench_done(void) {
  bench_check(fflush(stdout) == 0, "printing");
  _exit(EXIT_SUCCESS);
}
