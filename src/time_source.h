// SPDX-License-Identifier: MIT
//
// A source that fires when a clock has reached a time.
//
// Invariant: `accuracy_` changes only while the timer is in no heap of its clock, and `time_`, while it is in one, only
// by the clock (see clock.h).
#pragma once

#include "src/clock.h"
#include "src/source.h"

namespace evenkeel {

// The node that every timer uses stands last, beside the key that is compared when it is touched.
class TimeSource final : public Source, public HeapNode<LatestTag>, public HeapNode<EarliestTag> {
 public:
  using Callback = int (*)(Source*, Usec time, void* userdata);

  static constexpr Usec kDefaultAccuracy = 250 * kUsecPerMsec;

  // `time` is absolute; kForever is never. Null `ret`: the loop owns the source. Null `callback`: exits the loop.
  static int add(Loop& loop, Source** ret, clockid_t clock, Usec time, Usec accuracy, Callback callback,
                 void* userdata);

  Usec time() const { return time_; }
  Usec accuracy() const { return accuracy_; }
  Usec latest() const { return saturating_add(time_, accuracy_); }
  clockid_t clock_id() const { return Clocks::kIds[variant()]; }

  // Both make a pending timer wait again.
  void set_time(Usec time);
  void set_accuracy(Usec accuracy);

  int arm() override;
  void disarm() override;
  int fire() override;
  int move(Level& to) override;
  void unpended(bool dispatched) override;
  void destroy() override { dispose(this); }

 private:
  friend class Clock;
  friend class LoopCheck;
  template <typename T, typename... Args>
  friend T* make(Args&&... args);
  template <typename T>
  friend void dispose(T* object);

  // The variant is which of `Clocks`. No pointer, as the source may outlive the loop.
  TimeSource(size_t clock, Usec time, Usec accuracy, Callback callback)
      : Source(Kind::kTime, {.hears_unpended = true, .variant = static_cast<uint8_t>(clock & 7U)}, Enabled::kOneshot),
        time_(time),
        accuracy_(accuracy),
        callback_(callback) {}

  bool waits() const { return HeapNode<EarliestTag>::in_heap(); }
  Clock& clock() const;

  // The clock's, while the timer is in its heaps: what these know of `time_`.
  Usec not_before() const { return spare(); }
  void set_not_before(Usec time) { set_spare(time); }

  Usec time_;
  Usec accuracy_;
  const Callback callback_;
};

inline bool Clock::Earlier::operator()(const TimeSource& a, const TimeSource& b) const {
  return a.not_before() != b.not_before() ? a.not_before() < b.not_before() : a.id() < b.id();
}

inline bool Clock::EndsEarlier::operator()(const TimeSource& a, const TimeSource& b) const {
  return saturating_add(a.not_before(), a.accuracy_) < saturating_add(b.not_before(), b.accuracy_);
}

}  // namespace evenkeel
