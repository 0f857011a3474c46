// SPDX-License-Identifier: MIT
//
// Unit tests of clock.h.
//
// Idea: `shared_wakeup` is a pure function, so its properties are tested with random windows and offsets: the result lies in
// the window, on the coarsest grid that has a point there, and is the last such point. The reference is a search that tries
// the points one by one. Then what the loop makes of it: which value a timerfd gets, and how often.
#include "src/clock.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <random>

#include "src/testing.h"

namespace evenkeel {
namespace {

using kernel::Call;

constexpr Usec kMinute = 60 * kUsecPerSec;
constexpr Usec kGrids[] = {kMinute, 10 * kUsecPerSec, kUsecPerSec, 250 * kUsecPerMsec};

// The last point of the grid in the window; kForever if there is none. Walks by whole steps from the first point of all.
Usec last_point(Window window, Usec offset, Usec grid) {
  const Usec phase = offset % grid;
  if (window.latest < phase) return kForever;
  const Usec n = (window.latest - phase) / grid;
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
    for (const Usec latest : {Usec{0}, Usec{1}, Usec{2}, 250 * kUsecPerMsec - 1, 250 * kUsecPerMsec, kUsecPerSec, kMinute})
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
  for (const Usec at : {Usec{0}, Usec{1}, Usec{123'456'789}, kForever - 1}) EXPECT_EQ(shared_wakeup({at, at}, 4711), at);
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

// The offset is read once a process, so each of these runs in a process of its own.
int in_child(int (*body)()) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(body());
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// GoogleTest runs each test in one process after the other, where the offset may be known already.
void expect_offset_without(Call call, int error) {
  test::Faults faults;
  faults.fail(call, error, 0, 1000);
  if (boot_offset(), faults.n(Call::kOpen) == 0) GTEST_SKIP() << "the offset of this process is known already";
  EXPECT_EQ(boot_offset(), 0U);
  EXPECT_EQ(faults.n(Call::kOpen), 1) << "it is asked for once";
}

TEST(BootOffset, is_zero_where_the_boot_id_cannot_be_opened) { expect_offset_without(Call::kOpen, -ENOENT); }

TEST(BootOffset, is_zero_where_the_boot_id_cannot_be_read) { expect_offset_without(Call::kRead, -EIO); }

TEST(BootOffset, is_below_a_minute_and_the_same_in_every_process) {
  const Usec mine = boot_offset();
  EXPECT_LT(mine, kMinute);
  EXPECT_EQ(in_child([] { return boot_offset() < kMinute ? 0 : 1; }), 0);
}

}  // namespace
}  // namespace evenkeel
