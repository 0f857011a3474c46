// SPDX-License-Identifier: MIT
//
// See clock.h.
#include "src/clock.h"

#include <atomic>

#include "src/kernel.h"
#include "src/loop.h"
#include "src/proc_text.h"
#include "src/time_source.h"

namespace evenkeel {

Usec shared_wakeup(Window window, Usec offset) {
  constexpr Usec kGrids[] = {60 * kUsecPerSec, 10 * kUsecPerSec, kUsecPerSec, 250 * kUsecPerMsec};
  if (window.latest == kForever || window.latest <= window.earliest) return window.latest;
  for (const Usec grid : kGrids) {
    const Usec phase = offset % grid;
    Usec point = window.latest - window.latest % grid;  // The last multiple of the grid that is not after the end ...
    if (phase >= window.latest - point) {               // ... moved by the phase, but to before the end,
      if (point < grid) continue;                       // and not out of the range of the clock.
      point -= grid;
    }
    point += phase;
    if (point >= window.earliest) return point;
  }
  return window.latest;
}

namespace {

// <0 where it can't be read.
int read_boot_offset(Usec* ret) {
  const int fd = kernel::open("/proc/sys/kernel/random/boot_id", O_RDONLY);
  if (fd < 0) return fd;
  char text[64];
  const ssize_t n = kernel::read(fd, text, sizeof(text));
  (void)kernel::close(fd);
  if (n < 0) return static_cast<int>(n);
  *ret = parse_boot_id({text, static_cast<size_t>(n)});
  return 0;
}

// One read a process: the machine is not booted again under it.
constinit std::atomic<Usec> known_offset = kForever;

}  // namespace

Usec boot_offset() {
  Usec offset = known_offset.load(std::memory_order_relaxed);
  if (offset != kForever) return offset;
  offset = 0;
  // While something is short, it is not known yet.
  if (!kernel::is_shortage(read_boot_offset(&offset))) known_offset.store(offset, std::memory_order_relaxed);
  return offset;
}

Clock::~Clock() {
  if (fd_ >= 0) (void)kernel::close(fd_);
}

int Clock::open(Poller& poller) {
  if (fd_ >= 0) return 0;
  // A machine without a real-time clock that can wake it has no ALARM clocks, but makes a timerfd that never fires for
  // them.
  if (!kernel::has_clock(id_)) return -EOPNOTSUPP;
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
  if (alike_.empty()) accuracy_ = timer.accuracy();
  place(timer, timer.accuracy() == accuracy_);
}

void Clock::place(TimeSource& timer, bool alike) {
  timer.set_not_before(timer.time_);
  if (alike) {
    alike_.push(timer);
  } else {
    earliest_.push(timer);
    latest_.push(timer);
  }
}

void Clock::erase(TimeSource& timer) {
  if (is_alike(timer)) {
    alike_.erase(timer);
  } else {
    earliest_.erase(timer);
    latest_.erase(timer);
  }
}

bool Clock::is_alike(const TimeSource& timer) { return !timer.HeapNode<LatestTag>::in_heap(); }

void Clock::set_time(TimeSource& timer, Usec time) {
  timer.time_ = time;
  if (time >= timer.not_before()) return;
  timer.set_not_before(time);
  if (is_alike(timer)) {
    alike_.decreased(timer);
  } else {
    earliest_.decreased(timer);
    latest_.decreased(timer);
  }
}

// The top of a heap, settled; null when there is none.
template <typename Heap>
TimeSource* Clock::first(Heap& heap) {
  for (;;) {
    TimeSource* top = heap.top();
    if (!top || top->not_before() == top->time_) return top;
    const bool alike = is_alike(*top);
    erase(*top);
    place(*top, alike);
  }
}

Window Clock::window() {
  Window window;
  if (const TimeSource* alike = first(alike_)) window = {alike->time(), alike->latest()};
  if (const TimeSource* earliest = first(earliest_))
    window = window.joined({earliest->time(), first(latest_)->latest()});
  return window;
}

// A `not_before` is a lower bound: settled tops alone would tell of a time that has come, but a wrong yes costs little.
bool Clock::any_due(Usec now) const {
  const TimeSource* alike = alike_.top();
  const TimeSource* other = earliest_.top();
  return (alike && alike->not_before() <= now) || (other && other->not_before() <= now);
}

bool Clock::pend_due(Usec now, Priority worst) {
  for (;;) {
    TimeSource* timer = first(alike_);
    TimeSource* other = first(earliest_);
    if (!timer || (other && Earlier()(*other, *timer))) timer = other;
    if (!timer || timer->time() > now || timer->time() == kForever) return true;
    if (timer->priority() > worst) return false;
    erase(*timer);
    timer->pend();
  }
}

int Clock::program(Window window) {
  const Usec wake = window.earliest == kForever ? kForever : shared_wakeup(window, boot_offset());
  if (wake == programmed_ && !fired_) return 0;
  struct itimerspec at = {};  // All zero disarms.
  if (wake != kForever) at.it_value = to_timespec(wake);
  if (wake == 0) at.it_value.tv_nsec = 1;
  const int r = kernel::timerfd_settime(fd_, at);
  if (r < 0) return r;
  programmed_ = wake;
  fired_ = false;
  return 0;
}

bool Clock::valid() const { return alike_.valid() && earliest_.valid() && latest_.valid(); }

void Clock::on_ready(uint32_t events) {
  // What is due is found by the clock. The timerfd stays readable until it is programmed again; what it held is no
  // longer of use, so the next `program` sets it whatever the value.
  (void)events;
  fired_ = true;
}

int Clocks::open(Clock& clock, Poller& poller) {
  const int r = clock.open(poller);
  in_use_ |= r >= 0;
  return r;
}

Clock* Clocks::find(clockid_t id) {
  for (Clock& clock : all_)
    if (clock.id() == id) return &clock;
  return nullptr;
}

}  // namespace evenkeel
