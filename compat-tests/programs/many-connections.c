// SPDX-License-Identifier: MIT
//
// many-connections CONNECTIONS BYTES THERE HERE: that many TCP connections at once to a proxy on the port THERE of
// loopback, which passes on to HERE, where this program echoes. Each connection has bytes of its own, and each must
// come back.
//
// 1. All connections are open at the same time: each gets its first byte back before any sends the rest.
// 2. What is sent on a connection depends on its number and the offset, so that a byte of another one, a lost or a
//    doubled one is noticed where it comes.
// 3. The client is one process that never blocks in a read or write; the echo is a process a connection, ends with it,
//    and all of them die with the client.
// Exits with 0, or says what went wrong and exits with 1.
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK 16384

struct connection {
  size_t sent, received;
};

static struct sockaddr_in loopback(const char* port) {
  return (struct sockaddr_in){
      .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

// A byte of a stream: a multiplicative hash of where it is.
static unsigned char byte_of(size_t connection, size_t offset) {
  return (unsigned char)((((uint64_t)connection << 32 | offset) + 1) * UINT64_C(0x9E3779B97F4A7C15) >> 56);
}

static void die_with_parent(pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
}

static void echo(int fd) {
  char buffer[CHUNK];
  ssize_t n;
  while ((n = read(fd, buffer, sizeof buffer)) > 0)
    for (ssize_t done = 0, m; done < n; done += m)
      if ((m = write(fd, buffer + done, (size_t)(n - done))) < 0) _exit(1);
  _exit(n < 0);
}

static void serve(const char* port, int backlog) {
  struct sockaddr_in address = loopback(port);
  int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
  setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listening, (struct sockaddr*)&address, sizeof address) < 0) err(1, "bind to port %s", port);
  if (listen(listening, backlog) < 0) err(1, "listen");
  pid_t parent = getpid(), pid = fork();
  if (pid < 0) err(1, "fork");
  if (pid > 0) {
    close(listening);
    return;
  }
  die_with_parent(parent);
  signal(SIGCHLD, SIG_IGN);
  parent = getpid();
  for (;;) {
    int fd = accept(listening, NULL, NULL);
    if (fd < 0) err(1, "accept");
    if ((pid = fork()) < 0) err(1, "fork");
    if (pid == 0) {
      die_with_parent(parent);
      close(listening);
      echo(fd);
    }
    close(fd);
  }
}

static void send_some(int fd, size_t number, struct connection* c, size_t target) {
  unsigned char buffer[CHUNK];
  size_t n = target - c->sent < CHUNK ? target - c->sent : CHUNK;
  for (size_t i = 0; i < n; i++) buffer[i] = byte_of(number, c->sent + i);
  ssize_t m = send(fd, buffer, n, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (m > 0) c->sent += (size_t)m;
  if (m < 0 && errno != EAGAIN) err(1, "connection %zu: send after %zu bytes", number, c->sent);
}

static void receive_some(int fd, size_t number, struct connection* c) {
  unsigned char buffer[CHUNK];
  ssize_t n = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
  if (n < 0 && errno == EAGAIN) return;
  if (n < 0) err(1, "connection %zu: receive after %zu bytes", number, c->received);
  if (n == 0) errx(1, "connection %zu was closed after %zu bytes", number, c->received);
  for (ssize_t i = 0; i < n; i++, c->received++)
    if (buffer[i] != byte_of(number, c->received)) errx(1, "connection %zu: byte %zu is wrong", number, c->received);
}

// Until each connection has sent, and got back, `target` bytes altogether.
static void exchange(struct pollfd* fds, struct connection* connections, size_t n, size_t target) {
  for (size_t left = n; left > 0;) {
    left = 0;
    for (size_t i = 0; i < n; i++) {
      fds[i].events = (short)((connections[i].sent < target ? POLLOUT : 0) | POLLIN);
      if (connections[i].received < target) left++;
    }
    if (left == 0) return;
    if (poll(fds, n, -1) < 0) err(1, "poll");
    for (size_t i = 0; i < n; i++) {
      if (fds[i].revents & POLLOUT) send_some(fds[i].fd, i, &connections[i], target);
      if (fds[i].revents & (POLLIN | POLLHUP | POLLERR)) receive_some(fds[i].fd, i, &connections[i]);
    }
  }
}

int main(int argc, char** argv) {
  if (argc != 5) errx(2, "usage: many-connections CONNECTIONS BYTES THERE HERE");
  size_t n = strtoul(argv[1], NULL, 10), bytes = strtoul(argv[2], NULL, 10);
  struct pollfd* fds = calloc(n, sizeof *fds);
  struct connection* connections = calloc(n, sizeof *connections);
  if (n == 0 || bytes == 0 || !fds || !connections) errx(2, "so many connections or bytes cannot be");
  serve(argv[4], (int)n);
  struct sockaddr_in there = loopback(argv[3]);
  for (size_t i = 0; i < n; i++) {
    fds[i].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fds[i].fd < 0 || connect(fds[i].fd, (struct sockaddr*)&there, sizeof there) < 0) err(1, "connection %zu", i);
  }
  exchange(fds, connections, n, 1);
  exchange(fds, connections, n, bytes);
  printf("%zu connections of %zu bytes each\n", n, bytes);
  return 0;
}
