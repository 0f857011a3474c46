// SPDX-License-Identifier: MIT
//
// The constants, types and helpers of sd-event.h have the reference's values: programs have them compiled in.
//
// What can be known when compiling is a static assertion; the cleanup helpers are tried.
// The headers that sd-event.h is known to bring along are relied upon by programs, so they are used here without an
// include of their own: EPOLL*, IN_*, struct signalfd_siginfo, siginfo_t, W*, CLOCK_*, PRIu64.
#define _GNU_SOURCE 1
#include <systemd/sd-event.h>

#include "harness.h"

#define SAME_TYPE(value, type) _Generic((value), type : 1, default : 0)

_Static_assert(SD_EVENT_OFF == 0 && SD_EVENT_ON == 1 && SD_EVENT_ONESHOT == -1, "enabled states");
_Static_assert(SD_EVENT_INITIAL == 0 && SD_EVENT_ARMED == 1 && SD_EVENT_PENDING == 2 && SD_EVENT_RUNNING == 3,
               "states");
_Static_assert(SD_EVENT_EXITING == 4 && SD_EVENT_FINISHED == 5 && SD_EVENT_PREPARING == 6, "states");
_Static_assert(SD_EVENT_PRIORITY_IMPORTANT == -100 && SD_EVENT_PRIORITY_NORMAL == 0, "priorities");
_Static_assert(SD_EVENT_PRIORITY_IDLE == 100, "priorities");
_Static_assert(SD_EVENT_SIGNAL_PROCMASK == 1 << 30, "bit 30");
_Static_assert(SAME_TYPE(SD_EVENT_SIGNAL_PROCMASK, int), "an int, so that it can be or-ed to a signal number");
_Static_assert(SAME_TYPE(SD_EVENT_DEFAULT, sd_event*), "a loop");
_Static_assert(SAME_TYPE((sd_event_destroy_t)0, void (*)(void*)), "destroy callback");
_Static_assert(SAME_TYPE((sd_event_handler_t)0, int (*)(sd_event_source*, void*)), "handler");
_Static_assert(SAME_TYPE((sd_event_io_handler_t)0, int (*)(sd_event_source*, int, uint32_t, void*)), "io");
_Static_assert(SAME_TYPE((sd_event_time_handler_t)0, int (*)(sd_event_source*, uint64_t, void*)), "time");
_Static_assert(SAME_TYPE((sd_event_signal_handler_t)0,
                         int (*)(sd_event_source*, const struct signalfd_siginfo*, void*)),
               "signal");
_Static_assert(SAME_TYPE((sd_event_child_handler_t)0, int (*)(sd_event_source*, const siginfo_t*, void*)), "child");
_Static_assert(SAME_TYPE((sd_event_inotify_handler_t)0, int (*)(sd_event_source*, const struct inotify_event*, void*)),
               "inotify");
_Static_assert(EPOLLIN != 0 && IN_CREATE != 0 && WEXITED != 0 && CLOCK_BOOTTIME != 0, "other headers come along");
_Static_assert(sizeof(PRIu64) > 1, "<inttypes.h> comes along");

static void SD_EVENT_DEFAULT_is_the_address_1(void** state) {
  (void)state;
  assert_int_equal((intptr_t)SD_EVENT_DEFAULT, 1);
}

static int destroyed;
static void on_destroy(void* userdata) { (void)userdata, destroyed++; }

static sd_event_source* add_source(sd_event* loop) {
  sd_event_source* s = NULL;
  assert_int_equal(sd_event_add_post(loop, &s, on_event, NULL), 0);
  assert_int_equal(sd_event_source_set_destroy_callback(s, on_destroy), 0);
  return s;
}

static void the_cleanup_helpers_work_as_attributes(void** state) {
  (void)state;
  destroyed = 0;
  {
    __attribute__((cleanup(sd_event_unrefp))) sd_event* loop = make_loop();
    __attribute__((cleanup(sd_event_source_unrefp))) sd_event_source* first = add_source(loop);
    __attribute__((cleanup(sd_event_source_disable_unrefp))) sd_event_source* second = add_source(loop);
    assert_non_null(first);
    assert_non_null(second);
    assert_int_equal(destroyed, 0);
  }
  assert_int_equal(destroyed, 2);
}

static void disable_unrefp_turns_off_what_others_still_hold(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  sd_event_source *s = add_source(loop), *again = sd_event_source_ref(s);
  sd_event_source_unrefp(&again);
  assert_int_equal(sd_event_source_get_enabled(s, NULL), 1);
  again = sd_event_source_ref(s);
  sd_event_source_disable_unrefp(&again);
  assert_int_equal(sd_event_source_get_enabled(s, NULL), 0);
  sd_event_source_unref(s);
  sd_event_unref(loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      clean_test(SD_EVENT_DEFAULT_is_the_address_1),
      clean_test(the_cleanup_helpers_work_as_attributes),
      clean_test(disable_unrefp_turns_off_what_others_still_hold),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
