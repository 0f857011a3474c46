/* SPDX-License-Identifier: MIT
 *
 * What does the exit of a child cost, when --n of them exit at once?
 *
 * The children wait for a pipe to be closed and exit; each has a source. When all are zombies, the loop is run until
 * the last has been told of: time per child, for noticing, reaping and calling back.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"

struct Children {
  const struct LoopOps* ops;
  struct Run* run;
};

static long dispatch(void* state, long n) {
  struct Children* children = state;
  children->run->left = n;
  children->ops->run(children->run->loop);
  return n;
}

static int start_child(int wait_fd, int close_fd) {
  const int pid = fork();
  bench_check(pid >= 0, "fork");
  if (pid > 0) return pid;
  char byte;
  (void)close(close_fd);
  while (read(wait_fd, &byte, 1) < 0 && errno == EINTR) continue;
  _exit(0);
}

// sd-event wants SIGCHLD blocked; the others have handlers for it, so there it must not be.
static void block_sigchld_for(const struct LoopOps* ops) {
  sigset_t mask;
  (void)sigemptyset(&mask);
  (void)sigaddset(&mask, SIGCHLD);
  if (!strcmp(ops->name(), "reference") || !strcmp(ops->name(), "evenkeel")) {
    bench_check(sigprocmask(SIG_BLOCK, &mask, NULL) == 0, "sigprocmask");
  }
}

int main(int argc, char** argv) {
  const struct Options options = bench_options(argc, argv, (struct Options){.n = 1000});
  const struct LoopOps* ops = bench_loop(&options);
  struct Run run = {0};
  bench_need(ops->child_add != NULL, ops, "source for a child that something else has started");
  bench_want_fds(options.n);
  block_sigchld_for(ops);
  int start[2];
  bench_check(pipe(start) == 0, "pipe");
  struct Watch* watches = calloc((size_t)options.n, sizeof(*watches));
  int* pids = calloc((size_t)options.n, sizeof(*pids));
  bench_check(watches && pids, "calloc");
  for (long i = 0; i < options.n; ++i) pids[i] = start_child(start[0], start[1]);
  void* loop = bench_create(ops, &run);
  for (long i = 0; i < options.n; ++i) {
    watches[i].run = &run;
    ops->child_add(loop, &watches[i], pids[i]);
  }
  bench_check(close(start[1]) == 0, "close");
  for (long i = 0; i < options.n; ++i) {
    siginfo_t info;
    int r;
    while ((r = waitid(P_PID, (id_t)pids[i], &info, WEXITED | WNOWAIT)) < 0 && errno == EINTR) continue;
    bench_check(r == 0, "waitid");
  }
  struct Children children = {ops, &run};
  const double ns = bench_once(dispatch, &children, options.n);
  char scenario[64];
  (void)snprintf(scenario, sizeof(scenario), "children-%ld", options.n);
  bench_print(ops, scenario, ns, "ns");
  bench_done();
}
