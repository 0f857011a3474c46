// SPDX-License-Identifier: MIT
//
// Backlogs of inotify sources, with memory that runs out. What a program sees with enough of it is tested in
// conformance/inotify_limited.c.
#include "src/inotify_queue.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <random>
#include <string>
#include <vector>

#include "src/loop.h"
#include "src/testing.h"

namespace evenkeel {
namespace {

using Names = std::vector<std::string>;

class InotifyBacklogs : public ::testing::Test {
 protected:
  struct Watcher {
    Source* source = nullptr;
    Names names;
  };

  void SetUp() override {
    char directory[] = "/tmp/evenkeel-backlog-XXXXXX";
    ASSERT_NE(::mkdtemp(directory), nullptr);
    directory_ = directory;
    ASSERT_EQ(Loop::create(&loop_), 0);
  }
  void TearDown() override {
    loop_->unref();
    for (const std::string& name : created_) (void)::unlink((directory_ + "/" + name).c_str());
    EXPECT_EQ(::rmdir(directory_.c_str()), 0);
  }

  void add(Watcher& watcher) {
    const int fd = InotifySource::open_path(directory_.c_str(), IN_CREATE);
    EXPECT_EQ(InotifySource::add(*loop_, &watcher.source, fd, nullptr, IN_CREATE, on_event, &watcher), 0);
    (void)::close(fd);
  }
  void create() {
    // Of some length, so that a buffer holds few of them.
    created_.push_back(std::to_string(created_.size()) + std::string(created_.size() % 50, 'x'));
    const int fd = ::open((directory_ + "/" + created_.back()).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    EXPECT_GE(fd, 0);
    (void)::close(fd);
  }
  void run(int times) {
    for (int i = 0; i < times; ++i) {
      EXPECT_GE(loop_->run(0), 0);
      EXPECT_TRUE(loop_->check_invariants());
    }
  }

  static int on_event(Source*, const struct inotify_event* event, void* userdata) {
    static_cast<Watcher*>(userdata)->names.emplace_back(event->name);
    return 0;
  }

  std::string directory_;
  Names created_;
  Loop* loop_ = nullptr;
};

TEST_F(InotifyBacklogs, an_event_stays_in_the_buffer_where_there_is_no_memory_for_a_copy) {
  Watcher first, limited;
  add(first);
  add(limited);
  EXPECT_EQ(limited.source->set_rate_limit(kForever, 1), 0);
  create();
  run(4);
  test::Faults faults;
  faults.fail(kernel::Call::kMalloc, -ENOMEM, 0, 1000);
  for (int i = 0; i < 3; ++i) {
    create();
    run(4);
  }
  EXPECT_EQ(first.names.size(), 2U);  // What comes behind it waits.
  faults.fail_none();
  run(4);
  EXPECT_EQ(first.names.size(), 2U);
  EXPECT_EQ(limited.source->set_rate_limit(0, 0), 0);
  run(20);
  EXPECT_EQ(first.names, created_);
  EXPECT_EQ(limited.names, created_);
  for (const Watcher& watcher : {first, limited}) watcher.source->unref();
}

TEST_F(InotifyBacklogs, an_event_for_which_there_is_no_memory_comes_behind_the_copies) {
  Watcher first, limited;
  add(first);
  add(limited);
  EXPECT_EQ(limited.source->set_rate_limit(kForever, 1), 0);
  for (int i = 0; i < 3; ++i) {
    create();
    run(4);
  }
  test::Faults faults;
  faults.fail(kernel::Call::kMalloc, -ENOMEM, 0, 1000);
  for (int i = 0; i < 3; ++i) {
    create();
    run(4);
  }
  faults.fail_none();
  EXPECT_EQ(first.names.size(), 4U);
  create();
  run(4);
  EXPECT_EQ(limited.source->set_rate_limit(0, 0), 0);
  run(30);
  EXPECT_EQ(first.names, created_);
  EXPECT_EQ(limited.names, created_);
  for (const Watcher& watcher : {first, limited}) watcher.source->unref();
}

TEST_F(InotifyBacklogs, whatever_memory_and_limits_do_each_source_gets_each_event_once) {
  std::minstd_rand random(20261130);
  const auto one_of = [&](unsigned n) { return std::uniform_int_distribution<unsigned>(0, n - 1)(random); };
  test::Faults faults;
  std::vector<Watcher> watchers(4);
  for (Watcher& watcher : watchers) add(watcher);
  for (int step = 0; step < 3000; ++step) {
    Source& source = *watchers[one_of(3)].source;  // The fourth one is never limited.
    switch (one_of(8)) {
      case 0:
        faults.fail(kernel::Call::kMalloc, -ENOMEM, static_cast<int>(one_of(4)), static_cast<int>(one_of(6)));
        break;
      case 1:
        faults.fail_none();
        break;
      case 2:
        (void)source.set_rate_limit(kForever, 1 + one_of(2));
        break;
      case 3:
        (void)source.set_rate_limit(0, 0);
        break;
      case 4:
        EXPECT_EQ(source.set_enabled(Enabled::kOff), 0);
        EXPECT_TRUE(loop_->check_invariants());
        EXPECT_EQ(source.set_enabled(Enabled::kOn), 0);
        break;
      default:
        create();
        if (one_of(3) == 0) run(static_cast<int>(one_of(3)));
    }
    EXPECT_TRUE(loop_->check_invariants());
  }
  faults.fail_none();
  for (Watcher& watcher : watchers) EXPECT_EQ(watcher.source->set_rate_limit(0, 0), 0);
  while (loop_->run(0) > 0) continue;
  for (Watcher& watcher : watchers) {
    EXPECT_EQ(watcher.names, created_);
    watcher.source->unref();
  }
}

TEST_F(InotifyBacklogs, sources_that_go_take_what_waited_with_them) {
  std::minstd_rand random(20261201);
  const auto one_of = [&](unsigned n) { return std::uniform_int_distribution<unsigned>(0, n - 1)(random); };
  test::Faults faults;
  Watcher always;
  add(always);
  std::vector<Watcher> others(3);
  for (int step = 0; step < 2000; ++step) {
    Watcher& other = others[one_of(3)];
    switch (one_of(6)) {
      case 0:
        faults.fail(kernel::Call::kMalloc, -ENOMEM, static_cast<int>(one_of(4)), static_cast<int>(one_of(6)));
        break;
      case 1:
        faults.fail_none();
        if (!other.source) add(other);
        if (one_of(2) == 0) (void)other.source->set_rate_limit(kForever, 1);
        break;
      case 2:
        if (other.source && one_of(2) == 0) (void)other.source->set_rate_limit(0, 0);
        break;
      case 3:
        if (other.source && one_of(2) == 0) (void)other.source->set_enabled(Enabled::kOff);
        break;
      case 4:
        if (!other.source) break;
        other.source->unref();
        other.source = nullptr;
        break;
      default:
        create();
        if (one_of(2) == 0) run(static_cast<int>(one_of(3)));
    }
    EXPECT_TRUE(loop_->check_invariants());
  }
  faults.fail_none();
  for (Watcher& other : others) {
    if (other.source) other.source->unref();
  }
  while (loop_->run(0) > 0) continue;
  EXPECT_EQ(always.names, created_);
  always.source->unref();
}

// The kernel has dropped the watch, and nobody has read that yet.
TEST_F(InotifyBacklogs, a_watch_that_takes_the_place_of_a_dropped_one_is_taken_back_where_memory_is_short) {
  bool added = false;
  for (int nth = 0; !added; ++nth) {
    ASSERT_LT(nth, 50);
    Watcher old;
    Watcher fresh;
    add(old);
    InotifyQueue& queue = *old.source->level().inotify;
    // Their numbers go up by one with each.
    int wd = 1;
    while (::inotify_rm_watch(queue.fd(), wd) < 0) ASSERT_LT(++wd, 200);
    const int path = InotifySource::open_path(directory_.c_str(), IN_CREATE);
    const int n_fds = test::count_fds();
    {
      test::Faults faults;
      faults.fail(kernel::Call::kMalloc, -ENOMEM, nth);
      const int r = InotifySource::add(*loop_, &fresh.source, path, nullptr, IN_CREATE, on_event, &fresh);
      added = !faults.injected();
      EXPECT_EQ(r, added ? 0 : -ENOMEM);
    }
    if (!added) {
      EXPECT_LE(test::count_fds(), n_fds);
      EXPECT_TRUE(loop_->check_invariants());
      ASSERT_EQ(InotifySource::add(*loop_, &fresh.source, path, nullptr, IN_CREATE, on_event, &fresh), 0);
    }
    (void)::close(path);
    create();
    run(4);
    EXPECT_EQ(fresh.names, Names{created_.back()});
    old.source->unref();
    fresh.source->unref();
  }
}

}  // namespace
}  // namespace evenkeel
