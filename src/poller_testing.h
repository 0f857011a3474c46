// SPDX-License-Identifier: MIT
//
// The fixture of the tests of the poller: what the kernel has registered, and whether the loop sleeps.
//
// Idea: see poller_test.cc. The kernel tells in /proc/self/fdinfo which descriptors an epoll set watches.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "src/testing.h"

namespace evenkeel::test {

class PollerFixture : public LoopTest {
 protected:
  // How often the kernel has `fd` (any: -1) in the loop's set.
  int n_registered(int fd = -1) {
    std::ifstream info("/proc/self/fdinfo/" + std::to_string(loop_->poller().fd()));
    int n = 0;
    for (std::string line; std::getline(info, line);) {
      int number = 0;
      if (::sscanf(line.c_str(), "tfd: %d", &number) == 1) n += fd < 0 || number == fd;
    }
    return n;
  }
  // Whether the loop sleeps: nothing is pending, and its descriptor is not readable. Gives it a few iterations to
  // settle.
  bool sleeps() {
    for (int i = 0; i < 3; ++i) {
      const int r = loop_->prepare();
      if (r > 0) {
        EXPECT_EQ(loop_->dispatch(), 1);
        continue;
      }
      struct pollfd fd = {loop_->poller().fd(), POLLIN, 0};
      const bool readable = ::poll(&fd, 1, 0) > 0;
      if (loop_->wait(0) > 0) {
        EXPECT_EQ(loop_->dispatch(), 1);
      }
      if (!readable) return true;
    }
    return false;
  }
  void expect_sound() { EXPECT_TRUE(loop_->check_invariants()); }
  static IoSource* io(Source* source) { return static_cast<IoSource*>(source); }
};

}  // namespace evenkeel::test
