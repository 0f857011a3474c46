// SPDX-License-Identifier: MIT
//
// The calls that all kinds of sources share, with sources of memory, CPU and IO pressure among the kinds; and
// leave_ratelimit.
//
// The tables of the calls of 252 are run as they are: a pressure source answers as an IO source does. Words of eleven
// letters say what memory, CPU and IO pressure answer as well. See errors_rows.h.
#define KIT_HAS_PRESSURE
#define PRESSURE_LIKE kIo

#include "errors_rows.h"
#include "errors_table_common.h"
#include "newer.h"

// clang-format off
#define NEWER_CALLS(X)                                                                                                \
  X(leave_ratelimit, sd_event_source_leave_ratelimit(s), "...D..DD...", "SSSDSSDDSSS", "CCCDCCDDCCC", "SSSDSSDDSSS")  \
  X(leave_ratelimit_of_one, (sd_event_source_set_ratelimit(s, 5, 5), sd_event_source_leave_ratelimit(s)),             \
    "...D..DD...", "SSSDSSDDSSS", "CCCDCCDDCCC", "SSSDSSDDSSS")
// clang-format on

COMMON_CALLS(DEFINE_SOURCE_CALL)
COMMON_CALLS(DEFINE_SOURCE_ROW)
NEWER_CALLS(DEFINE_SOURCE_CALL)
NEWER_CALLS(DEFINE_SOURCE_ROW)

// 262 looks at the limit alone.
static void leave_ratelimit_asks_as_documented(void** context) {
  static const char nothing[] = "...........";
  const struct SourceRow* row = *context;
  const struct SourceRow undocumented = {row->call, {nothing, nothing, nothing, nothing}};
  if (as_reference(kLeaveLimit)) row = &undocumented;
  row_is_as_expected((void*[]){(void*)row});
}

#define NEWER_TEST(name, ...)                                                                                 \
  {#name "_answers_each_kind_in_each_state_here_and_forked", leave_ratelimit_asks_as_documented, begin_clean, \
   end_clean, (void*)&name##_expectation},

int main(void) {
  exit_77_on_older();
  const struct CMUnitTest tests[] = {COMMON_CALLS(SOURCE_ROW_TEST) NEWER_CALLS(NEWER_TEST)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
