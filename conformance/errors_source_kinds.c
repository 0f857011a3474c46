// SPDX-License-Identifier: MIT
//
// The calls that belong to one kind of source: what the other kinds answer, and which error wins, in each state of the
// loop.
//
// The table is in errors_table_kinds.h; how it is run, and the letters, in errors_rows.h.
#include "errors_rows.h"
#include "errors_table_kinds.h"

KIND_CALLS(DEFINE_SOURCE_CALL)
KIND_CALLS(DEFINE_SOURCE_ROW)

int main(void) {
  const struct CMUnitTest tests[] = {KIND_CALLS(SOURCE_ROW_TEST)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
