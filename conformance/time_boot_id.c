// SPDX-License-Identifier: MIT
//
// Timers where the boot ID can't be read, as in a container that hides it: the spot that all processes of a machine
// share is not known then, and must not be waited for either.
//
// /dev/null is put over the file in a mount namespace of a forked process; where that is not allowed the program is
// skipped. The wake-up is read off the timerfd (time_windows.h), so nothing is waited for but timers that elapse.
#include <sched.h>
#include <sys/mount.h>

#include "time_windows.h"

static const char kBootId[] = "/proc/sys/kernel/random/boot_id";

// 0, or why not, as -errno.
static int hide_the_boot_id(void) {
  char text[2];
  if (unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) return -errno;
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) return -errno;
  if (mount("/dev/null", kBootId, NULL, MS_BIND, NULL) < 0) return -errno;
  const int fd = open(kBootId, O_RDONLY | O_CLOEXEC);
  const ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text));
  if (fd >= 0) close(fd);
  return n > 0 ? -EEXIST : 0;
}

static int try_to_hide(void* context) {
  (void)context;
  return hide_the_boot_id();
}

static int wakeups_in_their_windows(void* context) {
  (void)context;
  static const uint64_t kAccuracies[] = {1, 0, kSecond, 10 * kSecond, kMinute, 10 * kMinute};
  int count = 0;
  if (hide_the_boot_id() < 0) return -EPERM;
  for (size_t i = 0; i < lengthof(kAccuracies); i++) {
    sd_event* loop = make_loop();
    sd_event_source* timer = NULL;
    const uint64_t time = clock_usec(CLOCK_MONOTONIC) + 3600ull * kSecond;
    const uint64_t end = time + (kAccuracies[i] ? kAccuracies[i] : kQuarter);
    assert_result(sd_event_add_time(loop, &timer, CLOCK_MONOTONIC, time, kAccuracies[i], on_time, NULL), 0);
    assert_result(sd_event_prepare(loop), 0);
    const struct Range wakeup = programmed_wakeup(CLOCK_MONOTONIC);
    count += wakeup.to >= time && wakeup.from <= end;
    sd_event_source_unref(timer);
    sd_event_unref(loop);
  }
  return count == lengthof(kAccuracies) ? 0 : count + 1;
}

static void a_wakeup_lies_in_its_window_all_the_same(void** state) {
  (void)state;
  assert_result(in_child(wakeups_in_their_windows, NULL), 0);
}

static int timers_that_fire(void* context) {
  (void)context;
  struct Probe a = {.name = "a"};
  if (hide_the_boot_id() < 0) return -EPERM;
  sd_event* loop = make_loop();
  for (unsigned i = 1; i <= 3; i++) {
    const uint64_t time = clock_usec(CLOCK_MONOTONIC) + 1000;
    assert_result(sd_event_add_time(a.loop = loop, &a.source, CLOCK_MONOTONIC, time, 1000, record_time, &a), 0);
    run_until_calls(&a, i);
    assert_true(clock_usec(CLOCK_MONOTONIC) >= time);
    free_probe(&a);
  }
  sd_event_unref(loop);
  return (int)a.calls;
}

static void timers_fire_and_not_early(void** state) {
  (void)state;
  assert_result(in_child(timers_that_fire, NULL), 3);
}

int main(void) {
  const int r = in_child(try_to_hide, NULL);
  if (r < 0) {
    print_message("skipped: the boot ID can't be hidden here (%s)\n", strerror(-r));
    return 77;
  }
  const struct CMUnitTest tests[] = {
      recorded_test(a_wakeup_lies_in_its_window_all_the_same),
      recorded_test(timers_fire_and_not_early),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
