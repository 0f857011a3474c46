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
//  4. Only the registration that `owners_` has for a descriptor number is changed or removed by the number. An older
//  one,
//     whose descriptor the program has closed, can't be reached any more.
//  5. epoll gives back a handle (slot and number of the registration), never a pointer. A registration that nobody can
//     remove any more (the descriptor was closed while a duplicate of it stayed open) is noticed by its handle when its
//     source is gone, off, or has another registration; then the whole epoll set is made anew.
//  6. Who asks for the descriptor of the loop gets a set in which there is nothing but ours (`lent_`). So ours can be
//  made
//     anew without anybody who watches the loop noticing it.
//
// Forks: a child shares the set with its parent. Once it has said so by `abandon()` nothing here reaches the kernel.
#pragma once

#include <sys/epoll.h>

#include "src/fd_owners.h"
#include "src/source.h"

namespace evenkeel {

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
  // Whether the descriptor that was given to the kernel is closed.
  bool is_deaf();

  int fd_ = -1;

 private:
  friend class LoopCheck;
  friend class Poller;

  static constexpr Traits with_fd(Traits traits) {
    traits.watched = true;
    return traits;
  }

  uint32_t registration_ = 0;  // Its number, which no other registration of the loop has; never 0 once there is one.
  EventMask wanted_;
  EventMask registered_;
};

inline WatchedSource* Source::watched() { return traits_.watched ? static_cast<WatchedSource*>(this) : nullptr; }

// A descriptor of ours.
class Channel : public ListNode<LevelChannelTag> {
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
  friend class LoopCheck;
  friend class Poller;

  uint32_t slot_ = UINT32_MAX;  // UINT32_MAX: it is not registered.
  uint32_t registration_ = 0;
  bool muted_ = false;
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
  void set_eager(bool eager) {
    eager_ = eager;
    if (eager) flush();
  }
  int fd() const { return epoll_; }
  // The descriptor for another loop to watch: always the same.
  int lend();

  // The registry of all sources of the loop, in slots that are used again. `reserve` is the part that may fail.
  [[nodiscard]] bool reserve_slot();
  void take_slot(Source& source);
  void release_slot(Source& source);
  // Room for a registration by this descriptor number, so that it can't fail for lack of memory later.
  [[nodiscard]] bool reserve_owner(int fd) { return owners_.reserve(fd); }
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
  // Whether the set has the file that the source's descriptor stands for.
  bool registered(WatchedSource& source) { return question(source) == -EEXIST; }
  void flush() {
    if (!stale_.empty()) flush_stale();
  }

  int add_channel(Channel& channel);
  void remove_channel(Channel& channel);
  // While a channel is muted, its readiness wakes nobody.
  void mute(Channel& channel, bool muted);

  // Waits at most `timeout` (0: only looks; kForever: without end). Returns the number of events at hand, or -errno;
  // -EINTR after a signal handler. `briefly`: a few events will do, as something could go before most of them.
  int wait(Usec timeout, bool briefly = false);
  // Looks what more there is. epoll moves what it reported to the end of its ready list, so this brings what did not
  // fit.
  int more();
  // Hands these `n` events to their sources and channels, in the order of the kernel's report. Returns whether there
  // may be more of them.
  bool deliver(int n);

  // Asks only about the descriptors of the levels that are better than `bound`, or as good where `inclusive`. False:
  // not possible this way, because they are many, or because epoll alone knows the order in which they became ready, or
  // whether an edge has come.
  bool ask_better(Levels& levels, Priority bound, bool inclusive);

 private:
  friend class LoopCheck;

  static constexpr size_t kMostEvents = 1024;  // In one call,
  static constexpr size_t kFewEvents = 64;     // and briefly.
  // Up to so many descriptors poll(2) is asked about, and up to as many as sources are pending: it costs about 35 ns
  // for each descriptor, and epoll_wait(2) about 50 ns for each that is ready (bench-ready --better).
  static constexpr size_t kFewFds = 64;

  // What is in a slot, by its lowest bits, which are 0 in an address.
  static constexpr uintptr_t kFree = 1, kChannel = 2, kKinds = 3;
  static bool is_source(uintptr_t slot) { return (slot & kKinds) == 0; }
  static bool is_channel(uintptr_t slot) { return (slot & kKinds) == kChannel; }
  static Source* to_source(uintptr_t slot) { return reinterpret_cast<Source*>(slot); }
  static Channel* to_channel(uintptr_t slot) { return reinterpret_cast<Channel*>(slot & ~kKinds); }
  static uint64_t handle(const WatchedSource& source) { return handle(source.registration_, source.slot()); }
  static uint64_t handle(const Channel& channel) { return handle(channel.registration_, channel.slot_); }
  static uint64_t handle(uint32_t registration, uint32_t slot) { return uint64_t{registration} << 32U | slot; }

  uint32_t take(uintptr_t entry);
  void release(uint32_t slot);
  uint32_t next_registration() { return ++last_registration_ != 0 ? last_registration_ : ++last_registration_; }

  int control(int op, WatchedSource& source, int fd, uint32_t events);
  template <typename Add>
  int add_or_flush(Add add);
  int add(WatchedSource& source, int fd, uint32_t events);
  int modify(WatchedSource& source, uint32_t events);
  void remove(int fd, uint32_t registration);
  bool owns(const WatchedSource& source) const { return owners_.is(source.fd_, source.registration_); }
  int room(size_t most) const { return static_cast<int>(events_.capacity() < most ? events_.capacity() : most); }
  int collect(Usec timeout);
  int collect_exactly(Usec timeout);
  int question(WatchedSource& source);
  bool list_better(Levels& levels, Priority bound, bool inclusive, bool* signals);
  template <typename Watcher>
  void add_event(const Watcher& watcher, uint32_t events, int* n_events) {
    struct epoll_event& event = events_.data()[(*n_events)++];
    event.events = events;
    event.data.u64 = handle(watcher);
  }
  bool report_level(Level& level, const struct pollfd* polled, bool signalled, int* n_events);
  void deliver_one(uint64_t handle, uint32_t events);
  bool register_all(int fresh);
  void rebuild();
  bool replace_set(int fresh, int old);
  void flush_stale();

  int epoll_ = -1;
  int lent_ = -1;         // -1: nobody has asked.
  bool haunted_ = false;  // An event came for a registration that nobody has.
  bool no_pwait2_ = false;
  bool abandoned_ = false;
  bool eager_ = false;

  Array<uintptr_t> slots_;  // A Source*, a Channel* + kChannel, or 4 * next free slot + kFree.
  size_t free_slot_ = SIZE_MAX;
  size_t n_sources_ = 0;
  size_t n_channels_ = 0;
  uint32_t last_registration_ = 0;

  FdOwners owners_;

  Array<struct epoll_event> events_;
  Array<struct pollfd> polled_;
  int room_ = 0;  // What the last call could bring.
  List<WatchedSource, StaleTag> stale_;
};

}  // namespace evenkeel
