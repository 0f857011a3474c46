/* SPDX-License-Identifier: MIT
 *
 * What the programs of compat-tests/ share: how they fail, and the names of the service on the bus.
 *
 * Invariants:
 *  1. A program prints what it has seen to stdout, a fact a line, in an order that does not depend on time; the test
 *     compares it with what is expected. It ends with 0 only if everything was as it should be.
 *  2. What cannot go on says what and why to stderr, and ends the process with 1.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVICE_NAME "org.example.Evenkeel"
#define SERVICE_PATH "/org/example/Evenkeel"
#define SERVICE_INTERFACE "org.example.Evenkeel1"
#define SERVICE_REFUSED "org.example.Evenkeel.Error.Refused"
/* One of each type of D-Bus, containers included. */
#define ALL_TYPES "ybnqiuxtdsoga{sv}(ii)ay"

static inline void give_up(const char* what, const char* why) {
  fprintf(stderr, "%s: %s\n", what, why);
  exit(EXIT_FAILURE);
}

/* For calls that return -errno. */
static inline int must(int r, const char* what) {
  if (r < 0) give_up(what, strerror(-r));
  return r;
}

static inline void expect(int holds, const char* what) {
  if (!holds) give_up("not so", what);
}

#define MUST(call) must((call), #call)
#define EXPECT(condition) expect((condition), #condition)
