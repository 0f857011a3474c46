// SPDX-License-Identifier: MIT
//
// Unit tests of poller.h: what reaches the kernel, when, and what must never do so.
//
// Idea: every epoll_ctl is counted by the fault seam, and what the kernel has registered is read from
// /proc/self/fdinfo. The program under test is a nasty one: it closes descriptors behind the loop's back, gets their
// numbers again, and keeps duplicates of them.
#include "src/poller.h"

#include <gtest/gtest.h>

#include "src/poller_testing.h"

namespace evenkeel {
namespace {

using kernel::Call;

class PollerTest : public test::PollerFixture {};

TEST_F(PollerTest, turning_a_source_off_costs_nothing_before_the_next_wait_and_one_call_then) {
  Source* source = add_io(event_fd().fd(), say("a"));
  EXPECT_EQ(loop_->run(0), 0);
  test::Faults faults;
  EXPECT_EQ(source->set_enabled(Enabled::kOff), 0);
  EXPECT_EQ(faults.n_system_calls(), 0);
  EXPECT_EQ(loop_->run(0), 0);
  EXPECT_EQ(faults.n(Call::kEpollCtl), 1);
  EXPECT_EQ(n_registered(), 0);
  source->unref();
  EXPECT_EQ(faults.n(Call::kEpollCtl), 1);
}

TEST_F(PollerTest, turning_a_source_off_and_on_costs_nothing_before_the_first_wait_either) {
  Source* source = add_io(event_fd().fd(), say("a"));
  test::Faults faults;
  EXPECT_EQ(source->set_enabled(Enabled::kOff), 0);
  EXPECT_EQ(source->set_enabled(Enabled::kOn), 0);
  EXPECT_EQ(faults.n_system_calls(), 0);
  source->unref();
}

TEST_F(PollerTest, another_descriptor_takes_the_place_of_the_one_before_in_the_kernel_too) {
  const int before = event_fd().fd();
  const int fresh = event_fd().fd();
  Source* source = add_io(before, say("a"));
  EXPECT_EQ(io(source)->set_fd(fresh), 0);
  EXPECT_EQ(n_registered(before), 0);
  EXPECT_EQ(n_registered(fresh), 1);
  EXPECT_EQ(loop_->run(0), 0);
  expect_sound();
  source->unref();
}

TEST_F(PollerTest, turning_a_source_off_and_on_costs_one_call_at_the_next_wait) {
  test::EventFd& event = event_fd();
  Source* source = add_io(event.fd(), say("a"));
  EXPECT_EQ(loop_->run(0), 0);
  test::Faults faults;
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(source->set_enabled(Enabled::kOff), 0);
    EXPECT_EQ(source->set_enabled(Enabled::kOn), 0);
  }
  EXPECT_EQ(faults.n_system_calls(), 0);
  EXPECT_EQ(loop_->run(0), 0);
  EXPECT_EQ(faults.n(Call::kEpollCtl), 1);
  event.set();
  EXPECT_EQ(loop_->run(0), 1);
  EXPECT_EQ(said_, "a");
  expect_sound();
  source->unref();
}

TEST_F(PollerTest, other_events_that_were_set_between_off_and_on_are_the_ones_that_count) {
  test::EventFd& event = event_fd();
  Source* source = add_io(event.fd(), say("a"));
  EXPECT_EQ(source->set_enabled(Enabled::kOff), 0);
  EXPECT_EQ(io(source)->set_events(EPOLLOUT), 0);
  EXPECT_EQ(source->set_enabled(Enabled::kOn), 0);
  EXPECT_EQ(loop_->run(0), 1);
  EXPECT_EQ(io(source)->set_events(EPOLLIN), 0);
  EXPECT_EQ(loop_->run(0), 0);
  source->unref();
}

TEST_F(PollerTest, a_source_that_is_freed_between_prepare_and_wait_is_not_watched_any_more) {
  test::EventFd& event = event_fd();
  Source* source = add_io(event.fd(), say("a"));
  EXPECT_EQ(loop_->prepare(), 0);
  source->unref();
  EXPECT_EQ(n_registered(), 0);
  event.set();
  EXPECT_EQ(loop_->wait(0), 0);
  expect_sound();
}

TEST_F(PollerTest, between_prepare_and_wait_nothing_is_put_off) {
  test::EventFd& event = event_fd();
  Source* source = add_io(event.fd(), say("a"));
  EXPECT_EQ(loop_->prepare(), 0);
  test::Faults faults;
  EXPECT_EQ(source->set_enabled(Enabled::kOff), 0);
  EXPECT_EQ(faults.n(Call::kEpollCtl), 1);
  EXPECT_EQ(n_registered(), 0);
  EXPECT_EQ(source->set_enabled(Enabled::kOn), 0);
  EXPECT_EQ(n_registered(event.fd()), 1);
  EXPECT_EQ(loop_->wait(0), 0);
  source->unref();
}

TEST_F(PollerTest, a_registration_that_fails_is_an_error_of_the_call_that_asked_for_it) {
  Source* source = nullptr;
  test::EventFd& event = event_fd();
  const int number = event.fd();
  event.close();
  EXPECT_EQ(IoSource::add(*loop_, &source, number, EPOLLIN, nullptr, nullptr), -EBADF);
  const int file = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  EXPECT_EQ(IoSource::add(*loop_, &source, file, EPOLLIN, nullptr, nullptr), -EPERM);
  (void)::close(file);
  test::EventFd& other = event_fd();
  Source* first = add_io(other.fd(), say("a"));
  EXPECT_EQ(IoSource::add(*loop_, &source, other.fd(), EPOLLIN, nullptr, nullptr), -EEXIST);
  EXPECT_EQ(source, nullptr);
  expect_sound();
  first->unref();
}

TEST_F(PollerTest, a_source_that_is_off_makes_room_for_another_one_on_its_descriptor_at_once) {
  test::EventFd& event = event_fd();
  Source* first = add_io(event.fd(), say("1"));
  EXPECT_EQ(first->set_enabled(Enabled::kOff), 0);
  Source* second = add_io(event.fd(), say("2"));
  event.set();
  EXPECT_EQ(loop_->run(0), 1);
  EXPECT_EQ(first->set_enabled(Enabled::kOn), -EEXIST);
  EXPECT_EQ(first->enabled(), Enabled::kOff);
  EXPECT_EQ(loop_->run(0), 1);
  EXPECT_EQ(said_, "22");
  expect_sound();
  first->unref();
  EXPECT_EQ(n_registered(event.fd()), 1);
  EXPECT_EQ(loop_->run(0), 1);
  EXPECT_EQ(said_, "222");
  second->unref();
}

TEST_F(PollerTest, an_edge_triggered_source_that_was_off_watches_the_file_that_has_its_number_now) {
  test::EventFd& old = event_fd();
  Source* source = add_io(old.fd(), say("a"), 0, EPOLLIN | EPOLLET);
  EXPECT_EQ(loop_->run(0), 0);
  EXPECT_EQ(source->set_enabled(Enabled::kOff), 0);
  const int number = old.fd();
  old.close();
  test::EventFd& fresh = event_fd();
  ASSERT_EQ(fresh.fd(), number) << "the kernel gives out the lowest number";
  EXPECT_EQ(source->set_enabled(Enabled::kOn), 0);
  EXPECT_EQ(n_registered(number), 1) << "an edge could be missed later";
  fresh.set();
  EXPECT_EQ(loop_->run(0), 1);
  EXPECT_EQ(loop_->run(0), 0);
  EXPECT_EQ(said_, "a");
  expect_sound();
  source->unref();
}

TEST_F(PollerTest, an_edge_triggered_source_whose_descriptor_is_closed_stays_off) {
  test::EventFd& event = event_fd();
  Source* source = add_io(event.fd(), say("a"), 0, EPOLLIN | EPOLLET);
  EXPECT_EQ(source->set_enabled(Enabled::kOff), 0);
  event.close();
  EXPECT_EQ(source->set_enabled(Enabled::kOn), -EBADF);
  EXPECT_EQ(source->enabled(), Enabled::kOff);
  expect_sound();
  source->unref();
}

TEST_F(PollerTest, a_late_removal_never_hits_a_newer_registration_of_the_same_number) {
  for (const bool free_it : {false, true}) {
    SCOPED_TRACE(free_it ? "freed" : "off");
    said_.clear();
    test::EventFd& old = event_fd();
    Source* first = add_io(old.fd(), say("1"));
    EXPECT_EQ(loop_->run(0), 0);
    EXPECT_EQ(first->set_enabled(Enabled::kOff), 0);
    const int number = old.fd();
    old.close();
    test::EventFd& fresh = event_fd();
    ASSERT_EQ(fresh.fd(), number) << "the kernel gives out the lowest number";
    Source* second = add_io(fresh.fd(), say("2"));
    if (free_it) first->unref();
    EXPECT_EQ(loop_->run(0), 0);
    EXPECT_EQ(n_registered(number), 1);
    fresh.set();
    EXPECT_EQ(loop_->run(0), 1);
    EXPECT_EQ(said_, "2");
    if (!free_it) first->unref();
    EXPECT_EQ(n_registered(number), 1);
    EXPECT_EQ(loop_->run(0), 1);
    EXPECT_EQ(said_, "22");
    expect_sound();
    second->unref();
    fresh.close();
  }
}

TEST_F(PollerTest, a_source_that_was_off_while_its_number_got_a_new_file_watches_the_new_one) {
  test::EventFd& old = event_fd();
  Source* source = add_io(old.fd(), say("a"));
  EXPECT_EQ(loop_->run(0), 0);
  EXPECT_EQ(source->set_enabled(Enabled::kOff), 0);
  const int number = old.fd();
  old.close();
  test::EventFd& fresh = event_fd();
  ASSERT_EQ(fresh.fd(), number);
  EXPECT_EQ(source->set_enabled(Enabled::kOn), 0);
  EXPECT_EQ(loop_->run(0), 0);
  EXPECT_EQ(n_registered(number), 1);
  fresh.set();
  EXPECT_EQ(loop_->run(0), 1);
  EXPECT_EQ(said_, "a");
  expect_sound();
  source->unref();
}

TEST_F(PollerTest, a_source_that_is_turned_on_for_a_descriptor_that_was_closed_is_off_after_the_wait) {
  test::EventFd& event = event_fd();
  Source* source = add_io(event.fd(), say("a"));
  EXPECT_EQ(loop_->run(0), 0);
  EXPECT_EQ(source->set_enabled(Enabled::kOff), 0);
  event.close();
  (void)source->set_enabled(Enabled::kOn);
  EXPECT_EQ(loop_->run(0), 0);
  EXPECT_EQ(source->enabled(), Enabled::kOff);
  expect_sound();
  EXPECT_EQ(source->set_enabled(Enabled::kOn), -EBADF);
  source->unref();
}

TEST_F(PollerTest, where_the_exact_wait_is_refused_the_timeout_is_rounded_up_to_milliseconds) {
  for (const int error : {-ENOSYS, -EPERM, -EOPNOTSUPP}) {
    SCOPED_TRACE(error);
    Loop* loop = nullptr;
    ASSERT_EQ(Loop::create(&loop), 0);
    test::Faults faults;
    faults.fail(Call::kEpollWait, error);
    struct timespec ts = {};
    for (const Usec timeout : {Usec{1}, Usec{1500}, Usec{2000}}) {
      (void)clock_gettime(CLOCK_MONOTONIC, &ts);
      const Usec before = to_usec(ts);
      EXPECT_EQ(loop->run(timeout), 0);
      (void)clock_gettime(CLOCK_MONOTONIC, &ts);
      EXPECT_GE(to_usec(ts), before + (timeout + 999) / 1000 * 1000);
    }
    EXPECT_EQ(faults.n(Call::kEpollWait), 1 + 3) << "the refusal is remembered";
    loop->unref();
  }
}

TEST_F(PollerTest, a_timeout_below_a_millisecond_waits_and_no_timeout_only_looks) {
  EXPECT_EQ(loop_->run(1), 0);  // The first timeout may find out that there is no exact wait here.
  test::Faults faults;
  struct timespec ts = {};
  (void)clock_gettime(CLOCK_MONOTONIC, &ts);
  const Usec before = to_usec(ts);
  EXPECT_EQ(loop_->run(300), 0);
  (void)clock_gettime(CLOCK_MONOTONIC, &ts);
  EXPECT_GE(to_usec(ts), before + 300);
  EXPECT_EQ(loop_->run(0), 0);
  EXPECT_EQ(faults.n(Call::kEpollWait), 2);
}

TEST_F(PollerTest, a_wait_that_a_signal_handler_interrupts_hands_back_and_dispatches_nothing) {
  Source* source = add_io(event_fd().fd(), say("a"));
  test::Faults faults;
  EXPECT_EQ(loop_->prepare(), 0);
  faults.fail(Call::kEpollWait, -EINTR);
  EXPECT_EQ(loop_->wait(kForever), 1);
  EXPECT_EQ(loop_->state(), Loop::State::kPending);
  EXPECT_EQ(loop_->dispatch(), 1);
  EXPECT_EQ(loop_->state(), Loop::State::kInitial);
  EXPECT_EQ(said_, "");
  faults.fail(Call::kEpollWait, -EINTR);
  EXPECT_EQ(loop_->run(kForever), 1);
  EXPECT_EQ(loop_->run(0), 0);
  source->unref();
}

TEST_F(PollerTest, a_wait_that_fails_leaves_a_loop_that_may_try_again) {
  test::EventFd& event = event_fd();
  Source* source = add_io(event.fd(), say("a"));
  test::Faults faults;
  faults.fail(Call::kEpollWait, -ENOMEM);
  EXPECT_EQ(loop_->run(kForever), -ENOMEM);
  EXPECT_EQ(loop_->state(), Loop::State::kInitial);
  event.set();
  EXPECT_EQ(loop_->run(kForever), 1);
  EXPECT_EQ(said_, "a");
  source->unref();
}

TEST_F(PollerTest, setting_the_same_edge_triggered_events_asks_for_the_edge_again) {
  test::EventFd& event = event_fd();
  Source* source = add_io(event.fd(), say("a"), 0, EPOLLIN | EPOLLET);
  event.set();
  EXPECT_EQ(drain(), 1);
  EXPECT_EQ(io(source)->set_events(EPOLLIN | EPOLLET), 0);
  EXPECT_EQ(drain(), 1);
  EXPECT_EQ(source->set_enabled(Enabled::kOff), 0);
  EXPECT_EQ(source->set_enabled(Enabled::kOn), 0);
  EXPECT_EQ(drain(), 1);
  EXPECT_EQ(said_, "aaa");
  expect_sound();
  source->unref();
}

TEST_F(PollerTest, a_pending_source_gathers_what_happens_until_its_dispatch) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  uint32_t seen = 0;
  Source* source = add_io(ends[0], handler([&](Source* self) {
                            seen = io(self)->revents();
                            return self->set_enabled(Enabled::kOff);
                          }),
                          0, EPOLLIN | EPOLLOUT);
  // An edge of what is better makes the loop ask again about everything.
  test::EventFd& edge = event_fd();
  Source* better = add_io(edge.fd(), say("b"), -1, EPOLLIN | EPOLLET);
  EXPECT_EQ(loop_->prepare(), 0);
  EXPECT_EQ(loop_->wait(0), 1);
  EXPECT_EQ(io(source)->revents(), static_cast<uint32_t>(EPOLLOUT));
  EXPECT_EQ(::write(ends[1], "x", 1), 1);
  // Between two dispatches: the first one is of something else.
  Source* other = add_defer(say("d"), -1);
  EXPECT_EQ(loop_->dispatch(), 1);
  edge.set();
  EXPECT_EQ(loop_->run(0), 1);
  EXPECT_EQ(said_, "db");
  EXPECT_EQ(loop_->run(0), 1);
  EXPECT_EQ(seen, static_cast<uint32_t>(EPOLLIN | EPOLLOUT));
  for (Source* each : {source, better, other}) each->unref();
  for (const int end : ends) (void)::close(end);
}

TEST_F(PollerTest, setting_other_events_forgets_what_was_pending) {
  test::EventFd& event = event_fd();
  Source* source = add_io(event.fd(), say("a"));
  event.set();
  EXPECT_EQ(loop_->prepare(), 0);
  EXPECT_EQ(loop_->wait(0), 1);
  EXPECT_TRUE(source->is_pending());
  EXPECT_EQ(io(source)->set_events(EPOLLPRI), 0);
  EXPECT_FALSE(source->is_pending());
  EXPECT_EQ(loop_->dispatch(), 1);
  EXPECT_EQ(loop_->run(0), 0);
  EXPECT_EQ(said_, "");
  expect_sound();
  source->unref();
}

TEST_F(PollerTest, moving_to_a_descriptor_that_cannot_be_watched_leaves_the_old_one) {
  test::EventFd& event = event_fd();
  Source* source = add_io(event.fd(), say("a"));
  test::EventFd& closed = event_fd();
  const int number = closed.fd();
  closed.close();
  EXPECT_EQ(io(source)->set_fd(number), -EBADF);
  EXPECT_EQ(io(source)->fd(), event.fd());
  EXPECT_EQ(source->set_enabled(Enabled::kOff), 0);
  EXPECT_EQ(io(source)->set_events(EPOLLIN | EPOLLPRI), 0);
  EXPECT_EQ(source->set_enabled(Enabled::kOn), 0);
  EXPECT_EQ(io(source)->set_fd(number), -EBADF);
  expect_sound();
  event.set();
  EXPECT_EQ(loop_->run(0), 1);
  EXPECT_EQ(said_, "a");
  expect_sound();
  source->unref();
}

TEST_F(PollerTest, a_source_may_be_turned_on_before_it_is_moved_away_from_a_closed_descriptor) {
  test::EventFd& old = event_fd();
  Source* source = add_io(old.fd(), say("a"));
  EXPECT_EQ(loop_->run(0), 0);
  EXPECT_EQ(source->set_enabled(Enabled::kOff), 0);
  test::EventFd& fresh = event_fd();
  old.close();
  EXPECT_EQ(source->set_enabled(Enabled::kOn), 0);
  EXPECT_EQ(io(source)->set_fd(fresh.fd()), 0);
  expect_sound();
  EXPECT_EQ(source->enabled(), Enabled::kOn);
  fresh.set();
  EXPECT_EQ(loop_->run(0), 1);
  EXPECT_EQ(said_, "a");
  source->unref();
}

TEST_F(PollerTest, arming_and_firing_take_no_memory) {
  test::EventFd& event = event_fd();
  Source* source = add_io(event.fd(), say("a"));
  event.set();
  test::Faults faults;
  faults.fail(Call::kMalloc, -ENOMEM, 0, 1000);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(loop_->run(0), 1);
    EXPECT_EQ(source->set_enabled(Enabled::kOff), 0);
    EXPECT_EQ(loop_->run(0), 0);
    EXPECT_EQ(source->set_enabled(Enabled::kOn), 0);
  }
  EXPECT_EQ(faults.n(Call::kMalloc), 0);
  source->unref();
}

}  // namespace
}  // namespace evenkeel
