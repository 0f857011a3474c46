// SPDX-License-Identifier: MIT
//
// Unit tests of process.h.
//
// Idea: a token is true in the process that drew it and false in every other one, however that was made: by fork, by a
// clone that the C library does not see, or as a grandchild. Each child reports by its exit code which of its checks
// failed.
#include "src/process.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <stdlib.h>

#include "src/testing.h"

namespace evenkeel {
namespace {

using kernel::Call;

TEST(Process, is_the_one_that_drew_the_token) {
  const uint64_t token = Process::draw();
  EXPECT_NE(token, 0U);
  EXPECT_TRUE(Process::is(token));
  EXPECT_EQ(Process::draw(), token);
  EXPECT_FALSE(Process::is(token + 2));
}

TEST(Process, asking_costs_no_system_call) {
  const uint64_t token = Process::draw();
  test::Faults faults;
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(Process::is(token));
  EXPECT_EQ(Process::draw(), token);
  EXPECT_EQ(faults.n_system_calls() + faults.n(Call::kClockGettime), 0);
}

// What must hold in a child of the process that drew `token`; 0 if it does.
int check_child(uint64_t token) {
  if (Process::is(token)) return 1;
  if (Process::is(token)) return 2;  // Asking changes nothing.
  const uint64_t mine = Process::draw();
  if (mine == 0 || mine == token) return 3;
  if (!Process::is(mine)) return 4;
  return Process::is(token) ? 5 : 0;
}

TEST(Process, a_forked_child_is_another_one_and_draws_its_own_token) {
  const uint64_t token = Process::draw();
  EXPECT_EQ(test::in_child([&] { return check_child(token); }), 0);
  EXPECT_TRUE(Process::is(token));
  EXPECT_EQ(Process::draw(), token);
}

TEST(Process, a_grandchild_is_neither_its_parent_nor_its_grandparent) {
  const uint64_t token = Process::draw();
  const auto grandchild = [&](uint64_t parents) { return check_child(parents) + (Process::is(token) ? 32 : 0); };
  EXPECT_EQ(test::in_child([&] {
              const uint64_t mine = Process::draw();
              return test::in_child([&] { return grandchild(mine); });
            }),
            0);
  // The child that never asks has no token of its own to be mistaken for.
  EXPECT_EQ(test::in_child([&] { return test::in_child([&] { return grandchild(token); }); }), 0);
}

TEST(Process, a_child_that_the_c_library_does_not_know_of_is_another_one_too) {
  const uint64_t token = Process::draw();
  const long pid = ::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (pid == 0) ::_exit(check_child(token));
  ASSERT_GT(pid, 0);
  int status = 0;
  ASSERT_EQ(::waitpid(static_cast<pid_t>(pid), &status, 0), pid);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_TRUE(Process::is(token));
}

TEST(Process, a_thread_is_the_same_one) {
  uint64_t token = Process::draw();
  pthread_t thread;
  const auto body = [](void* data) -> void* {
    uint64_t* expected = static_cast<uint64_t*>(data);
    return Process::is(*expected) && Process::draw() == *expected ? nullptr : data;
  };
  ASSERT_EQ(pthread_create(&thread, nullptr, body, &token), 0);
  void* wrong = nullptr;
  ASSERT_EQ(pthread_join(thread, &wrong), 0);
  EXPECT_EQ(wrong, nullptr);
}

// Of the address space of this process; takes no memory itself.
long pages_mapped() {
  char text[64] = {};
  const int fd = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  EXPECT_GT(::read(fd, text, sizeof(text) - 1), 0);
  (void)::close(fd);
  return ::strtol(text, nullptr, 10);
}

TEST(Process, has_one_token_when_two_threads_draw_the_first_at_once) {
  if (!test::alone()) return;
  static uint64_t others_token;
  // The other thread, as it were: it draws while the first is about to have the page wiped.
  kernel::fault_hook = [](Call call) {
    if (call != Call::kMadvise) return 0;
    kernel::fault_hook = nullptr;
    others_token = Process::draw();
    return 0;
  };
  const long n_pages = pages_mapped();
  const uint64_t token = Process::draw();
  kernel::fault_hook = nullptr;
  EXPECT_NE(token, 0U);
  EXPECT_EQ(token, others_token);
  EXPECT_TRUE(Process::is(token));
  EXPECT_EQ(pages_mapped(), n_pages);
}

TEST(Process, where_the_kernel_does_not_wipe_pages_the_pid_decides) {
  if (!test::alone()) return;
  test::Faults faults;
  faults.fail(Call::kMadvise, -EINVAL, 0, 1000);
  const long n_pages = pages_mapped();
  const uint64_t token = Process::draw();
  EXPECT_EQ(pages_mapped(), n_pages);
  EXPECT_EQ(token, static_cast<uint64_t>(::getpid()));
  EXPECT_TRUE(Process::is(token));
  EXPECT_EQ(test::in_child([&] { return check_child(token); }), 0);
  EXPECT_TRUE(Process::is(token));
}

TEST(Process, without_memory_for_the_page_there_is_no_token_and_no_loop_until_there_is) {
  if (!test::alone()) return;
  test::Faults faults;
  faults.fail(Call::kMadvise, -ENOMEM, 0, 2);
  EXPECT_EQ(Process::draw(), 0U);
  Loop* loop = nullptr;
  EXPECT_EQ(Loop::create(&loop), -ENOMEM);
  EXPECT_EQ(loop, nullptr);
  ASSERT_EQ(Loop::create(&loop), 0);
  EXPECT_FALSE(loop->forked());
  EXPECT_EQ(test::in_child([&] { return loop->forked() ? 0 : 1; }), 0);
  loop->unref();
}

}  // namespace
}  // namespace evenkeel
