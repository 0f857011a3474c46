// SPDX-License-Identifier: MIT
//
// Unit tests of fd_owners.h.
//
// Idea: each rule by itself, and then the table against a std::map, with numbers that are used again and again. What a
// program sees of it is tested in conformance/fd_reused.c.
#include "src/fd_owners.h"

#include <gtest/gtest.h>

#include <climits>
#include <map>
#include <random>

#include "src/testing.h"

namespace evenkeel {
namespace {

using kernel::Call;

TEST(FdOwners, nobody_owns_a_number_at_first) {
  FdOwners owners;
  EXPECT_FALSE(owners.is(0, 1));
  ASSERT_TRUE(owners.reserve(5));
  for (int fd = 0; fd < 8; ++fd) {
    EXPECT_FALSE(owners.is(fd, 1));
    EXPECT_FALSE(owners.is(fd, 0)) << "0 is no registration";
    EXPECT_FALSE(owners.drop(fd, 0));
  }
}

TEST(FdOwners, the_registration_that_was_made_last_owns_the_number) {
  FdOwners owners;
  ASSERT_TRUE(owners.reserve(3));
  owners.set(3, 7);
  EXPECT_TRUE(owners.is(3, 7));
  owners.set(3, 8);
  EXPECT_FALSE(owners.is(3, 7));
  EXPECT_TRUE(owners.is(3, 8));
  EXPECT_FALSE(owners.is(2, 8));
}

TEST(FdOwners, only_the_owner_gives_the_number_up_and_once) {
  FdOwners owners;
  ASSERT_TRUE(owners.reserve(3));
  owners.set(3, 7);
  owners.set(3, 8);
  EXPECT_FALSE(owners.drop(3, 7));
  EXPECT_TRUE(owners.is(3, 8)) << "an older registration has no say";
  EXPECT_TRUE(owners.drop(3, 8));
  EXPECT_FALSE(owners.is(3, 8));
  EXPECT_FALSE(owners.drop(3, 8));
}

TEST(FdOwners, room_is_kept_and_what_was_noted_as_well) {
  FdOwners owners;
  ASSERT_TRUE(owners.reserve(0));
  owners.set(0, UINT32_MAX);
  ASSERT_TRUE(owners.reserve(5000));
  test::Faults faults;
  faults.fail_any(-ENOMEM, 0);
  for (int fd = 0; fd <= 5000; ++fd) EXPECT_TRUE(owners.reserve(fd)) << "it takes no memory twice";
  EXPECT_TRUE(owners.is(0, UINT32_MAX));
  EXPECT_FALSE(owners.is(5000, UINT32_MAX));
}

TEST(FdOwners, without_memory_nothing_has_changed) {
  FdOwners owners;
  ASSERT_TRUE(owners.reserve(3));
  owners.set(3, 7);
  test::Faults faults;
  faults.fail(Call::kMalloc, -ENOMEM);
  EXPECT_FALSE(owners.reserve(100000));
  EXPECT_TRUE(faults.injected());
  EXPECT_TRUE(owners.is(3, 7));
  EXPECT_FALSE(owners.is(100000, 7));
  EXPECT_FALSE(owners.drop(INT_MAX, 7));
}

TEST(FdOwners, is_like_a_map_of_numbers) {
  FdOwners owners;
  std::map<int, uint32_t> model;
  std::mt19937 random(1);
  for (uint32_t step = 1; step <= 20000; ++step) {
    const int fd = static_cast<int>(random() % 40);
    // That of a source which still has it, or lost it some time ago.
    const uint32_t registration = step - static_cast<uint32_t>(random() % (step < 60 ? step : 60));
    if (random() % 2 == 0) {
      ASSERT_TRUE(owners.reserve(fd));
      owners.set(fd, step);
      model[fd] = step;
    } else if (random() % 2 == 0) {
      const bool owned = model.count(fd) > 0 && model[fd] == registration;
      ASSERT_EQ(owners.drop(fd, registration), owned);
      if (owned) model.erase(fd);
    }
    for (int i = 0; i < 40; ++i) {
      const bool owned = model.count(i) > 0 && model[i] == registration;
      ASSERT_EQ(owners.is(i, registration), owned);
    }
  }
}

}  // namespace
}  // namespace evenkeel
