// SPDX-License-Identifier: MIT
//
// The fixture of the tests of the loop: sources that are kept to the end, and counted calls.
//
// Idea: see loop_test.cc and loop_cost_test.cc. SIGUSR1 and SIGCHLD are blocked from the beginning to the end of each
// test, and none is left for the next.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "src/testing.h"

namespace evenkeel::test {

inline Usec monotonic() {
  struct timespec ts = {};
  (void)clock_gettime(CLOCK_MONOTONIC, &ts);
  return to_usec(ts);
}

class DispatchTest : public LoopTest {
 protected:
  void SetUp() override {
    sigset_t set;
    (void)sigemptyset(&set);
    for (const int signo : {SIGUSR1, SIGCHLD}) (void)sigaddset(&set, signo);
    ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &set, &mask_), 0);
    LoopTest::SetUp();
  }
  void TearDown() override {
    for (Source* source : sources_) source->unref();
    LoopTest::TearDown();
    sigset_t children;
    (void)sigemptyset(&children);
    (void)sigaddset(&children, SIGCHLD);
    const struct timespec none = {};
    while (sigtimedwait(&children, nullptr, &none) > 0) continue;
    EXPECT_EQ(pthread_sigmask(SIG_SETMASK, &mask_, nullptr), 0);
  }
  Source* keep(Source* source) {
    sources_.push_back(source);
    return source;
  }
  Source* keep_signal(Handler* then, Priority priority) {
    Source* source = nullptr;
    EXPECT_EQ(SignalSource::add(*loop_, &source, SIGUSR1, Handler::signal, then), 0);
    return keep(with_priority(source, priority));
  }
  // `n` sources of one priority that are ready.
  void keep_ready(int n, Priority priority = 0) {
    for (int i = 0; i < n; ++i) {
      EventFd& event = event_fd();
      keep(add_io(event.fd(), handler([&event, this](Source*) {
                    event.clear();
                    said_ += '.';
                    return 0;
                  }),
                  priority));
      event.set();
    }
  }
  void run(int n) {
    for (int i = 0; i < n; ++i) ASSERT_EQ(loop_->run(kForever), 1);
  }
  void expect_calls(const Faults& faults, int n_epoll_waits, int n_polls, int n_sigpendings = 0) {
    EXPECT_EQ(faults.n(kernel::Call::kEpollWait), n_epoll_waits);
    EXPECT_EQ(faults.n(kernel::Call::kPoll), n_polls);
    EXPECT_EQ(faults.n(kernel::Call::kSigpending), n_sigpendings);
    EXPECT_EQ(faults.n_system_calls(), n_epoll_waits + n_polls + n_sigpendings) << "nothing else was asked";
  }

 private:
  std::vector<Source*> sources_;
  sigset_t mask_ = {};
};

}  // namespace evenkeel::test
