// SPDX-License-Identifier: MIT
//
// What happens when memory, descriptors or the kernel fail, at every single place.
//
// Idea: an operation is run again and again on a fresh loop; in the n-th run its n-th call of the kernel or for memory
// fails, until a run needs fewer calls than that. After each failure the error is one that the header names, no source
// and no descriptor is more than before, the invariants hold, the other sources of the loop are dispatched as ever, and
// the same operation succeeds when it is tried again.
//
// What a loop keeps for later (the timerfd of a clock, the signalfd of a level) is not a leak; it goes with the loop,
// and the descriptors are counted after that.
#include <gtest/gtest.h>

#include <vector>

#include "src/faults_testing.h"

namespace evenkeel {
namespace {

using kernel::Call;
using test::kErrors;

class FaultsTest : public test::FaultsFixture {};

TEST_F(FaultsTest, creating_a_loop) {
  const int n_fds = test::count_fds();
  for (const int error : kErrors) {
    int skip = 0;
    for (bool failed = true; failed; ++skip) {
      test::Faults faults;
      faults.fail_any(error, skip);
      Loop* loop = nullptr;
      const int r = Loop::create(&loop);
      failed = faults.injected();
      // Any number is one; and where the page can't be wiped on a fork, the PID tells processes apart.
      const bool needed = failed && faults.last_injected() != Call::kClockGettime &&
                          (faults.last_injected() != Call::kMadvise || error == -ENOMEM);
      faults.fail_none();
      if (needed) {
        EXPECT_TRUE(r == error || r == -ENOMEM) << r;
        EXPECT_EQ(loop, nullptr);
      } else {
        ASSERT_EQ(r, 0);
        expect_working(*loop);
        loop->unref();
      }
      EXPECT_EQ(test::count_fds(), n_fds);
    }
    EXPECT_GE(skip, 4) << "the loop, its buffer of events and its epoll set";
  }
}

TEST_F(FaultsTest, creating_a_loop_that_is_profiled) {
  ASSERT_EQ(setenv("SD_EVENT_PROFILE_DELAYS", "1", 1), 0);
  int n_failures = 0;
  for (int skip = 0; skip < 10; ++skip) {
    test::Faults faults;
    faults.fail(Call::kMalloc, -ENOMEM, skip);
    Loop* loop = nullptr;
    const int r = Loop::create(&loop);
    EXPECT_EQ(r, faults.injected() ? -ENOMEM : 0);
    n_failures += r < 0;
    if (loop) loop->unref();
  }
  EXPECT_GE(n_failures, 3);
  EXPECT_EQ(unsetenv("SD_EVENT_PROFILE_DELAYS"), 0);
}

TEST_F(FaultsTest, adding_a_descriptor) {
  test::EventFd event;
  Operation add;
  add.run = [&](Loop& loop, Source** ret) { return IoSource::add(loop, ret, event.fd(), EPOLLIN, nullptr, nullptr); };
  add.n_failures = 3;
  fail_adding(add);
}

TEST_F(FaultsTest, adding_a_timer) {
  for (const clockid_t clock : {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME}) {
    Operation add;
    add.run = [=](Loop& loop, Source** ret) {
      return TimeSource::add(loop, ret, clock, kForever, 0, nullptr, nullptr);
    };
    add.other_errors = {-EOPNOTSUPP};  // Of a clock that can't be read.
    add.n_failures = 4;
    fail_adding(add);
  }
}

TEST_F(FaultsTest, adding_a_signal) {
  for (const int signo : {SIGUSR2 | 0, SIGURG | SignalSource::kBlock}) {
    Operation add;
    add.run = [=](Loop& loop, Source** ret) { return SignalSource::add(loop, ret, signo, nullptr, nullptr); };
    add.n_failures = 6;
    fail_adding(add);
  }
}

TEST_F(FaultsTest, adding_a_child) {
  const pid_t pid = make_child();
  for (const int options : {WEXITED, WEXITED | WSTOPPED}) {
    Operation add;
    add.run = [=](Loop& loop, Source** ret) { return ChildSource::add(loop, ret, pid, options, nullptr, nullptr); };
    add.other_errors = {-EBUSY};  // A mask that can't be read is taken for one without SIGCHLD.
    add.n_failures = 5;
    fail_adding(add);
  }
}

TEST_F(FaultsTest, adding_a_child_where_pidfds_are_refused) {
  const pid_t pid = make_child();
  for (int skip = 0;; ++skip) {
    const int n_fds = test::count_fds();
    Loop* loop = nullptr;
    ASSERT_EQ(Loop::create(&loop), 0);
    Source* source = nullptr;
    bool injected = false;
    {
      test::Faults faults;
      faults.fail(Call::kPidfdOpen, -ENOSYS);
      EXPECT_EQ(ChildSource::add(*loop, &source, pid, WEXITED, nullptr, nullptr), 0);
      EXPECT_EQ(static_cast<ChildSource*>(source)->pidfd(), -1);
      source->unref();
      source = nullptr;
      faults.fail(Call::kMalloc, -ENOMEM, skip);
      const int r = ChildSource::add(*loop, &source, pid, WEXITED, nullptr, nullptr);
      injected = faults.injected();
      EXPECT_EQ(r, injected ? -ENOMEM : 0);
    }
    expect_working(*loop);
    if (source) source->unref();
    loop->unref();
    EXPECT_EQ(test::count_fds(), n_fds);
    if (!injected) {
      EXPECT_GE(skip, 1);
      break;
    }
  }
}

TEST_F(FaultsTest, adding_a_child_by_its_pidfd_which_stays_the_callers) {
  const pid_t pid = make_child();
  const int pidfd = kernel::pidfd_open(pid);
  if (pidfd < 0) GTEST_SKIP() << "no pidfds here";
  Operation add;
  add.run = [=](Loop& loop, Source** ret) {
    return ChildSource::add_pidfd(loop, ret, pidfd, WEXITED, nullptr, nullptr);
  };
  add.other_errors = {-EOPNOTSUPP, -EIO, -ESRCH, -ENOTTY, -EBADF};  // Of /proc/self/fdinfo.
  add.n_failures = 2;  // Of its memory; it asks /proc where the kernel does not tell.
  fail_adding(add);
  EXPECT_EQ(::close(pidfd), 0);
}

TEST_F(FaultsTest, adding_an_inode_whose_descriptor_stays_the_callers) {
  const int fd = InotifySource::open_path("/tmp", 0);
  ASSERT_GE(fd, 0);
  Operation add;
  add.run = [=](Loop& loop, Source** ret) {
    return InotifySource::add(loop, ret, fd, "/tmp", IN_DELETE_SELF, nullptr, nullptr);
  };
  add.n_failures = 12;
  fail_adding(add);
  // The second source of an inode shares its watch.
  add.prepare = [=](Loop& loop) -> Source* {
    EXPECT_EQ(InotifySource::add(loop, nullptr, fd, nullptr, IN_MOVE_SELF, nullptr, nullptr), 0);
    return nullptr;
  };
  add.n_failures = 3;
  fail_adding(add);
  EXPECT_EQ(::close(fd), 0);
}

TEST_F(FaultsTest, adding_what_waits_for_nothing_outside) {
  const auto nothing = [](Source*, void*) { return 0; };
  Operation add;
  add.run = [=](Loop& loop, Source** ret) { return DeferSource::add(loop, ret, nothing, nullptr); };
  fail_adding(add);
  add.run = [=](Loop& loop, Source** ret) { return PostSource::add(loop, ret, nothing, nullptr); };
  fail_adding(add);
  add.run = [=](Loop& loop, Source** ret) { return ExitSource::add(loop, ret, nothing, nullptr); };
  fail_adding(add);
}

TEST_F(FaultsTest, adding_to_a_loop_that_has_to_grow) {
  // A ninth source needs a longer registry and a larger buffer of events.
  const auto nothing = [](Source*, void*) { return 0; };
  Operation add;
  add.prepare = [=](Loop& loop) -> Source* {
    for (int i = 0; i < 8; ++i) {
      EXPECT_EQ(PostSource::add(loop, nullptr, nothing, nullptr), 0);
    }
    return nullptr;
  };
  add.run = [=](Loop& loop, Source** ret) { return DeferSource::add(loop, ret, nothing, nullptr); };
  fail_adding(add);
}

TEST_F(FaultsTest, asking_for_the_exit_by_signals) {
  const int n_fds = test::count_fds();
  const sigset_t before = blocked();
  for (int skip = 0;; ++skip) {
    ASSERT_LT(skip, 100);
    Loop* loop = nullptr;
    ASSERT_EQ(Loop::create(&loop), 0);
    bool injected = false;
    {
      test::Faults faults;
      faults.fail_any(-ENOMEM, skip);
      const int r = loop->set_signal_exit(true);
      injected = faults.injected();
      EXPECT_EQ(r, injected ? -ENOMEM : 1);
    }
    if (injected) {
      EXPECT_EQ(loop->poller().n_sources(), 0U);
      expect_working(*loop);
      EXPECT_EQ(loop->set_signal_exit(true), 1);
    }
    EXPECT_EQ(loop->poller().n_sources(), 2U);
    expect_working(*loop);
    if (skip % 2 == 0) {
      EXPECT_EQ(loop->set_signal_exit(false), 1);
      EXPECT_EQ(loop->poller().n_sources(), 0U);
    }
    loop->unref();
    EXPECT_EQ(test::count_fds(), n_fds);
    const sigset_t after = blocked();
    for (const int signo : {SIGINT, SIGTERM}) EXPECT_EQ(sigismember(&after, signo), sigismember(&before, signo));
    if (!injected) {
      EXPECT_GE(skip, 10);
      break;
    }
  }
}

}  // namespace
}  // namespace evenkeel
