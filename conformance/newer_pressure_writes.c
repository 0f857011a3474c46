// SPDX-License-Identifier: MIT
//
// Pressure sources on FIFOs and sockets: the settings that they write first.
//
// Invariants under test:
// 1. What $X_PRESSURE_WRITE says is written before the first wait in which the source is on, once, any byte of it.
// 2. What the other end does not take at once follows when it takes more, to the last byte; until then the loop sleeps.
//    On the reference it never follows, and the source stays deaf (kPressureRoom).
// 3. A FIFO gives back what is written to it: while there is more to write, the source takes nothing out.
#include "newer_pressure.h"

static void what_is_to_be_written_is_written_before_the_first_wait_and_once(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int server = make_server(memory_resource, SOCK_STREAM);
  setenv("MEMORY_PRESSURE_WRITE", "AP8KaGVsbG8A", 1);  // 0x00 0xff '\n' "hello" 0x00
  struct Calls calls = {0, 0};
  sd_event_source* source = NULL;
  assert_result(sd_event_add_memory_pressure(loop, &source, on_pressure, &calls), 0);
  int peer = accept_one(server);
  char text[32];
  assert_int_equal(recv(peer, text, sizeof(text), MSG_DONTWAIT), -1);
  assert_result(sd_event_prepare(loop), 0);
  assert_int_equal(recv(peer, text, sizeof(text), MSG_DONTWAIT), 9);
  assert_memory_equal(text, "\0\377\nhello", 9);
  assert_result(sd_event_wait(loop, 0), 0);
  put_bytes(peer, 5);
  assert_result(sd_event_run(loop, UINT64_MAX), 1);
  assert_int_equal(calls.n, 1);
  assert_result(sd_event_source_set_enabled(source, SD_EVENT_OFF), 0);
  assert_result(sd_event_source_set_enabled(source, SD_EVENT_ON), 0);
  assert_result(sd_event_run(loop, 0), 0);
  assert_int_equal(recv(peer, text, sizeof(text), MSG_DONTWAIT), -1);
  sd_event_source_unref(source);
  sd_event_unref(loop);
  close(peer);
  close(server);
}

static int write_when_on(void* nothing) {
  (void)nothing;
  sd_event* loop = make_loop();
  int server = make_server(memory_resource, SOCK_STREAM);
  setenv("MEMORY_PRESSURE_WRITE", "aGVsbG8=", 1);
  sd_event_source* source = NULL;
  assert_result(sd_event_add_memory_pressure(loop, &source, on_event, NULL), 0);
  int peer = accept_one(server);
  char text[32];
  assert_result(sd_event_source_set_enabled(source, SD_EVENT_OFF), 0);
  assert_result(sd_event_run(loop, 0), 0);
  assert_int_equal(recv(peer, text, sizeof(text), MSG_DONTWAIT), -1);
  assert_result(sd_event_source_set_enabled(source, SD_EVENT_ON), 0);
  assert_result(sd_event_run(loop, 0), 0);
  assert_int_equal(recv(peer, text, sizeof(text), MSG_DONTWAIT), 5);
  // Turned on between prepare and wait: the wait must not begin without it.
  sd_event_source* late = NULL;
  assert_result(sd_event_prepare(loop), 0);
  assert_result(sd_event_add_memory_pressure(loop, &late, on_event, NULL), 0);
  int late_peer = accept_one(server);
  assert_result(sd_event_wait(loop, 0), 0);
  assert_int_equal(recv(late_peer, text, sizeof(text), MSG_DONTWAIT), 5);
  sd_event_source_unref(late);
  sd_event_source_unref(source);
  sd_event_unref(loop);
  close(late_peer);
  close(peer);
  close(server);
  return 0;
}

static void a_source_that_is_off_writes_when_it_is_on(void** state) {
  (void)state;
  assert_result(in_child(write_when_on, NULL), differs(kPressureOff, died_of(SIGABRT), 0));
  unlink(path_of("socket"));
}

enum { kLong = 90000 };  // bytes; Base64 of it fits into one variable

// Base64 of kLong bytes that are all different from their neighbours.
static void set_long_write(const struct Resource* resource, unsigned char* bytes) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  char* text = malloc(kLong / 3 * 4 + 1);
  assert_non_null(text);
  size_t used = 0;
  for (size_t i = 0; i < kLong; i += 3) {
    for (size_t k = 0; k < 3; k++) bytes[i + k] = (unsigned char)((i + k) * 7 + (i + k) / 251);
    unsigned bits = (unsigned)bytes[i] << 16 | (unsigned)bytes[i + 1] << 8 | bytes[i + 2];
    for (int shift = 18; shift >= 0; shift -= 6) text[used++] = digits[bits >> shift & 63];
  }
  text[used] = '\0';
  setenv(resource->write, text, 1);
  free(text);
}

static void what_a_socket_does_not_take_at_once_follows(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int server = make_server(memory_resource, SOCK_STREAM);
  static unsigned char sent[kLong], got[kLong + 1];
  set_long_write(memory_resource, sent);
  struct Calls calls = {0, 0};
  sd_event_source* sources[4] = {NULL};
  // More than one, to fill what the kernel has room for; the room of a socket of AF_UNIX is the sender's buffer.
  for (size_t i = 0; i < lengthof(sources); i++)
    assert_result(sd_event_add_memory_pressure(loop, &sources[i], on_pressure, &calls), 0);
  for (size_t i = 0; i < lengthof(sources); i++) {
    int peer = accept_one(server);
    size_t n = 0;
    bool asked = false;
    while (n < kLong) {
      ssize_t r = recv(peer, got + n, 1000, MSG_DONTWAIT);
      if (r > 0) {
        n += (size_t)r;
        // Pressure may come before all is written.
        if (!asked && n > 5000) {
          int before = calls.n;
          put_bytes(peer, 1);
          while (calls.n == before) assert_true(sd_event_run(loop, UINT64_MAX) >= 0);
          asked = true;
        }
        continue;
      }
      assert_int_equal(errno, EAGAIN);
      assert_true(sd_event_run(loop, 0) >= 0);
    }
    assert_memory_equal(got, sent, kLong);
    assert_result(sd_event_run(loop, 0), 0);
    assert_int_equal(recv(peer, got, 1, MSG_DONTWAIT), -1);
    assert_int_equal(enabled_state(sources[i]), SD_EVENT_ON);
    sd_event_source_unref(sources[i]);
    close(peer);
  }
  assert_int_equal(calls.n, (int)lengthof(sources));
  sd_event_unref(loop);
  close(server);
}

static void what_a_fifo_does_not_take_at_once_follows(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fifo = make_fifo(memory_resource, "fifo"), size = fcntl(fifo, F_SETPIPE_SZ, 4096);
  assert_true(size > 0 && size < kLong / 2);
  static unsigned char sent[kLong], got[kLong];
  set_long_write(memory_resource, sent);
  struct Calls calls = {0, 0};
  sd_event_source* source = NULL;
  assert_result(sd_event_add_memory_pressure(loop, &source, on_pressure, &calls), 0);
  size_t n = 0;
  ssize_t r;
  // Until the last of it is in the FIFO the source must not take it out again.
  do {
    assert_result(sd_event_prepare(loop), 0);
    r = read(fifo, got + n, kLong - n);
    if (r > 0) n += (size_t)r;
    assert_result(sd_event_wait(loop, 0), 0);
  } while (r > 0);
  assert_int_equal(n, differs(kPressureRoom, size, kLong));
  assert_memory_equal(got, sent, n);
  assert_int_equal(calls.n, 0);
  put_bytes(fifo, 1);
  assert_result(sd_event_run(loop, 0), differs(kPressureRoom, 0, 1));
  assert_int_equal(calls.n, differs(kPressureRoom, 0, 1));
  sd_event_source_unref(source);
  sd_event_unref(loop);
  close(fifo);
}

// A short write goes into a FIFO as a whole or not at all.
static void what_a_full_fifo_has_no_room_for_follows_when_it_has(void** state) {
  (void)state;
  static const int kept_free[] = {0, 1, 4};
  for (size_t i = 0; i < lengthof(kept_free); i++) {
    sd_event* loop = make_loop();
    int fifo = make_fifo(memory_resource, "fifo"), size = fcntl(fifo, F_SETPIPE_SZ, 4096);
    setenv("MEMORY_PRESSURE_WRITE", "aGVsbG8=", 1);
    put_bytes(fifo, (size_t)(size - kept_free[i]));
    struct Calls calls = {0, 0};
    sd_event_source* source = NULL;
    assert_result(sd_event_add_memory_pressure(loop, &source, on_pressure, &calls), 0);
    for (int k = 0; k < 2; k++) assert_result(sd_event_run(loop, 0), 0);
    char bytes[4096];
    assert_int_equal(read(fifo, bytes, sizeof(bytes)), size - kept_free[i]);
    assert_result(sd_event_prepare(loop), 0);
    assert_result(sd_event_wait(loop, 0), 0);
    // What is written is what a FIFO has to read.
    assert_result(sd_event_prepare(loop), 0);
    assert_result(sd_event_wait(loop, 0), differs(kPressureRoom, 0, 1));
    if (!as_reference(kPressureRoom)) assert_result(sd_event_dispatch(loop), 1);
    assert_int_equal(read(fifo, bytes, sizeof(bytes)), -1);
    put_bytes(fifo, 1);
    assert_result(sd_event_run(loop, 0), differs(kPressureRoom, 0, 1));
    assert_int_equal(calls.n, differs(kPressureRoom, 0, 2));
    assert_int_equal(enabled_state(source), SD_EVENT_ON);
    sd_event_source_unref(source);
    sd_event_unref(loop);
    close(fifo);
    assert_int_equal(unlink(path_of("fifo")), 0);
  }
}

static void a_loop_that_has_no_room_to_write_sleeps(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  int fifo = make_fifo(memory_resource, "fifo");
  assert_true(fcntl(fifo, F_SETPIPE_SZ, 4096) > 0);
  static unsigned char sent[kLong];
  set_long_write(memory_resource, sent);
  assert_result(sd_event_add_memory_pressure(loop, NULL, on_event, NULL), 0);
  assert_result(sd_event_prepare(loop), 0);
  struct pollfd outer = {sd_event_get_fd(loop), POLLIN, 0};
  assert_int_equal(poll(&outer, 1, 0), 0);
  char waste[4096];
  assert_true(read(fifo, waste, sizeof(waste)) > 0);
  assert_int_equal(poll(&outer, 1, as_reference(kPressureRoom) ? 0 : -1), differs(kPressureRoom, 0, 1));
  assert_result(sd_event_wait(loop, 0), 0);
  assert_result(sd_event_prepare(loop), 0);
  assert_int_equal(poll(&outer, 1, 0), 0);
  sd_event_unref(loop);
  close(fifo);
}

int main(void) {
  exit_77_on_older();
  const struct CMUnitTest tests[] = {
      pressure_test(what_is_to_be_written_is_written_before_the_first_wait_and_once),
      pressure_test(a_source_that_is_off_writes_when_it_is_on),
      pressure_test(what_a_socket_does_not_take_at_once_follows),
      pressure_test(what_a_fifo_does_not_take_at_once_follows),
      pressure_test(what_a_full_fifo_has_no_room_for_follows_when_it_has),
      pressure_test(a_loop_that_has_no_room_to_write_sleeps),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
