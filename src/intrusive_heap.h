// SPDX-License-Identifier: MIT
//
// An intrusive pairing heap: the least element at hand, in O(1), with no memory of its own.
//
// Idea: a tree in which no child is less than its parent. Pushing makes one comparison with the root; erasing a node
// melds its children in pairs, which costs O(log n) amortised. An element keeps three pointers and nothing is ever
// allocated, so that arming a timer can't fail. A type derives from `HeapNode<Tag>` once for each heap that it can be
// in.
//
// Invariants:
//  1. `Less` is a strict weak order of the elements, and does not change for an element while it is in the heap, but
//     that an element may become less, which `decreased` is told at once.
//  2. A node's `prev_` is its left sibling, or its parent where it is the first child; null for the root.
//  3. A node that is in no heap has `next_` pointing to itself.
#pragma once

#include <stddef.h>

namespace evenkeel {

template <typename Tag>
class HeapNode {
 public:
  HeapNode() = default;
  HeapNode(const HeapNode&) = delete;
  HeapNode& operator=(const HeapNode&) = delete;

  bool in_heap() const { return next_ != this; }

 private:
  template <typename T, typename, typename>
  friend class IntrusiveHeap;

  HeapNode* child_ = nullptr;
  HeapNode* next_ = this;
  HeapNode* prev_ = nullptr;
};

// `Less` is a type with `bool operator()(const T&, const T&) const`.
template <typename T, typename Tag, typename Less>
class IntrusiveHeap {
  using Node = HeapNode<Tag>;

 public:
  bool empty() const { return !root_; }
  bool many() const { return root_ && root_->child_; }  // More than one.
  T* top() const { return root_ ? static_cast<T*>(root_) : nullptr; }

  void push(T& element) {
    Node* node = &element;
    node->child_ = node->next_ = node->prev_ = nullptr;
    root_ = root_ ? meld(root_, node) : node;
  }

  void erase(T& element) {
    Node* node = &element;
    if (node == root_) {
      root_ = meld_siblings(node->child_);
    } else {
      cut(node);
      if (Node* rest = meld_siblings(node->child_)) root_ = meld(root_, rest);
    }
    node->child_ = node->prev_ = nullptr;
    node->next_ = node;
  }

  // The element is less than it was. Cheaper than to take it out and put it back: what is below it stays there.
  void decreased(T& element) {
    Node* node = &element;
    if (node == root_) return;
    cut(node);
    node->next_ = node->prev_ = nullptr;
    root_ = meld(root_, node);
  }

  // Calls `visit(element)` for each element, in no order. For checks and for tearing down; `visit` must not change the
  // heap.
  template <typename Visit>
  void for_each(Visit visit) const {
    for (Node* node = root_; node;) {
      visit(*static_cast<T*>(node));
      if (node->child_) {
        node = node->child_;
        continue;
      }
      while (node && !node->next_) node = parent(node);
      if (node) node = node->next_;
    }
  }

  // Whether the order and the links hold everywhere; for tests.
  bool valid() const {
    bool ok = !root_ || (!root_->prev_ && !root_->next_);
    for_each([&](T& element) {
      Node* node = &element;
      for (Node *child = node->child_, *before = node; child; before = child, child = child->next_)
        ok = ok && child->prev_ == before && !less(child, node);
    });
    return ok;
  }

 private:
  static bool less(const Node* a, const Node* b) {
    return Less()(static_cast<const T&>(*a), static_cast<const T&>(*b));
  }

  static Node* parent(Node* node) {
    while (node->prev_ && node->prev_->child_ != node) node = node->prev_;
    return node->prev_;
  }

  // Both are roots of their own; the one that stays root wins ties, so that what came first stays first.
  static Node* meld(Node* a, Node* b) {
    if (less(b, a)) {
      Node* swap = a;
      a = b;
      b = swap;
    }
    b->prev_ = a;
    b->next_ = a->child_;
    if (b->next_) b->next_->prev_ = b;
    a->child_ = b;
    return a;
  }

  // Not for the root: by invariant 2 the others have a `prev_`, which the analyser can't know.
  static void cut(Node* node) {
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference)
    if (node->prev_->child_ == node)
      node->prev_->child_ = node->next_;
    else
      node->prev_->next_ = node->next_;
    if (node->next_) node->next_->prev_ = node->prev_;
  }

  // Left to right in pairs, then right to left into one: the two passes that make the amortised bound.
  static Node* meld_siblings(Node* first) {
    Node* pairs = nullptr;
    while (first) {
      Node* a = first;
      Node* b = a->next_;
      first = b ? b->next_ : nullptr;
      a->next_ = a->prev_ = nullptr;
      if (b) {
        b->next_ = b->prev_ = nullptr;
        a = meld(a, b);
      }
      a->next_ = pairs;
      pairs = a;
    }
    Node* root = pairs;
    if (!root) return nullptr;
    pairs = root->next_;
    root->next_ = nullptr;
    while (pairs) {
      Node* following = pairs->next_;
      pairs->next_ = nullptr;
      root = meld(pairs, root);
      pairs = following;
    }
    return root;
  }

  Node* root_ = nullptr;
};

}  // namespace evenkeel
