// SPDX-License-Identifier: MIT
//
// Unit tests of kernel.h: where descriptors of ours are, and what is left when one can't be had.
//
// Idea: a child closes its stdio, so that the kernel gives out 0, 1 and 2 first.
#include "src/kernel.h"

#include <gtest/gtest.h>

#include <initializer_list>

#include "src/testing.h"

namespace evenkeel {
namespace {

using kernel::Call;

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

// The result of `body` in a process without stdio; -1 when it left a descriptor there.
int without_stdio(const std::function<int()>& body) {
  return test::in_child([&] {
    for (const int fd : {0, 1, 2}) (void)::close(fd);
    const int r = body();
    for (const int fd : {0, 1, 2})
      if (is_open(fd)) return 255;
    return r;
  });
}

TEST(Kernel, a_pipe_is_out_of_the_way_of_stdio) {
  EXPECT_EQ(without_stdio([] {
              int ends[2] = {-1, -1};
              if (kernel::pipe(ends) != 0) return 1;
              if (ends[0] <= 2 || ends[1] <= 2) return 2;
              return ::write(ends[1], "x", 1) == 1 ? 0 : 3;
            }),
            0);
}

TEST(Kernel, a_pipe_that_can_not_get_out_of_the_way_leaves_nothing) {
  for (const int which : {0, 1}) {
    EXPECT_EQ(without_stdio([which] {
                const int n_fds = test::count_fds();
                test::Faults faults;
                faults.fail(Call::kDup, -EMFILE, which);
                int ends[2] = {-1, -1};
                if (kernel::pipe(ends) != -EMFILE) return 1;
                return test::count_fds() == n_fds ? 0 : 2;
              }),
              0)
        << "end " << which;
  }
}

TEST(Kernel, an_epoll_set_that_can_not_get_out_of_the_way_leaves_nothing) {
  EXPECT_EQ(without_stdio([] {
              test::Faults faults;
              faults.fail(Call::kDup, -EMFILE);
              return kernel::epoll_create() == -EMFILE ? 0 : 1;
            }),
            0);
}

TEST(Kernel, errors_are_returned_and_errno_is_the_callers) {
  errno = EDOM;
  EXPECT_EQ(kernel::close(-1), -EBADF);
  EXPECT_EQ(kernel::open("/nowhere/at/all", O_RDONLY), -ENOENT);
  EXPECT_EQ(errno, EDOM);
}

}  // namespace
}  // namespace evenkeel
