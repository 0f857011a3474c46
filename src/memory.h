// SPDX-License-Identifier: MIT
//
// Memory of the engine: malloc and free under typed names.
//
// Idea: the library needs nothing of the C++ runtime, so objects are made by `make<T>()`, which returns null when
// memory is short, and end in `dispose()`. Nothing here is called while a source is armed, fires or is dispatched: all
// memory is taken when a source is added. The one exception is inotify_backlog.h.
#pragma once

#include <stdlib.h>
#include <string.h>

#include <new>
#include <utility>

#include "src/kernel.h"

namespace evenkeel {

inline void* allocate(size_t size) { return kernel::fault(kernel::Call::kMalloc) < 0 ? nullptr : ::malloc(size); }

inline void* reallocate(void* old, size_t size) {
  return kernel::fault(kernel::Call::kMalloc) < 0 ? nullptr : ::realloc(old, size);
}

template <typename T, typename... Args>
[[nodiscard]] T* make(Args&&... args) {
  void* memory = allocate(sizeof(T));
  return memory ? new (memory) T(std::forward<Args>(args)...) : nullptr;
}

template <typename T>
void dispose(T* object) {
  if (!object) return;
  object->~T();
  ::free(object);
}

// A copy that `free` ends; null when memory is short.
[[nodiscard]] inline char* copy_string(const char* text) {
  const size_t size = ::strlen(text) + 1;
  char* copy = static_cast<char*>(allocate(size));
  return copy ? static_cast<char*>(::memcpy(copy, text, size)) : nullptr;
}

// A growing array of plain values. `reserve` is the only call that can fail, so that a caller takes the room first and
// commits later.
template <typename T>
class Array {
 public:
  Array() = default;
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  ~Array() { ::free(items_); }

  [[nodiscard]] bool reserve(size_t n) {
    if (n <= capacity_) return true;
    size_t wanted = capacity_ ? capacity_ * 2 : 8;
    if (wanted < n) wanted = n;
    if (wanted > SIZE_MAX / sizeof(T)) return false;
    void* grown = reallocate(items_, wanted * sizeof(T));
    if (!grown) return false;
    items_ = static_cast<T*>(grown);
    capacity_ = wanted;
    return true;
  }

  void push_back(T value) { items_[size_++] = value; }  // After `reserve(size() + 1)`.
  void insert(size_t at, T value) {                     // Likewise.
    ::memmove(items_ + at + 1, items_ + at, (size_ - at) * sizeof(T));
    items_[at] = value;
    ++size_;
  }
  void erase(size_t at) {
    --size_;
    ::memmove(items_ + at, items_ + at + 1, (size_ - at) * sizeof(T));
  }

  void clear() { size_ = 0; }

  T& operator[](size_t i) { return items_[i]; }
  const T& operator[](size_t i) const { return items_[i]; }
  T* data() { return items_; }
  size_t size() const { return size_; }
  size_t capacity() const { return capacity_; }
  bool empty() const { return size_ == 0; }

 private:
  T* items_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace evenkeel
