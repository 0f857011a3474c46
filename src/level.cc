// SPDX-License-Identifier: MIT
//
// See level.h.
#include "src/level.h"

#include "src/extras.h"
#include "src/inotify_queue.h"
#include "src/poller.h"
#include "src/signal_queue.h"
#include "src/source.h"

namespace evenkeel {

bool Level::Older::operator()(const Extras& a, const Extras& b) const {
  if (a.source.pending_since() != b.source.pending_since()) return a.source.pending_since() < b.source.pending_since();
  return a.aged_order < b.aged_order;
}

bool Level::is_youngest(const Source& source) {
  return pending_.empty() || pending_.back()->pending_since() <= source.pending_since();
}

void Level::insert_pending_by_age(Source& source) {
  count_pending();
  if (is_youngest(source)) {
    pending_.push_back(source);
    return;
  }
  source.aged_ = true;
  source.extras_->aged_order = ++owner_.n_aged_;
  aged_.push(*source.extras_);
}

Source* Level::first_aged(Source* of_list) const {
  Source& aged = aged_.top()->source;
  return of_list && of_list->pending_since() <= aged.pending_since() ? of_list : &aged;
}

void Level::erase_aged(Source& source) {
  source.aged_ = false;
  aged_.erase(*source.extras_);
}

void Level::attach_fd(WatchedSource& source, bool edge_triggered) {
  fds_.push_back(source);
  n_edge_triggered_ += edge_triggered;
  ++n_fds_;
  count_armed();
}

void Level::detach_fd(WatchedSource& source, bool edge_triggered) {
  decltype(fds_)::erase(source);
  n_edge_triggered_ -= edge_triggered;
  --n_fds_;
  uncount_armed();
}

bool Level::has_signals() const { return signals && signals->ListNode<LevelChannelTag>::linked(); }

void Level::attach_channel(Channel& channel) {
  channels_.push_back(channel);
  ++n_fds_;
  count_armed();
}

void Level::detach_channel(Channel& channel) {
  decltype(channels_)::erase(channel);
  --n_fds_;
  uncount_armed();
}

void Level::count_armed() {
  if (n_armed_++ == 0) owner_.armed_.push(*this);
}

void Level::uncount_armed() {
  if (--n_armed_ == 0) owner_.armed_.erase(*this);
}

Levels::~Levels() {
  // Sources are gone by now, and with them every level but the one that lives here.
  free_queues(normal_);
}

void Levels::free_queues(Level& level) {
  dispose(level.signals);
  dispose(level.inotify);
  level.signals = nullptr;
  level.inotify = nullptr;
}

size_t Levels::lower_bound(Priority priority) const {
  size_t low = 0;
  for (size_t high = sorted_.size(); low < high;) {
    const size_t middle = low + (high - low) / 2;
    if (sorted_[middle]->priority() < priority)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

Level* Levels::acquire(Priority priority) {
  const size_t at = lower_bound(priority);
  if (at < sorted_.size() && sorted_[at]->priority() == priority) {
    ++sorted_[at]->refs_;
    return sorted_[at];
  }
  if (!sorted_.reserve(sorted_.size() + 1)) return nullptr;
  Level* level = priority == normal_.priority() ? &normal_ : make<Level>(loop_, *this, priority);
  if (!level) return nullptr;
  sorted_.insert(at, level);
  level->refs_ = 1;
  return level;
}

void Levels::retire(Level& level) {
  sorted_.erase(lower_bound(level.priority()));
  if (&level == &normal_) return;  // Its queues wait for the next source, as their descriptors are costly to make.
  free_queues(level);
  dispose(&level);
}

}  // namespace evenkeel
