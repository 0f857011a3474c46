// SPDX-License-Identifier: MIT
//
// Unit tests of poller.h: registrations that nobody can remove.
//
// Idea: a descriptor is closed while a duplicate of it is open. epoll goes on to watch the file, and there is no number
// left by which it could be told not to. The loop has to notice by the first event, to make its set anew, and to sleep.
#include <gtest/gtest.h>

#include "src/poller.h"
#include "src/poller_testing.h"

namespace evenkeel {
namespace {

using kernel::Call;

class PollerDuplicates : public test::PollerFixture {};

TEST_F(PollerDuplicates, a_duplicate_that_outlives_a_source_wakes_the_loop_a_bounded_number_of_times) {
  enum Way { kOffThenClosed, kClosedThenOff, kClosedThenFreed, kFreedThenClosed };
  for (const Way way : {kOffThenClosed, kClosedThenOff, kClosedThenFreed, kFreedThenClosed}) {
    SCOPED_TRACE(way);
    said_.clear();
    test::EventFd& event = event_fd();
    Source* source = add_io(event.fd(), say("a"));
    EXPECT_EQ(loop_->run(0), 0);
    const int duplicate = ::dup(event.fd());
    if (way == kOffThenClosed) {
      EXPECT_EQ(source->set_enabled(Enabled::kOff), 0);
    }
    if (way == kFreedThenClosed) source->unref();
    event.set();
    event.close();
    if (way == kClosedThenOff) {
      EXPECT_EQ(source->set_enabled(Enabled::kOff), 0);
    }
    if (way == kClosedThenFreed) source->unref();
    EXPECT_TRUE(sleeps());
    EXPECT_EQ(said_, "");
    EXPECT_EQ(n_registered(), 0);
    expect_sound();
    if (way == kOffThenClosed || way == kClosedThenOff) source->unref();
    (void)::close(duplicate);
  }
}

TEST_F(PollerDuplicates, what_is_left_of_a_freed_source_is_not_given_to_the_one_that_has_its_place) {
  test::EventFd& event = event_fd();
  test::EventFd& other = event_fd();
  Source* first = add_io(event.fd(), say("1"));
  EXPECT_EQ(loop_->run(0), 0);
  const int duplicate = ::dup(event.fd());
  event.set();
  event.close();
  const uint32_t slot = first->slot();
  first->unref();
  Source* second = add_io(other.fd(), say("2"));
  ASSERT_EQ(second->slot(), slot);
  EXPECT_TRUE(sleeps());
  EXPECT_EQ(said_, "");
  other.set();
  EXPECT_EQ(loop_->run(0), 1);
  EXPECT_EQ(said_, "2");
  expect_sound();
  second->unref();
  (void)::close(duplicate);
}

TEST_F(PollerDuplicates, a_duplicate_of_the_old_file_does_not_fire_the_source_of_the_new_one) {
  test::EventFd& old = event_fd();
  Source* source = add_io(old.fd(), say("a"));
  EXPECT_EQ(loop_->run(0), 0);
  const int duplicate = ::dup(old.fd());
  EXPECT_EQ(source->set_enabled(Enabled::kOff), 0);
  const int number = old.fd();
  old.set();
  old.close();
  test::EventFd& fresh = event_fd();
  ASSERT_EQ(fresh.fd(), number);
  EXPECT_EQ(source->set_enabled(Enabled::kOn), 0);
  EXPECT_TRUE(sleeps());
  EXPECT_EQ(said_, "") << "the old file is ready, the new one is not";
  fresh.set();
  EXPECT_EQ(loop_->run(0), 1);
  EXPECT_EQ(said_, "a");
  expect_sound();
  source->unref();
  (void)::close(duplicate);
}

TEST_F(PollerDuplicates, a_source_that_moved_away_from_a_closed_descriptor_hears_nothing_of_its_duplicate) {
  test::EventFd& old = event_fd();
  Source* source = add_io(old.fd(), say("a"));
  EXPECT_EQ(loop_->run(0), 0);
  const int duplicate = ::dup(old.fd());
  old.set();
  old.close();
  test::EventFd spare;  // Takes the old number, so that the source moves to another one.
  test::EventFd& fresh = event_fd();
  EXPECT_EQ(io(source)->set_fd(fresh.fd()), 0);
  EXPECT_TRUE(sleeps());
  EXPECT_EQ(said_, "");
  fresh.set();
  EXPECT_EQ(loop_->run(0), 1);
  EXPECT_EQ(said_, "a");
  expect_sound();
  source->unref();
  (void)::close(duplicate);
}

TEST_F(PollerDuplicates, the_set_is_made_anew_later_when_there_is_no_descriptor_for_it_now) {
  test::EventFd& event = event_fd();
  test::EventFd& other = event_fd();
  Source* source = add_io(event.fd(), say("1"));
  Source* witness = add_io(other.fd(), say("2"));
  EXPECT_EQ(loop_->run(0), 0);
  const int lent = loop_->lend_fd();
  const int duplicate = ::dup(event.fd());
  event.set();
  event.close();
  source->unref();
  test::Faults faults;
  faults.fail(Call::kEpollCreate, -EMFILE, 0, 2);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(loop_->run(0), 0);
  EXPECT_EQ(faults.n(Call::kEpollCreate), 2);
  other.set();
  EXPECT_EQ(loop_->run(0), 1);  // The third attempt succeeds; the loop has worked all along.
  EXPECT_EQ(said_, "2");
  EXPECT_EQ(faults.n(Call::kEpollCreate), 3);
  other.clear();
  EXPECT_TRUE(sleeps());
  EXPECT_EQ(n_registered(), 1);
  EXPECT_EQ(loop_->lend_fd(), lent) << "another loop may know the number";
  EXPECT_EQ(faults.n(Call::kEpollCreate), 3) << "once is enough";
  expect_sound();
  witness->unref();
  (void)::close(duplicate);
}

// Freed before it was closed, as it should be: nothing of it is left that would have to be got rid of later.
TEST_F(PollerDuplicates, a_duplicate_of_what_a_freed_source_watched_costs_nobody_his_watch_on_the_loop) {
  test::EventFd& event = event_fd();
  test::EventFd& other = event_fd();
  Source* source = add_io(event.fd(), say("1"));
  Source* witness = add_io(other.fd(), say("2"));
  EXPECT_EQ(loop_->run(0), 0);
  const int duplicate = ::dup(event.fd());
  const uint64_t one = 1;
  source->unref();
  event.close();
  EXPECT_EQ(loop_->run(0), 0);
  const int outer = ::epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event ready = {.events = EPOLLIN, .data = {}};
  EXPECT_EQ(::epoll_ctl(outer, EPOLL_CTL_ADD, loop_->lend_fd(), &ready), 0);
  EXPECT_EQ(n_registered(), 1);
  ASSERT_EQ(::write(duplicate, &one, sizeof(one)), static_cast<ssize_t>(sizeof(one)));
  EXPECT_TRUE(sleeps());
  other.set();
  EXPECT_EQ(::epoll_wait(outer, &ready, 1, 0), 1);
  EXPECT_EQ(loop_->run(0), 1);
  EXPECT_EQ(said_, "2");
  expect_sound();
  witness->unref();
  (void)::close(outer);
  (void)::close(duplicate);
}

TEST_F(PollerDuplicates, a_set_is_not_made_anew_where_there_is_no_room_for_all_that_is_watched) {
  for (int skip = 0; skip < 4; ++skip) {
    SCOPED_TRACE(skip);
    said_.clear();
    test::EventFd& event = event_fd();
    test::EventFd& other = event_fd();
    Source* ghost = add_io(event.fd(), say("g"));
    Source* source = add_io(other.fd(), say("1"));
    Source* timer = add_time(kForever, say("t"));
    EXPECT_EQ(loop_->run(0), 0);
    const int duplicate = ::dup(event.fd());
    event.set();
    event.close();
    ghost->unref();
    EXPECT_EQ(loop_->prepare(), 0);  // What is to be removed has been tried.
    test::Faults faults;
    faults.fail(Call::kEpollCtl, skip % 2 == 1 ? -ENOMEM : -ENOSPC, skip);
    EXPECT_EQ(loop_->wait(0), 0);
    EXPECT_EQ(faults.injected(), skip < 3) << "the source is asked about; it and the timerfd are registered again";
    faults.fail_none();
    other.set();
    static_cast<TimeSource*>(timer)->set_time(1);
    EXPECT_EQ(drain(2), 2);
    EXPECT_EQ(said_.find_first_not_of("1t"), std::string::npos);
    EXPECT_NE(said_.find('1'), std::string::npos);
    EXPECT_EQ(timer->set_enabled(Enabled::kOff), 0);
    other.clear();
    EXPECT_TRUE(sleeps());
    EXPECT_EQ(n_registered(), 2);
    expect_sound();
    source->unref();
    timer->unref();
    (void)::close(duplicate);
  }
}

TEST_F(PollerDuplicates, a_set_that_can_not_have_the_old_number_has_another_and_works) {
  test::EventFd& event = event_fd();
  test::EventFd& other = event_fd();
  Source* source = add_io(event.fd(), say("1"));
  Source* witness = add_io(other.fd(), say("2"));
  EXPECT_EQ(loop_->run(0), 0);
  const int duplicate = ::dup(event.fd());
  event.set();
  event.close();
  source->unref();
  const int number = loop_->poller().fd();
  test::Faults faults;
  faults.fail(Call::kDup, -EBUSY);
  EXPECT_EQ(loop_->run(0), 0);
  EXPECT_TRUE(faults.injected());
  EXPECT_NE(loop_->poller().fd(), number);
  EXPECT_TRUE(sleeps());
  other.set();
  EXPECT_EQ(loop_->run(0), 1);
  EXPECT_EQ(said_, "2");
  expect_sound();
  witness->unref();
  (void)::close(duplicate);
}

TEST_F(PollerDuplicates, a_source_whose_own_descriptor_is_closed_is_not_in_the_set_that_was_made_anew) {
  test::EventFd& event = event_fd();
  test::EventFd& closed = event_fd();
  Source* ghost = add_io(event.fd(), say("g"));
  Source* source = add_io(closed.fd(), say("a"));
  EXPECT_EQ(loop_->run(0), 0);
  const int duplicate = ::dup(event.fd());
  event.set();
  event.close();
  ghost->unref();
  closed.close();
  EXPECT_TRUE(sleeps());
  EXPECT_EQ(n_registered(), 0);
  // What it watches next is watched as ever.
  test::EventFd& fresh = event_fd();
  EXPECT_EQ(source->set_enabled(Enabled::kOff), 0);
  EXPECT_EQ(io(source)->set_fd(fresh.fd()), 0);
  EXPECT_EQ(source->set_enabled(Enabled::kOn), 0);
  EXPECT_EQ(n_registered(fresh.fd()), 1);
  fresh.set();
  EXPECT_EQ(loop_->run(0), 1);
  EXPECT_EQ(said_, "a");
  expect_sound();
  source->unref();
  (void)::close(duplicate);
}

TEST_F(PollerDuplicates, a_set_that_was_made_anew_knows_timers_signals_and_all_sources_still) {
  test::EventFd& event = event_fd();
  test::EventFd& other = event_fd();
  Source* ghost = add_io(event.fd(), say("g"));
  Source* io = add_io(other.fd(), say("i"));
  Source* off = add_io(event_fd().fd(), say("o"));
  EXPECT_EQ(off->set_enabled(Enabled::kOff), 0);
  Source* timer = add_time(kForever, say("t"));
  Source* signal = nullptr;
  ASSERT_EQ(SignalSource::add(*loop_, &signal, SIGUSR1 | SignalSource::kBlock, test::Handler::signal, say("s")), 0);
  EXPECT_EQ(loop_->run(0), 0);
  const int duplicate = ::dup(event.fd());
  event.set();
  event.close();
  ghost->unref();
  EXPECT_TRUE(sleeps());
  other.set();
  EXPECT_EQ(loop_->run(kForever), 1);
  other.clear();
  EXPECT_EQ(::raise(SIGUSR1), 0);
  EXPECT_EQ(loop_->run(kForever), 1);
  Usec now = 0;
  EXPECT_GE(loop_->now(CLOCK_MONOTONIC, &now), 0);
  static_cast<TimeSource*>(timer)->set_time(now + kUsecPerMsec);
  EXPECT_EQ(loop_->run(kForever), 1);
  EXPECT_EQ(said_, "ist");
  EXPECT_TRUE(sleeps());
  expect_sound();
  for (Source* source : {io, off, timer, signal}) source->unref();
  (void)::close(duplicate);
}

}  // namespace
}  // namespace evenkeel
