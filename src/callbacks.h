// SPDX-License-Identifier: MIT
//
// How a callback of the program is called.
//
// Idea: the program has its own type for each kind of callback (`sd_event_source*` where the engine has `Source*`). The
// engine keeps a callback under the engine's type, but a call through that type would be undefined, and ends a program
// that is built with control flow integrity (clang's -fsanitize=cfi-icall and -fsanitize=function). So the engine never
// calls a callback itself: it asks the ABI in front of it, which turns the pointer back into the type that the program
// gave it, and calls that.
//
// Who defines these: `abi/sd-event/callbacks.cc` in the libraries, `src/callbacks_for_tests.cc` in the unit tests,
// whose callbacks have the engine's types. A destroy callback, `void (*)(void*)`, has the same type everywhere.
//
// Invariant: nothing else in `src/` calls what a program has given to a source.
#pragma once

#include <signal.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>

#include "src/types.h"

namespace evenkeel {

class Source;

int call_program(int (*callback)(Source*, void*), Source* source, void* userdata);
int call_program(int (*callback)(Source*, int, uint32_t, void*), Source* source, int fd, uint32_t revents,
                 void* userdata);
int call_program(int (*callback)(Source*, Usec, void*), Source* source, Usec time, void* userdata);
int call_program(int (*callback)(Source*, const struct signalfd_siginfo*, void*), Source* source,
                 const struct signalfd_siginfo* info, void* userdata);
int call_program(int (*callback)(Source*, const siginfo_t*, void*), Source* source, const siginfo_t* info,
                 void* userdata);
int call_program(int (*callback)(Source*, const struct inotify_event*, void*), Source* source,
                 const struct inotify_event* event, void* userdata);

}  // namespace evenkeel
