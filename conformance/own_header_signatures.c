// SPDX-License-Identifier: MIT
//
// Every sd_event function that is newer than release 252. Not for the reference: it has none of them.
//
// Each function is declared here once more: a header that says otherwise does not compile. Then its address is taken
// from the library that the program runs with, so a function that is not exported does not link, or not load.
// Parameter names are those of the documentation where they tell something. Nothing is called.
#define _GNU_SOURCE 1
#include <stdio.h>
#include <systemd/sd-event.h>

// clang-format off
int sd_event_add_memory_pressure(sd_event *, sd_event_source **, sd_event_handler_t, void *);
int sd_event_source_set_memory_pressure_type(sd_event_source *, const char *);
int sd_event_source_set_memory_pressure_period(sd_event_source *, uint64_t threshold_usec, uint64_t window_usec);
int sd_event_trim_memory(void);
int sd_event_source_leave_ratelimit(sd_event_source *);
int sd_event_source_get_inotify_path(sd_event_source *, const char **);
int sd_event_set_exit_on_idle(sd_event *, int b);
int sd_event_get_exit_on_idle(sd_event *);
int sd_event_add_cpu_pressure(sd_event *, sd_event_source **, sd_event_handler_t, void *);
int sd_event_source_set_cpu_pressure_type(sd_event_source *, const char *);
int sd_event_source_set_cpu_pressure_period(sd_event_source *, uint64_t threshold_usec, uint64_t window_usec);
int sd_event_add_io_pressure(sd_event *, sd_event_source **, sd_event_handler_t, void *);
int sd_event_source_set_io_pressure_type(sd_event_source *, const char *);
int sd_event_source_set_io_pressure_period(sd_event_source *, uint64_t threshold_usec, uint64_t window_usec);
// clang-format on

typedef void (*AnyFunction)(void);

#define FUNCTION(f) \
  { #f, (AnyFunction)f }

static const struct {
  const char* name;
  AnyFunction function;
} kFunctions[] = {
    FUNCTION(sd_event_add_memory_pressure),
    FUNCTION(sd_event_source_set_memory_pressure_type),
    FUNCTION(sd_event_source_set_memory_pressure_period),
    FUNCTION(sd_event_trim_memory),
    FUNCTION(sd_event_source_leave_ratelimit),
    FUNCTION(sd_event_source_get_inotify_path),
    FUNCTION(sd_event_set_exit_on_idle),
    FUNCTION(sd_event_get_exit_on_idle),
    FUNCTION(sd_event_add_cpu_pressure),
    FUNCTION(sd_event_source_set_cpu_pressure_type),
    FUNCTION(sd_event_source_set_cpu_pressure_period),
    FUNCTION(sd_event_add_io_pressure),
    FUNCTION(sd_event_source_set_io_pressure_type),
    FUNCTION(sd_event_source_set_io_pressure_period),
};

int main(void) {
  int missing = 0;
  for (size_t i = 0; i < sizeof(kFunctions) / sizeof(kFunctions[0]); i++)
    if (!kFunctions[i].function) {
      fprintf(stderr, "missing: %s\n", kFunctions[i].name);
      missing++;
    }
  return missing ? 1 : 0;
}
