// SPDX-License-Identifier: MIT
//
// An intrusive hash table: elements carry their own chain pointer, the table only its buckets.
//
// Idea: `reserve` takes all memory that the next insertion needs, before anything has changed; `insert` and `erase`
// can't fail. A type derives from `HashNode<Tag>`; `Traits` gives `Key`, `key(element)`, and `hash(key)`.
//
// Invariants:
//  1. The number of buckets is 0 or a power of two, at least the number of elements once `reserve` was called for it.
//  2. An element is in the chain of `hash(key) & (buckets - 1)`; its key does not change while it is in the table.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "src/memory.h"

namespace evenkeel {

template <typename Tag>
class HashNode {
  template <typename T, typename, typename>
  friend class HashTable;
  HashNode* chain_ = nullptr;
};

// Spreads the bits of an integer key (a multiplication by the golden ratio, high bits folded down).
inline uint64_t hash_integer(uint64_t key) {
  key *= 0x9E3779B97F4A7C15U;
  return key ^ (key >> 32U);
}

template <typename T, typename Tag, typename Traits>
class HashTable {
  using Node = HashNode<Tag>;
  using Key = typename Traits::Key;

 public:
  HashTable() = default;
  HashTable(const HashTable&) = delete;
  HashTable& operator=(const HashTable&) = delete;
  ~HashTable() { ::free(buckets_); }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // Room for one more element.
  [[nodiscard]] bool reserve() {
    if (size_ < n_buckets_) return true;
    const size_t n = n_buckets_ ? n_buckets_ * 2 : 8;
    Node** grown = static_cast<Node**>(allocate(n * sizeof(Node*)));
    if (!grown) return false;
    for (size_t i = 0; i < n; ++i) grown[i] = nullptr;
    for (size_t i = 0; i < n_buckets_; ++i) {
      for (Node *node = buckets_[i], *next = nullptr; node; node = next) {
        next = node->chain_;
        Node*& head = grown[Traits::hash(Traits::key(*static_cast<T*>(node))) & (n - 1)];
        node->chain_ = head;
        head = node;
      }
    }
    ::free(buckets_);
    buckets_ = grown;
    n_buckets_ = n;
    return true;
  }

  void insert(T& element) {
    Node*& head = bucket(Traits::key(element));
    static_cast<Node&>(element).chain_ = head;
    head = &element;
    ++size_;
  }

  void erase(T& element) {
    Node* node = &element;
    for (Node** link = &bucket(Traits::key(element)); *link; link = &(*link)->chain_) {
      if (*link != node) continue;
      *link = node->chain_;
      node->chain_ = nullptr;
      --size_;
      return;
    }
  }

  // Calls `visit(element)` for each, in no order; `visit` must not change the table.
  template <typename Visit>
  void for_each(Visit visit) const {
    for (size_t i = 0; i < n_buckets_; ++i)
      for (Node* node = buckets_[i]; node; node = node->chain_) visit(*static_cast<T*>(node));
  }

  T* find(const Key& key) const {
    if (!n_buckets_) return nullptr;
    for (Node* node = buckets_[Traits::hash(key) & (n_buckets_ - 1)]; node; node = node->chain_)
      if (Traits::key(*static_cast<T*>(node)) == key) return static_cast<T*>(node);
    return nullptr;
  }

 private:
  Node*& bucket(const Key& key) { return buckets_[Traits::hash(key) & (n_buckets_ - 1)]; }

  Node** buckets_ = nullptr;
  size_t n_buckets_ = 0;
  size_t size_ = 0;
};

}  // namespace evenkeel
