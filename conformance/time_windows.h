// SPDX-License-Identifier: MIT
//
// When a loop will wake for its timers, without waiting for it: read off its timerfds, and computed.
//
// Idea: fdinfo tells how long a timerfd still has to go, and its clock is read before and after, so that however long
// the reading takes, the wake-up is known to lie between two moments. What it should be is computed from the windows of
// the timers: a spot in the window that all processes of the machine share. A spot is given by a grid and by the boot
// ID: grids of one minute, 10 s, 1 s and 250 ms, all shifted by the same offset, which is the two halves of the ID,
// exclusive-ored, modulo one minute.
//
// Rules: a program has one loop at a time, so that each clock has one timerfd; timers lie so far in the future that
// none elapses while a test runs.
#ifndef EVENKEEL_CONFORMANCE_TIME_WINDOWS_H
#define EVENKEEL_CONFORMANCE_TIME_WINDOWS_H

#include "loop_recorder.h"

enum { kSecond = 1000000, kMinute = 60 * kSecond, kQuarter = kSecond / 4 };

// Of a timer or of a wake-up, in microseconds: not before the one, not after the other.
struct Range {
  uint64_t from, to;
};

static const uint64_t kGrids[] = {kMinute, 10 * kSecond, kSecond, kQuarter};

static inline uint64_t read_offset(void) {
  unsigned char id[16];
  char text[64] = "";
  FILE* f = fopen("/proc/sys/kernel/random/boot_id", "re");
  assert_non_null(f);
  assert_non_null(fgets(text, sizeof(text), f));
  fclose(f);
  size_t n = 0;
  for (const char* c = text; *c && n < 32; c++) {
    int digit = *c >= '0' && *c <= '9' ? *c - '0' : *c >= 'a' && *c <= 'f' ? *c - 'a' + 10 : -1;
    if (digit < 0) continue;
    id[n / 2] = (unsigned char)(n % 2 ? id[n / 2] << 4 | digit : digit);
    n++;
  }
  assert_int_equal(n, 32);
  uint64_t halves[2];
  memcpy(halves, id, sizeof(halves));
  return (halves[0] ^ halves[1]) % kMinute;
}

// The last point of the grid, shifted by the machine's offset, that is before `end`.
static inline uint64_t last_point(uint64_t grid, uint64_t end) {
  static uint64_t offset = UINT64_MAX;
  if (offset == UINT64_MAX) offset = read_offset();
  const uint64_t phase = offset % grid, base = end - end % grid;
  return base + phase < end ? base + phase : base - grid + phase;
}

// Where in a window a loop has to wake: at the coarsest grid that has a point in it, else at its end.
static inline uint64_t spot_in(struct Range window) {
  for (size_t i = 0; i < lengthof(kGrids); i++)
    if (last_point(kGrids[i], window.to) >= window.from) return last_point(kGrids[i], window.to);
  return window.to;
}

// Between which moments of the clock its timerfd will fire; 0 and 0 if there is none, or it is not armed.
static inline struct Range programmed_wakeup(clockid_t clock) {
  struct Range found = {0, 0};
  for (int fd = 0; fd < 64; fd++) {
    char path[64], link[64] = "", line[128];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (readlink(path, link, sizeof(link) - 1) < 0 || !strstr(link, "[timerfd]")) continue;
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    FILE* f = fopen(path, "re");
    assert_non_null(f);
    const uint64_t before = clock_usec(clock);
    unsigned long long seconds = 0, nanoseconds = 0;
    int its_clock = -1;
    while (fgets(line, sizeof(line), f)) {
      (void)sscanf(line, "clockid: %d", &its_clock);
      if (its_clock == clock && sscanf(line, "it_value: (%llu, %llu)", &seconds, &nanoseconds) == 2 &&
          seconds + nanoseconds > 0)
        found = (struct Range){before + seconds * kSecond + nanoseconds / 1000 - 1,
                               clock_usec(clock) + seconds * kSecond + nanoseconds / 1000 + 1};
    }
    fclose(f);
  }
  return found;
}

static inline void assert_wakes_at(struct Range wakeup, uint64_t expected) {
  if (expected < wakeup.from || expected > wakeup.to)
    fail_msg("wakes between %llu and %llu, not at %llu", (unsigned long long)wakeup.from, (unsigned long long)wakeup.to,
             (unsigned long long)expected);
}

#endif
