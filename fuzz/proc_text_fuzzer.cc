// SPDX-License-Identifier: MIT
//
// Lines of /proc/self/cgroup and /proc/self/fdinfo/N: the input is the size of the pieces it is read in, and the text.
#include <errno.h>
#include <limits.h>

#include <vector>

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

}  // namespace
}  // namespace evenkeel::fuzz

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace evenkeel::fuzz;
  if (size == 0) return 0;
  const std::string text = string_of(view_of(data + 1, size - 1));
  expect_cgroup(text, data[0] + 1U);
  expect_fdinfo(text);
  return 0;
}
