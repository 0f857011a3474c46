// SPDX-License-Identifier: MIT
//
// A source that fires when a clock has reached a time.
//
// Invariant: `time_` and `accuracy_` change only while the timer is in no heap of its clock.
#pragma once

#include "src/clock.h"
#include "src/source.h"

namespace evenkeel {

class TimeSource final : public Source, public HeapNode<EarliestTag>, public HeapNode<LatestTag> {
 public:
  using Callback = int (*)(Source*, Usec time, void* userdata);

  static constexpr Usec kDefaultAccuracy = 250 * kUsecPerMsec;

  // `time` is absolute; kForever is never. Null `ret`: the loop owns the source. Null `callback`: exits the loop.
  static int add(Loop& loop, Source** ret, clockid_t clock, Usec time, Usec accuracy, Callback callback,
                 void* userdata);

  Usec time() const { return time_; }
  Usec accuracy() const { return accuracy_; }
  Usec latest() const { return saturating_add(time_, accuracy_); }
  clockid_t clock_id() const { return clock_.id(); }

  // Both make a pending timer wait again.
  void set_time(Usec time);
  void set_accuracy(Usec accuracy);

  int arm() override;
  void disarm() override;
  int fire() override;
  int move(Level& to) override;
  void unpended(bool dispatched) override;
  void destroy() override { dispose(this); }
  bool can_rate_limit() const override { return true; }

 private:
  friend class Clock;
  template <typename T, typename... Args>
  friend T* make(Args&&... args);
  template <typename T>
  friend void dispose(T* object);

  TimeSource(Clock& clock, Usec time, Usec accuracy, Callback callback)
      : Source(Kind::kTime, Enabled::kOneshot), clock_(clock), time_(time), accuracy_(accuracy), callback_(callback) {}

  bool waits() const { return HeapNode<EarliestTag>::in_heap(); }
  void take_out();
  void put_back();

  Clock& clock_;
  Usec time_;
  Usec accuracy_;
  const Callback callback_;
};

inline bool Clock::Earlier::operator()(const TimeSource& a, const TimeSource& b) const {
  return a.time() != b.time() ? a.time() < b.time() : a.id() < b.id();
}

inline bool Clock::EndsEarlier::operator()(const TimeSource& a, const TimeSource& b) const {
  return a.latest() < b.latest();
}

}  // namespace evenkeel
