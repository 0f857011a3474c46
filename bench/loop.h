/* SPDX-License-Identifier: MIT
 *
 * What a benchmark asks of an event loop: one struct of functions that each back end in bench/loops fills in.
 *
 * A back end is a module of its own (bench-loop-NAME.so), because some of these libraries define the same symbols. It
 * uses its library as the library's manual tells one to, and adds as little as it can: the callback that it registers
 * calls `fired`, whatever the loop, so each loop does the same work for an event.
 *
 * 1. Functions that a loop has no natural equivalent for are null, and the benchmark is skipped.
 * 2. Sources fire again and again until they are turned off: descriptors are level-triggered, nothing is one-shot but
 *    timers and children.
 * 3. Times are microseconds of CLOCK_MONOTONIC. Loops that take a relative time subtract `Run::now`, which the
 * benchmark sets, so that no back end pays for a clock that others need not read.
 * 4. `run` returns when at least `Run::left` events have been handled; it may handle the rest of a batch beyond these,
 *    as the loop does by itself, so `left` may be negative then.
 */
#ifndef EVENKEEL_BENCH_LOOP_H
#define EVENKEEL_BENCH_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct Run {
  int64_t left;       // Events until the loop is to stop.
  uint64_t now;       // See 3.
  uint64_t accuracy;  // Of timers, where the loop knows such a thing; 0 is its default.
  bool priorities;    // Signal sources are to go before all others, if the loop can do that.
  bool last;          // `run` is called for the last time, so the loop may end for good.
  void* loop;         // The back end's, for `stop`.
  void (*stop)(void* loop);
};

// One source, for the benchmark and for the back end.
struct Watch {
  struct Run* run;
  void (*work)(struct Watch* watch);  // May be null: the event is counted.
  void* source;                       // The back end's.
  int fd;
  int next_fd;  // For those that pass something on.
  uint64_t period;
  uint64_t due;
};

struct LoopOps {
  const char* (*name)(void);
  void* (*create)(struct Run* run);
  void (*run)(void* loop);

  void (*io_add)(void* loop, struct Watch* watch);  // Readable, `watch->fd`.
  void (*io_enable)(void* loop, struct Watch* watch, bool on);
  void (*io_drop)(void* loop, struct Watch* watch);

  void (*time_add)(void* loop, struct Watch* watch, uint64_t usec);
  void (*time_set)(void* loop, struct Watch* watch, uint64_t usec);  // Also one that has fired.
  void (*time_drop)(void* loop, struct Watch* watch);
  long time_limit;  // More timers than this take minutes to add; 0 is no limit.

  void (*again_add)(void* loop, struct Watch* watch);  // Called as often as the loop goes round.
  void (*signal_add)(void* loop, struct Watch* watch, int signal);
  void (*child_add)(void* loop, struct Watch* watch, int pid);
};

// The only symbol of a module. (The programs look it up by this name.)
extern const struct LoopOps bench_loop_ops;

// What each callback does.
static inline void fired(struct Watch* watch) {
  struct Run* run = watch->run;
  if (watch->work) watch->work(watch);
  if (--run->left <= 0) run->stop(run->loop);
}

static inline uint64_t relative_usec(const struct Run* run, uint64_t usec) {
  return usec > run->now ? usec - run->now : 0;
}

#endif
