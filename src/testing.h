// SPDX-License-Identifier: MIT
//
// What the unit tests of the engine share. Never part of the library.
//
// Idea: every test runs on a loop of its own inside a fixture that counts the process' descriptors before and after, so
// that a leak is a failure of the test that made it. `Faults` is the seam of kernel.h with a counter for each call:
// tests say how often the kernel was asked, and which of its answers shall be an error.
//
// Callbacks of the engine are plain functions with a pointer; `Handler` turns any lambda into one of them for each
// kind. It belongs to the test and so outlives the source that uses it, whatever the callback frees.
#pragma once

#include <dirent.h>
#include <gtest/gtest.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <list>
#include <string>
#include <utility>
#include <vector>

#include "src/io_source.h"
#include "src/kernel.h"
#include "src/loop.h"
#include "src/time_source.h"

namespace evenkeel::test {

inline int count_fds() {
  DIR* dir = ::opendir("/proc/self/fd");
  int n = 0;
  while (dir && ::readdir(dir)) ++n;
  if (dir) (void)::closedir(dir);
  return n;
}

// For tests of what a process decides once and for all. True in a process that runs this test alone; else such a
// process is started, has to pass, and false comes back.
inline bool alone() {
  if (::getenv("EVENKEEL_TEST_ALONE")) return true;
  const ::testing::TestInfo& test = *::testing::UnitTest::GetInstance()->current_test_info();
  const std::string filter = std::string("--gtest_filter=") + test.test_suite_name() + "." + test.name();
  char program[4096] = {};
  if (::readlink("/proc/self/exe", program, sizeof(program) - 1) < 0) {
    ADD_FAILURE() << "this program does not find itself";
    return false;
  }
  const pid_t pid = ::fork();
  if (pid == 0) {
    (void)::setenv("EVENKEEL_TEST_ALONE", "1", 1);
    (void)::execl(program, program, filter.c_str(), "--gtest_brief=1", nullptr);
    ::_exit(127);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  return false;
}

// A child that ends with this process, whatever ends it: no failing test leaves one behind.
inline pid_t fork_child() {
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) {
    (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
  }
  return pid;
}

// Runs `body` in a forked child, which ends without looking for leaks of its own. Returns what it exits with.
inline int in_child(const std::function<int()>& body) {
  const pid_t pid = fork_child();
  if (pid == 0) ::_exit(body());
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// While one lives, every call of the engine is counted, and fails where a test says so.
class Faults {
 public:
  using Call = kernel::Call;

  Faults() {
    current_ = this;
    kernel::fault_hook = hook;
  }
  Faults(const Faults&) = delete;
  Faults& operator=(const Faults&) = delete;
  ~Faults() {
    kernel::fault_hook = nullptr;
    current_ = nullptr;
  }

  // After `skip` more calls of this kind, the next `times` fail.
  void fail(Call call, int error, int skip = 0, int times = 1) { plan(static_cast<int>(call), error, skip, times); }
  // The same for calls of any kind but `close`, which fails for nobody.
  void fail_any(int error, int skip) { plan(kAnyCall, error, skip, 1); }
  void fail_none() { times_ = 0; }
  // The kernel is one that does not tell of pidfds, whatever else fails.
  void before_linux_6_13() { older_ = true; }

  bool injected() const { return n_injected_ > 0; }
  int n_injected() const { return n_injected_; }
  Call last_injected() const { return last_injected_; }

  int n(Call call) const { return counts_[static_cast<size_t>(call)]; }
  // The clock is read without entering the kernel, and memory is none of its business.
  int n_system_calls() const {
    int sum = 0;
    for (const int count : counts_) sum += count;
    return sum - n(Call::kMalloc) - n(Call::kClockGettime);
  }
  void reset() {
    ::memset(counts_, 0, sizeof(counts_));
    n_injected_ = 0;
  }

 private:
  static constexpr int kAnyCall = -1;

  void plan(int call, int error, int skip, int times) {
    call_ = call;
    error_ = error;
    skip_ = skip;
    times_ = times;
    n_injected_ = 0;
  }

  static int hook(Call call) { return current_ ? current_->count(call) : 0; }

  int count(Call call) {
    ++counts_[static_cast<size_t>(call)];
    const bool meant = call_ == kAnyCall ? call != Call::kClose : call_ == static_cast<int>(call);
    if (!meant || times_ == 0) return older_ && call == Call::kPidfdInfo ? -ENOTTY : 0;
    if (skip_ > 0) {
      --skip_;
      return 0;
    }
    --times_;
    ++n_injected_;
    last_injected_ = call;
    return error_;
  }

  inline static Faults* current_ = nullptr;
  int counts_[static_cast<size_t>(Call::kMalloc) + 1] = {};
  int call_ = kAnyCall;
  int error_ = 0;
  int skip_ = 0;
  int times_ = 0;
  bool older_ = false;
  int n_injected_ = 0;
  Call last_injected_ = Call::kClose;
};

// A lambda as the callback of any kind of source; `userdata` of the source is the handler.
class Handler {
 public:
  explicit Handler(std::function<int(Source*)> body) : body_(std::move(body)) {}

  static int call(Source* source, void* userdata) { return static_cast<Handler*>(userdata)->body_(source); }
  static int io(Source* source, int, uint32_t, void* userdata) { return call(source, userdata); }
  static int time(Source* source, Usec, void* userdata) { return call(source, userdata); }
  static int signal(Source* source, const struct signalfd_siginfo*, void* userdata) { return call(source, userdata); }
  static int child(Source* source, const siginfo_t*, void* userdata) { return call(source, userdata); }
  static int inotify(Source* source, const struct inotify_event*, void* userdata) { return call(source, userdata); }

 private:
  std::function<int(Source*)> body_;
};

// A descriptor that is readable while it is set.
class EventFd {
 public:
  EventFd() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  EventFd(const EventFd&) = delete;
  EventFd& operator=(const EventFd&) = delete;
  ~EventFd() { close(); }

  int fd() const { return fd_; }
  void set() {
    const uint64_t one = 1;
    EXPECT_EQ(::write(fd_, &one, sizeof(one)), static_cast<ssize_t>(sizeof(one)));
  }
  void clear() {
    uint64_t value = 0;
    (void)!::read(fd_, &value, sizeof(value));
  }
  void close() {
    if (fd_ >= 0) (void)::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

class LoopTest : public ::testing::Test {
 protected:
  void SetUp() override {
    n_fds_ = count_fds();
    ASSERT_EQ(Loop::create(&loop_), 0);
  }
  void TearDown() override {
    end_loop();
    fds_.clear();
    EXPECT_EQ(count_fds(), n_fds_) << "descriptors are left open";
  }

  // Gives up the test's reference.
  void end_loop() {
    if (loop_) loop_->unref();
    loop_ = nullptr;
  }

  Handler* handler(std::function<int(Source*)> body) { return &handlers_.emplace_back(std::move(body)); }
  // Says its name when it is called.
  Handler* say(const char* name) {
    return handler([this, name](Source*) {
      said_ += name;
      return 0;
    });
  }
  EventFd& event_fd() { return fds_.emplace_back(); }

  Source* add_io(int fd, Handler* then, Priority priority = 0, uint32_t events = EPOLLIN) {
    Source* source = nullptr;
    EXPECT_EQ(IoSource::add(*loop_, &source, fd, events, Handler::io, then), 0);
    return with_priority(source, priority);
  }
  Source* add_defer(Handler* then, Priority priority = 0, Enabled enabled = Enabled::kOneshot) {
    Source* source = nullptr;
    EXPECT_EQ(DeferSource::add(*loop_, &source, Handler::call, then), 0);
    if (source) {
      EXPECT_EQ(source->set_enabled(enabled), 0);
    }
    return with_priority(source, priority);
  }
  Source* add_post(Handler* then, Priority priority = 0) {
    Source* source = nullptr;
    EXPECT_EQ(PostSource::add(*loop_, &source, Handler::call, then), 0);
    return with_priority(source, priority);
  }
  Source* add_exit(Handler* then, Priority priority = 0) {
    Source* source = nullptr;
    EXPECT_EQ(ExitSource::add(*loop_, &source, Handler::call, then), 0);
    return with_priority(source, priority);
  }
  Source* add_time(Usec time, Handler* then, Priority priority = 0, clockid_t clock = CLOCK_MONOTONIC) {
    Source* source = nullptr;
    EXPECT_EQ(TimeSource::add(*loop_, &source, clock, time, 1, Handler::time, then), 0);
    return with_priority(source, priority);
  }
  static Source* with_priority(Source* source, Priority priority) {
    if (source) {
      EXPECT_EQ(source->set_priority(priority), 0);
    }
    return source;
  }

  // Runs until nothing is pending; says how many iterations dispatched.
  int drain(int at_most = 1000) {
    int n = 0;
    while (n < at_most && loop_->run(0) > 0) ++n;
    return n;
  }

  Loop* loop_ = nullptr;
  std::string said_;

 private:
  int n_fds_ = 0;
  std::list<Handler> handlers_;
  std::list<EventFd> fds_;
};

}  // namespace evenkeel::test
