// SPDX-License-Identifier: MIT
//
// Unit tests of hash_table.h.
//
// Idea: growth, chains and a failing `reserve`, then random programs against a std::map.
#include "src/hash_table.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include "src/testing.h"

namespace evenkeel {
namespace {

struct Tag;
struct Item : HashNode<Tag> {
  explicit Item(int key) : k(key) {}
  int k;
};
struct Spread {
  using Key = int;
  static Key key(const Item& item) { return item.k; }
  static uint64_t hash(Key key) { return hash_integer(static_cast<uint64_t>(key)); }
};
// Everything in one chain.
struct Collide {
  using Key = int;
  static Key key(const Item& item) { return item.k; }
  static uint64_t hash(Key) { return 42; }
};

template <typename Traits>
void grow_and_shrink(int n) {
  HashTable<Item, Tag, Traits> table;
  std::vector<std::unique_ptr<Item>> items;
  for (int i = 0; i < n; ++i) {
    items.push_back(std::make_unique<Item>(i * 8));
    ASSERT_TRUE(table.reserve());
    table.insert(*items.back());
    ASSERT_EQ(table.size(), static_cast<size_t>(i + 1));
  }
  for (int i = 0; i < n; ++i) {
    ASSERT_EQ(table.find(i * 8), items[static_cast<size_t>(i)].get());
    ASSERT_EQ(table.find(i * 8 + 1), nullptr);
  }
  std::set<const Item*> seen;
  table.for_each([&](Item& item) { EXPECT_TRUE(seen.insert(&item).second); });
  EXPECT_EQ(seen.size(), static_cast<size_t>(n));
  for (int i = 0; i < n; i += 2) table.erase(*items[static_cast<size_t>(i)]);
  for (int i = 0; i < n; ++i) ASSERT_EQ(table.find(i * 8) != nullptr, i % 2 == 1);
  for (int i = 1; i < n; i += 2) table.erase(*items[static_cast<size_t>(i)]);
  EXPECT_TRUE(table.empty());
}

TEST(HashTable, an_empty_table_finds_nothing) {
  HashTable<Item, Tag, Spread> table;
  EXPECT_TRUE(table.empty());
  EXPECT_EQ(table.find(0), nullptr);
  table.for_each([](Item&) { ADD_FAILURE(); });
}

TEST(HashTable, what_was_inserted_is_found_while_the_table_grows) { grow_and_shrink<Spread>(5000); }

TEST(HashTable, elements_of_one_chain_are_told_apart_by_their_keys) { grow_and_shrink<Collide>(100); }

TEST(HashTable, there_is_a_bucket_for_each_element_so_memory_is_taken_seldom) {
  HashTable<Item, Tag, Spread> table;
  std::vector<std::unique_ptr<Item>> items;
  test::Faults faults;
  for (int i = 0; i < 1024; ++i) {
    items.push_back(std::make_unique<Item>(i));
    ASSERT_TRUE(table.reserve());
    table.insert(*items.back());
  }
  EXPECT_EQ(faults.n(kernel::Call::kMalloc), 8);  // 8, 16, ... 1024.
}

TEST(HashTable, a_reserve_that_fails_leaves_the_table_as_it_was) {
  HashTable<Item, Tag, Spread> table;
  std::vector<std::unique_ptr<Item>> items;
  test::Faults faults;
  faults.fail(kernel::Call::kMalloc, -ENOMEM);
  EXPECT_FALSE(table.reserve());
  EXPECT_EQ(table.find(1), nullptr);
  for (int i = 0; i < 8; ++i) {
    items.push_back(std::make_unique<Item>(i));
    ASSERT_TRUE(table.reserve());
    table.insert(*items.back());
  }
  faults.fail(kernel::Call::kMalloc, -ENOMEM);
  EXPECT_FALSE(table.reserve());
  EXPECT_EQ(table.size(), 8U);
  for (int i = 0; i < 8; ++i) EXPECT_EQ(table.find(i), items[static_cast<size_t>(i)].get());
  table.erase(*items[3]);
  EXPECT_EQ(table.find(3), nullptr);
  EXPECT_TRUE(table.reserve());
  table.insert(*items[3]);
  EXPECT_TRUE(table.reserve());
  EXPECT_EQ(table.find(3), items[3].get());
}

TEST(HashTable, erasing_what_is_not_in_the_table_does_nothing) {
  HashTable<Item, Tag, Spread> table;
  Item in(1);
  Item twin(1);
  ASSERT_TRUE(table.reserve());
  table.insert(in);
  table.erase(twin);
  EXPECT_EQ(table.size(), 1U);
  EXPECT_EQ(table.find(1), &in);
}

TEST(HashTable, random_programs_give_what_a_std_map_gives) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    std::vector<std::unique_ptr<Item>> items;
    for (int i = 0; i < 60; ++i) items.push_back(std::make_unique<Item>(static_cast<int>(random())));
    HashTable<Item, Tag, Spread> table;
    std::map<int, Item*> model;
    for (int step = 0; step < 1000; ++step) {
      Item& item = *items[random() % items.size()];
      const auto known = model.find(item.k);
      ASSERT_EQ(table.find(item.k), known == model.end() ? nullptr : known->second);
      if (known != model.end()) {
        table.erase(*known->second);
        model.erase(known);
      } else {
        ASSERT_TRUE(table.reserve());
        table.insert(item);
        model[item.k] = &item;
      }
      ASSERT_EQ(table.size(), model.size());
    }
  }
}

TEST(HashTable, integers_in_a_row_do_not_share_a_bucket) {
  // What PIDs and watch descriptors are. The mask is the smallest table that would hold them.
  std::set<uint64_t> buckets;
  for (uint64_t i = 0; i < 1024; ++i) buckets.insert(hash_integer(i) & 1023U);
  EXPECT_GT(buckets.size(), 512U);
}

}  // namespace
}  // namespace evenkeel
