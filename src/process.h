// SPDX-License-Identifier: MIT
//
// Which process is this? The answer costs one load and no system call, so every public call can ask.
//
// Idea: a page that the kernel wipes in every forked child (MADV_WIPEONFORK) holds a number that this process drew. A
// loop keeps the number of the process that made it; in a child the page reads 0, until the child draws a number of its
// own. The number comes from the clock, not from the PID, so that a grandchild that got an ancestor's PID again is not
// taken for it.
//
// Where the kernel refuses that, the PID itself is the number and each question costs a system call.
//
// Threads: may be asked and drawn by any of them.
#pragma once

#include <stdint.h>

#include <atomic>

namespace evenkeel {

class Process {
 public:
  // The number of this process, drawn at the first call; 0 when the kernel has no memory for what it notes of the page.
  static uint64_t draw();

  // Whether this process is the one that drew `token`.
  static bool is(uint64_t token) {
    const std::atomic<uint64_t>* page = page_.load(std::memory_order_acquire);
    return page ? page->load(std::memory_order_relaxed) == token : is_by_pid(token);
  }

 private:
  static int take_page();
  static bool is_by_pid(uint64_t token);

  static std::atomic<std::atomic<uint64_t>*> page_;
};

}  // namespace evenkeel
