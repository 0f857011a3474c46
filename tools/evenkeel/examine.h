// SPDX-License-Identifier: MIT
//
// Can a program's sd-event be replaced by a preloaded library? What speaks against it, and what for it, in sentences.
//
// Invariants:
//  1. The answer is about a start by the caller, now, with this environment: a set-user-ID program of one's own is no
//     obstacle, nor is one on a file system that ignores such bits.
//  2. Everything that was found is told, not only the first thing.
//  3. What files cannot tell is said to be unknown: a library that is loaded at run time, and, in a library that was
//     bound to itself when it was linked, whether it calls what it defines.
#ifndef EVENKEEL_TOOLS_EVENKEEL_EXAMINE_H
#define EVENKEEL_TOOLS_EVENKEEL_EXAMINE_H

#include <string>
#include <vector>

namespace evenkeel_tool {

enum class Verdict { kServed, kUnknown, kRefused };

struct Report {
  Verdict verdict = Verdict::kServed;  // the worst of what was found
  std::vector<std::string> findings;
  std::vector<std::string> calls;  // who calls how much of what is served
  std::vector<std::string> files;  // what was looked into: the program and all that it is linked to

  void add(Verdict each, std::string finding);
};

// Whether it can be preloaded for sd-event at all.
bool has_event_loop(const std::string& library);

// `path` as find_program gives it; the library is one that has an event loop.
Report examine(const std::string& path, const std::string& library);

}  // namespace evenkeel_tool

#endif
