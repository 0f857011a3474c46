// SPDX-License-Identifier: MIT
//
// See process.h.
#include "src/process.h"

#include <unistd.h>

#include <new>

#include "src/kernel.h"

namespace evenkeel {

constinit std::atomic<std::atomic<uint64_t>*> Process::page_ = nullptr;

namespace {

// Room for a page and what is in front of it. Memory of the library's own, which has no file behind it: it goes with
// the library when that is unloaded. That of x86 has 4 KiB; of others there may be larger ones.
#if defined(__x86_64__) || defined(__i386__)
constexpr size_t kLargestPage = 4096;
#else
constexpr size_t kLargestPage = 65536;
#endif
constinit char room[2 * kLargestPage] = {};

uint64_t new_token() {
  struct timespec ts = {};
  (void)kernel::clock_gettime(CLOCK_MONOTONIC, &ts);
  return (static_cast<uint64_t>(ts.tv_sec) * 1'000'000'000U + static_cast<uint64_t>(ts.tv_nsec)) | 1U;
}

}  // namespace

int Process::take_page() {
  const long page_size = ::sysconf(_SC_PAGESIZE);
  const size_t size = page_size > 0 ? static_cast<size_t>(page_size) : 4096U;
  if (size > kLargestPage) return -EINVAL;
  char* memory = room + (size - reinterpret_cast<uintptr_t>(room) % size);
  if (const int r = kernel::wipe_on_fork(memory, size); r < 0) return r;
  // Of two threads that do this at once, neither changes anything for the other.
  page_.store(std::launder(reinterpret_cast<std::atomic<uint64_t>*>(memory)), std::memory_order_release);
  return 0;
}

uint64_t Process::draw() {
  if (!page_.load(std::memory_order_acquire)) {
    // Out of memory may pass; a kernel without the advice stays one, so every loop of this process then uses the PID.
    const int r = take_page();
    if (r == -ENOMEM) return 0;
    if (r < 0) return static_cast<uint64_t>(::getpid());
  }
  std::atomic<uint64_t>& page = *page_.load(std::memory_order_acquire);
  uint64_t token = page.load(std::memory_order_relaxed);
  if (token != 0) return token;
  const uint64_t mine = new_token();
  return page.compare_exchange_strong(token, mine) ? mine : token;
}

bool Process::is_by_pid(uint64_t token) { return static_cast<uint64_t>(::getpid()) == token; }

}  // namespace evenkeel
