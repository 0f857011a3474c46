// SPDX-License-Identifier: MIT
//
// One clock of a loop: all its timers on one timerfd, woken together where they allow it.
//
// Idea: each timer gives a window, from its time to its time plus its accuracy. Heaps know the earliest time and the
// earliest end of a window; the clock wakes at a spot between them that all processes of the machine share, so that a
// machine with many loops wakes seldom. Timers are due by comparing the clock, never by reading the timerfd: that one
// is only programmed before somebody sleeps on it, and programming it again also takes back its readiness.
//
// Most timers of a program have the same accuracy, and then the order of their times is that of their ends: these share
// one heap, `alike_`. The others are in two, by time and by end. And most timers that are set anew are put off: such a
// timer keeps its place, by a time that has become a lower bound, until it comes to the top.
//
// Invariants:
//  1. A timer is in `alike_`, or in both of `earliest_` and `latest_`, if and only if it is armed and not pending. In
//     `alike_` all have the accuracy `accuracy_`.
//  2. The heaps are ordered by `TimeSource::not_before`, which is at most the timer's time. Who looks at a top settles
//     it before: its `not_before` is its time then, and so it is the first of all.
//  3. `programmed_` is what the timerfd holds: kForever when it is disarmed. It may have fired since; then
//     `fired_` says that it is readable still, and has to be set once more whatever it holds.
//
// Owner: `Clocks` owns the five clocks, the timers belong to their sources.
#pragma once

#include "src/intrusive_heap.h"
#include "src/poller.h"
#include "src/types.h"

namespace evenkeel {

class TimeSource;
struct EarliestTag;
struct LatestTag;

// When something wants to run: not before `earliest`, not after `latest`.
struct Window {
  Usec earliest = kForever;
  Usec latest = kForever;

  // The window in which one wake-up serves both.
  constexpr Window joined(Window other) const {
    return {earliest < other.earliest ? earliest : other.earliest, latest < other.latest ? latest : other.latest};
  }
};

// The moment inside the window at which a process with this offset (in microseconds, below one minute) wakes: on the
// coarsest grid of one minute, 10 s, 1 s, 250 ms that has a point in the window, else at its end.
Usec shared_wakeup(Window window, Usec offset);

// The offset of this machine since it was booted, from its boot ID; 0 where that can't be read.
Usec boot_offset();

class Clock final : public Channel {
 public:
  struct Earlier {
    bool operator()(const TimeSource& a, const TimeSource& b) const;
  };
  struct EndsEarlier {
    bool operator()(const TimeSource& a, const TimeSource& b) const;
  };

  Clock(clockid_t id) : id_(id) {}
  ~Clock();

  clockid_t id() const { return id_; }
  bool open() const { return fd_ >= 0; }

  void insert(TimeSource& timer);
  void erase(TimeSource& timer);
  // The timer, which is in here, gets another time.
  void set_time(TimeSource& timer, Usec time);

  bool has_timers() const { return !alike_.empty() || !earliest_.empty(); }
  Window window();

  bool any_due(Usec now) const;
  // Makes the timers pending whose time has come, by their times, up to the first whose priority is worse than `worst`:
  // false if there is such a one.
  bool pend_due(Usec now, Priority worst = INT64_MAX);

  // Sets the timerfd for the next wake-up, if it is not set so already.
  int program(Window window);

  void on_ready(uint32_t events) override;

  bool valid() const;

 private:
  friend class Clocks;
  friend class LoopCheck;

  using ByTime = IntrusiveHeap<TimeSource, EarliestTag, Earlier>;
  using ByEnd = IntrusiveHeap<TimeSource, LatestTag, EndsEarlier>;

  int open(Poller& poller);
  static bool is_alike(const TimeSource& timer);
  void place(TimeSource& timer, bool alike);
  template <typename Heap>
  TimeSource* first(Heap& heap);

  const clockid_t id_;
  ByTime alike_;
  ByTime earliest_;
  ByEnd latest_;
  Usec accuracy_ = 0;  // Of those that are alike.
  Usec programmed_ = kForever;
  bool fired_ = false;
};

// The clocks that a loop can have, made usable as they are needed.
class Clocks {
 public:
  static constexpr size_t kCount = 5;
  static constexpr clockid_t kIds[kCount] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_REALTIME_ALARM,
                                             CLOCK_BOOTTIME_ALARM};

  // Null for a clock that is not supported.
  Clock* find(clockid_t id);
  size_t index(const Clock& clock) const { return static_cast<size_t>(&clock - all_); }
  Clock& operator[](size_t index) { return all_[index]; }
  Clock& monotonic() { return all_[1]; }
  Clock& boottime() { return all_[2]; }
  // Makes the timerfd of a clock, once. -EPERM or -EOPNOTSUPP for the ALARM clocks where they are not allowed or not
  // there. With the first one the clocks are in use; before that there is no work for any of them.
  int open(Clock& clock, Poller& poller);
  bool in_use() const { return in_use_; }
  Clock* begin() { return all_; }
  Clock* end() { return all_ + kCount; }

 private:
  bool in_use_ = false;
  Clock all_[kCount] = {{kIds[0]}, {kIds[1]}, {kIds[2]}, {kIds[3]}, {kIds[4]}};
};

}  // namespace evenkeel
