// SPDX-License-Identifier: MIT
//
// Adding memory, CPU and IO pressure sources: the variables, the errors, the defaults, the setters.
//
// Invariants under test:
// 1. $X_PRESSURE_WATCH rules, and each of its wrong values has its error; the variables of one resource mean nothing to
//    another.
// 2. A call that fails leaves no descriptor and no source.
// 3. The settings can be changed until they are written, and never where the variables rule.
#include "newer_pressure.h"

static int add_to_forked(void* context) {
  sd_event_source* source = NULL;
  return memory_resource->add(context, &source, on_event, NULL);
}

static int set_in_forked(void* context) { return memory_resource->set_type(context, "full"); }

static void the_usual_errors_come_first(void** state) {
  (void)state;
  sd_event *finished = make_finished_loop(), *loop = make_loop();
  for (size_t i = 0; i < lengthof(resources); i++) {
    const struct Resource* resource = &resources[i];
    sd_event_source* source = NULL;
    setenv(resource->watch, "no path", 1);
    assert_result(resource->add(NULL, &source, on_event, NULL), -EINVAL);
    assert_result(resource->add(SD_EVENT_DEFAULT, &source, on_event, NULL), -ENOPKG);
    assert_result(resource->add(finished, &source, on_event, NULL), -ESTALE);
    assert_null(source);
  }
  assert_result(in_child(add_to_forked, loop), -ECHILD);
  assert_result(in_child(add_to_forked, finished), -ESTALE);
  sd_event_unref(finished);
  sd_event_unref(loop);
}

static void each_wrong_value_of_the_variable_has_its_error(void** state) {
  (void)state;
  static const struct {
    const char* value;
    int error;
  } rows[] = {
      {"", -EHOSTDOWN},
      {"/dev/null", -EHOSTDOWN},
      {"fifo", -EBADMSG},
      {"./fifo", -EBADMSG},
      {" /tmp", -EBADMSG},
      {"/tmp/../dev/null", -EBADMSG},
      {"/tmp/..", -EBADMSG},
      {"/dev/./null", -EHOSTDOWN},
      {"/tmp/.", -EBADMSG},
      {"//dev/null", -EHOSTDOWN},
      {"/dev//null", -EHOSTDOWN},
      {"/", -EISDIR},
      {"/proc", -EISDIR},
      {"/nowhere/at all", -ENOENT},
      {"/proc/self/status", -EPERM},
      {"/proc/self/status/x", -ENOTDIR},
      {"/dev/zero", -EPERM},
  };
  sd_event* loop = make_loop();
  int fds = count_fds();
  for (size_t i = 0; i < lengthof(resources); i++)
    for (size_t k = 0; k < lengthof(rows); k++) {
      sd_event_source* source = NULL;
      setenv(resources[i].watch, rows[k].value, 1);
      int r = resources[i].add(loop, &source, on_event, NULL);
      if (r != rows[k].error) fail_msg("%s=\"%s\": %s", resources[i].watch, rows[k].value, result_name(r));
      assert_null(source);
      assert_int_equal(count_fds(), fds);
    }
  sd_event_unref(loop);
}

static void only_inodes_that_can_tell_are_watched(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  sd_event_source* source = NULL;
  int fd = open(path_of("file"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  assert_true(fd >= 0);
  setenv("MEMORY_PRESSURE_WATCH", path_of("file"), 1);
  assert_result(sd_event_add_memory_pressure(loop, &source, on_event, NULL), -ENOTTY);
  assert_int_equal(symlink(path_of("file"), path_of("link")), 0);
  setenv("MEMORY_PRESSURE_WATCH", path_of("link"), 1);
  assert_result(sd_event_add_memory_pressure(loop, &source, on_event, NULL), -ENOTTY);
  assert_int_equal(mkdir(path_of("directory"), 0700), 0);
  setenv("MEMORY_PRESSURE_WATCH", path_of("directory"), 1);
  assert_result(sd_event_add_memory_pressure(loop, &source, on_event, NULL), -EISDIR);
  if (mknod(path_of("block"), S_IFBLK | 0600, 0x700) == 0) {
    setenv("MEMORY_PRESSURE_WATCH", path_of("block"), 1);
    assert_result(sd_event_add_memory_pressure(loop, &source, on_event, NULL), -EBADF);
  } else {
    print_message("no block device: mknod: %s\n", strerror(errno));
  }
  assert_null(source);
  close(fd);
  sd_event_unref(loop);
}

static void a_socket_must_take_connections(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  sd_event_source* source = NULL;
  int server = make_server(memory_resource, SOCK_DGRAM);
  assert_result(sd_event_add_memory_pressure(loop, &source, on_event, NULL), -EPROTOTYPE);
  close(server);
  unlink(path_of("socket"));
  server = make_server(memory_resource, SOCK_STREAM);
  close(server);
  assert_result(sd_event_add_memory_pressure(loop, &source, on_event, NULL), -ECONNREFUSED);
  assert_null(source);
  sd_event_unref(loop);
}

static void each_resource_has_variables_of_its_own(void** state) {
  (void)state;
  for (size_t i = 0; i < lengthof(resources); i++) {
    sd_event* loop = make_loop();
    for (size_t k = 0; k < lengthof(resources); k++) {
      setenv(resources[k].watch, "/dev/null", 1);
      setenv(resources[k].write, "not Base64", 1);
    }
    int fifo = make_fifo(&resources[i], "fifo");
    unsetenv(resources[i].write);
    for (size_t k = 0; k < lengthof(resources); k++)
      assert_result(resources[k].add(loop, NULL, on_event, NULL), k == i ? 0 : -EHOSTDOWN);
    close(fifo);
    unlink(path_of("fifo"));
    sd_event_unref(loop);
  }
}

static void a_new_source_is_on_and_has_no_description(void** state) {
  (void)state;
  for (size_t i = 0; i < lengthof(resources); i++) {
    sd_event* loop = make_loop();
    int fifo = make_fifo(&resources[i], "fifo");
    sd_event_source* source = NULL;
    const char* description = NULL;
    int64_t priority = 99;
    uint64_t interval;
    unsigned burst;
    struct Calls calls = {0, 0};
    assert_result(resources[i].add(loop, &source, on_pressure, &calls), 0);
    assert_int_equal(enabled_state(source), SD_EVENT_ON);
    assert_result(sd_event_source_get_description(source, &description), -ENXIO);
    assert_result(sd_event_source_get_priority(source, &priority), 0);
    assert_int_equal(priority, SD_EVENT_PRIORITY_NORMAL);
    assert_ptr_equal(sd_event_source_get_userdata(source), &calls);
    assert_ptr_equal(sd_event_source_get_event(source), loop);
    assert_result(sd_event_source_get_pending(source), 0);
    assert_result(sd_event_source_get_floating(source), 0);
    assert_result(sd_event_source_get_exit_on_failure(source), 0);
    assert_result(sd_event_source_get_io_fd(source), -EDOM);
    assert_result(sd_event_source_get_ratelimit(source, &interval, &burst), -ENOEXEC);
    sd_event_source_unref(source);
    sd_event_unref(loop);
    close(fifo);
    unlink(path_of("fifo"));
  }
}

static void the_program_may_not_change_what_the_variables_say(void** state) {
  (void)state;
  for (size_t i = 0; i < lengthof(resources); i++) {
    sd_event* loop = make_loop();
    int fifo = make_fifo(&resources[i], "fifo");
    sd_event_source* source = NULL;
    assert_result(resources[i].add(loop, &source, on_event, NULL), 0);
    assert_result(resources[i].set_type(source, "some"), -EBUSY);
    assert_result(resources[i].set_type(source, "full"), -EBUSY);
    assert_result(resources[i].set_period(source, 200000, 2000000), -EBUSY);
    assert_result(resources[i].set_period(source, 100000, 1000000), -EBUSY);
    sd_event_source_unref(source);
    sd_event_unref(loop);
    close(fifo);
    unlink(path_of("fifo"));
  }
}

static void setters_look_at_null_kind_finished_and_forked(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  sd_event_source *defer = NULL, *sources[lengthof(resources)] = {NULL};
  assert_result(sd_event_add_defer(loop, &defer, on_event, NULL), 0);
  int fifo = make_fifo(memory_resource, "fifo");
  for (size_t i = 0; i < lengthof(resources); i++) {
    setenv(resources[i].watch, path_of("fifo"), 1);
    assert_result(resources[i].add(loop, &sources[i], on_event, NULL), 0);
    unsetenv(resources[i].watch);
  }
  for (size_t i = 0; i < lengthof(resources); i++) {
    assert_result(resources[i].set_type(NULL, "full"), -EINVAL);
    assert_result(resources[i].set_type(sources[i], NULL), -EINVAL);
    assert_result(resources[i].set_period(NULL, 1, 2), -EINVAL);
    assert_result(resources[i].set_type(defer, "full"), -EDOM);
    assert_result(resources[i].set_period(defer, 1, 2), -EDOM);
    for (size_t k = 0; k < lengthof(resources); k++) {
      assert_result(resources[i].set_type(sources[k], "full"), k == i ? -EBUSY : -EDOM);
      assert_result(resources[i].set_type(sources[k], NULL), k == i ? -EINVAL : -EDOM);
      assert_result(resources[i].set_period(sources[k], 0, 0), k == i ? -ERANGE : -EDOM);
    }
  }
  assert_result(in_child(set_in_forked, sources[0]), -ECHILD);
  sd_event_source_unref(defer);
  finish_loop(loop);
  assert_result(memory_resource->set_type(sources[0], "full"), -EBUSY);
  assert_result(memory_resource->set_period(sources[0], 1, 2), -EBUSY);
  for (size_t i = 0; i < lengthof(resources); i++) sd_event_source_unref(sources[i]);
  sd_event_unref(loop);
  close(fifo);
}

static void settings_are_checked_and_a_change_is_told_from_none(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  for (size_t i = 0; i < lengthof(resources); i++) {
    const struct Resource* resource = &resources[i];
    sd_event_source* source = NULL;
    int r = resource->add(loop, &source, on_event, NULL);
    if (r < 0) {
      print_message("no %s pressure to set: %s\n", resource->name, strerror(-r));
      sd_event_unref(loop);
      skip();
    }
    assert_result(resource->set_type(source, "some"), 0);
    assert_result(resource->set_type(source, "full"), 1);
    assert_result(resource->set_type(source, "full"), 0);
    assert_result(resource->set_type(source, "some"), 1);
    static const char* const wrong[] = {"", "Some", "some ", "fully", "none"};
    for (size_t k = 0; k < lengthof(wrong); k++) assert_result(resource->set_type(source, wrong[k]), -EINVAL);
    assert_result(resource->set_period(source, 200000, 2000000), 0);
    assert_result(resource->set_period(source, 0, 2000000), -ERANGE);
    assert_result(resource->set_period(source, UINT64_MAX, 2000000), -ERANGE);
    assert_result(resource->set_period(source, 200000, 0), -ERANGE);
    assert_result(resource->set_period(source, 200000, UINT64_MAX), -ERANGE);
    assert_result(resource->set_period(source, UINT64_MAX, UINT64_MAX), -ERANGE);
    assert_result(resource->set_period(source, 0, 0), -ERANGE);
    assert_result(resource->set_period(source, 2000001, 2000000), -EINVAL);
    assert_result(resource->set_period(source, 200000, 2000000), 0);
    assert_result(resource->set_period(source, UINT64_MAX - 1, UINT64_MAX - 1), 1);
    assert_result(resource->set_period(source, 2000000, 2000000), 1);
    assert_result(resource->set_period(source, 150000, 2000000), 1);
    assert_result(resource->set_period(source, 150000, 4000000), 1);
    assert_result(resource->set_period(source, 150000, 4000000), 0);
    assert_int_equal(enabled_state(source), SD_EVENT_ON);
    sd_event_source_unref(source);
  }
  sd_event_unref(loop);
}

static void trimming_memory_says_0(void** state) {
  (void)state;
  assert_result(sd_event_trim_memory(), 0);
  free(malloc(1 << 20));
  assert_result(sd_event_trim_memory(), 0);
}

int main(void) {
  exit_77_on_older();
  const struct CMUnitTest tests[] = {
      pressure_test(the_usual_errors_come_first),
      pressure_test(each_wrong_value_of_the_variable_has_its_error),
      pressure_test(only_inodes_that_can_tell_are_watched),
      pressure_test(a_socket_must_take_connections),
      pressure_test(each_resource_has_variables_of_its_own),
      pressure_test(a_new_source_is_on_and_has_no_description),
      pressure_test(the_program_may_not_change_what_the_variables_say),
      pressure_test(setters_look_at_null_kind_finished_and_forked),
      pressure_test(settings_are_checked_and_a_change_is_told_from_none),
      pressure_test(trimming_memory_says_0),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
