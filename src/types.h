// SPDX-License-Identifier: MIT
//
// The words that every file of the engine uses.
//
// Idea: a quantity carries its unit in its type name, a result is an int that is 0 or positive on success and a
// negative errno on failure, as the C ABIs above hand it on unchanged.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <time.h>

namespace evenkeel {

// Microseconds, absolute on a clock or a span. kForever is "never", or "without end".
using Usec = uint64_t;
inline constexpr Usec kForever = UINT64_MAX;
inline constexpr Usec kUsecPerSec = 1'000'000;
inline constexpr Usec kUsecPerMsec = 1'000;
inline constexpr Usec kNsecPerUsec = 1'000;

// Lower values are served first.
using Priority = int64_t;

inline constexpr Usec saturating_add(Usec a, Usec b) { return a > kForever - b ? kForever : a + b; }

inline constexpr Usec to_usec(const struct timespec& ts) {
  return static_cast<Usec>(ts.tv_sec) * kUsecPerSec + static_cast<Usec>(ts.tv_nsec) / kNsecPerUsec;
}

// Values that a timespec can't hold become the largest that it can.
inline constexpr struct timespec to_timespec(Usec usec) {
  constexpr Usec kMaxSeconds = static_cast<Usec>(INT64_MAX / 1'000'000'000);
  struct timespec ts = {};
  const Usec seconds = usec / kUsecPerSec;
  ts.tv_sec = static_cast<time_t>(seconds > kMaxSeconds ? kMaxSeconds : seconds);
  ts.tv_nsec = static_cast<long>((usec % kUsecPerSec) * kNsecPerUsec);
  return ts;
}

}  // namespace evenkeel
