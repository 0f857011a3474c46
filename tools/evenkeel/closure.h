// SPDX-License-Identifier: MIT
//
// The libraries that a program is linked to, and those that they are linked to, found as the dynamic linker finds them.
//
// The dynamic linker itself could be asked (`ld.so --list`), but it maps the program into its own process at addresses
// that the program chooses, for which reason ldd(1) warns of programs that are not trusted. What is only to be looked
// at is therefore looked for by the rules of ld.so(8): DT_RPATH, $LD_LIBRARY_PATH, DT_RUNPATH, the cache (as `ldconfig
// -p` prints it), the default directories. A test compares the result with the dynamic linker's own.
//
// Invariants:
//  1. The order is that in which symbols are looked up: the program, its libraries, then theirs; each file once.
//  2. What the environment says is taken as it is now: it is what the program will be started with.
//  3. Libraries for special processors (glibc-hwcaps) are not looked for outside of the cache: they are made of the
//     same sources as the plain ones.
#ifndef EVENKEEL_TOOLS_EVENKEEL_CLOSURE_H
#define EVENKEEL_TOOLS_EVENKEEL_CLOSURE_H

#include <string>
#include <vector>

#include "tools/evenkeel/elf_file.h"

namespace evenkeel_tool {

struct Closure {
  std::vector<ElfFile> files;        // the program first
  std::vector<std::string> missing;  // "libfoo.so.1, for /usr/bin/program"
};

Closure find_closure(ElfFile program);

// The parts of a text between separators, as they are; at least one.
std::vector<std::string> split(const std::string& text, char separator);

}  // namespace evenkeel_tool

#endif
