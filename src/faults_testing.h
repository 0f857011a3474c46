// SPDX-License-Identifier: MIT
//
// The fixture of the tests with faults: one operation that fails at each of its calls in turn.
//
// Idea: see faults_test.cc. SIGCHLD and SIGUSR2 are blocked from the beginning to the end of each test.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "src/testing.h"

namespace evenkeel::test {

inline constexpr int kErrors[] = {-ENOMEM, -EMFILE};

class FaultsFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    sigset_t used;
    (void)sigemptyset(&used);
    for (const int signo : {SIGCHLD, SIGUSR2}) (void)sigaddset(&used, signo);
    ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &used, &mask_), 0);
    (void)boot_offset();  // Read once a process; not part of any operation.
  }
  void TearDown() override {
    if (child_ > 0) {
      (void)kill(child_, SIGKILL);
      (void)waitpid(child_, nullptr, 0);
    }
    const struct timespec none = {};
    sigset_t used;
    (void)sigemptyset(&used);
    (void)sigaddset(&used, SIGCHLD);
    while (sigtimedwait(&used, nullptr, &none) > 0) continue;
    EXPECT_EQ(pthread_sigmask(SIG_SETMASK, &mask_, nullptr), 0);
  }

  struct Operation {
    // Before the faults begin; what it returns is what `run` works on.
    std::function<Source*(Loop&)> prepare = [](Loop&) -> Source* { return nullptr; };
    // A failing one leaves `*source` alone.
    std::function<int(Loop&, Source** source)> run;
    // Besides the injected error itself.
    std::vector<int> other_errors = {};
    // How often it takes memory or asks the kernel, at least: else the test would test nothing.
    int n_failures = 2;
  };

  static sigset_t blocked() {
    sigset_t set;
    EXPECT_EQ(pthread_sigmask(SIG_BLOCK, nullptr, &set), 0);
    return set;
  }

  // Other sources of the loop go on.
  static void expect_working(Loop& loop) {
    EXPECT_TRUE(loop.check_invariants());
    EventFd event;
    event.set();
    int n_calls = 0;
    const auto count = [](Source*, int, uint32_t, void* data) { return ++*static_cast<int*>(data), 0; };
    Source* witness = nullptr;
    ASSERT_EQ(IoSource::add(loop, &witness, event.fd(), EPOLLIN, count, &n_calls), 0);
    for (int i = 0; i < 30 && n_calls == 0; ++i) EXPECT_GE(loop.run(0), 0);
    EXPECT_EQ(n_calls, 1);
    witness->unref();
    EXPECT_TRUE(loop.check_invariants());
  }

  // False when the operation does not have `skip` calls.
  static bool fail_once(const Operation& operation, int error, int skip, int* n_failures) {
    const int n_fds = count_fds();
    Loop* loop = nullptr;
    EXPECT_EQ(Loop::create(&loop), 0);
    Source* const before = operation.prepare(*loop);
    const size_t n_sources = loop->poller().n_sources();
    const sigset_t mask = blocked();
    Source* source = before;
    Faults faults;
    faults.fail_any(error, skip);
    const int r = operation.run(*loop, &source);
    const bool injected = faults.injected();
    SCOPED_TRACE(testing::Message() << "call " << skip << ", of kind " << static_cast<int>(faults.last_injected())
                                    << ", fails with " << error << "; the operation returns " << r);
    faults.fail_none();
    if (r < 0) {
      ++*n_failures;
      EXPECT_TRUE(injected);
      const auto& others = operation.other_errors;
      EXPECT_TRUE(r == error || r == -ENOMEM || std::find(others.begin(), others.end(), r) != others.end());
      EXPECT_EQ(source, before);
      EXPECT_EQ(loop->poller().n_sources(), n_sources);
      const sigset_t now = blocked();
      for (int signo = 1; signo < _NSIG; ++signo) EXPECT_EQ(sigismember(&now, signo), sigismember(&mask, signo));
      expect_working(*loop);
      const int again = operation.run(*loop, &source);
      EXPECT_GE(again, 0) << "there was nothing wrong with the operation";
    }
    expect_working(*loop);
    if (source) source->unref();
    loop->unref();
    EXPECT_EQ(count_fds(), n_fds);
    return injected;
  }

  static void fail_everywhere(const Operation& operation) {
    for (const int error : kErrors) {
      int n_failures = 0;
      int skip = 0;
      while (fail_once(operation, error, skip, &n_failures)) {
        ++skip;
        ASSERT_LT(skip, 1000);
      }
      EXPECT_GE(n_failures, operation.n_failures) << "of " << skip << " calls";
    }
  }

  // As it is, and floating.
  static void fail_adding(Operation operation) {
    fail_everywhere(operation);
    const auto add = operation.run;
    operation.run = [add](Loop& loop, Source**) { return add(loop, nullptr); };
    fail_everywhere(operation);
  }

  pid_t make_child() {
    child_ = fork_child();
    if (child_ == 0) {
      for (;;) pause();
    }
    return child_;
  }

 private:
  sigset_t mask_ = {};
  pid_t child_ = -1;
};

}  // namespace evenkeel::test
