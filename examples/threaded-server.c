/* SPDX-License-Identifier: MIT
 *
 * threaded-server: a TCP server that sends back what it gets, with a loop for each thread.
 *
 *   threaded-server PORT [THREADS]
 *
 * A loop belongs to one thread, so several processors are used by several loops that have nothing in common. Each
 * thread has a listening socket of its own on the same port (SO_REUSEPORT), and the kernel deals the connections out to
 * them: no thread accepts for another one, and nothing is locked.
 *
 * The main thread has a loop as well, for signals. Calls like sd_event_exit() are for the thread of the loop only: to
 * end the others, the main thread writes to an eventfd for which each of them has a source. That is the way to wake up
 * another thread's loop for anything.
 *
 * Invariants:
 *  1. Signals are blocked before the first thread is started, and so in all of them; else one that is not blocked might
 *     get it, and the process would be killed.
 *  2. A connection is owned by its source: the destroy callback frees it, and the descriptor goes with the source. All
 *     connections of a thread are floating: they go when their loop goes, at the latest.
 *  3. A connection that can't send does not read: what a peer does not take is not collected here without a limit.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <unistd.h>

struct worker {
  pthread_t thread;
  int listener, stop;
  unsigned long connections;
  int result;
};

struct connection {
  char data[4096];
  size_t begin, end; /* what has been read and not yet been sent */
};

/* ---- One connection ---- */

/* To turn a floating source off does not free it: the loop still holds it. Without that reference nobody does. */
static int hang_up(sd_event_source* source) { return sd_event_source_set_floating(source, 0); }

static int on_connection(sd_event_source* source, int fd, uint32_t revents, void* userdata) {
  struct connection* c = userdata;
  ssize_t n;
  (void)revents; /* Reading and sending tell more than the events do. */
  if (c->begin == c->end) {
    c->begin = c->end = 0;
    n = recv(fd, c->data, sizeof(c->data), 0);
    if (n == 0) return hang_up(source);
    if (n > 0) c->end = (size_t)n;
  } else {
    n = 1;
  }
  if (n > 0) {
    n = send(fd, c->data + c->begin, c->end - c->begin, MSG_NOSIGNAL);
    if (n > 0) c->begin += (size_t)n;
  }
  if (n < 0 && errno != EAGAIN && errno != EINTR) return hang_up(source);
  /* The same events again cost nothing. */
  return sd_event_source_set_io_events(source, c->begin == c->end ? EPOLLIN : EPOLLOUT);
}

static int add_connection(sd_event* event, int fd) {
  sd_event_source* source = NULL;
  struct connection* c = malloc(sizeof(*c));
  if (!c) return -ENOMEM;
  c->begin = c->end = 0;
  int r = sd_event_add_io(event, &source, fd, EPOLLIN, on_connection, c);
  if (r < 0) {
    free(c);
    return r;
  }
  /* None of these can fail; from here on fd and memory are the source's, and the source is the loop's. */
  sd_event_source_set_destroy_callback(source, free);
  sd_event_source_set_io_fd_own(source, 1);
  sd_event_source_set_floating(source, 1);
  sd_event_source_unref(source);
  return 0;
}

/* ---- One thread ---- */

static int on_listener(sd_event_source* source, int fd, uint32_t revents, void* userdata) {
  struct worker* w = userdata;
  (void)revents;
  const int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  /* What went wrong with one connection must not end the server. (Out of descriptors, this would be called again at
   * once; a server under such load would turn its listener off for a while.) */
  if (peer < 0) return 0;
  w->connections++;
  if (add_connection(sd_event_source_get_event(source), peer) < 0) close(peer);
  return 0;
}

static int on_stop(sd_event_source* source, int fd, uint32_t revents, void* userdata) {
  (void)fd, (void)revents, (void)userdata;
  return sd_event_exit(sd_event_source_get_event(source), 0);
}

static void* work(void* argument) {
  struct worker* w = argument;
  sd_event* event = NULL;
  sd_event_source* stop = NULL;
  /* The default loop of this thread; code that is called from here finds it by sd_event_default(), too. */
  int r = sd_event_default(&event);
  if (r >= 0) r = sd_event_add_io(event, NULL, w->listener, EPOLLIN, on_listener, w);
  if (r >= 0) r = sd_event_add_io(event, &stop, w->stop, EPOLLIN, on_stop, NULL);
  /* However busy the connections are. */
  if (r >= 0) r = sd_event_source_set_priority(stop, SD_EVENT_PRIORITY_IMPORTANT);
  if (r >= 0) r = sd_event_loop(event);
  sd_event_source_disable_unref(stop);
  sd_event_unref(event);
  w->result = r;
  return NULL;
}

static int listen_on(uint16_t port) {
  const struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  const int yes = 1;
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -errno;
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes)) < 0 ||
      bind(fd, (const struct sockaddr*)&address, sizeof(address)) < 0 || listen(fd, SOMAXCONN) < 0) {
    const int r = -errno;
    close(fd);
    return r;
  }
  return fd;
}

/* ---- All of them ---- */

/* A thread that has been started is ended and waited for, whatever went wrong with the others. */
static int serve(struct worker* workers, unsigned count, uint16_t port, sd_event* event) {
  unsigned started = 0;
  int r = 0;
  for (; started < count; started++) {
    struct worker* w = &workers[started];
    w->listener = listen_on(port);
    w->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r = w->listener < 0 ? w->listener : w->stop < 0 ? -errno : -pthread_create(&w->thread, NULL, work, w);
    if (r < 0) {
      if (w->listener >= 0) close(w->listener);
      if (w->stop >= 0) close(w->stop);
      break;
    }
  }
  if (r >= 0) {
    sd_notifyf(0, "READY=1\nSTATUS=Listening on port %u with %u threads.", port, count);
    r = sd_event_loop(event);
  }
  for (unsigned i = 0; i < started; i++) {
    if (eventfd_write(workers[i].stop, 1) < 0) abort(); /* It would never be joined. */
  }
  for (unsigned i = 0; i < started; i++) {
    pthread_join(workers[i].thread, NULL);
    close(workers[i].listener);
    close(workers[i].stop);
    if (r >= 0) r = workers[i].result;
  }
  return r;
}

int main(int argc, char** argv) {
  const unsigned port = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
  const unsigned count = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
  if (argc > 3 || port == 0 || port > 65535 || count == 0 || count > 1024) {
    fprintf(stderr, "usage: %s PORT [THREADS]\n", argv[0]);
    return 2;
  }
  struct worker* workers = calloc(count, sizeof(*workers));
  sd_event* event = NULL;
  int r = workers ? sd_event_default(&event) : -ENOMEM;
  if (r >= 0) r = sd_event_set_signal_exit(event, 1); /* before any thread is started: it blocks the signals */
  if (r >= 0) r = serve(workers, count, (uint16_t)port, event);

  unsigned long connections = 0;
  unsigned used = 0;
  for (unsigned i = 0; workers && i < count; i++) {
    connections += workers[i].connections;
    used += workers[i].connections > 0;
  }
  printf("%lu connections in %u of %u threads\n", connections, used, count);
  sd_event_unref(event);
  free(workers);
  if (r < 0) fprintf(stderr, "%s: %s\n", argv[0], strerror(-r));
  return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
