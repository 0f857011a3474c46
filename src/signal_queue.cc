// SPDX-License-Identifier: MIT
//
// See signal_queue.h.
#include "src/signal_queue.h"

#include "src/callbacks.h"
#include "src/kernel.h"
#include "src/loop.h"
#include "src/signal_names.h"

namespace evenkeel {

namespace {

constexpr int kSignals = _NSIG;  // One more than the largest number.

// -EINVAL for the signals that the C library keeps for itself.
int change_mask(int how, int signo) {
  sigset_t set;
  ::sigemptyset(&set);
  if (::sigaddset(&set, signo) < 0) return -EINVAL;
  return kernel::change_sigmask(how, &set, nullptr);
}

}  // namespace

SignalQueue* SignalQueue::of(Level& level) {
  if (!level.signals) level.signals = make<SignalQueue>(level);
  return level.signals;
}

SignalQueue::~SignalQueue() {
  if (fd_ < 0) return;
  level_.loop().poller().remove_channel(*this);
  (void)kernel::close(fd_);
}

int SignalQueue::change(int signo, bool watched) {
  Loop& loop = level_.loop();
  sigset_t mask = mask_;
  (void)(watched ? ::sigaddset(&mask, signo) : ::sigdelset(&mask, signo));
  if (!loop.forked()) {
    const int fd = kernel::signalfd(fd_, mask);
    // What can't be taken out of the mask (which no kernel says) is read and dropped.
    if (fd < 0 && watched) return fd;
    if (fd_ < 0) {
      fd_ = fd;
      if (const int r = loop.poller().add_channel(*this); r < 0) {
        (void)kernel::close(fd);
        fd_ = -1;
        return r;
      }
    }
  }
  mask_ = mask;
  if (watched && n_watched_++ == 0) level_.attach_channel(*this);
  if (!watched && --n_watched_ == 0) level_.detach_channel(*this);
  return 0;
}

int SignalQueue::watch(int signo) {
  if (signo != SIGCHLD) return change(signo, true);
  const int r = n_children_ > 0 ? 0 : change(signo, true);
  if (r >= 0) source_watches_sigchld_ = true;
  return r;
}

void SignalQueue::unwatch(int signo) {
  if (signo == SIGCHLD) {
    source_watches_sigchld_ = false;
    if (n_children_ > 0) return;
  }
  (void)change(signo, false);
}

int SignalQueue::watch_children() {
  const int r = n_children_ > 0 || source_watches_sigchld_ ? 0 : change(SIGCHLD, true);
  if (r >= 0) ++n_children_;
  return r;
}

void SignalQueue::unwatch_children() {
  if (--n_children_ == 0 && !source_watches_sigchld_) (void)change(SIGCHLD, false);
}

bool SignalQueue::concerned(const sigset_t& waiting) const {
  // Not by sigandset and sigisemptyset, of which the latter (in glibc 2.36) does not see real-time signals.
  constexpr size_t kWords = (kSignals + 62) / 64;  // Two where there are 128 signals.
  uint64_t ours[kWords];
  uint64_t theirs[kWords];
  ::memcpy(ours, &mask_, sizeof(ours));
  ::memcpy(theirs, &waiting, sizeof(theirs));
  bool any = false;
  for (size_t i = 0; i < kWords; ++i) any |= (ours[i] & theirs[i]) != 0;
  return n_pending_ == 0 && any;
}

void SignalQueue::on_ready(uint32_t events) {
  (void)events;
  Loop& loop = level_.loop();
  while (n_pending_ == 0) {
    struct signalfd_siginfo info;
    if (kernel::read(fd_, &info, sizeof(info)) != static_cast<ssize_t>(sizeof(info))) return;
    // A program that closes our descriptor and opens another file by its number may have us read anything.
    if (info.ssi_signo == 0 || info.ssi_signo >= static_cast<uint32_t>(kSignals)) return;
    const int signo = static_cast<int>(info.ssi_signo);
    SignalSource* source = loop.signals().find(signo);
    // SIGCHLD may be read at the level of a child source; its own source may be limited, or have an earlier one.
    if (source && source->take_event()) {
      source->info_ = info;
      if (source->armed()) source->level().signals->signal_pending();
    }
    // Now, and not after all that the kernel reports: so children stand where their signal does.
    if (signo == SIGCHLD) loop.children().look();
  }
}

bool Signals::reserve() {
  if (sources_) return true;
  sources_ = static_cast<SignalSource**>(allocate(kSignals * sizeof(SignalSource*)));
  for (int signo = 0; sources_ && signo < kSignals; ++signo) sources_[signo] = nullptr;
  return sources_ != nullptr;
}

int SignalSource::add(Loop& loop, Source** ret, int signo, Callback callback, void* userdata) {
  const bool block = (signo & kBlock) != 0;
  signo &= ~kBlock;
  if (signo <= 0 || signo >= kSignals) return -EINVAL;
  if (!loop.signals().reserve()) return -ENOMEM;
  if (loop.signals().find(signo)) return -EBUSY;
  SignalSource* source = make<SignalSource>(signo, block, callback);
  if (!source) return -ENOMEM;
  source->userdata = userdata;
  if (const int r = connect(loop, source, !ret); r < 0) return r;
  if (ret) *ret = source;
  return 0;
}

int SignalSource::attach() {
  sigset_t blocked;
  if (const int r = kernel::change_sigmask(SIG_BLOCK, nullptr, &blocked); r < 0) return r;
  if (::sigismember(&blocked, signo_) != 1) {
    if (!block_) return -EBUSY;
    if (const int r = change_mask(SIG_BLOCK, signo_); r < 0) return r;
    unblock_ = true;
  }
  loop()->signals().set(signo_, this);
  return 0;
}

void SignalSource::detach(bool forked) {
  (void)forked;
  loop()->signals().set(signo_, nullptr);
  if (unblock_) (void)change_mask(SIG_UNBLOCK, signo_);
}

int SignalSource::arm() {
  SignalQueue* queue = SignalQueue::of(level());
  if (!queue) return -ENOMEM;
  const int r = queue->watch(signo_);
  if (r >= 0 && has_event()) queue->signal_pending();
  return r;
}

void SignalSource::disarm() {
  level().signals->unwatch(signo_);
  // Held back for its rate limit with a signal at hand: the others of the level go on.
  if (has_event()) level().signals->signal_done();
}

void SignalSource::unpended(bool dispatched) {
  (void)dispatched;
  if (armed()) level().signals->signal_done();
}

int SignalSource::fire() {
  return callback_ ? call_program(callback_, this, &info_, userdata) : loop()->exit_by_default(*this);
}

int SignalSource::move(Level& to) {
  // One that is held back will come back by itself, which may not fail: what it needs there is taken now.
  const bool returns = rate_limited();
  if (!armed() && !returns) return 0;
  SignalQueue* queue = SignalQueue::of(to);
  if (!queue) return -ENOMEM;
  if (const int r = queue->watch(signo_); r < 0) return r;
  if (returns) {
    queue->unwatch(signo_);
    return 0;
  }
  level().signals->unwatch(signo_);
  if (is_pending()) {
    level().signals->signal_done();
    queue->signal_pending();
  }
  return 0;
}

const char* SignalSource::default_description() const { return signal_name(signo_); }

}  // namespace evenkeel
