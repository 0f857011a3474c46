/* SPDX-License-Identifier: MIT
 *
 * service: what a service owes to its manager: it tells when it is ready, that it is alive, that it reads its
 * configuration again, and that it ends; it ends when it is asked to.
 *
 *   service CONFIGURATION
 *
 *   - SIGTERM and SIGINT end the loop, by sd_event_set_signal_exit(): no handler, no flag, no race.
 *   - SIGHUP reads the file again. Its line is the "configuration", and is the status that the manager shows.
 *   - The watchdog is the loop's: as long as it iterates, the manager hears of it. A callback that hangs is noticed.
 *   - The exit source has the last word, whichever way the loop came to its end.
 * Without a manager all of that does nothing, and the same program runs in a terminal. A unit for it:
 *
 *   [Service]
 *   Type=notify-reload
 *   ExecStart=/usr/bin/service /etc/service.conf
 *   WatchdogSec=10s
 *
 * Invariants: signals are blocked before anything else is done, so that none can come too early. "READY=1" is sent
 * when everything is set up, and after that callbacks do all the work.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <time.h>

struct service {
  const char* file;
  char line[128];
  unsigned reloads;
};

static int read_configuration(struct service* s) {
  FILE* f = fopen(s->file, "re");
  if (!f) return -errno;
  char line[sizeof(s->line)];
  const char* got = fgets(line, sizeof(line), f);
  fclose(f);
  if (!got) return -EBADMSG;
  line[strcspn(line, "\n")] = '\0';
  memcpy(s->line, line, sizeof(line));
  return 0;
}

static uint64_t monotonic_usec(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int on_hangup(sd_event_source* source, const struct signalfd_siginfo* info, void* userdata) {
  struct service* s = userdata;
  (void)source, (void)info;
  s->reloads++;
  /* The time tells the manager which of several reloads this is; what sd_event_now() says might be too old for it. */
  sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, monotonic_usec());
  int r = read_configuration(s);
  if (r < 0) {
    /* A configuration that can't be read is no reason to end: go on with the old one. */
    fprintf(stderr, SD_WARNING "%s: %s, nothing is changed\n", s->file, strerror(-r));
  } else {
    printf("configuration: %s\n", s->line);
  }
  /* What sd_notify() returns is of no interest here: a manager that can't be reached is no reason to stop working. */
  sd_notifyf(0, "READY=1\nSTATUS=%s", s->line);
  return 0;
}

static int on_exit_of_loop(sd_event_source* source, void* userdata) {
  const struct service* s = userdata;
  (void)source;
  sd_notify(0, "STOPPING=1");
  printf("ends after %u reload%s\n", s->reloads, s->reloads == 1 ? "" : "s");
  return 0;
}

static int run(struct service* s) {
  sd_event* event = NULL;
  int r = sd_event_default(&event);
  if (r < 0) return r;

  /* For what is watched from here on to the end, floating sources do: they belong to the loop. */
  if ((r = sd_event_set_signal_exit(event, 1)) < 0) goto finish;
  if ((r = sd_event_add_signal(event, NULL, SIGHUP | SD_EVENT_SIGNAL_PROCMASK, on_hangup, s)) < 0) goto finish;
  if ((r = sd_event_add_exit(event, NULL, on_exit_of_loop, s)) < 0) goto finish;
  if ((r = sd_event_set_watchdog(event, 1)) < 0) goto finish;
  if ((r = read_configuration(s)) < 0) goto finish;

  printf("configuration: %s\n", s->line);
  sd_notifyf(0, "READY=1\nSTATUS=%s", s->line);
  r = sd_event_loop(event);

finish:
  sd_event_unref(event);
  return r;
}

int main(int argc, char** argv) {
  struct service s = {.file = argv[1]};
  if (argc != 2) {
    fprintf(stderr, "usage: %s CONFIGURATION\n", argv[0]);
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  const int r = run(&s);
  if (r < 0) fprintf(stderr, SD_ERR "%s: %s\n", s.file, strerror(-r));
  return r < 0 ? EXIT_FAILURE : r;
}
