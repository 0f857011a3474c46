// SPDX-License-Identifier: MIT
//
// From the C handles to the engine, and the checks that the calls of sd-event make first.
//
// Idea: `sd_event` is an `evenkeel::Loop`, `sd_event_source` an `evenkeel::Source`; a shim checks its arguments, calls
// one engine operation and returns its int. Which error wins is part of the ABI: programs depend on it. The usual order
// is null
// (-EINVAL), no default loop (-ENOPKG), wrong kind (-EDOM), finished (-ESTALE), forked (-ECHILD); where a call has
// another one it says so by the order of its lines.
//
// The callbacks of C programs take `sd_event_source*` where the engine's take `Source*`. The engine keeps a callback
// under its own type, which `callback_cast` gives it; callbacks.cc calls it through the program's.
#pragma once

#include "abi/export.h"
#include "include/systemd/sd-event.h"
#include "src/loop.h"

#define RETURN_IF_ERROR(expression)                                 \
  do {                                                              \
    if (const int error_ = (expression); error_ < 0) return error_; \
  } while (false)

// Exports a function under its node of libsystemd as the default, and under the node that libsystemd-shared gives all
// its symbols: systemd's own daemons are linked to that one. The second name is needed for the linker, which drops one
// of two versions of a single symbol; it leaves the library under neither.
#ifdef EVENKEEL_SHARED_LIBRARY
#define EVENKEEL_SINCE(node, name)                                                            \
  EVENKEEL_PUBLIC extern decltype(name) name##_shared __attribute__((alias(#name), nothrow)); \
  __asm__(".symver " #name "," #name "@@@" #node);                                            \
  __asm__(".symver " #name "_shared," #name "@SD_SHARED")
#else
#define EVENKEEL_SINCE(node, name) static_assert(true)
#endif

namespace evenkeel::sd {

// The default loop of this thread, or null.
Loop* default_loop();

// Whether the loop is the default one of another thread. Only default loops tell anybody of their end.
bool is_foreign_default(const Loop& loop);
inline bool foreign_default(const Loop& loop) { return loop.on_free && is_foreign_default(loop); }

// The thread that made the loop as its default one; -ENXIO for any other loop.
int default_thread(const Loop& loop, pid_t* ret);

inline Loop* to_loop(sd_event* event) { return reinterpret_cast<Loop*>(event); }
inline sd_event* to_handle(Loop* loop) { return reinterpret_cast<sd_event*>(loop); }
inline Source* to_source(sd_event_source* source) { return reinterpret_cast<Source*>(source); }
inline Source** to_source(sd_event_source** source) { return reinterpret_cast<Source**>(source); }
inline sd_event_source* to_handle(Source* source) { return reinterpret_cast<sd_event_source*>(source); }

template <typename To, typename From>
To callback_cast(From callback) {
  return reinterpret_cast<To>(callback);
}

inline int find(sd_event* event, Loop** ret) {
  if (!event) return -EINVAL;
  *ret = event == SD_EVENT_DEFAULT ? default_loop() : to_loop(event);
  if (!*ret) return -ENOPKG;
  return (*ret)->made_here() ? 0 : -EINVAL;
}

// Whether it is a source, and not one of another copy of the library.
inline bool is_ours(sd_event_source* source) { return source && to_source(source)->made_here(); }

inline int not_forked(const Loop& loop) { return loop.forked() ? -ECHILD : 0; }
inline int not_finished(const Loop& loop) { return loop.finished() ? -ESTALE : 0; }
inline int usable(const Loop& loop) { return loop.finished() ? -ESTALE : not_forked(loop); }

// The same for a source. One whose loop is gone (it was floating, and the caller kept a reference) is as stale as can
// be.
inline int not_forked(const Source& source) { return source.connected() ? not_forked(*source.loop()) : 0; }
inline int not_finished(const Source& source) { return source.connected() ? not_finished(*source.loop()) : -ESTALE; }
inline int usable(const Source& source) { return source.connected() ? usable(*source.loop()) : -ESTALE; }

// For calls that return pointers, which have no error but null.
inline bool is_usable_here(sd_event_source* source) { return is_ours(source) && not_forked(*to_source(source)) >= 0; }

template <typename T>
int find(sd_event_source* handle, Kind kind, T** ret) {
  if (!is_ours(handle)) return -EINVAL;
  Source* source = to_source(handle);
  if (source->kind() != kind) return -EDOM;
  *ret = static_cast<T*>(source);
  return 0;
}

}  // namespace evenkeel::sd
