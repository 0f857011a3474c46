// SPDX-License-Identifier: MIT
//
// The operations that programs are made of, and the form of a program.
//
// Idea: a program is a list of operations, made first and interpreted afterwards, so that a failing one can be
// shortened by leaving operations out. One table says all about an operation: the generator draws from it, the
// interpreter calls by it, the printer writes C by it, and the bytes that libFuzzer makes up are read by it.
//
//   X(name, weight, where, modes, number of arguments, their ranges)
//
// `name` is a function of runtime.h (for its meaning see there); an argument goes from 0 to below its range. An
// operation stands outside, or in a callback: the `call`th of a kind (`context`) for a slot.
#ifndef EVENKEEL_FUZZ_OPERATIONS_H
#define EVENKEEL_FUZZ_OPERATIONS_H

#include <stdint.h>

enum {
  kSlots = 10,
  kChannels = 6,
  kSignals = 6,
  kEvents = 9,
  kTimes = 10,
  kMostOperations = 400,
  kMostArguments = 4,
};

// What a program is about. Strict, lazy and ties exclude each other.
enum Mode {
  kStrict = 1,  // Each iteration looks at everything; all flags are compared.
  kLazy = 2,    // Only run(); what is dispatched is compared.
  kTies = 4,    // Few priorities; among equals of one wave any order will do.
  kTimed = 8,   // With timers and rate limits that elapse during the program.
  kDefaultLoop = 16,
  kLoopFirst = 32,  // The loop's reference goes before those of its sources.
};

// The bits above tell how far away what is near in time shall be: more where the machine is slow.
enum { kSlowShift = 8, kSlowest = 5 };

enum Where { kOutside = 1, kInside = 2, kAnywhere = 3 };

enum Context { kNowhere, kDispatched, kPrepared, kExpired, kDestroyed, kContexts };

#define SL kStrict | kLazy
#define ALL kStrict | kLazy | kTies
#define FUZZ_OPERATIONS(X)                                                  \
  X(add_io, 30, kAnywhere, ALL, 4, kSlots, kChannels * 2, kEvents, 3)       \
  X(add_time, 20, kAnywhere, ALL, 3, kSlots, 4, kTimes, 0)                  \
  X(add_time_relative, 4, kAnywhere, SL, 2, kSlots, 5, 0, 0)                \
  X(add_signal, 14, kAnywhere, ALL, 3, kSlots, kSignals, 3, 0)              \
  X(add_child, 10, kAnywhere, ALL, 3, kSlots, 4, 2, 0)                      \
  X(add_inotify, 12, kAnywhere, ALL, 3, kSlots, 3, 3, 0)                    \
  X(add_defer, 12, kAnywhere, ALL, 2, kSlots, 4, 0, 0)                      \
  X(add_post, 10, kAnywhere, ALL, 2, kSlots, 4, 0, 0)                       \
  X(add_exit, 8, kAnywhere, SL, 2, kSlots, 4, 0, 0)                         \
  X(set_enabled, 40, kAnywhere, ALL, 2, kSlots, 4, 0, 0)                    \
  X(set_priority, 16, kAnywhere, SL, 2, kSlots, 5, 0, 0)                    \
  X(set_prepare, 8, kAnywhere, SL, 2, kSlots, 2, 0, 0)                      \
  X(set_description, 4, kAnywhere, SL, 2, kSlots, 4, 0, 0)                  \
  X(set_floating, 8, kAnywhere, SL, 2, kSlots, 2, 0, 0)                     \
  X(set_destroy, 6, kAnywhere, SL, 2, kSlots, 2, 0, 0)                      \
  X(set_exit_on_failure, 5, kAnywhere, SL, 2, kSlots, 2, 0, 0)              \
  X(unref, 16, kAnywhere, SL, 1, kSlots, 0, 0, 0)                           \
  X(disable_unref, 6, kAnywhere, SL, 1, kSlots, 0, 0, 0)                    \
  X(ref_unref, 3, kAnywhere, SL, 1, kSlots, 0, 0, 0)                        \
  X(getters, 8, kAnywhere, SL, 1, kSlots, 0, 0, 0)                          \
  X(set_io_events, 12, kAnywhere, SL, 2, kSlots, kEvents, 0, 0)             \
  X(set_io_fd, 12, kAnywhere, kStrict, 2, kSlots, kChannels * 2, 0, 0)      \
  X(set_io_fd_owned, 6, kAnywhere, kStrict, 2, kSlots, kChannels * 2, 0, 0) \
  X(set_time, 16, kAnywhere, ALL, 2, kSlots, kTimes, 0, 0)                  \
  X(set_time_relative, 4, kAnywhere, SL, 2, kSlots, 6, 0, 0)                \
  X(set_time_accuracy, 4, kAnywhere, SL, 2, kSlots, 7, 0, 0)                \
  X(set_time_near, 10, kAnywhere, SL | kTimed, 1, kSlots, 0, 0, 0)          \
  X(set_process_own, 4, kAnywhere, SL, 2, kSlots, 2, 0, 0)                  \
  X(send_child_signal, 4, kAnywhere, SL, 2, kSlots, 3, 0, 0)                \
  X(set_ratelimit, 10, kAnywhere, SL, 2, kSlots, 6, 0, 0)                   \
  X(set_ratelimit_near, 14, kAnywhere, SL | kTimed, 2, kSlots, 2, 0, 0)     \
  X(set_ratelimit_expire, 6, kAnywhere, SL, 2, kSlots, 2, 0, 0)             \
  X(feed, 100, kAnywhere, ALL, 1, kChannels, 0, 0, 0)                       \
  X(drain, 14, kAnywhere, kStrict, 1, kChannels, 0, 0, 0)                   \
  X(hang_up, 2, kAnywhere, kStrict, 1, kChannels, 0, 0, 0)                  \
  X(send_signal, 40, kAnywhere, ALL, 1, kSignals, 0, 0, 0)                  \
  X(end_child, 24, kAnywhere, ALL, 1, kSlots, 0, 0, 0)                      \
  X(stop_child, 12, kAnywhere, kLazy, 1, kSlots, 0, 0, 0)                   \
  X(continue_child, 12, kAnywhere, kLazy, 1, kSlots, 0, 0, 0)               \
  X(touch, 40, kAnywhere, ALL, 1, 3, 0, 0, 0)                               \
  X(step, 130, kOutside, kStrict, 0, 0, 0, 0, 0)                            \
  X(prepare, 14, kAnywhere, kStrict, 0, 0, 0, 0, 0)                         \
  X(wait_0, 10, kAnywhere, kStrict, 0, 0, 0, 0, 0)                          \
  X(dispatch, 14, kAnywhere, kStrict, 0, 0, 0, 0, 0)                        \
  X(poll_fd, 6, kOutside, kStrict, 0, 0, 0, 0, 0)                           \
  X(run, 150, kAnywhere, kLazy, 0, 0, 0, 0, 0)                              \
  X(run_some, 24, kOutside, kTies, 1, 4, 0, 0, 0)                           \
  X(run_all, 30, kOutside, kTies, 0, 0, 0, 0, 0)                            \
  X(nap, 20, kOutside, SL | kTimed, 0, 0, 0, 0, 0)                          \
  X(exit_loop, 2, kAnywhere, SL, 1, 4, 0, 0, 0)                             \
  X(run_to_end, 1, kOutside, SL, 0, 0, 0, 0, 0)                             \
  X(ask_loop, 8, kAnywhere, SL, 0, 0, 0, 0, 0)                              \
  X(set_signal_exit, 2, kAnywhere, SL, 1, 2, 0, 0, 0)                       \
  X(set_watchdog, 2, kAnywhere, SL, 1, 2, 0, 0, 0)                          \
  X(ref_unref_loop, 2, kAnywhere, SL, 0, 0, 0, 0, 0)                        \
  X(drop_loop, 1, kAnywhere, SL, 0, 0, 0, 0, 0)                             \
  X(fail, 40, kInside, ALL, 0, 0, 0, 0, 0)                                  \
  X(poll_naively, 8, kOutside, kStrict, 0, 0, 0, 0, 0)                      \
  X(fork_and_return, 6, kInside, SL, 0, 0, 0, 0, 0)                         \
  X(use_thread, 3, kAnywhere, SL, 1, 4, 0, 0, 0)                            \
  X(add_inner, 12, kOutside, SL, 2, kSlots, 4, 0, 0)                        \
  X(inner_feed, 24, kAnywhere, SL, 1, 2, 0, 0, 0)                           \
  X(inner_enable, 12, kAnywhere, kStrict, 2, 3, 3, 0, 0)                    \
  X(inner_run, 8, kAnywhere, kStrict, 0, 0, 0, 0, 0)

enum OperationName {
#define X(name, ...) kOperation_##name,
  FUZZ_OPERATIONS(X)
#undef X
      kOperationCount
};

struct Operation {
  uint8_t name;
  uint8_t context;
  uint8_t slot;
  uint8_t call;
  uint8_t args[kMostArguments];
};

struct Program {
  uint32_t modes;
  uint32_t release;  // Of libsystemd: the differences that are kept clear of are that one's.
  uint32_t count;
  struct Operation operations[kMostOperations];
};

#endif
