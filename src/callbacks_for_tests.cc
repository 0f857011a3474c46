// SPDX-License-Identifier: MIT
//
// See callbacks.h: the callbacks of the unit tests have the engine's own types.
#include "src/callbacks.h"

namespace evenkeel {

int call_program(int (*callback)(Source*, void*), Source* source, void* userdata) { return callback(source, userdata); }

int call_program(int (*callback)(Source*, int, uint32_t, void*), Source* source, int fd, uint32_t revents,
                 void* userdata) {
  return callback(source, fd, revents, userdata);
}

int call_program(int (*callback)(Source*, Usec, void*), Source* source, Usec time, void* userdata) {
  return callback(source, time, userdata);
}

int call_program(int (*callback)(Source*, const struct signalfd_siginfo*, void*), Source* source,
                 const struct signalfd_siginfo* info, void* userdata) {
  return callback(source, info, userdata);
}

int call_program(int (*callback)(Source*, const siginfo_t*, void*), Source* source, const siginfo_t* info,
                 void* userdata) {
  return callback(source, info, userdata);
}

int call_program(int (*callback)(Source*, const struct inotify_event*, void*), Source* source,
                 const struct inotify_event* event, void* userdata) {
  return callback(source, event, userdata);
}

}  // namespace evenkeel
