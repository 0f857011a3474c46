// SPDX-License-Identifier: MIT
//
// Unit tests of rate_limit.h.
//
// Idea: an interval of an hour never ends while a test runs, so what happens within one is tested without a clock;
// where the end matters the interval is short, and the test waits for the loop to say that it is over.
#include "src/rate_limit.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "src/loop_testing.h"

namespace evenkeel {
namespace {

using kernel::Call;

constexpr Usec kHour = 3600 * kUsecPerSec;

class RateLimitTest : public test::LoopTest {
 protected:
  void run(int n) {
    for (int i = 0; i < n; ++i) {
      ASSERT_EQ(loop_->run(0), 1);
      ASSERT_TRUE(loop_->check_invariants());
    }
  }
  Source* add_limited(unsigned burst, Usec interval = kHour, const char* name = "x", Priority priority = 0) {
    Source* source = add_defer(say(name), priority, Enabled::kOn);
    EXPECT_EQ(source->set_rate_limit(interval, burst), 0);
    return source;
  }
};

TEST_F(RateLimitTest, after_its_burst_a_source_is_offline_and_its_event_waits_with_it) {
  Source* source = add_limited(3);
  run(4);
  EXPECT_EQ(said_, "xxx");
  EXPECT_TRUE(source->rate_limited());
  EXPECT_FALSE(source->armed());
  EXPECT_TRUE(source->has_event());
  EXPECT_EQ(source->enabled(), Enabled::kOn);
  EXPECT_EQ(loop_->run(0), 0);
  source->unref();
}

TEST_F(RateLimitTest, a_limit_of_no_length_or_of_no_burst_is_none_and_takes_no_descriptor) {
  test::Faults faults;
  Source* source = add_limited(0);
  run(5);
  EXPECT_EQ(source->set_rate_limit(0, 5), 0);
  EXPECT_FALSE(source->rate_limit()->configured());
  run(10);
  EXPECT_EQ(said_.size(), 15U);
  EXPECT_EQ(faults.n(Call::kTimerfdCreate), 0);
  source->unref();
}

TEST_F(RateLimitTest, whose_interval_ends_first_comes_back_first) {
  Source* late = add_limited(1);
  Source* soon = add_limited(1, 100 * kUsecPerMsec);
  while (!late->rate_limited() || !soon->rate_limited()) ASSERT_GE(loop_->run(kForever), 0);
  while (soon->rate_limited()) ASSERT_GE(loop_->run(kForever), 0);
  EXPECT_TRUE(late->rate_limited());
  for (Source* source : {late, soon}) source->unref();
}

TEST_F(RateLimitTest, a_signal_that_is_held_back_comes_back_at_another_priority_without_a_descriptor_more) {
  if (!test::alone()) return;  // It changes a limit of the process.
  Source* source = nullptr;
  ASSERT_EQ(SignalSource::add(*loop_, &source, SIGUSR2 | SignalSource::kBlock, test::Handler::signal, say("s")), 0);
  ASSERT_EQ(source->set_rate_limit(kHour, 1), 0);
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(::raise(SIGUSR2), 0);
    while (loop_->run(0) > 0) continue;
  }
  ASSERT_TRUE(source->rate_limited());
  ASSERT_EQ(source->set_priority(7), 0);
  struct rlimit usual;
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &usual), 0);
  const struct rlimit none = {0, usual.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  EXPECT_EQ(source->set_rate_limit(0, 0), 0);
  EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &usual), 0);
  EXPECT_EQ(source->enabled(), Enabled::kOn);
  run(1);
  EXPECT_EQ(said_, "ss");
  source->unref();
}

// The second dispatch of a batch, of which nobody has asked the time when its limit begins to count.
TEST_F(RateLimitTest, a_limit_ends_no_sooner_than_the_time_of_its_first_dispatch_and_its_interval_say) {
  Source* first = add_defer(say("f"));
  Usec began = 0;
  Source* limited = add_defer(handler([&](Source*) {
    const Usec start = test::monotonic();
    while (test::monotonic() < start + kUsecPerMsec) continue;
    EXPECT_EQ(loop_->now(CLOCK_MONOTONIC, &began), 0);
    return 0;
  }));
  EXPECT_EQ(limited->set_enabled(Enabled::kOn), 0);
  EXPECT_EQ(limited->set_rate_limit(kHour, 1), 0);
  run(3);
  EXPECT_EQ(said_, "f");
  EXPECT_TRUE(limited->rate_limited());
  EXPECT_GE(loop_->rate_limits().next_end(), began + kHour);
  for (Source* source : {first, limited}) source->unref();
}

TEST_F(RateLimitTest, leaving_early_starts_the_count_over) {
  Source* source = add_limited(2);
  EXPECT_EQ(loop_->rate_limits().leave(*source), 0);
  run(3);
  EXPECT_EQ(said_, "xx");
  EXPECT_EQ(loop_->rate_limits().leave(*source), 1);
  EXPECT_TRUE(source->is_pending());
  EXPECT_EQ(loop_->rate_limits().leave(*source), 0);
  run(3);
  EXPECT_EQ(said_, "xxxx");
  EXPECT_TRUE(source->rate_limited());
  source->unref();
}

TEST_F(RateLimitTest, a_new_limit_brings_the_source_back) {
  Source* source = add_limited(1);
  run(2);
  EXPECT_TRUE(source->rate_limited());
  EXPECT_EQ(source->set_rate_limit(kHour, 2), 0);
  EXPECT_FALSE(source->rate_limited());
  run(3);
  EXPECT_EQ(said_, "xxx");
  EXPECT_EQ(source->set_rate_limit(0, 0), 0);
  run(5);
  EXPECT_EQ(said_, "xxxxxxxx");
  source->unref();
}

TEST_F(RateLimitTest, what_is_turned_off_while_it_is_offline_comes_back_off_and_without_its_event) {
  Source* source = add_limited(1);
  run(2);
  EXPECT_EQ(source->set_enabled(Enabled::kOff), 0);
  EXPECT_FALSE(source->has_event());
  EXPECT_TRUE(source->rate_limited());
  EXPECT_TRUE(loop_->check_invariants());
  EXPECT_EQ(loop_->rate_limits().leave(*source), 1);
  EXPECT_FALSE(source->armed());
  EXPECT_EQ(loop_->run(0), 0);
  EXPECT_EQ(source->set_enabled(Enabled::kOn), 0);
  run(1);
  EXPECT_EQ(said_, "xx");
  source->unref();
}

TEST_F(RateLimitTest, what_is_turned_on_while_it_is_offline_waits_for_the_end) {
  Source* source = add_limited(1);
  run(2);
  EXPECT_EQ(source->set_enabled(Enabled::kOff), 0);
  EXPECT_EQ(source->set_enabled(Enabled::kOn), 0);
  EXPECT_TRUE(loop_->check_invariants());
  EXPECT_EQ(loop_->run(0), 0);
  EXPECT_EQ(loop_->rate_limits().leave(*source), 1);
  run(1);
  EXPECT_EQ(said_, "xx");
  source->unref();
}

TEST_F(RateLimitTest, a_source_comes_back_to_the_place_of_its_age) {
  Source* source = add_limited(1);
  run(2);
  Source* younger = add_defer(say("y"));
  EXPECT_EQ(loop_->rate_limits().leave(*source), 1);
  run(2);
  EXPECT_EQ(said_, "xxy");
  source->unref();
  younger->unref();
}

TEST_F(RateLimitTest, a_source_may_change_its_priority_or_go_while_it_is_offline) {
  Source* moved = add_limited(1);
  Source* freed = add_limited(1);
  run(4);
  EXPECT_TRUE(moved->rate_limited() && freed->rate_limited());
  EXPECT_EQ(moved->set_priority(7), 0);
  EXPECT_TRUE(loop_->check_invariants());
  freed->unref();
  EXPECT_TRUE(loop_->check_invariants());
  EXPECT_EQ(loop_->rate_limits().leave(*moved), 1);
  run(1);
  EXPECT_EQ(said_, "xxx");
  moved->unref();
}

TEST_F(RateLimitTest, a_time_that_is_set_while_the_timer_is_offline_takes_its_event_away) {
  Source* source = add_time(1, say("t"));
  EXPECT_EQ(source->set_enabled(Enabled::kOn), 0);
  EXPECT_EQ(source->set_rate_limit(kHour, 1), 0);
  run(2);
  EXPECT_TRUE(source->has_event());
  static_cast<TimeSource*>(source)->set_time(kForever);
  EXPECT_FALSE(source->has_event());
  EXPECT_TRUE(loop_->check_invariants());
  EXPECT_EQ(loop_->rate_limits().leave(*source), 1);
  EXPECT_EQ(loop_->run(0), 0);
  EXPECT_EQ(said_, "t");
  source->unref();
}

TEST_F(RateLimitTest, an_offline_descriptor_is_not_watched) {
  test::EventFd& event = event_fd();
  event.set();
  Source* source = add_io(event.fd(), say("i"));
  EXPECT_EQ(source->set_rate_limit(kHour, 2), 0);
  run(3);
  EXPECT_EQ(said_, "ii");
  EXPECT_EQ(loop_->run(1), 0);  // The first timeout may find out that there is no exact wait here.
  test::Faults faults;
  EXPECT_EQ(loop_->run(20 * kUsecPerMsec), 0) << "the descriptor is ready and does not wake the loop";
  EXPECT_EQ(faults.n(Call::kEpollWait), 1);
  EXPECT_EQ(loop_->rate_limits().leave(*source), 1);
  run(1);
  EXPECT_EQ(said_, "iii");
  source->unref();
}

TEST_F(RateLimitTest, a_source_that_can_not_be_watched_again_comes_back_off) {
  test::EventFd& event = event_fd();
  event.set();
  Source* source = add_io(event.fd(), say("i"));
  EXPECT_EQ(source->set_rate_limit(kHour, 1), 0);
  run(2);
  EXPECT_EQ(loop_->run(0), 0);
  event.close();
  EXPECT_EQ(loop_->rate_limits().leave(*source), -EBADF);
  EXPECT_EQ(source->enabled(), Enabled::kOff);
  EXPECT_FALSE(source->rate_limited());
  EXPECT_TRUE(loop_->check_invariants());
  source->unref();
}

TEST_F(RateLimitTest, a_source_that_can_not_be_watched_again_at_the_end_of_its_interval_is_off) {
  for (const bool exit_on_failure : {false, true}) {
    test::EventFd& event = event_fd();
    event.set();
    Source* source = add_io(event.fd(), say("i"));
    source->set_exit_on_failure(exit_on_failure);
    EXPECT_EQ(source->set_rate_limit(2 * kUsecPerMsec, 1), 0);
    EXPECT_EQ(source->set_rate_limit_expired([](Source*, void*) {
      ADD_FAILURE() << "it is not back";
      return 0;
    }),
              0);
    while (!source->rate_limited()) ASSERT_GE(loop_->run(kForever), 0);
    event.close();
    while (source->enabled() != Enabled::kOff) ASSERT_GE(loop_->run(kForever), 0);
    EXPECT_FALSE(source->rate_limited());
    EXPECT_FALSE(source->has_event());
    EXPECT_EQ(loop_->exit_requested(), exit_on_failure);
    EXPECT_TRUE(loop_->check_invariants());
    source->unref();
  }
  EXPECT_EQ(loop_->run_until_finished(), -EBADF);
}

TEST_F(RateLimitTest, a_new_limit_is_refused_when_the_source_can_not_be_watched_again) {
  test::EventFd& event = event_fd();
  event.set();
  Source* source = add_io(event.fd(), say("i"));
  EXPECT_EQ(source->set_rate_limit(kHour, 1), 0);
  run(2);
  EXPECT_EQ(loop_->run(0), 0);
  event.close();
  EXPECT_EQ(source->set_rate_limit(kHour, 2), -EBADF);
  EXPECT_EQ(source->enabled(), Enabled::kOff);
  EXPECT_TRUE(loop_->check_invariants());
  source->unref();
}

TEST_F(RateLimitTest, the_end_of_the_interval_wakes_a_sleeping_loop_and_calls_back_before_the_source) {
  Source* source = add_limited(1, 500 * kUsecPerMsec);  // Not over before it is looked at.
  EXPECT_EQ(source->set_rate_limit_expired([](Source* self, void* data) {
    EXPECT_FALSE(self->rate_limited());
    static_cast<std::string*>(data)->push_back('e');
    return 0;
  }),
            0);
  test::Handler* then = static_cast<test::Handler*>(source->userdata);
  source->userdata = then;
  run(2);
  EXPECT_TRUE(source->rate_limited());
  source->userdata = &said_;
  Source* first = add_exit(say(""));  // Never runs; the loop is not empty.
  while (said_.find('e') == std::string::npos) {
    ASSERT_EQ(loop_->prepare(), 0);
    ASSERT_GE(loop_->wait(kForever), 0);
    if (loop_->state() == Loop::State::kPending) break;
  }
  EXPECT_EQ(said_, "xe");
  source->userdata = then;
  ASSERT_EQ(loop_->dispatch(), 1);
  EXPECT_EQ(said_, "xe") << "the callback for the end was this iteration's";
  run(1);
  EXPECT_EQ(said_, "xex");
  source->unref();
  first->unref();
}

TEST_F(RateLimitTest, many_sources_whose_intervals_end_together_all_come_back) {
  constexpr size_t kMany = 200;
  static size_t n_expired;
  n_expired = 0;
  std::vector<Source*> sources;
  for (size_t i = 0; i < kMany; ++i) {
    sources.push_back(add_limited(1, 20 * kUsecPerMsec));
    EXPECT_EQ(sources.back()->set_rate_limit_expired([](Source* self, void*) {
      ++n_expired;
      return self->set_enabled(Enabled::kOneshot);
    }),
              0);
  }
  while (n_expired < kMany) ASSERT_GE(loop_->run(kForever), 0);
  EXPECT_TRUE(loop_->check_invariants());
  EXPECT_GE(said_.size(), kMany);
  for (Source* source : sources) source->unref();
}

}  // namespace
}  // namespace evenkeel
