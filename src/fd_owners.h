// SPDX-License-Identifier: MIT
//
// Which registration stands for a descriptor number.
//
// Idea: epoll is told numbers, and a number may be another file's by now: the program closes a descriptor and opens the
// next. So the set keeps for each number the registration that was made by it last. The others can't be named any more,
// and their sources must not change or remove anything by the number that they remember.
//
// Invariants:
//  1. A number has at most one owner, the registration that was `set` for it last, or none since that one was dropped.
//  2. Registration 0 is none, and owns nothing.
//  3. `reserve` is the only part that takes memory: a registration that the kernel has made can always be noted.
//
// Owner: the poller. Forks: plain memory.
#pragma once

#include "src/memory.h"

namespace evenkeel {

class FdOwners {
 public:
  // Room for all numbers up to `fd`.
  [[nodiscard]] bool reserve(int fd) {
    const size_t n = index(fd) + 1;
    if (!owners_.reserve(n)) return false;
    while (owners_.size() < n) owners_.push_back(0);
    return true;
  }

  void set(int fd, uint32_t registration) { owners_[index(fd)] = registration; }  // After `reserve`.

  bool is(int fd, uint32_t registration) const {
    return registration != 0 && index(fd) < owners_.size() && owners_[index(fd)] == registration;
  }

  // False if the number is another one's, or nobody's.
  bool drop(int fd, uint32_t registration) {
    if (!is(fd, registration)) return false;
    set(fd, 0);
    return true;
  }

 private:
  static size_t index(int fd) { return static_cast<size_t>(fd); }

  Array<uint32_t> owners_;  // By descriptor number: a registration, or 0.
};

}  // namespace evenkeel
