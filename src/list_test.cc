// SPDX-License-Identifier: MIT
//
// Unit tests of list.h.
//
// Idea: each operation by hand, then random programs against a std::list of the same elements.
#include "src/list.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <random>
#include <string>
#include <vector>

namespace evenkeel {
namespace {

struct TagA;
struct TagB;
struct Item : ListNode<TagA>, ListNode<TagB> {
  explicit Item(char c = '?') : name(c) {}
  char name;
};
using ListA = List<Item, TagA>;
using ListB = List<Item, TagB>;

template <typename L>
std::string names(L& list) {
  std::string forward;
  std::string backward;
  for (Item* item = list.front(); item; item = list.next(*item)) forward += item->name;
  for (Item* item = list.back(); item; item = list.prev(*item)) backward.insert(backward.begin(), item->name);
  EXPECT_EQ(forward, backward);
  EXPECT_EQ(list.empty(), forward.empty());
  return forward;
}

TEST(List, an_empty_list_has_neither_front_nor_back) {
  ListA list;
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(list.front(), nullptr);
  EXPECT_EQ(list.back(), nullptr);
}

TEST(List, elements_stand_where_they_were_put) {
  ListA list;
  Item a('a');
  Item b('b');
  Item c('c');
  Item d('d');
  Item e('e');
  for (Item* item : {&a, &b, &c, &d, &e}) list.push_back(*item);
  EXPECT_EQ(names(list), "abcde");
  ListA::erase(e);
  ListA::erase(a);
  EXPECT_EQ(names(list), "bcd");
  list.push_back(a);
  EXPECT_EQ(names(list), "bcda");
  EXPECT_EQ(list.prev(b), nullptr);
  EXPECT_EQ(list.next(a), nullptr);
}

TEST(List, a_node_knows_whether_it_is_linked) {
  ListA list;
  Item item;
  EXPECT_FALSE(item.ListNode<TagA>::linked());
  list.push_back(item);
  EXPECT_TRUE(item.ListNode<TagA>::linked());
  EXPECT_FALSE(item.ListNode<TagB>::linked());
  ListA::erase(item);
  EXPECT_FALSE(item.ListNode<TagA>::linked());
}

TEST(List, unlinking_what_is_not_linked_does_nothing) {
  ListA list;
  Item in('i');
  Item out('o');
  list.push_back(in);
  out.ListNode<TagA>::unlink();
  EXPECT_FALSE(out.ListNode<TagA>::linked());
  EXPECT_EQ(names(list), "i");
  in.ListNode<TagA>::unlink();
  in.ListNode<TagA>::unlink();
  EXPECT_TRUE(list.empty());
}

TEST(List, an_element_can_be_on_two_lists) {
  ListA first;
  ListB second;
  Item a('a');
  Item b('b');
  first.push_back(a);
  first.push_back(b);
  second.push_back(b);
  second.push_back(a);
  EXPECT_EQ(names(first), "ab");
  EXPECT_EQ(names(second), "ba");
  ListA::erase(a);
  EXPECT_EQ(names(first), "b");
  EXPECT_EQ(names(second), "ba");
  ListB::erase(b);
  ListB::erase(a);
  ListA::erase(b);
}

TEST(List, the_element_a_walk_stands_on_may_be_erased_once_the_next_is_known) {
  ListA list;
  std::vector<Item> items(10);
  for (Item& item : items) list.push_back(item);
  int n = 0;
  for (Item *item = list.front(), *next = nullptr; item; item = next, ++n) {
    next = list.next(*item);
    ListA::erase(*item);
  }
  EXPECT_EQ(n, 10);
  EXPECT_TRUE(list.empty());
}

TEST(List, random_programs_give_what_a_std_list_gives) {
  for (unsigned seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    std::vector<Item> items(12);
    for (size_t i = 0; i < items.size(); ++i) items[i].name = static_cast<char>('a' + i);
    ListA list;
    std::list<char> model;
    for (int step = 0; step < 300; ++step) {
      Item& item = items[random() % items.size()];
      if (item.ListNode<TagA>::linked()) {
        ListA::erase(item);
        model.remove(item.name);
      } else {
        list.push_back(item);
        model.push_back(item.name);
      }
      ASSERT_EQ(names(list), std::string(model.begin(), model.end()));
    }
  }
}

}  // namespace
}  // namespace evenkeel
