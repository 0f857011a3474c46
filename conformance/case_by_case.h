// SPDX-License-Identifier: MIT
//
// Each case of a program in a process of its own, for tools/conformance-report.
//
// With $EVENKEEL_CASE_BY_CASE set, a program forks for each of its cases, and tells on standard error which one comes.
// A forked process binds functions anew, as the program is linked lazily and calls nothing of the library before: so
// the dynamic linker's log (LD_DEBUG=bindings, on standard error as well) tells which functions a case calls.
//
// cmocka.h is included before.
#ifndef EVENKEEL_CONFORMANCE_CASE_BY_CASE_H
#define EVENKEEL_CONFORMANCE_CASE_BY_CASE_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

// The number of cases that failed.
static inline int run_cases(const char* group, const struct CMUnitTest* tests, size_t n, CMFixtureFunction setup,
                            CMFixtureFunction teardown) {
  if (!getenv("EVENKEEL_CASE_BY_CASE")) return _cmocka_run_group_tests(group, tests, n, setup, teardown);
  int failed = 0;
  for (size_t i = 0; i < n; i++) {
    (void)fflush(stdout);
    dprintf(STDERR_FILENO, "\nevenkeel-case: %s\n", tests[i].name);
    int status = -1;
    const pid_t pid = fork();
    if (pid == 0) exit(_cmocka_run_group_tests(group, &tests[i], 1, setup, teardown));
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) failed++;
  }
  return failed;
}

#undef cmocka_run_group_tests
#define cmocka_run_group_tests(tests, setup, teardown) \
  run_cases(#tests, tests, sizeof(tests) / sizeof((tests)[0]), setup, teardown)

#endif
