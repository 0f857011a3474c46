// SPDX-License-Identifier: MIT
//
// See time_source.h.
#include "src/time_source.h"

#include "src/callbacks.h"
#include "src/loop.h"

namespace evenkeel {

int TimeSource::add(Loop& loop, Source** ret, clockid_t id, Usec time, Usec accuracy, Callback callback,
                    void* userdata) {
  Clock* clock = loop.clocks().find(id);
  if (!clock) return -EOPNOTSUPP;
  if (const int r = loop.clocks().open(*clock, loop.poller()); r < 0) return r;
  TimeSource* source =
      make<TimeSource>(loop.clocks().index(*clock), time, accuracy == 0 ? kDefaultAccuracy : accuracy, callback);
  if (!source) return -ENOMEM;
  source->userdata = userdata;
  if (const int r = connect(loop, source, !ret); r < 0) return r;
  if (ret) *ret = source;
  return 0;
}

int TimeSource::arm() {
  if (!has_event()) clock().insert(*this);
  level().attach_timer();
  return 0;
}

void TimeSource::disarm() {
  if (waits()) clock().erase(*this);
  level().detach_timer();
}

void TimeSource::unpended(bool dispatched) {
  // Still armed: waits for its time again, which for one that stays ON has come already.
  (void)dispatched;
  if (armed()) clock().insert(*this);
}

int TimeSource::fire() {
  return callback_ ? call_program(callback_, this, time_, userdata) : loop()->exit_by_default(*this);
}

int TimeSource::move(Level& to) {
  if (!armed()) return 0;
  level().detach_timer();
  to.attach_timer();
  return 0;
}

Clock& TimeSource::clock() const { return loop()->clocks()[variant()]; }

void TimeSource::set_time(Usec time) {
  unpend();
  if (waits())
    clock().set_time(*this, time);
  else
    time_ = time;
}

void TimeSource::set_accuracy(Usec accuracy) {
  unpend();
  const bool waited = waits();
  if (waited) clock().erase(*this);
  accuracy_ = accuracy == 0 ? kDefaultAccuracy : accuracy;
  if (waited) clock().insert(*this);
}

}  // namespace evenkeel
