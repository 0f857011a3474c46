// SPDX-License-Identifier: MIT
//
// A library with a fault, for the test of the fuzzer: preloaded in front of libsystemd it is taken for ours.
//
// Idea: a fuzzer that never finds anything may be unable to. Everything goes on to the library behind this one, but one
// call in one case: a one-shot source that is ON already stays ON when it is set to ONESHOT.
#include <dlfcn.h>
#include <systemd/sd-event.h>

int sd_event_new(sd_event** ret) {
  int (*next)(sd_event**);
  *(void**)&next = dlsym(RTLD_NEXT, "sd_event_new");
  return next(ret);
}

int sd_event_source_set_enabled(sd_event_source* source, int enabled) {
  int (*next)(sd_event_source*, int);
  *(void**)&next = dlsym(RTLD_NEXT, "sd_event_source_set_enabled");
  int now = SD_EVENT_OFF;
  if (enabled == SD_EVENT_ONESHOT && sd_event_source_get_enabled(source, &now) > 0) return 0;
  return next(source, enabled);
}
