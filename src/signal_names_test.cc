// SPDX-License-Identifier: MIT
//
// Unit tests of signal_names.h: every number there is, and some that are none.
#include "src/signal_names.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <string.h>

#include <string>

namespace evenkeel {
namespace {

TEST(SignalNames, are_those_of_the_c_library) {
  for (int signo = 1; signo < 32; ++signo) {
    ASSERT_NE(signal_name(signo), nullptr) << signo;
    // One number, two names.
    EXPECT_STREQ(signal_name(signo), signo == SIGIO ? "IO" : ::sigabbrev_np(signo));
  }
}

TEST(SignalNames, of_real_time_signals_count_from_the_first) {
  for (int signo = SIGRTMIN; signo <= SIGRTMAX; ++signo)
    EXPECT_EQ(signal_name(signo), "RTMIN+" + std::to_string(signo - SIGRTMIN));
}

TEST(SignalNames, of_the_c_librarys_own_signals_are_their_numbers) {
  for (int signo = 32; signo < SIGRTMIN; ++signo) EXPECT_EQ(signal_name(signo), std::to_string(signo));
}

TEST(SignalNames, are_not_given_to_what_is_no_signal) {
  for (const int signo : {-1, 0, SIGRTMAX + 1, 1000}) EXPECT_EQ(signal_name(signo), nullptr) << signo;
}

}  // namespace
}  // namespace evenkeel
