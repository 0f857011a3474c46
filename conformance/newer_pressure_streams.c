// SPDX-License-Identifier: MIT
//
// Pressure sources on FIFOs, sockets and terminals: what makes them fire, and how they end.
//
// Invariants under test:
// 1. Input is thrown away, and each 4 KiB of it that are begun are a call of the callback.
// 2. A hang-up without input is a failed callback, once: then the loop sleeps.
// 3. Where there is no callback, pressure exits no loop.
#include "newer_pressure.h"

static void each_4_KiB_of_input_are_one_call(void** state) {
  (void)state;
  for (size_t i = 0; i < lengthof(resources); i++) {
    sd_event* loop = make_loop();
    int fifo = make_fifo(&resources[i], "fifo");
    struct Calls calls = {0, 0};
    sd_event_source* source = NULL;
    assert_result(resources[i].add(loop, &source, on_pressure, &calls), 0);
    assert_result(sd_event_run(loop, 0), 0);
    put_bytes(fifo, 1);
    assert_result(sd_event_run(loop, UINT64_MAX), 1);
    assert_int_equal(calls.n, 1);
    assert_result(sd_event_run(loop, 0), 0);
    put_bytes(fifo, 60000);
    for (int call = 1; call <= (60000 + 4095) / 4096; call++) {
      assert_result(sd_event_run(loop, UINT64_MAX), 1);
      assert_int_equal(calls.n, 1 + call);
    }
    assert_result(sd_event_run(loop, 0), 0);
    char byte;
    assert_int_equal(read(fifo, &byte, 1), -1);
    assert_int_equal(errno, EAGAIN);
    sd_event_source_unref(source);
    sd_event_unref(loop);
    close(fifo);
    unlink(path_of("fifo"));
  }
}

static void without_a_callback_pressure_is_taken_and_the_loop_goes_on(void** state) {
  (void)state;
  for (size_t i = 0; i < lengthof(resources); i++) {
    sd_event* loop = make_loop();
    int fifo = make_fifo(&resources[i], "fifo");
    sd_event_source* source = NULL;
    assert_result(resources[i].add(loop, &source, NULL, (void*)7), 0);
    put_bytes(fifo, 10);
    assert_result(sd_event_run(loop, UINT64_MAX), 1);
    assert_result(sd_event_get_state(loop), SD_EVENT_INITIAL);
    assert_int_equal(enabled_state(source), SD_EVENT_ON);
    assert_result(sd_event_run(loop, 0), 0);
    int code;
    assert_result(sd_event_get_exit_code(loop, &code), -ENODATA);
    sd_event_source_unref(source);
    sd_event_unref(loop);
    close(fifo);
    unlink(path_of("fifo"));
  }
}

static void a_floating_source_is_the_loops(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fifo = make_fifo(cpu_resource, "fifo");
  struct Calls calls = {0, 0};
  assert_result(sd_event_add_cpu_pressure(loop, NULL, on_pressure, &calls), 0);
  put_bytes(fifo, 1);
  assert_result(sd_event_run(loop, UINT64_MAX), 1);
  assert_int_equal(calls.n, 1);
  sd_event_unref(loop);
  close(fifo);
}

static void a_callback_that_fails_turns_its_source_off(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fifo = make_fifo(memory_resource, "fifo");
  struct Calls calls = {0, -7};
  sd_event_source* source = NULL;
  assert_result(sd_event_add_memory_pressure(loop, &source, on_pressure, &calls), 0);
  put_bytes(fifo, 1);
  assert_result(sd_event_run(loop, UINT64_MAX), 1);
  assert_int_equal(enabled_state(source), SD_EVENT_OFF);
  put_bytes(fifo, 1);
  assert_result(sd_event_run(loop, 0), 0);
  assert_true(sd_event_source_set_exit_on_failure(source, 1) >= 0);
  assert_result(sd_event_source_set_enabled(source, SD_EVENT_ONESHOT), 0);
  assert_result(sd_event_loop(loop), -7);
  assert_int_equal(calls.n, 2);
  sd_event_source_unref(source);
  sd_event_unref(loop);
  close(fifo);
}

static void off_means_that_nobody_looks(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fifo = make_fifo(memory_resource, "fifo");
  struct Calls calls = {0, 0};
  sd_event_source* source = NULL;
  assert_result(sd_event_add_memory_pressure(loop, &source, on_pressure, &calls), 0);
  put_bytes(fifo, 1);
  assert_result(sd_event_prepare(loop), 0);
  assert_result(sd_event_wait(loop, UINT64_MAX), 1);
  assert_result(sd_event_source_get_pending(source), 1);
  assert_result(sd_event_source_set_enabled(source, SD_EVENT_OFF), 0);
  assert_result(sd_event_source_get_pending(source), 0);
  assert_result(sd_event_dispatch(loop), 1);
  assert_result(sd_event_run(loop, 0), 0);
  assert_int_equal(calls.n, 0);
  assert_result(sd_event_source_set_enabled(source, SD_EVENT_ONESHOT), 0);
  assert_result(sd_event_run(loop, UINT64_MAX), 1);
  assert_int_equal(calls.n, 1);
  assert_int_equal(enabled_state(source), SD_EVENT_OFF);
  put_bytes(fifo, 1);
  assert_result(sd_event_run(loop, 0), 0);
  sd_event_source_unref(source);
  sd_event_unref(loop);
  close(fifo);
}

static int free_self(sd_event_source* s, void* userdata) {
  struct Calls* calls = userdata;
  calls->n++;
  sd_event_source_unref(s);
  return -1;
}

static void a_callback_may_free_its_source(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fifo = make_fifo(memory_resource, "fifo"), fds = count_fds();
  struct Calls calls = {0, 0};
  sd_event_source* source = NULL;
  assert_result(sd_event_add_memory_pressure(loop, &source, free_self, &calls), 0);
  put_bytes(fifo, 1);
  assert_result(sd_event_run(loop, UINT64_MAX), 1);
  assert_int_equal(calls.n, 1);
  assert_int_equal(count_fds(), fds);
  put_bytes(fifo, 1);
  assert_result(sd_event_run(loop, 0), 0);
  sd_event_unref(loop);
  close(fifo);
}

static void a_fifo_whose_last_writer_has_gone_fails_once(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  close(make_fifo(memory_resource, "fifo"));
  struct Calls calls = {0, 0};
  sd_event_source* source = NULL;
  assert_result(sd_event_add_memory_pressure(loop, &source, on_pressure, &calls), 0);
  assert_result(sd_event_run(loop, 0), 0);  // There was no writer yet.
  int writer = open(path_of("fifo"), O_WRONLY | O_CLOEXEC);
  assert_true(writer >= 0);
  assert_result(sd_event_run(loop, 0), 0);
  put_bytes(writer, 3);
  close(writer);
  assert_result(sd_event_run(loop, UINT64_MAX), 1);  // What it has said is heard.
  assert_int_equal(calls.n, 1);
  assert_int_equal(enabled_state(source), SD_EVENT_ON);
  expect_one_failure(loop, source, &calls, 1);
  sd_event_source_unref(source);
  sd_event_unref(loop);
}

static void a_socket_that_hangs_up_fails_once(void** state) {
  (void)state;
  for (int half = 0; half < 2; half++) {
    sd_event* loop = make_loop();
    int server = make_server(memory_resource, SOCK_STREAM);
    struct Calls calls = {0, 0};
    sd_event_source* source = NULL;
    assert_result(sd_event_add_memory_pressure(loop, &source, on_pressure, &calls), 0);
    int peer = accept_one(server);
    assert_result(sd_event_run(loop, 0), 0);
    if (half)
      assert_int_equal(shutdown(peer, SHUT_WR), 0);
    else
      close(peer);
    expect_one_failure_or_a_spin(loop, source, &calls, 0);
    if (half) close(peer);
    sd_event_source_unref(source);
    sd_event_unref(loop);
    close(server);
    unlink(path_of("socket"));
  }
}

static int hang_up_unheard(void* nothing) {
  (void)nothing;
  sd_event* loop = make_loop();
  int server = make_server(memory_resource, SOCK_STREAM);
  setenv("MEMORY_PRESSURE_WRITE", "aGVsbG8=", 1);
  struct Calls calls = {0, 0};
  sd_event_source* source = NULL;
  assert_result(sd_event_add_memory_pressure(loop, &source, on_pressure, &calls), 0);
  int peer = accept_one(server);
  put_bytes(peer, 1);
  close(peer);
  assert_result(sd_event_run(loop, UINT64_MAX), 1);
  assert_int_equal(calls.n, 1);
  expect_one_failure(loop, source, &calls, 1);
  sd_event_source_unref(source);
  sd_event_unref(loop);
  close(server);
  return 0;
}

static void a_socket_that_hangs_up_unheard_fails_once_and_raises_no_signal(void** state) {
  (void)state;
  assert_result(in_child(hang_up_unheard, NULL), differs(kPressureSigpipe, died_of(SIGPIPE), 0));
  unlink(path_of("socket"));
}

static int loop_until_the_hang_up(void* nothing) {
  (void)nothing;
  expect_hang_on_reference(kPressureHangUp);
  sd_event* loop = make_loop();
  int server = make_server(cpu_resource, SOCK_STREAM);
  struct Calls calls = {0, 0};
  sd_event_source* source = NULL;
  assert_result(sd_event_add_cpu_pressure(loop, &source, on_pressure, &calls), 0);
  assert_true(sd_event_source_set_exit_on_failure(source, 1) >= 0);
  close(accept_one(server));
  assert_true(sd_event_loop(loop) < 0);
  assert_int_equal(sd_event_get_state(loop), SD_EVENT_FINISHED);
  assert_int_equal(calls.n, 0);
  sd_event_source_unref(source);
  sd_event_unref(loop);
  close(server);
  return 0;
}

static void a_hang_up_exits_the_loop_where_failures_shall(void** state) {
  (void)state;
  assert_result(in_child(loop_until_the_hang_up, NULL), differs(kPressureHangUp, died_of(SIGALRM), 0));
  unlink(path_of("socket"));
}

static void a_long_path_of_a_socket_is_no_obstacle(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int server = make_server(memory_resource, SOCK_STREAM);
  char name[NAME_MAX + 1];
  memset(name, 'd', 150);
  name[150] = '\0';
  assert_int_equal(mkdir(path_of(name), 0700), 0);
  char path[512];
  snprintf(path, sizeof(path), "%s/socket", path_of(name));
  assert_int_equal(rename(path_of("socket"), path), 0);
  setenv("MEMORY_PRESSURE_WATCH", path, 1);
  struct Calls calls = {0, 0};
  assert_result(sd_event_add_memory_pressure(loop, NULL, on_pressure, &calls), 0);
  int peer = accept_one(server);
  put_bytes(peer, 1);
  assert_result(sd_event_run(loop, UINT64_MAX), 1);
  assert_int_equal(calls.n, 1);
  unlink(path);
  rmdir(path_of(name));
  sd_event_unref(loop);
  close(peer);
  close(server);
}

static void a_terminal_is_a_character_device_that_can_tell(void** state) {
  (void)state;
  int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal < 0 || grantpt(terminal) < 0 || unlockpt(terminal) < 0) {
    print_message("no pseudo-terminal: %s\n", strerror(errno));
    if (terminal >= 0) close(terminal);
    skip();
  }
  sd_event* loop = make_loop();
  setenv("IO_PRESSURE_WATCH", ptsname(terminal), 1);
  setenv("IO_PRESSURE_WRITE", "aGVsbG8=", 1);
  struct Calls calls = {0, 0};
  sd_event_source* source = NULL;
  assert_result(sd_event_add_io_pressure(loop, &source, on_pressure, &calls), 0);
  assert_result(sd_event_prepare(loop), 0);
  char text[16];
  assert_int_equal(read(terminal, text, sizeof(text)), 5);
  assert_memory_equal(text, "hello", 5);
  assert_result(sd_event_wait(loop, 0), 0);
  assert_int_equal(write(terminal, "x\n", 2), 2);
  assert_result(sd_event_run(loop, UINT64_MAX), 1);
  assert_int_equal(calls.n, 1);
  close(terminal);
  if (as_reference(kPressureHangUp)) {
    for (int i = 0; i < 3; i++) assert_result(sd_event_run(loop, UINT64_MAX), 1);
    assert_int_equal(enabled_state(source), SD_EVENT_ON);
  } else {
    while (enabled_state(source) != SD_EVENT_OFF) assert_true(sd_event_run(loop, UINT64_MAX) >= 0);
    assert_int_equal(calls.n, 1);
    assert_result(sd_event_run(loop, 0), 0);
  }
  sd_event_source_unref(source);
  sd_event_unref(loop);
}

static void a_rate_limit_holds_pressure_back(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fifo = make_fifo(memory_resource, "fifo");
  struct Calls calls = {0, 0};
  sd_event_source* source = NULL;
  assert_result(sd_event_add_memory_pressure(loop, &source, on_pressure, &calls), 0);
  assert_result(sd_event_source_set_ratelimit(source, 3600 * (uint64_t)1000000, 2), 0);
  for (int i = 0; i < 4; i++) {
    put_bytes(fifo, 1);
    assert_true(sd_event_run(loop, 0) >= 0);
  }
  assert_int_equal(calls.n, 2);
  assert_int_equal(sd_event_source_is_ratelimited(source), 1);
  assert_result(sd_event_source_leave_ratelimit(source), 1);
  while (calls.n == 2) assert_true(sd_event_run(loop, UINT64_MAX) >= 0);
  assert_int_equal(calls.n, 3);
  assert_result(sd_event_run(loop, 0), 0);
  sd_event_source_unref(source);
  sd_event_unref(loop);
  close(fifo);
}

struct Inherited {
  sd_event* loop;
  sd_event_source* source;
};

static int free_all(void* context) {
  struct Inherited* inherited = context;
  sd_event_source_unref(inherited->source);
  sd_event_unref(inherited->loop);
  return 0;
}

static void a_forked_child_that_frees_everything_changes_nothing(void** state) {
  (void)state;
  for (int written = 0; written < 2; written++) {
    sd_event* loop = make_loop();
    int server = make_server(memory_resource, SOCK_STREAM);
    setenv("MEMORY_PRESSURE_WRITE", "aGVsbG8=", 1);
    struct Calls calls = {0, 0};
    sd_event_source* source = NULL;
    assert_result(sd_event_add_memory_pressure(loop, &source, on_pressure, &calls), 0);
    int peer = accept_one(server);
    if (written) assert_result(sd_event_run(loop, 0), 0);
    struct Inherited inherited = {loop, source};
    assert_int_equal(in_child(free_all, &inherited), 0);
    assert_result(sd_event_run(loop, 0), 0);
    char text[16];
    assert_int_equal(recv(peer, text, sizeof(text), MSG_DONTWAIT), 5);
    put_bytes(peer, 1);
    assert_result(sd_event_run(loop, UINT64_MAX), 1);
    assert_int_equal(calls.n, 1);
    sd_event_source_unref(source);
    sd_event_unref(loop);
    close(peer);
    close(server);
    unlink(path_of("socket"));
  }
}

int main(void) {
  exit_77_on_older();
  const struct CMUnitTest tests[] = {
      pressure_test(each_4_KiB_of_input_are_one_call),
      pressure_test(without_a_callback_pressure_is_taken_and_the_loop_goes_on),
      pressure_test(a_floating_source_is_the_loops),
      pressure_test(a_callback_that_fails_turns_its_source_off),
      pressure_test(off_means_that_nobody_looks),
      pressure_test(a_callback_may_free_its_source),
      pressure_test(a_fifo_whose_last_writer_has_gone_fails_once),
      pressure_test(a_socket_that_hangs_up_fails_once),
      pressure_test(a_socket_that_hangs_up_unheard_fails_once_and_raises_no_signal),
      pressure_test(a_hang_up_exits_the_loop_where_failures_shall),
      pressure_test(a_long_path_of_a_socket_is_no_obstacle),
      pressure_test(a_terminal_is_a_character_device_that_can_tell),
      pressure_test(a_rate_limit_holds_pressure_back),
      pressure_test(a_forked_child_that_frees_everything_changes_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
