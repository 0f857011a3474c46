// SPDX-License-Identifier: MIT
//
// What the tests of pressure sources share: the three resources, a directory of their own, and the variables.
//
// Idea: a pressure source does not care who is at the other end of its file. So a FIFO, a socket or a terminal plays
// the kernel, which makes pressure come when the test says so. The reference 252 has none of these functions.
//
// Invariants: before each test the six variables are unset and `directory()` is empty; after it, both are as before,
// and what `begin_clean` looks at is as well.
#ifndef EVENKEEL_CONFORMANCE_NEWER_PRESSURE_H
#define EVENKEEL_CONFORMANCE_NEWER_PRESSURE_H

#include "harness.h"
#include "newer.h"

// After harness.h, which says what they declare.
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

struct Resource {
  const char *name, *watch, *write, *system_file;
  int (*add)(sd_event*, sd_event_source**, sd_event_handler_t, void*);
  int (*set_type)(sd_event_source*, const char*);
  int (*set_period)(sd_event_source*, uint64_t, uint64_t);
};

static const struct Resource resources[] = {
    {"memory", "MEMORY_PRESSURE_WATCH", "MEMORY_PRESSURE_WRITE", "/proc/pressure/memory", sd_event_add_memory_pressure,
     sd_event_source_set_memory_pressure_type, sd_event_source_set_memory_pressure_period},
    {"cpu", "CPU_PRESSURE_WATCH", "CPU_PRESSURE_WRITE", "/proc/pressure/cpu", sd_event_add_cpu_pressure,
     sd_event_source_set_cpu_pressure_type, sd_event_source_set_cpu_pressure_period},
    {"io", "IO_PRESSURE_WATCH", "IO_PRESSURE_WRITE", "/proc/pressure/io", sd_event_add_io_pressure,
     sd_event_source_set_io_pressure_type, sd_event_source_set_io_pressure_period},
};

#define memory_resource (&resources[0])
#define cpu_resource (&resources[1])

static inline char* directory(void) {
  static char name[64];
  return name;
}

// The path of a file in the directory; good until the fourth call after this.
static inline const char* path_of(const char* name) {
  static char paths[4][512];
  static unsigned turn;
  char* path = paths[turn++ % 4];
  snprintf(path, sizeof(paths[0]), "%s/%s", directory(), name);
  return path;
}

static inline void unset_variables(void) {
  for (size_t i = 0; i < lengthof(resources); i++) {
    unsetenv(resources[i].watch);
    unsetenv(resources[i].write);
  }
}

static inline int begin_pressure(void** state) {
  unset_variables();
  strcpy(directory(), "/tmp/evenkeel-pressure-XXXXXX");
  if (!mkdtemp(directory())) return -1;
  return begin_clean(state);
}

static inline int end_pressure(void** state) {
  int rc = end_clean(state);
  static const char* const names[] = {"fifo", "other", "socket", "file", "directory", "block", "link"};
  for (size_t i = 0; i < lengthof(names); i++) (void)remove(path_of(names[i]));
  unset_variables();
  return rmdir(directory()) == 0 ? rc : -1;
}

#define pressure_test(f) cmocka_unit_test_setup_teardown(f, begin_pressure, end_pressure)

// ---- the files ----------------------------------------------------------------------------------------------------

// A FIFO that the source of this resource is to watch, and a descriptor that holds both ends of it open.
static inline int make_fifo(const struct Resource* resource, const char* name) {
  assert_int_equal(mkfifo(path_of(name), 0600), 0);
  setenv(resource->watch, path_of(name), 1);
  int fd = open(path_of(name), O_RDWR | O_CLOEXEC | O_NONBLOCK);
  assert_true(fd >= 0);
  return fd;
}

static inline int make_server(const struct Resource* resource, int type) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof(address.sun_path), "%s", path_of("socket"));
  int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  assert_int_equal(bind(fd, (struct sockaddr*)&address, sizeof(address)), 0);
  if (type == SOCK_STREAM) assert_int_equal(listen(fd, 8), 0);
  setenv(resource->watch, address.sun_path, 1);
  return fd;
}

static inline int accept_one(int server) {
  int fd = accept4(server, NULL, NULL, SOCK_CLOEXEC);
  assert_true(fd >= 0);
  return fd;
}

static inline void put_bytes(int fd, size_t n) {
  char bytes[256] = "some pressure";
  for (size_t chunk; n > 0; n -= chunk) {
    chunk = n < sizeof(bytes) ? n : sizeof(bytes);
    assert_int_equal(write(fd, bytes, chunk), chunk);
  }
}

// ---- what a source did --------------------------------------------------------------------------------------------

struct Calls {
  int n;
  int result;
};

static inline int on_pressure(sd_event_source* s, void* userdata) {
  struct Calls* calls = userdata;
  assert_non_null(s);
  assert_ptr_equal(sd_event_source_get_userdata(s), userdata);
  calls->n++;
  return calls->result;
}

static inline int enabled_state(sd_event_source* s) {
  int enabled = 99;
  assert_true(sd_event_source_get_enabled(s, &enabled) >= 0);
  return enabled;
}

// After the other end has gone: one dispatch, then silence.
static inline void expect_one_failure(sd_event* loop, sd_event_source* source, struct Calls* calls, int earlier_calls) {
  assert_result(sd_event_run(loop, UINT64_MAX), 1);
  assert_int_equal(calls->n, earlier_calls);
  assert_int_equal(enabled_state(source), SD_EVENT_OFF);
  for (int i = 0; i < 3; i++) assert_result(sd_event_run(loop, 0), 0);
  struct pollfd outer = {sd_event_get_fd(loop), POLLIN, 0};
  assert_result(sd_event_prepare(loop), 0);
  assert_int_equal(poll(&outer, 1, 0), 0);
  assert_result(sd_event_wait(loop, 0), 0);
}

// The same, where 262 goes on for ever.
static inline void expect_one_failure_or_a_spin(sd_event* loop, sd_event_source* source, struct Calls* calls,
                                                int earlier_calls) {
  if (!as_reference(kPressureHangUp)) return expect_one_failure(loop, source, calls, earlier_calls);
  for (int i = 0; i < 3; i++) assert_result(sd_event_run(loop, 0), 1);
  assert_int_equal(enabled_state(source), SD_EVENT_ON);
}

#endif
