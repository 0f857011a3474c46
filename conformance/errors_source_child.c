// SPDX-License-Identifier: MIT
//
// The calls that belong to child sources: what the other kinds answer, and which error wins, in each state of the loop.
//
// The table is in errors_table_child.h; how it is run, and the letters, in errors_rows.h.
#include "errors_rows.h"
#include "errors_table_child.h"

CHILD_CALLS(DEFINE_SOURCE_CALL)
CHILD_CALLS(DEFINE_SOURCE_ROW)

int main(void) {
  exit_77_without_pidfds();
  const struct CMUnitTest tests[] = {CHILD_CALLS(SOURCE_ROW_TEST)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
