// SPDX-License-Identifier: MIT
//
// See process.h.
#include "src/process.h"

#include <unistd.h>

#include "src/kernel.h"

namespace evenkeel {

constinit std::atomic<std::atomic<uint64_t>*> Process::page_ = nullptr;

namespace {

uint64_t new_token() {
  struct timespec ts = {};
  (void)kernel::clock_gettime(CLOCK_MONOTONIC, &ts);
  return (static_cast<uint64_t>(ts.tv_sec) * 1'000'000'000U + static_cast<uint64_t>(ts.tv_nsec)) | 1U;
}

}  // namespace

int Process::map_page() {
  const long page_size = ::sysconf(_SC_PAGESIZE);
  const size_t size = page_size > 0 ? static_cast<size_t>(page_size) : 4096U;
  void* memory = nullptr;
  const int r = kernel::map_wiped_on_fork(size, &memory);
  if (r < 0) return r;
  auto* page = new (memory) std::atomic<uint64_t>(0);
  std::atomic<uint64_t>* none = nullptr;
  if (!page_.compare_exchange_strong(none, page, std::memory_order_acq_rel)) kernel::unmap(memory, size);
  return 0;
}

uint64_t Process::draw() {
  if (!page_.load(std::memory_order_acquire)) {
    // Out of memory may pass; a kernel without the advice stays one, so every loop of this process then uses the PID.
    const int r = map_page();
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
