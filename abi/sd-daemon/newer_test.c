// SPDX-License-Identifier: MIT
//
// What the oldest reference does not have: sd_pid_notifyf_with_fds and sd_pid_notify_barrier (254), and vsock addresses
// (253).
//
// The idea: the two functions are combinations of older ones, so they must agree with them. Of vsock only that is
// tested which sends nothing: the address is on the other side of a hypervisor, and tests stay on their machine. The
// real thing runs where the kernel has the local transport of vsock, on this machine then. See
// daemon_harness.h.
#include "daemon_harness.h"
#include "fake_manager.h"
// It uses what sys/socket.h declares.
#include <linux/vm_sockets.h>

#pragma weak sd_pid_notify_barrier

static const char* no_text(void) { return NULL; }

// ---- sd_pid_notifyf_with_fds ----

static void a_format_may_come_with_descriptors(void** state) {
  (void)state;
  const int manager = start_manager();
  const int fds[2] = {manager, manager};
  errno = ENOSPC;
  assert_int_equal(sd_pid_notifyf_with_fds(1, 0, fds, 2, "FDSTORE=%d\nSTATUS=%m", 1), 1);
  receive(manager);
  assert_string_equal(message()->text, "FDSTORE=1\nSTATUS=No space left on device");
  assert_int_equal(message()->sender.pid, geteuid() == 0 ? 1 : getpid());
  assert_int_equal(message()->n_fds, 2);
  close_received();
  assert_int_equal(sd_pid_notifyf_with_fds(0, 0, NULL, 0, "%s", "A=1"), 1);
  receive(manager);
  assert_string_equal(message()->text, "A=1");
  assert_int_equal(message()->sender.pid, getpid());
  assert_int_equal(message()->n_fds, 0);
  close(manager);
}

static void a_format_with_descriptors_fails_like_its_parts(void** state) {
  (void)state;
  static int fds[254];
  const int manager = start_manager();
  for (size_t i = 0; i < lengthof(fds); i++) fds[i] = manager;
  assert_int_equal(sd_pid_notifyf_with_fds(0, 0, fds, 1, no_text(), 0), -EINVAL);
  assert_int_equal(sd_pid_notifyf_with_fds(0, 0, NULL, 1, "A=1"), -EINVAL);
  assert_int_equal(sd_pid_notifyf_with_fds(0, 0, fds, 254, "A=1"), -E2BIG);
  assert_int_equal(sd_pid_notifyf_with_fds(0, 0, fds, SIZE_MAX / sizeof(int), "A=1"), -E2BIG);
  assert_int_equal(sd_pid_notifyf_with_fds(0, 0, &(int){-1}, 1, "A=1"), -EBADF);
  assert_int_equal(sd_pid_notifyf_with_fds(0, 0, NULL, 0, "%ls", L"\x3b1"), -ENOMEM);
  assert_non_null(getenv("NOTIFY_SOCKET"));
  assert_int_equal(sd_pid_notifyf_with_fds(0, 1, fds, 1, no_text(), 0), -EINVAL);
  assert_null(getenv("NOTIFY_SOCKET"));
  assert_int_equal(sd_pid_notifyf_with_fds(0, 1, fds, 1, "A=1"), 0);
  close(manager);
}

// ---- sd_pid_notify_barrier ----

static void a_barrier_may_be_on_behalf_of_another(void** state) {
  (void)state;
  const int manager = start_manager();
  assert_int_equal(sd_pid_notify_barrier(1, 0, 1000), -ETIMEDOUT);
  receive(manager);
  assert_string_equal(message()->text, "BARRIER=1");
  assert_int_equal(message()->sender.pid, geteuid() == 0 ? 1 : getpid());
  assert_int_equal(message()->n_fds, 1);
  close_received();
  assert_int_equal(sd_pid_notify_barrier(0, 1, 0), -ETIMEDOUT);
  receive(manager);
  assert_int_equal(message()->sender.pid, getpid());
  close_received();
  assert_null(getenv("NOTIFY_SOCKET"));
  assert_int_equal(sd_pid_notify_barrier(1, 1, UINT64_MAX), 0);
  set_variable("NOTIFY_SOCKET", "no address");
  assert_int_equal(sd_pid_notify_barrier(1, 1, UINT64_MAX), -EPROTO);
  assert_null(getenv("NOTIFY_SOCKET"));
  close(manager);
}

// ---- vsock ----

static void a_vsock_address_needs_both_numbers_and_no_wildcard(void** state) {
  (void)state;
  static const char* const kSchemes[] = {"vsock", "vsock-dgram", "vsock-seqpacket", "vsock-stream"};
  static const struct {
    const char* text;
    int result;
  } kBad[] = {
      {"", -EPROTO},
      {"2:1", -EPROTO},
      {":", -EINVAL},
      {":2", -EINVAL},
      {":2:", -EINVAL},
      {":2:x", -EINVAL},
      {":x:1", -EINVAL},
      {"::1", -EINVAL},
      {":2:1:", -EINVAL},
      {":2:1:1", -EINVAL},
      {":2:1 ", -EINVAL},
      {":4294967295:1", -EINVAL},
      {":2:4294967295", -EINVAL},
      {":2:-1", -ERANGE},
      {":4294967296:1", -ERANGE},
      {":2:4294967296", -ERANGE},
      {":99999999999999999999:1", -ERANGE},
      {":x:4294967296", -ERANGE},
      {":4294967296:x", -EINVAL},
  };
  for (size_t s = 0; s < lengthof(kSchemes); s++)
    for (size_t i = 0; i < lengthof(kBad); i++) {
      char address[100];
      snprintf(address, sizeof(address), "%s%s", kSchemes[s], kBad[i].text);
      set_variable("NOTIFY_SOCKET", address);
      expect_case(address, sd_notify(0, "A=1"), kBad[i].result);
      expect_case(address, sd_notify_barrier(1, 0), kBad[i].result);
    }
}

static void a_vsock_address_without_a_peer_is_einval(void** state) {
  (void)state;
  set_variable("NOTIFY_SOCKET", "vsock:-1:1");
  assert_int_equal(sd_notify(0, "A=1"), differs(kVsockNobody, -ERANGE, -EINVAL));
}

// What the socket or the connection says comes first, and is what a message without descriptors gets.
static void vsock_carries_no_descriptors(void** state) {
  (void)state;
  static const char* const kGood[] = {"vsock:2:1", "vsock-dgram:2:1", "vsock-seqpacket:2:1", "vsock-stream:2:1"};
  for (size_t i = 0; i < lengthof(kGood); i++) {
    set_variable("NOTIFY_SOCKET", kGood[i]);
    const int plain = sd_notify(0, "A=1"), expected = plain < 0 ? plain : -EOPNOTSUPP;
    assert_int_equal(sd_pid_notify_with_fds(0, 0, "A=1", &(int){1}, 1), expected);
    assert_int_equal(sd_pid_notifyf_with_fds(0, 0, &(int){1}, 1, "A=1"), expected);
    assert_int_equal(sd_notify_barrier(0, 0), expected);
    assert_int_equal(sd_pid_notify_barrier(1, 0, UINT64_MAX), expected);
    assert_int_equal(sd_pid_notify_with_fds(0, 0, "A=1", (int[254]){0}, 254), -E2BIG);
  }
}

// Bound to the local address, which only the local transport has: what is sent there never leaves the machine.
static int listen_locally(int type, unsigned* port) {
  struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_LOCAL, .svm_port = VMADDR_PORT_ANY};
  socklen_t size = sizeof(address);
  const int fd = socket(AF_VSOCK, type | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  if (bind(fd, (struct sockaddr*)&address, size) == 0 && getsockname(fd, (struct sockaddr*)&address, &size) == 0 &&
      listen(fd, 1) == 0) {
    *port = address.svm_port;
    return fd;
  }
  close(fd);
  return -1;
}

static void a_message_arrives_over_local_vsock(void** state) {
  (void)state;
  static const struct {
    const char* scheme;
    int type;
  } kWays[] = {{"vsock", SOCK_SEQPACKET}, {"vsock-seqpacket", SOCK_SEQPACKET}, {"vsock-stream", SOCK_STREAM}};
  for (size_t i = 0; i < lengthof(kWays); i++) {
    char address[100], text[100] = "";
    unsigned port = 0;
    const int fd = listen_locally(kWays[i].type, &port);
    if (fd < 0) {
      print_message("no local vsock transport here: %s\n", strerror(errno));
      skip();
    }
    snprintf(address, sizeof(address), "%s:%d:%u", kWays[i].scheme, VMADDR_CID_LOCAL, port);
    set_variable("NOTIFY_SOCKET", address);
    expect_case(address, sd_notify(0, "READY=1"), 1);
    const int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    assert_int_equal(recv(connection, text, sizeof(text), MSG_WAITALL), 7);
    assert_string_equal(text, "READY=1");
    close(connection);
    close(fd);
  }
}

int main(void) {
  if (!sd_pid_notify_barrier) {
    printf("skipped: this libsystemd has not all of the functions\n");
    return 77;
  }
  const struct CMUnitTest tests[] = {
      clean_test(a_format_may_come_with_descriptors),
      clean_test(a_format_with_descriptors_fails_like_its_parts),
      clean_test(a_barrier_may_be_on_behalf_of_another),
      clean_test(a_vsock_address_needs_both_numbers_and_no_wildcard),
      clean_test(a_vsock_address_without_a_peer_is_einval),
      clean_test(vsock_carries_no_descriptors),
      clean_test(a_message_arrives_over_local_vsock),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
