// SPDX-License-Identifier: MIT
//
// For the programs that call what is newer than the oldest reference: where it is missing they are skipped, and say so.
//
// The functions are weak in them: they have the addresses in tables, and could not be started else.
#ifndef EVENKEEL_CONFORMANCE_NEWER_H
#define EVENKEEL_CONFORMANCE_NEWER_H

#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-event.h>

#pragma weak sd_event_add_memory_pressure
#pragma weak sd_event_source_set_memory_pressure_type
#pragma weak sd_event_source_set_memory_pressure_period
#pragma weak sd_event_trim_memory
#pragma weak sd_event_source_leave_ratelimit
#pragma weak sd_event_source_get_inotify_path
#pragma weak sd_event_set_exit_on_idle
#pragma weak sd_event_get_exit_on_idle
#pragma weak sd_event_add_cpu_pressure
#pragma weak sd_event_source_set_cpu_pressure_type
#pragma weak sd_event_source_set_cpu_pressure_period
#pragma weak sd_event_add_io_pressure
#pragma weak sd_event_source_set_io_pressure_type
#pragma weak sd_event_source_set_io_pressure_period

// For the first line of a `main`.
static inline void exit_77_on_older(void) {
  if (sd_event_add_cpu_pressure) return;
  printf("skipped: this libsystemd has not all of the functions\n");
  exit(77);
}

#endif
