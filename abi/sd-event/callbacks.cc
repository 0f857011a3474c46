// SPDX-License-Identifier: MIT
//
// Calls the program's callbacks through the types that sd-event.h gives them; see src/callbacks.h.
#include "src/callbacks.h"

#include "abi/sd-event/handles.h"

namespace evenkeel {

using sd::callback_cast;
using sd::to_handle;

int call_program(int (*callback)(Source*, void*), Source* source, void* userdata) {
  return callback_cast<sd_event_handler_t>(callback)(to_handle(source), userdata);
}

int call_program(int (*callback)(Source*, int, uint32_t, void*), Source* source, int fd, uint32_t revents,
                 void* userdata) {
  return callback_cast<sd_event_io_handler_t>(callback)(to_handle(source), fd, revents, userdata);
}

int call_program(int (*callback)(Source*, Usec, void*), Source* source, Usec time, void* userdata) {
  return callback_cast<sd_event_time_handler_t>(callback)(to_handle(source), time, userdata);
}

int call_program(int (*callback)(Source*, const struct signalfd_siginfo*, void*), Source* source,
                 const struct signalfd_siginfo* info, void* userdata) {
  return callback_cast<sd_event_signal_handler_t>(callback)(to_handle(source), info, userdata);
}

int call_program(int (*callback)(Source*, const siginfo_t*, void*), Source* source, const siginfo_t* info,
                 void* userdata) {
  return callback_cast<sd_event_child_handler_t>(callback)(to_handle(source), info, userdata);
}

int call_program(int (*callback)(Source*, const struct inotify_event*, void*), Source* source,
                 const struct inotify_event* event, void* userdata) {
  return callback_cast<sd_event_inotify_handler_t>(callback)(to_handle(source), event, userdata);
}

}  // namespace evenkeel
