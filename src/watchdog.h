// SPDX-License-Identifier: MIT
//
// Keep-alive messages to the service manager ($WATCHDOG_USEC).
//
// Idea: a message at once, then one between 1/2 and 3/4 of the period, at a moment that the monotonic clock chooses as
// it does for timers with an accuracy. When the loop is awake anyway a message may go sooner, but never within 1/4.
#pragma once

#include "src/clock.h"
#include "src/types.h"

namespace evenkeel {

class Watchdog {
 public:
  bool on() const { return period_ != 0; }
  void start(Usec period, Usec now);
  void stop() { period_ = 0; }

  // When the next message is due.
  Window window() const;

  // Sends a message if the last one is long enough ago. True if it was sent.
  bool feed(Usec now);

 private:
  void send(Usec now);

  Usec period_ = 0;
  Usec last_ = 0;
};

}  // namespace evenkeel
