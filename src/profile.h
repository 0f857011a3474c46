// SPDX-License-Identifier: MIT
//
// How long the iterations of a loop take ($SD_EVENT_PROFILE_DELAYS).
//
// Idea: where the variable is set when the loop is made, the time from each iteration to the next is counted in a
// histogram of powers of two, which goes to stderr every five seconds in one line. A loop without it pays a null check.
#pragma once

#include <stddef.h>

#include "src/types.h"

namespace evenkeel {

class Profile {
 public:
  // Sets *ret to null where the variable is not set.
  static int create_if_wanted(Profile** ret);

  // An iteration begins.
  void iteration(Usec now);

  // Writes the histogram as text, without the end of line. Returns its length.
  size_t format(char* text, size_t size) const;

 private:
  static constexpr size_t kBuckets = 64;  // Bucket n: 2^n up to 2^(n+1) microseconds; 0 also for less.

  Usec last_ = 0;
  Usec reported_ = 0;
  unsigned counts_[kBuckets] = {};
};

}  // namespace evenkeel
