// SPDX-License-Identifier: MIT
//
// The calls that all kinds of sources share, with sources of memory, CPU and IO pressure among the kinds; and
// leave_ratelimit. Not for the reference 252, which has none of them.
//
// The tables of the calls of 252 are run as they are: a pressure source answers as an IO source does. Words of eleven
// letters say what memory, CPU and IO pressure answer as well. See errors_rows.h.
#define KIT_HAS_PRESSURE
#define PRESSURE_LIKE kIo

#include "errors_rows.h"
#include "errors_table_common.h"

// clang-format off
#define NEWER_CALLS(X)                                                                                                \
  X(leave_ratelimit, sd_event_source_leave_ratelimit(s), "...D..DD...", "SSSDSSDDSSS", "CCCDCCDDCCC", "SSSDSSDDSSS")  \
  X(leave_ratelimit_of_one, (sd_event_source_set_ratelimit(s, 5, 5), sd_event_source_leave_ratelimit(s)),             \
    "...D..DD...", "SSSDSSDDSSS", "CCCDCCDDCCC", "SSSDSSDDSSS")
// clang-format on

#define CALLS(X) COMMON_CALLS(X) NEWER_CALLS(X)

CALLS(DEFINE_SOURCE_CALL)
CALLS(DEFINE_SOURCE_ROW)

int main(void) {
  const struct CMUnitTest tests[] = {CALLS(SOURCE_ROW_TEST)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
