// SPDX-License-Identifier: MIT
//
// What the kernel tells in text: the files of /proc that the library reads.
//
// Idea: whoever opens a file reads it, and hands what it read over; the parsers ask nothing of the kernel, so that they
// can be given anything. Each knows the one line it is looking for. What the kernel would not have written means that
// the line is not there; it is never half understood.
//
// Nothing here allocates memory.
#pragma once

#include <limits.h>
#include <sys/types.h>

#include <string_view>

#include "src/types.h"

namespace evenkeel {

// An absolute path with no part that is empty, "." or "..", shorter than PATH_MAX; it may end in a slash.
bool is_normalized(std::string_view path);

// Of /proc/self/fdinfo/N: the process that a pidfd stands for. -ENOTTY: it is no pidfd; -ESRCH: the process is gone;
// -EREMOTE: it is of another PID namespace.
int parse_fdinfo(std::string_view text, pid_t* ret);

// Of /proc/sys/kernel/random/boot_id: a number below one minute, in microseconds, that this boot of the machine has for
// itself; 0 for what is no boot ID.
Usec parse_boot_id(std::string_view text);

// Of /proc/self/cgroup, which may be longer than any buffer and so comes in pieces: the line "0::PATH", which names our
// cgroup in the one hierarchy of version 2.
class CgroupPath {
 public:
  // More of the text; true when no more is needed.
  bool take(std::string_view piece);
  // Normalized, and empty where there is no such line. After the last piece.
  std::string_view path() const;

 private:
  static constexpr std::string_view kPrefix = "0::";

  void take(char c);

  size_t column_ = 0;
  size_t length_ = 0;
  bool ours_ = true;
  bool complete_ = false;
  char path_[PATH_MAX];
};

}  // namespace evenkeel
