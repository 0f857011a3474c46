// SPDX-License-Identifier: MIT
//
// $MEMORY_PRESSURE_WATCH and $MEMORY_PRESSURE_WRITE, with its Base64: the input is both, parted by a newline in the
// first line's place, so that the second may have some of its own.
//
// Nothing is opened: who knows what a path leads to. The kernel says that there is no such file, and that it was asked
// tells that the variables were accepted.
#include <errno.h>

#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_split.h"
#include "fuzz/expect.h"
#include "src/base64.h"
#include "src/kernel.h"
#include "src/pressure_config.h"

namespace evenkeel::fuzz {
namespace {

int n_opened = 0;

int refuse_to_open(kernel::Call call) {
  if (call != kernel::Call::kOpen) return 0;
  ++n_opened;
  return -ENOENT;
}

bool is_plain_path(const std::string& path) {
  if (!path.starts_with('/') || path.size() >= PATH_MAX) return false;
  std::vector<std::string> parts = absl::StrSplit(path.substr(1), '/');
  if (parts.back().empty()) parts.pop_back();
  for (const std::string& part : parts)
    if (part.empty() || part == "." || part == "..") return false;
  return true;
}

bool is_dev_null(const std::string& path) {
  std::vector<std::string> parts = absl::StrSplit(path, '/');
  std::erase_if(parts, [](const std::string& part) { return part.empty() || part == "."; });
  return path.starts_with('/') && parts == std::vector<std::string>{"dev", "null"};
}

// The one text for these bytes is this one, but for white space and the digits of URLs.
bool decode(const std::string& text, std::string* ret) {
  std::string dense;
  for (const char c : text)
    if (!strchr(" \t\n\r", c)) dense += c == '-' ? '+' : c == '_' ? '/' : c;
  return absl::Base64Unescape(dense, ret) && absl::Base64Escape(*ret) == dense;
}

bool is_refusal(ssize_t n) { return n == -EPIPE || n == -ENAMETOOLONG || n == -EINVAL; }

void expect_decoded(const std::string& text) {
  std::string expected;
  const bool good = decode(text, &expected);
  std::string bytes(base64_room(text.size()), '\0');
  const ssize_t n = decode_base64(text, bytes.data());
  EXPECT(good ? n == static_cast<ssize_t>(expected.size()) : is_refusal(n));
  if (good) EXPECT(bytes.substr(0, static_cast<size_t>(n)) == expected);
}

void expect_opened(const std::string& watch, const std::string* write) {
  n_opened = 0;
  PressureConfig config;
  const int r = config.open(Kind::kMemoryPressure);
  std::string expected;
  const bool off = watch.empty() || is_dev_null(watch);
  const bool plain = !off && is_plain_path(watch);
  const bool good = plain && (!write || decode(*write, &expected));
  if (plain && !good)
    EXPECT(is_refusal(r));
  else
    EXPECT(r == (off ? -EHOSTDOWN : good ? -ENOENT : -EBADMSG));
  EXPECT(n_opened == (good ? 1 : 0));
  if (good) EXPECT(config.unwritten() == expected);
}

}  // namespace
}  // namespace evenkeel::fuzz

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace evenkeel;
  kernel::fault_hook = fuzz::refuse_to_open;
  const std::string text = fuzz::string_of(fuzz::view_of(data, size));
  const size_t end = text.find('\n');
  const std::string watch = text.substr(0, end);
  const std::string write = end == text.npos ? "" : text.substr(end + 1);
  setenv("MEMORY_PRESSURE_WATCH", watch.c_str(), 1);
  if (end == text.npos)
    unsetenv("MEMORY_PRESSURE_WRITE");
  else
    setenv("MEMORY_PRESSURE_WRITE", write.c_str(), 1);
  fuzz::expect_opened(watch, end == text.npos ? nullptr : &write);
  fuzz::expect_decoded(write);
  // And any bytes have a text.
  fuzz::expect_decoded(absl::Base64Escape(text));
  return 0;
}
