// SPDX-License-Identifier: MIT
//
// Unit tests of intrusive_heap.h.
//
// Idea: random programs of push, decrease, erase and pop run on the heap and on a std::multiset; after each step the
// least key is the same, and `valid()` holds. The seed is fixed and named in each failure, so that every run is the
// same run.
#include "src/intrusive_heap.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <set>
#include <vector>

namespace evenkeel {
namespace {

struct TagA;
struct TagB;

struct Item : HeapNode<TagA>, HeapNode<TagB> {
  explicit Item(int64_t key) : a(key), b(-key) {}
  int64_t a;
  int64_t b;
};
struct ByA {
  bool operator()(const Item& x, const Item& y) const { return x.a < y.a; }
};
struct ByB {
  bool operator()(const Item& x, const Item& y) const { return x.b < y.b; }
};
using HeapA = IntrusiveHeap<Item, TagA, ByA>;
using HeapB = IntrusiveHeap<Item, TagB, ByB>;

bool in_a(const Item& item) { return item.HeapNode<TagA>::in_heap(); }

// Keys below `range`: a small one makes ties the rule.
void compare_with_multiset(unsigned seed, size_t n_items, int64_t range, int n_steps) {
  SCOPED_TRACE(testing::Message() << "seed " << seed << ", keys below " << range);
  std::mt19937 random(seed);
  std::vector<std::unique_ptr<Item>> items;
  for (size_t i = 0; i < n_items; ++i) items.push_back(std::make_unique<Item>(static_cast<int64_t>(random()) % range));
  HeapA heap;
  std::multiset<int64_t> model;
  for (int step = 0; step < n_steps; ++step) {
    Item& item = *items[random() % n_items];
    if (!in_a(item)) {
      heap.push(item);
      model.insert(item.a);
    } else if (random() % 4 == 0) {
      model.erase(model.find(item.a));
      item.a -= static_cast<int64_t>(random()) % range;
      heap.decreased(item);
      model.insert(item.a);
    } else if (random() % 4 == 0) {
      Item& top = *heap.top();
      heap.erase(top);
      model.erase(model.begin());
      ASSERT_FALSE(in_a(top));
    } else {
      heap.erase(item);
      model.erase(model.find(item.a));
      ASSERT_FALSE(in_a(item));
      item.a = static_cast<int64_t>(random()) % range;  // Out of the heap a key may change.
    }
    ASSERT_TRUE(heap.valid()) << "after step " << step;
    ASSERT_EQ(heap.empty(), model.empty());
    if (!model.empty()) {
      ASSERT_EQ(heap.top()->a, *model.begin()) << "after step " << step;
    }
  }
  size_t n = 0;
  heap.for_each([&](Item&) { ++n; });
  EXPECT_EQ(n, model.size());
  while (!model.empty()) {
    ASSERT_EQ(heap.top()->a, *model.begin());
    model.erase(model.begin());
    heap.erase(*heap.top());
  }
  EXPECT_TRUE(heap.empty());
}

TEST(IntrusiveHeap, an_empty_heap_has_no_top) {
  HeapA heap;
  EXPECT_TRUE(heap.empty());
  EXPECT_EQ(heap.top(), nullptr);
  EXPECT_TRUE(heap.valid());
  heap.for_each([](Item&) { ADD_FAILURE(); });
}

TEST(IntrusiveHeap, a_node_knows_whether_it_is_in_the_heap) {
  HeapA heap;
  Item one(1);
  Item two(2);
  EXPECT_FALSE(in_a(one));
  heap.push(one);
  EXPECT_TRUE(in_a(one));
  EXPECT_FALSE(one.HeapNode<TagB>::in_heap());
  heap.push(two);
  EXPECT_TRUE(in_a(two));
  heap.erase(one);
  EXPECT_FALSE(in_a(one));
  EXPECT_TRUE(in_a(two));
  heap.erase(two);
  EXPECT_FALSE(in_a(two));
}

TEST(IntrusiveHeap, random_programs_give_what_a_multiset_gives) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    compare_with_multiset(seed, 40, 1000, 600);
    compare_with_multiset(seed, 40, 5, 600);
    compare_with_multiset(seed, 12, 1, 200);
  }
}

TEST(IntrusiveHeap, many_elements_come_out_in_order) {
  constexpr size_t kMany = 20'000;
  std::mt19937 random(4711);
  std::vector<std::unique_ptr<Item>> items;
  HeapA heap;
  std::multiset<int64_t> model;
  for (size_t i = 0; i < kMany; ++i) {
    items.push_back(std::make_unique<Item>(static_cast<int64_t>(random() % kMany)));
    heap.push(*items.back());
    model.insert(items.back()->a);
  }
  EXPECT_TRUE(heap.valid());
  for (size_t i = 0; i < kMany; i += 3) {
    model.erase(model.find(items[i]->a));
    heap.erase(*items[i]);
  }
  EXPECT_TRUE(heap.valid());
  for (const int64_t key : model) {
    ASSERT_EQ(heap.top()->a, key);
    heap.erase(*heap.top());
  }
  EXPECT_TRUE(heap.empty());
}

TEST(IntrusiveHeap, rising_and_falling_keys_make_no_difference) {
  for (const bool rising : {true, false}) {
    std::vector<std::unique_ptr<Item>> items;
    HeapA heap;
    for (int i = 0; i < 3000; ++i) {
      items.push_back(std::make_unique<Item>(rising ? i : 3000 - i));
      heap.push(*items.back());
    }
    ASSERT_TRUE(heap.valid());
    int64_t before = INT64_MIN;
    for (; !heap.empty(); heap.erase(*heap.top())) {
      ASSERT_GT(heap.top()->a, before);
      before = heap.top()->a;
    }
  }
}

TEST(IntrusiveHeap, of_equals_in_a_row_the_first_stays_at_the_top) {
  HeapA heap;
  Item first(7);
  Item second(7);
  Item third(7);
  heap.push(first);
  heap.push(second);
  heap.push(third);
  EXPECT_EQ(heap.top(), &first);
  heap.erase(second);
  EXPECT_EQ(heap.top(), &first);
  heap.push(second);
  EXPECT_EQ(heap.top(), &first);
}

TEST(IntrusiveHeap, an_element_can_be_in_two_heaps_of_different_order) {
  HeapA by_a;
  HeapB by_b;
  std::vector<std::unique_ptr<Item>> items;
  for (int i = 0; i < 50; ++i) {
    items.push_back(std::make_unique<Item>((i * 37) % 50));
    by_a.push(*items.back());
    by_b.push(*items.back());
  }
  for (int64_t i = 0; i < 25; ++i) {
    EXPECT_EQ(by_a.top()->a, i);
    EXPECT_EQ(by_b.top()->a, 49 - i);
    by_a.erase(*by_a.top());
    by_b.erase(*by_b.top());
    ASSERT_TRUE(by_a.valid());
    ASSERT_TRUE(by_b.valid());
  }
}

TEST(IntrusiveHeap, for_each_visits_every_element_once) {
  for (int n = 0; n < 200; ++n) {
    std::mt19937 random(static_cast<unsigned>(n));
    HeapA heap;
    std::vector<std::unique_ptr<Item>> items;
    for (int i = 0; i < n; ++i) {
      items.push_back(std::make_unique<Item>(static_cast<int64_t>(random() % 20)));
      heap.push(*items.back());
    }
    if (n > 2) heap.erase(*heap.top());  // Else the tree has but two floors.
    std::set<const Item*> seen;
    heap.for_each([&](Item& item) { EXPECT_TRUE(seen.insert(&item).second); });
    EXPECT_EQ(seen.size(), static_cast<size_t>(n > 2 ? n - 1 : n));
  }
}

TEST(IntrusiveHeap, valid_notices_a_key_that_changed_inside_the_heap) {
  HeapA heap;
  Item low(1);
  Item high(2);
  heap.push(low);
  heap.push(high);
  EXPECT_TRUE(heap.valid());
  high.a = 0;
  EXPECT_FALSE(heap.valid());
}

}  // namespace
}  // namespace evenkeel
