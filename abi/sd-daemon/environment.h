// SPDX-License-Identifier: MIT
//
// `unset_environment`, the first argument of half of this ABI.
//
// Idea: the promise is that the variables are gone when the call returns, however it returns. So the shims put an
// object in front of everything else, and its end takes them away.
//
// Nothing else in the library writes the environment. errno stays as it was: unsetenv only fails for names that are
// none.
#pragma once

#include <stdlib.h>

namespace evenkeel::sd_daemon {

class UnsetAtReturn {
 public:
  explicit UnsetAtReturn(int wanted, const char* first, const char* second = nullptr, const char* third = nullptr)
      : names_{first, second, third}, wanted_(wanted != 0) {}
  UnsetAtReturn(const UnsetAtReturn&) = delete;
  UnsetAtReturn& operator=(const UnsetAtReturn&) = delete;

  ~UnsetAtReturn() {
    if (!wanted_) return;
    for (const char* const name : names_)
      if (name) (void)::unsetenv(name);
  }

 private:
  const char* const names_[3];
  const bool wanted_;
};

}  // namespace evenkeel::sd_daemon
