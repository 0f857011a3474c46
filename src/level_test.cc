// SPDX-License-Identifier: MIT
//
// Unit tests of level.h.
//
// Idea: `Levels` against a std::map of the same priorities, and the order of one level's queue step by step. Post
// sources serve as elements: they are armed, but nothing makes them pending unless the test does.
#include "src/level.h"

#include <gtest/gtest.h>
#include <sys/ptrace.h>

#include <functional>
#include <map>
#include <random>
#include <vector>

#include "src/testing.h"

namespace evenkeel {
namespace {

using kernel::Call;

class LevelTest : public test::LoopTest {
 protected:
  // The queue of a priority, by the names that the sources were given as userdata: taken out one by one, and put back.
  std::string queue(Priority priority = 0) {
    Level* level = loop_->levels().acquire(priority);
    std::string names;
    std::vector<Source*> taken;
    while (Source* first = level->first_pending()) {
      names += *static_cast<const char*>(first->userdata);
      level->erase_pending(*first);
      taken.push_back(first);
    }
    for (Source* source : taken) level->insert_pending_by_age(*source);
    loop_->levels().release(*level);
    return names;
  }
  Source* add(const char* name, Priority priority = 0) {
    Source* source = add_post(nullptr, priority);
    source->userdata = const_cast<char*>(name);
    sources_.push_back(source);
    return source;
  }
  void TearDown() override {
    for (Source* source : sources_) source->unref();
    test::LoopTest::TearDown();
  }

 private:
  std::vector<Source*> sources_;
};

TEST_F(LevelTest, what_becomes_pending_goes_to_the_end_of_the_queue) {
  Source* a = add("a");
  Source* b = add("b");
  Source* c = add("c");
  b->pend();
  a->pend();
  c->pend();
  b->pend();  // Is there already.
  EXPECT_EQ(queue(), "bac");
  b->unpend();
  b->pend();
  EXPECT_EQ(queue(), "acb");
  EXPECT_TRUE(loop_->check_invariants());
}

TEST_F(LevelTest, who_comes_from_another_level_stands_by_its_age) {
  Source* one = add("1", 5);
  one->pend();
  loop_->prepare();
  Source* two = add("2");
  two->pend();
  loop_->prepare();
  Source* three = add("3", 5);
  three->pend();
  loop_->prepare();
  Source* four = add("4");
  four->pend();
  EXPECT_EQ(queue(0), "24");
  EXPECT_EQ(three->set_priority(0), 0);
  EXPECT_EQ(queue(0), "234");
  EXPECT_EQ(one->set_priority(0), 0);
  EXPECT_EQ(queue(0), "1234");
  EXPECT_EQ(queue(5), "");
  EXPECT_EQ(four->set_priority(-1), 0);
  EXPECT_EQ(queue(-1), "4");
  EXPECT_EQ(queue(0), "123");
  EXPECT_TRUE(loop_->check_invariants());
}

TEST_F(LevelTest, among_its_contemporaries_a_newcomer_from_another_level_is_the_last) {
  Source* a = add("a");
  Source* b = add("b", 1);
  Source* c = add("c");
  b->pend();
  a->pend();
  c->pend();
  EXPECT_EQ(b->set_priority(0), 0);
  EXPECT_EQ(queue(), "acb");
}

// How many instructions `body` takes in a forked child, which this process steps through; not further than `most`.
// -1 where nobody may do so.
long instructions_of(const std::function<void()>& body, long most) {
  const pid_t pid = test::fork_child();
  if (pid == 0) {
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) < 0) ::_exit(1);
    (void)::raise(SIGSTOP);
    body();
    (void)::raise(SIGSTOP);
    ::_exit(0);
  }
  long n = 0;
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  if (!WIFSTOPPED(status)) return -1;
  do {
    if (::ptrace(PTRACE_SINGLESTEP, pid, nullptr, nullptr) < 0) n = -1;
  } while (n >= 0 && ::waitpid(pid, &status, 0) == pid && WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP &&
           ++n < most);
  (void)::kill(pid, SIGKILL);
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  return n;
}

TEST_F(LevelTest, standing_by_its_age_costs_less_than_a_look_at_each_of_those_that_wait) {
  constexpr size_t kMany = 20000;
  constexpr size_t kCounted = 5;
  std::vector<Source*> old;
  for (size_t i = 0; i < kMany; ++i) {
    old.push_back(add("o", 5));
    old.back()->pend();
  }
  loop_->prepare();
  for (size_t i = 0; i < kMany; ++i) add("y")->pend();
  for (size_t i = kCounted; i < kMany; ++i) ASSERT_EQ(old[i]->set_priority(0), 0);
  const long n = instructions_of(
      [&] {
        for (size_t i = 0; i < kCounted; ++i) (void)old[i]->set_priority(0);
      },
      kMany * kCounted);
  if (n < 0) GTEST_SKIP() << "no process may be stepped through here";
  EXPECT_LT(n, static_cast<long>(kMany * kCounted));
}

TEST_F(LevelTest, the_best_of_many_priorities_is_known_whatever_comes_and_goes) {
  const std::vector<Priority> priorities = {INT64_MIN, INT64_MIN + 1, -1000,         -1,       0, 1,
                                            7,         1000,          INT64_MAX - 1, INT64_MAX};
  std::map<Priority, int> model;
  std::vector<Source*> sources;
  for (const Priority priority : priorities)
    for (int i = 0; i < 3; ++i) sources.push_back(add("x", priority));
  std::mt19937 random(1);
  for (int step = 0; step < 2000; ++step) {
    Source* source = sources[random() % sources.size()];
    if (random() % 4 == 0) {
      const Priority to = priorities[random() % priorities.size()];
      if (source->is_pending() && --model[source->priority()] == 0) model.erase(source->priority());
      ASSERT_EQ(source->set_priority(to), 0);
      if (source->is_pending()) ++model[to];
    } else if (source->is_pending()) {
      if (--model[source->priority()] == 0) model.erase(source->priority());
      source->unpend();
    } else {
      source->pend();
      ++model[source->priority()];
    }
    Level* best = loop_->levels().best_pending();
    ASSERT_EQ(best == nullptr, model.empty());
    if (best) {
      ASSERT_EQ(best->priority(), model.begin()->first);
    }
    if (step % 50 == 0) {
      ASSERT_TRUE(loop_->check_invariants());
    }
  }
}

TEST_F(LevelTest, a_priority_has_one_level_that_lives_while_somebody_holds_it) {
  Levels levels(*loop_);
  test::Faults faults;
  Level* level = levels.acquire(5);
  ASSERT_NE(level, nullptr);
  const int n_taken = faults.n(Call::kMalloc);
  EXPECT_EQ(levels.acquire(5), level);
  EXPECT_EQ(faults.n(Call::kMalloc), n_taken);
  levels.release(*level);
  levels.hold(*level);
  levels.release(*level);
  EXPECT_EQ(levels.acquire(5), level);
  EXPECT_EQ(level->priority(), 5);
  EXPECT_EQ(&level->loop(), loop_);
  levels.release(*level);
  levels.release(*level);
}

TEST_F(LevelTest, the_level_of_the_normal_priority_is_always_the_same) {
  Levels levels(*loop_);
  Level* level = levels.acquire(0);
  levels.release(*level);
  EXPECT_EQ(levels.acquire(0), level);
  levels.release(*level);
}

TEST_F(LevelTest, best_armed_is_the_best_that_the_kernel_could_wake) {
  Levels levels(*loop_);
  std::map<Priority, int> model;
  std::vector<Level*> held;
  const std::vector<Priority> priorities = {INT64_MIN, -5, 0, 5, INT64_MAX};
  for (const Priority priority : priorities) held.push_back(levels.acquire(priority));
  std::mt19937 random(3);
  for (int step = 0; step < 1000; ++step) {
    const size_t i = random() % held.size();
    int& n = model[priorities[i]];
    if (n > 0 && random() % 2 == 0) {
      held[i]->detach_timer();
      --n;
    } else {
      held[i]->attach_timer();
      ++n;
    }
    ASSERT_EQ(held[i]->n_armed(), static_cast<size_t>(n));
    Level* expected = nullptr;
    for (size_t j = held.size(); j-- > 0;)
      if (model[priorities[j]] > 0) expected = held[j];
    ASSERT_EQ(levels.best_armed(), expected);
    ASSERT_TRUE(levels.valid());
  }
  for (size_t i = 0; i < held.size(); ++i) {
    while (model[priorities[i]]-- > 0) held[i]->detach_timer();
    levels.release(*held[i]);
  }
}

TEST_F(LevelTest, for_each_better_walks_from_the_best_to_the_bound) {
  Levels levels(*loop_);
  std::vector<Level*> held;
  for (const Priority priority : {Priority{3}, INT64_MIN, Priority{-2}, Priority{0}, INT64_MAX})
    held.push_back(levels.acquire(priority));
  const auto walk = [&](Priority bound, bool inclusive, size_t at_most = 100) {
    std::vector<Priority> seen;
    levels.for_each_better(bound, inclusive, [&](Level& level) {
      seen.push_back(level.priority());
      return seen.size() < at_most;
    });
    return seen;
  };
  EXPECT_EQ(walk(0, false), (std::vector<Priority>{INT64_MIN, -2}));
  EXPECT_EQ(walk(0, true), (std::vector<Priority>{INT64_MIN, -2, 0}));
  EXPECT_EQ(walk(1, true), (std::vector<Priority>{INT64_MIN, -2, 0}));
  EXPECT_EQ(walk(INT64_MIN, false), (std::vector<Priority>{}));
  EXPECT_EQ(walk(INT64_MIN, true), (std::vector<Priority>{INT64_MIN}));
  EXPECT_EQ(walk(INT64_MAX, true), (std::vector<Priority>{INT64_MIN, -2, 0, 3, INT64_MAX}));
  EXPECT_EQ(walk(INT64_MAX, true, 2), (std::vector<Priority>{INT64_MIN, -2}));
  for (Level* level : held) levels.release(*level);
}

TEST_F(LevelTest, without_memory_there_is_no_level_and_nothing_has_changed) {
  for (int skip = 0; skip < 2; ++skip) {
    Levels levels(*loop_);
    test::Faults faults;
    faults.fail(Call::kMalloc, -ENOMEM, skip);
    EXPECT_EQ(levels.acquire(4), nullptr);
    EXPECT_TRUE(faults.injected());
    faults.fail_none();
    EXPECT_EQ(levels.best_pending(), nullptr);
    Level* level = levels.acquire(4);
    ASSERT_NE(level, nullptr);
    levels.release(*level);
  }
}

}  // namespace
}  // namespace evenkeel
