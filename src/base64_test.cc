// SPDX-License-Identifier: MIT
//
// Unit tests of base64.h: what is right decodes to its bytes, and everything else is refused.
//
// Idea: the vectors of RFC 4648, every single byte and every pair of bytes against an encoder that is written here, and
// a row of texts that are wrong in one way each. The room that is promised to be enough is given exactly, so that the
// sanitizers see a byte too many.
#include "src/base64.h"

#include <errno.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace {

using evenkeel::base64_room;
using evenkeel::decode_base64;

struct Result {
  ssize_t n;
  std::string bytes;
};

Result decode(std::string_view text) {
  const std::unique_ptr<char[]> exact(new char[base64_room(text.size())]);
  const ssize_t n = decode_base64(text, exact.get());
  return {n, n > 0 ? std::string(exact.get(), static_cast<size_t>(n)) : std::string()};
}

std::string encode(std::string_view bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t n = bytes.size() - i < 3 ? bytes.size() - i : 3;
    unsigned bits = 0;
    for (size_t k = 0; k < 3; ++k) bits = bits << 8U | (k < n ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    for (size_t k = 0; k < 4; ++k) text += k <= n ? kDigits[bits >> (18 - 6 * k) & 63U] : '=';
  }
  return text;
}

TEST(Base64, decodes_the_vectors_of_its_rfc) {
  EXPECT_EQ(decode("").n, 0);
  EXPECT_EQ(decode("Zg==").bytes, "f");
  EXPECT_EQ(decode("Zm8=").bytes, "fo");
  EXPECT_EQ(decode("Zm9v").bytes, "foo");
  EXPECT_EQ(decode("Zm9vYg==").bytes, "foob");
  EXPECT_EQ(decode("Zm9vYmE=").bytes, "fooba");
  EXPECT_EQ(decode("Zm9vYmFy").bytes, "foobar");
}

TEST(Base64, any_byte_may_be_in_it) {
  std::string all;
  for (int first = 0; first < 256; ++first) {
    const std::string one(1, static_cast<char>(first));
    EXPECT_EQ(decode(encode(one)).bytes, one);
    for (int second = 0; second < 256; ++second) {
      const std::string two = one + static_cast<char>(second);
      ASSERT_EQ(decode(encode(two)).bytes, two);
      all += two;
    }
  }
  EXPECT_EQ(decode(encode(all)).bytes, all);
}

TEST(Base64, white_space_between_the_characters_means_nothing) {
  EXPECT_EQ(decode("Zm9v\nYmFy\n").bytes, "foobar");
  EXPECT_EQ(decode(" Z\tm 9\rvYg = = ").bytes, "foob");
  EXPECT_EQ(decode(" \n ").n, 0);
}

TEST(Base64, the_digits_of_urls_mean_the_same) {
  EXPECT_EQ(decode("-_-8").bytes, decode("+/+8").bytes);
  EXPECT_EQ(decode("-/+_").n, 3);
}

void expect_refused(std::initializer_list<std::string_view> texts, int error) {
  for (const std::string_view text : texts) EXPECT_EQ(decode(text).n, error) << text;
}

TEST(Base64, a_text_without_its_end_is_EPIPE) { expect_refused({"Z", "Zg", "Zg=", "Zm8", "Zm9vY", "Zg= "}, -EPIPE); }

TEST(Base64, something_behind_the_padding_is_ENAMETOOLONG) {
  expect_refused({"Zg==Zg==", "Zm8=Zm9v", "Zg==A", "Zg===", "Zg==?", "Zg==\v"}, -ENAMETOOLONG);
}

TEST(Base64, a_character_or_a_bit_that_cannot_be_there_is_EINVAL) {
  expect_refused({"=", "==", "====", "Z=", "Z===", "=g==", "Zg=A"}, -EINVAL);  // padding too early, or not to the end
  expect_refused({"Zh==", "Zm9=", "Zh==A"}, -EINVAL);                          // bits that stand for nothing
  expect_refused({"Zm9.", "Zm9\x80", "Zm9\xff", "!!!!", "Zm9,Ym", "Z?", "Zm9v\v"}, -EINVAL);
  expect_refused({std::string_view("Zm9v\0Zm9v", 9)}, -EINVAL);
}

}  // namespace
