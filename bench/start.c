/* SPDX-License-Identifier: MIT
 *
 * What does it cost to start a process that has a library preloaded?
 *
 * `true` is started --count times, with --preload LIBRARY or without; real time from starting it until it has been
 * reaped, so it is the loader's work and that of the library's dependencies. The variant is named by --loop, which
 * loads no loop here.
 */
#include <spawn.h>
#include <sys/wait.h>

#include "bench/bench.h"

static const char* name;
static const char* loop_name(void) { return name; }

int main(int argc, char** argv) {
  const struct Options options = bench_options(argc, argv, (struct Options){.loop = "none", .count = 200});
  const struct LoopOps ops = {.name = loop_name};
  char preload[4096];
  char* environment[] = {options.preload ? preload : NULL, NULL};
  char* arguments[] = {"true", NULL};
  name = options.loop;
  (void)snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", options.preload ? options.preload : "");
  uint64_t begin = 0;
  for (long i = -10; i < options.count; ++i) {
    if (i == 0) begin = bench_nsec();
    pid_t pid;
    int status;
    bench_check(posix_spawn(&pid, "/bin/true", NULL, NULL, arguments, environment) == 0, "posix_spawn");
    bench_check(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0, "true");
  }
  bench_print(&ops, "start", (double)(bench_nsec() - begin) / kNsecPerUsec / (double)options.count, "us");
  bench_done();
}
