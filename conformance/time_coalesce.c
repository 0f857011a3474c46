// SPDX-License-Identifier: MIT
//
// Where in the window that its timers leave a loop wakes: at a spot that all processes of the machine share.
//
// The wake-up is not waited for but read off the timerfd: fdinfo tells how long it still has to go, and the clock is
// read before and after, so that however long the reading takes, the wake-up is known to lie between two moments. A
// spot is given by a grid and by the boot ID: grids of one minute, 10 s, 1 s and 250 ms, all shifted by the same
// offset, which is the two halves of the ID, exclusive-ored, modulo one minute. Both libraries are held to the same
// formula, so that their processes wake together.
//
// Each case makes windows on CLOCK_MONOTONIC far in the future, and owns its loop.
#include "harness.h"

enum { kMinute = 60 * 1000000 };

struct Range {
  uint64_t from, to;
};

static uint64_t read_offset(void) {
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

static uint64_t monotonic(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

// Between which moments on CLOCK_MONOTONIC the process' one timerfd will fire; 0 and 0 if it is not armed.
static struct Range programmed_wakeup(void) {
  struct Range found = {0, 0};
  for (int fd = 0; fd < 64; fd++) {
    char path[64], link[64] = "", line[128];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (readlink(path, link, sizeof(link) - 1) < 0 || !strstr(link, "[timerfd]")) continue;
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    FILE* f = fopen(path, "re");
    assert_non_null(f);
    const uint64_t before = monotonic();
    unsigned long long seconds = 0, nanoseconds = 0;
    while (fgets(line, sizeof(line), f))
      if (sscanf(line, "it_value: (%llu, %llu)", &seconds, &nanoseconds) == 2 && seconds + nanoseconds > 0)
        found = (struct Range){before + seconds * 1000000 + nanoseconds / 1000 - 1,
                               monotonic() + seconds * 1000000 + nanoseconds / 1000 + 1};
    fclose(f);
  }
  return found;
}

static struct Range wakeup_for(const uint64_t (*windows)[2], size_t n) {
  sd_event* loop = make_loop();
  sd_event_source* sources[4] = {NULL};
  for (size_t i = 0; i < n; i++)
    assert_int_equal(sd_event_add_time(loop, &sources[i], CLOCK_MONOTONIC, windows[i][0], windows[i][1] - windows[i][0],
                                       on_time, NULL),
                     0);
  assert_int_equal(sd_event_prepare(loop), 0);
  const struct Range wakeup = programmed_wakeup();
  for (size_t i = 0; i < n; i++) sd_event_source_unref(sources[i]);
  sd_event_unref(loop);
  return wakeup;
}

static void assert_is(struct Range wakeup, uint64_t expected) {
  if (expected < wakeup.from || expected > wakeup.to)
    fail_msg("wakes between %llu and %llu, not at %llu", (unsigned long long)wakeup.from, (unsigned long long)wakeup.to,
             (unsigned long long)expected);
}

// The last point of the grid, shifted by the machine's offset, that is not after `end`.
static uint64_t last_point(uint64_t grid, uint64_t end) {
  const uint64_t phase = read_offset() % grid, base = end - end % grid;
  return base + phase <= end ? base + phase : base - grid + phase;
}

static void a_window_is_left_at_the_coarsest_grid_that_has_a_point_in_it(void** state) {
  (void)state;
  static const uint64_t grids[] = {kMinute, 10 * 1000000, 1000000, 250000};
  const uint64_t far = monotonic() + 3600ULL * 1000000;
  for (size_t i = 0; i < lengthof(grids); i++) {
    // One point of this grid is in the window for certain; a point of a coarser one may be.
    const uint64_t windows[][2] = {{far, far + grids[i] + 1000}};
    uint64_t expected = windows[0][1];
    for (size_t k = 0; k < lengthof(grids); k++) {
      expected = last_point(grids[k], windows[0][1]);
      if (expected >= windows[0][0]) break;
    }
    assert_is(wakeup_for(windows, 1), expected);
  }
}

static void a_window_without_a_point_of_any_grid_is_left_at_its_end(void** state) {
  (void)state;
  const uint64_t point = last_point(250000, monotonic() + 3600ULL * 1000000);
  const uint64_t windows[][2] = {{point + 30000, point + 200000}};
  assert_is(wakeup_for(windows, 1), point + 200000);
}

static void the_window_reaches_from_the_earliest_time_to_the_earliest_end(void** state) {
  (void)state;
  const uint64_t point = last_point(250000, monotonic() + 3600ULL * 1000000);
  // The first timer begins it, the second, with its better accuracy, ends it; the third lies behind it.
  const uint64_t windows[][2] = {
      {point + 30000, point + 900000}, {point + 60000, point + 180000}, {point + 400000, point + 410000}};
  assert_is(wakeup_for(windows, 3), point + 180000);
}

static void never_is_no_wakeup(void** state) {
  (void)state;
  const uint64_t windows[][2] = {{UINT64_MAX, UINT64_MAX}};
  assert_int_equal(wakeup_for(windows, 1).to, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      clean_test(a_window_is_left_at_the_coarsest_grid_that_has_a_point_in_it),
      clean_test(a_window_without_a_point_of_any_grid_is_left_at_its_end),
      clean_test(the_window_reaches_from_the_earliest_time_to_the_earliest_end),
      clean_test(never_is_no_wakeup),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
