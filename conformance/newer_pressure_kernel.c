// SPDX-License-Identifier: MIT
//
// Pressure sources on the kernel's own files (PSI): settings that it takes and refuses, real pressure, a cgroup that
// goes away.
//
// Idea: processor pressure is the one that a test can make without harm: more busy processes than processors. What
// can't be done on a machine (no PSI, no cgroup that we may make) is skipped with its reason; when nothing could be
// done, so is the program.
//
// Invariants under test:
// 1. The settings reach the kernel before the first wait. What it refuses turns the source off, and the loop goes on.
// 2. Real pressure calls the callback.
// 3. A file that only reports errors any more costs one wake-up, and counts as a failed callback.
#include "newer_pressure.h"

static int skipped;

static void skip_because(const char* reason, int error) {
  print_message("skipped: %s: %s\n", reason, strerror(error));
  skipped++;
  skip();
}

static sd_event_source* add_or_skip(sd_event* loop, const struct Resource* resource, sd_event_handler_t handler,
                                    void* userdata) {
  sd_event_source* source = NULL;
  int r = resource->add(loop, &source, handler, userdata);
  if (r < 0) {
    sd_event_unref(loop);
    skip_because(resource->system_file, -r);
  }
  return source;
}

static int count_defer(sd_event_source* s, void* userdata) { return (void)s, ++*(int*)userdata, 0; }

static void the_default_settings_are_taken(void** state) {
  (void)state;
  for (size_t i = 0; i < lengthof(resources); i++) {
    sd_event* loop = make_loop();
    sd_event_source* source = add_or_skip(loop, &resources[i], on_event, NULL);
    for (int k = 0; k < 3; k++) assert_true(sd_event_run(loop, 0) >= 0);
    assert_int_equal(enabled_state(source), SD_EVENT_ON);
    sd_event_source_unref(source);
    sd_event_unref(loop);
  }
}

static void settings_are_fixed_once_the_first_iteration_began(void** state) {
  (void)state;
  for (size_t i = 0; i < lengthof(resources); i++) {
    sd_event* loop = make_loop();
    sd_event_source* source = add_or_skip(loop, &resources[i], on_event, NULL);
    assert_result(resources[i].set_period(source, 300000, 2000000), 1);
    assert_true(sd_event_prepare(loop) >= 0);
    assert_result(resources[i].set_type(source, "some"), -EBUSY);
    assert_result(resources[i].set_type(source, "wrong"), -EINVAL);
    assert_result(resources[i].set_period(source, 300000, 2000000), -EBUSY);
    assert_result(resources[i].set_period(source, 0, 0), -ERANGE);
    assert_true(sd_event_wait(loop, 0) >= 0);
    sd_event_source_unref(source);
    sd_event_unref(loop);
  }
}

static void settings_that_the_kernel_refuses_turn_the_source_off_and_the_loop_goes_on(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  for (size_t i = 0; i < lengthof(resources); i++) {
    struct Calls calls = {0, 0};
    sd_event_source* source = add_or_skip(loop, &resources[i], on_pressure, &calls);
    sd_event_source* defer = NULL;
    int deferred = 0;
    assert_true(sd_event_source_set_exit_on_failure(source, 1) >= 0);
    // The kernel takes windows from 500 ms to 10 s.
    assert_result(resources[i].set_period(source, 1, 1), 1);
    assert_result(sd_event_add_defer(loop, &defer, count_defer, &deferred), 0);
    assert_result(sd_event_run(loop, 0), 1);
    assert_int_equal(deferred, 1);
    assert_result(sd_event_run(loop, 0), 0);
    assert_int_equal(enabled_state(source), SD_EVENT_OFF);
    assert_int_equal(calls.n, 0);
    sd_event_source_unref(defer);
    sd_event_source_unref(source);
  }
  sd_event_unref(loop);
}

static void a_file_that_was_given_no_settings_fails_once(void** state) {
  (void)state;
  if (access("/proc/pressure/memory", R_OK) < 0) skip_because("/proc/pressure/memory", errno);
  setenv("MEMORY_PRESSURE_WATCH", "/proc/pressure/memory", 1);
  for (int lent = 0; lent < 2; lent++) {
    sd_event* loop = make_loop();
    struct Calls calls = {0, 0};
    sd_event_source* source = NULL;
    if (lent) assert_true(sd_event_get_fd(loop) >= 0);
    assert_result(sd_event_add_memory_pressure(loop, &source, on_pressure, &calls), 0);
    expect_one_failure_or_a_spin(loop, source, &calls, 0);
    sd_event_source_unref(source);
    sd_event_unref(loop);
  }
}

// ---- real pressure ------------------------------------------------------------------------------------------------

enum { kMostBusy = 64 };

struct Busy {
  pid_t pids[kMostBusy];
  int n;
};

// More than there are processors; each ends with its parent, or when that has waited for long enough.
static void start_busy(struct Busy* busy) {
  long processors = sysconf(_SC_NPROCESSORS_ONLN);
  busy->n = processors * 3 < kMostBusy ? (int)processors * 3 : kMostBusy;
  for (int i = 0; i < busy->n; i++) {
    pid_t parent = getpid();
    busy->pids[i] = fork();
    assert_true(busy->pids[i] >= 0);
    if (busy->pids[i] > 0) continue;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGALRM, SIG_DFL);
    alarm(kPatience);
    if (getppid() != parent) _exit(1);
    for (volatile bool busy_still = true; busy_still;) continue;
  }
}

static void stop_busy(struct Busy* busy) {
  for (int i = 0; i < busy->n; i++) kill_and_reap(busy->pids[i]);
}

// Long before the busy ones do.
static const uint64_t kGiveUp = kPatience / 2 * UINT64_C(1000000);

static int give_up(sd_event_source* s, uint64_t usec, void* userdata) {
  (void)usec, (void)userdata;
  return sd_event_exit(sd_event_source_get_event(s), 1);
}

static int exit_by_pressure(sd_event_source* s, void* userdata) {
  on_pressure(s, userdata);
  return sd_event_exit(sd_event_source_get_event(s), 0);
}

static void busy_processors_are_pressure(void** state) {
  (void)state;
  if (sysconf(_SC_NPROCESSORS_ONLN) * 3 > kMostBusy) skip_because("too many processors to keep busy", E2BIG);
  sd_event* loop = make_loop();
  struct Calls calls = {0, 0};
  sd_event_source* source = add_or_skip(loop, cpu_resource, exit_by_pressure, &calls);
  assert_result(cpu_resource->set_period(source, 1000, 2000000), 1);
  assert_result(sd_event_add_time_relative(loop, NULL, CLOCK_MONOTONIC, kGiveUp, 1, give_up, NULL), 0);
  struct Busy busy;
  start_busy(&busy);
  int code = sd_event_loop(loop);
  stop_busy(&busy);
  assert_int_equal(code, 0);
  assert_int_equal(calls.n, 1);
  sd_event_source_unref(source);
  sd_event_unref(loop);
}

static int count_and_give_up(sd_event_source* s, uint64_t usec, void* userdata) {
  return (void)s, (void)usec, ++*(int*)userdata, 0;
}

// As other loops do it: sleeps on the descriptor, and looks for nothing before it is readable.
static void iterate_from_outside(sd_event* loop) {
  int r = sd_event_prepare(loop);
  assert_true(r >= 0);
  if (r == 0) {
    struct pollfd outer = {sd_event_get_fd(loop), POLLIN, 0};
    assert_int_equal(poll(&outer, 1, -1), 1);
    r = sd_event_wait(loop, 0);
    assert_true(r >= 0);
  }
  if (r > 0) assert_true(sd_event_dispatch(loop) >= 0);
}

// Twice, by a loop whose descriptor was asked for before the source is added, or `late`.
static int hear_from_outside(void* late) {
  if (as_reference(kPressureLent)) alarm(20);  // Ten times what it takes to hear.
  sd_event* loop = make_loop();
  struct Calls calls = {0, 0};
  int gave_up = 0;
  if (!*(int*)late) assert_true(sd_event_get_fd(loop) >= 0);
  sd_event_source* source = add_or_skip(loop, cpu_resource, on_pressure, &calls);
  assert_result(cpu_resource->set_period(source, 1000, 2000000), 1);
  assert_result(sd_event_run(loop, 0), 0);
  assert_result(sd_event_source_set_enabled(source, SD_EVENT_OFF), 0);
  assert_true(sd_event_get_fd(loop) >= 0);
  assert_result(sd_event_source_set_enabled(source, SD_EVENT_ON), 0);
  assert_result(sd_event_add_time_relative(loop, NULL, CLOCK_MONOTONIC, kGiveUp, 1, count_and_give_up, &gave_up), 0);
  struct Busy busy;
  start_busy(&busy);
  while (calls.n < 2 && !gave_up) iterate_from_outside(loop);
  stop_busy(&busy);
  const bool stays = enabled_state(source) == SD_EVENT_ON;
  sd_event_source_unref(source);
  sd_event_unref(loop);
  return gave_up || !stays;
}

// The kernel tells of pressure whoever looks first, and that is the outer loop.
static void pressure_reaches_a_loop_that_is_driven_from_outside(void** state) {
  (void)state;
  if (sysconf(_SC_NPROCESSORS_ONLN) * 3 > kMostBusy) skip_because("too many processors to keep busy", E2BIG);
  sd_event* loop = make_loop();
  sd_event_source_unref(add_or_skip(loop, cpu_resource, on_event, NULL));
  sd_event_unref(loop);
  for (int late = 0; late < 2; late++)
    assert_result(in_child(hear_from_outside, &late), differs(kPressureLent, died_of(SIGALRM), 0));
}

// ---- a cgroup that goes away ----------------------------------------------------------------------------------------

// Makes a cgroup below the one of this process, for which `path` has room; false where that is not possible.
static bool make_cgroup(char* path, size_t size) {
  static const char* const mounts[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
  char line[4096], own[2048] = "";
  FILE* file = fopen("/proc/self/cgroup", "re");
  if (!file) return false;
  while (fgets(line, sizeof(line), file))
    if (sscanf(line, "0::%2047[^\n]", own) == 1) break;
  fclose(file);
  bool found = own[0] != '\0';
  if (strcmp(own, "/") == 0) own[0] = '\0';
  for (size_t i = 0; i < lengthof(mounts) && found; i++) {
    struct stat st;
    snprintf(path, size, "%s%s/cgroup.procs", mounts[i], own);
    if (stat(path, &st) < 0) continue;
    snprintf(path, size, "%s%s/evenkeel-%d", mounts[i], own, (int)getpid());
    return mkdir(path, 0700) == 0;
  }
  errno = ENOENT;
  return false;
}

static void a_cgroup_that_goes_away_fails_once(void** state) {
  (void)state;
  for (int round = 0; round < 4; round++) {
    bool exits = round & 1, lent = round & 2;
    char path[4096], file[4200];
    if (!make_cgroup(path, sizeof(path))) skip_because("making a cgroup", errno);
    snprintf(file, sizeof(file), "%s/memory.pressure", path);
    sd_event* loop = make_loop();
    struct Calls calls = {0, 0};
    sd_event_source* source = NULL;
    setenv("MEMORY_PRESSURE_WATCH", file, 1);
    setenv("MEMORY_PRESSURE_WRITE", "c29tZSAyMDAwMDAgMjAwMDAwMAA=", 1);  // "some 200000 2000000" and a zero
    int r = sd_event_add_memory_pressure(loop, &source, on_pressure, &calls);
    if (r < 0) {
      rmdir(path);
      sd_event_unref(loop);
      skip_because(file, -r);
    }
    if (lent) assert_true(sd_event_get_fd(loop) >= 0);
    assert_true(sd_event_source_set_exit_on_failure(source, exits) >= 0);
    assert_result(sd_event_run(loop, 0), 0);
    assert_result(sd_event_run(loop, 0), 0);
    assert_int_equal(enabled_state(source), SD_EVENT_ON);
    assert_int_equal(rmdir(path), 0);
    if (as_reference(kPressureHangUp)) {
      expect_one_failure_or_a_spin(loop, source, &calls, 0);
    } else if (exits) {
      assert_true(sd_event_loop(loop) < 0);
    } else {
      assert_result(sd_event_run(loop, UINT64_MAX), 1);
      for (int i = 0; i < 3; i++) assert_result(sd_event_run(loop, 0), 0);
      assert_result(sd_event_source_set_enabled(source, SD_EVENT_ON), 0);  // No better the second time.
      assert_result(sd_event_run(loop, UINT64_MAX), 1);
      assert_result(sd_event_run(loop, 0), 0);
    }
    assert_int_equal(enabled_state(source), differs(kPressureHangUp, SD_EVENT_ON, SD_EVENT_OFF));
    if (!as_reference(kPressureHangUp)) assert_int_equal(calls.n, 0);
    sd_event_source_unref(source);
    sd_event_unref(loop);
  }
}

int main(void) {
  exit_77_on_older();
  const struct CMUnitTest tests[] = {
      pressure_test(the_default_settings_are_taken),
      pressure_test(settings_are_fixed_once_the_first_iteration_began),
      pressure_test(settings_that_the_kernel_refuses_turn_the_source_off_and_the_loop_goes_on),
      pressure_test(a_file_that_was_given_no_settings_fails_once),
      pressure_test(busy_processors_are_pressure),
      pressure_test(pressure_reaches_a_loop_that_is_driven_from_outside),
      pressure_test(a_cgroup_that_goes_away_fails_once),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  if (failed == 0 && skipped == (int)lengthof(tests)) return 77;
  return failed;
}
