// SPDX-License-Identifier: MIT
//
// What a pressure source watches, and what it writes there first.
//
// Idea: the kernel tells of pressure (PSI) by a file that is given its settings by a write, and is ready for EPOLLPRI
// from then on. Whoever started the program may name another file by $..._PRESSURE_WATCH, and what is to be written by
// $..._PRESSURE_WRITE: another cgroup, or something that another program writes to. The variables rule: where the first
// is set the program can't change the settings. Without it the file is that of our own cgroup, else that of the whole
// machine.
//
// Invariants:
//  1. `open` is called once; nothing else looks at the environment, or can fail for memory or for the kernel.
//  2. `unwritten()` is what is left of the settings; they can be changed while nothing has been `written`.
//
// Owner: the descriptor that `open` returns is the caller's. Forks: plain memory.
#pragma once

#include <string_view>

#include "src/source.h"

namespace evenkeel {

enum class PressureFile : uint8_t { kRegular, kFifo, kDevice, kSocket };

class PressureConfig {
 public:
  PressureConfig() = default;
  PressureConfig(const PressureConfig&) = delete;
  PressureConfig& operator=(const PressureConfig&) = delete;
  ~PressureConfig();

  // Returns a descriptor that does not block.
  int open(Kind kind);

  PressureFile file() const { return file_; }
  bool ruled_by_variables() const { return ruled_by_variables_; }

  // 1 if that changed something, else 0.
  int set_full(bool full);
  int set_period(Usec threshold, Usec window);

  std::string_view unwritten() const { return unwritten_; }
  void written(size_t n) { unwritten_.remove_prefix(n); }

 private:
  int open_named(const char* path);
  int open_inode(int path_fd);
  int reopen(int path_fd) const;
  int decode(const char* base64);
  void compose();

  PressureFile file_ = PressureFile::kRegular;
  bool ruled_by_variables_ = false;
  bool full_ = false;
  Usec threshold_ = 200 * kUsecPerMsec;
  Usec window_ = 2 * kUsecPerSec;  // A multiple of 2 s is what the kernel allows to everyone.

  char* decoded_ = nullptr;
  char composed_[sizeof("full  ") + 2 * sizeof("18446744073709551615")] = {};
  std::string_view unwritten_;
};

}  // namespace evenkeel
