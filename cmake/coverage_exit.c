// SPDX-License-Identifier: MIT
//
// For the coverage build alone: `_exit` that writes the counts first.
//
// Idea: gcov writes its counts when a process ends by `exit`, and many tests have their say in a forked process that
// leaves by `_exit`. The counts are those of the object that this file is linked into, as each has a copy of libgcov of
// its own: the library, which exports this `_exit` to the programs linked to it (cmake/coverage_symbols.tsv), and the
// program of the unit tests. A process that has no descriptor left, or may not write the files any more, loses its
// counts; gcov says so on stderr.
#include <sys/syscall.h>
#include <unistd.h>

void __gcov_dump(void);

__attribute__((visibility("default"), noreturn)) void _exit(int status) {
  __gcov_dump();
  for (;;) (void)syscall(SYS_exit_group, status);
}
