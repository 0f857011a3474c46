// SPDX-License-Identifier: MIT
//
// An intrusive, circular, doubly linked list: linking and unlinking never allocate and never fail.
//
// Idea: a type that can be on a list derives from `ListNode<Tag>`, once for each list that it can be on at the same
// time.
//
// Invariants:
//  1. A node that is on no list points to itself.
//  2. The head is a node of the same kind: an empty list is a head that points to itself.
//
// The list owns nothing. Erasing the element that a loop stands on is safe when the loop took `next()` before.
#pragma once

namespace evenkeel {

template <typename Tag>
class ListNode {
 public:
  ListNode() = default;
  ListNode(const ListNode&) = delete;
  ListNode& operator=(const ListNode&) = delete;

  bool linked() const { return next_ != this; }

  void unlink() {
    prev_->next_ = next_;
    next_->prev_ = prev_;
    prev_ = next_ = this;
  }

 private:
  template <typename T, typename>
  friend class List;

  void link_before(ListNode& position) {
    prev_ = position.prev_;
    next_ = &position;
    prev_->next_ = this;
    position.prev_ = this;
  }

  ListNode* prev_ = this;
  ListNode* next_ = this;
};

template <typename T, typename Tag>
class List {
  using Node = ListNode<Tag>;

 public:
  bool empty() const { return !head_.linked(); }

  T* front() const { return at(head_.next_); }
  T* back() const { return at(head_.prev_); }
  T* next(T& element) { return at(static_cast<Node&>(element).next_); }
  T* prev(T& element) { return at(static_cast<Node&>(element).prev_); }

  void push_back(T& element) { static_cast<Node&>(element).link_before(head_); }
  static void erase(T& element) { static_cast<Node&>(element).unlink(); }

 private:
  T* at(Node* node) const { return node == &head_ ? nullptr : static_cast<T*>(node); }

  Node head_;
};

}  // namespace evenkeel
