// SPDX-License-Identifier: MIT
//
// The calls that all kinds of sources share: which kinds they accept, and which error wins.
//
// Every call runs on a source of every kind, in four conditions: plain; the loop has finished; in a forked process;
// both. A row has eight letters - io time signal child inotify defer post exit - and is compared as a whole, so what
// wins of wrong type (D = -EDOM), finished (S = -ESTALE), forked (C = -ECHILD) and bad value (V = -EINVAL,
// F = -EBADF) is in it. Other letters: . = 0, 1 = 1, + = more, N = -ENODATA, X = -ENXIO, G = -ENOEXEC,
// W = -EOVERFLOW. Rows with a `_null` or a bad value show whether these win over the type.
// Invariants: no row here depends on time or on the kernel's version; each call runs in a process of its own.
#include "errors_kinds.h"

// Where the getters put what they got; what it should be is a matter of the getset_ programs.
static struct {
  const char* text;
  int64_t priority;
  uint64_t usec;
  unsigned burst;
  int number;
  sd_event_destroy_t destroy;
} out;

static void on_destroy(void* userdata) { (void)userdata; }

// clang-format off
#define CALLS(X) \
  X(get_event, sd_event_source_get_event(s) == kit->loop, "11111111", "11111111", "11111111", "11111111")             \
  X(get_userdata, sd_event_source_get_userdata(s) == kit, "11111111", "11111111", "11111111", "11111111")             \
  X(set_userdata, sd_event_source_set_userdata(s, NULL) == kit, "11111111", "11111111", "11111111", "11111111")       \
  X(set_description, sd_event_source_set_description(s, "x"), "11111111", "11111111", "CCCCCCCC", "CCCCCCCC")         \
  X(set_description_null, sd_event_source_set_description(s, NULL), "..1.1...", "..1.1...", "CCCCCCCC", "CCCCCCCC")   \
  X(get_description, sd_event_source_get_description(s, &out.text), "XX.X.XXX", "XX.X.XXX", "XX.X.XXX", "XX.X.XXX")   \
  X(get_description_null, sd_event_source_get_description(s, NULL), "VVVVVVVV", "VVVVVVVV", "VVVVVVVV", "VVVVVVVV")   \
  X(set_prepare, sd_event_source_set_prepare(s, on_event), ".......D", "SSSSSSSD", "CCCCCCCD", "SSSSSSSD")            \
  X(set_prepare_null, sd_event_source_set_prepare(s, NULL), ".......D", "SSSSSSSD", "CCCCCCCD", "SSSSSSSD")           \
  X(get_pending, sd_event_source_get_pending(s), ".....1.D", "SSSSSSSD", "CCCCCCCD", "SSSSSSSD")                      \
  X(get_priority, sd_event_source_get_priority(s, &out.priority), "........", "........", "CCCCCCCC", "CCCCCCCC")     \
  X(set_priority_same, sd_event_source_set_priority(s, 0), "........", "SSSSSSSS", "CCCCCCCC", "SSSSSSSS")            \
  X(set_priority_5, sd_event_source_set_priority(s, 5), "........", "SSSSSSSS", "CCCCCCCC", "SSSSSSSS")               \
  X(get_enabled, sd_event_source_get_enabled(s, &out.number), "11111111", "1111111.", "CCCCCCCC", "CCCCCCCC")         \
  X(get_enabled_null, sd_event_source_get_enabled(s, NULL), "11111111", "1111111.", "CCCCCCCC", "CCCCCCCC")           \
  X(set_enabled_on, sd_event_source_set_enabled(s, 1), "........", "SSSSSSSS", "CCCCCCCC", "CCCCCCCC")                \
  X(set_enabled_off, sd_event_source_set_enabled(s, 0), "........", "........", "CCCCCCCC", "CCCCCCCC")               \
  X(set_enabled_oneshot, sd_event_source_set_enabled(s, -1), "........", "SSSSSSSS", "CCCCCCCC", "CCCCCCCC")          \
  X(set_enabled_2, sd_event_source_set_enabled(s, 2), "VVVVVVVV", "VVVVVVVV", "VVVVVVVV", "VVVVVVVV")                 \
  X(set_enabled_m2, sd_event_source_set_enabled(s, -2), "VVVVVVVV", "VVVVVVVV", "VVVVVVVV", "VVVVVVVV")               \
  X(set_destroy_callback, sd_event_source_set_destroy_callback(s, on_destroy),                                        \
    "........", "........", "........", "........")                                                                   \
  X(set_destroy_callback_null, sd_event_source_set_destroy_callback(s, NULL),                                         \
    "........", "........", "........", "........")                                                                   \
  X(get_destroy_callback, sd_event_source_get_destroy_callback(s, &out.destroy),                                      \
    "........", "........", "........", "........")                                                                   \
  X(get_destroy_callback_null, sd_event_source_get_destroy_callback(s, NULL),                                         \
    "........", "........", "........", "........")                                                                   \
  X(get_floating, sd_event_source_get_floating(s), "........", "........", "........", "........")                    \
  X(set_floating0, sd_event_source_set_floating(s, 0), "........", "........", "........", "........")                \
  X(set_floating1, (sd_event_source_ref(s), sd_event_source_set_floating(s, 1)),                                      \
    "11111111", "11111111", "11111111", "11111111")                                                                   \
  X(get_exit_on_failure, sd_event_source_get_exit_on_failure(s), ".......D", ".......D", ".......D", ".......D")      \
  X(set_exit_on_failure1, sd_event_source_set_exit_on_failure(s, 1),                                                  \
    "1111111D", "1111111D", "1111111D", "1111111D")                                                                   \
  X(set_exit_on_failure0, sd_event_source_set_exit_on_failure(s, 0),                                                  \
    ".......D", ".......D", ".......D", ".......D")                                                                   \
  X(set_ratelimit, sd_event_source_set_ratelimit(s, 1000, 5), "...D..DD", "...D..DD", "...D..DD", "...D..DD")         \
  X(set_ratelimit_0, sd_event_source_set_ratelimit(s, 0, 5), "...D..DD", "...D..DD", "...D..DD", "...D..DD")          \
  X(set_ratelimit_max, sd_event_source_set_ratelimit(s, UINT64_MAX, UINT32_MAX),                                      \
    "...D..DD", "...D..DD", "...D..DD", "...D..DD")                                                                   \
  X(get_ratelimit, sd_event_source_get_ratelimit(s, &out.usec, &out.burst),                                           \
    "GGGDGGDD", "GGGDGGDD", "GGGDGGDD", "GGGDGGDD")                                                                   \
  X(get_ratelimit_null, sd_event_source_get_ratelimit(s, NULL, NULL),                                                 \
    "GGGDGGDD", "GGGDGGDD", "GGGDGGDD", "GGGDGGDD")                                                                   \
  X(is_ratelimited, sd_event_source_is_ratelimited(s), "........", "........", "........", "........")                \
  X(set_ratelimit_expire_callback, sd_event_source_set_ratelimit_expire_callback(s, on_event),                        \
    "........", "........", "........", "........")                                                                   \
  X(set_ratelimit_expire_callback_null, sd_event_source_set_ratelimit_expire_callback(s, NULL),                       \
    "........", "........", "........", "........")                                                                   \
  X(ref, (sd_event_source_ref(s) == s) && !sd_event_source_unref(s), "11111111", "11111111", "11111111", "11111111")
// clang-format on

CALLS(DEFINE_SOURCE_CALL)
CALLS(DEFINE_SOURCE_ROW)

static int get_priority_into_nowhere(sd_event_source* s, struct Kit* kit) {
  return (void)kit, sd_event_source_get_priority(s, NULL);
}

static void get_priority_with_null_out_pointer_is_EINVAL(void** state) {
  (void)state;
  char row[kKinds + 1];
  run_row(get_priority_into_nowhere, kPlain, row);
  assert_string_equal(row, differs_text(kNullResult, "!", "VVVVVVVV"));
  run_row(get_priority_into_nowhere, kFinished, row);
  assert_string_equal(row, differs_text(kNullResult, "!", "VVVVVVVV"));
}

int main(void) {
  const struct CMUnitTest tests[] = {CALLS(SOURCE_ROW_TEST) clean_test(get_priority_with_null_out_pointer_is_EINVAL)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
