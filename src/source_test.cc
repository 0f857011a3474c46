// SPDX-License-Identifier: MIT
//
// Unit tests of source.h: what a callback may do to its own source, to others, and to the loop.
//
// Idea: for each kind of source three of them are pending at once; the callback that runs first does one thing, to
// itself or to another that is pending still. Every pair of a kind and a deed is a test of its own. After it the
// invariants hold, the rest of the sources is dispatched, and nothing is left: address and leak sanitizer are the
// judges of the memory, the fixture of descriptors.
//
// The signals that are used stay blocked from the beginning to the end of each test, so that none of them is ever
// delivered.
#include "src/source.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <set>
#include <vector>

#include "src/testing.h"

namespace evenkeel {
namespace {

enum class Sort { kIo, kTime, kSignal, kChild, kChildBySignal, kInotify, kDefer, kPost, kExit, kPressure };
constexpr Sort kSorts[] = {Sort::kIo,      Sort::kTime,  Sort::kSignal, Sort::kChild, Sort::kChildBySignal,
                           Sort::kInotify, Sort::kDefer, Sort::kPost,   Sort::kExit,  Sort::kPressure};
constexpr const char* kSortNames[] = {"io",      "time",  "signal", "child", "child_by_signal",
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
constexpr Deed kDeeds[] = {Deed::kUnrefItself,
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
constexpr const char* kDeedNames[] = {"unref_itself",
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

class Lifetime : public test::LoopTest {
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
    test::LoopTest::SetUp();
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
    test::LoopTest::TearDown();
  }

  void release(Source* source) {
    ASSERT_EQ(sources_.erase(source), 1U);
    source->unref();
  }

  // Adds a source that has its event at hand.
  Source* add_ready(Sort sort, test::Handler* then) {
    Source* source = nullptr;
    switch (sort) {
      case Sort::kIo: {
        test::EventFd& event = event_fd();
        event.set();
        source = add_io(event.fd(), then);
        break;
      }
      case Sort::kTime:
        source = add_time(1, then);
        break;
      case Sort::kSignal:
        EXPECT_EQ(SignalSource::add(*loop_, &source, SIGRTMIN + n_signals_, test::Handler::signal, then), 0);
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
        EXPECT_EQ(PressureSource::add(*loop_, &source, Kind::kMemoryPressure, test::Handler::call, then), 0);
        if (writer_ < 0) writer_ = open((directory_ + "/fifo").c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        EXPECT_EQ(write(writer_, "x", 1), 1);
        break;
    }
    EXPECT_NE(source, nullptr);
    if (source) sources_.insert(source);
    return source;
  }

  int add_inotify(Source** ret, test::Handler* then) {
    const int fd = InotifySource::open_path(directory_.c_str(), IN_CREATE);
    const int r = InotifySource::add(*loop_, ret, fd, directory_.c_str(), IN_CREATE, test::Handler::inotify, then);
    (void)close(fd);
    return r;
  }
  void create_file() {
    files_.push_back(directory_ + "/" + std::to_string(files_.size()));
    (void)close(open(files_.back().c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  }

  Source* add_dead_child(int options, test::Handler* then) {
    const pid_t pid = fork();
    if (pid == 0) _exit(7);
    children_.push_back(pid);
    siginfo_t info = {};
    EXPECT_EQ(waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT), 0);
    Source* source = nullptr;
    EXPECT_EQ(ChildSource::add(*loop_, &source, pid, options, test::Handler::child, then), 0);
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

class LifetimeOfEachKind : public Lifetime, public ::testing::WithParamInterface<std::tuple<Sort, Deed>> {};

TEST_P(LifetimeOfEachKind, allows_a_callback_to) {
  const Sort sort = std::get<0>(GetParam());
  const Deed deed = std::get<1>(GetParam());
  int n_calls = 0;
  test::Handler* then = handler([&](Source* self) { return n_calls++ == 0 ? commit(deed, sort, self) : 0; });
  for (int i = 0; i < 3; ++i) add_ready(sort, then);
  if (sort == Sort::kPost) sources_.insert(add_defer(say("")));
  if (sort == Sort::kExit) loop_->exit(1);
  expect_sound();
  for (int i = 0; i < 30 && loop_ && step() > 0; ++i) continue;
  EXPECT_GE(n_calls, 1);
  const bool ended = deed == Deed::kUnrefAll || deed == Deed::kDropTheLoop || deed == Deed::kDropTheLoopAndTheOthers ||
                     deed == Deed::kExit || deed == Deed::kFailAndExit;
  if (!ended) {
    EXPECT_GE(n_calls, 2);
  }
  if (deed == Deed::kAddAnother && sort != Sort::kExit) {
    EXPECT_NE(said_.find('d'), std::string::npos);
  }
  if (loop_ && (deed == Deed::kFailAndExit || (deed == Deed::kExit && sort != Sort::kExit))) {
    EXPECT_TRUE(loop_->finished());
    EXPECT_EQ(loop_->exit_code(), deed == Deed::kExit ? 3 : -EIO);
  }
}

INSTANTIATE_TEST_SUITE_P(Source, LifetimeOfEachKind,
                         ::testing::Combine(::testing::ValuesIn(kSorts), ::testing::ValuesIn(kDeeds)),
                         [](const ::testing::TestParamInfo<std::tuple<Sort, Deed>>& info) {
                           return std::string(kSortNames[static_cast<size_t>(std::get<0>(info.param))]) + "_" +
                                  kDeedNames[static_cast<size_t>(std::get<1>(info.param))];
                         });

class LifetimeOfFloating : public Lifetime, public ::testing::WithParamInterface<Sort> {};

TEST_P(LifetimeOfFloating, belongs_to_the_loop_and_goes_with_it) {
  Source* source = add_ready(GetParam(), say("x"));
  int n_destroyed = 0;
  source->userdata = &n_destroyed;
  EXPECT_EQ(source->set_destroy_callback([](void* data) { ++*static_cast<int*>(data); }), 0);
  source->set_floating(true);
  release(source);
  expect_sound();
  EXPECT_EQ(n_destroyed, 0);
  end_loop();
  EXPECT_EQ(n_destroyed, 1);
}

TEST_P(LifetimeOfFloating, outlives_its_loop_while_somebody_holds_it) {
  Source* source = add_ready(GetParam(), say("x"));
  EXPECT_EQ(source->set_description("still here"), 1);
  source->set_floating(true);
  end_loop();
  EXPECT_FALSE(source->connected());
  EXPECT_EQ(source->loop(), nullptr);
  EXPECT_FALSE(source->is_pending());
  EXPECT_FALSE(source->armed());
  EXPECT_STREQ(source->description(), "still here");
}

TEST_P(LifetimeOfFloating, may_end_the_loop_by_becoming_floating) {
  Source* source = add_ready(GetParam(), say("x"));
  end_loop();  // The source keeps the loop.
  EXPECT_TRUE(source->connected());
  source->set_floating(true);
  EXPECT_FALSE(source->connected());
}

TEST_P(LifetimeOfFloating, may_stop_floating) {
  Source* source = add_ready(GetParam(), say("x"));
  source->set_floating(true);
  source->set_floating(true);
  source->set_floating(false);
  end_loop();
  EXPECT_TRUE(source->connected());
  EXPECT_TRUE(source->loop()->check_invariants());
}

INSTANTIATE_TEST_SUITE_P(Source, LifetimeOfFloating, ::testing::ValuesIn(kSorts),
                         [](const auto& info) { return kSortNames[static_cast<size_t>(info.param)]; });

// Where a callback that is not the event's own may do the same.
TEST_F(Lifetime, a_prepare_callback_may_do_any_of_these_deeds) {
  for (const Deed deed : kDeeds) {
    SCOPED_TRACE(kDeedNames[static_cast<size_t>(deed)]);
    if (!loop_) {
      ASSERT_EQ(Loop::create(&loop_), 0);
    }
    int n_prepared = 0;
    test::Handler* then = handler([](Source*) { return 0; });
    test::Handler* prepare =
        handler([&](Source* self) { return n_prepared++ == 0 ? commit(deed, Sort::kIo, self) : 0; });
    for (int i = 0; i < 3; ++i) {
      Source* source = add_ready(Sort::kIo, then);
      EXPECT_EQ(source->set_prepare(test::Handler::call), 0);
      source->userdata = prepare;
    }
    for (int i = 0; i < 3 && loop_; ++i) step();
    EXPECT_GE(n_prepared, 1);
    while (!sources_.empty()) release(*sources_.begin());
    end_loop();
  }
}

TEST_F(Lifetime, a_callback_of_the_end_of_a_rate_limit_may_do_any_of_these_deeds) {
  for (const Deed deed : kDeeds) {
    SCOPED_TRACE(kDeedNames[static_cast<size_t>(deed)]);
    if (!loop_) {
      ASSERT_EQ(Loop::create(&loop_), 0);
    }
    int n_expired = 0;
    test::Handler* then = handler([&](Source* self) {
      if (!self->rate_limit()->expired) return 0;
      return 0;
    });
    test::Handler* expired = handler([&](Source* self) {
      self->userdata = then;
      return n_expired++ == 0 ? commit(deed, Sort::kDefer, self) : 0;
    });
    for (int i = 0; i < 3; ++i) {
      Source* source = add_ready(Sort::kDefer, then);
      EXPECT_EQ(source->set_enabled(Enabled::kOn), 0);
      EXPECT_EQ(source->set_rate_limit(kUsecPerMsec, 1), 0);
      EXPECT_EQ(source->set_rate_limit_expired(test::Handler::call), 0);
    }
    for (int i = 0; i < 100 && loop_; ++i) {
      bool all = !sources_.empty();
      for (Source* source : sources_) all = all && source->rate_limited();
      if (all) break;
      step();
    }
    // All are offline, and each comes back by its own callback.
    for (Source* source : sources_) source->userdata = expired;
    for (int i = 0; i < 100 && loop_ && n_expired == 0; ++i) {
      Loop* loop = loop_;
      loop->ref();
      EXPECT_GE(loop->run(kForever), 0);
      EXPECT_TRUE(loop->check_invariants());
      loop->unref();
    }
    EXPECT_GE(n_expired, 1);
    while (!sources_.empty()) release(*sources_.begin());
    end_loop();
  }
}

TEST_F(Lifetime, a_destroy_callback_may_free_other_sources) {
  std::vector<Source*> pair = {add_defer(say("1")), add_defer(say("2"))};
  pair[0]->userdata = pair[1];
  EXPECT_EQ(pair[0]->set_destroy_callback([](void* data) { static_cast<Source*>(data)->unref(); }), 0);
  EXPECT_EQ(pair[0]->set_enabled(Enabled::kOff), 0);
  pair[0]->unref();
  expect_sound();
  EXPECT_EQ(loop_->poller().n_sources(), 0U);
}

TEST_F(Lifetime, the_loop_takes_floating_sources_whose_destroy_callbacks_free_each_other) {
  Source* first = add_defer(say("1"));
  Source* second = add_defer(say("2"));
  second->set_floating(true);  // One reference is the loop's, one is the first's.
  first->userdata = second;
  EXPECT_EQ(first->set_destroy_callback([](void* data) { static_cast<Source*>(data)->unref(); }), 0);
  first->set_floating(true);
  first->unref();
  end_loop();
}

TEST_F(Lifetime, a_source_that_is_turned_off_with_events_buffered_is_not_pending) {
  int n_calls = 0;
  Source* source = add_ready(Sort::kInotify, handler([&](Source*) { return ++n_calls, 0; }));
  create_file();
  EXPECT_EQ(loop_->prepare(), 0);
  EXPECT_EQ(loop_->wait(0), 1);
  ASSERT_TRUE(source->is_pending());
  EXPECT_EQ(source->set_enabled(Enabled::kOff), 0);
  EXPECT_FALSE(source->is_pending());
  expect_sound();
  EXPECT_EQ(loop_->dispatch(), 1);
  EXPECT_EQ(loop_->run(0), 0);
  EXPECT_EQ(n_calls, 0);
  EXPECT_EQ(source->set_enabled(Enabled::kOn), 0);
  create_file();
  EXPECT_EQ(drain(), 1);
  EXPECT_EQ(n_calls, 1);
  expect_sound();
}

TEST_F(Lifetime, a_source_that_is_freed_with_events_buffered_leaves_its_siblings_working) {
  int n_calls = 0;
  test::Handler* then = handler([&](Source*) { return ++n_calls, 0; });
  Source* survivor = add_ready(Sort::kInotify, then);
  EXPECT_EQ(survivor->set_enabled(Enabled::kOff), 0);
  Source* victim = add_ready(Sort::kInotify, then);
  EXPECT_EQ(loop_->prepare(), 0);
  EXPECT_EQ(loop_->wait(0), 1);
  ASSERT_TRUE(victim->is_pending());
  release(victim);
  expect_sound();
  EXPECT_EQ(loop_->dispatch(), 1);
  EXPECT_EQ(loop_->run(0), 0);
  EXPECT_EQ(n_calls, 0);
  EXPECT_EQ(survivor->set_enabled(Enabled::kOn), 0);
  create_file();
  EXPECT_EQ(drain(), 1);
  EXPECT_EQ(n_calls, 1);
  expect_sound();
}

TEST_F(Lifetime, a_forked_child_that_frees_everything_changes_nothing_in_its_parent) {
  std::vector<Source*> sources;
  for (const Sort sort : kSorts)
    if (sort != Sort::kExit) sources.push_back(add_ready(sort, say("x")));
  const size_t n_sources = sources.size();
  EXPECT_EQ(test::in_child([&] {
              if (!loop_->forked()) return 1;
              for (Source* source : sources) source->unref();
              loop_->unref();
              return 0;
            }),
            0);
  expect_sound();
  EXPECT_EQ(sources_.size(), n_sources);
  EXPECT_GE(drain(100), static_cast<int>(n_sources));
  EXPECT_GE(said_.size(), n_sources);
}

TEST_F(Lifetime, a_forked_child_that_frees_a_loop_without_sources_leaves_its_parent_the_signals) {
  Source* first = nullptr;
  ASSERT_EQ(SignalSource::add(*loop_, &first, SIGUSR1, test::Handler::signal, say("1")), 0);
  first->unref();  // What reads signals waits for the next source.
  EXPECT_EQ(test::in_child([&] {
              loop_->unref();
              return 0;
            }),
            0);
  Source* second = nullptr;
  ASSERT_EQ(SignalSource::add(*loop_, &second, SIGUSR1, test::Handler::signal, say("2")), 0);
  sources_.insert(second);
  EXPECT_EQ(raise(SIGUSR1), 0);
  EXPECT_EQ(drain(), 1);
  EXPECT_EQ(said_, "2");
}

TEST_F(Lifetime, a_loop_with_signals_that_make_it_exit_leaves_nothing_behind) {
  sigset_t before;
  ASSERT_EQ(pthread_sigmask(SIG_BLOCK, nullptr, &before), 0);
  EXPECT_EQ(loop_->set_signal_exit(true), 1);
  expect_sound();
  end_loop();
  sigset_t after;
  ASSERT_EQ(pthread_sigmask(SIG_BLOCK, nullptr, &after), 0);
  for (const int signo : {SIGINT, SIGTERM}) EXPECT_EQ(sigismember(&after, signo), sigismember(&before, signo));
}

}  // namespace
}  // namespace evenkeel
