// SPDX-License-Identifier: MIT
//
// What the fuzz targets of the parsers share: an expectation that ends the process, by which libFuzzer knows the input,
// and the input as the text that the parser would get.
//
// Idea of these targets: a parser is given anything, and what it answers is compared with a second one that is written
// for being obviously right, with abseil, and may be slow and allocate; the sanitizers look at the rest.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <string>
#include <string_view>

#define EXPECT(condition)                                                           \
  do {                                                                              \
    if (!(condition)) {                                                             \
      (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      abort();                                                                      \
    }                                                                               \
  } while (0)

namespace evenkeel::fuzz {

// What a variable can hold: up to the first NUL.
inline std::string string_of(std::string_view bytes) { return std::string(bytes.substr(0, bytes.find('\0'))); }

inline std::string_view view_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// A decimal number without a sign or a leading zero, of 18 digits at most, of which every parser makes the same.
inline bool is_plain_number(std::string_view text) {
  return !text.empty() && text.size() <= 18 && text.find_first_not_of("0123456789") == text.npos &&
         (text[0] != '0' || text.size() == 1);
}

}  // namespace evenkeel::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
