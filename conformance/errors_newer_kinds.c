// SPDX-License-Identifier: MIT
//
// The calls that belong to one kind of source, with sources of memory, CPU and IO pressure among the kinds; and the
// ones that are newer than 252: get_inotify_path, and the settings of pressure sources. Not for the reference 252.
//
// The tables of the calls of 252 are run as they are: a pressure source answers as a post source does, which has no
// calls of its own either. Words of eleven letters say what memory, CPU and IO pressure answer as well (B = -EBUSY).
// The variables rule the kit's pressure sources, so that no setting can be changed. See errors_rows.h.
#define KIT_HAS_PRESSURE
#define PRESSURE_LIKE kPost

#include "errors_rows.h"
#include "errors_table_child.h"
#include "errors_table_kinds.h"
#include "newer.h"

#define SO_SAY(live, forked) "DDDDDDDD" live, "DDDDDDDD" live, "DDDDDDDD" forked, "DDDDDDDD" forked

// clang-format off
// The calls of one resource, and its letters in the words of the three.
#define PRESSURE_CALLS(X, name, set_type, set_period, busy, invalid, range, forked)                                   \
  X(set_##name##_type, set_type(s, "full"), SO_SAY(busy, forked))                                                     \
  X(set_##name##_type_bad, set_type(s, "bad"), SO_SAY(invalid, forked))                                               \
  X(set_##name##_type_null, set_type(s, NULL), SO_SAY(invalid, invalid))                                              \
  X(set_##name##_period, set_period(s, 5, 9), SO_SAY(busy, forked))                                                   \
  X(set_##name##_period_0, set_period(s, 0, 9), SO_SAY(range, forked))                                                \
  X(set_##name##_period_without_end, set_period(s, 5, UINT64_MAX), SO_SAY(range, forked))                             \
  X(set_##name##_period_0_below, set_period(s, 9, 0), SO_SAY(range, forked))                                          \
  X(set_##name##_period_above, set_period(s, 9, 5), SO_SAY(invalid, forked))

#define NEWER_CALLS(X)                                                                                                \
  PRESSURE_CALLS(X, memory, sd_event_source_set_memory_pressure_type, sd_event_source_set_memory_pressure_period,     \
    "BDD", "VDD", "ADD", "CDD")                                                                                       \
  PRESSURE_CALLS(X, cpu, sd_event_source_set_cpu_pressure_type, sd_event_source_set_cpu_pressure_period,              \
    "DBD", "DVD", "DAD", "DCD")                                                                                       \
  PRESSURE_CALLS(X, io, sd_event_source_set_io_pressure_type, sd_event_source_set_io_pressure_period,                 \
    "DDB", "DDV", "DDA", "DDC")                                                                                       \
  X(get_inotify_path, sd_event_source_get_inotify_path(s, &out.text),                                                 \
    "DDDD.DDDDDD", "DDDD.DDDDDD", "DDDDCDDDDDD", "DDDDCDDDDDD")                                                       \
  X(get_inotify_path_null, sd_event_source_get_inotify_path(s, NULL),                                                 \
    "VVVVVVVVVVV", "VVVVVVVVVVV", "VVVVVVVVVVV", "VVVVVVVVVVV")
// clang-format on

#define CALLS(X) KIND_CALLS(X) CHILD_CALLS(X) NEWER_CALLS(X)

CALLS(DEFINE_SOURCE_CALL)
CALLS(DEFINE_SOURCE_ROW)

static void null_sources_are_EINVAL(void** context) {
  (void)context;
  assert_result(sd_event_source_set_memory_pressure_type(NULL, "some"), -EINVAL);
  assert_result(sd_event_source_set_cpu_pressure_type(NULL, "some"), -EINVAL);
  assert_result(sd_event_source_set_io_pressure_type(NULL, "some"), -EINVAL);
  assert_result(sd_event_source_set_memory_pressure_period(NULL, 5, 9), -EINVAL);
  assert_result(sd_event_source_set_cpu_pressure_period(NULL, 5, 9), -EINVAL);
  assert_result(sd_event_source_set_io_pressure_period(NULL, 5, 9), -EINVAL);
  assert_result(sd_event_source_get_inotify_path(NULL, &out.text), -EINVAL);
}

int main(void) {
  exit_77_on_older();
  exit_77_without_pidfds();
  const struct CMUnitTest tests[] = {CALLS(SOURCE_ROW_TEST) clean_test(null_sources_are_EINVAL)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
