// SPDX-License-Identifier: MIT
//
// See poller.h.
#include "src/poller.h"

#include "src/kernel.h"
#include "src/loop.h"
#include "src/signal_queue.h"

namespace evenkeel {

int Poller::open() {
  if (!events_.reserve(1)) return -ENOMEM;
  epoll_ = kernel::epoll_create();
  return epoll_ < 0 ? epoll_ : 0;
}

Poller::~Poller() {
  if (epoll_ >= 0) (void)kernel::close(epoll_);
  if (lent_ >= 0 && lent_ != epoll_) (void)kernel::close(lent_);
}

int Poller::lend() {
  if (lent_ >= 0) return lent_;
  const int lent = kernel::epoll_create();
  if (lent < 0 || kernel::epoll_ctl(lent, EPOLL_CTL_ADD, epoll_, EPOLLIN, 0) < 0) {
    if (lent >= 0) (void)kernel::close(lent);
    return lent_ = epoll_;  // Short of something: then who watches the loop loses it when the set is made anew.
  }
  return lent_ = lent;
}

bool Poller::reserve_slot() {
  // A place in the registry, and places in the buffers: neither a wait nor a question must have to allocate.
  const size_t n = n_most() + 8;
  const size_t at_once = n < kMostEvents ? n : kMostEvents;
  return slots_.reserve(slots_.size() + 1) && events_.reserve(at_once) && polled_.reserve(at_once);
}

uint32_t Poller::take(uintptr_t entry) {
  if (free_slot_ == SIZE_MAX) {
    slots_.push_back(entry);
    return static_cast<uint32_t>(slots_.size() - 1);
  }
  const size_t slot = free_slot_;
  const size_t next = slots_[slot] >> 2U;
  free_slot_ = next == (SIZE_MAX >> 2U) ? SIZE_MAX : next;
  slots_[slot] = entry;
  return static_cast<uint32_t>(slot);
}

void Poller::release(uint32_t slot) {
  slots_[slot] = free_slot_ << 2U | kFree;
  free_slot_ = slot;
}

void Poller::take_slot(Source& source) {
  source.slot_ = take(reinterpret_cast<uintptr_t>(&source));
  ++n_sources_;
}

void Poller::release_slot(Source& source) {
  release(source.slot_);
  --n_sources_;
}

int Poller::control(int op, WatchedSource& source, int fd, uint32_t events) {
  return abandoned_ ? 0 : kernel::epoll_ctl(epoll_, op, fd, events, handle(source));
}

int Poller::add(WatchedSource& source, int fd, uint32_t events) {
  if (fd == lent_ || fd == epoll_) return -EINVAL;  // The loop would watch itself.
  if (!reserve_owner(fd)) return -ENOMEM;
  const uint32_t before = source.registration_;
  source.registration_ = next_registration();
  const int r = control(EPOLL_CTL_ADD, source, fd, events);
  if (r < 0)
    source.registration_ = before;
  else
    owners_.set(fd, source.registration_);
  return r;
}

// What is put off is done first only where it is in the way of `add`. Where it is not, the number stands for another
// file than the one that was registered for a source which has been OFF and ON since: that source would take the new
// file.
template <typename Add>
int Poller::add_or_flush(Add add) {
  const int r = add();
  if (r >= 0 || stale_.empty()) return r;
  flush();
  return add();
}

// -ENOENT as well where the number has become that of another source's descriptor.
int Poller::modify(WatchedSource& source, uint32_t events) {
  return owns(source) ? control(EPOLL_CTL_MOD, source, source.fd_, events) : -ENOENT;
}

void Poller::remove(int fd, uint32_t registration) {
  if (owners_.drop(fd, registration) && !abandoned_) (void)kernel::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, 0, 0);
}

int Poller::watch(WatchedSource& source, uint32_t events) {
  // epoll reports errors and hang-ups unasked, so a mask of 0 is a registration too; our own bit keeps it from being 0
  // here.
  const uint32_t mask = events | EPOLLERR;
  if (source.registered_ != 0) {
    const bool edge = ((mask | source.registered_) & EPOLLET) != 0;
    if (source.ListNode<StaleTag>::linked() && !edge && owns(source)) {
      source.wanted_ = mask;
      return 0;
    }
    const int r = modify(source, mask);
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
  const int r = add_or_flush([&] { return add(source, source.fd_, mask); });
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
  if (source.registered_ != 0) remove(source.fd_, source.registration_);
  source.wanted_ = source.registered_ = 0;
}

int Poller::replace(WatchedSource& source, int fd, uint32_t events) {
  // What is to be confirmed of the old descriptor, which may be closed, is of no interest if the new one can be
  // watched.
  const bool stale = source.ListNode<StaleTag>::linked();
  source.ListNode<StaleTag>::unlink();
  const uint32_t mask = events | EPOLLERR;
  const uint32_t old = source.registration_;
  const int r = add_or_flush([&] { return add(source, fd, mask); });
  if (r < 0) {
    if (stale) stale_.push_back(source);
    return r;
  }
  remove(source.fd_, old);
  source.wanted_ = source.registered_ = mask;
  return 0;
}

void Poller::flush_stale() {
  while (WatchedSource* source = stale_.front()) {
    source->ListNode<StaleTag>::unlink();
    if (source->wanted_ == 0) {
      remove(source->fd_, source->registration_);
      source->registered_ = 0;
      continue;
    }
    if (!owns(*source)) {  // It was closed, and its number is another's: it hears nothing more.
      source->registered_ = source->wanted_;
      continue;
    }
    int r = modify(*source, source->wanted_);
    if (r == -ENOENT) r = add(*source, source->fd_, source->wanted_);
    source->registered_ = r < 0 ? EventMask() : source->wanted_;
    // The descriptor was closed while the source was OFF, and it is ON again: as it could not be watched, it is OFF.
    if (r < 0) (void)source->set_enabled(Enabled::kOff);
  }
}

int Poller::add_channel(Channel& channel) {
  if (!reserve_slot() || !reserve_owner(channel.fd_)) return -ENOMEM;
  channel.slot_ = take(reinterpret_cast<uintptr_t>(&channel) | kChannel);
  channel.registration_ = next_registration();
  const int r =
      add_or_flush([&] { return kernel::epoll_ctl(epoll_, EPOLL_CTL_ADD, channel.fd_, EPOLLIN, handle(channel)); });
  if (r < 0) {
    release(channel.slot_);
    channel.slot_ = UINT32_MAX;
    return r;
  }
  owners_.set(channel.fd_, channel.registration_);
  channel.muted_ = false;
  ++n_channels_;
  return 0;
}

void Poller::mute(Channel& channel, bool muted) {
  if (channel.muted_ == muted || channel.slot_ == UINT32_MAX || abandoned_) return;
  const int r = kernel::epoll_ctl(epoll_, EPOLL_CTL_MOD, channel.fd_, muted ? 0U : EPOLLIN, handle(channel));
  // What can't be muted wakes the loop for nothing; what can't be heard again would be lost, so the set is made anew.
  if (r >= 0 || !muted) channel.muted_ = muted;
  if (r < 0 && !muted) haunted_ = true;
}

void Poller::remove_channel(Channel& channel) {
  if (channel.slot_ == UINT32_MAX) return;
  // Closing would not do: a forked child may hold a duplicate, and the registration would go on.
  remove(channel.fd_, channel.registration_);
  release(channel.slot_);
  channel.slot_ = UINT32_MAX;
  --n_channels_;
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
  const size_t slot = handle & UINT32_MAX;
  const uintptr_t entry = slot < slots_.size() ? slots_[slot] : kFree;
  if (is_channel(entry)) {
    Channel* channel = to_channel(entry);
    if (channel->registration_ == handle >> 32U) return channel->on_ready(events);
  } else if (is_source(entry)) {
    WatchedSource* source = to_source(entry)->watched();
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

bool Poller::ask_better(Levels& levels, Priority bound, bool inclusive) {
  bool signals = false;
  if (!list_better(levels, bound, inclusive, &signals)) return false;
  // What a signalfd is ready for can be asked for all of them at once, and without a look at any descriptor.
  sigset_t waiting;
  ::sigemptyset(&waiting);
  if (signals && kernel::sigpending(&waiting) < 0) return false;
  const int n_polled = polled_.empty() ? 0 : kernel::poll(polled_.data(), polled_.size(), 0);
  // poll(2) takes no more descriptors than RLIMIT_NOFILE, which a sandbox sets to 0, and a filter may refuse it.
  if (n_polled < 0 && n_polled != -EINTR) return false;
  if (n_polled <= 0 && !signals) return true;

  // The answer becomes a report like epoll's, as far as that would be the same.
  bool certain = true;
  int n_events = 0;
  const struct pollfd* polled = polled_.data();
  levels.for_each_better(bound, inclusive, [&](Level& level) {
    const bool signalled = level.has_signals() && level.signals->concerned(waiting);
    const size_t n = level.n_fds() - level.has_signals();
    bool any = signalled;
    for (size_t i = 0; n_polled > 0 && i < n; ++i) any |= polled[i].revents != 0;
    if (any) certain = report_level(level, polled, signalled, &n_events) && certain;
    polled += n;
    return true;
  });
  (void)deliver(n_events);
  return certain;
}

// The descriptors of the better levels, in the order of the levels' lists.
bool Poller::list_better(Levels& levels, Priority bound, bool inclusive, bool* signals) {
  size_t most = kFewFds + levels.n_pending();
  if (most > polled_.capacity()) most = polled_.capacity();  // No more than `events_` has room for.
  bool few = true;
  polled_.clear();
  levels.for_each_better(bound, inclusive, [&](Level& level) {
    few = polled_.size() + level.n_fds() <= most;
    if (!few) return false;
    for (WatchedSource* source = level.fds().front(); source; source = level.fds().next(*source))
      polled_.push_back({source->fd_, static_cast<short>(source->wanted_), 0});
    for (Channel* channel = level.channels().front(); channel; channel = level.channels().next(*channel)) {
      if (channel == level.signals)
        *signals = true;
      else
        polled_.push_back({channel->fd(), POLLIN, 0});
    }
    return true;
  });
  return few;
}

// Adds to the report what poll(2) has found of a level, and its signals, as far as epoll would say the same. False if
// epoll has to be asked.
bool Poller::report_level(Level& level, const struct pollfd* polled, bool signalled, int* n_events) {
  size_t n_fresh = signalled;
  size_t i = 0;
  for (WatchedSource* source = level.fds().front(); source; source = level.fds().next(*source), ++i)
    n_fresh += polled[i].revents != 0 && !source->is_pending();
  for (; i < level.n_fds() - level.has_signals(); ++i) n_fresh += polled[i].revents != 0;
  // Of several that are new, epoll knows which was ready first.
  const bool ordered = n_fresh <= 1;
  bool certain = ordered;
  if (signalled && ordered) add_event(*level.signals, EPOLLIN, n_events);
  i = 0;
  for (WatchedSource* source = level.fds().front(); source; source = level.fds().next(*source), ++i) {
    if (polled[i].revents == 0) continue;
    const auto events = static_cast<uint32_t>(static_cast<unsigned short>(polled[i].revents));
    // Files that tell by EPOLLPRI mostly forget what they have told: epoll would not say it once more.
    const bool told_once = (events & source->wanted_ & EPOLLPRI) != 0;
    // Whether an edge has come only epoll knows. A closed descriptor may live on in the epoll set by a duplicate, and
    // its number may be that of another file by now.
    const bool sure = told_once || (ordered && (source->wanted_ & EPOLLET) == 0);
    if (sure && (events & POLLNVAL) == 0 && registered(*source))
      add_event(*source, events, n_events);
    else
      certain = false;
  }
  for (Channel* channel = level.channels().front(); channel && ordered; channel = level.channels().next(*channel)) {
    if (channel == level.signals) continue;
    if (polled[i++].revents != 0) add_event(*channel, EPOLLIN, n_events);
  }
  return certain;
}

// There is no call that only asks. -EEXIST if the set has the file that the source's descriptor stands for.
int Poller::question(WatchedSource& source) {
  if (!owns(source)) return -ENOENT;
  const int r = control(EPOLL_CTL_ADD, source, source.fd_, 0);
  if (r >= 0) (void)control(EPOLL_CTL_DEL, source, source.fd_, 0);
  return r;
}

// For the set `fresh`. Descriptors that were closed are left out, also where the number stands for another file by now;
// false where there is no room for the others.
bool Poller::register_all(int fresh) {
  bool room = true;
  const auto is_lack = [](int r) { return r == -ENOMEM || r == -ENOSPC; };
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (is_channel(slots_[i])) {
      const Channel& channel = *to_channel(slots_[i]);
      const uint32_t events = channel.muted_ ? 0U : EPOLLIN;
      room &= !is_lack(kernel::epoll_ctl(fresh, EPOLL_CTL_ADD, channel.fd_, events, handle(channel)));
      continue;
    }
    WatchedSource* source = is_source(slots_[i]) ? to_source(slots_[i])->watched() : nullptr;
    if (!source || !source->armed() || source->registered_ == 0) continue;
    int r = question(*source);
    if (r == -EEXIST) r = kernel::epoll_ctl(fresh, EPOLL_CTL_ADD, source->fd_, source->registered_, handle(*source));
    room &= !is_lack(r);
  }
  return room;
}

// What the descriptor of the set stands for becomes new: registrations that nobody can name are left behind. Where
// something is short, that is tried again when the next event of such a registration comes.
void Poller::rebuild() {
  const int fresh = kernel::epoll_create();
  if (fresh < 0) return;
  if (!register_all(fresh)) {
    (void)kernel::close(fresh);
    return;
  }
  const int old = epoll_;
  epoll_ = fresh;
  haunted_ = !replace_set(fresh, old);
}

// The number stays, if it can: what is watched by its number outside goes on.
bool Poller::replace_set(int fresh, int old) {
  const bool nested = lent_ >= 0 && lent_ != old;
  // First, as the old set can't be named once its number stands for the new one; and that makes room for the new one.
  if (nested) (void)kernel::epoll_ctl(lent_, EPOLL_CTL_DEL, old, 0, 0);
  if (kernel::dup3(fresh, old) >= 0) {
    epoll_ = old;
    (void)kernel::close(fresh);
  } else {
    (void)kernel::close(old);
    if (lent_ == old) lent_ = fresh;
  }
  return !nested || kernel::epoll_ctl(lent_, EPOLL_CTL_ADD, epoll_, EPOLLIN, 0) >= 0;
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
    if (!loop()->poller().reserve_owner(fd)) return -ENOMEM;
    loop()->poller().forget(*this);
  }
  fd_ = fd;
  return 0;
}

bool WatchedSource::is_deaf() { return !loop()->poller().registered(*this); }

int WatchedSource::move(Level& to) {
  if (!ListNode<WatchLevelTag>::linked()) return 0;
  const bool edge = (wanted_ & EPOLLET) != 0;
  level().detach_fd(*this, edge);
  to.attach_fd(*this, edge);
  return 0;
}

}  // namespace evenkeel
