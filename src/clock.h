// SPDX-License-Identifier: MIT
//
// One clock of a loop: all its timers on one timerfd, woken together where they allow it.
//
// Idea: each timer gives a window, from its time to its time plus its accuracy. Two heaps know the earliest time and
// the earliest end of a window; the clock wakes at a spot between them that all processes of the machine share, so that
// a machine with many loops wakes seldom. Timers are due by comparing the clock, never by reading the timerfd: that one
// is only programmed before somebody sleeps on it, and programming it again also takes back its readiness.
//
// Invariants:
//  1. A timer is in both heaps if and only if it is armed and not pending.
//  2. `programmed_` is what the timerfd holds: kForever when it is disarmed, kFired when it has fired and is readable
//  still.
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
  // Makes the timerfd, once. -EPERM or -EOPNOTSUPP for the ALARM clocks where they are not allowed or not there.
  int open(Poller& poller);

  void insert(TimeSource& timer);
  void erase(TimeSource& timer);

  bool has_timers() const { return !earliest_.empty(); }
  Window window() const;

  // Makes every timer pending whose time has come.
  void pend_due(Usec now);

  // Sets the timerfd for the next wake-up, if it is not set so already.
  int program(Window window);

  void on_ready(uint32_t events) override;

  bool valid() const;

 private:
  friend class LoopCheck;

  static constexpr Usec kFired = kForever - 1;

  const clockid_t id_;
  IntrusiveHeap<TimeSource, EarliestTag, Earlier> earliest_;
  IntrusiveHeap<TimeSource, LatestTag, EndsEarlier> latest_;
  Usec programmed_ = kForever;
};

// The clocks that a loop can have, made usable as they are needed.
class Clocks {
 public:
  static constexpr size_t kCount = 5;

  // Null for a clock that is not supported.
  Clock* find(clockid_t id);
  Clock& monotonic() { return all_[1]; }
  Clock* begin() { return all_; }
  Clock* end() { return all_ + kCount; }

 private:
  Clock all_[kCount] = {
      {CLOCK_REALTIME}, {CLOCK_MONOTONIC}, {CLOCK_BOOTTIME}, {CLOCK_REALTIME_ALARM}, {CLOCK_BOOTTIME_ALARM}};
};

}  // namespace evenkeel
