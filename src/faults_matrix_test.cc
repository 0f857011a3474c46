// SPDX-License-Identifier: MIT
//
// Every system call that the engine makes, failed with every error that it can give, at every place where it is made.
//
// Idea: one life of a loop with a source of each kind (`World`) goes through all that reaches the kernel: adding,
// setting, firing, waiting, a rate limit that ends, a registration that nobody can name, messages to a manager. It is
// played again for each call, each error of it, and each time that the call is made in it. A step may fail once; it is
// made again then, and has to succeed. The invariants hold after each step, no descriptor is left, and in the end each
// source has fired, or is OFF: none is ON and deaf.
//
// What may come of a fault is the table `kCalls`, a row for each name of `kernel::Call`; a row claims neither more nor
// less than what is seen. doc/faults.md is made from it (tools/checks/faults --write).
#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "src/faults_world.h"
#include "src/pidfd_info.h"

namespace evenkeel {
namespace {

using kernel::Call;
using test::kIteration;
using test::kNothing;
using test::kTold;
using test::kToldOther;
using test::kTurnedOff;

struct Row {
  Call call;
  std::vector<int> errors;
  unsigned outcomes;
};

// The name of its test.
void PrintTo(const Row& row, std::ostream* out) {
  *out << "call_" << static_cast<int>(row.call) << "_errno_" << row.errors[0];
}

// clang-format off
const Row kCalls[] = {
    {Call::kEpollCreate, {EMFILE, ENFILE, ENOMEM}, kNothing | kTold},
    {Call::kEpollCtl, {ENOMEM, ENOSPC}, kNothing | kTold | kTurnedOff},
    {Call::kEpollWait, {EINTR}, kNothing},
    {Call::kEpollWait, {EINVAL, ENOMEM}, kNothing | kIteration},
    {Call::kEpollWait, {ENOSYS, EPERM}, kNothing | kIteration},
    {Call::kPoll, {EINTR, EINVAL, ENOMEM, EPERM}, kNothing | kTold},
    {Call::kDup, {EMFILE, EINTR, EBUSY}, kNothing | kTold},
    {Call::kTimerfdCreate, {EMFILE, ENFILE, ENODEV, ENOMEM}, kTold},
    {Call::kTimerfdSettime, {EINVAL, ENOMEM}, kIteration},
    {Call::kClockGettime, {EINVAL, EPERM}, kNothing | kToldOther},
    {Call::kSignalfd, {EMFILE, ENFILE, ENODEV, ENOMEM}, kNothing | kTold},
    {Call::kSigmask, {EINVAL}, kTold | kToldOther},
    {Call::kSigpending, {ENOSYS, EPERM}, kNothing},
    {Call::kRead, {EINTR, EAGAIN, EIO, ENOMEM}, kNothing | kTold | kTurnedOff},
    {Call::kWrite, {EINTR, EAGAIN}, kNothing},
    {Call::kWrite, {EIO, ENOSPC}, kTurnedOff},
    {Call::kOpen, {EMFILE, ENFILE, ENOMEM, EACCES, EINTR}, kNothing | kTold},
    {Call::kOpen, {ENOENT}, kNothing | kTold | kToldOther},
    {Call::kFstat, {ENOMEM, EIO}, kTold},
    {Call::kFstatfs, {ENOSYS, EINTR, EIO}, kTold},
    {Call::kInotifyInit, {EMFILE, ENFILE, ENOMEM}, kTold},
    {Call::kInotifyAddWatch, {ENOSPC, ENOMEM, EACCES}, kTold},
    {Call::kInotifyAddWatch, {ENOENT}, kToldOther},
    {Call::kInotifyRmWatch, {EINVAL}, kNothing},
    {Call::kPidfdInfo, {ENOTTY, ESRCH, ENOSYS, EPERM}, kNothing},
    {Call::kPidfdOpen, {EMFILE, ENFILE, ENODEV, ENOMEM}, kTold},
    {Call::kPidfdOpen, {ENOSYS, EPERM, EACCES}, kNothing},
    {Call::kPidfdSendSignal, {EPERM, ESRCH}, kTold},
    {Call::kPidfdSendSignal, {ENOSYS}, kNothing},
    {Call::kWaitid, {EINVAL, EBADF}, kNothing},
    {Call::kWaitid, {ECHILD}, kNothing | kTurnedOff},
    {Call::kSocket, {EMFILE, ENFILE, ENOMEM, EAFNOSUPPORT}, kNothing | kTold},
    {Call::kConnect, {ECONNREFUSED, EAGAIN, EACCES}, kTold},
    {Call::kSendmsg, {EAGAIN, EINTR, ENOBUFS, ECONNREFUSED}, kNothing | kTold | kTurnedOff},
    {Call::kSendmsg, {EMSGSIZE}, kNothing | kTold | kTurnedOff},
    {Call::kGetsockopt, {EPERM, ENOBUFS}, kNothing},
    {Call::kPipe, {EMFILE, ENFILE}, kTold},
    {Call::kMalloc, {ENOMEM}, kTold},
};

// What no life of a loop shows, and where it is shown.
const struct {
  Call call;
  const char* where;
} kElsewhere[] = {
    {Call::kClose, "its result is of no use to anybody: the descriptor is gone in any case"},
    {Call::kKill, "a_signal_goes_by_the_pid_where_the_kernel_can_not_send_by_a_pidfd"},
    {Call::kMadvise, "where_the_kernel_does_not_wipe_pages_the_pid_decides"},
    {Call::kFcntl, "without_proc_a_pidfd_is_eopnotsupp_and_a_closed_one_is_ebadf"},
    {Call::kGetsockname, "a_system_call_that_is_refused_is_told_by_the_call"},
};
// clang-format on

constexpr size_t kNames = static_cast<size_t>(Call::kMalloc) + 1;

class FaultsMatrix : public test::FaultsFixture {};

class FaultsOfACall : public test::FaultsFixture, public ::testing::WithParamInterface<Row> {
 protected:
  // What has come of `error` at each of the places in turn at which the call is made.
  static unsigned fail_everywhere(Call call, int error, std::vector<int>* baseline) {
    unsigned all = 0;
    for (int skip = 0;; ++skip) {
      SCOPED_TRACE(testing::Message() << "call " << static_cast<int>(call) << ", place " << skip << ", errno "
                                      << error);
      test::World world(baseline);
      const unsigned outcomes = world.live(call, -error, skip);
      if (outcomes == 0 || HasFailure()) return all;
      all |= outcomes;
    }
  }
};

TEST_F(FaultsMatrix, each_name_of_a_call_has_its_row) {
  int n_rows[kNames] = {};
  int n_elsewhere[kNames] = {};
  for (const Row& row : kCalls) ++n_rows[static_cast<size_t>(row.call)];
  for (const auto& row : kElsewhere) ++n_elsewhere[static_cast<size_t>(row.call)];
  for (size_t name = 0; name < kNames; ++name) EXPECT_EQ(n_elsewhere[name], n_rows[name] > 0 ? 0 : 1) << name;
}

TEST_P(FaultsOfACall, what_comes_of_each_error_is_as_the_table_says) {
  const int pidfd = kernel::pidfd_open(::getpid());
  if (pidfd < 0) GTEST_SKIP() << "no pidfds here, as in valgrind";
  (void)::close(pidfd);
  std::vector<int> baseline;
  test::World(&baseline).live(Call::kClose, 0, 0);
  ASSERT_GT(baseline.size(), 30U);
  const int n_fds = test::count_fds();
  unsigned outcomes = 0;
  for (const int error : GetParam().errors) outcomes |= fail_everywhere(GetParam().call, error, &baseline);
  EXPECT_EQ(outcomes, GetParam().outcomes) << "of call " << static_cast<int>(GetParam().call);
  EXPECT_EQ(test::count_fds(), n_fds);
}

INSTANTIATE_TEST_SUITE_P(Rows, FaultsOfACall, ::testing::ValuesIn(kCalls),
                         [](const auto& row) { return ::testing::PrintToString(row.param); });

TEST_F(FaultsMatrix, without_proc_a_pidfd_is_eopnotsupp_and_a_closed_one_is_ebadf) {
  test::Faults faults;
  pid_t pid = 0;
  test::EventFd any;
  faults.fail(Call::kOpen, -ENOENT);
  EXPECT_EQ(pidfd_get_pid(any.fd(), &pid), -EOPNOTSUPP);
  faults.fail(Call::kOpen, -ENOENT);
  EXPECT_EQ(pidfd_get_pid(9999, &pid), -EBADF);
  EXPECT_EQ(faults.n(Call::kFcntl), 2);
}

}  // namespace
}  // namespace evenkeel
