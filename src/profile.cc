// SPDX-License-Identifier: MIT
//
// See profile.h.
#include "src/profile.h"

#include <stdio.h>
#include <string.h>

#include <bit>

#include "src/kernel.h"
#include "src/memory.h"

namespace evenkeel {

int Profile::create_if_wanted(Profile** ret) {
  *ret = nullptr;
  if (!::secure_getenv("SD_EVENT_PROFILE_DELAYS")) return 0;
  *ret = make<Profile>();
  return *ret ? 0 : -ENOMEM;
}

size_t Profile::format(char* text, size_t size) const {
  size_t used = static_cast<size_t>(::snprintf(text, size, "Event loop iterations (log2 of usec: count):"));
  for (size_t i = 0; i < kBuckets && used < size; ++i) {
    if (counts_[i] == 0) continue;
    used += static_cast<size_t>(::snprintf(text + used, size - used, " %zu:%u", i, counts_[i]));
  }
  return used < size ? used : size - 1;
}

void Profile::iteration(Usec now) {
  if (last_ != 0) {
    const Usec passed = now - last_;
    ++counts_[passed == 0 ? 0 : static_cast<size_t>(std::bit_width(passed)) - 1];
  } else {
    reported_ = now;
  }
  last_ = now;
  if (now - reported_ < 5 * kUsecPerSec) return;
  char text[1024];
  const size_t n = format(text, sizeof(text) - 1);
  text[n] = '\n';
  (void)kernel::write(STDERR_FILENO, text, n + 1);
  ::memset(counts_, 0, sizeof(counts_));
  reported_ = now;
}

}  // namespace evenkeel
