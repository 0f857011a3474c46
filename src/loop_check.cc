// SPDX-License-Identifier: MIT
//
// Loop::check_invariants: whether every structure of a loop is as its header says. In the tests' build of the engine
// only.
//
// Idea: nothing here trusts a counter, a flag or a link that it can find out by looking at the sources one by one. The
// counters of each level, the queues of signals and inotify events, the heaps and lists are all counted again. It is
// slow, and may be called whenever no structure is in the middle of a change: between two calls of the public
// interface, and in every callback.
//
// What fails is printed with its line, so that a failing program of the model test says more than that it failed.
//
// It changes nothing, and asks the kernel nothing.
#include <stdio.h>

#include "src/loop.h"
#include "src/time_source.h"

namespace evenkeel {

#define HOLDS(condition) holds((condition), #condition, __LINE__)

class LoopCheck {
 public:
  explicit LoopCheck(Loop& loop) : loop_(loop), running_(loop.state_ == Loop::State::kRunning) {}

  bool run() {
    check_slots();
    check_stale();
    loop_.poller_.for_each_source([&](Source& source) { check_source(source); });
    check_levels();
    check_heaps();
    check_counts();
    return ok_;
  }

 private:
  bool holds(bool condition, const char* text, int line) {
    if (!condition) (void)::fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, line, text);
    ok_ = ok_ && condition;
    return condition;
  }

  template <typename Condition>
  size_t count_sources(Condition condition) {
    size_t n = 0;
    loop_.poller_.for_each_source([&](Source& source) { n += condition(source); });
    return n;
  }

  template <typename T, typename Tag, typename Visit>
  size_t walk(List<T, Tag>& list, Visit visit) {
    size_t n = 0;
    for (T* element = list.front(); element; element = list.next(*element), ++n) {
      visit(*element);
      T* next = list.next(*element);
      HOLDS(next ? list.prev(*next) == element : list.back() == element);
    }
    return n;
  }

  void check_slots() {
    Poller& poller = loop_.poller_;
    size_t n_taken = 0;
    for (size_t i = 0; i < poller.slots_.size(); ++i) {
      if (!Poller::is_source(poller.slots_[i])) continue;
      const Source& source = *Poller::to_source(poller.slots_[i]);
      ++n_taken;
      HOLDS(source.slot_ == i);
      HOLDS(source.id_ > 0 && source.id_ < loop_.next_id_);
      for (size_t j = 0; j < i; ++j)
        if (Poller::is_source(poller.slots_[j])) HOLDS(Poller::to_source(poller.slots_[j])->id_ != source.id_);
    }
    HOLDS(n_taken == poller.n_sources_);
    size_t n_channels = 0;
    for (size_t i = 0; i < poller.slots_.size(); ++i) {
      if (!Poller::is_channel(poller.slots_[i])) continue;
      const Channel& channel = *Poller::to_channel(poller.slots_[i]);
      ++n_channels;
      HOLDS(channel.slot_ == i && channel.fd() > 2);
      HOLDS(poller.owners_.is(channel.fd(), channel.registration_));
    }
    HOLDS(poller.n_channels_ == n_channels);
    n_taken += n_channels;
    size_t n_free = 0;
    for (size_t slot = poller.free_slot_; slot != SIZE_MAX; ++n_free) {
      if (!HOLDS(slot < poller.slots_.size() && n_free < poller.slots_.size())) return;
      if (!HOLDS((poller.slots_[slot] & Poller::kKinds) == Poller::kFree)) return;
      const size_t next = poller.slots_[slot] >> 2U;
      slot = next == (SIZE_MAX >> 2U) ? SIZE_MAX : next;
    }
    HOLDS(n_free + n_taken == poller.slots_.size());
    // Neither a wait nor a question must have to allocate, and an answer has to fit into a report.
    const size_t at_once = n_taken < Poller::kMostEvents ? n_taken : Poller::kMostEvents;
    HOLDS(poller.polled_.capacity() >= at_once && poller.events_.capacity() >= poller.polled_.capacity());
  }

  void check_stale() {
    Poller& poller = loop_.poller_;
    const size_t n = walk(poller.stale_, [&](WatchedSource& source) {
      HOLDS(source.connected() && source.loop() == &loop_);
      HOLDS(source.registered_ != 0);
    });
    HOLDS(n == count_sources(
                   [](Source& source) { return source.watched() && source.watched()->ListNode<StaleTag>::linked(); }));
    if (poller.eager_) HOLDS(n == 0);
  }

  void check_source(Source& source) {
    HOLDS(source.connected() && &source.level_->owner() == &loop_.levels_);
    HOLDS(source.refs_ > 0);
    HOLDS(source.armed_ == (source.enabled_ != Enabled::kOff && !source.limited_));
    if (source.is_pending()) HOLDS(source.armed_ && source.pending_since_ <= loop_.iteration_);
    if (source.held_) HOLDS(source.limited_ && source.enabled_ != Enabled::kOff && !source.is_pending());
    const Extras* extras = source.extras_;
    HOLDS(source.limited_ == (extras && extras->rate_limit.in_heap()));
    const bool prepared = extras && extras->prepare && source.enabled_ != Enabled::kOff && !source.limited_;
    HOLDS(prepared == (extras && extras->is_prepared()));
    HOLDS(source.aged_ == (extras && extras->HeapNode<AgedTag>::in_heap()));
    if (extras) HOLDS(&extras->source == &source && extras->prepared_in <= loop_.iteration_);
    if (WatchedSource* watched = source.watched()) check_watched(*watched);
    check_kind(source);
  }

  void check_watched(WatchedSource& source) {
    const bool linked = source.ListNode<WatchLevelTag>::linked();
    if (linked) HOLDS(source.armed() && source.fd_ >= 0);
    HOLDS(linked == (source.wanted_ != 0));
    HOLDS(source.registered_ == 0 || source.registration_ != 0);
    if (source.wanted_ != source.registered_) HOLDS(source.ListNode<StaleTag>::linked());
  }

  void check_kind(Source& source) {
    switch (source.kind()) {
      case Kind::kIo:
        HOLDS(source.watched()->ListNode<WatchLevelTag>::linked() == source.armed_);
        break;
      case Kind::kTime: {
        auto& timer = static_cast<TimeSource&>(source);
        const bool waits = timer.HeapNode<EarliestTag>::in_heap();
        HOLDS(waits || !timer.HeapNode<LatestTag>::in_heap());
        HOLDS(waits == (source.armed_ && !source.is_pending()));
        HOLDS(loop_.clocks_.find(timer.clock_id())->open());
        break;
      }
      case Kind::kSignal:
        HOLDS(loop_.signals_.find(static_cast<SignalSource&>(source).signo()) == &source);
        break;
      case Kind::kChild: {
        auto& child = static_cast<ChildSource&>(source);
        HOLDS(loop_.children_.by_pid().find(child.pid()) == &source);
        if (child.ListNode<ChildBySignalTag>::linked()) HOLDS(source.armed_);
        break;
      }
      case Kind::kInotify: {
        auto& inotify = static_cast<InotifySource&>(source);
        HOLDS(inotify.inode_ && !inotify.next_inode_ && &inotify.inode_->queue == source.level_->inotify);
        HOLDS(inotify.ListNode<InodeSourceTag>::linked());
        break;
      }
      case Kind::kDefer:
        HOLDS(source.is_pending() == source.armed_);
        break;
      case Kind::kPost:
        HOLDS(static_cast<PostSource&>(source).ListNode<PostTag>::linked() == source.armed_);
        break;
      case Kind::kExit:
        HOLDS(static_cast<ExitSource&>(source).HeapNode<ExitTag>::in_heap() == source.armed_);
        HOLDS(!source.is_pending());
        break;
      case Kind::kMemoryPressure:
      case Kind::kCpuPressure:
      case Kind::kIoPressure:
        if (static_cast<PressureSource&>(source).ListNode<PressureWriteTag>::linked()) HOLDS(source.armed_);
        break;
    }
  }

  void check_levels() {
    Levels& levels = loop_.levels_;
    bool normal_used = false;
    for (size_t i = 0; i < levels.sorted_.size(); ++i) {
      Level& level = *levels.sorted_[i];
      if (i > 0) HOLDS(levels.sorted_[i - 1]->priority() < level.priority());
      HOLDS((&level == &levels.normal_) == (level.priority() == 0));
      normal_used = normal_used || &level == &levels.normal_;
      check_level(level);
    }
    if (!normal_used) {
      HOLDS(levels.normal_.refs_ == 0);
      check_level(levels.normal_);
    }
    loop_.poller_.for_each_source([&](Source& source) {
      bool known = false;
      for (size_t i = 0; i < levels.sorted_.size(); ++i) known = known || levels.sorted_[i] == source.level_;
      HOLDS(known);
    });
    HOLDS(levels.valid());
  }

  void check_level(Level& level) {
    const auto here = [&](Source& source) { return source.level_ == &level; };
    const size_t n_sources = count_sources(here);
    // A dispatch holds the level of its source.
    HOLDS(level.refs_ == n_sources || (running_ && level.refs_ == n_sources + 1));

    uint64_t since = 0;
    size_t n_pending = walk(level.pending_, [&](Source& source) {
      HOLDS(here(source) && !source.aged_ && source.pending_since_ >= since);
      since = source.pending_since_;
    });
    level.aged_.for_each([&](Extras& extras) {
      HOLDS(here(extras.source) && extras.source.aged_);
      ++n_pending;
    });
    HOLDS(level.aged_.valid());
    HOLDS(n_pending == count_sources([&](Source& source) { return here(source) && source.is_pending(); }));
    HOLDS(n_pending == level.n_pending_);
    HOLDS((n_pending > 0) == level.HeapNode<LevelPendingTag>::in_heap());

    size_t n_edges = 0;
    size_t n_fds = walk(level.fds_, [&](WatchedSource& source) {
      HOLDS(here(source));
      n_edges += (source.wanted_ & EPOLLET) != 0;
    });
    HOLDS(n_fds == count_sources([&](Source& source) {
            return here(source) && source.watched() && source.watched()->ListNode<WatchLevelTag>::linked();
          }));
    n_fds +=
        walk(level.channels_, [&](Channel& channel) { HOLDS(&channel == level.signals || &channel == level.inotify); });
    HOLDS(level.n_fds_ == n_fds && level.n_edge_triggered_ == n_edges);
    HOLDS(level.n_timers_ ==
          count_sources([&](Source& source) { return here(source) && source.kind() == Kind::kTime && source.armed_; }));
    HOLDS(level.n_armed_ == level.n_fds_ + level.n_timers_);
    HOLDS((level.n_armed_ > 0) == level.HeapNode<LevelArmedTag>::in_heap());
    if (level.signals) check_signals(level, *level.signals);
    if (level.inotify) check_inotify(level, *level.inotify);
  }

  void check_signals(Level& level, SignalQueue& queue) {
    sigset_t wanted;
    (void)::sigemptyset(&wanted);
    unsigned n_pending = 0;
    unsigned n_children = 0;
    loop_.poller_.for_each_source([&](Source& source) {
      if (source.level_ != &level) return;
      if (source.kind() == Kind::kSignal) {
        if (source.armed_) (void)::sigaddset(&wanted, static_cast<SignalSource&>(source).signo());
        n_pending += source.is_pending();
      }
      if (source.kind() == Kind::kChild)
        n_children += static_cast<ChildSource&>(source).ListNode<ChildBySignalTag>::linked();
    });
    const bool source_watches = ::sigismember(&wanted, SIGCHLD) == 1;
    HOLDS(queue.source_watches_sigchld_ == source_watches);
    if (n_children > 0) (void)::sigaddset(&wanted, SIGCHLD);
    unsigned n_watched = 0;
    for (int signo = 1; signo < _NSIG; ++signo) {
      HOLDS(::sigismember(&wanted, signo) == ::sigismember(&queue.mask_, signo));
      n_watched += ::sigismember(&queue.mask_, signo) == 1;
    }
    HOLDS(queue.n_watched_ == n_watched && queue.n_pending_ == n_pending && queue.n_children_ == n_children);
    HOLDS((n_watched > 0) == queue.ListNode<LevelChannelTag>::linked());
  }

  void check_inotify(Level& level, InotifyQueue& queue) {
    unsigned n_recipients = 0;
    size_t n_armed = 0;
    loop_.poller_.for_each_source([&](Source& source) {
      if (source.level_ != &level || source.kind() != Kind::kInotify) return;
      auto& inotify = static_cast<InotifySource&>(source);
      n_recipients += inotify.at_head_;
      const bool listed = inotify.ListNode<InotifyBackloggedTag>::linked();
      if (source.has_event()) HOLDS(inotify.has_more());
      if (inotify.has_more() && !source.has_event()) HOLDS(listed || running_);
      n_armed += source.armed_;
    });
    // And the one that is in its callback, which may be freed already.
    HOLDS(queue.n_recipients_ == n_recipients || (running_ && queue.n_recipients_ == n_recipients + 1));
    const bool put_off = queue.ListNode<InotifyBufferedTag>::linked();
    if (queue.n_recipients_ == 0) HOLDS(put_off == (queue.position_ < queue.filled_));
    if (put_off) HOLDS(queue.n_recipients_ == 0);
    HOLDS(queue.n_armed_ == n_armed);
    HOLDS((n_armed > 0) == queue.ListNode<LevelChannelTag>::linked());
    if (!queue.by_watch_.empty()) HOLDS(queue.fd_ >= 0);
    queue.by_id_.for_each([&](Inode& inode) { HOLDS(queue.by_watch_.find(inode.wd) == &inode); });
    queue.by_watch_.for_each([&](Inode& inode) {
      const Inode* successor = queue.by_id_.find(inode.id());
      HOLDS(inode.wd >= 0 && (!successor || successor->wd >= inode.wd));
      HOLDS(!inode.sources.empty());
      walk(inode.sources, [&](InotifySource& source) { HOLDS(source.inode_ == &inode); });
    });
  }

  void check_heaps() {
    size_t n_waiting = 0;
    for (Clock& clock : loop_.clocks_) {
      HOLDS(clock.valid());
      size_t n = 0;
      clock.earliest_.for_each([&](TimeSource&) { ++n; });
      clock.latest_.for_each([&](TimeSource&) { --n; });
      HOLDS(n == 0);
      const auto check = [&](TimeSource& timer) {
        ++n_waiting;
        HOLDS(timer.clock_id() == clock.id());
        HOLDS(timer.not_before() <= timer.time_);
      };
      clock.earliest_.for_each(check);
      clock.alike_.for_each([&](TimeSource& timer) {
        check(timer);
        HOLDS(timer.accuracy_ == clock.accuracy_ && !timer.HeapNode<LatestTag>::in_heap());
      });
    }
    HOLDS(n_waiting == count_sources([](Source& source) {
            return source.kind() == Kind::kTime && static_cast<TimeSource&>(source).HeapNode<EarliestTag>::in_heap();
          }));
    size_t n = 0;
    HOLDS(loop_.rate_limits_.valid());
    loop_.rate_limits_.offline_.for_each([&](RateLimit&) { ++n; });
    HOLDS(n == count_sources([](Source& source) { return source.limited_; }));
    n = 0;
    HOLDS(loop_.prepares_.valid());
    loop_.prepares_.for_each([&](Extras&) { ++n; });
    HOLDS(n == count_sources([](Source& source) { return source.extras_ && source.extras_->is_prepared(); }));
    n = 0;
    HOLDS(loop_.exits_.valid());
    loop_.exits_.for_each([&](ExitSource&) { ++n; });
    HOLDS(n == count_sources([](Source& source) { return source.kind() == Kind::kExit && source.armed_; }));
  }

  void check_counts() {
    const auto ignore = [](auto&) {};
    HOLDS(loop_.n_busy_ ==
          count_sources([](Source& source) { return source.enabled_ != Enabled::kOff && source.keeps_loop_busy(); }));
    HOLDS(walk(loop_.posts_, ignore) ==
          count_sources([](Source& source) { return source.kind() == Kind::kPost && source.armed_; }));
    const size_t n_children = count_sources([](Source& source) { return source.kind() == Kind::kChild; });
    HOLDS(loop_.children_.by_pid().size() == n_children);
    HOLDS(walk(loop_.children_.by_signal(), ignore) == count_sources([](Source& source) {
            return source.kind() == Kind::kChild &&
                   static_cast<ChildSource&>(source).ListNode<ChildBySignalTag>::linked();
          }));
    for (int signo = 1; signo < _NSIG; ++signo) {
      const SignalSource* source = loop_.signals_.find(signo);
      if (source) HOLDS(source->connected() && source->signo() == signo);
    }
    HOLDS(loop_.levels_.n_pending() == count_sources([](Source& source) { return source.is_pending(); }));
    HOLDS(loop_.refs_ >= count_sources([](Source& source) { return !source.floating_; }));
    HOLDS(loop_.asked_in_ <= loop_.iteration_);
  }

  Loop& loop_;
  const bool running_;
  bool ok_ = true;
};

bool Loop::check_invariants() { return LoopCheck(*this).run(); }

}  // namespace evenkeel
