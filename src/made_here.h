// SPDX-License-Identifier: MIT
//
// Which copy of the library made this object?
//
// Idea: a process may hold two of them (libsystemd and ours, or ours linked in and preloaded), and hand an object of
// one to the other. Each of our objects carries a number that is this copy's own, as it comes from an address in it.
// Whoever gets an object by a C handle looks at that before anything else; in a foreign one it is some memory of that
// object, as ours lies within the size of theirs.
#pragma once

#include <stdint.h>

namespace evenkeel {

class MadeHere {
 public:
  bool made_here() const { return mark_ == mark(); }

 protected:
  MadeHere() = default;
  ~MadeHere() { *const_cast<volatile uint32_t*>(&mark_) = 0; }  // Also when the memory is freed right after.

 private:
  static uint32_t mark() { return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(&here_)) ^ 0x65766B6CU; }

  static inline const char here_ = 0;

  uint32_t mark_ = mark();
};

}  // namespace evenkeel
