// SPDX-License-Identifier: MIT
//
// The work of foreign_work.h: the callbacks of the inner loop, and what the outer one calls.
#include "foreign_work.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void look_whether_done(struct Work* w) {
  w->done = w->rounds == kRounds && w->deadlines == kDeadlines && w->ticks == kTicks && w->inner_signals == kSignals &&
            w->outer_signals == kSignals && w->child_ended;
}

static unsigned receive(int fd) {
  unsigned number;
  EXPECT(recv(fd, &number, sizeof(number), 0) == sizeof(number));
  return number;
}

static void send_number(int fd, unsigned number) {
  EXPECT(send(fd, &number, sizeof(number), MSG_NOSIGNAL) == sizeof(number));
}

static int inner_readable(sd_event_source* source, int fd, uint32_t revents, void* userdata) {
  (void)source;
  (void)userdata;
  EXPECT(revents == EPOLLIN);
  send_number(fd, receive(fd) + 1);
  return 0;
}

void outer_readable(struct Work* w) {
  const unsigned number = receive(w->outer_fd);
  EXPECT(number == 2 * w->rounds + 1);
  if (++w->rounds < kRounds) send_number(w->outer_fd, 2 * w->rounds);
  look_whether_done(w);
}

static int inner_deadline(sd_event_source* source, uint64_t usec, void* userdata) {
  struct Work* w = userdata;
  (void)source;
  (void)usec;
  ++w->deadlines;
  look_whether_done(w);
  return 0;
}

bool outer_tick(struct Work* w) {
  int enabled;
  MUST(sd_event_source_get_enabled(w->deadline, &enabled));
  if (enabled == SD_EVENT_OFF) {
    if (w->deadlines == kDeadlines) return false;
    MUST(sd_event_source_set_time_relative(w->deadline, 100));
    MUST(sd_event_source_set_enabled(w->deadline, SD_EVENT_ONESHOT));
  }
  return true;
}

static int inner_signal(sd_event_source* source, const struct signalfd_siginfo* info, void* userdata) {
  struct Work* w = userdata;
  (void)source;
  EXPECT(info->ssi_signo == SIGUSR2 && info->ssi_pid == (uint32_t)getpid());
  ++w->inner_signals;
  return kill(getpid(), SIGUSR1);
}

void outer_signal(struct Work* w) {
  if (++w->outer_signals < kSignals) kill(getpid(), SIGUSR2);
  look_whether_done(w);
}

static int inner_child(sd_event_source* source, const siginfo_t* info, void* userdata) {
  struct Work* w = userdata;
  (void)source;
  EXPECT(info->si_code == CLD_EXITED && info->si_status == 3);
  w->child_ended = true;
  look_whether_done(w);
  return 0;
}

static int inner_tick(sd_event_source* source, uint64_t usec, void* userdata) {
  struct Work* w = userdata;
  (void)usec;
  if (++w->ticks < kTicks) {
    MUST(sd_event_source_set_time_relative(source, kTickMsec * 1000));
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
  }
  const pid_t pid = MUST(fork());
  if (pid == 0) _exit(3);
  look_whether_done(w);
  return sd_event_add_child(w->event, NULL, pid, WEXITED, inner_child, w);
}

void work_begin(struct Work* w, sd_event* event) {
  int fds[2];
  sd_event_source* io = NULL;
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGUSR2);
  sigaddset(&mask, SIGCHLD);
  sigprocmask(SIG_BLOCK, &mask, NULL);
  EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
  *w = (struct Work){.event = sd_event_ref(event), .inner_fd = fds[0], .outer_fd = fds[1]};
  MUST(sd_event_add_io(event, &io, w->inner_fd, EPOLLIN, inner_readable, w));
  // The descriptor goes with the source, and the source with the loop.
  MUST(sd_event_source_set_io_fd_own(io, 1));
  MUST(sd_event_source_set_floating(io, 1));
  sd_event_source_unref(io);
  MUST(sd_event_add_signal(event, NULL, SIGUSR2, inner_signal, w));
  MUST(sd_event_add_time_relative(event, &w->deadline, CLOCK_MONOTONIC, 0, 1, inner_deadline, w));
  MUST(sd_event_source_set_enabled(w->deadline, SD_EVENT_OFF));
  MUST(sd_event_add_time_relative(event, NULL, CLOCK_MONOTONIC, kTickMsec * 1000, 1, inner_tick, w));
  send_number(w->outer_fd, 0);
  kill(getpid(), SIGUSR2);
}

void work_end(struct Work* w) {
  EXPECT(w->done);
  printf("to and fro: %u numbers, %u deadlines, %u signals; %u ticks, and a child\n", w->rounds, w->deadlines,
         w->outer_signals, w->ticks);
  sd_event_source_unref(w->deadline);
  sd_event_unref(w->event);
  close(w->outer_fd);
}

void inner_ended(int result, void* userdata) {
  (void)userdata;
  MUST(result);
  const bool inner_loop_goes_on = false;
  EXPECT(inner_loop_goes_on);
}
