// SPDX-License-Identifier: MIT
//
// Signals, read by signalfd, ordered by the priorities of their sources.
//
// Idea: each level that watches signals has a signalfd of its own, and reads one signal at a time: the next is left in
// the kernel's queue until the one before was dispatched. So priorities order signals among each other, and real-time
// signals keep their queue. The siginfo is kept in the source, so that a source that is held back does not hold back
// the others.
//
// Invariants:
//  1. A signal is in the mask of a level's signalfd if and only if an armed source of that level watches it, or
//  (SIGCHLD) a
//     child source of that level needs it.
//  2. A loop has at most one source for a signal.
//
// A signal that was read when its source is turned OFF or freed is lost, as the kernel does not take it back.
#pragma once

#include <signal.h>
#include <sys/signalfd.h>

#include "src/poller.h"

namespace evenkeel {

class SignalSource;

// The signals of one level.
class SignalQueue final : public Channel {
 public:
  explicit SignalQueue(Level& level) : level_(level) { ::sigemptyset(&mask_); }
  ~SignalQueue();

  // The queue of a level, made if need be; null when memory is short.
  static SignalQueue* of(Level& level);

  int watch(int signo);
  void unwatch(int signo);
  int watch_children();
  void unwatch_children();

  void signal_pending() { ++n_pending_; }
  void signal_done() { --n_pending_; }

  // Whether there is something to read among the signals that wait.
  bool concerned(const sigset_t& waiting) const;
  void on_ready(uint32_t events) override;

 private:
  friend class LoopCheck;

  int change(int signo, bool watched);

  Level& level_;
  sigset_t mask_;
  unsigned n_watched_ = 0;  // Signals in the mask.
  unsigned n_pending_ = 0;  // Sources of this level that wait to be dispatched for a signal.
  unsigned n_children_ = 0;
  bool source_watches_sigchld_ = false;
};

// The signals of a loop.
class Signals {
 public:
  [[nodiscard]] bool reserve();
  SignalSource* find(int signo) const { return sources_ ? sources_[signo] : nullptr; }
  void set(int signo, SignalSource* source) { sources_[signo] = source; }

  Signals() = default;
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  ~Signals() { ::free(sources_); }

 private:
  SignalSource** sources_ = nullptr;
};

class SignalSource final : public Source {
 public:
  using Callback = int (*)(Source*, const struct signalfd_siginfo*, void* userdata);

  // Or-ed to the number: the call blocks the signal, freeing the source unblocks it.
  static constexpr int kBlock = 1 << 30;

  // -EBUSY if the signal has a source already or is not blocked in this thread, -EINVAL for what is no signal.
  static int add(Loop& loop, Source** ret, int signo, Callback callback, void* userdata);

  int signo() const { return signo_; }

  int attach() override;
  void detach(bool forked) override;
  int arm() override;
  void disarm() override;
  int fire() override;
  int move(Level& to) override;
  void unpended(bool dispatched) override;
  const char* default_description() const override;
  void destroy() override { dispose(this); }

 private:
  friend class SignalQueue;
  template <typename T, typename... Args>
  friend T* make(Args&&... args);
  template <typename T>
  friend void dispose(T* object);

  SignalSource(int signo, bool block, Callback callback)
      : Source(Kind::kSignal, {.hears_unpended = true}, Enabled::kOn),
        signo_(signo),
        block_(block),
        callback_(callback) {}

  const int signo_;
  const bool block_;
  bool unblock_ = false;  // This source has blocked the signal.
  const Callback callback_;
  struct signalfd_siginfo info_ = {};
};

}  // namespace evenkeel
