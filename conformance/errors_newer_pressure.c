// SPDX-License-Identifier: MIT
//
// What the pressure calls refuse: memory, CPU and IO pressure are three sets of the same functions, so one table runs
// each test for all three. Not for the reference 252, which has none of them.
//
// The environment decides where a pressure source looks ($MEMORY_PRESSURE_WATCH, _WRITE; CPU_ and IO_ likewise), so
// each try runs in a forked process that sets it for itself; the parent's environment is never changed. Without
// variables the kernel's files are used; where the kernel has no PSI (-EOPNOTSUPP) those tests are skipped and say so.
// Files are made in a directory of the test's own, removed at its end.
#define _GNU_SOURCE 1
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "harness.h"
#include "newer.h"

struct Pressure {
  const char *watch_variable, *write_variable;
  int (*add)(sd_event*, sd_event_source**, sd_event_handler_t, void*);
  int (*set_type)(sd_event_source*, const char*);
  int (*set_period)(sd_event_source*, uint64_t, uint64_t);
};

#define PRESSURE(upper, lower)                                                                     \
  {                                                                                                \
    upper "_PRESSURE_WATCH", upper "_PRESSURE_WRITE", sd_event_add_##lower##_pressure,             \
        sd_event_source_set_##lower##_pressure_type, sd_event_source_set_##lower##_pressure_period \
  }

static const struct Pressure kMemory = PRESSURE("MEMORY", memory);
static const struct Pressure kCpu = PRESSURE("CPU", cpu);
static const struct Pressure kIo = PRESSURE("IO", io);

// ---- one call in a process with its own environment ----------------------------------------------------------------

struct Try {
  const struct Pressure* api;
  const char *watch, *write;
  sd_event* loop;  // NULL: one is made
  int (*then)(const struct Pressure* api, sd_event* loop, sd_event_source* s);
};

static void set_or_unset(const char* name, const char* value) {
  if (value)
    setenv(name, value, 1);
  else
    unsetenv(name);
}

static int try_add(void* context) {
  struct Try* try = context;
  sd_event* loop = try->loop ? try->loop : make_loop();
  sd_event_source* s = NULL;
  int fds = count_fds();
  set_or_unset(try->api->watch_variable, try->watch);
  set_or_unset(try->api->write_variable, try->write);
  int r = try->api->add(loop, &s, on_event, NULL);
  if (r < 0) return s == NULL && count_fds() == fds ? r : kNoAnswer;
  return try->then ? try->then(try->api, loop, s) : r;
}

static int add_with(const struct Pressure* api, const char* watch, const char* write) {
  struct Try try = {api, watch, write, NULL, NULL};
  return in_child(try_add, &try);
}

static int add_then(const struct Pressure* api, const char* watch,
                    int (*then)(const struct Pressure*, sd_event*, sd_event_source*)) {
  struct Try try = {api, watch, NULL, NULL, then};
  return in_child(try_add, &try);
}

static void skip_without_psi(const struct Pressure* api) {
  if (add_with(api, NULL, NULL) == -EOPNOTSUPP) {
    print_message("this kernel has no PSI\n");
    skip();
  }
}

// ---- a directory with one inode of each sort
// -------------------------------------------------------------------------

struct Yard {
  char directory[32], fifo[48], file[48], socket[48], missing[48];
  int listener;
};

static struct Yard open_yard(void) {
  struct Yard y = {.directory = "/tmp/evenkeel-XXXXXX"};
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  assert_non_null(mkdtemp(y.directory));
  snprintf(y.fifo, sizeof(y.fifo), "%s/fifo", y.directory);
  snprintf(y.file, sizeof(y.file), "%s/file", y.directory);
  snprintf(y.socket, sizeof(y.socket), "%s/socket", y.directory);
  snprintf(y.missing, sizeof(y.missing), "%s/missing", y.directory);
  snprintf(address.sun_path, sizeof(address.sun_path), "%s", y.socket);
  assert_int_equal(mkfifo(y.fifo, 0600), 0);
  close(open(y.file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  y.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(y.listener, (struct sockaddr*)&address, sizeof(address)), 0);
  assert_int_equal(listen(y.listener, 5), 0);
  return y;
}

static void close_yard(struct Yard y) {
  close(y.listener);
  unlink(y.fifo);
  unlink(y.file);
  unlink(y.socket);
  assert_int_equal(rmdir(y.directory), 0);
}

// ---- the loop
// ----------------------------------------------------------------------------------------------------------

static void a_bad_loop_is_told_before_the_environment(void** state) {
  const struct Pressure* api = *state;
  sd_event_source* s = NULL;
  sd_event *finished = make_finished_loop(), *loop = make_loop();
  assert_result(api->add(NULL, &s, on_event, NULL), -EINVAL);
  assert_result(api->add(SD_EVENT_DEFAULT, &s, on_event, NULL), -ENOPKG);
  assert_result(api->add(finished, &s, on_event, NULL), -ESTALE);
  assert_null(s);
  struct Try forked = {api, "/dev/null", NULL, loop, NULL}, both = {api, "/dev/null", NULL, finished, NULL};
  assert_result(in_child(try_add, &forked), -ECHILD);
  assert_result(in_child(try_add, &both), -ESTALE);
  sd_event_unref(loop);
  sd_event_unref(finished);
}

// ---- $..._PRESSURE_WATCH
// ------------------------------------------------------------------------------------------------

static void an_empty_path_and_dev_null_mean_off(void** state) {
  const struct Pressure* api = *state;
  assert_result(add_with(api, "", NULL), -EHOSTDOWN);
  assert_result(add_with(api, "/dev/null", NULL), -EHOSTDOWN);
  assert_result(add_with(api, "", "c29tZQ=="), -EHOSTDOWN);
  const char* const spelled[] = {"/dev/./null", "//dev/null",  "/dev//null",        "/dev/null/",
                                 "/dev/null//", "/dev/null/.", "/.//dev/./null/./."};
  for (size_t i = 0; i < lengthof(spelled); i++) assert_result(add_with(api, spelled[i], NULL), -EHOSTDOWN);
}

static void paths_that_are_not_absolute_and_normalized_are_EBADMSG(void** state) {
  const struct Pressure* api = *state;
  const char* const bad[] = {"relative",
                             "./x",
                             "../x",
                             "/proc/../proc/pressure/memory",
                             "/proc/./pressure/memory",
                             "/..",
                             "dev/null",
                             "./dev/null",
                             "/dev/../dev/null",
                             "/dev/null/..",
                             "//",
                             "/.",
                             "//dev/zero"};
  for (size_t i = 0; i < lengthof(bad); i++) assert_result(add_with(api, bad[i], NULL), -EBADMSG);
}

static void inodes_that_cannot_be_watched_are_refused_each_with_its_error(void** state) {
  const struct Pressure* api = *state;
  struct Yard y = open_yard();
  assert_result(add_with(api, y.missing, NULL), -ENOENT);
  assert_result(add_with(api, y.directory, NULL), -EISDIR);
  assert_result(add_with(api, y.file, NULL), -ENOTTY);
  close_yard(y);
}

static void fifos_and_stream_sockets_are_accepted(void** state) {
  const struct Pressure* api = *state;
  struct Yard y = open_yard();
  assert_result(add_with(api, y.fifo, NULL), 0);
  assert_result(add_with(api, y.socket, NULL), 0);
  assert_result(add_with(api, y.fifo, "c29tZSAxIDI="), 0);
  close_yard(y);
}

static void bad_Base64_is_refused_by_what_is_wrong_with_it(void** state) {
  const struct {
    const char* text;
    int result;
  } tries[] = {
      {"c", -EPIPE},
      {"c29tZ", -EPIPE},
      {"ab=", -EPIPE},
      {"YQ= ", -EPIPE},
      {"!!!!", -EINVAL},
      {"c29t*Q==", -EINVAL},
      {"ab=c", -EINVAL},
      {"====", -EINVAL},
      {"a===", -EINVAL},
      {"YR==", -EINVAL},
      {"abcd=", -EINVAL},
      {"YWJj\v", -EINVAL},
      {"YQ==YQ==", -ENAMETOOLONG},
      {"YQ===", -ENAMETOOLONG},
      {"YWJj_-8=", 0},
      {"YWJj/+8=", 0},
      {" YW\tJj\r\n", 0},
      {"", 0},
  };
  struct Yard y = open_yard();
  for (size_t i = 0; i < lengthof(tries); i++) assert_result(add_with(*state, y.fifo, tries[i].text), tries[i].result);
  close_yard(y);
}

// ---- set_type, set_period
// ---------------------------------------------------------------------------------------------

static int types_are_checked(const struct Pressure* api, sd_event* loop, sd_event_source* s) {
  (void)loop;
  assert_result(api->set_type(s, "some"), 0);
  assert_result(api->set_type(s, "full"), 1);
  assert_result(api->set_type(s, "full"), 0);
  assert_result(api->set_type(s, "Full"), -EINVAL);
  assert_result(api->set_type(s, ""), -EINVAL);
  assert_result(api->set_type(s, "some "), -EINVAL);
  assert_result(api->set_type(s, NULL), -EINVAL);
  assert_result(api->set_type(s, "full"), 0);
  assert_result(api->set_type(s, "some"), 1);
  return 0;
}

static int periods_are_checked(const struct Pressure* api, sd_event* loop, sd_event_source* s) {
  (void)loop;
  assert_result(api->set_period(s, 200000, 2000000), 0);
  assert_result(api->set_period(s, 0, 2000000), -ERANGE);
  assert_result(api->set_period(s, UINT64_MAX, 2000000), -ERANGE);
  assert_result(api->set_period(s, 100000, 0), -ERANGE);
  assert_result(api->set_period(s, 100000, UINT64_MAX), -ERANGE);
  assert_result(api->set_period(s, 2000001, 2000000), -EINVAL);
  assert_result(api->set_period(s, 200000, 2000000), 0);
  assert_result(api->set_period(s, 2000000, 2000000), 1);
  assert_result(api->set_period(s, 100000, 4000000), 1);
  assert_result(api->set_period(s, 100000, 4000000), 0);
  return 0;
}

static int settings_are_busy_after_an_iteration(const struct Pressure* api, sd_event* loop, sd_event_source* s) {
  assert_true(sd_event_run(loop, 0) >= 0);
  assert_result(api->set_type(s, "full"), -EBUSY);
  assert_result(api->set_period(s, 100000, 2000000), -EBUSY);
  return 0;
}

// Nothing was written, and so the end of the loop is no reason to refuse anything; a fork is.
static int set_type_forked(void* context) {
  struct Try* try = context;
  return try->api->set_type(*(sd_event_source**)try->watch, "bad");
}

static int settings_change_in_a_finished_loop(const struct Pressure* api, sd_event* loop, sd_event_source* s) {
  finish_loop(loop);
  assert_result(api->set_type(s, "bad"), -EINVAL);
  assert_result(api->set_period(s, 9, 5), -EINVAL);
  assert_result(api->set_type(s, "full"), 1);
  assert_result(api->set_period(s, 100000, 2000000), 1);
  struct Try forked = {.api = api, .watch = (const char*)&s};
  assert_result(in_child(set_type_forked, &forked), -ECHILD);
  return 0;
}

static int settings_are_busy(const struct Pressure* api, sd_event* loop, sd_event_source* s) {
  (void)loop;
  assert_result(api->set_type(s, "full"), -EBUSY);
  assert_result(api->set_period(s, 100000, 2000000), -EBUSY);
  return 0;
}

static void set_type_takes_some_and_full_and_says_whether_it_changed(void** state) {
  skip_without_psi(*state);
  assert_result(add_then(*state, NULL, types_are_checked), 0);
}

static void set_period_checks_range_and_order_and_says_whether_it_changed(void** state) {
  skip_without_psi(*state);
  assert_result(add_then(*state, NULL, periods_are_checked), 0);
}

static void settings_are_EBUSY_once_the_first_iteration_began(void** state) {
  skip_without_psi(*state);
  assert_result(add_then(*state, NULL, settings_are_busy_after_an_iteration), 0);
}

static void settings_change_until_they_are_written_also_in_a_finished_loop(void** state) {
  skip_without_psi(*state);
  assert_result(add_then(*state, NULL, settings_change_in_a_finished_loop), 0);
}

static void settings_are_EBUSY_when_the_variables_rule(void** state) {
  struct Yard y = open_yard();
  assert_result(add_then(*state, y.fifo, settings_are_busy), 0);
  close_yard(y);
}

static void other_sources_are_EDOM_and_null_is_EINVAL(void** state) {
  const struct Pressure* api = *state;
  sd_event* loop = make_loop();
  sd_event_source* s = NULL;
  assert_int_equal(sd_event_add_defer(loop, &s, on_event, NULL), 0);
  assert_result(api->set_type(s, "some"), -EDOM);
  assert_result(api->set_period(s, 200000, 2000000), -EDOM);
  assert_result(api->set_type(NULL, "some"), -EINVAL);
  assert_result(api->set_period(NULL, 200000, 2000000), -EINVAL);
  sd_event_source_unref(s);
  sd_event_unref(loop);
}

static int other_pressures_are_EDOM(const struct Pressure* api, sd_event* loop, sd_event_source* s) {
  const struct Pressure* const all[] = {&kMemory, &kCpu, &kIo};
  (void)loop;
  for (size_t i = 0; i < lengthof(all); i++) {
    if (all[i] == api) continue;
    assert_result(all[i]->set_type(s, "some"), -EDOM);
    assert_result(all[i]->set_period(s, 200000, 2000000), -EDOM);
  }
  return 0;
}

static void the_three_pressures_are_three_kinds(void** state) {
  struct Yard y = open_yard();
  assert_result(add_then(*state, y.fifo, other_pressures_are_EDOM), 0);
  close_yard(y);
}

// ---- what they have in common with other sources
// -----------------------------------------------------------------------

static int behaves_as_a_source(const struct Pressure* api, sd_event* loop, sd_event_source* s) {
  uint64_t usec;
  uint32_t mask;
  (void)api;
  assert_ptr_equal(sd_event_source_get_event(s), loop);
  assert_result(sd_event_source_get_pending(s), 0);
  assert_result(sd_event_source_get_io_fd(s), -EDOM);
  assert_result(sd_event_source_get_io_events(s, &mask), -EDOM);
  assert_result(sd_event_source_get_time(s, &usec), -EDOM);
  assert_result(sd_event_source_get_ratelimit(s, NULL, NULL), -ENOEXEC);
  assert_result(sd_event_source_set_ratelimit(s, 1000000, 5), 0);
  assert_result(sd_event_source_get_ratelimit(s, NULL, NULL), 0);
  assert_result(sd_event_source_set_priority(s, 5), 0);
  assert_result(sd_event_source_set_prepare(s, on_event), 0);
  assert_result(sd_event_source_set_exit_on_failure(s, 1), 1);
  assert_result(sd_event_source_set_enabled(s, SD_EVENT_OFF), 0);
  assert_result(sd_event_source_set_enabled(s, SD_EVENT_ON), 0);
  int fds = count_fds();
  assert_null(sd_event_source_unref(s));
  assert_true(count_fds() < fds);
  return 0;
}

static void a_pressure_source_has_what_all_sources_have_and_is_no_io_source(void** state) {
  struct Yard y = open_yard();
  assert_result(add_then(*state, y.fifo, behaves_as_a_source), 0);
  close_yard(y);
}

static int adds_floating_without_a_handler(void* context) {
  struct Try* try = context;
  sd_event* loop = make_loop();
  int before = count_fds();
  setenv(try->api->watch_variable, try->watch, 1);
  unsetenv(try->api->write_variable);
  int r = try->api->add(loop, NULL, NULL, NULL);
  if (r < 0 || count_fds() == before) return r < 0 ? r : kNoAnswer;
  sd_event_unref(loop);
  return r;
}

static void the_handler_may_be_null_and_the_source_floating(void** state) {
  struct Yard y = open_yard();
  struct Try try = {.api = *state, .watch = y.fifo};
  assert_result(in_child(adds_floating_without_a_handler, &try), 0);
  close_yard(y);
}

#define FOR_EACH_PRESSURE(f)                                                                                          \
  {"memory: " #f, f, begin_clean, end_clean, (void*)&kMemory}, {"cpu: " #f, f, begin_clean, end_clean, (void*)&kCpu}, \
  {                                                                                                                   \
    "io: " #f, f, begin_clean, end_clean, (void*)&kIo                                                                 \
  }

int main(void) {
  exit_77_on_older();
  const struct CMUnitTest tests[] = {
      FOR_EACH_PRESSURE(a_bad_loop_is_told_before_the_environment),
      FOR_EACH_PRESSURE(an_empty_path_and_dev_null_mean_off),
      FOR_EACH_PRESSURE(paths_that_are_not_absolute_and_normalized_are_EBADMSG),
      FOR_EACH_PRESSURE(inodes_that_cannot_be_watched_are_refused_each_with_its_error),
      FOR_EACH_PRESSURE(fifos_and_stream_sockets_are_accepted),
      FOR_EACH_PRESSURE(bad_Base64_is_refused_by_what_is_wrong_with_it),
      FOR_EACH_PRESSURE(set_type_takes_some_and_full_and_says_whether_it_changed),
      FOR_EACH_PRESSURE(set_period_checks_range_and_order_and_says_whether_it_changed),
      FOR_EACH_PRESSURE(settings_are_EBUSY_once_the_first_iteration_began),
      FOR_EACH_PRESSURE(settings_change_until_they_are_written_also_in_a_finished_loop),
      FOR_EACH_PRESSURE(settings_are_EBUSY_when_the_variables_rule),
      FOR_EACH_PRESSURE(other_sources_are_EDOM_and_null_is_EINVAL),
      FOR_EACH_PRESSURE(the_three_pressures_are_three_kinds),
      FOR_EACH_PRESSURE(a_pressure_source_has_what_all_sources_have_and_is_no_io_source),
      FOR_EACH_PRESSURE(the_handler_may_be_null_and_the_source_floating),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
