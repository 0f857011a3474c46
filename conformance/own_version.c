// SPDX-License-Identifier: MIT
//
// evenkeel_version: which release is at hand. Runs on ours alone, as the reference has no such function.
#include <evenkeel/evenkeel.h>

#include "harness.h"

static void the_version_is_three_numbers_and_stays(void** state) {
  (void)state;
  unsigned part[3] = {0};
  int length = 0;
  const char* version = evenkeel_version();
  assert_non_null(version);
  assert_int_equal(sscanf(version, "%u.%u.%u%n", &part[0], &part[1], &part[2], &length), 3);
  assert_int_equal(version[length], '\0');
  assert_ptr_equal(evenkeel_version(), version);
}

int main(void) {
  const struct CMUnitTest tests[] = {clean_test(the_version_is_three_numbers_and_stays)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
