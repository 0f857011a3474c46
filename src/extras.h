// SPDX-License-Identifier: MIT
//
// What few sources use: a description, a prepare callback, a destroy callback, a rate limit, an age.
//
// Idea: kept aside, so that a source that has none of them does not pay for them. Made by the first setter that needs
// it (which is why those can fail with -ENOMEM) and freed with the source.
//
// Invariants:
//  1. The node is in the loop's prepare heap if and only if the source is connected, enabled and has `prepare`.
//  2. The node is in its level's heap `aged_` if and only if `Source::aged_` says so.
#pragma once

#include "src/intrusive_heap.h"
#include "src/rate_limit.h"
#include "src/source.h"

namespace evenkeel {

struct PrepareTag;

struct Extras final : public HeapNode<PrepareTag>, public HeapNode<AgedTag> {
  explicit Extras(Source& owner) : source(owner), rate_limit(owner) {}

  Source& source;
  char* description = nullptr;
  bool described = false;  // Also when it was set to null, which hides the default of the kind.
  Source::Handler prepare = nullptr;
  uint64_t prepared_in = 0;  // The iteration whose prepare callback ran last.
  Source::Destroy destroy = nullptr;
  RateLimit rate_limit;
  uint64_t aged_order = 0;  // Among sources of one age in the level's heap `aged_`: by arrival.

  bool is_prepared() const { return HeapNode<PrepareTag>::in_heap(); }
};

// Who is to be prepared next: whoever has not been in this iteration, lower priority values first, then the elder
// source.
struct PrepareSooner {
  bool operator()(const Extras& a, const Extras& b) const {
    if (a.prepared_in != b.prepared_in) return a.prepared_in < b.prepared_in;
    if (a.source.priority() != b.source.priority()) return a.source.priority() < b.source.priority();
    return a.source.id() < b.source.id();
  }
};

inline RateLimit* Source::rate_limit() const { return extras_ ? &extras_->rate_limit : nullptr; }

}  // namespace evenkeel
