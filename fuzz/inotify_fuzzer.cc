// SPDX-License-Identifier: MIT
//
// What a read from an inotify descriptor brings: the input is the bytes, and which sources there are.
//
// Idea: the loop's inotify descriptor is a socket whose messages are the reads, and the kernel's answers for watches
// are made up, as real ones wait for each other. Three sources watch one inode and one another; the callbacks read
// everything that an event has, and turn sources off, on, or free them, as the first bytes say. After each iteration
// the engine's structures are as their headers say.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <unistd.h>

#include "abi/sd-event/handles.h"
#include "fuzz/expect.h"
#include "fuzzer/FuzzedDataProvider.h"
#include "src/inotify_queue.h"
#include "src/kernel.h"
#include "src/level.h"
#include "src/loop.h"

namespace evenkeel::fuzz {
namespace {

constexpr size_t kSources = 4;

struct World {
  Loop* loop = nullptr;
  Source* sources[kSources] = {};
  uint32_t plan = 0;  // Two bits a call: nothing, turn off, turn on as ONESHOT, free.
  int n_calls = 0;
};

World* world = nullptr;

// The kernel's answers: the end of the socket, and 1 and 2 for the watches of the two inodes.
int ends[2] = {-1, -1};
int n_watches = 0;

int answer(kernel::Call call) {
  if (call == kernel::Call::kInotifyInit) return ::fcntl(ends[0], F_DUPFD_CLOEXEC, 3);
  if (call == kernel::Call::kInotifyAddWatch) return ++n_watches < static_cast<int>(kSources) ? 1 : 2;
  return 0;
}

// What a program may do with an event.
int callback(sd_event_source*, const struct inotify_event* event, void*) {
  if (event->len > 0) EXPECT(strlen(event->name) < event->len);
  EXPECT(++world->n_calls <= 4 * 4096);
  const uint32_t step = world->plan & 3;
  Source*& other = world->sources[(world->plan >> 2) % kSources];
  world->plan = world->plan >> 5 | world->plan << 27;
  if (!other) return 0;
  if (step == 1) EXPECT(other->set_enabled(Enabled::kOff) >= 0);
  if (step == 2) EXPECT(other->set_enabled(Enabled::kOneshot) >= 0);
  if (step == 3) {
    other->unref();
    other = nullptr;
  }
  return 0;
}

// Until there is nothing more: a read brings 256 events at most, and each source gets each of them once.
void iterate() {
  int r = 1;
  for (size_t n = 0; r > 0 && n <= kSources * 4096 / sizeof(struct inotify_event); ++n) {
    r = world->loop->run(0);
    EXPECT(r >= 0 && world->loop->check_invariants());
  }
  EXPECT(r == 0);
}

InotifyQueue* queue() {
  for (Source* source : world->sources)
    if (source) return source->level().inotify;
  return nullptr;
}

}  // namespace
}  // namespace evenkeel::fuzz

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace evenkeel;
  using namespace evenkeel::fuzz;
  FuzzedDataProvider input(data, size);
  World w;
  world = &w;
  w.plan = input.ConsumeIntegral<uint32_t>();
  EXPECT(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
  n_watches = 0;
  kernel::fault_hook = answer;
  EXPECT(Loop::create(&w.loop) == 0);
  for (size_t i = 0; i < kSources; ++i) {
    const uint32_t mask = input.ConsumeIntegral<uint16_t>() & IN_ALL_EVENTS;
    const int fd = ::open(i < 3 ? "/" : "/dev/null", O_PATH | O_CLOEXEC);
    EXPECT(InotifySource::add(*w.loop, &w.sources[i], fd, nullptr, mask ? mask : IN_CREATE,
                              sd::callback_cast<InotifySource::Callback>(callback), nullptr) == 0);
    EXPECT(w.sources[i]->set_enabled(Enabled::kOn) >= 0);
    ::close(fd);
  }
  iterate();
  // Without a watch it has no descriptor.
  while (input.remaining_bytes() > 0 && queue() && queue()->fd() >= 0) {
    const std::string bytes = input.ConsumeRandomLengthString(8192);
    if (bytes.empty()) continue;
    EXPECT(::send(ends[1], bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
    queue()->on_ready(EPOLLIN);
    iterate();
  }
  for (Source* source : w.sources)
    if (source) source->unref();
  w.loop->unref();
  for (const int end : ends) ::close(end);
  return 0;
}
