// SPDX-License-Identifier: MIT
//
// The sources that wait for nothing outside the loop: defer, post, exit.
//
// Idea: a defer source is pending whenever it is armed; one that stays ON goes to the end of the queue at each
// dispatch, so that equals take turns. A post source becomes pending when a source that is not a post source was
// dispatched. An exit source is not pending ever: while the loop exits, the best of the armed ones is taken from a heap
// of their own.
//
// Invariants: an armed post source is on `Posts`, an armed exit source in `Exits`; no other is.
#pragma once

#include "src/intrusive_heap.h"
#include "src/list.h"
#include "src/source.h"

namespace evenkeel {

struct ExitTag;
struct PostTag;
class ExitSource;
class PostSource;

using Posts = List<PostSource, PostTag>;

// What the three share: a handler without an event.
class StaticSource : public Source {
 public:
  int fire() override;

 protected:
  StaticSource(Kind kind, Traits traits, Enabled enabled, Handler handler)
      : Source(kind, traits, enabled), handler_(handler) {}
  ~StaticSource() = default;

  template <typename Kind>
  static int add_new(Loop& loop, Source** ret, Handler handler, void* userdata) {
    Kind* source = make<Kind>(handler);
    if (!source) return -ENOMEM;
    source->userdata = userdata;
    if (const int r = connect(loop, source, !ret); r < 0) return r;
    if (ret) *ret = source;
    return 0;
  }

 private:
  const Handler handler_;
};

class DeferSource final : public StaticSource {
 public:
  explicit DeferSource(Handler handler)
      : StaticSource(Kind::kDefer, {.hears_unpended = true}, Enabled::kOneshot, handler) {}
  static int add(Loop& loop, Source** ret, Handler handler, void* userdata) {
    return add_new<DeferSource>(loop, ret, handler, userdata);
  }

  int arm() override;
  void unpended(bool dispatched) override;
  void destroy() override { dispose(this); }
};

class PostSource final : public StaticSource, public ListNode<PostTag> {
 public:
  explicit PostSource(Handler handler)
      : StaticSource(Kind::kPost, {.rate_limitable = false, .wakes_posts = false, .keeps_loop_busy = false},
                     Enabled::kOn, handler) {}
  static int add(Loop& loop, Source** ret, Handler handler, void* userdata) {
    return add_new<PostSource>(loop, ret, handler, userdata);
  }

  int arm() override;
  void disarm() override { ListNode<PostTag>::unlink(); }
  void destroy() override { dispose(this); }
};

class ExitSource final : public StaticSource, public HeapNode<ExitTag> {
 public:
  explicit ExitSource(Handler handler)
      : StaticSource(Kind::kExit, {.rate_limitable = false, .keeps_loop_busy = false}, Enabled::kOneshot, handler) {}
  static int add(Loop& loop, Source** ret, Handler handler, void* userdata) {
    return add_new<ExitSource>(loop, ret, handler, userdata);
  }

  int arm() override;
  void disarm() override;
  int move(Level& to) override;
  void moved() override;
  void destroy() override { dispose(this); }
};

struct ExitsSooner {
  bool operator()(const ExitSource& a, const ExitSource& b) const {
    return a.priority() != b.priority() ? a.priority() < b.priority() : a.id() < b.id();
  }
};

using Exits = IntrusiveHeap<ExitSource, ExitTag, ExitsSooner>;

}  // namespace evenkeel
