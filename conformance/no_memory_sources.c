// SPDX-License-Identifier: MIT
//
// Each call on a source, of each kind, where memory is short at any of its allocations: -ENOMEM, and nothing is
// changed.
//
// The rows are those of the tables of errors, so that a function which has a row there has one here; how they are run,
// no_memory_rows.h says.
#include "no_memory_rows.h"

// What they are called on has been included before.
#include "errors_table_child.h"
#include "errors_table_common.h"
#include "errors_table_kinds.h"

COMMON_CALLS(DEFINE_SOURCE_CALL)
KIND_CALLS(DEFINE_SOURCE_CALL)
CHILD_CALLS(DEFINE_SOURCE_CALL)

static const struct MemoryRow common_rows[] = {COMMON_CALLS(MEMORY_ROW)};
static const struct MemoryRow kind_rows[] = {KIND_CALLS(MEMORY_ROW)};
static const struct MemoryRow child_rows[] = {CHILD_CALLS(MEMORY_ROW)};

static void calls_that_all_kinds_share_are_enomem_and_change_nothing(void** state) {
  (void)state;
  assert_true(rows_are_enomem_without_memory(common_rows, lengthof(common_rows)) > 20);
}

static void calls_of_one_kind_are_enomem_and_change_nothing(void** state) {
  (void)state;
  (void)rows_are_enomem_without_memory(kind_rows, lengthof(kind_rows));
}

static void calls_of_child_sources_are_enomem_and_change_nothing(void** state) {
  (void)state;
  (void)rows_are_enomem_without_memory(child_rows, lengthof(child_rows));
}

int main(void) {
  exit_77_with_another_allocator();
  exit_77_without_pidfds();
  const struct CMUnitTest tests[] = {
      clean_test(calls_that_all_kinds_share_are_enomem_and_change_nothing),
      clean_test(calls_of_one_kind_are_enomem_and_change_nothing),
      clean_test(calls_of_child_sources_are_enomem_and_change_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
