// SPDX-License-Identifier: MIT
//
// Two copies of the library in one process: an object of one that is given to the other is refused, not used.
//
// The other copy is libsystemd, loaded by dlopen into a namespace of its own. Its objects are handed to Evenkeel's
// functions, which must say -EINVAL (or NULL, or nothing at all), crash nowhere and leave the object as it was:
// libsystemd itself must still run it afterwards. Runs on ours alone, as nothing of the kind is promised by the
// reference.
#include "harness.h"

struct Other {
  void* library;
  int (*make)(sd_event**);
  int (*run)(sd_event*, uint64_t);
  int (*add_defer)(sd_event*, sd_event_source**, sd_event_handler_t, void*);
  int (*get_enabled)(sd_event_source*, int*);
  sd_event* (*unref)(sd_event*);
  sd_event_source* (*unref_source)(sd_event_source*);
  sd_event* loop;
  sd_event_source* source;
  int calls;
};

static int count_call(sd_event_source* s, void* userdata) {
  (void)s;
  ++*(int*)userdata;
  return 0;
}

static bool open_other(struct Other* o) {
  *o = (struct Other){.library = dlmopen(LM_ID_NEWLM, "libsystemd.so.0", RTLD_NOW | RTLD_LOCAL)};
  if (!o->library) return false;
  o->make = (int (*)(sd_event**))dlsym(o->library, "sd_event_new");
  o->run = (int (*)(sd_event*, uint64_t))dlsym(o->library, "sd_event_run");
  o->add_defer =
      (int (*)(sd_event*, sd_event_source**, sd_event_handler_t, void*))dlsym(o->library, "sd_event_add_defer");
  o->get_enabled = (int (*)(sd_event_source*, int*))dlsym(o->library, "sd_event_source_get_enabled");
  o->unref = (sd_event * (*)(sd_event*)) dlsym(o->library, "sd_event_unref");
  o->unref_source = (sd_event_source * (*)(sd_event_source*)) dlsym(o->library, "sd_event_source_unref");
  assert_true(o->make != sd_event_new);
  assert_int_equal(o->make(&o->loop), 0);
  assert_int_equal(o->add_defer(o->loop, &o->source, count_call, &o->calls), 0);
  return true;
}

static void close_other(struct Other* o) {
  assert_int_equal(o->run(o->loop, 0), 1);
  assert_int_equal(o->calls, 1);
  o->unref_source(o->source);
  o->unref(o->loop);
  dlclose(o->library);
}

static void a_loop_of_another_copy_is_refused(void** state) {
  (void)state;
  shown_on_ours(kOtherCopy);
  struct Other o;
  if (!open_other(&o)) {
    print_message("skipped: libsystemd.so.0 is not here: %s\n", dlerror());
    skip();
  }
  int code = 77;
  uint64_t usec = 77;
  sd_event_source* s = NULL;
  assert_null(sd_event_ref(o.loop));
  assert_null(sd_event_unref(o.loop));
  assert_int_equal(sd_event_run(o.loop, 0), -EINVAL);
  assert_int_equal(sd_event_prepare(o.loop), -EINVAL);
  assert_int_equal(sd_event_loop(o.loop), -EINVAL);
  assert_int_equal(sd_event_exit(o.loop, 1), -EINVAL);
  assert_int_equal(sd_event_now(o.loop, CLOCK_MONOTONIC, &usec), -EINVAL);
  assert_int_equal(sd_event_get_fd(o.loop), -EINVAL);
  assert_int_equal(sd_event_get_exit_code(o.loop, &code), -EINVAL);
  assert_int_equal(sd_event_set_watchdog(o.loop, 1), -EINVAL);
  assert_int_equal(sd_event_add_defer(o.loop, &s, on_event, NULL), -EINVAL);
  assert_int_equal(sd_event_add_time(o.loop, &s, CLOCK_MONOTONIC, 1, 1, on_time, NULL), -EINVAL);
  assert_null(s);
  close_other(&o);
}

static void a_source_of_another_copy_is_refused(void** state) {
  (void)state;
  shown_on_ours(kOtherCopy);
  struct Other o;
  if (!open_other(&o)) {
    print_message("skipped: libsystemd.so.0 is not here: %s\n", dlerror());
    skip();
  }
  int enabled = 77;
  int64_t priority = 77;
  const char* text = NULL;
  sd_event_source_ref(o.source);
  assert_null(sd_event_source_unref(o.source));
  assert_null(sd_event_source_disable_unref(o.source));
  assert_null(sd_event_source_get_event(o.source));
  assert_null(sd_event_source_get_userdata(o.source));
  assert_null(sd_event_source_set_userdata(o.source, &o));
  assert_int_equal(sd_event_source_set_enabled(o.source, SD_EVENT_OFF), -EINVAL);
  assert_int_equal(sd_event_source_set_enabled(o.source, SD_EVENT_ON), -EINVAL);
  assert_int_equal(sd_event_source_get_enabled(o.source, &enabled), -EINVAL);
  assert_int_equal(sd_event_source_get_priority(o.source, &priority), -EINVAL);
  assert_int_equal(sd_event_source_set_priority(o.source, 5), -EINVAL);
  assert_int_equal(sd_event_source_get_pending(o.source), -EINVAL);
  assert_int_equal(sd_event_source_set_description(o.source, "x"), -EINVAL);
  assert_int_equal(sd_event_source_get_description(o.source, &text), -EINVAL);
  assert_int_equal(sd_event_source_set_prepare(o.source, on_event), -EINVAL);
  assert_int_equal(sd_event_source_set_ratelimit(o.source, 1, 1), -EINVAL);
  assert_int_equal(sd_event_source_set_floating(o.source, 1), -EINVAL);
  assert_int_equal(sd_event_source_get_io_fd(o.source), -EINVAL);
  assert_int_equal(o.get_enabled(o.source, &enabled), 1);
  assert_int_equal(enabled, SD_EVENT_ONESHOT);
  close_other(&o);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_loop_of_another_copy_is_refused),
      cmocka_unit_test(a_source_of_another_copy_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
