// SPDX-License-Identifier: MIT
//
// See base64.h.
#include "src/base64.h"

#include <errno.h>
#include <stdint.h>

namespace evenkeel {

namespace {

constexpr std::string_view kIgnored = " \t\n\r";

// The six bits of a character, or -1.
int sextet(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+' || c == '-') return 62;
  return c == '/' || c == '_' ? 63 : -1;
}

// Puts the upper `n` bytes of the 24 bits there.
void put(uint32_t bits, int n, char* bytes) {
  for (int i = 0; i < n; ++i) bytes[i] = static_cast<char>(static_cast<unsigned char>(bits >> (16 - 8 * i)));
}

}  // namespace

ssize_t decode_base64(std::string_view text, char* bytes) {
  ssize_t done = 0;
  uint32_t bits = 0;
  int seen = 0;    // Characters of the current group of four, its padding included.
  int padded = 0;  // How many of them are padding.
  for (const char c : text) {
    if (kIgnored.find(c) != kIgnored.npos) continue;
    if (seen == 4) {
      if (padded > 0) return -ENAMETOOLONG;
      seen = 0;
      bits = 0;
    }
    const int six = c == '=' ? 0 : sextet(c);
    if (six < 0 || (c == '=' ? seen < 2 : padded > 0)) return -EINVAL;
    if (c == '=') ++padded;
    bits = bits << 6U | static_cast<uint32_t>(six);
    if (++seen < 4) continue;
    const uint32_t unused = padded == 0 ? 0 : (1U << (8 * padded)) - 1;
    if ((bits & unused) != 0) return -EINVAL;
    put(bits, 3 - padded, bytes + done);
    done += 3 - padded;
  }
  return seen == 0 || seen == 4 ? done : -EPIPE;
}

}  // namespace evenkeel
