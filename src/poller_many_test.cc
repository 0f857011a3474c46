// SPDX-License-Identifier: MIT
//
// Unit tests of poller.h and loop.h: more is ready than one call of the kernel tells.
//
// Idea: 1,500 descriptors become ready in an order that is known. What did not fit into the first call may wait for its
// turn only while nothing of it could go before what did.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <random>
#include <vector>

#include "src/poller.h"
#include "src/poller_testing.h"

namespace evenkeel {
namespace {

using kernel::Call;

class PollerMany : public test::PollerFixture {
 protected:
  static constexpr size_t kMany = 1500;

  void SetUp() override {
    PollerFixture::SetUp();
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
    if (before_.rlim_max < kMany + 200) GTEST_SKIP() << "this process may not have " << kMany << " descriptors";
    struct rlimit wanted = before_;
    wanted.rlim_cur = std::max<rlim_t>(before_.rlim_cur, kMany + 200);
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &wanted), 0);
    for (size_t i = 0; i < kMany; ++i) {
      test::EventFd& event = event_fd();
      events_.push_back(&event);
      sources_.push_back(add_io(event.fd(), handler([&event, this, i](Source*) {
                                  event.clear();
                                  served_.push_back(i);
                                  return 0;
                                })));
      order_.push_back(i);
    }
    EXPECT_EQ(loop_->run(0), 0);
    std::shuffle(order_.begin(), order_.end(), std::mt19937(1));
  }
  void TearDown() override {
    for (Source* source : sources_) source->unref();
    for (test::EventFd* event : events_) event->close();
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before_), 0);
    PollerFixture::TearDown();
  }
  Source& last() { return *sources_[order_.back()]; }
  void make_ready() {
    for (const size_t i : order_) events_[i]->set();
  }
  void run(size_t n) {
    for (size_t i = 0; i < n; ++i) ASSERT_EQ(loop_->run(0), 1);
  }
  void last_is_first() { std::rotate(order_.begin(), order_.end() - 1, order_.end()); }
  void expect_all_served() {
    EXPECT_EQ(served_, order_);
    EXPECT_EQ(loop_->run(0), 0);
    expect_sound();
  }

  std::vector<test::EventFd*> events_;
  std::vector<Source*> sources_;
  std::vector<size_t> order_;  // In which they become ready.
  std::vector<size_t> served_;

 private:
  struct rlimit before_ = {};
};

TEST_F(PollerMany, equals_are_served_in_the_order_of_the_kernel_by_as_few_calls_as_that_takes) {
  make_ready();
  test::Faults faults;
  run(kMany);
  EXPECT_EQ(faults.n(Call::kEpollWait), 2);
  EXPECT_EQ(faults.n_system_calls(), 2);
  expect_all_served();
}

TEST_F(PollerMany, the_most_important_one_is_first_though_the_kernel_tells_of_it_last) {
  EXPECT_EQ(last().set_priority(-1), 0);
  make_ready();
  test::Faults faults;
  run(1);
  EXPECT_EQ(faults.n(Call::kEpollWait), 1) << "the rest waits";
  EXPECT_EQ(faults.n(Call::kPoll), 1) << "it was asked for by itself";
  run(kMany - 1);
  last_is_first();
  expect_all_served();
}

TEST_F(PollerMany, the_rest_does_not_wait_where_epoll_alone_knows_what_is_important) {
  EXPECT_EQ(static_cast<IoSource&>(last()).set_events(EPOLLIN | EPOLLET), 0);
  EXPECT_EQ(last().set_priority(-1), 0);
  make_ready();
  test::Faults faults;
  run(1);
  EXPECT_EQ(faults.n(Call::kEpollWait), 3) << "a small one, and the rest";
  run(kMany - 1);
  last_is_first();
  expect_all_served();
}

TEST_F(PollerMany, an_unimportant_one_of_the_first_call_waits_for_all_of_the_rest) {
  EXPECT_EQ(sources_[order_.front()]->set_priority(1), 0);
  make_ready();
  run(kMany);
  std::rotate(order_.begin(), order_.begin() + 1, order_.end());
  expect_all_served();
}

TEST_F(PollerMany, a_source_that_an_event_has_turned_off_is_reported_by_the_rest_and_no_reason_for_a_new_set) {
  // Its child has died and was reaped by somebody else: the first look at it turns it off. More sources than poll(2) is
  // asked about are better, so that the rest is fetched, and what is ready still is reported again.
  const int pidfd = kernel::pidfd_open(::getpid());
  if (pidfd < 0) GTEST_SKIP() << "no pidfds here";
  (void)kernel::close(pidfd);
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(0);
  siginfo_t info;
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT), 0);
  Source* child = nullptr;
  ASSERT_EQ(ChildSource::add(*loop_, &child, pid, WEXITED, nullptr, nullptr), 0);
  ASSERT_EQ(::waitpid(pid, nullptr, 0), pid);
  constexpr size_t kBetter = 200;
  for (size_t i = 0; i < kBetter; ++i) EXPECT_EQ(sources_[i]->set_priority(-1), 0);
  for (size_t i = kBetter; i < kBetter + 100; ++i) events_[i]->set();
  test::Faults faults;
  run(1);
  EXPECT_EQ(child->enabled(), Enabled::kOff);
  EXPECT_EQ(faults.n(Call::kEpollWait), 2);
  EXPECT_EQ(faults.n(Call::kEpollCreate), 0);
  run(99);
  EXPECT_EQ(loop_->run(0), 0);
  expect_sound();
  child->unref();
}

TEST_F(PollerMany, who_looks_at_what_is_pending_sees_the_rest_too) {
  make_ready();
  EXPECT_EQ(loop_->prepare(), 0);
  EXPECT_EQ(loop_->wait(0), 1);
  EXPECT_FALSE(last().is_pending());
  loop_->look();
  EXPECT_TRUE(std::all_of(sources_.begin(), sources_.end(), [](Source* source) { return source->is_pending(); }));
  EXPECT_EQ(loop_->dispatch(), 1);
  run(kMany - 1);
  expect_all_served();
}

}  // namespace
}  // namespace evenkeel
