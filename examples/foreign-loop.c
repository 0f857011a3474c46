/* SPDX-License-Identifier: MIT
 *
 * foreign-loop: a program with an event loop of its own (poll) that drives an sd-event loop inside it.
 *
 * The foreign loop copies the lines of its standard input to the output. When the input ends it turns on a timer of the
 * inner loop, which ticks three times and then asks the inner loop to exit; with that, the program ends.
 *
 * The adapter is `drive`, made of adapter.h, which has the rules. What they come to in a loop of poll or epoll:
 *   1. Drive once in every round, whether the descriptor was readable or not: the foreign loop's own callbacks may have
 *      added or enabled sources, which count from there on.
 *   2. As long as `drive` returns 1 there is work left: look, but don't sleep. The foreign loop's own descriptors get
 *      their turn all the same.
 *   3. poll and epoll tell of what is ready as long as it is. Who watches the descriptor edge-triggered has to see
 *      sd_event_wait with a timeout of 0 say 0 as well before it sleeps: prepare says only that nothing is pending.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "adapter.h"

enum { kTicks = 3, kTickUsec = 20000 };

/* 1: call again before sleeping, 0: sleep on the descriptor, -ESTALE: the loop has finished, other -errno: it failed.
 */
static int drive(sd_event* event) {
  int r = adapter_before_sleep(event);
  if (r <= 0) return r;
  r = adapter_dispatch(event);
  return r == 0 ? -ESTALE : r;
}

static int on_tick(sd_event_source* timer, uint64_t usec, void* userdata) {
  int* ticks = userdata;
  (void)usec;
  printf("inner: tick %d\n", ++*ticks);
  if (*ticks == kTicks) return sd_event_exit(sd_event_source_get_event(timer), EXIT_SUCCESS);
  int r = sd_event_source_set_time_relative(timer, kTickUsec);
  return r < 0 ? r : sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

/* The foreign loop's business: returns 0 at the end of the input. */
static ssize_t copy_input(void) {
  char buffer[512];
  const ssize_t n = read(STDIN_FILENO, buffer, sizeof(buffer));
  if (n > 0) printf("outer: %.*s", (int)n, buffer);
  return n;
}

static int foreign_loop(sd_event* event, sd_event_source* timer) {
  struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = sd_event_get_fd(event), .events = POLLIN}};
  for (;;) {
    int r = drive(event);
    if (r < 0) return r;
    if (poll(fds, 2, r > 0 ? 0 : -1) < 0) return -errno;
    if (fds[0].revents == 0 || copy_input() > 0) continue;
    fds[0].fd = -1;
    r = sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
    if (r < 0) return r;
  }
}

int main(void) {
  sd_event* event = NULL;
  sd_event_source* timer = NULL;
  int ticks = 0, code = EXIT_FAILURE;
  int r = sd_event_new(&event);
  if (r >= 0) r = sd_event_add_time(event, &timer, CLOCK_MONOTONIC, 0, 1, on_tick, &ticks);
  if (r >= 0) r = sd_event_source_set_exit_on_failure(timer, 1);
  if (r >= 0) r = sd_event_source_set_enabled(timer, SD_EVENT_OFF);
  if (r >= 0) r = foreign_loop(event, timer);
  if (r == -ESTALE) r = sd_event_get_exit_code(event, &code);
  sd_event_source_unref(timer);
  sd_event_unref(event);
  if (r < 0) fprintf(stderr, "foreign-loop: %s\n", strerror(-r));
  return r < 0 ? EXIT_FAILURE : code;
}
