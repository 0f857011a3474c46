// SPDX-License-Identifier: MIT
//
// Which error wins in the calls on loops that are newer than 252: add_*_pressure, exit_on_idle, trim_memory (which
// takes no loop). Not for the reference 252.
//
// Each row holds the results with a null loop, SD_EVENT_DEFAULT without a default loop, a loop in each of its states,
// and in a process forked in each of these (errors_loops.h). For pressure the environment is set by the call itself;
// that of the loop is looked at first. Invariants: a call that fails changes neither the out-pointer nor the number of
// fds nor the state ("changed").
#include "errors_loops.h"
#include "newer.h"

static bool variables(const char* watch_name, const char* watch, const char* write_name, const char* write) {
  if (write) setenv(write_name, write, 1);
  return setenv(watch_name, watch, 1) == 0;
}

static const char* pipe_of(struct LoopKit* kit) {
  static char path[32];
  snprintf(path, sizeof(path), "/proc/self/fd/%d", kit->pipe_fds[0]);
  return path;
}

#define WITH(upper, watch, write, call) \
  (variables(upper "_PRESSURE_WATCH", watch, upper "_PRESSURE_WRITE", write), (call))

// clang-format off
#define PRESSURE_CALLS(X, name, upper, add)                                                                           \
  X(add_##name, WITH(upper, pipe_of(kit), NULL, add(e, s, on_event, NULL)), CONDITION_FIRST("0"))                     \
  X(add_##name##_float, WITH(upper, pipe_of(kit), NULL, add(e, NULL, NULL, NULL)), CONDITION_FIRST("0"))              \
  X(add_##name##_off, WITH(upper, "", NULL, add(e, s, on_event, NULL)), CONDITION_FIRST("EHOSTDOWN"))                 \
  X(add_##name##_off_unwritable, WITH(upper, "/dev/null", "!!", add(e, s, on_event, NULL)),                           \
    CONDITION_FIRST("EHOSTDOWN"))                                                                                     \
  X(add_##name##_relative, WITH(upper, "tmp", NULL, add(e, s, on_event, NULL)), CONDITION_FIRST("EBADMSG"))           \
  X(add_##name##_unwritable, WITH(upper, pipe_of(kit), "!!", add(e, s, on_event, NULL)), CONDITION_FIRST("EINVAL"))  \
  X(add_##name##_missing, WITH(upper, "/proc/self/fd/9999", NULL, add(e, s, on_event, NULL)),                         \
    CONDITION_FIRST("ENOENT"))                                                                                        \
  X(add_##name##_missing_unwritable, WITH(upper, "/proc/self/fd/9999", "!!", add(e, s, on_event, NULL)),              \
    CONDITION_FIRST("EINVAL"))                                                                                       \
  X(add_##name##_directory, WITH(upper, "/tmp", NULL, add(e, s, on_event, NULL)), CONDITION_FIRST("EISDIR"))          \
  X(add_##name##_directory_unwritable, WITH(upper, "/tmp", "!!", add(e, s, on_event, NULL)),                          \
    CONDITION_FIRST("EINVAL"))                                                                                       \
  X(add_##name##_file, WITH(upper, "/etc/passwd", NULL, add(e, s, on_event, NULL)), CONDITION_FIRST("ENOTTY"))

#define CALLS(X)                                                                                                      \
  PRESSURE_CALLS(X, memory, "MEMORY", sd_event_add_memory_pressure)                                                   \
  PRESSURE_CALLS(X, cpu, "CPU", sd_event_add_cpu_pressure)                                                            \
  PRESSURE_CALLS(X, io, "IO", sd_event_add_io_pressure)                                                               \
  X(set_exit_on_idle1, sd_event_set_exit_on_idle(e, 1), NOT_FORKED(EVERYWHERE("1")))                                  \
  X(set_exit_on_idle0, sd_event_set_exit_on_idle(e, 0), NOT_FORKED(EVERYWHERE("0")))                                  \
  X(get_exit_on_idle, sd_event_get_exit_on_idle(e), NOT_FORKED(EVERYWHERE("0")))                                      \
  X(trim_memory, sd_event_trim_memory(), "0 0 | " EVERYWHERE("0") " | " EVERYWHERE("0"))
// clang-format on

CALLS(DEFINE_LOOP_CALL)
CALLS(DEFINE_LOOP_ROW)

int main(void) {
  exit_77_on_older();
  exit_77_without_pidfds();
  const struct CMUnitTest tests[] = {CALLS(LOOP_ROW_TEST)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
