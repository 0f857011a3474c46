/* SPDX-License-Identifier: MIT
 *
 * What does systemd-socket-proxyd spend on a message, when it serves --n connections that are all active, as Debian
 * ships it and with --preload LIBRARY?
 *
 * This program is the clients and the server: it listens in place of systemd and passes the socket on, opens the
 * connections, and then in each round writes a message of 1 KiB into every connection and reads all of them at the
 * other end. Processor time of the proxy for each message, as its process clock has it; over Unix sockets in a
 * directory of its own, so that the network is not measured and no port is taken. The proxy moves data with splice(2):
 * four calls a message are its own, and the same in both runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench.h"

enum { kMessage = 1024, kFirstPassedFd = 3, kBacklog = 4096, kFdsPerConnection = 8 };

static const char kProxyd[] = "/usr/lib/systemd/systemd-socket-proxyd";

struct Proxyd {
  long n;
  int* clients;
  int* servers;
};

static char front_name[32], back_name[32];  // "@..." is an abstract address.
static int proxy_pid = -1;
static clockid_t proxy_clock;
static const char* name;

static const char* loop_name(void) { return name; }

static void stop_proxy(void) {
  if (proxy_pid <= 0) return;
  (void)kill(proxy_pid, SIGKILL);
  (void)waitpid(proxy_pid, NULL, 0);
}

static socklen_t address_of(const char* at_name, struct sockaddr_un* address) {
  const size_t length = strlen(at_name);
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  memcpy(address->sun_path + 1, at_name + 1, length - 1);
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

// An accept that waits for long means that the proxy has died: it fails then.
static int listen_at(const char* at_name) {
  const struct timeval patience = {.tv_sec = 30};
  struct sockaddr_un address;
  const socklen_t length = address_of(at_name, &address);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bench_check(fd >= 0 && bind(fd, (const struct sockaddr*)&address, length) == 0, "bind");
  bench_check(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0, "setsockopt");
  bench_check(listen(fd, kBacklog) == 0, "listen");
  return fd;
}

static int connect_to(const char* at_name) {
  struct sockaddr_un address;
  const socklen_t length = address_of(at_name, &address);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bench_check(fd >= 0 && connect(fd, (const struct sockaddr*)&address, length) == 0, "connect");
  return fd;
}

static void start_proxy(const struct Options* options, int listener) {
  char most[64], pid[32];
  proxy_pid = fork();
  bench_check(proxy_pid >= 0, "fork");
  if (proxy_pid > 0) return;
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  (void)snprintf(most, sizeof(most), "--connections-max=%ld", options->n + 1);
  (void)snprintf(pid, sizeof(pid), "%d", getpid());
  // dup2 would leave a number that is right already as it is: close-on-exec.
  if ((listener == kFirstPassedFd ? fcntl(listener, F_SETFD, 0) : dup2(listener, kFirstPassedFd)) < 0 ||
      setenv("LISTEN_FDS", "1", 1) < 0 || setenv("LISTEN_PID", pid, 1) < 0 ||
      (options->preload && setenv("LD_PRELOAD", options->preload, 1) < 0)) {
    _exit(EXIT_FAILURE);
  }
  (void)execl(kProxyd, kProxyd, most, back_name, (char*)NULL);
  _exit(EXIT_FAILURE);
}

static void read_whole(int fd) {
  char message[kMessage];
  for (size_t done = 0; done < sizeof(message);) {
    const ssize_t r = read(fd, message + done, sizeof(message) - done);
    bench_check(r > 0 || (r < 0 && errno == EINTR), "read");
    if (r > 0) done += (size_t)r;
  }
}

// Rounds of one message for each connection.
static long exchange(const struct Proxyd* p, long rounds) {
  static const char kText[kMessage];
  for (long round = 0; round < rounds; ++round) {
    for (long i = 0; i < p->n; ++i) bench_check(write(p->clients[i], kText, kMessage) == kMessage, "write");
    for (long i = 0; i < p->n; ++i) read_whole(p->servers[i]);
  }
  return rounds * p->n;
}

static uint64_t proxy_nsec(void) {
  struct timespec t;
  bench_check(clock_gettime(proxy_clock, &t) == 0, "the clock of the proxy");
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int main(int argc, char** argv) {
  const struct Options options =
      bench_options(argc, argv, (struct Options){.loop = "reference", .n = 1000, .count = 100});
  const struct LoopOps ops = {.name = loop_name};
  struct Proxyd p = {.n = options.n};
  name = options.loop;
  if (access(kProxyd, X_OK) < 0) {
    printf("skipped: %s is missing (package systemd)\n", kProxyd);
    return kSkipped;
  }
  bench_want_fds(kFdsPerConnection * options.n);
  bench_check(atexit(stop_proxy) == 0, "atexit");
  (void)snprintf(front_name, sizeof(front_name), "@bench-front-%d", getpid());
  (void)snprintf(back_name, sizeof(back_name), "@bench-back-%d", getpid());
  p.clients = calloc((size_t)p.n, sizeof(*p.clients));
  p.servers = calloc((size_t)p.n, sizeof(*p.servers));
  bench_check(p.clients && p.servers, "calloc");
  const int front = listen_at(front_name), back = listen_at(back_name);
  start_proxy(&options, front);
  for (long i = 0; i < p.n; ++i) {
    p.clients[i] = connect_to(front_name);
    p.servers[i] = accept4(back, NULL, NULL, SOCK_CLOEXEC);
    bench_check(p.servers[i] >= 0, "accept");
  }
  bench_check(clock_getcpuclockid(proxy_pid, &proxy_clock) == 0, "clock_getcpuclockid");
  const long warm_up = exchange(&p, 2);
  bench_check(warm_up > 0, "warm-up");
  const uint64_t begin = proxy_nsec();
  const long n_messages = exchange(&p, options.count);
  const double ns = (double)(proxy_nsec() - begin) / (double)n_messages;
  char scenario[64];
  (void)snprintf(scenario, sizeof(scenario), "proxyd-%ld", p.n);
  bench_print(&ops, scenario, ns, "ns");
  return EXIT_SUCCESS;
}
