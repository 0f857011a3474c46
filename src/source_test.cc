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

#include <string>
#include <tuple>
#include <vector>

#include "src/source_testing.h"

namespace evenkeel {
namespace {

using test::Deed;
using test::kDeedNames;
using test::kDeeds;
using test::kSortNames;
using test::kSorts;
using test::Lifetime;
using test::Sort;

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
