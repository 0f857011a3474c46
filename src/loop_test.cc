// SPDX-License-Identifier: MIT
//
// Unit tests of loop.h: who goes next, and where it ends.
//
// Idea: a callback makes something better ready; whatever that is, it is dispatched next. Time never decides a test:
// where a clock has to move on, the test waits until it has.
#include "src/loop.h"

#include <gtest/gtest.h>

#include <vector>

#include "src/loop_testing.h"

namespace evenkeel {
namespace {

using kernel::Call;
using test::monotonic;

class LoopDispatch : public test::DispatchTest {};

// --- Preemption ---

TEST_F(LoopDispatch, a_better_descriptor_that_becomes_ready_in_a_callback_goes_next) {
  test::EventFd& better = event_fd();
  keep(add_io(better.fd(), handler([&](Source*) {
                better.clear();
                said_ += 'B';
                return 0;
              }),
              -1));
  test::EventFd& trigger = event_fd();
  keep(add_io(trigger.fd(), handler([&](Source*) {
                trigger.clear();
                better.set();
                said_ += 't';
                return 0;
              })));
  trigger.set();
  keep_ready(3);
  run(5);
  EXPECT_EQ(said_, "tB...");
}

TEST_F(LoopDispatch, a_better_signal_that_comes_in_a_callback_goes_next) {
  keep_signal(say("S"), -1);
  keep(add_defer(handler([&](Source*) {
    EXPECT_EQ(raise(SIGUSR1), 0);
    said_ += 't';
    return 0;
  })));
  keep_ready(3);
  run(5);
  EXPECT_EQ(said_, "tS...");
}

TEST_F(LoopDispatch, a_better_timer_that_is_due_in_a_callback_goes_next) {
  const Usec at = monotonic() + 2 * kUsecPerMsec;
  keep(add_time(at, say("T"), -1));
  keep(add_defer(handler([&](Source*) {
                   while (monotonic() < at) continue;
                   said_ += 't';
                   return 0;
                 }),
                 -1));
  keep_ready(3);
  run(5);
  EXPECT_EQ(said_, "tT...");
}

TEST_F(LoopDispatch, a_better_child_that_ends_in_a_callback_goes_next) {
  const pid_t pid = test::fork_child();
  if (pid == 0) {
    for (;;) ::pause();
  }
  Source* child = nullptr;
  ASSERT_EQ(ChildSource::add(*loop_, &child, pid, WEXITED, test::Handler::child, say("C")), 0);
  keep(with_priority(child, -1));
  keep(add_defer(handler([&](Source*) {
    EXPECT_EQ(::kill(pid, SIGKILL), 0);
    siginfo_t info = {};
    EXPECT_EQ(waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT), 0);
    said_ += 't';
    return 0;
  })));
  keep_ready(2);
  run(4);
  EXPECT_EQ(said_, "tC..");
}

TEST_F(LoopDispatch, a_better_source_that_a_callback_adds_or_turns_on_goes_next) {
  Source* off = keep(add_defer(say("O"), -2, Enabled::kOff));
  keep(add_defer(handler([&](Source*) {
    EXPECT_EQ(off->set_enabled(Enabled::kOn), 0);
    keep(add_defer(handler([&](Source*) {
                     EXPECT_EQ(off->set_enabled(Enabled::kOff), 0);
                     said_ += 'A';
                     return 0;
                   }),
                   -3));
    said_ += 't';
    return 0;
  })));
  keep_ready(2);
  run(4);
  EXPECT_EQ(said_, "tA..");
}

TEST_F(LoopDispatch, what_becomes_better_by_its_priority_goes_next) {
  Source* last = keep(add_defer(say("L"), 9));
  keep(add_defer(handler([&](Source*) {
    EXPECT_EQ(last->set_priority(-1), 0);
    said_ += 't';
    return 0;
  })));
  keep_ready(2);
  run(4);
  EXPECT_EQ(said_, "tL..");
}

TEST_F(LoopDispatch, what_is_worse_or_as_good_does_not_jump_the_queue) {
  test::EventFd& equal = event_fd();
  test::EventFd& worse = event_fd();
  keep(add_io(equal.fd(), handler([&](Source*) {
                equal.clear();
                said_ += '=';
                return 0;
              })));
  keep(add_io(worse.fd(), handler([&](Source*) {
                worse.clear();
                said_ += '<';
                return 0;
              }),
              1));
  keep_ready(3);
  run(1);
  equal.set();
  worse.set();
  run(4);
  EXPECT_EQ(said_, "...=<");
}

TEST_F(LoopDispatch, equals_take_turns) {
  for (const char* name : {"a", "b", "c"}) keep(add_defer(say(name), 0, Enabled::kOn));
  run(9);
  EXPECT_EQ(said_, "abcabcabc");
}

TEST_F(LoopDispatch, descriptors_that_stay_ready_take_turns_with_those_that_become_ready) {
  std::vector<test::EventFd*> events;
  for (const char* name : {"a", "b", "c"}) {
    events.push_back(&event_fd());
    keep(add_io(events.back()->fd(), say(name)));
  }
  events[0]->set();
  events[1]->set();
  run(2);
  events[2]->set();
  run(6);
  // Whatever the order: nobody is served twice before everybody who was ready has been served.
  const std::string rounds = said_.substr(2);
  for (const char* name : {"a", "b", "c"}) {
    EXPECT_NE(rounds.substr(0, 3).find(*name), std::string::npos) << rounds;
    EXPECT_NE(rounds.substr(3, 3).find(*name), std::string::npos) << rounds;
  }
}

TEST_F(LoopDispatch, a_defer_that_stays_on_does_not_starve_a_descriptor_of_its_priority) {
  keep(add_defer(say("d"), 0, Enabled::kOn));
  run(3);
  keep_ready(1);
  run(3);
  EXPECT_NE(said_.find('.'), std::string::npos) << said_;
}

// --- Iterations, exit ---

TEST_F(LoopDispatch, iterations_are_counted_by_prepare_and_by_each_exit_source) {
  EXPECT_EQ(loop_->iteration(), 0U);
  EXPECT_EQ(loop_->run(0), 0);
  EXPECT_EQ(loop_->iteration(), 1U);
  keep(add_defer(say("d"), 0, Enabled::kOn));
  run(3);
  EXPECT_EQ(loop_->iteration(), 4U);
  for (const char* name : {"1", "2"}) keep(add_exit(say(name)));
  loop_->exit(7);
  EXPECT_EQ(loop_->run_until_finished(), 7);
  EXPECT_EQ(loop_->iteration(), 6U);
  EXPECT_EQ(said_, "ddd12");
}

TEST_F(LoopDispatch, the_steps_of_an_iteration_leave_the_states_that_the_next_one_needs) {
  using State = Loop::State;
  keep(add_defer(handler([&](Source*) {
    EXPECT_EQ(loop_->state(), State::kRunning);
    return 0;
  })));
  Source* prepared = keep(add_io(event_fd().fd(), say("i")));
  EXPECT_EQ(prepared->set_prepare([](Source* source, void*) {
    EXPECT_EQ(source->loop()->state(), State::kPreparing);
    return 0;
  }),
            0);
  EXPECT_EQ(loop_->state(), State::kInitial);
  EXPECT_EQ(loop_->prepare(), 1);
  EXPECT_EQ(loop_->state(), State::kPending);
  EXPECT_EQ(loop_->dispatch(), 1);
  EXPECT_EQ(loop_->state(), State::kInitial);
  EXPECT_EQ(loop_->prepare(), 0);
  EXPECT_EQ(loop_->state(), State::kArmed);
  EXPECT_EQ(loop_->wait(0), 0);
  EXPECT_EQ(loop_->state(), State::kInitial);
  keep(add_exit(handler([&](Source*) {
    EXPECT_EQ(loop_->state(), State::kExiting);
    return 0;
  })));
  loop_->exit(0);
  EXPECT_EQ(loop_->prepare(), 1);
  EXPECT_EQ(loop_->dispatch(), 1);
  EXPECT_EQ(loop_->state(), State::kInitial);
  EXPECT_EQ(loop_->prepare(), 1);
  EXPECT_EQ(loop_->dispatch(), 0);
  EXPECT_EQ(loop_->state(), State::kFinished);
}

TEST_F(LoopDispatch, exit_sources_go_by_priority_and_age_and_an_exit_needs_none) {
  keep(add_exit(say("c"), 5));
  keep(add_exit(say("a"), -5));
  keep(add_exit(say("d"), 5));
  Source* moved = keep(add_exit(say("b"), 9));
  EXPECT_EQ(moved->set_priority(0), 0);
  Source* off = keep(add_exit(say("x")));
  EXPECT_EQ(off->set_enabled(Enabled::kOff), 0);
  loop_->exit(1);
  EXPECT_EQ(loop_->run_until_finished(), 1);
  EXPECT_EQ(said_, "abcd");
}

TEST_F(LoopDispatch, while_the_loop_exits_nothing_else_is_dispatched_and_a_later_code_counts) {
  keep_ready(3);
  keep(add_exit(handler([&](Source*) {
    loop_->exit(5);
    said_ += 'e';
    return 0;
  })));
  EXPECT_FALSE(loop_->exit_requested());
  loop_->exit(4);
  EXPECT_EQ(loop_->run_until_finished(), 5);
  EXPECT_EQ(said_, "e");
}

TEST_F(LoopDispatch, an_exit_that_is_asked_for_between_prepare_and_wait_does_not_sleep) {
  EXPECT_EQ(loop_->prepare(), 0);
  loop_->exit(2);
  EXPECT_EQ(loop_->wait(kForever), 1);
  EXPECT_EQ(loop_->dispatch(), 0);
  EXPECT_TRUE(loop_->finished());
}

TEST_F(LoopDispatch, an_exit_source_that_stays_on_is_dispatched_until_it_is_off) {
  int n = 0;
  Source* source =
      keep(add_exit(handler([&](Source* self) { return ++n == 3 ? self->set_enabled(Enabled::kOff) : 0; })));
  EXPECT_EQ(source->set_enabled(Enabled::kOn), 0);
  loop_->exit(0);
  EXPECT_EQ(loop_->run_until_finished(), 0);
  EXPECT_EQ(n, 3);
}

TEST_F(LoopDispatch, a_source_without_a_callback_exits_the_loop_with_its_userdata) {
  Source* source = nullptr;
  ASSERT_EQ(DeferSource::add(*loop_, &source, nullptr, reinterpret_cast<void*>(intptr_t{-17})), 0);
  keep(source);
  EXPECT_EQ(loop_->run_until_finished(), -17);
}

TEST_F(LoopDispatch, a_loop_that_exits_when_idle_ends_when_only_posts_and_exit_sources_are_on) {
  loop_->set_exit_on_idle(true);
  keep(add_post(say("p")));
  keep(add_exit(say("e")));
  Source* off = keep(add_io(event_fd().fd(), say("i")));
  EXPECT_EQ(off->set_enabled(Enabled::kOff), 0);
  Source* twice = keep(
      add_defer(handler([n = 0](Source* self) mutable { return ++n < 2 ? self->set_enabled(Enabled::kOneshot) : 0; })));
  EXPECT_NE(twice, nullptr);
  EXPECT_EQ(loop_->run_until_finished(), 0);
  // The post source follows the last of the defers, too: it might have turned something on.
  EXPECT_EQ(said_, "ppe");
}

TEST_F(LoopDispatch, a_rate_limited_source_keeps_a_loop_that_exits_when_idle) {
  loop_->set_exit_on_idle(true);
  Source* source = keep(add_defer(handler([&](Source* self) {
                                    said_ += 'd';
                                    return said_.size() == 2 ? self->set_enabled(Enabled::kOff) : 0;
                                  }),
                                  0, Enabled::kOn));
  EXPECT_EQ(source->set_rate_limit(kUsecPerMsec, 1), 0);
  EXPECT_EQ(loop_->run_until_finished(), 0);
  EXPECT_EQ(said_, "dd");
}

// --- Posts, prepare ---

TEST_F(LoopDispatch, post_sources_follow_each_dispatch_but_their_own) {
  keep(add_post(say("1")));
  keep(add_post(say("2")));
  keep(add_defer(say("d")));
  EXPECT_EQ(drain(), 3);
  EXPECT_EQ(said_, "d12");
  EXPECT_EQ(loop_->run(0), 0);
}

TEST_F(LoopDispatch, a_post_source_that_the_callback_adds_follows_that_very_dispatch) {
  keep(add_defer(handler([&](Source*) {
    keep(add_post(say("p")));
    return 0;
  })));
  EXPECT_EQ(drain(), 2);
  EXPECT_EQ(said_, "p");
}

TEST_F(LoopDispatch, prepare_callbacks_run_once_an_iteration_by_priority) {
  std::string prepared;
  const auto add = [&](const char* name, Priority priority) {
    Source* source =
        keep(add_io(event_fd().fd(), handler([&prepared, name](Source*) { return prepared += name, 0; }), priority));
    EXPECT_EQ(source->set_prepare(test::Handler::call), 0);
    return source;
  };
  add("c", 5);
  add("a", -5);
  add("b", 0);
  EXPECT_EQ(add("x", -9)->set_enabled(Enabled::kOff), 0);
  EXPECT_EQ(loop_->run(0), 0);
  EXPECT_EQ(prepared, "abc");
  EXPECT_EQ(loop_->run(0), 0);
  EXPECT_EQ(prepared, "abcabc");
}

TEST_F(LoopDispatch, a_failing_callback_turns_its_source_off) {
  Source* source = keep(add_defer(handler([](Source*) { return -EIO; }), 0, Enabled::kOn));
  run(1);
  EXPECT_EQ(source->enabled(), Enabled::kOff);
  EXPECT_EQ(loop_->run(0), 0);
  EXPECT_FALSE(loop_->exit_requested());
}

// --- The kernel fails ---

TEST_F(LoopDispatch, a_kernel_that_can_not_be_asked_is_an_error_of_the_iteration_and_not_of_the_sources) {
  test::EventFd& edge = event_fd();  // What makes the loop ask epoll before `e`.
  Source* better = keep(add_io(edge.fd(), say("b"), -1, EPOLLIN | EPOLLET));
  keep(add_defer(say("d")));
  keep(add_defer(say("e")));
  run(1);
  edge.set();
  test::Faults faults;
  for (const int error : {-EFAULT, -EINVAL}) {
    faults.fail(Call::kEpollWait, error);
    EXPECT_EQ(loop_->run(0), error);
    EXPECT_TRUE(faults.injected());
  }
  faults.fail(Call::kEpollWait, -EINVAL);
  EXPECT_EQ(loop_->run_until_finished(), -EINVAL);
  run(2);
  EXPECT_EQ(said_, "dbe");
  EXPECT_EQ(better->enabled(), Enabled::kOn);
  EXPECT_FALSE(loop_->exit_requested());
  EXPECT_TRUE(loop_->check_invariants());
}

TEST_F(LoopDispatch, without_a_clock_there_is_no_watchdog) {
  ASSERT_EQ(setenv("WATCHDOG_USEC", "5000000", 1), 0);
  ASSERT_EQ(unsetenv("WATCHDOG_PID"), 0);
  test::Faults faults;
  faults.fail(Call::kTimerfdCreate, -EMFILE);
  EXPECT_EQ(loop_->set_watchdog(true), -EMFILE);
  EXPECT_FALSE(loop_->watchdog());
  EXPECT_EQ(loop_->set_watchdog(true), 1);
  EXPECT_TRUE(loop_->watchdog());
  EXPECT_EQ(loop_->set_watchdog(false), 0);
  ASSERT_EQ(unsetenv("WATCHDOG_USEC"), 0);
}

}  // namespace
}  // namespace evenkeel
