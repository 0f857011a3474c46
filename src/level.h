// SPDX-License-Identifier: MIT
//
// All sources of one priority, and the order of the priorities.
//
// Idea: strict priorities need two answers at once, "which pending source goes first" and "could anything better than
// it become ready". Both are questions about whole priorities, not about sources: a `Level` is one priority that is in
// use, with its pending sources in the order in which they became pending, and with what the kernel could wake at this
// priority. `Levels` keeps two heaps of levels, those with something pending and those with something armed. While no
// armed level is better than the best pending one, dispatching needs no system call (see loop.h).
//
// Invariants:
//  1. A level is in `pending_` if and only if its list of pending sources is not empty, and in `armed_` if and only if
//     `n_armed() > 0`.
//  2. The pending list is sorted by the iteration in which its sources became pending; ties stand in order of arrival.
//  3. Each attached source holds one reference on its level. The level of priority 0 lives in `Levels` and is never
//     freed.
//
// Owner: `Levels` owns the levels; a level owns its signal and inotify queues (as channels). Forks: plain memory.
#pragma once

#include "src/intrusive_heap.h"
#include "src/list.h"
#include "src/memory.h"
#include "src/types.h"

namespace evenkeel {

class Channel;
class InotifyQueue;
class Levels;
class Loop;
class SignalQueue;
class Source;
class WatchedSource;
struct LevelArmedTag;
struct LevelChannelTag;
struct LevelPendingTag;
struct SourcePendingTag;
struct WatchLevelTag;

class Level final : public HeapNode<LevelPendingTag>, public HeapNode<LevelArmedTag> {
 public:
  Level(Loop& loop, Levels& owner, Priority priority) : loop_(loop), owner_(owner), priority_(priority) {}

  Priority priority() const { return priority_; }
  Levels& owner() const { return owner_; }
  Loop& loop() const { return loop_; }

  // The pending sources, first the one that has been pending longest.
  List<Source, SourcePendingTag>& pending() { return pending_; }
  const List<Source, SourcePendingTag>& pending() const { return pending_; }
  // To the end of the queue; but of one report of the kernel, those that were in the report before it (`again`) stand
  // behind all others.
  void push_pending(Source& source, bool again);
  // Puts a source that was pending at another level where its age belongs.
  void insert_pending_by_age(Source& source);
  void erase_pending(Source& source);

  // What the kernel could wake at this level.
  void attach_fd(WatchedSource& source, bool edge_triggered);
  void detach_fd(WatchedSource& source, bool edge_triggered);
  void attach_channel(Channel& channel);
  void detach_channel(Channel& channel);
  void attach_timer() {
    ++n_timers_;
    count_armed();
  }
  void detach_timer() {
    --n_timers_;
    uncount_armed();
  }

  size_t n_armed() const { return n_armed_; }
  size_t n_timers() const { return n_timers_; }
  size_t n_fds() const { return n_fds_; }
  size_t n_edge_triggered() const { return n_edge_triggered_; }
  List<WatchedSource, WatchLevelTag>& fds() { return fds_; }
  List<Channel, LevelChannelTag>& channels() { return channels_; }

  // Made when first needed, freed with the level; see signal_queue.h and inotify_queue.h.
  SignalQueue* signals = nullptr;
  InotifyQueue* inotify = nullptr;

 private:
  friend class Levels;
  friend class LoopCheck;

  void count_armed();
  void uncount_armed();

  Loop& loop_;
  Levels& owner_;
  const Priority priority_;
  size_t refs_ = 0;

  List<Source, SourcePendingTag> pending_;
  Source* first_again_ = nullptr;  // Of meaning while one report is handed out:
  uint64_t again_in_ = 0;          // that one.
  List<WatchedSource, WatchLevelTag> fds_;
  List<Channel, LevelChannelTag> channels_;
  size_t n_armed_ = 0;
  size_t n_fds_ = 0;  // Descriptors of sources and channels.
  size_t n_timers_ = 0;
  size_t n_edge_triggered_ = 0;
};

class Levels {
 public:
  explicit Levels(Loop& loop) : loop_(loop), normal_(loop, *this, 0) {}
  Levels(const Levels&) = delete;
  Levels& operator=(const Levels&) = delete;
  ~Levels();

  // The level of `priority` with one more reference, made if need be; null when memory is short.
  Level* acquire(Priority priority);
  void hold(Level& level) { ++level.refs_; }
  void release(Level& level) {
    if (--level.refs_ == 0) retire(level);
  }

  Level* best_pending() const { return pending_.top(); }
  Level* best_armed() const { return armed_.top(); }
  bool many_armed() const { return armed_.many(); }

  // Calls `visit(level)` for the levels that have a better priority than `bound` (or the same, where `inclusive`), best
  // first, while it returns true.
  template <typename Visit>
  void for_each_better(Priority bound, bool inclusive, Visit visit) {
    for (size_t i = 0; i < sorted_.size(); ++i) {
      const Priority priority = sorted_[i]->priority();
      if (priority > bound || (priority == bound && !inclusive) || !visit(*sorted_[i])) return;
    }
  }

  // Between these the kernel's report is handed out; what becomes pending later is no part of it.
  void begin_report() { ++report_; }
  void end_report() { ++report_; }

  Loop& loop() const { return loop_; }
  bool valid() const { return pending_.valid() && armed_.valid(); }

 private:
  friend class Level;
  friend class LoopCheck;

  struct Better {
    bool operator()(const Level& a, const Level& b) const { return a.priority() < b.priority(); }
  };

  size_t lower_bound(Priority priority) const;
  void retire(Level& level);
  void free_queues(Level& level);

  Loop& loop_;
  Level normal_;
  uint64_t report_ = 0;  // Changes with each begin and end.
  // Levels in use, by priority. Programs use a handful; a flat array finds and walks them fastest.
  Array<Level*> sorted_;
  IntrusiveHeap<Level, LevelPendingTag, Better> pending_;
  IntrusiveHeap<Level, LevelArmedTag, Better> armed_;
};

}  // namespace evenkeel
