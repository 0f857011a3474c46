// SPDX-License-Identifier: MIT
//
// See pressure_source.h.
#include "src/pressure_source.h"

#include <malloc.h>

#include "src/callbacks.h"
#include "src/kernel.h"
#include "src/loop.h"

namespace evenkeel {

namespace {

constexpr uint32_t kBroken = EPOLLERR | EPOLLHUP;
// A file of the kernel can always be read. Edge-triggered that is a report whenever there is news, and it stays one
// when EPOLLPRI has been taken away.
constexpr uint32_t kNews = EPOLLPRI | EPOLLIN | EPOLLET;

ssize_t send(int fd, std::string_view data) {
  struct iovec part = {const_cast<char*>(data.data()), data.size()};
  struct msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  return kernel::sendmsg(fd, message);
}

}  // namespace

int trim_memory() {
  (void)::malloc_trim(0);
  return 0;
}

int PressureSource::add(Loop& loop, Source** ret, Kind kind, Handler callback, void* userdata) {
  PressureSource* source = make<PressureSource>(kind, callback);
  if (!source) return -ENOMEM;
  source->userdata = userdata;
  const int fd = source->config_.open(kind);
  if (fd < 0) {
    source->destroy();
    return fd;
  }
  source->fd_ = source->file_ = fd;
  if (const int r = connect(loop, source, !ret); r < 0) return r;
  if (ret) *ret = source;
  return 0;
}

int PressureSource::set_full(bool full) { return settable() ? config_.set_full(full) : -EBUSY; }

int PressureSource::set_period(Usec threshold, Usec window) {
  return settable() ? config_.set_period(threshold, window) : -EBUSY;
}

uint32_t PressureSource::events() const {
  const uint32_t input = of_kernel() && !relayed() ? EPOLLPRI : EPOLLIN;
  if (!writing()) return input;
  // What is written to a FIFO comes out of it again: to look for input now would be to take the settings away.
  return config_.file() == PressureFile::kFifo ? EPOLLOUT : input | EPOLLOUT;
}

int PressureSource::arm() {
  const int r = watch(events());
  if (r < 0) return r;
  if (loop()->lent()) loop_lent();
  if (writing() && !ListNode<PressureWriteTag>::linked()) loop()->pressure_writes().push_back(*this);
  return 0;
}

void PressureSource::loop_lent() {
  if (!of_kernel() || relayed() || ListNode<PressureWriteTag>::linked()) return;
  if (ListNode<WatchLevelTag>::linked()) loop()->pressure_writes().push_back(*this);
}

void PressureSource::disarm() {
  ListNode<PressureWriteTag>::unlink();
  unwatch();
}

void PressureSource::flush(PressureWrites& due) {
  while (PressureSource* source = due.front()) source->write_on();
}

void PressureSource::write_on() {
  ListNode<PressureWriteTag>::unlink();
  begun_ = true;
  // See invariant 2; changing the registration would not do.
  if (of_kernel()) unwatch_now();
  int r = write_rest();
  if (of_kernel() && !writing() && !relayed() && loop()->lent()) relay();
  if (r >= 0) r = watch(events());
  if (r < 0) (void)set_enabled(Enabled::kOff);
}

int PressureSource::write_rest() {
  while (writing()) {
    const std::string_view rest = config_.unwritten();
    const bool socket = config_.file() == PressureFile::kSocket;
    const ssize_t n = socket ? send(file_, rest) : kernel::write(file_, rest.data(), rest.size());
    if (n > 0)
      config_.written(static_cast<size_t>(n));
    else if (n == 0 || n == -EAGAIN)
      return 0;  // The rest goes when there is room.
    else if (socket && (n == -EPIPE || n == -ECONNRESET))
      config_.written(
          rest.size());  // Nobody wants it. What the other side has said before it went is still to be heard.
    else if (n != -EINTR)
      return static_cast<int>(n);
  }
  return 0;
}

// The relay is an epoll set with nothing in it but the file. Whoever looks at it finds it ready until we have taken the
// report, and only its readiness goes up to the loop. The price, besides a descriptor: of a cgroup's file it tells when
// another program is told of pressure by the same file, too; so there is none while nobody but us looks.
void PressureSource::relay() {
  const int relay = kernel::epoll_create();
  if (relay < 0) return;  // Then the source works as in a loop that is not lent.
  if (kernel::epoll_ctl(relay, EPOLL_CTL_ADD, file_, kNews, 0) < 0) {
    (void)kernel::close(relay);
    return;
  }
  fd_ = relay;
  // The first report comes unasked, and may be no news.
  if ((take_report() & (EPOLLPRI | kBroken)) != 0) repeat_report();
}

uint32_t PressureSource::take_report() {
  struct epoll_event event = {};
  return kernel::epoll_wait(fd_, &event, 1, 0) > 0 ? event.events : 0;
}

void PressureSource::repeat_report() { (void)kernel::epoll_ctl(fd_, EPOLL_CTL_MOD, file_, kNews, 0); }

void PressureSource::on_ready(uint32_t events) {
  if (writing()) {
    if (!ListNode<PressureWriteTag>::linked()) loop()->pressure_writes().push_back(*this);
    // A file of the kernel that has no settings yet says nothing but that.
    if (of_kernel()) return;
  }
  events &= EPOLLPRI | EPOLLIN | kBroken;
  if (events == 0) return;
  if (is_pending()) {
    revents_ |= events;
    return;
  }
  revents_ = events;
  pend();
}

int PressureSource::fire() {
  if (!of_kernel()) {
    if (const int r = drain(); r < 0) return r;
  } else {
    const uint32_t report = revents_ | (relayed() ? take_report() : 0);
    if ((report & kBroken) != 0) {
      if (relayed()) repeat_report();  // Who turns the source on again shall not wait in vain.
      return -EIO;                     // EPOLLPRI goes with it for ever when the cgroup is gone.
    }
  }
  if (callback_) return call_program(callback_, this, userdata);
  return kind() == Kind::kMemoryPressure ? trim_memory() : 0;
}

// Throws some input away; what is left is for the next iteration. <0 where there was none, and won't be.
int PressureSource::drain() {
  char waste[4096];
  ssize_t n;
  do {
    n = kernel::read(file_, waste, sizeof(waste));
  } while (n == -EINTR);
  // Somebody else may have read what made us wake up; that it was there is all we want to know.
  if (n == -EAGAIN) return (revents_ & kBroken) != 0 ? -EIO : 0;
  return n > 0 ? 0 : n == 0 ? -EIO : static_cast<int>(n);
}

void PressureSource::detach(bool forked) {
  (void)forked;  // The poller knows.
  loop()->poller().forget(*this);
  close();
}

void PressureSource::close() {
  if (relayed()) (void)kernel::close(fd_);
  if (file_ >= 0) (void)kernel::close(file_);
  fd_ = file_ = -1;
}

void PressureSource::destroy() {
  close();
  dispose(this);
}

}  // namespace evenkeel
