/* SPDX-License-Identifier: MIT
 *
 * What all benchmarks share: arguments, clocks, limits, a measured body, and the line that is printed.
 *
 * A benchmark is a program that answers one question for one loop and one size, once:
 *
 *     bench-ready --loop libuv --n 1000      ->     ready-1000 <TAB> libuv <TAB> 75.3 <TAB> ns
 *
 * tools/bench runs them in turns, takes the medians and makes the table.
 *
 * 1. A body is warmed up, then run for a number of operations that takes about --ms milliseconds, or for --count of
 * them (then the warm-up is fixed too: two runs that differ in --count alone differ by these operations alone, which is
 *    how system calls and instructions are counted).
 * 2. What a loop does not have is a skip (exit code 77 with the reason); what fails ends the program: no figure is
 *    better than a wrong one.
 * 3. A program ends without freeing anything: some loops take minutes to free what they added in seconds.
 */
#ifndef EVENKEEL_BENCH_BENCH_H
#define EVENKEEL_BENCH_BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/loop.h"

enum { kSkipped = 77, kUsage = 2, kNsecPerUsec = 1000, kUsecPerMsec = 1000, kUsecPerSec = 1000000 };

struct Options {
  const char* loop;     // Which loop: a module beside the program, bench-loop-NAME.so.
  const char* what;     // Which of a question's variants.
  const char* preload;  // For programs that start others: the library in front of these.
  long n;               // Sources.
  long active;          // Of these, ready at a time.
  long count;           // Measured operations, or 0: as many as take `ms`.
  long ms;
};

// Parses the arguments over `defaults`; ends the program with a usage message if they are wrong.
struct Options bench_options(int argc, char** argv, struct Options defaults);

// The loop that was asked for, or a skip. `run` is to be used for it alone.
const struct LoopOps* bench_loop(const struct Options* options);
void* bench_create(const struct LoopOps* ops, struct Run* run);

// Ends the program: with the skip "LOOP has no WHAT" unless `there`, or with what failed if `ok` does not hold.
void bench_need(bool there, const struct LoopOps* ops, const char* what);
void bench_check(bool ok, const char* what);

// Lets the process have `n` descriptors or skips.
void bench_want_fds(long n);
int bench_eventfd(unsigned value);

uint64_t bench_nsec(void);      // Of the clock.
uint64_t bench_cpu_nsec(void);  // That this process has used: what is measured wherever nothing sleeps.
static inline uint64_t bench_usec(void) { return bench_nsec() / kNsecPerUsec; }

// A fast generator with a fixed seed: all loops see the same numbers.
static inline uint64_t bench_random(uint64_t bound) {
  static uint64_t state = 88172645463325252u;
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state % bound;
}

// Does about `n` operations and returns how many they were.
typedef long (*BenchBody)(void* state, long n);

// Nanoseconds an operation, by the rules above; or just once, without warm-up, for what cannot be repeated. Nothing may
// be run after either: the loop may be at its end.
double bench_measure(const struct Options* options, BenchBody body, void* state);
double bench_once(BenchBody body, void* state, long n);

// Prints the line, `value` in `unit`, and ends the program. bench_print does not end it.
void bench_print(const struct LoopOps* ops, const char* scenario, double value, const char* unit);
_Noreturn void bench_done(void);

#endif
