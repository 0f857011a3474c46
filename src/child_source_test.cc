// SPDX-License-Identifier: MIT
//
// Unit tests of child_source.h: what no kernel of today does, and what an old one or a seccomp filter refuses.
//
// Idea: the seam for faults plays a kernel without pidfd_send_signal, without waitid on a pidfd, or without pidfds. A
// source works there as on any other; what programs see otherwise is tested in conformance/child_*.c.
//
// SIGCHLD and SIGUSR2 are blocked from the beginning to the end of each test, and no child outlives its test.
#include "src/child_source.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "src/loop_testing.h"

namespace evenkeel {
namespace {

using kernel::Call;

class ChildSourceTest : public test::DispatchTest {
 protected:
  void SetUp() override {
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGUSR2);
    ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &set, &mask_), 0);
    test::DispatchTest::SetUp();
    const int pidfd = kernel::pidfd_open(getpid());
    if (pidfd < 0) GTEST_SKIP() << "no pidfds here";
    (void)kernel::close(pidfd);
  }
  void TearDown() override {
    test::DispatchTest::TearDown();
    EXPECT_EQ(pthread_sigmask(SIG_SETMASK, &mask_, nullptr), 0);
  }

  static pid_t sleeper() {
    const pid_t pid = test::fork_child();
    if (pid == 0) {
      for (;;) ::pause();
    }
    return pid;
  }
  static pid_t ends_with(int status) {
    const pid_t pid = test::fork_child();
    if (pid == 0) ::_exit(status);
    return pid;
  }
  // Exits with what came with SIGUSR2, which it has blocked: its value and whether it was queued.
  static pid_t listener() {
    const pid_t pid = test::fork_child();
    if (pid == 0) {
      sigset_t set;
      siginfo_t info = {};
      (void)sigemptyset(&set);
      (void)sigaddset(&set, SIGUSR2);
      (void)sigwaitinfo(&set, &info);
      ::_exit(info.si_code == SI_QUEUE ? info.si_value.sival_int : 99);
    }
    return pid;
  }
  // An end that was seen by a pidfd may have left its signal.
  static void drop_sigchld() {
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGCHLD);
    const struct timespec none = {};
    while (sigtimedwait(&set, nullptr, &none) > 0) continue;
  }
  ChildSource* watch(pid_t pid, int options = WEXITED) {
    Source* source = nullptr;
    EXPECT_EQ(ChildSource::add(*loop_, &source, pid, options, note, this), 0);
    return static_cast<ChildSource*>(source);
  }
  void expect_end(int code, int status) {
    seen_ = {};
    for (int i = 0; i < 100 && seen_.si_pid == 0; ++i) ASSERT_GE(loop_->run(kForever), 0);
    EXPECT_EQ(seen_.si_code, code);
    EXPECT_EQ(seen_.si_status, status);
    EXPECT_TRUE(loop_->check_invariants());
  }

  static int note(Source*, const siginfo_t* info, void* data) {
    auto* const self = static_cast<ChildSourceTest*>(data);
    self->seen_ = *info;
    ++self->n_calls_;
    return 0;
  }

  siginfo_t seen_ = {};
  int n_calls_ = 0;

 private:
  sigset_t mask_ = {};
};

TEST_F(ChildSourceTest, a_signal_goes_by_the_pid_where_the_kernel_can_not_send_by_a_pidfd) {
  ChildSource* source = watch(sleeper());
  {
    test::Faults faults;
    faults.fail(Call::kPidfdSendSignal, -ENOSYS);
    EXPECT_EQ(source->send_signal(SIGTERM, nullptr, 0), 0);
    EXPECT_EQ(faults.n(Call::kKill), 1);
  }
  expect_end(CLD_KILLED, SIGTERM);
  EXPECT_EQ(source->send_signal(SIGTERM, nullptr, 0), -ESRCH);
  source->unref();
}

TEST_F(ChildSourceTest, a_signal_with_a_value_keeps_it_either_way) {
  for (const bool by_pid : {false, true}) {
    ChildSource* source = watch(listener());
    siginfo_t info = {};
    info.si_signo = SIGUSR2;
    info.si_code = SI_QUEUE;
    info.si_pid = ::getpid();
    info.si_uid = ::getuid();
    info.si_value.sival_int = 42;
    {
      test::Faults faults;
      if (by_pid) faults.fail(Call::kPidfdSendSignal, -ENOSYS);
      EXPECT_EQ(source->send_signal(SIGUSR2, &info, 0), 0);
    }
    expect_end(CLD_EXITED, 42);
    source->unref();
  }
}

TEST_F(ChildSourceTest, an_error_of_sending_is_told_and_nothing_else_is_tried) {
  ChildSource* source = watch(sleeper());
  source->set_own_process(true);
  {
    test::Faults faults;
    faults.fail(Call::kPidfdSendSignal, -EPERM);
    EXPECT_EQ(source->send_signal(SIGTERM, nullptr, 0), -EPERM);
    EXPECT_EQ(faults.n(Call::kKill), 0);
  }
  source->unref();
}

TEST_F(ChildSourceTest, a_kernel_that_can_not_wait_by_a_pidfd_is_asked_by_the_pid) {
  ChildSource* source = watch(ends_with(3));
  test::Faults faults;
  faults.fail(Call::kWaitid, -EINVAL);
  expect_end(CLD_EXITED, 3);
  EXPECT_EQ(faults.n_injected(), 1);
  source->unref();
}

TEST_F(ChildSourceTest, a_source_that_owns_its_process_ends_it_whatever_interrupts_the_wait) {
  const pid_t pid = sleeper();
  ChildSource* source = watch(pid);
  source->set_own_process(true);
  {
    test::Faults faults;
    faults.fail(Call::kWaitid, -EINTR, 0, 2);
    source->unref();
    EXPECT_EQ(faults.n_injected(), 2);
  }
  EXPECT_EQ(::waitpid(pid, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD) << "it is dead and reaped";
}

TEST_F(ChildSourceTest, where_pidfds_are_refused_sigchld_does) {
  for (const int error : {-ENOSYS, -EPERM, -EACCES}) {
    const pid_t pid = ends_with(5);
    Source* source = nullptr;
    {
      test::Faults faults;
      faults.fail(Call::kPidfdOpen, error);
      ASSERT_EQ(ChildSource::add(*loop_, &source, pid, WEXITED, note, this), 0);
    }
    EXPECT_EQ(static_cast<ChildSource*>(source)->pidfd(), -1);
    expect_end(CLD_EXITED, 5);
    source->unref();
  }
}

// With a pidfd alone, with one and SIGCHLD, and with SIGCHLD alone.
TEST_F(ChildSourceTest, a_zombie_that_is_to_stay_is_told_of_in_each_iteration) {
  for (const int way : {0, 1, 2}) {
    SCOPED_TRACE(way);
    const pid_t pid = ends_with(5);
    Source* source = nullptr;
    {
      test::Faults faults;
      if (way == 2) faults.fail(Call::kPidfdOpen, -ENOSYS);
      const int options = WEXITED | WNOWAIT | (way == 1 ? WSTOPPED : 0);
      ASSERT_EQ(ChildSource::add(*loop_, &source, pid, options, note, this), 0);
    }
    ASSERT_EQ(source->set_enabled(Enabled::kOn), 0);
    for (int i = 0; i < 3; ++i) expect_end(CLD_EXITED, 5);
    EXPECT_EQ(source->set_enabled(Enabled::kOneshot), 0);
    expect_end(CLD_EXITED, 5);
    EXPECT_EQ(loop_->run(0), 0);
    source->unref();
    EXPECT_EQ(::waitpid(pid, nullptr, WNOHANG), pid);
  }
}

TEST_F(ChildSourceTest, whose_pidfd_it_is_proc_tells_where_the_kernel_does_not) {
  for (const int error : {0, -ENOTTY, -ESRCH}) {
    const pid_t pid = ends_with(6);
    const int pidfd = kernel::pidfd_open(pid);
    Source* source = nullptr;
    {
      test::Faults faults;
      if (error < 0) faults.fail(Call::kPidfdInfo, error);
      ASSERT_EQ(ChildSource::add_pidfd(*loop_, &source, pidfd, WEXITED, note, this), 0);
      EXPECT_TRUE(error == 0 || faults.n(Call::kOpen) == 1);
    }
    expect_end(CLD_EXITED, 6);
    source->unref();
    EXPECT_EQ(::close(pidfd), 0);
  }
}

TEST_F(ChildSourceTest, a_source_of_sigchld_that_is_limited_gets_what_is_read_for_a_child_meanwhile) {
  drop_sigchld();
  const pid_t pid = sleeper();
  Source* signal = nullptr;
  ASSERT_EQ(SignalSource::add(*loop_, &signal, SIGCHLD, test::Handler::signal, say("s")), 0);
  ChildSource* const child = watch(pid, WEXITED | WSTOPPED);
  ASSERT_EQ(child->set_enabled(Enabled::kOn), 0);
  ASSERT_EQ(signal->set_rate_limit(kForever, 1), 0);
  const auto iterate = [&] {
    for (int i = 0; i < 4; ++i) EXPECT_GE(loop_->run(0), 0);
    EXPECT_TRUE(loop_->check_invariants());
  };
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(::kill(::getpid(), SIGCHLD), 0);
    iterate();
  }
  EXPECT_EQ(said_, "s");
  // What it was held back with goes.
  EXPECT_EQ(signal->set_enabled(Enabled::kOff), 0);
  EXPECT_EQ(signal->set_enabled(Enabled::kOn), 0);
  EXPECT_FALSE(signal->has_event());
  EXPECT_EQ(::kill(::getpid(), SIGCHLD), 0);
  iterate();
  EXPECT_TRUE(signal->has_event());
  EXPECT_EQ(signal->set_rate_limit(0, 0), 0);
  iterate();
  EXPECT_EQ(said_, "ss");
  EXPECT_EQ(::kill(pid, SIGKILL), 0);
  expect_end(CLD_KILLED, SIGKILL);
  child->unref();
  signal->unref();
}

TEST_F(ChildSourceTest, a_source_of_sigchld_and_one_of_a_child_do_not_take_the_signal_from_each_other) {
  for (const bool child_first : {false, true}) {
    for (const bool child_goes : {false, true}) {
      SCOPED_TRACE(testing::Message() << "child first: " << child_first << ", child goes: " << child_goes);
      said_.clear();
      drop_sigchld();
      const pid_t pid = sleeper();
      const auto add_signal = [&] {
        Source* source = nullptr;
        EXPECT_EQ(SignalSource::add(*loop_, &source, SIGCHLD, test::Handler::signal, say("s")), 0);
        return source;
      };
      Source* signal = child_first ? nullptr : add_signal();
      ChildSource* child = watch(pid, WEXITED | WSTOPPED);
      if (child_first) signal = add_signal();
      EXPECT_EQ(child->set_enabled(Enabled::kOn), 0);
      EXPECT_EQ(loop_->run(0), 0);
      (child_goes ? child : signal)->unref();
      EXPECT_TRUE(loop_->check_invariants());
      if (child_goes) {
        EXPECT_EQ(::kill(pid, SIGKILL), 0);
        while (said_.empty()) ASSERT_GE(loop_->run(kForever), 0);
        EXPECT_EQ(said_, "s");
        EXPECT_EQ(::waitpid(pid, nullptr, 0), pid);
        signal->unref();
      } else {
        EXPECT_EQ(::kill(pid, SIGSTOP), 0);
        expect_end(CLD_STOPPED, SIGSTOP);
        EXPECT_EQ(::kill(pid, SIGKILL), 0);
        expect_end(CLD_KILLED, SIGKILL);
        child->unref();
      }
    }
  }
}

TEST_F(ChildSourceTest, a_source_of_sigchld_that_can_not_be_watched_leaves_the_signal_to_the_children) {
  Source* signal = nullptr;
  test::Faults faults;
  faults.fail(Call::kSignalfd, -EMFILE);
  EXPECT_EQ(SignalSource::add(*loop_, &signal, SIGCHLD, test::Handler::signal, say("s")), -EMFILE);
  const pid_t pid = sleeper();
  ChildSource* child = watch(pid, WEXITED | WSTOPPED);
  EXPECT_EQ(::kill(pid, SIGSTOP), 0);
  expect_end(CLD_STOPPED, SIGSTOP);
  EXPECT_EQ(::kill(pid, SIGKILL), 0);
  child->set_own_process(true);
  child->unref();
  EXPECT_EQ(said_, "");
}

// Of the two calls for a stop, the first looks and the second consumes; the process is killed between them.
TEST_F(ChildSourceTest, a_process_that_dies_while_its_stop_is_looked_at_is_told_of_twice) {
  static pid_t pid;
  static int n_waits;
  siginfo_t info = {};
  pid = sleeper();
  n_waits = 0;
  ChildSource* source = watch(pid, WEXITED | WSTOPPED);
  ASSERT_EQ(source->set_enabled(Enabled::kOn), 0);
  ASSERT_EQ(::kill(pid, SIGSTOP), 0);
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(pid), &info, WSTOPPED | WNOWAIT), 0);
  kernel::fault_hook = [](Call call) {
    if (call == Call::kWaitid && ++n_waits == 2) {
      siginfo_t end = {};
      EXPECT_EQ(::kill(pid, SIGKILL), 0);
      EXPECT_EQ(::waitid(P_PID, static_cast<id_t>(pid), &end, WEXITED | WNOWAIT), 0);
    }
    return 0;
  };
  expect_end(CLD_STOPPED, SIGSTOP);
  kernel::fault_hook = nullptr;
  EXPECT_GE(n_waits, 2);
  expect_end(CLD_KILLED, SIGKILL);
  source->unref();
}

TEST_F(ChildSourceTest, any_number_of_children_is_told_of_once_each) {
  constexpr int kMany = 40;
  std::vector<ChildSource*> sources;
  for (int i = 0; i < kMany; ++i) sources.push_back(watch(ends_with(i)));
  Source* second = nullptr;
  for (const ChildSource* source : sources)
    EXPECT_EQ(ChildSource::add(*loop_, &second, source->pid(), WEXITED, note, this), -EBUSY);
  while (n_calls_ < kMany) ASSERT_EQ(loop_->run(kForever), 1);
  EXPECT_EQ(loop_->run(0), 0);
  EXPECT_EQ(n_calls_, kMany);
  EXPECT_TRUE(loop_->check_invariants());
  for (ChildSource* source : sources) source->unref();
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
}

}  // namespace
}  // namespace evenkeel
