// SPDX-License-Identifier: MIT
//
// Unit tests of notify.h: numbers, addresses, the way over vsock, the watchdog's variables.
//
// Idea: what a message over AF_UNIX carries is compared with the reference in abi/sd-daemon/. Here is what can't be
// compared: the parsers row by row, and vsock, whose other end is on another machine. For the latter this program
// replaces three calls of libc by its own, which play a hypervisor: a vsock address leads to a socket of AF_UNIX, types
// of sockets can be missing, and a stream takes three bytes at a time.
//
// Every test runs with the descriptors counted: a fixture checks that none is left.
#include "src/notify.h"

#include <dirent.h>
#include <errno.h>
#include <gtest/gtest.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "src/testing.h"

namespace {

// ---- A hypervisor ----

struct Hypervisor {
  int missing_dgram = 0;      // the error of making a socket of this type, 0: there are some
  int missing_seqpacket = 0;  // the error of connecting one
  int connections = 0;
  int largest_send = INT_MAX;  // bytes
  std::vector<int> types;      // of the sockets that were asked for, in order
};
Hypervisor* hypervisor = nullptr;

struct sockaddr_un stand_in(unsigned cid, unsigned port, socklen_t* size) {
  struct sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const int n = snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "evenkeel-vsock-%d-%u-%u",
                         static_cast<int>(getpid()), cid, port);
  *size = static_cast<socklen_t>(offsetof(struct sockaddr_un, sun_path) + 1 + static_cast<size_t>(n));
  return address;
}

int fail(int error) {
  errno = error;
  return -1;
}

}  // namespace

extern "C" int socket(int family, int type, int protocol) noexcept {
  if (!hypervisor || family != AF_VSOCK) return static_cast<int>(syscall(SYS_socket, family, type, protocol));
  const int kind = type & ~(SOCK_CLOEXEC | SOCK_NONBLOCK);
  hypervisor->types.push_back(kind);
  if (kind == SOCK_DGRAM && hypervisor->missing_dgram) return fail(hypervisor->missing_dgram);
  return static_cast<int>(syscall(SYS_socket, AF_UNIX, type, 0));
}

extern "C" int connect(int fd, const struct sockaddr* address, socklen_t size) {
  if (!hypervisor || address->sa_family != AF_VSOCK) return static_cast<int>(syscall(SYS_connect, fd, address, size));
  ++hypervisor->connections;
  if (hypervisor->types.back() == SOCK_SEQPACKET && hypervisor->missing_seqpacket)
    return fail(hypervisor->missing_seqpacket);
  struct sockaddr_vm vm = {};
  EXPECT_EQ(size, sizeof(vm));
  memcpy(&vm, address, sizeof(vm));
  const struct sockaddr_un un = stand_in(vm.svm_cid, vm.svm_port, &size);
  return static_cast<int>(syscall(SYS_connect, fd, &un, size));
}

extern "C" ssize_t sendmsg(int fd, const struct msghdr* message, int flags) {
  if (!hypervisor || message->msg_iov->iov_len <= static_cast<size_t>(hypervisor->largest_send))
    return syscall(SYS_sendmsg, fd, message, flags);
  struct iovec part = {message->msg_iov->iov_base, static_cast<size_t>(hypervisor->largest_send)};
  struct msghdr shorter = *message;
  shorter.msg_iov = &part;
  return syscall(SYS_sendmsg, fd, &shorter, flags);
}

namespace evenkeel {
namespace {

class NotifyTest : public ::testing::Test {
 protected:
  static int count_fds() {
    int n = 0;
    DIR* dir = opendir("/proc/self/fd");
    while (readdir(dir)) ++n;
    closedir(dir);
    return n;
  }
  static void clear() {
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) unsetenv(name);
  }
  void SetUp() override {
    clear();
    fds_ = count_fds();
  }
  void TearDown() override {
    hypervisor = nullptr;
    clear();
    EXPECT_EQ(count_fds(), fds_) << "descriptors were left open";
  }

  // The other end of vsock:CID:PORT, for the life of the object.
  class Listener {
   public:
    Listener(int type, unsigned cid, unsigned port) : type_(type) {
      socklen_t size = 0;
      const struct sockaddr_un address = stand_in(cid, port, &size);
      fd_ = ::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      EXPECT_EQ(::bind(fd_, reinterpret_cast<const struct sockaddr*>(&address), size), 0);
      if (type != SOCK_DGRAM) {
        EXPECT_EQ(::listen(fd_, 4), 0);
      }
    }
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    ~Listener() { ::close(fd_); }

    // Everything that one sender sent, or "nothing".
    std::string receive() const {
      const int connection = type_ == SOCK_DGRAM ? fd_ : ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0) return "nothing";
      std::string text;
      char part[64];
      for (ssize_t n; (n = ::recv(connection, part, sizeof(part), 0)) > 0;) text.append(part, static_cast<size_t>(n));
      if (connection != fd_) ::close(connection);
      return text;
    }

   private:
    int type_;
    int fd_ = -1;
  };

 private:
  int fds_ = 0;
};

// ---- Numbers ----

TEST_F(NotifyTest, NumbersAreTakenInEverySpellingOfTheReference) {
  struct Row {
    std::string_view text;
    int result;
    uint64_t magnitude;
    bool negative;
  };
  const Row rows[] = {
      {"0", 0, 0, false},
      {"7", 0, 7, false},
      {"-7", 0, 7, true},
      {"+7", 0, 7, false},
      {"-0", 0, 0, true},
      {" \t\n\v\f\r7", 0, 7, false},
      {"0x1F", 0, 31, false},
      {"-0x1f", 0, 31, true},
      {"017", 0, 15, false},
      {"0o17", 0, 15, false},
      {"0b101", 0, 5, false},
      {"0b-1", 0, 1, true},
      {"0B 1", 0, 1, false},
      {"18446744073709551615", 0, UINT64_MAX, false},
      {"0xffffffffffffffff", 0, UINT64_MAX, false},
      {"18446744073709551616", -ERANGE, 0, false},
      {"0x10000000000000000", -ERANGE, 0, false},
      {"99999999999999999999z", -ERANGE, 0, false},
      {"", -EINVAL, 0, false},
      {" ", -EINVAL, 0, false},
      {"-", -EINVAL, 0, false},
      {"x", -EINVAL, 0, false},
      {"7 ", -EINVAL, 0, false},
      {"0x", -EINVAL, 0, false},
      {"0xg", -EINVAL, 0, false},
      {"0x 1", -EINVAL, 0, false},
      {"0b", -EINVAL, 0, false},
      {"0b2", -EINVAL, 0, false},
      {"-0b1", -EINVAL, 0, false},
      {"09", -EINVAL, 0, false},
      {"1a", -EINVAL, 0, false},
      {{"7\0", 2}, -EINVAL, 0, false},
  };
  for (const Row& row : rows) {
    Integer value = {77, true};
    EXPECT_EQ(parse_integer(row.text, &value), row.result) << row.text;
    EXPECT_EQ(value.magnitude, row.result == 0 ? row.magnitude : 77) << row.text;
    EXPECT_EQ(value.negative, row.result == 0 ? row.negative : true) << row.text;
  }
}

TEST_F(NotifyTest, UnsignedNumbersEndAtTheirMaximum) {
  uint64_t value = 0;
  EXPECT_EQ(parse_unsigned("100", 100, &value), 0);
  EXPECT_EQ(value, 100U);
  EXPECT_EQ(parse_unsigned("-0", 100, &value), 0);
  EXPECT_EQ(value, 0U);
  EXPECT_EQ(parse_unsigned("101", 100, &value), -ERANGE);
  EXPECT_EQ(parse_unsigned("-1", 100, &value), -ERANGE);
  EXPECT_EQ(parse_unsigned("", 100, &value), -EINVAL);
}

TEST_F(NotifyTest, ProcessIdsArePositiveInts) {
  pid_t pid = 0;
  EXPECT_EQ(parse_pid("2147483647", &pid), 0);
  EXPECT_EQ(pid, INT_MAX);
  EXPECT_EQ(parse_pid("2147483648", &pid), -ERANGE);
  EXPECT_EQ(parse_pid("0", &pid), -ERANGE);
  EXPECT_EQ(parse_pid("-1", &pid), -ERANGE);
  EXPECT_EQ(parse_pid("self", &pid), -EINVAL);
}

// ---- Addresses ----

TEST_F(NotifyTest, APathKeepsItsNulAndAnAbstractNameHasNone) {
  NotifyAddress address;
  ASSERT_EQ(parse_notify_address("/run/x", &address), 0);
  EXPECT_EQ(address.un.sun_family, AF_UNIX);
  EXPECT_STREQ(address.un.sun_path, "/run/x");
  EXPECT_EQ(address.size, offsetof(struct sockaddr_un, sun_path) + 7);
  EXPECT_EQ(address.type, SOCK_DGRAM);
  ASSERT_EQ(parse_notify_address("@x", &address), 0);
  EXPECT_EQ(memcmp(address.un.sun_path, "\0x\0", 3), 0);
  EXPECT_EQ(address.size, offsetof(struct sockaddr_un, sun_path) + 2);
}

TEST_F(NotifyTest, AVsockAddressSaysWhichKindOfSocket) {
  struct Row {
    const char* text;
    int type;
    bool fall_back;
  };
  for (const Row& row :
       {Row{"vsock:2:1234", SOCK_DGRAM, true}, Row{"vsock-dgram:2:1234", SOCK_DGRAM, false},
        Row{"vsock-seqpacket:2:1234", SOCK_SEQPACKET, false}, Row{"vsock-stream:2:1234", SOCK_STREAM, false}}) {
    NotifyAddress address;
    ASSERT_EQ(parse_notify_address(row.text, &address), 0) << row.text;
    EXPECT_EQ(address.vm.svm_family, AF_VSOCK);
    EXPECT_EQ(address.vm.svm_cid, 2U);
    EXPECT_EQ(address.vm.svm_port, 1234U);
    EXPECT_EQ(address.size, sizeof(struct sockaddr_vm));
    EXPECT_EQ(address.type, row.type);
    EXPECT_EQ(address.fall_back, row.fall_back);
  }
}

void expect_refused(std::initializer_list<const char*> texts, int error) {
  for (const char* text : texts) {
    NotifyAddress address;
    EXPECT_EQ(parse_notify_address(text, &address), error) << text;
  }
}

TEST_F(NotifyTest, WhatIsNoAddressSaysWhy) {
  expect_refused({"", "x", "vsock", "vsock-raw:2:1", "Vsock:2:1"}, -EPROTO);
  expect_refused({"@", "/", "vsock:", "vsock:2", "vsock:2:", "vsock::1", "vsock:2:1:"}, -EINVAL);
  expect_refused({"vsock:-1:1", "vsock:4294967295:1", "vsock:2:4294967295"}, -EINVAL);
  expect_refused({"vsock:2:-1", "vsock:4294967296:1", "vsock:2:4294967296", "vsock:x:4294967296"}, -ERANGE);
}

// ---- Over vsock ----

TEST_F(NotifyTest, AHypervisorWithDatagramsGetsOne) {
  Hypervisor here;
  const Listener listener(SOCK_DGRAM, 3, 99);
  hypervisor = &here;
  setenv("NOTIFY_SOCKET", "vsock:3:99", 1);
  EXPECT_EQ(notify("READY=1"), 1);
  EXPECT_EQ(listener.receive(), "READY=1");
  EXPECT_EQ(here.types, (std::vector<int>{SOCK_DGRAM}));
}

TEST_F(NotifyTest, AHypervisorWithoutDatagramsGetsAMessageOverAConnection) {
  for (const int error : {ENODEV, ESOCKTNOSUPPORT, EPROTONOSUPPORT, EOPNOTSUPP}) {
    Hypervisor here;
    here.missing_dgram = error;
    const Listener listener(SOCK_SEQPACKET, 3, 99);
    hypervisor = &here;
    setenv("NOTIFY_SOCKET", "vsock:3:99", 1);
    EXPECT_EQ(notify("READY=1"), 1) << error;
    EXPECT_EQ(listener.receive(), "READY=1");
    EXPECT_EQ(here.types, (std::vector<int>{SOCK_DGRAM, SOCK_SEQPACKET}));
    hypervisor = nullptr;
  }
}

TEST_F(NotifyTest, AKindOfSocketThatWasAskedForIsNotReplaced) {
  Hypervisor here;
  here.missing_dgram = ENODEV;
  here.missing_seqpacket = ESOCKTNOSUPPORT;
  hypervisor = &here;
  setenv("NOTIFY_SOCKET", "vsock-dgram:3:99", 1);
  EXPECT_EQ(notify("READY=1"), -ENODEV);
  setenv("NOTIFY_SOCKET", "vsock-seqpacket:3:99", 1);
  EXPECT_EQ(notify("READY=1"), -ESOCKTNOSUPPORT);
  setenv("NOTIFY_SOCKET", "vsock:3:99", 1);
  EXPECT_EQ(notify("READY=1"), -ESOCKTNOSUPPORT);
  EXPECT_EQ(here.types, (std::vector<int>{SOCK_DGRAM, SOCK_SEQPACKET, SOCK_DGRAM, SOCK_SEQPACKET}));
}

TEST_F(NotifyTest, AManagerThatDoesNotListenIsNoReasonForAnotherKindOfSocket) {
  Hypervisor here;
  hypervisor = &here;
  setenv("NOTIFY_SOCKET", "vsock:3:99", 1);
  EXPECT_EQ(notify("READY=1"), -ECONNREFUSED);
  EXPECT_EQ(here.types, (std::vector<int>{SOCK_DGRAM}));
}

TEST_F(NotifyTest, AStreamTakesItsMessageInParts) {
  Hypervisor here;
  here.largest_send = 3;
  const Listener listener(SOCK_STREAM, 3, 99);
  hypervisor = &here;
  setenv("NOTIFY_SOCKET", "vsock-stream:3:99", 1);
  EXPECT_EQ(notify("READY=1\nSTATUS=x"), 1);
  EXPECT_EQ(listener.receive(), "READY=1\nSTATUS=x");
  EXPECT_EQ(notify(""), 1);
  EXPECT_EQ(listener.receive(), "");
  EXPECT_EQ(listener.receive(), "nothing");
}

TEST_F(NotifyTest, AnErrorOfTheKernelIsToldAndNothingIsTriedAgain) {
  struct Case {
    const char* address;
    kernel::Call call;
    int error;
  };
  const Case cases[] = {{"vsock-stream:3:99", kernel::Call::kSocket, -EMFILE},
                        {"vsock-stream:3:99", kernel::Call::kSendmsg, -ECONNRESET},
                        {"@evenkeel-nobody", kernel::Call::kSocket, -EMFILE},
                        {"@evenkeel-nobody", kernel::Call::kSendmsg, -ENOBUFS}};
  const Listener listener(SOCK_STREAM, 3, 99);
  for (const Case& row : cases) {
    Hypervisor here;
    hypervisor = &here;
    setenv("NOTIFY_SOCKET", row.address, 1);
    test::Faults faults;
    faults.fail(row.call, row.error);
    EXPECT_EQ(notify("READY=1"), row.error) << row.address;
    EXPECT_EQ(faults.n(row.call), 1);
    hypervisor = nullptr;
  }
}

TEST_F(NotifyTest, ABarrierWithoutAPipeIsNoneAndSaysSo) {
  setenv("NOTIFY_SOCKET", "@evenkeel-nobody", 1);
  test::Faults faults;
  faults.fail(kernel::Call::kPipe, -EMFILE);
  EXPECT_EQ(notify_barrier(0, kForever), -EMFILE);
  EXPECT_EQ(faults.n(kernel::Call::kSendmsg), 0);
}

TEST_F(NotifyTest, DescriptorsDoNotGoOverVsock) {
  Hypervisor here;
  const Listener listener(SOCK_DGRAM, 3, 99);
  hypervisor = &here;
  setenv("NOTIFY_SOCKET", "vsock:3:99", 1);
  const int fds[] = {1};
  test::Faults faults;
  EXPECT_EQ(notify({.state = "FDSTORE=1", .fds = fds}), -EOPNOTSUPP);
  EXPECT_EQ(notify_barrier(0, kForever), -EOPNOTSUPP);
  EXPECT_EQ(faults.n(kernel::Call::kSendmsg), 0);
  EXPECT_EQ(here.types,
            (std::vector<int>{SOCK_DGRAM, SOCK_DGRAM}));  // One each: to have them refused is no lack of a type.
}

TEST_F(NotifyTest, MoreDescriptorsThanTheKernelTakesAreTooManyWithoutAManagerToo) {
  const std::vector<int> fds(254, 1);
  EXPECT_EQ(notify({.state = "A=1", .fds = fds}), -E2BIG);
}

// ---- The environment ----

TEST_F(NotifyTest, WithoutAManagerNothingHappens) {
  EXPECT_EQ(notify("READY=1"), 0);
  EXPECT_EQ(notify_barrier(0, kForever), 0);
  Usec period = 77;
  EXPECT_EQ(watchdog_enabled(&period), 0);
  EXPECT_EQ(period, 77U);
}

TEST_F(NotifyTest, TheVariablesAreReadAndStay) {
  setenv("NOTIFY_SOCKET", "bad", 1);
  EXPECT_EQ(notify("READY=1"), -EPROTO);
  EXPECT_EQ(notify_barrier(0, 0), -EPROTO);
  EXPECT_STREQ(getenv("NOTIFY_SOCKET"), "bad");
}

TEST_F(NotifyTest, TheWatchdogIsForTheProcessThatIsNamed) {
  Usec period = 77;
  setenv("WATCHDOG_USEC", "3000000", 1);
  EXPECT_EQ(watchdog_enabled(&period), 1);
  EXPECT_EQ(period, 3 * kUsecPerSec);
  period = 77;
  setenv("WATCHDOG_PID", "1", 1);
  EXPECT_EQ(watchdog_enabled(&period), 0);
  setenv("WATCHDOG_PID", std::to_string(getpid()).c_str(), 1);
  setenv("WATCHDOG_USEC", "18446744073709551615", 1);
  EXPECT_EQ(watchdog_enabled(&period), -EINVAL);
  EXPECT_EQ(period, 77U);
}

TEST_F(NotifyTest, ErrnoIsTheCallers) {
  setenv("NOTIFY_SOCKET", "/nowhere/at/all", 1);
  errno = EDOM;
  EXPECT_EQ(notify("READY=1"), -ENOENT);
  EXPECT_EQ(errno, EDOM);
}

}  // namespace
}  // namespace evenkeel
