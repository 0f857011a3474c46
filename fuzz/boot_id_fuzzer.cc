// SPDX-License-Identifier: MIT
//
// The boot ID: the input is what was read.
#include <algorithm>

#include "absl/strings/escaping.h"
#include "fuzz/expect.h"
#include "src/proc_text.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace evenkeel;
  const std::string text(fuzz::view_of(data, size));
  std::string digits;
  std::copy_if(text.begin(), text.end(), std::back_inserter(digits),
               [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  Usec expected = 0;
  if (digits.size() == 32) {
    const std::string id = absl::HexStringToBytes(digits);
    uint64_t halves[2];
    std::copy(id.begin(), id.end(), reinterpret_cast<char*>(halves));
    expected = (halves[0] ^ halves[1]) % (60 * kUsecPerSec);
  }
  EXPECT(parse_boot_id(text) == expected);
  return 0;
}
