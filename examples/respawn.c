/* SPDX-License-Identifier: MIT
 *
 * respawn [-n STARTS] [-d MILLISECONDS] COMMAND [ARGUMENT...]: runs a command, and runs it again when it fails.
 *
 * A small supervisor, to show child, timer, signal and exit sources working together:
 *   - the child source says how the command ended; a success ends the loop, a failure arms the timer;
 *   - the timer starts the command anew, until it has been started STARTS times (3);
 *   - SIGTERM and SIGINT have the better priority: whatever else is pending, a request to stop is seen first. The
 *     command is asked to end (SIGTERM), and the loop ends when it has ended;
 *   - the exit source has the last word, whichever way the loop came to its end.
 *
 * Invariants: at most one command runs at a time; `child` is its source, and owns the process: should the loop be freed
 * early, the command is killed and reaped with it. All signals that are watched are blocked before the first source.
 * Uses nothing but the API of sd-event: builds against evenkeel and against libsystemd alike.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>
#include <unistd.h>

struct supervisor {
  char** command;
  unsigned starts, max_starts;
  uint64_t delay_usec;
  int stopping;
  sd_event* event;
  sd_event_source* child;
  sd_event_source* timer;
};

static int on_child(sd_event_source* source, const siginfo_t* info, void* userdata);

static int start_command(struct supervisor* s) {
  const pid_t pid = fork();
  if (pid < 0) return -errno;
  if (pid == 0) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execvp(s->command[0], s->command);
    _exit(127);
  }

  s->starts++;
  printf("start %u\n", s->starts);
  int r = sd_event_add_child(s->event, &s->child, pid, WEXITED, on_child, s);
  if (r < 0) return r;
  return sd_event_source_set_child_process_own(s->child, 1);
}

static int on_child(sd_event_source* source, const siginfo_t* info, void* userdata) {
  struct supervisor* s = userdata;
  (void)source;
  /* Ours was the only reference: the process is reaped after this callback all the same. */
  s->child = sd_event_source_unref(s->child);

  const int succeeded = info->si_code == CLD_EXITED && info->si_status == 0;
  printf(info->si_code == CLD_EXITED ? "exited with %d\n" : "killed by signal %d\n", info->si_status);
  if (succeeded || s->stopping) return sd_event_exit(s->event, EXIT_SUCCESS);
  if (s->starts >= s->max_starts) return sd_event_exit(s->event, EXIT_FAILURE);

  int r = sd_event_source_set_time_relative(s->timer, s->delay_usec);
  if (r < 0) return r;
  return sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source* source, uint64_t usec, void* userdata) {
  (void)source, (void)usec;
  return start_command(userdata);
}

static int on_signal(sd_event_source* source, const struct signalfd_siginfo* info, void* userdata) {
  struct supervisor* s = userdata;
  (void)source, (void)info;
  printf("asked to stop\n");
  s->stopping = 1;
  if (!s->child) return sd_event_exit(s->event, EXIT_SUCCESS);
  /* SIGTERM for SIGINT too: what a shell starts in the background ignores SIGINT, and so would the command. */
  return sd_event_source_send_child_signal(s->child, SIGTERM, NULL, 0);
}

static int on_exit_requested(sd_event_source* source, void* userdata) {
  const struct supervisor* s = userdata;
  (void)source;
  printf("done after %u start%s\n", s->starts, s->starts == 1 ? "" : "s");
  return 0;
}

static int watch_signal(struct supervisor* s, int number) {
  sd_event_source* source = NULL;
  int r = sd_event_add_signal(s->event, &source, number, on_signal, s);
  if (r < 0) return r;
  r = sd_event_source_set_priority(source, SD_EVENT_PRIORITY_IMPORTANT);
  if (r >= 0) r = sd_event_source_set_floating(source, 1);
  sd_event_source_unref(source);
  return r;
}

static int supervise(struct supervisor* s) {
  sigset_t watched;
  sigemptyset(&watched);
  sigaddset(&watched, SIGCHLD);
  sigaddset(&watched, SIGTERM);
  sigaddset(&watched, SIGINT);
  if (sigprocmask(SIG_BLOCK, &watched, NULL) < 0) return -errno;

  int r = sd_event_default(&s->event);
  if (r < 0) return r;
  if ((r = watch_signal(s, SIGTERM)) < 0 || (r = watch_signal(s, SIGINT)) < 0) return r;
  if ((r = sd_event_add_time(s->event, &s->timer, CLOCK_MONOTONIC, 0, 1, on_timer, s)) < 0) return r;
  if ((r = sd_event_source_set_exit_on_failure(s->timer, 1)) < 0) return r;
  if ((r = sd_event_source_set_enabled(s->timer, SD_EVENT_OFF)) < 0) return r;
  if ((r = sd_event_add_exit(s->event, NULL, on_exit_requested, s)) < 0) return r;
  if ((r = start_command(s)) < 0) return r;
  return sd_event_loop(s->event);
}

int main(int argc, char** argv) {
  struct supervisor s = {.max_starts = 3, .delay_usec = 100000};
  int option;
  while ((option = getopt(argc, argv, "+n:d:")) != -1) {
    if (option == 'n') {
      s.max_starts = (unsigned)strtoul(optarg, NULL, 10);
    } else if (option == 'd') {
      s.delay_usec = strtoull(optarg, NULL, 10) * 1000;
    } else {
      return 2;
    }
  }
  if (optind >= argc) {
    fprintf(stderr, "usage: %s [-n STARTS] [-d MILLISECONDS] COMMAND [ARGUMENT...]\n", argv[0]);
    return 2;
  }
  s.command = argv + optind;
  setvbuf(stdout, NULL, _IOLBF, 0);

  const int r = supervise(&s);
  sd_event_source_unref(s.child);
  sd_event_source_unref(s.timer);
  sd_event_unref(s.event);
  if (r < 0) fprintf(stderr, "%s: %s\n", argv[0], strerror(-r));
  return r < 0 ? EXIT_FAILURE : r;
}
