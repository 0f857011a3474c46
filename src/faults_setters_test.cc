// SPDX-License-Identifier: MIT
//
// What happens when memory, descriptors or the kernel fail while something is set on a source.
//
// Idea: as in faults_test.cc, on a source of each kind that is there already. A setter that fails leaves the source as
// it was: the value, whether it is on, and whether it is watched.
#include <gtest/gtest.h>

#include <vector>

#include "src/faults_testing.h"

namespace evenkeel {
namespace {

using kernel::Call;

// Setters work on a source that is there already, one of each kind.
class FaultsOfSetters : public test::FaultsFixture {
 protected:
  void SetUp() override {
    test::FaultsFixture::SetUp();
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
    test::FaultsFixture::TearDown();
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

}  // namespace
}  // namespace evenkeel
