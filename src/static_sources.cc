// SPDX-License-Identifier: MIT
//
// See static_sources.h.
#include "src/static_sources.h"

#include "src/callbacks.h"
#include "src/loop.h"

namespace evenkeel {

int StaticSource::fire() { return handler_ ? call_program(handler_, this, userdata) : loop()->exit_by_default(*this); }

int DeferSource::arm() {
  if (!has_event()) pend();
  return 0;
}

void DeferSource::unpended(bool dispatched) {
  // To the end of the queue, unless it is being turned off.
  if (dispatched && armed() && enabled() == Enabled::kOn) pend();
}

int PostSource::arm() {
  loop()->posts().push_back(*this);
  return 0;
}

int ExitSource::arm() {
  loop()->exits().push(*this);
  return 0;
}

void ExitSource::disarm() {
  if (in_heap()) loop()->exits().erase(*this);
}

int ExitSource::move(Level& to) {
  (void)to;
  disarm();
  return 0;
}

void ExitSource::moved() {
  if (armed()) loop()->exits().push(*this);
}

}  // namespace evenkeel
