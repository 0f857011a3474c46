// SPDX-License-Identifier: MIT
//
// Sources for memory, CPU and IO pressure. See handles.h.
//
// The checks of the setters: null source, kind, null value, forked; then the values; then whether the program may still
// say anything at all, which the end of the loop does not change.
#include <string.h>

#include "abi/sd-event/handles.h"
#include "src/pressure_source.h"

using namespace evenkeel;
using namespace evenkeel::sd;

static int add_pressure(sd_event* e, sd_event_source** ret, Kind kind, sd_event_handler_t callback, void* userdata) {
  Loop* loop = nullptr;
  RETURN_IF_ERROR(find(e, &loop));
  RETURN_IF_ERROR(usable(*loop));
  return PressureSource::add(*loop, to_source(ret), kind, callback_cast<Source::Handler>(callback), userdata);
}

static int set_type(sd_event_source* s, Kind kind, const char* type) {
  PressureSource* source = nullptr;
  RETURN_IF_ERROR(find(s, kind, &source));
  if (!type) return -EINVAL;
  RETURN_IF_ERROR(not_forked(*source));
  const bool full = strcmp(type, "full") == 0;
  if (!full && strcmp(type, "some") != 0) return -EINVAL;
  return source->connected() ? source->set_full(full) : -ESTALE;
}

static int set_period(sd_event_source* s, Kind kind, uint64_t threshold, uint64_t window) {
  PressureSource* source = nullptr;
  RETURN_IF_ERROR(find(s, kind, &source));
  RETURN_IF_ERROR(not_forked(*source));
  if (threshold == 0 || threshold == kForever || window == 0 || window == kForever) return -ERANGE;
  if (threshold > window) return -EINVAL;
  return source->connected() ? source->set_period(threshold, window) : -ESTALE;
}

extern "C" {

EVENKEEL_PUBLIC int sd_event_add_memory_pressure(sd_event* e, sd_event_source** ret, sd_event_handler_t callback,
                                                 void* userdata) noexcept {
  return add_pressure(e, ret, Kind::kMemoryPressure, callback, userdata);
}
EVENKEEL_SINCE(LIBSYSTEMD_254, sd_event_add_memory_pressure);

EVENKEEL_PUBLIC int sd_event_add_cpu_pressure(sd_event* e, sd_event_source** ret, sd_event_handler_t callback,
                                              void* userdata) noexcept {
  return add_pressure(e, ret, Kind::kCpuPressure, callback, userdata);
}
EVENKEEL_SINCE(LIBSYSTEMD_261, sd_event_add_cpu_pressure);

EVENKEEL_PUBLIC int sd_event_add_io_pressure(sd_event* e, sd_event_source** ret, sd_event_handler_t callback,
                                             void* userdata) noexcept {
  return add_pressure(e, ret, Kind::kIoPressure, callback, userdata);
}
EVENKEEL_SINCE(LIBSYSTEMD_261, sd_event_add_io_pressure);

EVENKEEL_PUBLIC int sd_event_source_set_memory_pressure_type(sd_event_source* s, const char* type) noexcept {
  return set_type(s, Kind::kMemoryPressure, type);
}
EVENKEEL_SINCE(LIBSYSTEMD_254, sd_event_source_set_memory_pressure_type);

EVENKEEL_PUBLIC int sd_event_source_set_cpu_pressure_type(sd_event_source* s, const char* type) noexcept {
  return set_type(s, Kind::kCpuPressure, type);
}
EVENKEEL_SINCE(LIBSYSTEMD_261, sd_event_source_set_cpu_pressure_type);

EVENKEEL_PUBLIC int sd_event_source_set_io_pressure_type(sd_event_source* s, const char* type) noexcept {
  return set_type(s, Kind::kIoPressure, type);
}
EVENKEEL_SINCE(LIBSYSTEMD_261, sd_event_source_set_io_pressure_type);

EVENKEEL_PUBLIC int sd_event_source_set_memory_pressure_period(sd_event_source* s, uint64_t threshold_usec,
                                                               uint64_t window_usec) noexcept {
  return set_period(s, Kind::kMemoryPressure, threshold_usec, window_usec);
}
EVENKEEL_SINCE(LIBSYSTEMD_254, sd_event_source_set_memory_pressure_period);

EVENKEEL_PUBLIC int sd_event_source_set_cpu_pressure_period(sd_event_source* s, uint64_t threshold_usec,
                                                            uint64_t window_usec) noexcept {
  return set_period(s, Kind::kCpuPressure, threshold_usec, window_usec);
}
EVENKEEL_SINCE(LIBSYSTEMD_261, sd_event_source_set_cpu_pressure_period);

EVENKEEL_PUBLIC int sd_event_source_set_io_pressure_period(sd_event_source* s, uint64_t threshold_usec,
                                                           uint64_t window_usec) noexcept {
  return set_period(s, Kind::kIoPressure, threshold_usec, window_usec);
}
EVENKEEL_SINCE(LIBSYSTEMD_261, sd_event_source_set_io_pressure_period);

EVENKEEL_PUBLIC int sd_event_trim_memory() noexcept { return trim_memory(); }
EVENKEEL_SINCE(LIBSYSTEMD_254, sd_event_trim_memory);

}  // extern "C"
