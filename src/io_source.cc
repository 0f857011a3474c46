// SPDX-License-Identifier: MIT
//
// See io_source.h.
#include "src/io_source.h"

#include "src/callbacks.h"
#include "src/kernel.h"
#include "src/loop.h"

namespace evenkeel {

int IoSource::add(Loop& loop, Source** ret, int fd, uint32_t events, Callback callback, void* userdata) {
  IoSource* source = make<IoSource>(fd, events, callback);
  if (!source) return -ENOMEM;
  source->userdata = userdata;
  if (const int r = connect(loop, source, !ret); r < 0) return r;
  if (ret) *ret = source;
  return 0;
}

void IoSource::on_ready(uint32_t events) {
  const uint32_t known = is_pending() ? revents_ : 0U;
  if ((known & kComplete) != 0) return;
  revents_ = static_cast<uint16_t>(known | events | (enabled() == Enabled::kOneshot ? kComplete : 0U));
  pend();
}

int IoSource::fire() {
  return callback_ ? call_program(callback_, this, fd_, revents(), userdata) : loop()->exit_by_default(*this);
}

int IoSource::set_events(uint32_t events) {
  // Edge-triggered: the same mask again asks for the edge again.
  if (events == events_ && (events & EPOLLET) == 0) return 0;
  if (armed()) {
    if (const int r = watch(events); r < 0) return r;
  }
  unpend();
  events_ = events;
  return 0;
}

int IoSource::set_fd(int fd) {
  // The same number may stand for another file by now.
  if (fd == fd_ && !(armed() && is_deaf())) return 0;
  const int old = fd_;
  if (const int r = change_fd(fd); r < 0) return r;
  unpend();  // The event was of the old file.
  if (owns_fd() && fd != old) (void)kernel::close(old);
  return 0;
}

// What has been reported says nothing of what is ready from now on.
int IoSource::arm() {
  revents_ = static_cast<uint16_t>(revents_ & ~kComplete);
  return watch(events_);
}

// Between ON and ONESHOT: what is ready is asked for once more, and of an edge-triggered descriptor the edge is.
int IoSource::rearm() {
  revents_ = static_cast<uint16_t>(revents_ & ~kComplete);
  return (events_ & EPOLLET) != 0 ? watch(events_) : 0;
}

void IoSource::detach(bool forked) {
  (void)forked;
  loop()->poller().forget(*this);
  if (owns_fd()) (void)kernel::close(fd_);
}

}  // namespace evenkeel
