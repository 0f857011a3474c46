// SPDX-License-Identifier: MIT
//
// A source that fires when a file descriptor is ready.
//
// Invariant: `revents_` holds what the kernel reported since the source became pending, and is only of meaning while it
// is. Owner: the descriptor is the caller's, unless `own_fd` is set; then it is closed when the source is freed or
// moved.
#pragma once

#include "src/poller.h"

namespace evenkeel {

class IoSource final : public WatchedSource {
 public:
  using Callback = int (*)(Source*, int fd, uint32_t revents, void* userdata);

  static constexpr uint32_t kEvents = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLERR | EPOLLHUP | EPOLLET;

  static int add(Loop& loop, Source** ret, int fd, uint32_t events, Callback callback, void* userdata);

  uint32_t events() const { return events_; }
  uint32_t revents() const { return static_cast<uint32_t>(revents_ & ~kComplete); }
  int set_events(uint32_t events);
  int set_fd(int fd);

  bool own_fd() const { return owns_fd(); }
  void set_own_fd(bool own) { WatchedSource::own_fd(own); }

  int arm() override;
  void disarm() override { unwatch(); }
  int rearm() override;
  void on_ready(uint32_t events) override;
  int fire() override;
  void detach(bool forked) override;
  void destroy() override { dispose(this); }

 private:
  template <typename T, typename... Args>
  friend T* make(Args&&... args);
  template <typename T>
  friend void dispose(T* object);

  IoSource(int fd, uint32_t events, Callback callback)
      : WatchedSource(Kind::kIo, {}, Enabled::kOn), events_(events), callback_(callback) {
    fd_ = fd;
  }

  // In `revents_`, where no event has this bit: the source has been reported while it was ONESHOT, and is dispatched
  // for what was ready then, and for nothing that comes later.
  static constexpr uint16_t kComplete = 0x8000;

  EventMask events_;
  uint16_t revents_ = 0;  // Of which EPOLLET is none.
  const Callback callback_;
};

}  // namespace evenkeel
