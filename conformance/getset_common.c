// SPDX-License-Identifier: MIT
//
// The properties that every source has: what they are at first, and that a getter returns what its setter was given.
//
// Each test goes over all kinds (errors_kinds.h) unless it says otherwise; what a call refuses is in errors_source_*.c.
// A setter returns 0 or, where it says whether something changed (description, floating, exit_on_failure), 1.
// References: the kit holds one on each source and one on the loop.
#include "errors_kinds.h"

static struct Kit kit;

static int open_kit(void** state) {
  int r = begin_clean(state);
  kit_open(&kit);
  return r;
}

static int close_kit(void** state) {
  if (getpid() == baseline()->owner) kit_close(&kit);
  return end_clean(state);
}

#define kit_test(f) cmocka_unit_test_setup_teardown(f, open_kit, close_kit)
#define for_each_source(kind, s)            \
  for (int kind = 0; kind < kKinds; kind++) \
    for (sd_event_source* s = kit.source[kind]; s; s = NULL)

static int enabled_of(sd_event_source* s) {
  int enabled = 77, r = sd_event_source_get_enabled(s, &enabled);
  assert_int_equal(r, enabled != SD_EVENT_OFF);
  return enabled;
}

static void sources_are_on_or_oneshot_at_first(void** state) {
  (void)state;
  const int expected[kKinds] = {SD_EVENT_ON, SD_EVENT_ONESHOT, SD_EVENT_ON, SD_EVENT_ONESHOT,
                                SD_EVENT_ON, SD_EVENT_ONESHOT, SD_EVENT_ON, SD_EVENT_ONESHOT};
  for_each_source(kind, s) assert_int_equal(enabled_of(s), expected[kind]);
}

static void set_enabled_is_read_back_after_every_transition(void** state) {
  (void)state;
  const int values[] = {SD_EVENT_OFF, SD_EVENT_ON, SD_EVENT_ONESHOT};
  for_each_source(kind, s) for (size_t from = 0; from < lengthof(values); from++) for (size_t to = 0;
                                                                                       to < lengthof(values); to++) {
    assert_result(sd_event_source_set_enabled(s, values[from]), 0);
    assert_result(sd_event_source_set_enabled(s, values[to]), 0);
    assert_int_equal(enabled_of(s), values[to]);
    assert_int_equal(sd_event_source_get_enabled(s, NULL), values[to] != SD_EVENT_OFF);
  }
}

static void a_bad_enabled_value_changes_nothing(void** state) {
  (void)state;
  const int bad[] = {2, -2, 77, INT32_MIN, INT32_MAX};
  for_each_source(kind, s) for (size_t i = 0; i < lengthof(bad); i++) {
    int before = enabled_of(s);
    assert_result(sd_event_source_set_enabled(s, bad[i]), -EINVAL);
    assert_int_equal(enabled_of(s), before);
  }
}

static void priority_is_0_at_first_and_any_number_is_read_back(void** state) {
  (void)state;
  const int64_t values[] = {SD_EVENT_PRIORITY_IMPORTANT, SD_EVENT_PRIORITY_IDLE, INT64_MIN, INT64_MAX, 0, 1, 1, -1};
  for_each_source(kind, s) {
    int64_t got = 77;
    assert_result(sd_event_source_get_priority(s, &got), 0);
    assert_true(got == SD_EVENT_PRIORITY_NORMAL);
    for (size_t i = 0; i < lengthof(values); i++) {
      assert_result(sd_event_source_set_priority(s, values[i]), 0);
      assert_result(sd_event_source_get_priority(s, &got), 0);
      assert_true(got == values[i]);
    }
  }
}

static void userdata_is_what_add_was_given_and_set_returns_the_old_one(void** state) {
  (void)state;
  int mine;
  for_each_source(kind, s) {
    assert_ptr_equal(sd_event_source_get_userdata(s), &kit);
    assert_ptr_equal(sd_event_source_set_userdata(s, &mine), &kit);
    assert_ptr_equal(sd_event_source_set_userdata(s, NULL), &mine);
    assert_null(sd_event_source_get_userdata(s));
    assert_null(sd_event_source_set_userdata(s, &kit));
  }
}

static void get_event_returns_the_loop_without_a_reference(void** state) {
  (void)state;
  for_each_source(kind, s) assert_ptr_equal(sd_event_source_get_event(s), kit.loop);
}

static void signal_and_inotify_sources_describe_themselves_and_others_are_ENXIO(void** state) {
  (void)state;
  for_each_source(kind, s) {
    const char* text = "untouched";
    int r = sd_event_source_get_description(s, &text);
    assert_result(r, kind == kSignal || kind == kInotify ? 0 : -ENXIO);
    assert_string_equal(text, kind == kSignal ? "USR1" : kind == kInotify ? "/tmp" : "untouched");
  }
}

static void descriptions_are_copied_and_set_again_returns_0(void** state) {
  (void)state;
  for_each_source(kind, s) {
    char mine[] = "first";
    const char* text = NULL;
    assert_result(sd_event_source_set_description(s, mine), 1);
    memset(mine, 'x', sizeof(mine) - 1);
    assert_result(sd_event_source_get_description(s, &text), 0);
    assert_string_equal(text, "first");
    assert_result(sd_event_source_set_description(s, "first"), 0);
    assert_result(sd_event_source_set_description(s, "second"), 1);
    assert_result(sd_event_source_get_description(s, &text), 0);
    assert_string_equal(text, "second");
    assert_result(sd_event_source_set_description(s, ""), 1);
    assert_result(sd_event_source_get_description(s, &text), 0);
    assert_string_equal(text, "");
    assert_result(sd_event_source_set_description(s, NULL), 1);
    assert_result(sd_event_source_set_description(s, NULL), 0);
    assert_result(sd_event_source_get_description(s, &text), -ENXIO);
  }
}

static void sources_are_not_floating_when_a_pointer_was_asked_for(void** state) {
  (void)state;
  for_each_source(kind, s) {
    assert_result(sd_event_source_get_floating(s), 0);
    assert_result(sd_event_source_set_floating(s, 0), 0);
    assert_ptr_equal(sd_event_source_ref(s), s);
    assert_result(sd_event_source_set_floating(s, 1), 1);
    assert_result(sd_event_source_get_floating(s), 1);
    assert_result(sd_event_source_set_floating(s, 77), 0);
    assert_result(sd_event_source_set_floating(s, -1), 0);
    assert_result(sd_event_source_set_floating(s, 0), 1);
    assert_result(sd_event_source_get_floating(s), 0);
    assert_null(sd_event_source_unref(s));
  }
}

static void exit_on_failure_is_off_at_first_and_set_says_whether_it_changed(void** state) {
  (void)state;
  for_each_source(kind, s) {
    if (kind == kExit) continue;
    assert_result(sd_event_source_get_exit_on_failure(s), 0);
    assert_result(sd_event_source_set_exit_on_failure(s, 0), 0);
    assert_result(sd_event_source_set_exit_on_failure(s, 77), 1);
    assert_result(sd_event_source_get_exit_on_failure(s), 1);
    assert_result(sd_event_source_set_exit_on_failure(s, -1), 0);
    assert_result(sd_event_source_set_exit_on_failure(s, 0), 1);
    assert_result(sd_event_source_get_exit_on_failure(s), 0);
  }
}

static void on_destroy(void* userdata) { (void)userdata; }

static void destroy_callbacks_are_read_back_and_get_says_whether_there_is_one(void** state) {
  (void)state;
  for_each_source(kind, s) {
    sd_event_destroy_t got = on_destroy;
    assert_result(sd_event_source_get_destroy_callback(s, &got), 0);
    assert_true(got == NULL);
    assert_result(sd_event_source_set_destroy_callback(s, on_destroy), 0);
    assert_result(sd_event_source_get_destroy_callback(s, &got), 1);
    assert_true(got == on_destroy);
    assert_result(sd_event_source_get_destroy_callback(s, NULL), 1);
    assert_result(sd_event_source_set_destroy_callback(s, NULL), 0);
    assert_result(sd_event_source_get_destroy_callback(s, &got), 0);
    assert_true(got == NULL);
  }
}

static void prepare_callbacks_may_be_set_again_and_taken_away(void** state) {
  (void)state;
  for_each_source(kind, s) {
    if (kind == kExit) continue;
    assert_result(sd_event_source_set_prepare(s, on_event), 0);
    assert_result(sd_event_source_set_prepare(s, on_event), 0);
    assert_result(sd_event_source_set_prepare(s, NULL), 0);
    assert_result(sd_event_source_set_prepare(s, NULL), 0);
  }
}

static void only_defer_sources_are_pending_at_first_and_they_always_are(void** state) {
  (void)state;
  for_each_source(kind, s) {
    if (kind == kExit) continue;
    assert_result(sd_event_source_get_pending(s), kind == kDefer);
    assert_result(sd_event_source_set_enabled(s, SD_EVENT_OFF), 0);
    assert_result(sd_event_source_get_pending(s), kind == kDefer);
    assert_result(sd_event_source_set_enabled(s, SD_EVENT_ON), 0);
    assert_result(sd_event_source_get_pending(s), kind == kDefer);
  }
}

static bool can_be_ratelimited(int kind) {
  return kind == kIo || kind == kTime || kind == kSignal || kind == kInotify || kind == kDefer;
}

static void ratelimits_are_read_back_and_absent_at_first(void** state) {
  (void)state;
  for_each_source(kind, s) {
    uint64_t interval = 77;
    unsigned burst = 78;
    if (!can_be_ratelimited(kind)) continue;
    assert_result(sd_event_source_is_ratelimited(s), 0);
    assert_result(sd_event_source_get_ratelimit(s, &interval, &burst), -ENOEXEC);
    assert_true(interval == 77 && burst == 78);
    assert_result(sd_event_source_set_ratelimit(s, 5000000, 3), 0);
    assert_result(sd_event_source_get_ratelimit(s, &interval, &burst), 0);
    assert_true(interval == 5000000 && burst == 3);
    assert_result(sd_event_source_get_ratelimit(s, NULL, NULL), 0);
    assert_result(sd_event_source_get_ratelimit(s, &interval, NULL), 0);
    assert_result(sd_event_source_get_ratelimit(s, NULL, &burst), 0);
    assert_result(sd_event_source_set_ratelimit(s, UINT64_MAX, UINT32_MAX), 0);
    assert_result(sd_event_source_get_ratelimit(s, &interval, &burst), 0);
    assert_true(interval == UINT64_MAX && burst == UINT32_MAX);
    assert_result(sd_event_source_is_ratelimited(s), 0);
  }
}

static void an_interval_or_burst_of_0_is_no_ratelimit(void** state) {
  (void)state;
  for_each_source(kind, s) {
    if (!can_be_ratelimited(kind)) continue;
    assert_result(sd_event_source_set_ratelimit(s, 5, 3), 0);
    assert_result(sd_event_source_set_ratelimit(s, 0, 3), 0);
    assert_result(sd_event_source_get_ratelimit(s, NULL, NULL), -ENOEXEC);
    assert_result(sd_event_source_set_ratelimit(s, 5, 3), 0);
    assert_result(sd_event_source_set_ratelimit(s, 5, 0), 0);
    assert_result(sd_event_source_get_ratelimit(s, NULL, NULL), -ENOEXEC);
    assert_result(sd_event_source_set_ratelimit(s, 0, 0), 0);
  }
}

static void setting_what_is_set_already_changes_nothing_else(void** state) {
  (void)state;
  for_each_source(kind, s) {
    int before = enabled_of(s), fds = count_fds();
    assert_result(sd_event_source_set_enabled(s, before), 0);
    assert_result(sd_event_source_set_priority(s, 0), 0);
    assert_result(sd_event_source_set_floating(s, 0), 0);
    assert_int_equal(enabled_of(s), before);
    assert_int_equal(count_fds(), fds);
    if (kind != kExit) assert_result(sd_event_source_get_pending(s), kind == kDefer);
  }
}

static void turning_off_on_a_finished_loop_is_0_and_changes_nothing(void** state) {
  (void)state;
  finish_loop(kit.loop);
  for_each_source(kind, s) {
    int before = enabled_of(s);
    assert_int_equal(before == SD_EVENT_OFF, kind == kExit);
    assert_result(sd_event_source_set_enabled(s, SD_EVENT_OFF), 0);
    assert_int_equal(enabled_of(s), before);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      kit_test(sources_are_on_or_oneshot_at_first),
      kit_test(set_enabled_is_read_back_after_every_transition),
      kit_test(a_bad_enabled_value_changes_nothing),
      kit_test(priority_is_0_at_first_and_any_number_is_read_back),
      kit_test(userdata_is_what_add_was_given_and_set_returns_the_old_one),
      kit_test(get_event_returns_the_loop_without_a_reference),
      kit_test(signal_and_inotify_sources_describe_themselves_and_others_are_ENXIO),
      kit_test(descriptions_are_copied_and_set_again_returns_0),
      kit_test(sources_are_not_floating_when_a_pointer_was_asked_for),
      kit_test(exit_on_failure_is_off_at_first_and_set_says_whether_it_changed),
      kit_test(destroy_callbacks_are_read_back_and_get_says_whether_there_is_one),
      kit_test(prepare_callbacks_may_be_set_again_and_taken_away),
      kit_test(only_defer_sources_are_pending_at_first_and_they_always_are),
      kit_test(ratelimits_are_read_back_and_absent_at_first),
      kit_test(an_interval_or_burst_of_0_is_no_ratelimit),
      kit_test(turning_off_on_a_finished_loop_is_0_and_changes_nothing),
      kit_test(setting_what_is_set_already_changes_nothing_else),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
