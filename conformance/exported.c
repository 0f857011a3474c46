// SPDX-License-Identifier: MIT
//
// What is newer than the oldest reference: functions of the header that a program may call on any distribution.
//
// A program that was built for libsystemd 261 asks the dynamic linker for them; libsystemd 252 does not have them, 257
// has some, ours all. The programs whose name has "newer" in it show what they do.
#include "harness.h"

static void the_functions_that_came_after_252_are_there(void** state) {
  (void)state;
  static const char* const kUntil257[] = {
      "sd_event_add_memory_pressure",
      "sd_event_source_set_memory_pressure_type",
      "sd_event_source_set_memory_pressure_period",
      "sd_event_trim_memory",
      "sd_event_source_leave_ratelimit",
      "sd_event_source_get_inotify_path",
      "sd_pid_notify_barrier",
      "sd_pid_notifyf_with_fds",
  };
  static const char* const kUntil261[] = {
      "sd_event_set_exit_on_idle",
      "sd_event_get_exit_on_idle",
      "sd_event_add_cpu_pressure",
      "sd_event_source_set_cpu_pressure_type",
      "sd_event_source_set_cpu_pressure_period",
      "sd_event_add_io_pressure",
      "sd_event_source_set_io_pressure_type",
      "sd_event_source_set_io_pressure_period",
  };
  for (size_t i = 0; i < lengthof(kUntil257); i++)
    assert_int_equal(dlsym(RTLD_DEFAULT, kUntil257[i]) != NULL, differs(kNewer, 0, 1));
  for (size_t i = 0; i < lengthof(kUntil261); i++)
    assert_int_equal(dlsym(RTLD_DEFAULT, kUntil261[i]) != NULL, differs(kNewest, 0, 1));
}

int main(void) {
  const struct CMUnitTest tests[] = {clean_test(the_functions_that_came_after_252_are_there)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
