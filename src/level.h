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
//  1. A level is in `Levels::pending_` if and only if a source of it is pending, and in `Levels::armed_` if and only if
//     `n_armed() > 0`.
//  2. The list of pending sources is sorted by the iteration in which its sources became pending; ties stand in order
//  of
//     arrival. A source that arrives older than the end of the list stands in the heap `aged_` instead, so that no
//     arrival costs more than O(log n).
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
struct AgedTag;
struct Extras;
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

  // The source that has been pending longest; null when none is.
  Source* first_pending() const;
  void push_pending(Source& source);  // To the end of the queue.
  // Puts a source whose event is older than its arrival where its age belongs. The source needs its Extras for that,
  // unless `is_youngest`.
  void insert_pending_by_age(Source& source);
  bool is_youngest(const Source& source);
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
  bool has_signals() const;  // The signalfd is one of the channels.

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

  struct Older {
    bool operator()(const Extras& a, const Extras& b) const;
  };

  void count_pending();
  void uncount_pending();
  Source* first_aged(Source* of_list) const;
  void erase_aged(Source& source);

  size_t n_pending_ = 0;
  List<Source, SourcePendingTag> pending_;
  IntrusiveHeap<Extras, AgedTag, Older> aged_;
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
  size_t n_pending() const { return n_pending_; }
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
  size_t n_pending_ = 0;  // Sources, of all levels.
  uint64_t n_aged_ = 0;   // How often a source was put into a heap `aged_`.
  // Levels in use, by priority. Programs use a handful; a flat array finds and walks them fastest.
  Array<Level*> sorted_;
  IntrusiveHeap<Level, LevelPendingTag, Better> pending_;
  IntrusiveHeap<Level, LevelArmedTag, Better> armed_;
};

}  // namespace evenkeel
