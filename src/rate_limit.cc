// SPDX-License-Identifier: MIT
//
// See rate_limit.h.
#include "src/rate_limit.h"

#include "src/loop.h"

namespace evenkeel {

bool RateLimits::admit(RateLimit& limit, Usec now) {
  if (limit.count_ == 0 || now >= limit.end()) {
    limit.begin_ = now;
    limit.count_ = 1;
    return true;
  }
  if (limit.count_ < limit.burst_) {
    ++limit.count_;
    return true;
  }
  limit.source_.withhold();
  offline_.push(limit);
  return false;
}

int RateLimits::come_back(Source& source) {
  RateLimit& limit = *source.rate_limit();
  offline_.erase(limit);
  limit.count_ = 0;
  return source.come_back();
}

int RateLimits::leave(Source& source) {
  if (!source.limited_) return 0;
  const int r = come_back(source);
  return r < 0 ? r : 1;
}

int RateLimits::configure(Source& source, Usec interval, unsigned burst) {
  if (source.connected()) {
    Loop& loop = *source.loop();
    if (interval > 0 && burst > 0) {
      // The end of the interval wakes the loop by this clock.
      if (const int r = loop.clocks().open(loop.clocks().monotonic(), loop.poller()); r < 0) return r;
    }
    if (const int r = loop.rate_limits().leave(source); r < 0) return r;
  }
  RateLimit& limit = *source.rate_limit();
  limit.interval_ = interval;
  limit.burst_ = burst;
  limit.count_ = 0;
  return 0;
}

void RateLimits::forget(Source& source) {
  offline_.erase(*source.rate_limit());
  source.limited_ = false;
}

int RateLimits::expire(Loop& loop, Usec now) {
  int n_called = 0;
  // The callback may end the source, or every other one that is offline; the heap is asked anew each time. It may also
  // bring this source over its limit only by a dispatch, which is not possible in here, so the loop ends.
  while (!offline_.empty() && offline_.top()->end() <= now) {
    RateLimit& limit = *offline_.top();
    Source& source = limit.source_;
    const Source::Handler expired = limit.expired;
    const int r = come_back(source);
    if (r < 0) {
      loop.failed(source, r);
    } else if (expired) {
      if (const int called = loop.call_handler(source, expired); called < 0) return called;
      ++n_called;
    }
  }
  return n_called;
}

}  // namespace evenkeel
