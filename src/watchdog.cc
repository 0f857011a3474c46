// SPDX-License-Identifier: MIT
//
// See watchdog.h.
#include "src/watchdog.h"

#include "src/notify.h"

namespace evenkeel {

void Watchdog::start(Usec period, Usec now) {
  period_ = period;
  send(now);
}

Window Watchdog::window() const {
  if (!on()) return {};
  return {saturating_add(last_, period_ / 2), saturating_add(last_, period_ / 4 * 3)};
}

bool Watchdog::feed(Usec now) {
  if (!on() || now < saturating_add(last_, period_ / 4)) return false;
  send(now);
  return true;
}

void Watchdog::send(Usec now) {
  // A service manager that does not answer will act on the silence; nothing here could.
  (void)notify("WATCHDOG=1");
  last_ = now;
}

}  // namespace evenkeel
