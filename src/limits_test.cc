// SPDX-License-Identifier: MIT
//
// As much of everything as a process may have: descriptors, timers, children.
//
// Idea: what is there in great number happens once, and is seen exactly once, in the order that is promised. How many
// are possible is asked from the system; a test that gets too few of them says so and is skipped. A program of its own,
// as these tests take a second where others take a millisecond: valgrind and the sanitizers have it not.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <vector>

#include "src/loop_testing.h"

namespace evenkeel {
namespace {

using kernel::Call;

class Limits : public test::DispatchTest {
 protected:
  struct Thing {
    Limits* all = nullptr;
    size_t number = 0;
    int n_calls = 0;
    Source* source = nullptr;
    int fd = -1;
  };

  // Leaves `spare` descriptors for the loop and the test itself.
  static size_t allow_descriptors(rlim_t at_most, rlim_t spare) {
    struct rlimit limit = {};
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = std::min(limit.rlim_max, at_most);
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
    return limit.rlim_cur > spare ? static_cast<size_t>(limit.rlim_cur - spare) : 0;
  }
  void SetUp() override {
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
    DispatchTest::SetUp();
  }
  void TearDown() override {
    for (const Thing& thing : things_) {
      if (thing.source) thing.source->unref();
      if (thing.fd >= 0) (void)::close(thing.fd);
    }
    DispatchTest::TearDown();
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before_), 0);
  }

  static int note(void* data) {
    auto* thing = static_cast<Thing*>(data);
    ++thing->n_calls;
    thing->all->served_.push_back(thing->number);
    return 0;
  }
  static int on_io(Source*, int fd, uint32_t, void* data) {
    uint64_t value = 0;
    EXPECT_EQ(::read(fd, &value, sizeof(value)), static_cast<ssize_t>(sizeof(value)));
    return note(data);
  }
  static int on_time(Source*, Usec, void* data) { return note(data); }
  static int on_child(Source*, const siginfo_t* info, void* data) {
    auto* thing = static_cast<Thing*>(data);
    EXPECT_EQ(info->si_code, CLD_EXITED);
    EXPECT_EQ(info->si_status, static_cast<int>(thing->number % 100));
    return note(data);
  }
  // A process that ends at once. It shares memory and descriptors until then: to copy them is what takes time.
  static pid_t spawn(size_t status) {
    alignas(16) static char stack[16 * 1024];
    const auto end = [](void* data) -> int { ::_exit(static_cast<int>(reinterpret_cast<uintptr_t>(data))); };
    return ::clone(end, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD,
                   reinterpret_cast<void*>(status));
  }
  void make(size_t n) {
    things_.resize(n);
    served_.reserve(n);
    for (size_t i = 0; i < n; ++i) {
      things_[i].all = this;
      things_[i].number = i;
    }
  }
  void expect_once_each() const {
    EXPECT_EQ(served_.size(), things_.size());
    EXPECT_TRUE(std::all_of(things_.begin(), things_.end(), [](const Thing& thing) { return thing.n_calls == 1; }));
  }

  std::vector<Thing> things_;
  std::vector<size_t> served_;

 private:
  struct rlimit before_ = {};
};

TEST_F(Limits, as_many_descriptors_as_the_process_may_have_are_served_once_each_the_important_ones_first) {
  make(allow_descriptors(100'000, 100));
  if (things_.size() < 2000) GTEST_SKIP() << "this process may have " << things_.size() << " descriptors only";
  // Few are important: where many are, each dispatch asks about all that is ready (doc/dispatch.md, case 5).
  const auto is_important = [](size_t number) { return number % 2000 == 1999; };
  for (Thing& thing : things_) {
    thing.fd = ::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    ASSERT_GE(thing.fd, 0);
    ASSERT_EQ(IoSource::add(*loop_, &thing.source, thing.fd, EPOLLIN, on_io, &thing), 0);
    ASSERT_EQ(thing.source->set_priority(is_important(thing.number) ? -1 : 0), 0);
  }
  for (size_t i = 0; i < things_.size(); ++i) ASSERT_EQ(loop_->run(0), 1);
  EXPECT_EQ(loop_->run(0), 0);
  expect_once_each();
  EXPECT_TRUE(std::is_partitioned(served_.begin(), served_.end(), is_important));
}

TEST_F(Limits, a_loop_whose_process_has_no_descriptor_left_goes_on_and_takes_the_next_one_that_is_free) {
  make(allow_descriptors(1000, 0));
  size_t n = 0;
  while (n < things_.size() && (things_[n].fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) >= 0) {
    ASSERT_EQ(IoSource::add(*loop_, &things_[n].source, things_[n].fd, EPOLLIN, on_io, &things_[n]), 0);
    ++n;
  }
  ASSERT_GT(n, 2U);
  Source* timer = nullptr;
  EXPECT_EQ(TimeSource::add(*loop_, &timer, CLOCK_MONOTONIC, kForever, 0, nullptr, nullptr), -EMFILE);
  EXPECT_EQ(things_[0].source->set_rate_limit(kUsecPerSec, 1), -EMFILE) << "it needs the clock";
  EXPECT_TRUE(loop_->check_invariants());
  const uint64_t one = 1;
  for (size_t i = 0; i < n; ++i) ASSERT_EQ(::write(things_[i].fd, &one, sizeof(one)), 8);
  for (size_t i = 0; i < n; ++i) ASSERT_EQ(loop_->run(0), 1);
  EXPECT_EQ(loop_->run(0), 0);
  EXPECT_EQ(served_.size(), n);
  things_[1].source->unref();
  things_[1].source = nullptr;
  (void)::close(things_[1].fd);
  things_[1].fd = -1;
  EXPECT_EQ(TimeSource::add(*loop_, &timer, CLOCK_MONOTONIC, kForever, 0, nullptr, nullptr), 0);
  EXPECT_EQ(things_[0].source->set_rate_limit(kUsecPerSec, 1), 0);
  EXPECT_EQ(loop_->run(0), 0);
  timer->unref();
}

TEST_F(Limits, a_million_timers_elapse_once_each_in_the_order_of_their_times) {
  constexpr size_t kMany = 1'000'000;
  make(kMany);
  std::vector<Usec> times(kMany);
  for (size_t i = 0; i < kMany; ++i) times[i] = i + 1;
  std::shuffle(times.begin(), times.end(), std::mt19937(2));
  for (Thing& thing : things_)
    ASSERT_EQ(TimeSource::add(*loop_, &thing.source, CLOCK_MONOTONIC, times[thing.number], 1, on_time, &thing), 0);
  test::Faults faults;
  for (size_t i = 0; i < kMany; ++i) ASSERT_EQ(loop_->run(0), 1);
  EXPECT_EQ(faults.n(Call::kMalloc), 0);
  EXPECT_LT(faults.n_system_calls(), 10) << "what is due is known, and nobody need be asked for it";
  EXPECT_EQ(loop_->run(0), 0);
  expect_once_each();
  EXPECT_TRUE(std::is_sorted(served_.begin(), served_.end(), [&](size_t a, size_t b) { return times[a] < times[b]; }));
}

TEST_F(Limits, ten_thousand_children_that_end_at_once_are_seen_once_each_and_reaped) {
  // A third of the numbers that the system has for processes, at most: others are at work, too.
  size_t numbers = 32768;
  std::ifstream("/proc/sys/kernel/pid_max") >> numbers;
  struct rlimit processes = {};
  ASSERT_EQ(::getrlimit(RLIMIT_NPROC, &processes), 0);
  const size_t wanted = std::min<size_t>(
      {10'000, numbers / 3, static_cast<size_t>(processes.rlim_cur / 2), allow_descriptors(20'000, 100)});
  make(wanted);
  size_t n = 0;
  for (; n < wanted; ++n) {
    const pid_t pid = spawn(n % 100);
    if (pid < 0) break;  // A cgroup may allow fewer.
    // Every hundredth by SIGCHLD, which looks at all of its kind each time.
    const int options = n % 100 == 0 ? WEXITED | WSTOPPED : WEXITED;
    ASSERT_EQ(ChildSource::add(*loop_, &things_[n].source, pid, options, on_child, &things_[n]), 0);
  }
  things_.resize(n);
  if (n >= 100) {
    while (served_.size() < n) ASSERT_GE(loop_->run(kForever), 0);
    EXPECT_EQ(loop_->run(0), 0);
    expect_once_each();
  }
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), n >= 100 ? -1 : 0) << "all were reaped";
  if (n < 100) {
    while (::waitpid(-1, nullptr, 0) > 0) continue;
    GTEST_SKIP() << "this process may have " << n << " children only";
  }
}

}  // namespace
}  // namespace evenkeel
