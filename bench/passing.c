/* SPDX-License-Identifier: MIT
 *
 * What does an event cost that does something: one byte is read and passed on?
 *
 * --n socket pairs stand in a ring, --active of them have a byte to start with. The callback of a pair reads its byte
 * and writes it to the pair that is --n/--active places on plus one, so over time each of them has its turn. An event
 * makes two system calls of its own, whatever the loop. With --active below --n most sources are idle: a loop should
 * not feel them.
 *
 * --what eventfd has one eventfd in place of each pair, for sizes of which socket pairs would fill the memory.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/bench.h"

struct Passing {
  const struct LoopOps* ops;
  struct Run run;
};

static size_t message_size = 1;

static void pass_on(struct Watch* watch) {
  uint64_t message = 1;  // What an eventfd takes; of which a socket gets a byte.
  bench_check(read(watch->fd, &message, message_size) == (ssize_t)message_size, "read");
  bench_check(write(watch->next_fd, &message, message_size) == (ssize_t)message_size, "write");
}

static long dispatch(void* state, long n) {
  struct Passing* p = state;
  p->run.left = n;
  p->ops->run(p->run.loop);
  return n - (long)p->run.left;
}

int main(int argc, char** argv) {
  const struct Options options = bench_options(argc, argv, (struct Options){.n = 1000, .active = 1});
  const bool by_eventfd = options.what && !strcmp(options.what, "eventfd");
  struct Passing p = {.ops = bench_loop(&options)};
  const long n = options.n;
  bench_check(options.active <= n, "--active is at most --n");
  bench_want_fds(by_eventfd ? n : 2 * n);
  if (by_eventfd) message_size = sizeof(uint64_t);
  void* loop = bench_create(p.ops, &p.run);
  struct Watch* watches = calloc((size_t)n, sizeof(*watches));
  int* inputs = calloc((size_t)n, sizeof(*inputs));  // Where one writes to make the source readable.
  bench_check(watches && inputs, "calloc");
  for (long i = 0; i < n; ++i) {
    watches[i] = (struct Watch){.run = &p.run, .work = pass_on};
    if (by_eventfd) {
      watches[i].fd = inputs[i] = bench_eventfd(0);
    } else {
      int pair[2];
      bench_check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0, "socketpair");
      watches[i].fd = pair[0];
      inputs[i] = pair[1];
    }
  }
  // The step has no common divisor with most sizes, so that a byte does not come back to where it was at once.
  const long step = n / options.active + 1;
  for (long i = 0; i < n; ++i) {
    watches[i].next_fd = inputs[(i + step) % n];
    p.ops->io_add(loop, &watches[i]);
  }
  const uint64_t one = 1;
  for (long i = 0; i < options.active; ++i) {
    bench_check(write(inputs[i * (n / options.active)], &one, message_size) > 0, "write");
  }
  (void)dispatch(&p, n);
  char scenario[64];
  const double ns = bench_measure(&options, dispatch, &p);
  (void)snprintf(scenario, sizeof(scenario), "passing-%ld-%ld%s", n, options.active, by_eventfd ? "-eventfd" : "");
  bench_print(p.ops, scenario, ns, "ns");
  bench_done();
}
