// SPDX-License-Identifier: MIT
//
// The table of the calls that all kinds of sources share; errors_rows.h says how to read it.
//
// Run for the kinds of 252 by errors_source_common.c, for pressure sources too by errors_newer_common.c.
// Rows with a `_null` or a bad value show whether these win over the kind, finished and forked.
// Invariant: no row here depends on time or on the kernel's version.
#ifndef EVENKEEL_CONFORMANCE_ERRORS_TABLE_COMMON_H
#define EVENKEEL_CONFORMANCE_ERRORS_TABLE_COMMON_H

static void on_destroy(void* userdata) { (void)userdata; }

// clang-format off
#define COMMON_CALLS(X)                                                                                               \
  X(get_event, sd_event_source_get_event(s) == kit->loop,                                                             \
    "11111111", "11111111", "........", "........", FORKED_ON_REFERENCE = "11111111",                                 \
    GONE_ON_NEWER = "!!!!!!!!")                                                                                       \
  X(get_userdata, sd_event_source_get_userdata(s) == kit,                                                             \
    "11111111", "11111111", "........", "........", FORKED_ON_REFERENCE = "11111111",                                 \
    GONE_ON_NEWER = "!!!!!!!!")                                                                                       \
  X(set_userdata, sd_event_source_set_userdata(s, NULL) == kit,                                                       \
    "11111111", "11111111", "........", "........", FORKED_ON_REFERENCE = "11111111",                                 \
    GONE_ON_NEWER = "!!!!!!!!")                                                                                       \
  X(set_description, sd_event_source_set_description(s, "x"),                                                         \
    "11111111", "11111111", "CCCCCCCC", "CCCCCCCC", GONE_ON_REFERENCE = "!!!!!!!!")                                   \
  X(set_description_null, sd_event_source_set_description(s, NULL),                                                   \
    "..1.1...", "..1.1...", "CCCCCCCC", "CCCCCCCC", GONE_ON_REFERENCE = "!!!!!!!!")                                   \
  X(get_description, sd_event_source_get_description(s, &out.text), "XX.X.XXX", "XX.X.XXX", "XX.X.XXX", "XX.X.XXX")   \
  X(get_description_null, sd_event_source_get_description(s, NULL), "VVVVVVVV", "VVVVVVVV", "VVVVVVVV", "VVVVVVVV")   \
  X(set_prepare, sd_event_source_set_prepare(s, on_event),                                                            \
    ".......D", "SSSSSSSD", "CCCCCCCD", "SSSSSSSD", GONE = "SSSSSSSD", GONE_ON_REFERENCE = "!!!!!!!D")                \
  X(set_prepare_null, sd_event_source_set_prepare(s, NULL),                                                           \
    ".......D", "SSSSSSSD", "CCCCCCCD", "SSSSSSSD", GONE = "SSSSSSSD", GONE_ON_REFERENCE = "!!!!!!!D")                \
  X(get_pending, sd_event_source_get_pending(s),                                                                      \
    ".....1.D", "SSSSSSSD", "CCCCCCCD", "SSSSSSSD", IN(RUNNING) = ".....11D", IN(EXITING) = ".....11D",               \
    GONE = "SSSSSSSD", GONE_ON_REFERENCE = "!!!!!!!D")                                                                \
  X(get_priority, sd_event_source_get_priority(s, &out.priority),                                                     \
    "........", "........", "CCCCCCCC", "CCCCCCCC", GONE_ON_REFERENCE = "!!!!!!!!")                                   \
  X(set_priority_same, sd_event_source_set_priority(s, 0),                                                            \
    "........", "SSSSSSSS", "CCCCCCCC", "SSSSSSSS", GONE = "SSSSSSSS", GONE_ON_REFERENCE = "!!!!!!!!")                \
  X(set_priority_5, sd_event_source_set_priority(s, 5),                                                               \
    "........", "SSSSSSSS", "CCCCCCCC", "SSSSSSSS", IN(ARMED) = "....O...", IN(PENDING) = "....O...",                 \
    IN(RUNNING) = "....O...", GONE = "SSSSSSSS", GONE_ON_REFERENCE = "!!!!!!!!")                                      \
  X(get_enabled, sd_event_source_get_enabled(s, &out.number),                                                         \
    "11111111", "1111111.", "CCCCCCCC", "CCCCCCCC", IN(ARMED) = "11111.11", IN(RUNNING) = "11111.11",                 \
    IN(EXITING) = "1111111.", GONE_ON_REFERENCE = "!!!!!!!!")                                                         \
  X(get_enabled_null, sd_event_source_get_enabled(s, NULL),                                                           \
    "11111111", "1111111.", "CCCCCCCC", "CCCCCCCC", IN(ARMED) = "11111.11", IN(RUNNING) = "11111.11",                 \
    IN(EXITING) = "1111111.", GONE_ON_REFERENCE = "!!!!!!!!")                                                         \
  X(set_enabled_on, sd_event_source_set_enabled(s, 1),                                                                \
    "........", "SSSSSSSS", "CCCCCCCC", "CCCCCCCC", GONE = "SSSSSSSS", GONE_ON_REFERENCE = "!!!!!!!!")                \
  X(set_enabled_off, sd_event_source_set_enabled(s, 0),                                                               \
    "........", "........", "CCCCCCCC", "CCCCCCCC", GONE_ON_REFERENCE = "!!!!!!!!")                                   \
  X(set_enabled_oneshot, sd_event_source_set_enabled(s, -1),                                                          \
    "........", "SSSSSSSS", "CCCCCCCC", "CCCCCCCC", GONE = "SSSSSSSS", GONE_ON_REFERENCE = "!!!!!!!!")                \
  X(set_enabled_2, sd_event_source_set_enabled(s, 2), "VVVVVVVV", "VVVVVVVV", "VVVVVVVV", "VVVVVVVV")                 \
  X(set_enabled_m2, sd_event_source_set_enabled(s, -2), "VVVVVVVV", "VVVVVVVV", "VVVVVVVV", "VVVVVVVV")               \
  X(set_destroy_callback, sd_event_source_set_destroy_callback(s, on_destroy),                                        \
    "........", "........", "CCCCCCCC", "CCCCCCCC", FORKED_ON_REFERENCE = "........",                                 \
    GONE_ON_NEWER = "VVVVVVVV")                                                                                       \
  X(set_destroy_callback_null, sd_event_source_set_destroy_callback(s, NULL),                                         \
    "........", "........", "CCCCCCCC", "CCCCCCCC", FORKED_ON_REFERENCE = "........",                                 \
    GONE_ON_NEWER = "VVVVVVVV")                                                                                       \
  X(get_destroy_callback, sd_event_source_get_destroy_callback(s, &out.destroy),                                      \
    "........", "........", "CCCCCCCC", "CCCCCCCC", FORKED_ON_REFERENCE = "........")                                 \
  X(get_destroy_callback_null, sd_event_source_get_destroy_callback(s, NULL),                                         \
    "........", "........", "CCCCCCCC", "CCCCCCCC", FORKED_ON_REFERENCE = "........")                                 \
  X(get_floating, sd_event_source_get_floating(s),                                                                    \
    "........", "........", "CCCCCCCC", "CCCCCCCC", FORKED_ON_REFERENCE = "........", GONE = "11111111")              \
  X(set_floating0, sd_event_source_set_floating(s, 0),                                                                \
    "........", "........", "CCCCCCCC", "CCCCCCCC", FORKED_ON_REFERENCE = "........", GONE = "SSSSSSSS")              \
  X(set_floating1, (sd_event_source_ref(s), sd_event_source_set_floating(s, 1)),                                      \
    "11111111", "11111111", "CCCCCCCC", "CCCCCCCC", FORKED_ON_REFERENCE = "11111111", GONE = "........")              \
  X(get_exit_on_failure, sd_event_source_get_exit_on_failure(s),                                                      \
    ".......D", ".......D", "CCCCCCCD", "CCCCCCCD", FORKED_ON_REFERENCE = ".......D")                                 \
  X(set_exit_on_failure1, sd_event_source_set_exit_on_failure(s, 1),                                                  \
    "1111111D", "1111111D", "CCCCCCCD", "CCCCCCCD", FORKED_ON_REFERENCE = "1111111D")                                 \
  X(set_exit_on_failure0, sd_event_source_set_exit_on_failure(s, 0),                                                  \
    ".......D", ".......D", "CCCCCCCD", "CCCCCCCD", FORKED_ON_REFERENCE = ".......D")                                 \
  X(set_ratelimit, sd_event_source_set_ratelimit(s, 1000, 5),                                                         \
    "...D..DD", "...D..DD", "CCCCCCCC", "CCCCCCCC", FORKED_ON_REFERENCE = "...D..DD")                                 \
  X(set_ratelimit_0, sd_event_source_set_ratelimit(s, 0, 5),                                                          \
    "...D..DD", "...D..DD", "CCCCCCCC", "CCCCCCCC", FORKED_ON_REFERENCE = "...D..DD")                                 \
  X(set_ratelimit_max, sd_event_source_set_ratelimit(s, UINT64_MAX, UINT32_MAX),                                      \
    "...D..DD", "...D..DD", "CCCCCCCC", "CCCCCCCC", FORKED_ON_REFERENCE = "...D..DD")                                 \
  X(get_ratelimit, sd_event_source_get_ratelimit(s, &out.usec, &out.burst),                                           \
    "GGGDGGDD", "GGGDGGDD", "CCCCCCCC", "CCCCCCCC", FORKED_ON_REFERENCE = "GGGDGGDD")                                 \
  X(get_ratelimit_null, sd_event_source_get_ratelimit(s, NULL, NULL),                                                 \
    "GGGDGGDD", "GGGDGGDD", "CCCCCCCC", "CCCCCCCC", FORKED_ON_REFERENCE = "GGGDGGDD")                                 \
  X(is_ratelimited, sd_event_source_is_ratelimited(s),                                                                \
    "........", "........", "CCCCCCCC", "CCCCCCCC", FORKED_ON_REFERENCE = "........")                                 \
  X(set_ratelimit_expire_callback, sd_event_source_set_ratelimit_expire_callback(s, on_event),                        \
    "........", "........", "CCCCCCCC", "CCCCCCCC", FORKED_ON_REFERENCE = "........")                                 \
  X(set_ratelimit_expire_callback_null, sd_event_source_set_ratelimit_expire_callback(s, NULL),                       \
    "........", "........", "CCCCCCCC", "CCCCCCCC", FORKED_ON_REFERENCE = "........")                                 \
  X(ref, (sd_event_source_ref(s) == s) && !sd_event_source_unref(s), "11111111", "11111111", "11111111", "11111111")  \
  X(unref, sd_event_source_unref(sd_event_source_ref(s)) == NULL, "11111111", "11111111", "11111111", "11111111")     \
  X(disable_unref, sd_event_source_disable_unref(sd_event_source_ref(s)) == NULL,                                     \
    "11111111", "11111111", "11111111", "11111111", GONE_ON_REFERENCE = "!!!!!!!!", GONE_ON_NEWER = "!!!!!!!!")
// clang-format on

#endif
