// SPDX-License-Identifier: MIT
//
// See proc_text.h.
#include "src/proc_text.h"

#include <errno.h>
#include <string.h>

#include "src/notify.h"

namespace evenkeel {

namespace {

// Takes the first line off the text, without its end.
std::string_view next_line(std::string_view* text) {
  const size_t end = text->find('\n');
  const std::string_view line(text->data(), end == text->npos ? text->size() : end);
  text->remove_prefix(end == text->npos ? text->size() : end + 1);
  return line;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

bool is_normalized(std::string_view path) {
  if (path.empty() || path[0] != '/' || path.size() >= PATH_MAX) return false;
  while (!path.empty()) {
    path.remove_prefix(1);
    const size_t slash = path.find('/');
    const std::string_view part(path.data(), slash == path.npos ? path.size() : slash);
    path.remove_prefix(part.size());
    if (part == "." || part == ".." || (part.empty() && !path.empty())) return false;
  }
  return true;
}

int parse_fdinfo(std::string_view text, pid_t* ret) {
  constexpr std::string_view kName = "Pid:";  // A line that the kernel writes for a pidfd only.
  while (!text.empty()) {
    std::string_view line = next_line(&text);
    if (!line.starts_with(kName)) continue;
    line.remove_prefix(kName.size());
    Integer pid = {};
    if (parse_integer(line, &pid) < 0 || pid.magnitude > INT_MAX) return -ENOTTY;
    if (pid.magnitude == 0) return -EREMOTE;
    if (pid.negative) return -ESRCH;
    *ret = static_cast<pid_t>(pid.magnitude);
    return 0;
  }
  return -ENOTTY;
}

Usec parse_boot_id(std::string_view text) {
  unsigned char id[16] = {};
  size_t digits = 0;
  for (const char c : text) {
    const int digit = hex_digit(c);
    if (digit < 0) continue;
    if (digits == 2 * sizeof(id)) return 0;
    id[digits / 2] = static_cast<unsigned char>(id[digits / 2] << 4 | digit);
    ++digits;
  }
  if (digits < 2 * sizeof(id)) return 0;
  uint64_t halves[2];
  ::memcpy(halves, id, sizeof(halves));
  return (halves[0] ^ halves[1]) % (60 * kUsecPerSec);
}

bool CgroupPath::take(std::string_view piece) {
  for (const char c : piece) {
    if (complete_) break;
    take(c);
  }
  return complete_;
}

void CgroupPath::take(char c) {
  if (c == '\n') {
    complete_ = ours_ && column_ >= kPrefix.size();
    column_ = 0;
    ours_ = true;
    return;
  }
  if (column_ < kPrefix.size())
    ours_ = ours_ && c == kPrefix[column_];
  else if (ours_ && length_ < sizeof(path_))
    path_[length_++] = c;
  ++column_;
}

std::string_view CgroupPath::path() const {
  const std::string_view path(path_, length_);
  return complete_ && is_normalized(path) ? path : std::string_view();
}

}  // namespace evenkeel
