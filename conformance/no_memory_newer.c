// SPDX-License-Identifier: MIT
//
// What is newer than 252, where memory is short at any allocation: -ENOMEM, and nothing is changed. Not for the
// reference, which has none of these functions.
//
// Sources of memory, CPU and IO pressure are among the kinds: the calls that all kinds share are made on these as well.
// See no_memory_rows.h.
#define KIT_HAS_PRESSURE
#include <systemd/sd-daemon.h>

#include "no_memory_rows.h"

// What they are called on has been included before.
#include "errors_table_common.h"
#include "newer.h"

#define PRESSURE_CALLS(X, name)                                               \
  X(set_##name##_type, sd_event_source_set_##name##_pressure_type(s, "full")) \
  X(set_##name##_period, sd_event_source_set_##name##_pressure_period(s, 5, 9))

#define NEWER_CALLS(X)                                                                             \
  PRESSURE_CALLS(X, memory)                                                                        \
  PRESSURE_CALLS(X, cpu)                                                                           \
  PRESSURE_CALLS(X, io)                                                                            \
  X(get_inotify_path, sd_event_source_get_inotify_path(s, &out.text))                              \
  X(leave_ratelimit, (sd_event_source_set_ratelimit(s, 5, 5), sd_event_source_leave_ratelimit(s))) \
  X(set_exit_on_idle, sd_event_set_exit_on_idle(kit->loop, 0))                                     \
  X(get_exit_on_idle, sd_event_get_exit_on_idle(kit->loop))                                        \
  X(trim_memory, sd_event_trim_memory())

COMMON_CALLS(DEFINE_SOURCE_CALL)
NEWER_CALLS(DEFINE_SOURCE_CALL)

static const struct MemoryRow common_rows[] = {COMMON_CALLS(MEMORY_ROW)};
static const struct MemoryRow newer_rows[] = {NEWER_CALLS(MEMORY_ROW)};

static void calls_that_all_kinds_share_are_enomem_and_change_nothing_of_pressure_sources(void** state) {
  (void)state;
  assert_true(rows_are_enomem_without_memory(common_rows, lengthof(common_rows)) > 20);
}

static void calls_newer_than_252_are_enomem_and_change_nothing(void** state) {
  (void)state;
  (void)rows_are_enomem_without_memory(newer_rows, lengthof(newer_rows));
}

// ---- adding -------------------------------------------------------------------------------------------------------

struct Resource {
  const char *watch, *write;
  int (*add)(sd_event*, sd_event_source**, sd_event_handler_t, void*);
};

static const struct Resource kResources[] = {
    {"MEMORY_PRESSURE_WATCH", "MEMORY_PRESSURE_WRITE", sd_event_add_memory_pressure},
    {"CPU_PRESSURE_WATCH", "CPU_PRESSURE_WRITE", sd_event_add_cpu_pressure},
    {"IO_PRESSURE_WATCH", "IO_PRESSURE_WRITE", sd_event_add_io_pressure},
};

static int add_at_each_allocation(void* context) {
  const struct Resource* resource = context;
  char path[32];
  int ends[2];
  assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[0]);
  setenv(resource->watch, path, 1);
  setenv(resource->write, "aGVsbG8=", 1);
  for (int nth = 0; nth < 100; nth++) {
    const long blocks = count_blocks();
    const int n_fds = count_fds();
    sd_event* loop = make_loop();
    sd_event_source* source = NULL;
    fail_allocation(nth);
    const int r = resource->add(loop, &source, on_event, NULL);
    const bool failed = failed_allocation();
    if (failed && (r != -ENOMEM || source)) return kWrongError;
    if (failed && resource->add(loop, &source, on_event, NULL) < 0) return kOtherResult;
    sd_event_source_unref(source);
    sd_event_unref(loop);
    if (count_fds() != n_fds) return kDescriptorsLeft;
    if (count_blocks() != blocks) return kBlocksLeft;
    if (!failed) return nth > 1 ? 0 : kNeverEnds;  // A source, and what is to be written.
  }
  return kNeverEnds;
}

static void adding_a_pressure_source_is_enomem_and_leaves_nothing(void** state) {
  (void)state;
  for (size_t i = 0; i < lengthof(kResources); i++) {
    struct Resource resource = kResources[i];
    assert_int_equal(in_child(add_at_each_allocation, &resource), 0);
  }
}

static int message_without_memory(void* context) {
  (void)context;
  const int fd = 0;
  setenv("NOTIFY_SOCKET", "@evenkeel-nobody", 1);
  fail_allocation(0);
  const int r = sd_pid_notifyf_with_fds(0, 0, &fd, 1, "STATUS=%d", 1);
  if (!failed_allocation() || r != -ENOMEM) return kWrongError;
  const unsigned long before = count_allocations();
  if (sd_pid_notify_barrier(0, 0, 0) != -ECONNREFUSED) return kOtherResult;
  return count_allocations() == before ? 0 : kBlocksLeft;
}

static void a_message_with_descriptors_that_can_not_be_formatted_is_enomem(void** state) {
  (void)state;
  assert_int_equal(in_child(message_without_memory, NULL), 0);
}

int main(void) {
  exit_77_on_older();
  exit_77_with_another_allocator();
  const struct CMUnitTest tests[] = {
      clean_test(calls_that_all_kinds_share_are_enomem_and_change_nothing_of_pressure_sources),
      clean_test(calls_newer_than_252_are_enomem_and_change_nothing),
      clean_test(adding_a_pressure_source_is_enomem_and_leaves_nothing),
      clean_test(a_message_with_descriptors_that_can_not_be_formatted_is_enomem),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
