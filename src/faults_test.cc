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
#include <sys/stat.h>

#include <algorithm>
#include <vector>

#include "src/testing.h"

namespace evenkeel {
namespace {

using kernel::Call;

constexpr int kErrors[] = {-ENOMEM, -EMFILE};

class FaultsTest : public ::testing::Test {
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
    test::EventFd event;
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
    const int n_fds = test::count_fds();
    Loop* loop = nullptr;
    EXPECT_EQ(Loop::create(&loop), 0);
    Source* const before = operation.prepare(*loop);
    const size_t n_sources = loop->poller().n_sources();
    const sigset_t mask = blocked();
    Source* source = before;
    test::Faults faults;
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
    EXPECT_EQ(test::count_fds(), n_fds);
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
    child_ = fork();
    if (child_ == 0) {
      for (;;) pause();
    }
    return child_;
  }

 private:
  sigset_t mask_ = {};
  pid_t child_ = -1;
};

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
      const bool needed = failed && faults.last_injected() != Call::kClockGettime;  // Any number is one.
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
  add.n_failures = 5;
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

// Setters work on a source that is there already, one of each kind.
class FaultsOfSetters : public FaultsTest {
 protected:
  void SetUp() override {
    FaultsTest::SetUp();
    pid_ = make_child();
    directory_ = InotifySource::open_path("/tmp", 0);
    const int fd = event_.fd();
    const pid_t pid = pid_;
    const int directory = directory_;
    const auto nothing = [](Source*, void*) { return 0; };
    adds_ = {
        [=](Loop& loop, Source** ret) { return IoSource::add(loop, ret, fd, EPOLLIN, nullptr, nullptr); },
        [](Loop& loop, Source** ret) {
          return TimeSource::add(loop, ret, CLOCK_REALTIME, kForever, 0, nullptr, nullptr);
        },
        [](Loop& loop, Source** ret) { return SignalSource::add(loop, ret, SIGUSR2, nullptr, nullptr); },
        [=](Loop& loop, Source** ret) { return ChildSource::add(loop, ret, pid, WEXITED, nullptr, nullptr); },
        [=](Loop& loop, Source** ret) {
          return ChildSource::add(loop, ret, pid, WEXITED | WSTOPPED, nullptr, nullptr);
        },
        [=](Loop& loop, Source** ret) {
          return InotifySource::add(loop, ret, directory, nullptr, IN_DELETE_SELF, nullptr, nullptr);
        },
        [=](Loop& loop, Source** ret) { return DeferSource::add(loop, ret, nothing, nullptr); },
        [=](Loop& loop, Source** ret) { return PostSource::add(loop, ret, nothing, nullptr); },
        [=](Loop& loop, Source** ret) { return ExitSource::add(loop, ret, nothing, nullptr); },
    };
  }
  void TearDown() override {
    (void)::close(directory_);
    FaultsTest::TearDown();
  }

  // Runs `set` on a source of each kind for which `applies`; `same` is whether the source is as it was.
  void fail_setting(
      const std::function<int(Source&)>& set, const std::function<bool(Source&)>& unchanged, int n_failures,
      const std::function<bool(Source&)>& applies = [](Source&) { return true; }) {
    for (const auto& add : adds_) {
      Operation operation;
      bool skipped = false;
      operation.prepare = [&](Loop& loop) -> Source* {
        Source* source = nullptr;
        EXPECT_EQ(add(loop, &source), 0);
        skipped = !applies(*source);
        return source;
      };
      operation.run = [&](Loop&, Source** source) {
        if (skipped) return 0;
        const Enabled enabled = (*source)->enabled();
        const bool armed = (*source)->armed();
        const int r = set(**source);
        if (r < 0) {
          EXPECT_TRUE(unchanged(**source));
          EXPECT_EQ((*source)->enabled(), enabled);
          EXPECT_EQ((*source)->armed(), armed);
        }
        return r;
      };
      Loop* loop = nullptr;
      ASSERT_EQ(Loop::create(&loop), 0);
      Source* source = operation.prepare(*loop);
      SCOPED_TRACE(testing::Message() << "kind " << static_cast<int>(source->kind()));
      source->unref();
      loop->unref();
      // The path of an inotify source is closed by the first iteration, after which its priority is fixed.
      if (skipped) continue;
      operation.n_failures = n_failures;
      operation.other_errors = {-EOPNOTSUPP};  // Of a clock that can't be read.
      fail_everywhere(operation);
    }
  }

  static bool is_inotify(Source& source) { return source.kind() == Kind::kInotify; }

  test::EventFd event_;

 private:
  pid_t pid_ = -1;
  int directory_ = -1;
  std::vector<std::function<int(Loop&, Source**)>> adds_;
};

TEST_F(FaultsOfSetters, setting_the_priority) {
  fail_setting([](Source& source) { return source.set_priority(-7); },
               [](Source& source) { return source.priority() == 0; }, 1,
               [](Source& source) { return !is_inotify(source); });
}

TEST_F(FaultsOfSetters, setting_the_priority_of_an_inotify_source) {
  const int fd = InotifySource::open_path("/tmp", 0);
  for (int skip = 0;; ++skip) {
    ASSERT_LT(skip, 100);
    const int n_fds = test::count_fds();
    Loop* loop = nullptr;
    ASSERT_EQ(Loop::create(&loop), 0);
    Source* source = nullptr;
    ASSERT_EQ(InotifySource::add(*loop, &source, fd, nullptr, IN_DELETE_SELF, nullptr, nullptr), 0);
    bool injected = false;
    {
      test::Faults faults;
      faults.fail_any(-ENOMEM, skip);
      const int r = source->set_priority(3);
      injected = faults.injected();
      EXPECT_EQ(source->priority(), r < 0 ? 0 : 3);
      EXPECT_TRUE(r == 0 || (injected && r == -ENOMEM)) << r;
    }
    EXPECT_TRUE(loop->check_invariants());
    EXPECT_EQ(source->set_priority(3), 0);
    expect_working(*loop);
    source->unref();
    loop->unref();
    EXPECT_EQ(test::count_fds(), n_fds);
    if (!injected) {
      EXPECT_GE(skip, 8);
      break;
    }
  }
  (void)::close(fd);
}

TEST_F(FaultsOfSetters, setting_a_description) {
  const auto undescribed = [](Source& source) {
    return source.kind() == Kind::kSignal || source.description() == nullptr;
  };
  fail_setting([](Source& source) { return source.set_description("a name"); }, undescribed, 2);
}

TEST_F(FaultsOfSetters, changing_a_description_keeps_the_old_one_when_it_fails) {
  Loop* loop = nullptr;
  ASSERT_EQ(Loop::create(&loop), 0);
  Source* source = nullptr;
  ASSERT_EQ(DeferSource::add(*loop, &source, nullptr, nullptr), 0);
  EXPECT_EQ(source->set_description("old"), 1);
  {
    test::Faults faults;
    faults.fail(Call::kMalloc, -ENOMEM);
    EXPECT_EQ(source->set_description("new"), -ENOMEM);
  }
  EXPECT_STREQ(source->description(), "old");
  EXPECT_EQ(source->set_description("old"), 0);
  source->unref();
  loop->unref();
}

TEST_F(FaultsOfSetters, setting_prepare_destroy_and_expire_callbacks) {
  fail_setting([](Source& source) { return source.set_prepare([](Source*, void*) { return 0; }); },
               [](Source& source) { return source.rate_limit() == nullptr; }, 1);
  fail_setting([](Source& source) { return source.set_destroy_callback([](void*) {}); },
               [](Source& source) { return source.destroy_callback() == nullptr; }, 1);
  fail_setting([](Source& source) { return source.set_rate_limit_expired([](Source*, void*) { return 0; }); },
               [](Source& source) { return source.rate_limit() == nullptr; }, 1);
}

TEST_F(FaultsOfSetters, setting_a_rate_limit) {
  fail_setting([](Source& source) { return source.set_rate_limit(kUsecPerSec, 5); },
               [](Source& source) { return !source.rate_limit() || !source.rate_limit()->configured(); }, 1,
               [](Source& source) { return source.can_rate_limit(); });
}

TEST_F(FaultsOfSetters, turning_a_source_on) {
  fail_setting(
      [](Source& source) {
        if (source.enabled() != Enabled::kOff) return 0;
        return source.set_enabled(Enabled::kOn);
      },
      [](Source&) { return true; }, 0);
  // From OFF: what was taken when the source was added is enough for all but the kernel.
  for (const bool waited : {false, true}) {
    int n_failures = 0;
    Loop* loop = nullptr;
    ASSERT_EQ(Loop::create(&loop), 0);
    Source* io = nullptr;
    ASSERT_EQ(IoSource::add(*loop, &io, event_.fd(), EPOLLIN, nullptr, nullptr), 0);
    Source* signal = nullptr;
    ASSERT_EQ(SignalSource::add(*loop, &signal, SIGUSR2, nullptr, nullptr), 0);
    for (Source* source : {io, signal}) {
      for (int skip = 0; skip < 5; ++skip) {
        EXPECT_EQ(source->set_enabled(Enabled::kOff), 0);
        if (waited) {
          EXPECT_EQ(loop->run(0), 0);
        }
        test::Faults faults;
        faults.fail_any(-ENOSPC, skip);
        const int r = source->set_enabled(Enabled::kOn);
        EXPECT_EQ(r, faults.injected() ? -ENOSPC : 0);
        EXPECT_EQ(source->enabled(), r < 0 ? Enabled::kOff : Enabled::kOn);
        EXPECT_EQ(faults.n(Call::kMalloc), 0);
        EXPECT_TRUE(loop->check_invariants());
        n_failures += r < 0;
      }
    }
    EXPECT_GE(n_failures, waited ? 2 : 1);
    io->unref();
    signal->unref();
    loop->unref();
  }
}

TEST_F(FaultsOfSetters, changing_events_or_the_descriptor) {
  test::EventFd other;
  for (int skip = 0; skip < 6; ++skip) {
    Loop* loop = nullptr;
    ASSERT_EQ(Loop::create(&loop), 0);
    Source* source = nullptr;
    ASSERT_EQ(IoSource::add(*loop, &source, event_.fd(), EPOLLIN, nullptr, nullptr), 0);
    auto& io = static_cast<IoSource&>(*source);
    {
      test::Faults faults;
      faults.fail(Call::kEpollCtl, -ENOMEM);
      EXPECT_EQ(io.set_events(EPOLLOUT), -ENOMEM);
      EXPECT_EQ(io.events(), static_cast<uint32_t>(EPOLLIN));
      faults.fail(Call::kEpollCtl, -ENOSPC);
      EXPECT_EQ(io.set_fd(other.fd()), -ENOSPC);
      EXPECT_EQ(io.fd(), event_.fd());
    }
    EXPECT_EQ(loop->run(0), 0);
    EXPECT_TRUE(loop->check_invariants());
    EXPECT_EQ(io.set_fd(other.fd()), 0);
    EXPECT_EQ(io.set_events(EPOLLOUT), 0);
    EXPECT_EQ(loop->run(0), 1);
    source->unref();
    loop->unref();
  }
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
