// SPDX-License-Identifier: MIT
//
// Which library answers, and where its answer differs on purpose.
//
// Every such difference is a row of differences.tsv, of which the build makes `enum Difference`; a test names the row
// and gives both values. A row tells for which releases of libsystemd it holds. Rules:
// 1. On a release that the row names the reference's value is expected, on others and on ours ours: an entry that is no
//    longer true fails in one of the runs, and a difference that is in no row can't be written down.
// 2. `on_reference()` is for this file. A test whose steps differ, not only their results, asks `as_reference(kRow)`.
// 3. With $EVENKEEL_DIFFERENCES_MET set, each row that a run meets is appended to that file: tools/conformance-report
//    proves with it that no row is held by a test that never comes to it.
//
// cmocka.h is included before.
#ifndef EVENKEEL_CONFORMANCE_DIFFERS_H
#define EVENKEEL_CONFORMANCE_DIFFERS_H

#include <dlfcn.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "case_by_case.h"
#include "differences.h"

static inline const char* difference_name(enum Difference row) {
  static const char* const kNames[] = {
#define X(name, releases) #name,
      DIFFERENCES(X)
#undef X
  };
  return kNames[row];
}

static inline bool holds_for(enum Difference row, const char* release) {
  static const char* const kReleases[] = {
#define X(name, releases) releases,
      DIFFERENCES(X)
#undef X
  };
  return strstr(kReleases[row], release) != NULL;
}

static inline void note_difference(enum Difference row) {
  const char* path = getenv("EVENKEEL_DIFFERENCES_MET");
  const int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
  if (fd < 0) return;
  dprintf(fd, "%s\n", difference_name(row));
  close(fd);
}

static inline bool on_reference(void) { return dlsym(RTLD_DEFAULT, "evenkeel_version") == NULL; }

// The newest release of the table that is not newer than the library at hand: each exports a function that those before
// it do not have.
static inline const char* reference_release(void) {
  if (dlsym(RTLD_DEFAULT, "sd_varlink_bind_upgrade")) return "262";
  return dlsym(RTLD_DEFAULT, "sd_varlink_wait") ? "257" : "252";
}

static inline bool as_reference(enum Difference row) {
  note_difference(row);
  return on_reference() && holds_for(row, reference_release());
}

// The value to expect from the library at hand.
static inline int differs(enum Difference row, int reference_value, int our_value) {
  if (reference_value == our_value) fail_msg("differs(%s) says twice the same", difference_name(row));
  return as_reference(row) ? reference_value : our_value;
}

static inline const char* differs_text(enum Difference row, const char* reference_value, const char* our_value) {
  if (strcmp(reference_value, our_value) == 0) fail_msg("differs(%s) says twice the same", difference_name(row));
  return as_reference(row) ? reference_value : our_value;
}

// For what is undefined on the reference, or not there, so that it can only be shown on ours.
static inline void shown_on_ours(enum Difference row) {
  if (as_reference(row)) fail_msg("%s is not for the reference", difference_name(row));
}

#endif
