// SPDX-License-Identifier: MIT
//
// The calls that all kinds of sources share: which kinds they accept, and which error wins, in each state of the loop.
//
// The table is in errors_table_common.h; how it is run, and the letters, in errors_rows.h.
#include "errors_rows.h"
#include "errors_table_common.h"

COMMON_CALLS(DEFINE_SOURCE_CALL)
COMMON_CALLS(DEFINE_SOURCE_ROW)

static int get_priority_into_nowhere(sd_event_source* s, struct Kit* kit) {
  return (void)kit, sd_event_source_get_priority(s, NULL);
}

static void get_priority_with_null_out_pointer_is_EINVAL(void** context) {
  (void)context;
  for (int state = 0; state < kStates; state++)
    assert_string_equal(run_row(get_priority_into_nowhere, state).own, differs_text(kNullPriority, "!", "VVVVVVVV"));
}

int main(void) {
  const struct CMUnitTest tests[] = {COMMON_CALLS(SOURCE_ROW_TEST)
                                         clean_test(get_priority_with_null_out_pointer_is_EINVAL)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
