// SPDX-License-Identifier: MIT
//
// One life of a loop that goes through all that reaches the kernel, with one fault in it.
//
// Idea: see faults_matrix_test.cc. `World::live` makes the steps; `step` makes one of them, notes what came of a fault
// in it, and makes it again if it failed. What a step says where nothing is injected is known from a first life, as
// some of them fail for good reason: a machine has no file of its pressure, a barrier has nobody to wait for.
//
// Invariants: everything that a world makes is its own and gone with it: descriptors, two children, a directory. The
// faults are on in the steps only.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <string>
#include <vector>

#include "src/faults_testing.h"
#include "src/notify.h"
#include "src/pressure_source.h"

namespace evenkeel::test {

enum Outcome : unsigned {
  kNothing = 1,     // All goes on as without the fault.
  kTold = 2,        // The call of the library fails with that error, and changes nothing.
  kToldOther = 4,   // The same, with an error that says more.
  kIteration = 8,   // An iteration fails with that error, and the next one goes on.
  kTurnedOff = 16,  // A source is OFF, as if its callback had failed.
};

class World {
 public:
  // `baseline` is what the steps of a life without faults have said; empty in that one.
  explicit World(std::vector<int>* baseline) : baseline_(baseline), learning_(baseline->empty()) {
    faults_.before_linux_6_13();  // What comes of an error of /proc shall not depend on the kernel.
    EXPECT_NE(::mkdtemp(directory_), nullptr);
    EXPECT_EQ(::mkfifo(in("fifo").c_str(), 0600), 0);
    manager_ = listen(SOCK_DGRAM, "manager");
    presser_ = listen(SOCK_STREAM, "presser");
    for (Child& child : children_) {
      child.pid = fork_child();
      if (child.pid == 0)
        for (;;) pause();
      child.pidfd = static_cast<int>(::syscall(SYS_pidfd_open, child.pid, 0U));
    }
    inode_ = ::open(directory_, O_PATH | O_CLOEXEC);
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World() {
    for (const int fd : {manager_, presser_, inode_, children_[0].pidfd, children_[1].pidfd}) (void)::close(fd);
    for (const Child& child : children_) {
      (void)::kill(child.pid, SIGKILL);
      (void)::waitpid(child.pid, nullptr, 0);
    }
    for (const char* name : {"fifo", "manager", "presser", "file"}) (void)::unlink(in(name).c_str());
    (void)::rmdir(directory_);
    for (const char* name : kVariables) (void)::unsetenv(name);
    const struct timespec none = {};
    sigset_t used;
    (void)sigemptyset(&used);
    for (const int signo : {SIGCHLD, SIGUSR2}) (void)sigaddset(&used, signo);
    while (sigtimedwait(&used, nullptr, &none) > 0) continue;
  }

  // What came of the fault: a set of `Outcome`, 0 if there was none.
  unsigned live(kernel::Call call, int error, int skip) {
    error_ = error;
    faults_.fail(call, error, error < 0 ? skip : 0, error < 0 ? 1 : 0);
    add_all();
    set_all();
    fire_all();
    leave_a_ghost();
    talk();
    free_all();
    faults_.fail_none();
    if (faults_.n_injected() > 0 && outcomes_ == 0) outcomes_ = kNothing;
    return outcomes_;
  }

 private:
  struct Child {
    pid_t pid = -1;
    int pidfd = -1;
  };
  struct Heard {
    const char* name;
    Source* source = nullptr;
    int n_calls = 0;
  };
  static constexpr const char* kVariables[] = {"NOTIFY_SOCKET",         "WATCHDOG_USEC",      "MEMORY_PRESSURE_WATCH",
                                               "MEMORY_PRESSURE_WRITE", "CPU_PRESSURE_WATCH", "CPU_PRESSURE_WRITE",
                                               "IO_PRESSURE_WATCH"};

  std::string in(const char* name) const { return std::string(directory_) + "/" + name; }

  int listen(int type, const char* name) const {
    const int fd = ::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    (void)::snprintf(address.sun_path, sizeof(address.sun_path), "%s", in(name).c_str());
    EXPECT_EQ(::bind(fd, reinterpret_cast<struct sockaddr*>(&address), sizeof(address)), 0);
    if (type == SOCK_STREAM) {
      EXPECT_EQ(::listen(fd, 8), 0);
    }
    return fd;
  }

  void note(int r, bool iteration) {
    if (iteration && r == error_)
      outcomes_ |= kIteration;
    else
      outcomes_ |= r == error_ ? kTold : kToldOther;
  }

  template <typename Body>
  void step(const char* name, Body body, bool iteration = false) {
    SCOPED_TRACE(name);
    const int n_before = faults_.n_injected();
    const int r = body();
    const size_t which = n_steps_++;
    if (learning_) return baseline_->push_back(r < 0 ? r : 0);
    ASSERT_LT(which, baseline_->size());
    const int normal = (*baseline_)[which];
    if (r >= 0 ? normal == 0 : normal == r) return expect_sound();
    EXPECT_GT(faults_.n_injected(), n_before) << "it says " << r << " for no reason";
    note(r, iteration);
    expect_sound();
    const int again = body();
    EXPECT_EQ(again < 0 ? again : 0, normal) << "there was nothing wrong with it";
    expect_sound();
  }
  void expect_sound() {
    if (loop_) {
      EXPECT_TRUE(loop_->check_invariants());
    }
  }

  Heard* hear(const char* name) {
    heard_.push_back(new Heard{.name = name});
    return heard_.back();
  }
  static int on_event(Source*, void* data) { return ++static_cast<Heard*>(data)->n_calls, 0; }
  static int on_io(Source* source, int fd, uint32_t, void* data) {
    uint64_t value = 0;
    (void)!::read(fd, &value, sizeof(value));
    return on_event(source, data);
  }
  static int on_time(Source* source, Usec, void* data) { return on_event(source, data); }
  static int on_signal(Source* source, const struct signalfd_siginfo*, void* data) { return on_event(source, data); }
  static int on_child(Source* source, const siginfo_t*, void* data) { return on_event(source, data); }
  static int on_inotify(Source* source, const struct inotify_event*, void* data) { return on_event(source, data); }

  void add_all() {
    step("create", [&] { return Loop::create(&loop_); });
    io_ = hear("io");
    limited_ = hear("limited");
    for (Heard* heard : {io_, limited_}) {
      const int fd = (heard == io_ ? event_ : limited_event_).fd();
      step("add io", [&] { return IoSource::add(*loop_, &heard->source, fd, EPOLLIN, on_io, heard); });
    }
    for (const clockid_t clock : {CLOCK_MONOTONIC, CLOCK_REALTIME}) {
      Heard* timer = timers_[clock == CLOCK_REALTIME] = hear("time");
      step("add time", [&] { return TimeSource::add(*loop_, &timer->source, clock, kForever, 1, on_time, timer); });
    }
    signal_ = hear("signal");
    step("add signal", [&] { return SignalSource::add(*loop_, &signal_->source, SIGUSR2, on_signal, signal_); });
    Heard* child = hear("child");
    step("add child", [&] {
      return ChildSource::add(*loop_, &child->source, children_[0].pid, WEXITED | WSTOPPED, on_child, child);
    });
    Heard* by_pidfd = hear("child by pidfd");
    step("add child by pidfd", [&] {
      return ChildSource::add_pidfd(*loop_, &by_pidfd->source, children_[1].pidfd, WEXITED, on_child, by_pidfd);
    });
    inotify_ = hear("inotify");
    step("add inotify", [&] {
      return InotifySource::add(*loop_, &inotify_->source, inode_, directory_, IN_CREATE, on_inotify, inotify_);
    });
    add_pressure();
  }

  void add_pressure() {
    (void)::setenv("MEMORY_PRESSURE_WATCH", in("fifo").c_str(), 1);
    (void)::setenv("MEMORY_PRESSURE_WRITE", "aGVsbG8=", 1);
    (void)::setenv("CPU_PRESSURE_WATCH", in("presser").c_str(), 1);
    (void)::setenv("CPU_PRESSURE_WRITE", "aGVsbG8=", 1);
    (void)::setenv("IO_PRESSURE_WATCH", "/proc/self/status", 1);  // Which epoll refuses, in the end.
    for (const Kind kind : {Kind::kMemoryPressure, Kind::kCpuPressure}) {
      Heard* heard = hear(kind == Kind::kCpuPressure ? "pressure of a socket" : "pressure of a FIFO");
      step(heard->name, [&] { return PressureSource::add(*loop_, &heard->source, kind, on_event, heard); });
    }
    Source* none = nullptr;
    step("a regular file", [&] { return PressureSource::add(*loop_, &none, Kind::kIoPressure, on_event, nullptr); });
  }

  void set_all() {
    Priority priority = 0;
    for (Heard* heard : heard_) step("set_priority", [&] { return heard->source->set_priority(++priority % 4 - 2); });
    step("turn off and on", [&] {
      const int r = io_->source->set_enabled(Enabled::kOff);
      return r < 0 ? r : io_->source->set_enabled(Enabled::kOn);
    });
    step("set_fd", [&] { return static_cast<IoSource*>(io_->source)->set_fd(other_.fd()); });
    step("set_events", [&] { return static_cast<IoSource*>(io_->source)->set_events(EPOLLIN | EPOLLRDHUP); });
    step("set_rate_limit", [&] { return limited_->source->set_rate_limit(500, 1); });
    (void)::setenv("NOTIFY_SOCKET", in("manager").c_str(), 1);
    (void)::setenv("WATCHDOG_USEC", "4000000", 1);
    step("set_watchdog", [&] { return loop_->set_watchdog(true); });
    iterate("idle", 2);
  }

  void iterate(const char* name, int n, Usec timeout = 0) {
    for (int i = 0; i < n; ++i)
      step(
          name, [&] { return loop_->run(timeout); }, true);
  }

  bool all_heard() const {
    for (const Heard* heard : heard_) {
      const int wanted = heard == limited_ ? 2 : 1;  // The second is after its limit.
      if (heard->n_calls < wanted && heard->source->enabled() != Enabled::kOff) return false;
    }
    return true;
  }

  void fire_all() {
    step("send_signal", [&] { return child_of("child by pidfd")->send_signal(SIGKILL, nullptr, 0); });
    (void)::kill(children_[0].pid, SIGKILL);
    for (const Child& child : children_) {
      siginfo_t info = {};
      EXPECT_EQ(::waitid(P_PID, static_cast<id_t>(child.pid), &info, WEXITED | WNOWAIT), 0);
    }
    other_.set();
    limited_event_.set();
    for (Heard* timer : timers_) static_cast<TimeSource*>(timer->source)->set_time(1);
    (void)::kill(::getpid(), SIGUSR2);
    (void)::close(::open(in("file").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    press();
    // As many as a life without faults needs, and some more: an iteration may end with nothing but a limit that ended.
    for (int i = 0; i < 200 && !all_heard(); ++i) {
      if (limited_->n_calls == 1) limited_event_.set();
      const int r = loop_->run(1000);
      if (r < 0) note(r, true);
      expect_sound();
    }
    for (const Heard* heard : heard_) {
      const bool off = heard->n_calls == 0 && heard->source->enabled() == Enabled::kOff;
      if (off) outcomes_ |= kTurnedOff;
      EXPECT_TRUE(off || heard->n_calls > 0) << heard->name << " is ON and deaf";
    }
    EXPECT_TRUE(all_heard());
  }
  // The other end of the socket; several are open where an attempt to connect failed later.
  void press() {
    int fd = -1;
    while ((fd = ::accept4(presser_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0) {
      (void)!::send(fd, "x", 1, MSG_NOSIGNAL);
      pressing_.push_back(fd);
    }
  }
  ChildSource* child_of(const char* name) const {
    for (const Heard* heard : heard_)
      if (std::string(heard->name) == name) return static_cast<ChildSource*>(heard->source);
    return nullptr;
  }

  // A registration that nobody can name: the set is made anew.
  void leave_a_ghost() {
    EventFd ghost;
    Source* source = nullptr;
    step("add a ghost", [&] { return IoSource::add(*loop_, &source, ghost.fd(), EPOLLIN, nullptr, nullptr); });
    iterate("with it", 1);
    const int duplicate = ::dup(ghost.fd());
    ghost.set();
    ghost.close();
    source->unref();
    step("lend", [&] { return loop_->lend_fd(); });
    iterate("haunted", 3);
    (void)::close(duplicate);
    // Whatever has become of the set: what is in it is heard.
    const int before = io_->n_calls;
    const bool on = io_->source->enabled() != Enabled::kOff;
    other_.set();
    for (int i = 0; i < 20 && on && io_->n_calls == before; ++i) (void)loop_->run(0);
    EXPECT_TRUE(io_->n_calls > before || !on || io_->source->enabled() == Enabled::kOff);
  }

  void talk() {
    const std::string large(250'000, 'x');
    step("notify", [&] { return notify("READY=1"); });
    step("notify much", [&] { return notify(large.c_str()); });
    step("barrier", [&] { return notify_barrier(0, 0); });
  }

  void free_all() {
    for (Heard* heard : heard_) {
      heard->source->unref();
      delete heard;
    }
    heard_.clear();
    loop_->unref();
    loop_ = nullptr;
    for (const int fd : pressing_) (void)::close(fd);
  }

  std::vector<int>* baseline_;
  const bool learning_;
  size_t n_steps_ = 0;
  int error_ = 0;
  unsigned outcomes_ = 0;

  char directory_[32] = "/tmp/evenkeel-faults-XXXXXX";
  int manager_ = -1;
  int presser_ = -1;
  int inode_ = -1;
  Child children_[2];
  EventFd event_;
  EventFd other_;
  EventFd limited_event_;
  std::vector<int> pressing_;

  Loop* loop_ = nullptr;
  std::vector<Heard*> heard_;
  Heard* io_ = nullptr;
  Heard* limited_ = nullptr;
  Heard* timers_[2] = {};
  Heard* signal_ = nullptr;
  Heard* inotify_ = nullptr;
  Faults faults_;
};

}  // namespace evenkeel::test
