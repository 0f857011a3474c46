// SPDX-License-Identifier: MIT
//
// A program closes all descriptors it knows nothing of, and then opens files: the numbers of our signalfd and inotify
// descriptors stand for its files then, and we read what is in these.
//
// Idea: the descriptor is replaced by a socket whose every message is what one read brings. The sources stay silent or
// get an event; nothing outside the buffers is touched (memcheck and ASan look), and nothing loops for ever.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <string>
#include <vector>

#include "src/inotify_queue.h"
#include "src/level.h"
#include "src/signal_queue.h"
#include "src/testing.h"

namespace evenkeel {
namespace {

class ReplacedFd : public test::LoopTest {
 protected:
  void SetUp() override {
    LoopTest::SetUp();
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends_), 0);
  }
  void TearDown() override {
    for (const int end : ends_) ::close(end);
    LoopTest::TearDown();
  }
  void replace(const Channel& channel) { ASSERT_EQ(::dup3(ends_[0], channel.fd(), O_CLOEXEC), channel.fd()); }
  void put(const std::string& bytes) {
    ASSERT_EQ(::send(ends_[1], bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  }

  int ends_[2] = {-1, -1};
};

std::string event(int wd, uint32_t mask, std::string name, uint32_t length) {
  struct inotify_event head = {};
  head.wd = wd;
  head.mask = mask;
  head.len = length;
  return std::string(reinterpret_cast<const char*>(&head), sizeof(head)) + name;
}

// As the kernel fills it up.
std::string name_of(char c) {
  std::string name(16, '\0');
  name[0] = c;
  return name;
}

TEST_F(ReplacedFd, an_inotify_queue_takes_whole_events_only) {
  std::vector<std::string> names;
  const auto callback = [](Source*, const struct inotify_event* e, void* data) {
    static_cast<std::vector<std::string>*>(data)->emplace_back(e->len > 0 ? e->name : "");
    return 0;
  };
  const int directory = ::open("/", O_PATH | O_CLOEXEC);
  Source* source = nullptr;
  ASSERT_EQ(InotifySource::add(*loop_, &source, directory, nullptr, IN_CREATE, callback, &names), 0);
  ::close(directory);
  EXPECT_GE(loop_->run(0), 0);
  InotifyQueue& queue = *source->level().inotify;
  replace(queue);
  put("x");
  put(event(1, IN_CREATE, "", 0).substr(0, 15));
  put(event(1, IN_CREATE, "", 1));
  put(event(1, IN_CREATE, name_of('x'), UINT32_MAX));
  // Its end is its begin, where sizes have 32 bits.
  put(event(1, IN_CREATE, name_of('x'), UINT32_MAX - static_cast<uint32_t>(sizeof(struct inotify_event)) + 1));
  put(event(1, IN_CREATE, std::string(16, 'n'), 16));
  put(event(1, IN_CREATE, name_of('a'), 16) + event(1, IN_CREATE, name_of('b'), 16) + "and half of one");
  for (int i = 0; i < 7; ++i) {
    queue.on_ready(EPOLLIN);
    for (int dispatched = 0; dispatched < 3; ++dispatched) EXPECT_GE(loop_->run(0), 0);
    EXPECT_TRUE(loop_->check_invariants());
  }
  EXPECT_EQ(names, (std::vector<std::string>{"a", "b"}));
  source->unref();
}

TEST_F(ReplacedFd, a_signal_queue_takes_signals_only) {
  int n_calls = 0;
  const auto callback = [](Source*, const struct signalfd_siginfo*, void* data) {
    return ++*static_cast<int*>(data), 0;
  };
  Source* source = nullptr;
  ASSERT_EQ(SignalSource::add(*loop_, &source, SIGUSR2 | SignalSource::kBlock, callback, &n_calls), 0);
  SignalQueue& queue = *source->level().signals;
  replace(queue);
  for (const uint32_t signo :
       {0U, static_cast<uint32_t>(_NSIG), 0x80000000U, UINT32_MAX, static_cast<uint32_t>(SIGUSR2)}) {
    struct signalfd_siginfo info = {};
    info.ssi_signo = signo;
    put(std::string(reinterpret_cast<const char*>(&info), sizeof(info)));
    queue.on_ready(EPOLLIN);
    EXPECT_GE(loop_->run(0), 0);
    EXPECT_TRUE(loop_->check_invariants());
  }
  put("short");
  queue.on_ready(EPOLLIN);
  EXPECT_GE(loop_->run(0), 0);
  EXPECT_EQ(n_calls, 1);
  source->unref();
}

}  // namespace
}  // namespace evenkeel
