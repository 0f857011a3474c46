// SPDX-License-Identifier: MIT
//
// Events that one inotify source has still to be dispatched for, copied out of the buffer that it shares with others.
//
// Idea: a source that is over its rate limit is not dispatched for long. If its events stayed in the buffer, all
// sources of the queue would wait with it. So they are copied, and the buffer goes on. It is the one place that takes
// memory while the loop runs; where there is none, the event stays in the buffer, and the others wait.
//
// Invariants: first in, first out; at most kMost events, as many as the kernel keeps for a descriptor unless it was
// told otherwise. What a program that is dispatched too rarely does not take stays in the kernel then, which has a
// limit too.
//
// Owner: the source owns its backlog, whoever pops a copy frees it.
#pragma once

#include <sys/inotify.h>

#include "src/memory.h"

namespace evenkeel {

class InotifyBacklog {
 public:
  // `free` ends it. The event stands behind it in the same piece of memory.
  struct Copy {
    Copy* next;
    const struct inotify_event* event() const { return reinterpret_cast<const struct inotify_event*>(this + 1); }
  };

  InotifyBacklog() = default;
  InotifyBacklog(const InotifyBacklog&) = delete;
  InotifyBacklog& operator=(const InotifyBacklog&) = delete;
  ~InotifyBacklog() { clear(); }

  bool empty() const { return !last_; }

  // False: there is no memory for it, or the backlog is full.
  [[nodiscard]] bool push(const struct inotify_event& event) {
    if (size_ == kMost) return false;
    const size_t size = sizeof(event) + event.len;
    void* memory = allocate(sizeof(Copy) + size);
    if (!memory) return false;
    Copy* copy = new (memory) Copy{nullptr};
    ::memcpy(copy + 1, &event, size);
    copy->next = last_ ? last_->next : copy;
    if (last_) last_->next = copy;
    last_ = copy;
    ++size_;
    return true;
  }

  // Null where there is none.
  Copy* pop() {
    if (!last_) return nullptr;
    Copy* first = last_->next;
    if (first == last_)
      last_ = nullptr;
    else
      last_->next = first->next;
    --size_;
    return first;
  }

  void clear() {
    while (Copy* copy = pop()) ::free(copy);
  }

 private:
  static constexpr uint32_t kMost = 16384;

  Copy* last_ = nullptr;  // Whose next one is the first.
  uint32_t size_ = 0;
};

}  // namespace evenkeel
