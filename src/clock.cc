// SPDX-License-Identifier: MIT
//
// See clock.h.
#include "src/clock.h"

#include <string.h>

#include <atomic>

#include "src/kernel.h"
#include "src/time_source.h"

namespace evenkeel {

Usec shared_wakeup(Window window, Usec offset) {
  constexpr Usec kGrids[] = {60 * kUsecPerSec, 10 * kUsecPerSec, kUsecPerSec, 250 * kUsecPerMsec};
  if (window.latest == kForever || window.latest <= window.earliest) return window.latest;
  for (const Usec grid : kGrids) {
    const Usec phase = offset % grid;
    Usec point = window.latest - window.latest % grid;  // The last multiple of the grid that is not after the end ...
    if (phase > window.latest - point) {                // ... moved by the phase, without leaving the window,
      if (point < grid) continue;                       // or the range of the clock.
      point -= grid;
    }
    point += phase;
    if (point >= window.earliest) return point;
  }
  return window.latest;
}

namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

Usec read_boot_offset() {
  const int fd = kernel::open("/proc/sys/kernel/random/boot_id", O_RDONLY);
  if (fd < 0) return 0;
  char text[64];
  const ssize_t n = kernel::read(fd, text, sizeof(text));
  (void)kernel::close(fd);
  unsigned char id[16] = {};
  size_t digits = 0;
  for (ssize_t i = 0; i < n && digits < 32; ++i) {
    const int digit = hex_digit(text[i]);
    if (digit < 0) continue;
    id[digits / 2] = static_cast<unsigned char>(id[digits / 2] << 4 | digit);
    ++digits;
  }
  if (digits < 32) return 0;
  uint64_t halves[2];
  ::memcpy(halves, id, sizeof(halves));
  return (halves[0] ^ halves[1]) % (60 * kUsecPerSec);
}

// One read a process: the machine is not booted again under it.
constinit std::atomic<Usec> known_offset = kForever;

}  // namespace

Usec boot_offset() {
  Usec offset = known_offset.load(std::memory_order_relaxed);
  if (offset == kForever) {
    offset = read_boot_offset();
    known_offset.store(offset, std::memory_order_relaxed);
  }
  return offset;
}

Clock::~Clock() {
  if (fd_ >= 0) (void)kernel::close(fd_);
}

int Clock::open(Poller& poller) {
  if (fd_ >= 0) return 0;
  // A machine without a real-time clock that can wake it has no ALARM clocks, but makes a timerfd that never fires for
  // them.
  struct timespec ts;
  if (kernel::clock_gettime(id_, &ts) < 0) return -EOPNOTSUPP;
  const int fd = kernel::timerfd_create(id_);
  if (fd < 0) return fd;
  fd_ = fd;
  if (const int r = poller.add_channel(*this); r < 0) {
    (void)kernel::close(fd);
    fd_ = -1;
    return r;
  }
  return 0;
}

void Clock::insert(TimeSource& timer) {
  earliest_.push(timer);
  latest_.push(timer);
}

void Clock::erase(TimeSource& timer) {
  earliest_.erase(timer);
  latest_.erase(timer);
}

Window Clock::window() const {
  if (earliest_.empty()) return {};
  return {earliest_.top()->time(), latest_.top()->latest()};
}

void Clock::pend_due(Usec now) {
  while (!earliest_.empty() && earliest_.top()->time() <= now && earliest_.top()->time() != kForever) {
    TimeSource& timer = *earliest_.top();
    erase(timer);
    timer.pend();
  }
}

int Clock::program(Window window) {
  if (window.earliest == kForever) {
    if (programmed_ == kForever) return 0;
    const struct itimerspec disarm = {};
    const int r = kernel::timerfd_settime(fd_, disarm);
    if (r >= 0) programmed_ = kForever;
    return r;
  }
  const Usec wake = shared_wakeup(window, boot_offset());
  if (wake == programmed_) return 0;
  struct itimerspec at = {};
  at.it_value = to_timespec(wake);
  if (wake == 0) at.it_value.tv_nsec = 1;  // All zero would disarm.
  const int r = kernel::timerfd_settime(fd_, at);
  if (r >= 0) programmed_ = wake;
  return r;
}

bool Clock::valid() const { return earliest_.valid() && latest_.valid(); }

void Clock::on_ready(uint32_t events) {
  // What is due is found by the clock. The timerfd stays readable until it is programmed again; what it held is no
  // longer of use, so the next `program` sets it whatever the value.
  (void)events;
  programmed_ = kFired;
}

Clock* Clocks::find(clockid_t id) {
  for (Clock& clock : all_)
    if (clock.id() == id) return &clock;
  return nullptr;
}

}  // namespace evenkeel
