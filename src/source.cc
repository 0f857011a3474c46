// SPDX-License-Identifier: MIT
//
// See source.h.
#include "src/source.h"

#include "src/extras.h"
#include "src/loop.h"

namespace evenkeel {

int Source::connect(Loop& loop, Source* source, bool floating) {
  Level* level = loop.poller().reserve_slot() ? loop.levels().acquire(0) : nullptr;
  if (!level) {
    source->destroy();
    return -ENOMEM;
  }
  source->level_ = level;
  source->id_ = loop.next_id();
  loop.poller().take_slot(*source);
  int r = source->attach();
  if (r >= 0 && source->enabled_ != Enabled::kOff) {
    r = source->go_online();
    if (r < 0) source->detach(false);
  }
  if (r >= 0 && source->enabled_ != Enabled::kOff) loop.count_busy(*source, 1);
  if (r < 0) {
    loop.poller().release_slot(*source);
    loop.levels().release(*level);
    source->destroy();
    return r;
  }
  source->floating_ = floating;
  if (!floating) loop.ref();
  return 0;
}

void Source::unref() {
  if (--refs_ > 0) return;
  if (level_) disconnect();  // May have freed the loop.
  if (!calling_) finish();
}

void Source::disconnect() {
  Loop& loop = level_->loop();
  const bool forked = loop.forked();
  if (enabled_ != Enabled::kOff) loop.count_busy(*this, -1);
  if (forked) loop.poller().abandon();
  go_offline();
  if (extras_) {
    if (extras_->is_prepared()) loop.prepares().erase(*extras_);
    if (limited_) loop.rate_limits().forget(*this);
  }
  detach(forked);
  loop.poller().release_slot(*this);
  loop.levels().release(*level_);
  level_ = nullptr;
  if (!floating_) loop.unref();
}

void Source::finish() {
  if (extras_) {
    if (extras_->destroy) extras_->destroy(userdata);
    ::free(extras_->description);
    dispose(extras_);
    extras_ = nullptr;
  }
  destroy();
}

int Source::go_online() {
  const int r = arm();
  if (r < 0) return r;
  armed_ = true;
  return 0;
}

void Source::go_offline() {
  unpend();
  if (!armed_) return;
  armed_ = false;
  disarm();
}

bool Source::take_event() {
  if (enabled_ == Enabled::kOff || has_event()) return false;
  if (!limited_) {
    pend();
    return true;
  }
  held_ = true;
  pending_since_ = loop()->iteration();
  return true;
}

// Over its rate limit: offline, but its event waits with it.
void Source::withhold() {
  limited_ = held_ = true;
  level_->erase_pending(*this);
  armed_ = false;
  disarm();
  follow_prepare();
  withheld();
}

int Source::come_back() {
  limited_ = false;
  follow_prepare();
  if (enabled_ == Enabled::kOff) return 0;
  if (const int r = go_online(); r < 0) {
    (void)set_enabled(Enabled::kOff);
    return r;
  }
  if (held_) level_->insert_pending_by_age(*this);
  held_ = false;
  return 0;
}

int Source::set_enabled(Enabled enabled) {
  if (enabled == enabled_) return 0;
  if (enabled == Enabled::kOff) {
    go_offline();
  } else if (enabled_ == Enabled::kOff && !limited_) {
    const int r = go_online();
    if (r < 0) return r;
  } else if (armed_) {
    if (const int r = rearm(); r < 0) return r;
  }
  if ((enabled == Enabled::kOff) != (enabled_ == Enabled::kOff))
    loop()->count_busy(*this, enabled == Enabled::kOff ? -1 : 1);
  enabled_ = enabled;
  follow_prepare();
  return 0;
}

int Source::set_priority(Priority priority) {
  if (priority == level_->priority()) return 0;
  Level* to = loop()->levels().acquire(priority);
  if (!to) return -ENOMEM;
  const bool pending = is_pending();
  const bool has_place = !pending || to->is_youngest(*this) || need_extras();
  if (const int r = has_place ? move(*to) : -ENOMEM; r < 0) {
    loop()->levels().release(*to);
    return r;
  }
  Level& from = *level_;
  const bool prepared = extras_ && extras_->is_prepared();
  if (prepared) loop()->prepares().erase(*extras_);
  if (pending) from.erase_pending(*this);
  level_ = to;
  if (pending) to->insert_pending_by_age(*this);
  moved();
  if (prepared) loop()->prepares().push(*extras_);
  loop()->levels().release(from);
  return 0;
}

int Source::move(Level& to) {
  (void)to;
  return 0;
}

void Source::set_floating(bool floating) {
  if (floating == floating_) return;
  Loop& loop = level_->loop();
  floating_ = floating;
  if (floating) {
    ref();
    loop.unref();  // May have been the last one; then the source is disconnected now.
  } else {
    loop.ref();
    unref();
  }
}

Extras* Source::need_extras() {
  if (!extras_) extras_ = make<Extras>(*this);
  return extras_;
}

int Source::set_description(const char* description) {
  const char* old = this->description();
  if (old && description ? ::strcmp(old, description) == 0 : old == description) return 0;
  char* copy = nullptr;
  if (description && !(copy = copy_string(description))) return -ENOMEM;
  if (!need_extras()) {
    ::free(copy);
    return -ENOMEM;
  }
  ::free(extras_->description);
  extras_->description = copy;
  extras_->described = true;
  return 1;
}

const char* Source::description() const {
  return extras_ && extras_->described ? extras_->description : default_description();
}

int Source::set_prepare(Handler handler) {
  if (!handler && !extras_) return 0;
  if (!need_extras()) return -ENOMEM;
  extras_->prepare = handler;
  follow_prepare();
  return 0;
}

// Keeps the source in the prepare heap exactly while it has a prepare callback to be called.
void Source::follow_prepare() {
  if (!extras_) return;
  const bool wanted = level_ && enabled_ != Enabled::kOff && !limited_ && extras_->prepare;
  if (wanted == extras_->is_prepared()) return;
  if (wanted)
    loop()->prepares().push(*extras_);
  else
    loop()->prepares().erase(*extras_);
}

int Source::set_destroy_callback(Destroy callback) {
  if (!callback && !extras_) return 0;
  if (!need_extras()) return -ENOMEM;
  extras_->destroy = callback;
  return 0;
}

Source::Destroy Source::destroy_callback() const { return extras_ ? extras_->destroy : nullptr; }

int Source::set_rate_limit_expired(Handler handler) {
  if (!handler && !extras_) return 0;
  if (!need_extras()) return -ENOMEM;
  extras_->rate_limit.expired = handler;
  return 0;
}

int Source::set_rate_limit(Usec interval, unsigned burst) {
  if (!need_extras()) return -ENOMEM;
  return RateLimits::configure(*this, interval, burst);
}

}  // namespace evenkeel
