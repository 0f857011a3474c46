// SPDX-License-Identifier: MIT
//
// Clocks that step: somebody sets the time, forwards and back, or the machine sleeps. Nothing of the machine is
// touched.
//
// Idea: this program has a `clock_gettime` of its own, which adds an offset to each clock; the engine, which is linked
// into it, reads the time by it. A timer of CLOCK_REALTIME is due by what that clock says now, whatever it has said
// before; a suspend is an hour that only CLOCK_BOOTTIME and CLOCK_REALTIME have seen. What sleeps on a timerfd is the
// kernel's business and no part of this.
#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <algorithm>
#include <random>
#include <vector>

#include "src/loop_testing.h"

namespace {
int64_t steps_usec[16];  // By clock.
}

#ifdef SYS_clock_gettime64
constexpr long kClockGettime = SYS_clock_gettime64;
#else
constexpr long kClockGettime = SYS_clock_gettime;
#endif

// The C library's, for all of this program.
extern "C" int clock_gettime(clockid_t id, struct timespec* ts) noexcept {
  if (::syscall(kClockGettime, id, ts) < 0) return -1;
  if (id < 0 || id >= 16) return 0;
  const int64_t usec = ts->tv_sec * 1'000'000 + ts->tv_nsec / 1000 + steps_usec[id];
  ts->tv_sec = usec / 1'000'000;
  ts->tv_nsec = static_cast<long>(usec % 1'000'000 * 1000);
  return 0;
}

namespace evenkeel {
namespace {

constexpr int64_t kHour = 3'600'000'000;

class LimitsOfTime : public test::DispatchTest {
 protected:
  void SetUp() override {
    DispatchTest::SetUp();
    for (int64_t& step : steps_usec) step = 0;
  }
  void TearDown() override {
    DispatchTest::TearDown();
    for (int64_t& step : steps_usec) step = 0;
  }
  static Usec now_of(clockid_t clock) {
    struct timespec ts = {};
    (void)::clock_gettime(clock, &ts);
    return to_usec(ts);
  }
  static void step(clockid_t clock, int64_t usec) { steps_usec[clock] += usec; }
  static void suspend(int64_t usec) {
    step(CLOCK_BOOTTIME, usec);
    step(CLOCK_REALTIME, usec);
  }
  TimeSource* timer(clockid_t clock, Usec time, const char* name) {
    return static_cast<TimeSource*>(keep(add_time(time, say(name), 0, clock)));
  }
};

TEST_F(LimitsOfTime, a_step_forwards_elapses_what_is_due_by_it_and_nothing_of_other_clocks) {
  timer(CLOCK_REALTIME, now_of(CLOCK_REALTIME) + kHour, "r");
  timer(CLOCK_BOOTTIME, now_of(CLOCK_BOOTTIME) + kHour, "b");
  timer(CLOCK_MONOTONIC, now_of(CLOCK_MONOTONIC) + kHour, "m");
  EXPECT_EQ(drain(), 0);
  step(CLOCK_REALTIME, kHour - 60'000'000);
  EXPECT_EQ(drain(), 0) << "a minute is left";
  step(CLOCK_REALTIME, 60'000'000);
  EXPECT_EQ(drain(), 1);
  EXPECT_EQ(said_, "r");
  EXPECT_TRUE(loop_->check_invariants());
}

TEST_F(LimitsOfTime, a_step_back_puts_off_what_was_near_and_makes_nothing_elapse_twice) {
  TimeSource* source = timer(CLOCK_REALTIME, now_of(CLOCK_REALTIME) + kHour, "r");
  step(CLOCK_REALTIME, kHour);
  EXPECT_EQ(drain(), 1);
  step(CLOCK_REALTIME, -2 * kHour);
  EXPECT_EQ(source->set_enabled(Enabled::kOneshot), 0);
  EXPECT_EQ(drain(), 0) << "its time is two hours away again";
  step(CLOCK_REALTIME, 2 * kHour);
  EXPECT_EQ(drain(), 1);
  step(CLOCK_REALTIME, -kHour);
  step(CLOCK_REALTIME, kHour);
  EXPECT_EQ(drain(), 0);
  EXPECT_EQ(said_, "rr");
}

TEST_F(LimitsOfTime, what_is_pending_stays_so_when_the_clock_is_set_back_before_its_dispatch) {
  timer(CLOCK_REALTIME, now_of(CLOCK_REALTIME), "r");
  EXPECT_EQ(loop_->prepare(), 0);
  EXPECT_EQ(loop_->wait(0), 1);
  step(CLOCK_REALTIME, -kHour);
  EXPECT_EQ(loop_->dispatch(), 1);
  EXPECT_EQ(said_, "r");
  EXPECT_EQ(drain(), 0);
}

TEST_F(LimitsOfTime, a_suspend_elapses_timers_of_the_clocks_that_have_seen_it) {
  timer(CLOCK_MONOTONIC, now_of(CLOCK_MONOTONIC) + kHour, "m");
  timer(CLOCK_BOOTTIME, now_of(CLOCK_BOOTTIME) + kHour, "b");
  timer(CLOCK_REALTIME, now_of(CLOCK_REALTIME) + kHour + 1'000'000, "r");
  EXPECT_EQ(drain(), 0);
  suspend(kHour);
  EXPECT_EQ(drain(), 1);
  EXPECT_EQ(said_, "b");
  suspend(1'000'000);
  EXPECT_EQ(drain(), 1);
  EXPECT_EQ(said_, "br");
  step(CLOCK_MONOTONIC, kHour);
  EXPECT_EQ(drain(), 1);
  EXPECT_EQ(said_, "brm");
}

TEST_F(LimitsOfTime, the_time_of_an_iteration_stays_and_the_next_one_sees_the_step) {
  keep(add_defer(handler([&](Source*) {
    Usec before = 0;
    Usec after = 0;
    EXPECT_EQ(loop_->now(CLOCK_REALTIME, &before), 0);
    step(CLOCK_REALTIME, -kHour);
    EXPECT_EQ(loop_->now(CLOCK_REALTIME, &after), 0);
    EXPECT_EQ(before, after);
    return 0;
  })));
  Usec before = 0;
  Usec after = 0;
  run(1);
  EXPECT_EQ(loop_->now(CLOCK_REALTIME, &before), 0);
  EXPECT_EQ(loop_->run(0), 0);
  EXPECT_EQ(loop_->now(CLOCK_REALTIME, &after), 0);
  EXPECT_LT(after, before);
}

TEST_F(LimitsOfTime, a_clock_set_to_its_beginning_is_no_time_after_the_end) {
  step(CLOCK_REALTIME, -static_cast<int64_t>(now_of(CLOCK_REALTIME)));
  timer(CLOCK_REALTIME, kHour, "r");
  EXPECT_EQ(drain(), 0);
  Usec now = kForever;
  EXPECT_EQ(loop_->now(CLOCK_REALTIME, &now), 0);
  EXPECT_LT(now, static_cast<Usec>(kHour));
  step(CLOCK_REALTIME, kHour);
  EXPECT_EQ(drain(), 1);
}

TEST_F(LimitsOfTime, a_rate_limit_and_the_watchdog_do_not_care_for_the_time_of_day) {
  ASSERT_EQ(setenv("WATCHDOG_USEC", "4000000000", 1), 0);
  ASSERT_EQ(setenv("NOTIFY_SOCKET", "@evenkeel-nobody", 1), 0);
  Source* source = keep(add_defer(say("d"), 0, Enabled::kOn));
  EXPECT_EQ(source->set_rate_limit(kHour, 1), 0);
  test::Faults faults;
  EXPECT_EQ(loop_->set_watchdog(true), 1);
  run(2);
  EXPECT_TRUE(source->rate_limited());
  suspend(24 * kHour);
  EXPECT_EQ(drain(10), 0);
  suspend(-48 * kHour);
  EXPECT_EQ(drain(10), 0);
  EXPECT_EQ(faults.n(kernel::Call::kSendmsg), 1) << "the first";
  step(CLOCK_MONOTONIC, kHour);
  EXPECT_EQ(loop_->run(0), 1);
  EXPECT_EQ(said_, "dd");
  EXPECT_EQ(faults.n(kernel::Call::kSendmsg), 2);
  EXPECT_EQ(loop_->set_watchdog(false), 0);
  ASSERT_EQ(unsetenv("WATCHDOG_USEC"), 0);
  ASSERT_EQ(unsetenv("NOTIFY_SOCKET"), 0);
}

// A naive model: a one-shot timer elapses in the first iteration at whose time it is due.
TEST_F(LimitsOfTime, whatever_way_the_clock_goes_each_timer_elapses_once_and_when_it_is_due) {
  constexpr size_t kTimers = 60;
  constexpr clockid_t kClocks[] = {CLOCK_REALTIME, CLOCK_BOOTTIME};
  std::mt19937_64 random(7);
  struct Model {
    TimeSource* source = nullptr;
    clockid_t clock = 0;
    Usec time = 0;
    int n_calls = 0;
    bool expected = false;
  };
  std::vector<Model> models(kTimers);
  for (Model& model : models) {
    model.clock = kClocks[random() % 2];
    model.time = now_of(model.clock) + 1000 * kHour;
    model.source = static_cast<TimeSource*>(
        keep(add_time(model.time, handler([&](Source*) { return ++model.n_calls, 0; }), 0, model.clock)));
  }
  for (int round = 0; round < 500; ++round) {
    for (const clockid_t clock : kClocks) step(clock, static_cast<int64_t>(random() % (20 * kHour)) - 9 * kHour);
    for (int i = 0; i < 5; ++i) {
      Model& model = models[static_cast<size_t>(random() % kTimers)];
      // Hours away from now on either side: a microsecond of the test itself decides nothing.
      const int64_t away = (static_cast<int64_t>(random() % 40) - 20) * kHour + kHour / 2;
      model.time = now_of(model.clock) + static_cast<Usec>(away);
      model.source->set_time(model.time);
      EXPECT_EQ(model.source->set_enabled(Enabled::kOneshot), 0);
      model.expected = false;
      model.n_calls = 0;
    }
    // Where a step has brought a timer close to now, the test does not know either.
    const auto is_close = [](const Model& model) {
      const Usec now = now_of(model.clock);
      return !model.expected && (now > model.time ? now - model.time : model.time - now) < 60'000'000;
    };
    for (auto close = models.begin(); close != models.end();) {
      close = std::find_if(models.begin(), models.end(), is_close);
      if (close != models.end()) step(close->clock, 120'000'000);
    }
    for (Model& model : models) model.expected |= now_of(model.clock) >= model.time;
    drain();
    for (const Model& model : models) ASSERT_EQ(model.n_calls, model.expected ? 1 : 0) << "round " << round;
    ASSERT_TRUE(loop_->check_invariants());
  }
}

}  // namespace
}  // namespace evenkeel
