// SPDX-License-Identifier: MIT
//
// Unit tests of what is left in memory when everything has ended.
//
// Idea: the same life is lived many times, and after the first ones, which fill malloc's own caches, the number of
// bytes in use stays what it is. How many fill them depends on glibc's version, but only a leak never ends. The tools
// that see every leak (memcheck, LeakSanitizer) have a malloc of their own, which tells nothing here; these tests are
// for the builds without them.
//
// Nothing else in the process takes memory meanwhile: there are no threads, and the test keeps no containers.
#include <gtest/gtest.h>
#include <malloc.h>

#include "src/child_source.h"
#include "src/hash_table.h"
#include "src/inotify_queue.h"
#include "src/signal_queue.h"
#include "src/static_sources.h"
#include "src/testing.h"

namespace evenkeel {
namespace {

void expect_nothing_left(void (*live)()) {
  for (int i = 0; i < 20; ++i) live();
  long grown = 1;
  for (int round = 0; round < 10 && grown > 0; ++round) {
    const size_t before = mallinfo2().uordblks;
    for (int i = 0; i < 20; ++i) live();
    grown = static_cast<long>(mallinfo2().uordblks - before);
  }
  EXPECT_LE(grown, 0);
}

struct Number : HashNode<Number> {
  uint64_t value = 0;
};
struct ByValue {
  using Key = uint64_t;
  static Key key(const Number& number) { return number.value; }
  static uint64_t hash(Key key) { return hash_integer(key); }
};

TEST(Leaks, a_table_that_has_grown_gives_back_all_its_memory) {
  expect_nothing_left([] {
    Number numbers[100];
    HashTable<Number, Number, ByValue> table;
    for (uint64_t i = 0; i < 100; ++i) {
      numbers[i].value = i;
      ASSERT_TRUE(table.reserve());
      table.insert(numbers[i]);
    }
  });
}

int nothing(Source*, void*) { return 0; }

// What a source can have besides itself; then the loop is its only owner.
void furnish(Source* source) {
  ASSERT_NE(source, nullptr);
  for (const char* description : {"first", "second"}) EXPECT_EQ(source->set_description(description), 1);
  if (source->kind() != Kind::kExit) {
    EXPECT_EQ(source->set_prepare(nothing), 0);
  }
  if (source->can_rate_limit()) {
    EXPECT_EQ(source->set_rate_limit(3600 * kUsecPerSec, 1), 0);
  }
  EXPECT_EQ(source->set_priority(static_cast<Priority>(source->kind())), 0);
  source->set_floating(true);
  source->unref();
}

TEST(Leaks, a_loop_with_sources_of_every_kind_gives_back_all_its_memory) {
  static pid_t child;
  sigset_t used;
  sigset_t mask;
  (void)sigemptyset(&used);
  for (const int signo : {SIGCHLD, SIGUSR1}) (void)sigaddset(&used, signo);
  ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &used, &mask), 0);
  child = test::fork_child();
  if (child == 0) {
    for (;;) pause();
  }
  expect_nothing_left([] {
    Loop* loop = nullptr;
    Source* source = nullptr;
    test::EventFd event;
    ASSERT_EQ(Loop::create(&loop), 0);
    ASSERT_EQ(IoSource::add(*loop, &source, event.fd(), EPOLLIN, nullptr, nullptr), 0);
    furnish(source);
    ASSERT_EQ(TimeSource::add(*loop, &source, CLOCK_MONOTONIC, kForever, 1, nullptr, nullptr), 0);
    furnish(source);
    ASSERT_EQ(SignalSource::add(*loop, &source, SIGUSR1, nullptr, nullptr), 0);
    furnish(source);
    ASSERT_EQ(ChildSource::add(*loop, &source, child, WEXITED | WSTOPPED, nullptr, nullptr), 0);
    furnish(source);
    ASSERT_EQ(DeferSource::add(*loop, &source, nothing, nullptr), 0);
    furnish(source);
    ASSERT_EQ(PostSource::add(*loop, &source, nothing, nullptr), 0);
    furnish(source);
    ASSERT_EQ(ExitSource::add(*loop, &source, nothing, nullptr), 0);
    furnish(source);
    for (const char* path : {"/", "/proc", "/tmp"}) {
      const int fd = InotifySource::open_path(path, IN_DELETE_SELF);
      ASSERT_EQ(InotifySource::add(*loop, &source, fd, path, IN_DELETE_SELF, nullptr, nullptr), 0);
      (void)close(fd);
      source->set_floating(true);
      source->unref();
    }
    for (int i = 0; i < 5; ++i) EXPECT_GE(loop->run(0), 0);
    loop->unref();
  });
  EXPECT_EQ(kill(child, SIGKILL), 0);
  EXPECT_EQ(waitpid(child, nullptr, 0), child);
  const struct timespec none = {};
  (void)sigdelset(&used, SIGUSR1);
  while (sigtimedwait(&used, nullptr, &none) > 0) continue;
  EXPECT_EQ(pthread_sigmask(SIG_SETMASK, &mask, nullptr), 0);
}

}  // namespace
}  // namespace evenkeel
