// SPDX-License-Identifier: MIT
//
// Rate limiting: a source that is dispatched more than `burst` times within `interval` goes offline until the interval
// ends.
//
// Idea: a collaborator of the dispatch, not a kind of source. Each limited source carries a `RateLimit`; `RateLimits`
// owns the heap of those that are offline, ordered by the end of their interval. The interval begins with the first
// dispatch that it counts. The end is exact: it is handed to the monotonic clock as a deadline of its own, without
// accuracy.
//
// Invariants:
//  1. A limit is in the heap if and only if its source is offline for it (`Source::rate_limited`).
//  2. An interval or burst of 0 means no limit.
//
// The expire callback may do anything: free its source, others, the loop.
#pragma once

#include "src/intrusive_heap.h"
#include "src/source.h"
#include "src/types.h"

namespace evenkeel {

struct RateLimitTag;

class RateLimit final : public HeapNode<RateLimitTag> {
 public:
  explicit RateLimit(Source& source) : source_(source) {}

  bool configured() const { return interval_ > 0 && burst_ > 0; }
  Usec interval() const { return interval_; }
  unsigned burst() const { return burst_; }

  Source::Handler expired = nullptr;

 private:
  friend class RateLimits;
  friend struct EndsSooner;

  Usec end() const { return saturating_add(begin_, interval_); }

  Source& source_;
  Usec interval_ = 0;
  Usec begin_ = 0;  // Monotonic; of the first dispatch that was counted.
  unsigned burst_ = 0;
  unsigned count_ = 0;
};

struct EndsSooner {
  bool operator()(const RateLimit& a, const RateLimit& b) const {
    return a.end() != b.end() ? a.end() < b.end() : a.source_.id() < b.source_.id();
  }
};

class RateLimits {
 public:
  // Counts a dispatch that is about to happen. False: the source is over its limit, and offline now.
  bool admit(RateLimit& limit, Usec now);

  // Sets the limit; a source that is offline comes back. May fail as arming can. Without a loop it is only noted.
  static int configure(Source& source, Usec interval, unsigned burst);

  // Ends the offline time of a source early, and starts the count over. >0 if it was offline.
  int leave(Source& source);

  // The source goes away.
  void forget(Source& source);

  // When the next source is due back; kForever if none is offline.
  Usec next_end() const { return offline_.empty() ? kForever : offline_.top()->end(); }

  // Brings back every source whose interval is over, and calls its expire callback. The number of callbacks; or -ECHILD
  // where one of them returned in a forked child.
  int expire(Loop& loop, Usec now);

  bool valid() const { return offline_.valid(); }

 private:
  friend class LoopCheck;

  int come_back(Source& source);

  IntrusiveHeap<RateLimit, RateLimitTag, EndsSooner> offline_;
};

}  // namespace evenkeel
