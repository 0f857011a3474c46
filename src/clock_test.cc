// SPDX-License-Identifier: MIT
//
// Unit tests of clock.h.
//
// Idea: `shared_wakeup` is a pure function, so its properties are tested with random windows and offsets: the result
// lies in the window, on the coarsest grid that has a point there before the end, and is the last such point. The
// reference is a search that tries the points one by one. Then what the loop makes of it: which value a timerfd gets,
// and how often.
#include "src/clock.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "src/proc_text.h"
#include "src/testing.h"

namespace evenkeel {
namespace {

using kernel::Call;

constexpr Usec kMinute = 60 * kUsecPerSec;
constexpr Usec kGrids[] = {kMinute, 10 * kUsecPerSec, kUsecPerSec, 250 * kUsecPerMsec};

// The last point of the grid in the window and before its end; kForever if there is none. Walks by whole steps from the
// first point of all.
Usec last_point(Window window, Usec offset, Usec grid) {
  const Usec phase = offset % grid;
  if (window.latest <= phase) return kForever;
  const Usec n = (window.latest - 1 - phase) / grid;
  const Usec point = phase + n * grid;
  return point >= window.earliest ? point : kForever;
}

void expect_good(Window window, Usec offset) {
  SCOPED_TRACE(testing::Message() << '[' << window.earliest << ", " << window.latest << "] offset " << offset);
  const Usec wake = shared_wakeup(window, offset);
  ASSERT_GE(wake, window.earliest);
  ASSERT_LE(wake, window.latest);
  for (const Usec grid : kGrids) {
    const Usec point = last_point(window, offset, grid);
    if (point == kForever) continue;
    ASSERT_EQ(wake, point) << "grid " << grid;
    return;
  }
  ASSERT_EQ(wake, window.latest);
}

TEST(SharedWakeup, is_the_last_point_of_the_coarsest_grid_in_the_window) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 200'000; ++i) {
    const Usec earliest = random() >> (random() % 64);
    const Usec span = random() >> (random() % 64);
    const Window window = {earliest, saturating_add(earliest, span)};
    if (window.latest == kForever) continue;
    expect_good(window, random() % kMinute);
    if (HasFatalFailure()) return;
  }
}

TEST(SharedWakeup, holds_for_windows_of_the_size_of_each_grid) {
  std::mt19937_64 random(2);
  for (const Usec grid : kGrids) {
    for (int i = 0; i < 20'000; ++i) {
      const Usec earliest = random() % (365 * 24 * 60 * kMinute);
      const Usec span = grid - 2 + random() % 4;
      expect_good({earliest, earliest + span}, i % 2 == 0 ? 0 : random() % kMinute);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(SharedWakeup, holds_at_the_beginning_of_time) {
  for (Usec earliest = 0; earliest < 3; ++earliest)
    for (const Usec latest :
         {Usec{0}, Usec{1}, Usec{2}, 250 * kUsecPerMsec - 1, 250 * kUsecPerMsec, kUsecPerSec, kMinute})
      for (const Usec offset : {Usec{0}, Usec{1}, 250 * kUsecPerMsec - 1, kUsecPerSec, kMinute - 1})
        if (latest >= earliest) expect_good({earliest, latest}, offset);
}

TEST(SharedWakeup, holds_at_the_end_of_time) {
  for (const Usec before : {Usec{1}, Usec{2}, Usec{3}, kUsecPerSec, kMinute, kMinute + 1})
    for (const Usec span : {Usec{0}, Usec{1}, 250 * kUsecPerMsec, kMinute, 2 * kMinute})
      for (const Usec offset : {Usec{0}, Usec{1}, kMinute - 1}) {
        const Usec latest = kForever - before;
        expect_good({latest - span, latest}, offset);
      }
}

TEST(SharedWakeup, a_window_without_end_wakes_nobody) {
  EXPECT_EQ(shared_wakeup({5, kForever}, 0), kForever);
  EXPECT_EQ(shared_wakeup({kForever, kForever}, 17), kForever);
  EXPECT_EQ(shared_wakeup({0, kForever}, kMinute - 1), kForever);
}

TEST(SharedWakeup, a_window_of_no_width_wakes_at_its_only_moment) {
  for (const Usec at : {Usec{0}, Usec{1}, Usec{123'456'789}, kForever - 1})
    EXPECT_EQ(shared_wakeup({at, at}, 4711), at);
}

TEST(SharedWakeup, of_two_windows_that_were_joined_the_end_is_the_earlier_one) {
  // The window may be closed before it opens: what is due first must not wait for what may be late.
  EXPECT_EQ(shared_wakeup({50, 40}, 0), 40U);
  const Window joined = Window{100, 200}.joined({150, 160});
  EXPECT_EQ(joined.earliest, 100U);
  EXPECT_EQ(joined.latest, 160U);
  const Window with_none = Window{100, 200}.joined({});
  EXPECT_EQ(with_none.earliest, 100U);
  EXPECT_EQ(with_none.latest, 200U);
}

TEST(SharedWakeup, two_processes_of_one_machine_meet) {
  // Different timers whose windows hold the same minute of the machine.
  const Usec offset = 17 * kUsecPerSec + 123;
  const Usec one = shared_wakeup({10 * kMinute, 11 * kMinute + 20 * kUsecPerSec}, offset);
  const Usec other = shared_wakeup({10 * kMinute + 5 * kUsecPerSec, 11 * kMinute + 59 * kUsecPerSec}, offset);
  EXPECT_EQ(one, 11 * kMinute + offset);
  EXPECT_EQ(one, other);
}

Usec boot_id_by_hand() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  file >> id;
  return parse_boot_id(id);
}

// The offset is read once a process.
void expect_no_offset(Call call, int error) {
  if (!test::alone()) return;
  test::Faults faults;
  faults.fail(call, error, 0, 1000);
  EXPECT_EQ(boot_offset(), 0U);
  EXPECT_EQ(boot_offset(), 0U);
  EXPECT_EQ(faults.n(Call::kOpen), 1) << "it is asked for once";
}

TEST(BootOffset, is_zero_where_the_boot_id_cannot_be_opened) { expect_no_offset(Call::kOpen, -ENOENT); }

TEST(BootOffset, is_zero_where_the_boot_id_cannot_be_read) { expect_no_offset(Call::kRead, -EIO); }

TEST(BootOffset, is_asked_for_again_when_descriptors_were_short) {
  if (!test::alone()) return;
  const Usec known = boot_id_by_hand();
  test::Faults faults;
  faults.fail(Call::kOpen, -EMFILE, 0, 2);
  EXPECT_EQ(boot_offset(), 0U);
  EXPECT_EQ(boot_offset(), 0U);
  EXPECT_EQ(boot_offset(), known);
  EXPECT_EQ(boot_offset(), known);
  EXPECT_EQ(faults.n(Call::kOpen), 3);
}

TEST(BootOffset, is_below_a_minute) { EXPECT_LT(boot_offset(), kMinute); }

class ClockTest : public test::LoopTest {
 protected:
  static Usec now() {
    struct timespec ts = {};
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return to_usec(ts);
  }
  void expect_wakeup_in(Window window) {
    const int fd = loop_->clocks().monotonic().fd();
    struct itimerspec left = {};
    const Usec before = now();
    ASSERT_EQ(timerfd_gettime(fd, &left), 0);
    const Usec after = now();
    EXPECT_GE(to_usec(left.it_value) + after + 1, window.earliest);  // The rest is rounded down.
    EXPECT_LE(to_usec(left.it_value) + before, window.latest);
  }
  bool programmed() {
    struct itimerspec left = {};
    EXPECT_EQ(timerfd_gettime(loop_->clocks().monotonic().fd(), &left), 0);
    return to_usec(left.it_value) > 0;
  }
  std::vector<Source*> take_pending() {
    std::vector<Source*> taken;
    while (Level* level = loop_->levels().best_pending()) {
      taken.push_back(level->first_pending());
      level->erase_pending(*taken.back());
    }
    return taken;
  }
};

TEST_F(ClockTest, the_timerfd_is_set_once_for_a_sleep_and_not_again_while_nothing_changes) {
  const Usec at = now() + 3600 * kUsecPerSec;
  Source* source = add_time(at, say("t"));
  test::Faults faults;
  for (int i = 0; i < 5; ++i) EXPECT_EQ(loop_->run(0), 0);
  EXPECT_EQ(faults.n(Call::kTimerfdSettime), 1);
  expect_wakeup_in({at, at + 1});
  static_cast<TimeSource*>(source)->set_time(at + kUsecPerSec);
  EXPECT_EQ(loop_->run(0), 0);
  EXPECT_EQ(faults.n(Call::kTimerfdSettime), 2);
  expect_wakeup_in({at + kUsecPerSec, at + kUsecPerSec + 1});
  source->unref();
}

TEST_F(ClockTest, one_wakeup_serves_all_whose_windows_allow_it) {
  const Usec at = now() + 3600 * kUsecPerSec;
  Source* first = add_time(at, say("1"));
  Source* second = add_time(at + kUsecPerSec, say("2"));
  static_cast<TimeSource*>(first)->set_accuracy(5 * kUsecPerSec);
  static_cast<TimeSource*>(second)->set_accuracy(kMinute);
  EXPECT_EQ(loop_->run(0), 0);
  expect_wakeup_in({at, at + 5 * kUsecPerSec});
  second->unref();
  first->unref();
}

TEST_F(ClockTest, a_timer_for_never_sets_nothing) {
  Source* source = add_time(kForever, say("t"));
  test::Faults faults;
  EXPECT_EQ(loop_->run(0), 0);
  EXPECT_EQ(faults.n(Call::kTimerfdSettime), 0);
  EXPECT_FALSE(programmed());
  source->unref();
}

TEST_F(ClockTest, what_may_wait_for_ever_is_due_all_the_same_when_the_loop_is_awake) {
  Source* source = add_time(1, say("t"));
  static_cast<TimeSource*>(source)->set_accuracy(kForever);
  EXPECT_EQ(loop_->run(0), 1);
  EXPECT_EQ(said_, "t");
  source->unref();
}

TEST_F(ClockTest, the_last_timer_that_goes_takes_the_wakeup_with_it) {
  Source* source = add_time(now() + 3600 * kUsecPerSec, say("t"));
  EXPECT_EQ(loop_->run(0), 0);
  EXPECT_TRUE(programmed());
  source->unref();
  EXPECT_EQ(loop_->run(0), 0);
  EXPECT_FALSE(programmed());
}

TEST_F(ClockTest, a_timerfd_that_has_fired_is_set_again_and_so_does_not_keep_the_loop_awake) {
  const Usec at = now() + kUsecPerMsec;
  Source* source = add_time(at, say("t"));
  EXPECT_EQ(loop_->run(kForever), 1);
  EXPECT_GE(now(), at);
  EXPECT_EQ(said_, "t");
  // Nothing is armed any more; a readable timerfd would end the wait.
  test::Faults faults;
  EXPECT_EQ(loop_->run(20 * kUsecPerMsec), 0);
  EXPECT_EQ(faults.n(Call::kTimerfdSettime), 1);
  EXPECT_EQ(loop_->run(0), 0);
  EXPECT_EQ(faults.n(Call::kTimerfdSettime), 1);
  source->unref();
}

// A clock that was set back has its old wake-up before it again, on a timerfd that is readable already.
TEST_F(ClockTest, a_timerfd_that_has_fired_is_set_again_for_the_same_moment_too) {
  Clock& clock = loop_->clocks().monotonic();
  ASSERT_EQ(loop_->clocks().open(clock, loop_->poller()), 0);
  const Usec at = now() + 3600 * kUsecPerSec;
  EXPECT_EQ(clock.program({at, at}), 0);
  clock.on_ready(EPOLLIN);
  test::Faults faults;
  for (int i = 0; i < 2; ++i) EXPECT_EQ(clock.program({at, at}), 0);
  EXPECT_EQ(faults.n(Call::kTimerfdSettime), 1);
  EXPECT_EQ(clock.program({}), 0);
}

TEST_F(ClockTest, timers_of_a_time_that_is_not_exact_fire_in_the_order_of_their_times) {
  Source* c = add_time(3, say("c"));
  Source* a = add_time(1, say("a"));
  Source* twin = add_time(1, say("A"));
  Source* b = add_time(2, say("b"));
  static_cast<TimeSource*>(a)->set_accuracy(kMinute);
  EXPECT_EQ(drain(), 4);
  EXPECT_EQ(said_, "aAbc");
  for (Source* source : {a, b, c, twin}) source->unref();
}

// What a clock is to know of its timers, without any structure. Time does not pass: the test says what it is.
class NaiveTimers {
 public:
  struct Timer {
    TimeSource* source;
    bool waits = true;
  };

  void add(Source* source) { timers_.push_back({static_cast<TimeSource*>(source)}); }
  Timer& any(std::mt19937_64& random) { return timers_[static_cast<size_t>(random() % timers_.size())]; }
  Window window() const {
    Window window;
    for (const Timer& timer : timers_)
      if (timer.waits) window = window.joined({timer.source->time(), timer.source->latest()});
    return window;
  }
  // Who is due, in order; they do not wait any more.
  std::vector<Source*> take_due(Usec now) {
    std::vector<Source*> due;
    for (Timer& timer : timers_) {
      if (!timer.waits || timer.source->time() > now) continue;
      timer.waits = false;
      due.push_back(timer.source);
    }
    // By creation, as they are here, among equals.
    std::ranges::stable_sort(due, {}, [](Source* source) { return static_cast<TimeSource*>(source)->time(); });
    return due;
  }
  void free() {
    for (const Timer& timer : timers_) timer.source->unref();
  }

 private:
  std::vector<Timer> timers_;
};

TEST_F(ClockTest, random_timers_are_due_in_order_however_often_they_are_set) {
  constexpr Usec kYear = 365 * 86400 * kUsecPerSec;  // Far from the time that is.
  constexpr Usec kAccuracies[] = {1, 1, 1, 250 * kUsecPerMsec, kMinute};
  std::mt19937_64 random(3);
  NaiveTimers timers;
  Clock& clock = loop_->clocks().monotonic();
  Usec time = now() + kYear;
  for (int i = 0; i < 40; ++i) timers.add(add_time(time + random() % 100, say("t")));
  for (int step = 0; step < 20'000; ++step) {
    NaiveTimers::Timer& timer = timers.any(random);
    switch (random() % 8) {
      case 0:
        timer.source->set_accuracy(kAccuracies[random() % 5]);
        timer.waits = timer.source->enabled() != Enabled::kOff;
        break;
      case 1:
        ASSERT_EQ(timer.source->set_enabled(Enabled::kOff), 0);
        timer.waits = false;
        break;
      case 2:
        timer.waits |= timer.source->enabled() == Enabled::kOff;
        ASSERT_EQ(timer.source->set_enabled(Enabled::kOn), 0);
        break;
      case 3: {
        time += random() % 20;
        const std::vector<Source*> due = timers.take_due(time);
        // Those of the step before are put aside, so that what is pending now is of this one.
        std::vector<Source*> before = take_pending();
        ASSERT_TRUE(clock.pend_due(time));
        std::vector<Source*> pending = take_pending();
        ASSERT_EQ(pending, due);
        for (const auto& taken : {before, pending})
          for (Source* source : taken) source->level().insert_pending_by_age(*source);
        break;
      }
      default:
        timer.source->set_time(time + random() % 100);
        timer.waits = timer.source->enabled() != Enabled::kOff;
    }
    if (step % 3 == 0) {
      const Window expected = timers.window();
      const Window window = clock.window();
      ASSERT_EQ(window.earliest, expected.earliest);
      ASSERT_EQ(window.latest, expected.latest);
    }
    if (step % 16 == 0) {
      ASSERT_TRUE(loop_->check_invariants());
    }
  }
  timers.free();
}

TEST_F(ClockTest, a_timerfd_that_cannot_be_set_is_an_error_of_prepare_and_may_be_tried_again) {
  Source* source = add_time(now() + 3600 * kUsecPerSec, say("t"));
  test::Faults faults;
  faults.fail(Call::kTimerfdSettime, -EINVAL);
  EXPECT_EQ(loop_->prepare(), -EINVAL);
  EXPECT_EQ(loop_->run(0), 0);
  EXPECT_TRUE(programmed());
  EXPECT_TRUE(loop_->check_invariants());
  source->unref();
}

}  // namespace
}  // namespace evenkeel
