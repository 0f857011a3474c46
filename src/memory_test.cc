// SPDX-License-Identifier: MIT
//
// Unit tests of memory.h.
//
// Idea: `Array` against a std::vector, and every function with memory that is short.
#include "src/memory.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "src/testing.h"

namespace evenkeel {
namespace {

using kernel::Call;

TEST(Memory, an_array_takes_no_memory_before_the_first_reserve) {
  test::Faults faults;
  Array<int> array;
  EXPECT_TRUE(array.empty());
  EXPECT_EQ(array.capacity(), 0U);
  EXPECT_EQ(faults.n(Call::kMalloc), 0);
}

TEST(Memory, an_array_keeps_its_elements_when_it_grows) {
  Array<int> array;
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(array.reserve(array.size() + 1));
    array.push_back(i);
  }
  ASSERT_EQ(array.size(), 1000U);
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(array[static_cast<size_t>(i)], i);
}

TEST(Memory, room_that_is_there_is_not_asked_for_again) {
  Array<int> array;
  ASSERT_TRUE(array.reserve(100));
  test::Faults faults;
  faults.fail(Call::kMalloc, -ENOMEM, 0, 1000);
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(array.reserve(array.size() + 1));
    array.push_back(i);
  }
  EXPECT_FALSE(array.reserve(101));
  EXPECT_EQ(faults.n(Call::kMalloc), 1);
}

TEST(Memory, an_array_that_cannot_grow_stays_as_it_was) {
  Array<int> array;
  test::Faults faults;
  faults.fail(Call::kMalloc, -ENOMEM);
  EXPECT_FALSE(array.reserve(1));
  EXPECT_EQ(array.capacity(), 0U);
  ASSERT_TRUE(array.reserve(1));
  array.push_back(7);
  const size_t capacity = array.capacity();
  faults.fail(Call::kMalloc, -ENOMEM);
  EXPECT_FALSE(array.reserve(capacity + 1));
  EXPECT_EQ(array.capacity(), capacity);
  EXPECT_EQ(array.size(), 1U);
  EXPECT_EQ(array[0], 7);
}

TEST(Memory, an_array_larger_than_the_address_space_is_refused) {
  Array<uint64_t> array;
  EXPECT_FALSE(array.reserve(SIZE_MAX));
  EXPECT_FALSE(array.reserve(SIZE_MAX / sizeof(uint64_t) + 1));
  EXPECT_TRUE(array.reserve(1));
}

TEST(Memory, random_programs_on_an_array_give_what_a_vector_gives) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    Array<unsigned> array;
    std::vector<unsigned> model;
    for (int step = 0; step < 500; ++step) {
      if (!model.empty() && random() % 3 == 0) {
        const size_t at = random() % model.size();
        array.erase(at);
        model.erase(model.begin() + static_cast<long>(at));
      } else {
        const auto value = static_cast<unsigned>(random());
        const size_t at = random() % (model.size() + 1);
        ASSERT_TRUE(array.reserve(array.size() + 1));
        array.insert(at, value);
        model.insert(model.begin() + static_cast<long>(at), value);
      }
      ASSERT_EQ(array.size(), model.size());
      for (size_t i = 0; i < model.size(); ++i) ASSERT_EQ(array[i], model[i]);
    }
  }
}

struct Counted {
  explicit Counted(int* n) : n_alive(n) { ++*n_alive; }
  ~Counted() { --*n_alive; }
  int* n_alive;
};

TEST(Memory, objects_are_constructed_and_destructed_once) {
  int n_alive = 0;
  Counted* object = make<Counted>(&n_alive);
  ASSERT_NE(object, nullptr);
  EXPECT_EQ(n_alive, 1);
  dispose(object);
  EXPECT_EQ(n_alive, 0);
  dispose<Counted>(nullptr);
}

TEST(Memory, without_memory_there_is_no_object_and_no_string) {
  test::Faults faults;
  int n_alive = 0;
  faults.fail(Call::kMalloc, -ENOMEM, 0, 2);
  EXPECT_EQ(make<Counted>(&n_alive), nullptr);
  EXPECT_EQ(n_alive, 0);
  EXPECT_EQ(copy_string("text"), nullptr);
}

TEST(Memory, a_copied_string_is_the_same_text_elsewhere) {
  const char text[] = "text";
  char* copy = copy_string(text);
  EXPECT_STREQ(copy, text);
  EXPECT_NE(copy, text);
  ::free(copy);
}

}  // namespace
}  // namespace evenkeel
