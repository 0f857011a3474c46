// SPDX-License-Identifier: MIT
//
// A directory for each test of inotify: empty at its begin, gone at its end.
#ifndef EVENKEEL_CONFORMANCE_INOTIFY_DIR_H
#define EVENKEEL_CONFORMANCE_INOTIFY_DIR_H

#include "loop_recorder.h"

static char* dir;

static int begin_dir(void** state) {
  dir = make_dir();
  return begin_recorded(state);
}
static int end_dir(void** state) {
  remove_dir(dir);
  return end_clean(state);
}

#define dir_test(f) cmocka_unit_test_setup_teardown(f, begin_dir, end_dir)

#endif
