// SPDX-License-Identifier: MIT
//
// Unit tests of loop.h: what it costs to know who goes next.
//
// Idea: the fault seam counts the calls that each dispatch costs, so that the promise of doc/dispatch.md ("ask only
// about what could preempt") is a number here. What must happen in a long batch although nobody asks the kernel is
// tested here, too.
#include <gtest/gtest.h>
#include <sys/un.h>

#include <string>

#include "src/loop.h"
#include "src/loop_testing.h"

namespace evenkeel {
namespace {

using kernel::Call;
using test::monotonic;

class LoopCost : public test::DispatchTest {};

TEST_F(LoopCost, many_ready_descriptors_cost_one_question_for_all_of_them) {
  keep_ready(50);
  EXPECT_EQ(loop_->run(kForever), 1);
  test::Faults faults;
  run(49);
  expect_calls(faults, 0, 0);
  EXPECT_EQ(loop_->run(0), 0);
  expect_calls(faults, 1, 0);
  keep_ready(50);
  faults.reset();
  run(50);
  expect_calls(faults, 1, 0);
}

TEST_F(LoopCost, a_better_signal_source_costs_one_small_question_for_each_dispatch) {
  keep_signal(say("S"), -1);
  keep_ready(50);
  EXPECT_EQ(loop_->run(0), 1);
  test::Faults faults;
  run(49);
  expect_calls(faults, 0, 0, 49);
}

TEST_F(LoopCost, better_signals_and_a_few_better_descriptors_cost_a_small_question_each) {
  keep_signal(say("S"), -2);
  keep(add_io(event_fd().fd(), say("i"), -1));
  keep_ready(10);
  EXPECT_EQ(loop_->run(0), 1);
  test::Faults faults;
  run(4);
  expect_calls(faults, 0, 4, 4);
  EXPECT_EQ(::raise(SIGUSR1), 0);
  run(1);
  EXPECT_EQ(said_, ".....S");
}

TEST_F(LoopCost, a_better_real_time_signal_goes_first_too) {
  Source* source = nullptr;
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGRTMIN + 2);
  ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &mask, nullptr), 0);
  ASSERT_EQ(SignalSource::add(*loop_, &source, SIGRTMIN + 2, test::Handler::signal, say("R")), 0);
  keep(with_priority(source, -1));
  keep_ready(10);
  EXPECT_EQ(loop_->run(0), 1);
  EXPECT_EQ(::raise(SIGRTMIN + 2), 0);
  run(2);
  EXPECT_EQ(said_, ".R.");
}

TEST_F(LoopCost, a_kernel_that_does_not_tell_which_signals_wait_is_asked_by_epoll) {
  keep_signal(say("S"), -1);
  keep_ready(10);
  EXPECT_EQ(loop_->run(0), 1);
  test::Faults faults;
  faults.fail(Call::kSigpending, -EPERM);
  EXPECT_EQ(::raise(SIGUSR1), 0);
  run(2);
  EXPECT_EQ(said_, ".S.");
}

TEST_F(LoopCost, a_kernel_that_refuses_poll_is_asked_by_epoll) {
  test::EventFd& better = event_fd();
  keep(add_io(better.fd(), say("b"), -1));
  keep_ready(10);
  EXPECT_EQ(loop_->run(0), 1);
  test::Faults faults;
  for (const int error : {-EINVAL, -EPERM, -ENOSYS, -ENOMEM}) {
    faults.fail(Call::kPoll, error);
    better.set();
    said_.clear();
    run(1);
    EXPECT_EQ(said_, "b") << "with " << error;
    better.clear();
  }
  faults.fail(Call::kPoll, -EINTR);
  faults.reset();
  run(1);
  EXPECT_EQ(faults.n(Call::kEpollWait), 0) << "nothing was ready, or poll would have said so";
}

TEST_F(LoopCost, worse_sources_cost_nothing_while_better_ones_are_pending) {
  keep_signal(say("S"), 1);
  keep(add_io(event_fd().fd(), say("<"), 2));
  keep(add_time(1, say("T"), 3));
  keep_ready(20);
  EXPECT_EQ(loop_->run(0), 1);
  test::Faults faults;
  run(19);
  expect_calls(faults, 0, 0);
  EXPECT_EQ(faults.n(Call::kClockGettime), 0);
}

TEST_F(LoopCost, a_better_source_that_is_off_costs_nothing) {
  EXPECT_EQ(keep(add_io(event_fd().fd(), say("o"), -1))->set_enabled(Enabled::kOff), 0);
  keep_ready(20);
  EXPECT_EQ(loop_->run(0), 1);
  test::Faults faults;
  run(19);
  expect_calls(faults, 0, 0);
}

TEST_F(LoopCost, better_timers_cost_a_look_at_the_clock_and_no_system_call) {
  keep(add_time(kForever, say("T"), -1));
  keep_ready(20);
  EXPECT_EQ(loop_->run(0), 1);
  test::Faults faults;
  run(19);
  expect_calls(faults, 0, 0);
  EXPECT_EQ(faults.n(Call::kClockGettime), 19);
}

TEST_F(LoopCost, better_descriptors_that_are_idle_are_asked_by_poll_up_to_a_few_and_as_many_as_are_pending) {
  for (int i = 0; i < 68; ++i) keep(add_io(event_fd().fd(), say("b"), -1));
  keep_ready(10);
  EXPECT_EQ(loop_->run(0), 1);
  test::Faults faults;
  run(9);
  // While four or more are pending beyond the one at hand; then the whole question is the cheaper one.
  expect_calls(faults, 3, 9 - 3);
  EXPECT_EQ(said_, "..........");
}

TEST_F(LoopCost, a_better_edge_triggered_descriptor_is_asked_by_poll_and_only_when_it_is_ready_by_epoll) {
  test::EventFd& edge = event_fd();
  keep(add_io(edge.fd(), say("E"), -1, EPOLLIN | EPOLLET));
  keep_ready(4);
  EXPECT_EQ(loop_->run(0), 1);
  test::Faults faults;
  run(1);
  expect_calls(faults, 0, 1);
  edge.set();
  run(1);
  expect_calls(faults, 1, 2);
  EXPECT_EQ(said_, "..E");
  run(2);
  EXPECT_EQ(said_, "..E..");
  EXPECT_EQ(loop_->run(0), 0) << "one edge is one event";
}

TEST_F(LoopCost, of_two_better_descriptors_that_become_ready_epoll_tells_the_order) {
  test::EventFd& first = event_fd();
  test::EventFd& second = event_fd();
  keep(add_io(second.fd(), handler([&](Source*) { return second.clear(), said_ += '2', 0; }), -1));
  keep(add_io(first.fd(), handler([&](Source*) { return first.clear(), said_ += '1', 0; }), -1));
  keep_ready(4);
  EXPECT_EQ(loop_->run(0), 1);
  first.set();
  second.set();
  test::Faults faults;
  run(2);
  EXPECT_EQ(said_, ".12");
  EXPECT_EQ(faults.n(Call::kEpollWait), 1);
  run(3);
}

TEST_F(LoopCost, a_better_descriptor_that_was_closed_is_left_to_epoll) {
  test::EventFd& event = event_fd();
  keep(add_io(event.fd(), say("B"), -1));
  keep_ready(4);
  EXPECT_EQ(loop_->run(0), 1);
  const int duplicate = ::dup(event.fd());
  event.close();
  test::Faults faults;
  run(1);
  expect_calls(faults, 1, 1);
  const uint64_t one = 1;
  EXPECT_EQ(::write(duplicate, &one, sizeof(one)), static_cast<ssize_t>(sizeof(one)));
  run(1);
  EXPECT_EQ(said_, "..B");
  (void)::close(duplicate);
}

TEST_F(LoopCost, a_defer_that_stays_on_needs_neither_the_kernel_nor_the_clock) {
  keep(add_defer(say("d"), 0, Enabled::kOn));
  test::Faults faults;
  run(100);
  expect_calls(faults, 0, 0);
  EXPECT_EQ(faults.n(Call::kClockGettime), 0);
  EXPECT_EQ(faults.n(Call::kMalloc), 0);
}

TEST_F(LoopCost, a_description_costs_no_look_at_the_clock) {
  Source* source = keep(add_defer(say("d"), 0, Enabled::kOn));
  EXPECT_EQ(source->set_description("described"), 1);
  EXPECT_EQ(source->set_destroy_callback([](void*) {}), 0);
  test::Faults faults;
  run(100);
  EXPECT_EQ(faults.n(Call::kClockGettime), 0);
}

TEST_F(LoopCost, a_sleep_takes_one_look_at_the_clock) {
  keep(add_io(event_fd().fd(), say("i")));
  keep(add_time(kForever, say("t")));
  test::Faults faults;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(loop_->run(0), 0);
  EXPECT_EQ(faults.n(Call::kClockGettime), 10);
  expect_calls(faults, 10, 0);
}

TEST_F(LoopCost, the_clock_is_read_at_each_wake_up_once_a_program_has_asked_for_the_time) {
  keep(add_io(event_fd().fd(), say("i")));
  Usec time = 0;
  EXPECT_EQ(loop_->run(0), 0);
  EXPECT_EQ(loop_->now(CLOCK_MONOTONIC, &time), 0);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(loop_->run(0), 0);
    const Usec awake = monotonic();
    while (monotonic() == awake) continue;
    EXPECT_EQ(loop_->now(CLOCK_MONOTONIC, &time), 0);
    EXPECT_LE(time, awake);
  }
}

TEST_F(LoopCost, who_asks_for_the_time_for_the_first_time_and_late_is_told_when_the_loop_woke_up_all_the_same) {
  keep(add_io(event_fd().fd(), say("i")));
  const Usec begin = monotonic();
  EXPECT_EQ(loop_->run(0), 0);
  const Usec awake = monotonic();
  while (monotonic() < awake + 150 * kUsecPerMsec) continue;
  Usec time = 0;
  EXPECT_EQ(loop_->now(CLOCK_MONOTONIC, &time), 0);
  EXPECT_GE(time, begin);
  EXPECT_LE(time, awake + 100 * kUsecPerMsec) << "as close as the coarse clock can tell for certain";
  Usec again = 0;
  EXPECT_EQ(loop_->now(CLOCK_MONOTONIC, &again), 0);
  EXPECT_EQ(again, time);
}

TEST_F(LoopCost, the_time_of_an_iteration_is_the_same_for_all_of_it_and_read_when_it_is_asked_for) {
  Usec first = 0;
  EXPECT_EQ(loop_->now(CLOCK_MONOTONIC, &first), 1) << "before the first iteration it is the current time";
  keep(add_defer(handler([&](Source*) {
    Usec then[3] = {};
    for (const clockid_t id : {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME}) {
      EXPECT_EQ(loop_->now(id, &then[0]), 0);
      const Usec start = monotonic();
      while (monotonic() <= start + 10) continue;
      EXPECT_EQ(loop_->now(id, &then[1]), 0);
      EXPECT_EQ(then[0], then[1]);
    }
    EXPECT_GE(then[0], first);
    return 0;
  })));
  run(1);
}

// --- What must not starve in a long batch ---

TEST_F(LoopCost, the_watchdog_is_fed_in_a_batch_that_does_not_end) {
  const int manager = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  struct sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  socklen_t size = sizeof(address);
  ASSERT_EQ(::bind(manager, reinterpret_cast<struct sockaddr*>(&address), sizeof(sa_family_t)), 0);  // Any free name.
  ASSERT_EQ(::getsockname(manager, reinterpret_cast<struct sockaddr*>(&address), &size), 0);
  const std::string name(address.sun_path + 1, size - sizeof(sa_family_t) - 1);
  ASSERT_EQ(setenv("NOTIFY_SOCKET", ("@" + name).c_str(), 1), 0);
  ASSERT_EQ(setenv("WATCHDOG_USEC", "20000", 1), 0);
  ASSERT_EQ(unsetenv("WATCHDOG_PID"), 0);
  keep(add_defer(say(""), 0, Enabled::kOn));
  test::Faults faults;
  const Usec begin = monotonic();
  EXPECT_EQ(loop_->set_watchdog(true), 1);
  EXPECT_EQ(faults.n(Call::kSendmsg), 1);
  while (faults.n(Call::kSendmsg) < 4) ASSERT_EQ(loop_->run(0), 1);
  EXPECT_GE(monotonic(), begin + 3 * 20'000 / 4) << "never more often than every quarter of the period";
  EXPECT_EQ(faults.n(Call::kEpollWait) + faults.n(Call::kPoll), 0);
  char text[64] = {};
  for (int i = 0; i < 4; ++i) {
    EXPECT_GT(::recv(manager, text, sizeof(text) - 1, 0), 0);
    EXPECT_STREQ(text, "WATCHDOG=1");
  }
  EXPECT_EQ(loop_->set_watchdog(false), 0);
  (void)::close(manager);
  EXPECT_EQ(unsetenv("NOTIFY_SOCKET"), 0);
  EXPECT_EQ(unsetenv("WATCHDOG_USEC"), 0);
}

TEST_F(LoopCost, a_source_comes_back_from_its_rate_limit_in_a_batch_that_does_not_end) {
  keep(add_defer(say(""), 0, Enabled::kOn));
  int n_calls = 0;
  Source* limited = keep(add_defer(handler([&](Source*) { return ++n_calls, 0; }), -1, Enabled::kOn));
  EXPECT_EQ(limited->set_rate_limit(2 * kUsecPerMsec, 2), 0);
  static int n_expired;
  n_expired = 0;
  EXPECT_EQ(limited->set_rate_limit_expired([](Source*, void*) { return ++n_expired, 0; }), 0);
  const Usec begin = monotonic();
  while (n_expired < 3) ASSERT_EQ(loop_->run(0), 1);
  EXPECT_GE(monotonic(), begin + 3 * 2 * kUsecPerMsec);
  EXPECT_GE(n_calls, 6);
  EXPECT_TRUE(loop_->check_invariants());
}

TEST_F(LoopCost, an_exit_is_not_starved_by_a_source_that_is_always_ready) {
  keep(add_defer(say(""), INT64_MIN, Enabled::kOn));
  run(10);
  keep(add_exit(say("e"), INT64_MAX));
  loop_->exit(0);
  EXPECT_EQ(loop_->run_until_finished(), 0);
  EXPECT_EQ(said_, "e");
}

}  // namespace
}  // namespace evenkeel
