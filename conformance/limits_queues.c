// SPDX-License-Identifier: MIT
//
// The kernel's queues, filled to their ends: of real-time signals, of inotify events.
//
// What was queued is delivered in its order and nothing of it twice; what had no room is told: to the sender of a
// signal, and by IN_Q_OVERFLOW to every inotify source of the queue that is ON. How long a queue is, the system says:
// of signals this process takes a limit of its own, so that others on the machine do not notice; where that of inotify
// is too long, the test is skipped.
#include <sys/mman.h>
#include <sys/resource.h>

#include "loop_recorder.h"

// ---- signals ------------------------------------------------------------------------------------------------------

enum { kMostSignals = 20000 };

struct Queue {
  int next, wrong;
};

static int expect_next(sd_event_source* s, const struct signalfd_siginfo* si, void* userdata) {
  struct Queue* queue = userdata;
  (void)s;
  queue->wrong += si->ssi_int != queue->next;
  queue->next++;
  return 0;
}

// The number of signals that were queued when the limit was reached; in a process of its own, as limits are not raised
// again by everybody.
static int storm(void* context) {
  int* const both = context;
  const int first = SIGRTMIN + 3, second = SIGRTMIN + 4;
  struct rlimit limit;
  struct Queue queues[2] = {{0}};
  sd_event* loop = make_loop();
  if (getrlimit(RLIMIT_SIGPENDING, &limit) < 0) return -errno;
  if (limit.rlim_cur > kMostSignals) limit.rlim_cur = kMostSignals;
  if (setrlimit(RLIMIT_SIGPENDING, &limit) < 0) return -errno;
  set_blocked(first, true);
  set_blocked(second, true);
  sd_event_source *a = NULL, *b = NULL;
  if (sd_event_add_signal(loop, &a, first, expect_next, &queues[0]) < 0) return -EIO;
  if (*both && sd_event_add_signal(loop, &b, second, expect_next, &queues[1]) < 0) return -EIO;
  int n = 0;
  while (sigqueue(getpid(), *both && n % 2 ? second : first, (union sigval){.sival_int = *both ? n / 2 : n}) == 0) n++;
  if (errno != EAGAIN) return -errno;
  int r, left = n;
  while ((r = sd_event_run(loop, 0)) > 0) left--;
  if (r < 0 || left != 0 || queues[0].wrong || queues[1].wrong || queues[0].next + queues[1].next != n) return -EBADMSG;
  // There is room again.
  if (sigqueue(getpid(), first, (union sigval){.sival_int = queues[0].next}) < 0) return -errno;
  if (sd_event_run(loop, 0) != 1 || queues[0].wrong) return -EBADMSG;
  sd_event_source_unref(a);
  sd_event_source_unref(b);
  sd_event_unref(loop);
  return n;
}

static void check_storm(int both) {
  const int n = in_child(storm, &both);
  if (n < 0 || n >= kDied) fail_msg("%s", result_name(n));
  if (n < 100) {
    print_message("others have queued signals up to the limit of this process\n");
    skip();
  }
}

static void real_time_signals_up_to_the_limit_are_delivered_in_their_order(void** state) {
  (void)state;
  check_storm(false);
}

static void two_real_time_signals_up_to_the_limit_keep_an_order_each(void** state) {
  (void)state;
  check_storm(true);
}

// ---- inotify ------------------------------------------------------------------------------------------------------

struct Overflow {
  unsigned events, overflows;
};

static int count_overflows(sd_event_source* s, const struct inotify_event* event, void* userdata) {
  struct Overflow* overflow = userdata;
  (void)s;
  overflow->events++;
  overflow->overflows += (event->mask & IN_Q_OVERFLOW) != 0;
  return 0;
}

static void an_overflow_is_told_to_every_source_of_its_queue_that_is_on_and_to_no_other(void** state) {
  (void)state;
  unsigned limit = 0;
  FILE* file = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
  if (!file || fscanf(file, "%u", &limit) != 1) fail();
  fclose(file);
  if (limit > 20000) {
    print_message("a queue of %u events takes too long to fill\n", limit);
    skip();
  }
  enum { kOne, kOther, kQuiet, kOff, kElsewhere, kSources };
  sd_event* loop = make_loop();
  sd_event_source* s[kSources] = {NULL};
  struct Overflow seen[kSources] = {{0}};
  int files[kSources];
  for (int i = 0; i < kSources; i++) {
    assert_true((files[i] = memfd_create("watched", MFD_CLOEXEC)) >= 0);
    assert_result(sd_event_add_inotify_fd(loop, &s[i], files[i], IN_ATTRIB, count_overflows, &seen[i]), 0);
  }
  assert_result(sd_event_source_set_priority(s[kElsewhere], 1), 0);  // A queue of its own.
  assert_result(sd_event_source_set_enabled(s[kOff], SD_EVENT_OFF), 0);
  iterate_times(loop, 1);
  // By turns: the kernel merges equals that follow each other.
  for (unsigned i = 0; i < limit + 50; i++) assert_int_equal(fchmod(files[i % 2 ? kOther : kOne], 0600), 0);
  assert_int_equal(fchmod(files[kElsewhere], 0400), 0);
  iterate_until_idle(loop);
  assert_int_equal(seen[kOne].overflows + seen[kOther].overflows, 2);
  assert_int_equal(seen[kOne].events + seen[kOther].events, limit + 2);
  assert_int_equal(seen[kQuiet].overflows, 1);
  assert_int_equal(seen[kQuiet].events, 1);
  assert_int_equal(seen[kOff].events, 0);
  assert_int_equal(seen[kElsewhere].overflows, 0);
  assert_int_equal(seen[kElsewhere].events, 1);
  assert_int_equal(fchmod(files[kQuiet], 0400), 0);
  iterate_until_idle(loop);
  assert_int_equal(seen[kQuiet].events, 2);
  for (int i = 0; i < kSources; i++) {
    sd_event_source_unref(s[i]);
    close(files[i]);
  }
  sd_event_unref(loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      recorded_test(real_time_signals_up_to_the_limit_are_delivered_in_their_order),
      recorded_test(two_real_time_signals_up_to_the_limit_keep_an_order_each),
      recorded_test(an_overflow_is_told_to_every_source_of_its_queue_that_is_on_and_to_no_other),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
