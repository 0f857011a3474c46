// SPDX-License-Identifier: MIT
//
// Unit tests of pressure_source.h and pressure_config.h: what the C ABI can't see or provoke.
//
// Idea: the kernel is made to fail, call by call, by the fault hook, until adding a source succeeds; after each failure
// there are as many descriptors as before. A PSI file can't be had everywhere, so the kernel's answers to a write are
// played to the source as well. What programs see is tested in conformance/newer_pressure*.c.
//
// Every test runs with the descriptors counted, and with none of the variables set.
#include "src/pressure_source.h"

#include <dirent.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "src/kernel.h"
#include "src/loop.h"
#include "src/pressure_config.h"

namespace evenkeel {
namespace {

int count_fds() {
  DIR* dir = opendir("/proc/self/fd");
  int n = 0;
  while (readdir(dir)) ++n;
  closedir(dir);
  return n;
}

// What the hook does.
struct Faults {
  int countdown = -1;  // Of the calls until one fails with `error`; -1: none does.
  int error = -ENOMEM;
  kernel::Call only = kernel::Call::kMalloc;  // Where `any_call` is false.
  bool any_call = true;
  int calls = 0;
};
Faults* faults = nullptr;

int inject(kernel::Call call) {
  if (!faults || call == kernel::Call::kClose || (!faults->any_call && call != faults->only)) return 0;
  ++faults->calls;
  if (faults->countdown < 0 || faults->countdown-- > 0) return 0;
  return faults->error;
}

int count_call(Source*, void* userdata) {
  ++*static_cast<int*>(userdata);
  return 0;
}

class Pressure : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"MEMORY_PRESSURE_WATCH", "MEMORY_PRESSURE_WRITE", "CPU_PRESSURE_WATCH",
                             "CPU_PRESSURE_WRITE", "IO_PRESSURE_WATCH", "IO_PRESSURE_WRITE"})
      unsetenv(name);
    char name[] = "/tmp/evenkeel-pressure-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    directory_ = name;
    n_fds_ = count_fds();
    ASSERT_GE(Loop::create(&loop_), 0);
    kernel::fault_hook = inject;
  }
  void TearDown() override {
    faults = nullptr;
    kernel::fault_hook = nullptr;
    if (loop_) loop_->unref();
    EXPECT_EQ(count_fds(), n_fds_);
    for (const char* name : {"fifo", "socket"}) (void)unlink((directory_ + "/" + name).c_str());
    EXPECT_EQ(rmdir(directory_.c_str()), 0);
  }

  std::string make_fifo() {
    const std::string path = directory_ + "/fifo";
    EXPECT_EQ(mkfifo(path.c_str(), 0600), 0);
    return path;
  }
  int make_server() {
    const std::string path = directory_ + "/socket";
    struct sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(::bind(fd, reinterpret_cast<struct sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(::listen(fd, 8), 0);
    setenv("MEMORY_PRESSURE_WATCH", path.c_str(), 1);
    return fd;
  }
  int add(Source** ret, Kind kind = Kind::kMemoryPressure) {
    return PressureSource::add(*loop_, ret, kind, count_call, &n_calls_);
  }
  bool kernel_has_pressure() {
    Source* source = nullptr;
    const int r = add(&source);
    if (r >= 0) source->unref();
    return r >= 0;
  }
  // Lets each call of `add` fail in turn; every failure leaves all as it was.
  void fail_everywhere(int at_least = 3) {
    int n_failures = 0;
    for (int i = 0;; ++i) {
      Faults fail;
      fail.countdown = i;
      const int before = count_fds();
      const size_t n_sources = loop_->poller().n_sources();
      Source* source = nullptr;
      faults = &fail;
      const int r = add(&source);
      faults = nullptr;
      if (fail.countdown >= 0) {  // There are not so many calls.
        ASSERT_GE(r, 0);
        source->unref();
        break;
      }
      if (r >= 0) {  // It could do without that call.
        source->unref();
      } else {
        EXPECT_EQ(source, nullptr);
        ++n_failures;
      }
      EXPECT_EQ(count_fds(), before);
      EXPECT_EQ(loop_->poller().n_sources(), n_sources);
      EXPECT_TRUE(loop_->pressure_writes().empty());
    }
    EXPECT_GE(n_failures, at_least);
  }

  Loop* loop_ = nullptr;
  std::string directory_;
  int n_fds_ = 0;
  int n_calls_ = 0;
};

TEST_F(Pressure, is_refused_while_something_is_short_and_never_taken_from_the_whole_machine_then) {
  for (const int error : {-EMFILE, -ENFILE, -ENOMEM}) {
    Faults fail;
    fail.any_call = false;
    fail.only = kernel::Call::kOpen;
    fail.countdown = 0;
    fail.error = error;
    faults = &fail;
    Source* source = nullptr;
    EXPECT_EQ(add(&source), error);
    faults = nullptr;
    EXPECT_EQ(fail.calls, 1);
  }
}

TEST_F(Pressure, adding_a_source_that_fails_anywhere_leaves_nothing_behind) {
  setenv("MEMORY_PRESSURE_WATCH", make_fifo().c_str(), 1);
  fail_everywhere();
  setenv("MEMORY_PRESSURE_WRITE", "aGVsbG8=", 1);
  fail_everywhere();
}

TEST_F(Pressure, adding_a_source_of_a_socket_that_fails_anywhere_leaves_nothing_behind) {
  const int server = make_server();
  // Each attempt that gets so far is a connection.
  for (int i = 0; i < 2; ++i) {
    Source* source = nullptr;
    ASSERT_GE(add(&source), 0);
    source->unref();
  }
  Faults fail;
  fail.any_call = false;
  for (const kernel::Call call : {kernel::Call::kSocket, kernel::Call::kConnect, kernel::Call::kEpollCtl,
                                  kernel::Call::kMalloc, kernel::Call::kFstat, kernel::Call::kOpen}) {
    fail.only = call;
    fail.countdown = 0;
    const int before = count_fds();
    Source* source = nullptr;
    faults = &fail;
    EXPECT_EQ(add(&source), fail.error) << static_cast<int>(call);
    faults = nullptr;
    EXPECT_EQ(count_fds(), before);
  }
  close(server);
}

TEST_F(Pressure, adding_a_source_of_the_kernels_file_that_fails_anywhere_leaves_nothing_behind) {
  if (!kernel_has_pressure()) GTEST_SKIP() << "this kernel has no PSI";
  fail_everywhere(2);  // Another file is tried where one can't be opened.
}

TEST_F(Pressure, without_psi_the_error_says_so) {
  Faults fail;
  fail.any_call = false;
  fail.only = kernel::Call::kOpen;
  fail.error = -ENOENT;
  struct Forever {
    static int no_entry(kernel::Call call) { return call == kernel::Call::kOpen ? -ENOENT : 0; }
  };
  kernel::fault_hook = Forever::no_entry;
  for (const Kind kind : {Kind::kMemoryPressure, Kind::kCpuPressure, Kind::kIoPressure}) {
    Source* source = nullptr;
    EXPECT_EQ(add(&source, kind), -EOPNOTSUPP);
    EXPECT_EQ(source, nullptr);
  }
}

TEST_F(Pressure, settings_that_the_kernel_refuses_turn_the_source_off_and_nothing_else) {
  if (!kernel_has_pressure()) GTEST_SKIP() << "this kernel has no PSI";
  for (const int error : {-EOPNOTSUPP, -EINVAL, -EPERM, -EBUSY, -ENOMEM}) {
    Source* source = nullptr;
    ASSERT_GE(add(&source), 0);
    source->set_exit_on_failure(true);
    Faults fail;
    fail.any_call = false;
    fail.only = kernel::Call::kWrite;
    fail.countdown = 0;
    fail.error = error;
    faults = &fail;
    EXPECT_EQ(loop_->run(0), 0);
    EXPECT_EQ(fail.calls, 1);
    EXPECT_EQ(loop_->run(0), 0);
    EXPECT_EQ(fail.calls, 1);
    EXPECT_EQ(source->enabled(), Enabled::kOff);
    EXPECT_FALSE(loop_->exit_requested());
    // A program may try again; then the settings are written.
    EXPECT_GE(source->set_enabled(Enabled::kOn), 0);
    EXPECT_EQ(loop_->run(0), 0);
    EXPECT_EQ(fail.calls, 2);
    EXPECT_EQ(source->enabled(), Enabled::kOn);
    EXPECT_EQ(loop_->run(0), 0);
    EXPECT_EQ(fail.calls, 2);
    faults = nullptr;
    source->unref();
  }
  EXPECT_EQ(n_calls_, 0);
}

TEST_F(Pressure, what_can_not_be_watched_any_more_after_the_settings_were_written_is_off) {
  if (!kernel_has_pressure()) GTEST_SKIP() << "this kernel has no PSI";
  Source* source = nullptr;
  ASSERT_GE(add(&source), 0);
  Faults fail;
  fail.any_call = false;
  fail.only = kernel::Call::kEpollCtl;
  fail.countdown = 1;  // The first removes the registration from before.
  fail.error = -ENOSPC;
  faults = &fail;
  EXPECT_EQ(loop_->run(0), 0);
  faults = nullptr;
  EXPECT_EQ(source->enabled(), Enabled::kOff);
  EXPECT_GE(source->set_enabled(Enabled::kOn), 0);
  EXPECT_EQ(loop_->run(0), 0);
  EXPECT_EQ(source->enabled(), Enabled::kOn);
  source->unref();
}

TEST_F(Pressure, without_a_descriptor_for_its_relay_a_source_of_a_lent_loop_works_as_any_other) {
  if (!kernel_has_pressure()) GTEST_SKIP() << "this kernel has no PSI";
  ASSERT_GE(loop_->lend_fd(), 0);
  struct Failure {
    kernel::Call call;
    int skip;  // The registration from before is removed first.
  };
  for (const Failure failure : {Failure{kernel::Call::kEpollCreate, 0}, Failure{kernel::Call::kEpollCtl, 1}}) {
    Source* source = nullptr;
    ASSERT_GE(add(&source), 0);
    const int before = count_fds();
    Faults fail;
    fail.any_call = false;
    fail.only = failure.call;
    fail.countdown = failure.skip;
    fail.error = -EMFILE;
    faults = &fail;
    EXPECT_EQ(loop_->run(0), 0);
    faults = nullptr;
    EXPECT_LT(fail.countdown, 0) << "it was tried";
    EXPECT_EQ(count_fds(), before);
    EXPECT_EQ(source->enabled(), Enabled::kOn);
    EXPECT_TRUE(loop_->check_invariants());
    source->unref();
  }
}

TEST_F(Pressure, a_device_without_end_does_not_keep_the_loop) {
  setenv("MEMORY_PRESSURE_WATCH", "/dev/random", 1);
  Source* source = nullptr;
  if (const int r = add(&source); r < 0) GTEST_SKIP() << "no such device that can be watched here: " << strerror(-r);
  Faults count;
  count.any_call = false;
  count.only = kernel::Call::kRead;
  faults = &count;
  for (int i = 1; i <= 2; ++i) {
    EXPECT_EQ(loop_->run(kForever), 1);
    EXPECT_EQ(n_calls_, i);
  }
  faults = nullptr;
  EXPECT_GE(count.calls, 2);
  source->unref();
}

TEST_F(Pressure, an_interrupted_read_is_tried_again_and_a_failing_one_turns_the_source_off) {
  setenv("MEMORY_PRESSURE_WATCH", make_fifo().c_str(), 1);
  Source* source = nullptr;
  ASSERT_GE(add(&source), 0);
  const int writer = ::open((directory_ + "/fifo").c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_GE(writer, 0);
  EXPECT_EQ(write(writer, "x", 1), 1);
  Faults fail;
  fail.any_call = false;
  fail.only = kernel::Call::kRead;
  fail.countdown = 0;
  fail.error = -EINTR;
  faults = &fail;
  EXPECT_EQ(loop_->run(kForever), 1);
  EXPECT_EQ(n_calls_, 1);
  EXPECT_EQ(source->enabled(), Enabled::kOn);
  EXPECT_EQ(write(writer, "x", 1), 1);
  fail.countdown = 0;
  fail.error = -EIO;
  EXPECT_EQ(loop_->run(kForever), 1);
  faults = nullptr;
  EXPECT_EQ(n_calls_, 1) << "there was nothing to be told of";
  EXPECT_EQ(source->enabled(), Enabled::kOff);
  source->unref();
  close(writer);
}

TEST_F(Pressure, a_socket_that_nobody_reads_from_keeps_its_source_and_one_that_fails_turns_it_off) {
  struct Case {
    int error;
    int calls;
    Enabled then;
  };
  const int server = make_server();
  setenv("MEMORY_PRESSURE_WRITE", "aGVsbG8=", 1);
  for (const Case& expected : {Case{-EPIPE, 1, Enabled::kOn}, Case{-ECONNRESET, 1, Enabled::kOn},
                               Case{-EINTR, 2, Enabled::kOn}, Case{-EIO, 1, Enabled::kOff}}) {
    Source* source = nullptr;
    ASSERT_GE(add(&source), 0);
    Faults fail;
    fail.any_call = false;
    fail.only = kernel::Call::kSendmsg;
    fail.countdown = 0;
    fail.error = expected.error;
    faults = &fail;
    EXPECT_EQ(loop_->run(0), 0);
    EXPECT_EQ(loop_->run(0), 0);
    faults = nullptr;
    EXPECT_EQ(fail.calls, expected.calls) << expected.error;
    EXPECT_EQ(source->enabled(), expected.then) << expected.error;
    source->unref();
  }
  close(server);
}

TEST(PressureConfig, every_setting_that_changes_something_is_written_whole_and_with_its_zero) {
  const auto text = [](const char* settings) { return std::string_view(settings, strlen(settings) + 1); };
  PressureConfig config;
  EXPECT_EQ(config.set_full(false), 0);
  EXPECT_EQ(config.set_full(true), 1);
  EXPECT_EQ(config.unwritten(), text("full 200000 2000000"));
  EXPECT_EQ(config.set_period(200000, 2000000), 0);
  EXPECT_EQ(config.set_period(200000, 4000000), 1);
  EXPECT_EQ(config.unwritten(), text("full 200000 4000000"));
  EXPECT_EQ(config.set_period(300000, 4000000), 1);
  EXPECT_EQ(config.set_full(false), 1);
  EXPECT_EQ(config.unwritten(), text("some 300000 4000000"));
}

TEST_F(Pressure, a_device_that_fails_to_take_its_settings_turns_the_source_off) {
  setenv("MEMORY_PRESSURE_WATCH", make_fifo().c_str(), 1);
  setenv("MEMORY_PRESSURE_WRITE", "aGVsbG8=", 1);
  Source* source = nullptr;
  ASSERT_GE(add(&source), 0);
  Faults fail;
  fail.any_call = false;
  fail.only = kernel::Call::kWrite;
  fail.countdown = 0;
  fail.error = -EIO;
  faults = &fail;
  EXPECT_EQ(loop_->run(0), 0);
  faults = nullptr;
  EXPECT_EQ(source->enabled(), Enabled::kOff);
  EXPECT_FALSE(loop_->exit_requested());
  source->unref();
}

TEST_F(Pressure, an_interrupted_write_is_tried_again) {
  setenv("MEMORY_PRESSURE_WATCH", make_fifo().c_str(), 1);
  setenv("MEMORY_PRESSURE_WRITE", "aGVsbG8=", 1);
  Source* source = nullptr;
  ASSERT_GE(add(&source), 0);
  Faults fail;
  fail.any_call = false;
  fail.only = kernel::Call::kWrite;
  fail.countdown = 0;
  fail.error = -EINTR;
  faults = &fail;
  EXPECT_GE(loop_->prepare(), 0);
  EXPECT_EQ(fail.calls, 2);
  faults = nullptr;
  EXPECT_EQ(source->enabled(), Enabled::kOn);
  EXPECT_TRUE(loop_->pressure_writes().empty());
  source->unref();
}

TEST_F(Pressure, dispatching_takes_no_memory) {
  setenv("MEMORY_PRESSURE_WATCH", make_fifo().c_str(), 1);
  Source* source = nullptr;
  ASSERT_GE(add(&source), 0);
  const int writer = ::open((directory_ + "/fifo").c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_GE(writer, 0);
  Faults count;
  count.any_call = false;
  faults = &count;
  for (int i = 1; i <= 3; ++i) {
    EXPECT_EQ(write(writer, "x", 1), 1);
    EXPECT_EQ(loop_->run(kForever), 1);
    EXPECT_EQ(n_calls_, i);
  }
  EXPECT_EQ(count.calls, 0);
  faults = nullptr;
  source->unref();
  close(writer);
}

TEST_F(Pressure, a_source_that_goes_while_it_has_settings_to_write_is_forgotten) {
  setenv("MEMORY_PRESSURE_WATCH", make_fifo().c_str(), 1);
  setenv("MEMORY_PRESSURE_WRITE", "aGVsbG8=", 1);
  Source* source = nullptr;
  ASSERT_GE(add(&source), 0);
  EXPECT_FALSE(loop_->pressure_writes().empty());
  EXPECT_GE(source->set_enabled(Enabled::kOff), 0);
  EXPECT_TRUE(loop_->pressure_writes().empty());
  EXPECT_GE(source->set_enabled(Enabled::kOn), 0);
  EXPECT_FALSE(loop_->pressure_writes().empty());
  source->unref();
  EXPECT_TRUE(loop_->pressure_writes().empty());
}

}  // namespace
}  // namespace evenkeel
