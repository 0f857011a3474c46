// SPDX-License-Identifier: MIT
//
// Unit tests of profile.h.
//
// Idea: the time is an argument, so five seconds pass at once. What goes to stderr is read from a pipe that stands in
// for it.
#include "src/profile.h"

#include <gtest/gtest.h>

#include <string>

#include "src/memory.h"
#include "src/testing.h"

namespace evenkeel {
namespace {

// What `body` writes to stderr.
std::string stderr_of(const std::function<void()>& body) {
  int ends[2] = {-1, -1};
  EXPECT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  const int before = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
  EXPECT_EQ(::dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
  body();
  EXPECT_EQ(::dup2(before, STDERR_FILENO), STDERR_FILENO);
  char text[4096];
  const ssize_t n = ::read(ends[0], text, sizeof(text));
  for (const int fd : {ends[0], ends[1], before}) (void)::close(fd);
  return n > 0 ? std::string(text, static_cast<size_t>(n)) : "";
}

TEST(Profile, tells_every_five_seconds_how_long_the_iterations_took) {
  Profile profile;
  Usec now = 1000;
  const auto later = [&](Usec by) { profile.iteration(now += by); };
  EXPECT_EQ(stderr_of([&] {
              later(0);  // The first one has none before it.
              later(0);
              later(1);
              later(1024);
              later(2047);
              later(4'000'000);
            }),
            "");
  EXPECT_EQ(stderr_of([&] { later(1'000'000); }), "Event loop iterations (log2 of usec: count): 0:2 10:2 19:1 21:1\n");
  EXPECT_EQ(stderr_of([&] { later(4'999'999); }), "") << "it starts over with each line";
  EXPECT_EQ(stderr_of([&] { later(1); }), "Event loop iterations (log2 of usec: count): 0:1 22:1\n");
}

TEST(Profile, is_cut_where_there_is_no_more_room) {
  Profile profile;
  for (unsigned bit = 1; bit < 22; ++bit) profile.iteration(Usec{1} << bit);
  char all[1024];
  const size_t length = profile.format(all, sizeof(all));
  EXPECT_EQ(length, ::strlen(all));
  for (const size_t size : {size_t{1}, size_t{20}, size_t{60}, length, length + 1}) {
    char text[1024];
    ::memset(text, '#', sizeof(text));
    EXPECT_EQ(profile.format(text, size), size - 1);
    EXPECT_EQ(std::string(text), std::string(all, size - 1));
    EXPECT_EQ(text[size], '#') << "nothing is written behind the end";
  }
}

TEST(Profile, of_a_loop_is_there_where_the_variable_is_set) {
  Profile* profile = nullptr;
  ASSERT_EQ(unsetenv("SD_EVENT_PROFILE_DELAYS"), 0);
  EXPECT_EQ(Profile::create_if_wanted(&profile), 0);
  EXPECT_EQ(profile, nullptr);
  ASSERT_EQ(setenv("SD_EVENT_PROFILE_DELAYS", "1", 1), 0);
  EXPECT_EQ(Profile::create_if_wanted(&profile), 0);
  ASSERT_NE(profile, nullptr);
  ASSERT_EQ(unsetenv("SD_EVENT_PROFILE_DELAYS"), 0);
  dispose(profile);
}

}  // namespace
}  // namespace evenkeel
