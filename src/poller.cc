// SPDX-License-Identifier: MIT
//
// See poller.h.
#include "src/poller.h"

#include "src/kernel.h"
#include "src/loop.h"
#include "src/signal_queue.h"

namespace evenkeel {

namespace {

// Bit 63 tells channels, whose handle is their address, from sources, whose handle is slot and registration.
constexpr uint64_t kChannelBit = uint64_t{1} << 63U;
constexpr uint32_t kRegistrationMask = 0x7FFFFFFFU;

}  // namespace

uint64_t Poller::handle(const WatchedSource& source) { return uint64_t{source.registration_} << 32U | source.slot(); }

uint64_t Poller::handle(const Channel& channel) { return kChannelBit | reinterpret_cast<uintptr_t>(&channel); }

int Poller::open() {
  if (!events_.reserve(1)) return -ENOMEM;
  epoll_ = kernel::epoll_create();
  return epoll_ < 0 ? epoll_ : 0;
}

Poller::~Poller() {
  if (epoll_ >= 0) (void)kernel::close(epoll_);
}

bool Poller::reserve_slot() {
  // A place in the registry and one in the buffer of events: a wait must not have to allocate.
  const size_t n = n_sources_ + 8;
  return slots_.reserve(slots_.size() + 1) && events_.reserve(n < kMostEvents ? n : kMostEvents);
}

void Poller::take_slot(Source& source) {
  const auto entry = reinterpret_cast<uintptr_t>(&source);
  if (free_slot_ == SIZE_MAX) {
    source.slot_ = static_cast<uint32_t>(slots_.size());
    slots_.push_back(entry);
  } else {
    source.slot_ = static_cast<uint32_t>(free_slot_);
    const size_t next = slots_[free_slot_] >> 1U;
    slots_[free_slot_] = entry;
    free_slot_ = next == (SIZE_MAX >> 1U) ? SIZE_MAX : next;
  }
  ++n_sources_;
}

void Poller::release_slot(Source& source) {
  slots_[source.slot_] = free_slot_ << 1U | 1U;
  free_slot_ = source.slot_;
  --n_sources_;
}

int Poller::control(int op, WatchedSource& source, int fd, uint32_t events) {
  return abandoned_ ? 0 : kernel::epoll_ctl(epoll_, op, fd, events, handle(source));
}

int Poller::add(WatchedSource& source, int fd, uint32_t events) {
  const uint32_t before = source.registration_;
  last_registration_ = (last_registration_ + 1) & kRegistrationMask;
  source.registration_ = last_registration_;
  const int r = control(EPOLL_CTL_ADD, source, fd, events);
  if (r < 0) source.registration_ = before;
  return r;
}

int Poller::watch(WatchedSource& source, uint32_t events) {
  // epoll reports errors and hang-ups unasked, so a mask of 0 is a registration too; our own bit keeps it from being 0
  // here.
  const uint32_t mask = events | EPOLLERR;
  if (source.registered_ != 0) {
    const bool edge = ((mask | source.registered_) & EPOLLET) != 0;
    if (source.ListNode<StaleTag>::linked() && !edge) {
      source.wanted_ = mask;
      return 0;
    }
    const int r = control(EPOLL_CTL_MOD, source, source.fd_, mask);
    if (r >= 0) {
      source.ListNode<StaleTag>::unlink();
      source.wanted_ = source.registered_ = mask;
      return 0;
    }
    if (r != -ENOENT || source.wanted_ != 0) return r;
    // The number stands for another file by now.
    source.ListNode<StaleTag>::unlink();
    source.registered_ = 0;
  }
  flush();
  const int r = add(source, source.fd_, mask);
  if (r >= 0) source.wanted_ = source.registered_ = mask;
  return r;
}

void Poller::unwatch(WatchedSource& source) {
  source.wanted_ = 0;
  if (source.registered_ != 0 && !source.ListNode<StaleTag>::linked()) stale_.push_back(source);
  if (eager_) flush();
}

void Poller::forget(WatchedSource& source) {
  source.ListNode<StaleTag>::unlink();
  if (source.registered_ != 0) (void)control(EPOLL_CTL_DEL, source, source.fd_, 0);
  source.wanted_ = source.registered_ = 0;
}

int Poller::replace(WatchedSource& source, int fd, uint32_t events) {
  // What is to be confirmed of the old descriptor, which may be closed, is of no interest if the new one can be
  // watched.
  const bool stale = source.ListNode<StaleTag>::linked();
  source.ListNode<StaleTag>::unlink();
  flush();
  const uint32_t mask = events | EPOLLERR;
  const int r = add(source, fd, mask);
  if (r < 0) {
    if (stale) stale_.push_back(source);
    return r;
  }
  forget(source);
  source.wanted_ = source.registered_ = mask;
  return 0;
}

void Poller::flush_stale() {
  while (WatchedSource* source = stale_.front()) {
    source->ListNode<StaleTag>::unlink();
    if (source->wanted_ == 0) {
      (void)control(EPOLL_CTL_DEL, *source, source->fd_, 0);
      source->registered_ = 0;
      continue;
    }
    int r = control(EPOLL_CTL_MOD, *source, source->fd_, source->wanted_);
    if (r == -ENOENT) r = add(*source, source->fd_, source->wanted_);
    source->registered_ = r < 0 ? EventMask() : source->wanted_;
    // The descriptor was closed while the source was OFF, and it is ON again: as it could not be watched, it is OFF.
    if (r < 0) (void)source->set_enabled(Enabled::kOff);
  }
}

int Poller::add_channel(Channel& channel) {
  if (!events_.reserve(events_.size() + 8)) return -ENOMEM;
  flush();  // The number may be that of a descriptor which was watched, and is to be removed.
  const int r = kernel::epoll_ctl(epoll_, EPOLL_CTL_ADD, channel.fd_, EPOLLIN, handle(channel));
  if (r < 0) return r;
  channels_.push_back(channel);
  ++n_channels_;
  return r;
}

void Poller::remove_channel(Channel& channel) {
  if (!channel.ListNode<ChannelTag>::linked()) return;
  channel.ListNode<ChannelTag>::unlink();
  --n_channels_;
  // Closing would not do: a forked child may hold a duplicate, and the registration would go on.
  if (!abandoned_) (void)kernel::epoll_ctl(epoll_, EPOLL_CTL_DEL, channel.fd_, 0, 0);
}

int Poller::collect_exactly(Usec timeout) {
  const struct timespec ts = to_timespec(timeout);
  const int n = kernel::epoll_pwait2(epoll_, events_.data(), room_, &ts);
  if (n != -ENOSYS && n != -EPERM && n != -EOPNOTSUPP) return n;
  no_pwait2_ = true;
  return collect(timeout);
}

int Poller::collect(Usec timeout) {
  int ms = -1;
  if (timeout != kForever) {
    if (timeout > 0 && !no_pwait2_) return collect_exactly(timeout);
    const Usec rounded_up = timeout / kUsecPerMsec + (timeout % kUsecPerMsec != 0);
    ms = rounded_up > INT_MAX ? INT_MAX : static_cast<int>(rounded_up);
  }
  return kernel::epoll_wait(epoll_, events_.data(), room_, ms);
}

void Poller::deliver_one(uint64_t handle, uint32_t events) {
  if ((handle & kChannelBit) != 0) {
    reinterpret_cast<Channel*>(static_cast<uintptr_t>(handle & ~kChannelBit))->on_ready(events);
    return;
  }
  const size_t slot = handle & UINT32_MAX;
  if (slot < slots_.size() && is_source(slots_[slot])) {
    WatchedSource* source = to_source(slots_[slot])->watched();
    if (source && source->registration_ == handle >> 32U) {
      if (source->armed()) return source->on_ready(events);
      // Turned off since the last flush, as by an event before this one: its registration is to be removed.
      if (source->registered_ != 0) return;
    }
  }
  haunted_ = true;
}

int Poller::wait(Usec timeout, bool briefly) {
  flush();
  room_ = room(briefly ? kFewEvents : kMostEvents);
  return collect(timeout);
}

int Poller::more() {
  room_ = room(kMostEvents);
  return collect(0);
}

bool Poller::deliver(int n) {
  for (int i = 0; i < n; ++i) {
    const struct epoll_event& event = events_[static_cast<size_t>(i)];
    deliver_one(event.data.u64, event.events);
  }
  if (haunted_) rebuild();
  return n == room_;
}

int Poller::ask_better(Levels& levels, Priority bound, bool inclusive) {
  struct pollfd fds[kFewFds];
  WatchedSource* sources[kFewFds];
  Channel* channels[kFewFds];
  size_t n = 0;
  bool few = true;
  bool signals = false;
  levels.for_each_better(bound, inclusive, [&](Level& level) {
    few = level.n_edge_triggered() == 0 && n + level.n_fds() <= kFewFds;
    if (!few) return false;
    for (WatchedSource* source = level.fds().front(); source; source = level.fds().next(*source), ++n) {
      fds[n] = {source->fd_, static_cast<short>(source->wanted_), 0};
      sources[n] = source;
    }
    for (Channel* channel = level.channels().front(); channel; channel = level.channels().next(*channel)) {
      if (channel == level.signals) {
        signals = true;
        continue;
      }
      fds[n] = {channel->fd(), POLLIN, 0};
      sources[n] = nullptr;
      channels[n++] = channel;
    }
    return true;
  });
  if (!few || (signals && !ask_signals(levels, bound, inclusive))) return 0;
  if (n == 0) return 1;
  const int n_ready = kernel::poll(fds, n, 0);
  if (n_ready == 0 || n_ready == -EINTR) return 1;
  // poll(2) takes no more descriptors than RLIMIT_NOFILE, which a sandbox sets to 0, and a filter may refuse it.
  if (n_ready < 0) return 0;
  int certain = 1;
  for (size_t i = 0; i < n; ++i) {
    if (fds[i].revents == 0) continue;
    // A closed descriptor may live on in the epoll set by a duplicate, and its number may be that of another file by
    // now: ask epoll itself.
    if ((fds[i].revents & POLLNVAL) != 0 || (sources[i] && !registered(*sources[i]))) {
      certain = 0;
      continue;
    }
    const auto events = static_cast<uint32_t>(static_cast<unsigned short>(fds[i].revents));
    if (sources[i])
      sources[i]->on_ready(events);
    else
      channels[i]->on_ready(events);
  }
  return certain;
}

// Whether the set has the file that the source's descriptor stands for. There is no call that only asks.
bool Poller::registered(WatchedSource& source) {
  const int r = control(EPOLL_CTL_ADD, source, source.fd_, 0);
  if (r >= 0) (void)control(EPOLL_CTL_DEL, source, source.fd_, 0);
  return r == -EEXIST;
}

// What a signalfd is ready for can be asked for all of them at once, and without a look at any descriptor.
bool Poller::ask_signals(Levels& levels, Priority bound, bool inclusive) {
  sigset_t waiting;
  if (kernel::sigpending(&waiting) < 0) return false;
  levels.for_each_better(bound, inclusive, [&](Level& level) {
    if (level.signals && level.signals->concerned(waiting)) level.signals->on_ready(EPOLLIN);
    return true;
  });
  return true;
}

// For a set that is new. Descriptors that were closed are left out; false where there is no room for the others.
bool Poller::register_all() {
  bool room = true;
  const auto is_lack = [](int r) { return r == -ENOMEM || r == -ENOSPC; };
  for_each_source([&](Source& any) {
    if (!any.armed() || any.slot() == UINT32_MAX) return;
    WatchedSource* source = any.watched();
    if (!source || source->registered_ == 0) return;
    const int r = control(EPOLL_CTL_ADD, *source, source->fd_, source->registered_);
    if (is_lack(r))
      room = false;
    else if (r < 0)
      source->registered_ = 0;
  });
  for (Channel* channel = channels_.front(); channel; channel = channels_.next(*channel))
    room &= !is_lack(kernel::epoll_ctl(epoll_, EPOLL_CTL_ADD, channel->fd_, EPOLLIN, handle(*channel)));
  return room;
}

// The number of the descriptor stays, what it stands for is new: registrations that nobody can name are left behind.
void Poller::rebuild() {
  const int fresh = kernel::epoll_create();
  if (fresh < 0) return;  // Tried again when the next event of that kind comes.
  const int old = epoll_;
  epoll_ = fresh;
  if (!register_all()) {
    epoll_ = old;
    (void)kernel::close(fresh);
    return;  // Likewise.
  }
  if (kernel::dup3(fresh, old) >= 0) {
    epoll_ = old;
    (void)kernel::close(fresh);
  } else {
    (void)kernel::close(old);
  }
  haunted_ = false;
}

int WatchedSource::watch(uint32_t events) {
  Poller& poller = loop()->poller();
  const bool was_edge = (wanted_ & EPOLLET) != 0;
  const bool attached = ListNode<WatchLevelTag>::linked();
  const int r = poller.watch(*this, events);
  if (r < 0) return r;
  if (attached) level().detach_fd(*this, was_edge);
  level().attach_fd(*this, (events & EPOLLET) != 0);
  return 0;
}

void WatchedSource::unwatch() {
  if (!ListNode<WatchLevelTag>::linked()) return;
  level().detach_fd(*this, (wanted_ & EPOLLET) != 0);
  loop()->poller().unwatch(*this);
}

void WatchedSource::unwatch_now() {
  unwatch();
  loop()->poller().forget(*this);
}

int WatchedSource::change_fd(int fd) {
  if (ListNode<WatchLevelTag>::linked()) {
    const int r = loop()->poller().replace(*this, fd, wanted_);
    if (r < 0) return r;
  } else {
    loop()->poller().forget(*this);
  }
  fd_ = fd;
  return 0;
}

int WatchedSource::move(Level& to) {
  if (!ListNode<WatchLevelTag>::linked()) return 0;
  const bool edge = (wanted_ & EPOLLET) != 0;
  level().detach_fd(*this, edge);
  to.attach_fd(*this, edge);
  return 0;
}

}  // namespace evenkeel
