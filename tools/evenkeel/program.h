// SPDX-License-Identifier: MIT
//
// From what a user types to the file that the kernel will load: $PATH, scripts, env(1).
//
// Invariants:
//  1. Files are found as execvp(3) finds them, and a file without a format is run by /bin/sh as execvp does.
//  2. A script is followed to its interpreter, which is what gets the library; through `env PROGRAM` too, as most
//     scripts are written so.
#ifndef EVENKEEL_TOOLS_EVENKEEL_PROGRAM_H
#define EVENKEEL_TOOLS_EVENKEEL_PROGRAM_H

#include <string>
#include <vector>

namespace evenkeel_tool {

struct Found {
  std::string path;  // empty: not found
  int error = 0;     // why not: ENOENT, or EACCES when there is something that may not be run
};

Found find_program(const std::string& name);

struct Resolved {
  std::string path;                  // of the program that is no script; empty if that was not found
  std::vector<std::string> scripts;  // what led to it
  std::string missing;               // what was not found
  int error = 0;
  bool environment_cleared = false;  // by `env -i`: nothing that is set reaches the program
};

// PATH must exist and be executable.
Resolved resolve_scripts(const std::string& path);

}  // namespace evenkeel_tool

#endif
