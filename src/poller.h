// SPDX-License-Identifier: MIT
//
// The epoll set of a loop.
//
// Idea: two kinds of watchers. A `Channel` is a descriptor of our own (timerfd, signalfd, inotify); it is registered at
// once and closed by us. A `WatchedSource` watches a descriptor of the caller, which may be closed, duplicated and its
// number used again at any time; turning it off and on again between two waits costs no system call.
//
// Invariants:
//  1. `registered_` of a source is the event mask that the kernel was given last, or 0 if it has none of us.
//  2. A source whose registration differs from what it wants, or has to be confirmed, is on `stale_`; `flush()` settles
//     all of them, and is called before every wait, before `prepare` returns, and before a new registration is made.
//     The last because a removal that came later could hit a newer registration of the same descriptor number. Between
//     `prepare` and `wait` nothing is put off.
//  3. A new registration is made at once: its errors belong to the call that asked for it.
//  4. epoll gives back a handle (slot and number of the registration), never a pointer to a source. A registration that
//     nobody can remove any more (the descriptor was closed while a duplicate of it stayed open) is noticed by its
//     handle when its source is gone, off, or has another registration; then the whole epoll set is made anew under the
//     same number.
//
// Forks: a child shares the set with its parent. Once it has said so by `abandon()` nothing here reaches the kernel.
#pragma once

#include <sys/epoll.h>

#include "src/source.h"

namespace evenkeel {

struct ChannelTag;
struct StaleTag;

// What epoll is asked for, in half the size: EPOLLET is the only bit above the lower 15 that we use.
class EventMask {
 public:
  constexpr EventMask(uint32_t events = 0)
      : bits_(static_cast<uint16_t>((events & kLower) | (events & EPOLLET) >> 16U)) {}
  constexpr operator uint32_t() const { return (bits_ & kLower) | (bits_ & ~kLower) << 16U; }

 private:
  static constexpr uint32_t kLower = 0x7FFF;

  uint16_t bits_;
};

// A source that watches a file descriptor.
class WatchedSource : public Source, public ListNode<StaleTag>, public ListNode<WatchLevelTag> {
 public:
  int fd() const { return fd_; }

  // The kernel reports `events`. Makes the source pending, if it wants to be; must not call back.
  virtual void on_ready(uint32_t events) { (void)events; }

  int move(Level& to) override;

 protected:
  WatchedSource(Kind kind, Traits traits, Enabled enabled) : Source(kind, with_fd(traits), enabled) {}
  ~WatchedSource() = default;

  // Registers for `events` (or changes them) and counts as armed at the level.
  int watch(uint32_t events);
  void unwatch();
  // As `unwatch`, but at once: the descriptor is about to be closed by us.
  void unwatch_now();
  // Watches `fd` instead; on failure the old one stays.
  int change_fd(int fd);

  int fd_ = -1;

 private:
  friend class LoopCheck;
  friend class Poller;

  static constexpr Traits with_fd(Traits traits) {
    traits.watched = true;
    return traits;
  }

  uint32_t registration_ = 0;  // Its number, which no other registration of the loop has.
  EventMask wanted_;
  EventMask registered_;
};

inline WatchedSource* Source::watched() { return traits_.watched ? static_cast<WatchedSource*>(this) : nullptr; }

// A descriptor of ours.
class Channel : public ListNode<ChannelTag>, public ListNode<LevelChannelTag> {
 public:
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  int fd() const { return fd_; }
  virtual void on_ready(uint32_t events) { (void)events; }

 protected:
  Channel() = default;
  ~Channel() = default;

  int fd_ = -1;

 private:
  friend class Poller;
};

class Poller {
 public:
  Poller() = default;
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;
  ~Poller();

  int open();
  void abandon() { abandoned_ = true; }
  // While another loop may sleep on the set, nothing is postponed.
  void set_eager(bool eager) { eager_ = eager; }
  int fd() const { return epoll_; }

  // The registry of all sources of the loop, in slots that are used again. `reserve` is the part that may fail.
  [[nodiscard]] bool reserve_slot();
  void take_slot(Source& source);
  void release_slot(Source& source);
  template <typename Visit>
  void for_each_source(Visit visit) {
    for (size_t i = 0; i < slots_.size(); ++i)
      if (is_source(slots_[i])) visit(*to_source(slots_[i]));
  }
  size_t n_sources() const { return n_sources_; }
  size_t n_most() const { return n_sources_ + n_channels_; }  // More can't be ready at once.

  int watch(WatchedSource& source, uint32_t events);
  void unwatch(WatchedSource& source);
  void forget(WatchedSource& source);
  // Registers `fd` in place of the source's own; on failure that one stays.
  int replace(WatchedSource& source, int fd, uint32_t events);
  void flush() {
    if (!stale_.empty()) flush_stale();
  }

  int add_channel(Channel& channel);
  void remove_channel(Channel& channel);

  // Waits at most `timeout` (0: only looks; kForever: without end). Returns the number of events at hand, or -errno;
  // -EINTR after a signal handler. `briefly`: a few events will do, as something could go before most of them.
  int wait(Usec timeout, bool briefly = false);
  // Looks what more there is. epoll moves what it reported to the end of its ready list, so this brings what did not
  // fit.
  int more();
  // Hands these `n` events to their sources and channels, in the order of the kernel's report. Returns whether there
  // may be more of them.
  bool deliver(int n);

  // Asks only about the descriptors of the levels that are better than `bound`, or as good where `inclusive`. 1: done,
  // 0: not possible this way, as they are too many or epoll alone knows.
  int ask_better(Levels& levels, Priority bound, bool inclusive);

 private:
  friend class LoopCheck;

  static constexpr size_t kMostEvents = 1024;  // In one call,
  static constexpr size_t kFewEvents = 64;     // and briefly.
  static constexpr size_t kFewFds = 16;

  static bool is_source(uintptr_t slot) { return (slot & 1U) == 0; }
  static Source* to_source(uintptr_t slot) { return reinterpret_cast<Source*>(slot); }
  static uint64_t handle(const WatchedSource& source);
  static uint64_t handle(const Channel& channel);

  int control(int op, WatchedSource& source, int fd, uint32_t events);
  int add(WatchedSource& source, int fd, uint32_t events);
  int room(size_t most) const { return static_cast<int>(events_.capacity() < most ? events_.capacity() : most); }
  int collect(Usec timeout);
  int collect_exactly(Usec timeout);
  bool registered(WatchedSource& source);
  bool ask_signals(Levels& levels, Priority bound, bool inclusive);
  void deliver_one(uint64_t handle, uint32_t events);
  bool register_all();
  void rebuild();
  void flush_stale();

  int epoll_ = -1;
  bool haunted_ = false;  // An event came for a registration that nobody has.
  bool no_pwait2_ = false;
  bool abandoned_ = false;
  bool eager_ = false;

  Array<uintptr_t> slots_;  // A Source*, or 2 * next free slot + 1.
  size_t free_slot_ = SIZE_MAX;
  size_t n_sources_ = 0;
  uint32_t last_registration_ = 0;

  Array<struct epoll_event> events_;
  int room_ = 0;  // What the last call could bring.
  List<WatchedSource, StaleTag> stale_;
  List<Channel, ChannelTag> channels_;
  size_t n_channels_ = 0;
};

}  // namespace evenkeel
