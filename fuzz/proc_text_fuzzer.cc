// SPDX-License-Identifier: MIT
//
// What the kernel tells in text: /proc/self/cgroup, /proc/self/fdinfo/N, the boot ID. The input is the size of the
// pieces it is read in, and the text, which each of the parsers is given.
#include <errno.h>
#include <limits.h>

#include <algorithm>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "fuzz/expect.h"
#include "src/proc_text.h"

namespace evenkeel::fuzz {
namespace {

// The rest of the first line that begins so; null where there is none.
const char* first_line(const std::vector<std::string>& lines, std::string_view prefix) {
  for (const std::string& line : lines)
    if (line.starts_with(prefix)) return line.c_str() + prefix.size();
  return nullptr;
}

void expect_cgroup(const std::string& text, size_t piece) {
  CgroupPath cgroup;
  for (size_t at = 0; at < text.size(); at += piece)
    if (cgroup.take(std::string_view(text).substr(at, piece))) break;
  std::vector<std::string> lines = absl::StrSplit(text, '\n');
  lines.pop_back();  // It does not end.
  const char* const line = first_line(lines, "0::");
  EXPECT(cgroup.path() == (line && is_normalized(line) ? std::string_view(line) : std::string_view()));
}

void expect_fdinfo(const std::string& text) {
  pid_t pid = -7;
  const int r = parse_fdinfo(text, &pid);
  EXPECT(r == 0 || r == -ENOTTY || r == -ESRCH || r == -EREMOTE);
  EXPECT(r == 0 ? pid > 0 : pid == -7);
  const std::vector<std::string> lines = absl::StrSplit(text, '\n');
  const char* const line = first_line(lines, "Pid:\t");
  if (!line) return;
  int64_t number = 0;
  if (is_plain_number(line) && absl::SimpleAtoi(line, &number) && first_line(lines, "Pid:") == line - 1) {
    EXPECT(r == (number == 0 ? -EREMOTE : number > INT_MAX ? -ENOTTY : 0));
    if (r == 0) EXPECT(pid == number);
  }
}

void expect_boot_id(const std::string& text) {
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
}

}  // namespace
}  // namespace evenkeel::fuzz

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace evenkeel::fuzz;
  if (size == 0) return 0;
  const std::string text = string_of(view_of(data + 1, size - 1));
  expect_cgroup(text, data[0] + 1U);
  expect_fdinfo(text);
  expect_boot_id(text);
  return 0;
}
