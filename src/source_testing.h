// SPDX-License-Identifier: MIT
//
// The fixture of the tests of lifetimes: sources of each kind with their event at hand, and what a callback may do.
//
// Idea: see source_test.cc. The signals that are used stay blocked from the beginning to the end of each test, so that
// none of them is ever delivered.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <set>
#include <string>
#include <vector>

#include "src/testing.h"

namespace evenkeel::test {

enum class Sort { kIo, kTime, kSignal, kChild, kChildBySignal, kInotify, kDefer, kPost, kExit, kPressure };
inline constexpr Sort kSorts[] = {Sort::kIo,      Sort::kTime,  Sort::kSignal, Sort::kChild, Sort::kChildBySignal,
                                  Sort::kInotify, Sort::kDefer, Sort::kPost,   Sort::kExit,  Sort::kPressure};
inline constexpr const char* kSortNames[] = {"io",      "time",  "signal", "child", "child_by_signal",
                                             "inotify", "defer", "post",   "exit",  "pressure"};

enum class Deed {
  kUnrefItself,
  kUnrefAnother,
  kUnrefAll,
  kDisableItself,
  kDisableAnother,
  kReenableItself,
  kTurnAnotherOffAndOn,
  kRaiseItself,
  kRaiseAnother,
  kLowerAnother,
  kLetGoOfItself,
  kLetGoOfAnother,
  kDropTheLoop,
  kDropTheLoopAndTheOthers,
  kAddAnother,
  kExit,
  kFail,
  kFailAndUnrefItself,
  kFailAndExit,
};
inline constexpr Deed kDeeds[] = {Deed::kUnrefItself,
                                  Deed::kUnrefAnother,
                                  Deed::kUnrefAll,
                                  Deed::kDisableItself,
                                  Deed::kDisableAnother,
                                  Deed::kReenableItself,
                                  Deed::kTurnAnotherOffAndOn,
                                  Deed::kRaiseItself,
                                  Deed::kRaiseAnother,
                                  Deed::kLowerAnother,
                                  Deed::kLetGoOfItself,
                                  Deed::kLetGoOfAnother,
                                  Deed::kDropTheLoop,
                                  Deed::kDropTheLoopAndTheOthers,
                                  Deed::kAddAnother,
                                  Deed::kExit,
                                  Deed::kFail,
                                  Deed::kFailAndUnrefItself,
                                  Deed::kFailAndExit};
inline constexpr const char* kDeedNames[] = {"unref_itself",
                                             "unref_another",
                                             "unref_all",
                                             "disable_itself",
                                             "disable_another",
                                             "reenable_itself",
                                             "turn_another_off_and_on",
                                             "raise_its_priority",
                                             "raise_the_priority_of_another",
                                             "lower_the_priority_of_another",
                                             "let_go_of_itself",
                                             "let_go_of_another",
                                             "drop_the_loop",
                                             "drop_the_loop_and_the_others",
                                             "add_another",
                                             "exit",
                                             "fail",
                                             "fail_and_unref_itself",
                                             "fail_and_exit"};

class Lifetime : public LoopTest {
 protected:
  void SetUp() override {
    sigset_t used;
    (void)sigemptyset(&used);
    for (const int signo : {SIGCHLD, SIGUSR1}) (void)sigaddset(&used, signo);
    for (int i = 0; i < 8; ++i) (void)sigaddset(&used, SIGRTMIN + i);
    used_ = used;
    ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &used, &mask_), 0);
    char name[] = "/tmp/evenkeel-source-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    directory_ = name;
    ASSERT_EQ(mkfifo((directory_ + "/fifo").c_str(), 0600), 0);
    ASSERT_EQ(setenv("MEMORY_PRESSURE_WATCH", (directory_ + "/fifo").c_str(), 1), 0);
    LoopTest::SetUp();
    loop_->ref();  // So that the test can look at the loop while a callback thinks it is the last.
    loop_->unref();
  }

  void TearDown() override {
    while (!sources_.empty()) release(*sources_.begin());
    end_loop();
    if (writer_ >= 0) (void)close(writer_);
    for (const pid_t pid : children_) (void)waitpid(pid, nullptr, 0);  // Reaped already where the loop has seen them.
    const struct timespec none = {};
    while (sigtimedwait(&used_, nullptr, &none) > 0) continue;
    EXPECT_EQ(pthread_sigmask(SIG_SETMASK, &mask_, nullptr), 0);
    for (const std::string& file : files_) (void)unlink(file.c_str());
    EXPECT_EQ(unsetenv("MEMORY_PRESSURE_WATCH"), 0);
    EXPECT_EQ(unlink((directory_ + "/fifo").c_str()), 0);
    EXPECT_EQ(rmdir(directory_.c_str()), 0);
    LoopTest::TearDown();
  }

  void release(Source* source) {
    ASSERT_EQ(sources_.erase(source), 1U);
    source->unref();
  }

  // Adds a source that has its event at hand.
  Source* add_ready(Sort sort, Handler* then) {
    Source* source = nullptr;
    switch (sort) {
      case Sort::kIo: {
        EventFd& event = event_fd();
        event.set();
        source = add_io(event.fd(), then);
        break;
      }
      case Sort::kTime:
        source = add_time(1, then);
        break;
      case Sort::kSignal:
        EXPECT_EQ(SignalSource::add(*loop_, &source, SIGRTMIN + n_signals_, Handler::signal, then), 0);
        for (int i = 0; i < 2; ++i) EXPECT_EQ(raise(SIGRTMIN + n_signals_), 0);
        ++n_signals_;
        break;
      case Sort::kChild:
      case Sort::kChildBySignal:
        source = add_dead_child(sort == Sort::kChild ? WEXITED : WEXITED | WSTOPPED, then);
        break;
      case Sort::kInotify:
        EXPECT_EQ(add_inotify(&source, then), 0);
        // Of each read there is more than one event, so that some are buffered while the first is dispatched.
        for (int i = 0; i < 2; ++i) create_file();
        break;
      case Sort::kDefer:
        source = add_defer(then);
        break;
      case Sort::kPost:
        source = add_post(then);
        break;
      case Sort::kExit:
        source = add_exit(then);
        break;
      case Sort::kPressure:
        EXPECT_EQ(PressureSource::add(*loop_, &source, Kind::kMemoryPressure, Handler::call, then), 0);
        if (writer_ < 0) writer_ = open((directory_ + "/fifo").c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        EXPECT_EQ(write(writer_, "x", 1), 1);
        break;
    }
    EXPECT_NE(source, nullptr);
    if (source) sources_.insert(source);
    return source;
  }

  int add_inotify(Source** ret, Handler* then) {
    const int fd = InotifySource::open_path(directory_.c_str(), IN_CREATE);
    const int r = InotifySource::add(*loop_, ret, fd, directory_.c_str(), IN_CREATE, Handler::inotify, then);
    (void)close(fd);
    return r;
  }
  void create_file() {
    files_.push_back(directory_ + "/" + std::to_string(files_.size()));
    (void)close(open(files_.back().c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  }

  Source* add_dead_child(int options, Handler* then) {
    const pid_t pid = fork();
    if (pid == 0) _exit(7);
    children_.push_back(pid);
    siginfo_t info = {};
    EXPECT_EQ(waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT), 0);
    Source* source = nullptr;
    EXPECT_EQ(ChildSource::add(*loop_, &source, pid, options, Handler::child, then), 0);
    return source;
  }

  // Any other source than `self`; the eldest.
  Source* another(Source* self) {
    for (Source* source : sources_)
      if (source != self) return source;
    return nullptr;
  }

  void expect_sound() { EXPECT_TRUE(loop_->check_invariants()); }

  int commit(Deed deed, Sort sort, Source* self) {
    Source* other = another(self);
    switch (deed) {
      case Deed::kUnrefItself:
        release(self);
        break;
      case Deed::kUnrefAnother:
        release(other);
        break;
      case Deed::kUnrefAll:
        while (!sources_.empty()) release(*sources_.begin());
        break;
      case Deed::kDisableItself:
        EXPECT_EQ(self->set_enabled(Enabled::kOff), 0);
        break;
      case Deed::kDisableAnother:
        EXPECT_EQ(other->set_enabled(Enabled::kOff), 0);
        EXPECT_FALSE(other->is_pending());
        break;
      case Deed::kReenableItself:
        EXPECT_EQ(self->set_enabled(Enabled::kOff), 0);
        EXPECT_EQ(self->set_enabled(Enabled::kOn), 0);
        break;
      case Deed::kTurnAnotherOffAndOn:
        EXPECT_EQ(other->set_enabled(Enabled::kOff), 0);
        EXPECT_EQ(other->set_enabled(Enabled::kOn), 0);
        break;
      case Deed::kRaiseItself:
        expect_moved(self, -5);
        break;
      case Deed::kRaiseAnother:
        expect_moved(other, -5);
        break;
      case Deed::kLowerAnother:
        expect_moved(other, 5);
        break;
      case Deed::kLetGoOfItself:
        self->set_floating(true);
        release(self);
        break;
      case Deed::kLetGoOfAnother:
        other->set_floating(true);
        release(other);
        break;
      case Deed::kDropTheLoop:
        end_loop();
        return 0;
      case Deed::kDropTheLoopAndTheOthers:
        end_loop();
        while (!sources_.empty()) release(*sources_.begin());
        return 0;
      case Deed::kAddAnother:
        add_ready(sort, say("+"));
        add_defer_ = add_defer(say("d"));
        sources_.insert(add_defer_);
        break;
      case Deed::kExit:
        loop_->exit(3);
        break;
      case Deed::kFail:
        return -EIO;
      case Deed::kFailAndUnrefItself:
        release(self);
        return -EIO;
      case Deed::kFailAndExit:
        self->set_exit_on_failure(true);
        return -EIO;
    }
    expect_sound();
    return 0;
  }
  static void expect_moved(Source* source, Priority priority) {
    // Nothing of an inotify watch can be moved when its path is closed.
    const int expected = source->kind() == Kind::kInotify ? -EOPNOTSUPP : 0;
    EXPECT_EQ(source->set_priority(priority), expected);
  }

  // One iteration, of a loop that a callback may end.
  int step() {
    Loop* loop = loop_;
    loop->ref();
    int r = loop->finished() ? 0 : loop->run(0);
    EXPECT_GE(r, 0);
    EXPECT_TRUE(loop->check_invariants());
    if (!loop_ || loop->finished()) r = 0;
    loop->unref();
    return r;
  }

  std::set<Source*> sources_;
  std::string directory_;
  std::vector<std::string> files_;
  std::vector<pid_t> children_;
  Source* add_defer_ = nullptr;
  sigset_t used_ = {};
  sigset_t mask_ = {};
  int n_signals_ = 0;
  int writer_ = -1;
};

}  // namespace evenkeel::test
