// SPDX-License-Identifier: MIT
//
// Threads that are cancelled while they wait in a loop.
//
// Idea: a thread goes round in sd_event_run(), in wait after prepare, or in sd_event_loop(), with a time-out or without
// one, and gets events while it is cancelled, at whatever moment. It has to end by that, and what was sent has come or
// is still there: the main thread takes the loop over and hears the rest.
//
// Invariants: what a cancelled call held of the loop is not given back, so all this happens in a process of its own.
// AddressSanitizer takes the end of a cancelled thread for an overflow of its stack, and is left out.
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "soak/soak.h"

#ifdef __SANITIZE_ADDRESS__
enum { kCanBeCancelled = false };
#else
enum { kCanBeCancelled = true };
#endif

struct Waiter {
  pthread_t thread;
  sd_event* loop;
  sd_event_source* source;
  int fd;
  unsigned way;
  uint64_t time_out, received;
};

static int on_counter(sd_event_source* s, int fd, uint32_t revents, void* userdata) {
  struct Waiter* w = userdata;
  eventfd_t value = 0;
  (void)s;
  // The thread may be cancelled in `read`, and then nothing was read.
  if (revents != EPOLLIN || eventfd_read(fd, &value) != 0) _exit(1);
  w->received += value;
  return 0;
}

static void* wait_for_ever(void* userdata) {
  struct Waiter* w = userdata;
  for (;;) {
    int result = 0;
    if (w->way == 0) result = sd_event_run(w->loop, w->time_out);
    if (w->way == 1) result = sd_event_loop(w->loop);
    if (w->way == 2) {
      result = sd_event_prepare(w->loop);
      if (result == 0) result = sd_event_wait(w->loop, w->time_out);
      if (result > 0) result = sd_event_dispatch(w->loop);
    }
    if (result < 0) _exit(2);
  }
}

// In whatever state the thread has left it.
static int take_over(sd_event* loop) {
  const int state = sd_event_get_state(loop);
  if (state == SD_EVENT_ARMED) return sd_event_wait(loop, 0);
  if (state == SD_EVENT_PENDING) return sd_event_dispatch(loop);
  return state == SD_EVENT_INITIAL ? sd_event_run(loop, 0) : -EBUSY;
}

static int cancel_one(uint64_t* luck) {
  static const uint64_t time_outs[] = {UINT64_MAX, 3600000001u, 3600000000u, 1000, 100};
  struct Waiter w = {.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .way = below(luck, 3)};
  void* result = NULL;
  struct timespec limit;
  w.time_out = time_outs[below(luck, lengthof(time_outs))];
  if (sd_event_new(&w.loop) < 0 || sd_event_add_io(w.loop, &w.source, w.fd, EPOLLIN, on_counter, &w) < 0) return 3;
  start_thread(&w.thread, wait_for_ever, &w);
  const unsigned sent = below(luck, 20);
  for (unsigned i = 0; i < sent; i++) {
    if (eventfd_write(w.fd, 1) != 0) return 4;
    if (one_in(luck, 4)) (void)poll(NULL, 0, 1);
  }
  if (pthread_cancel(w.thread) != 0) return 5;
  (void)clock_gettime(CLOCK_REALTIME, &limit);
  limit.tv_sec += 60;
  if (pthread_timedjoin_np(w.thread, &result, &limit) != 0) return 6;
  if (result != PTHREAD_CANCELED) return 7;
  for (unsigned turns = 0; w.received != sent; turns++) {
    // Within the callback: nobody can go on, and nothing says that one could.
    if (sd_event_get_state(w.loop) == SD_EVENT_RUNNING) return 0;
    if (turns == 100 || take_over(w.loop) < 0) return 8;
  }
  return 0;
}

void cancel_threads(uint64_t* luck) {
  if (!kCanBeCancelled) return;
  const pid_t pid = fork();
  int status = 0;
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (unsigned n = 1 + below(luck, 4); n > 0; n--) {
      const int r = cancel_one(luck);
      if (r != 0) _exit(r);
    }
    _exit(0);
  }
  if (pid < 0) return;
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) fault(NULL, "the process that cancels threads is gone");
  if (status != 0)
    fault(NULL, "the process that cancels threads ended with %x%s", (unsigned)status,
          status == 6 << 8   ? ": a thread that waits could not be cancelled"
          : status == 8 << 8 ? ": a loop whose thread was cancelled lost an event"
                             : "");
  world.threads++;
}
