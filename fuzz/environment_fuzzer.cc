// SPDX-License-Identifier: MIT
//
// $LISTEN_PID, $LISTEN_FDS, $LISTEN_FDNAMES, $WATCHDOG_USEC and $WATCHDOG_PID, through the C ABI.
//
// Idea: the input is five texts, parted by newlines; a text "-" is a variable that is not set, and "=" the process's
// own PID. Descriptors 3 to 10 are open, so that counts up to 8 can be taken.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include <optional>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "fuzz/expect.h"
#include "include/systemd/sd-daemon.h"

namespace {

using namespace evenkeel::fuzz;

constexpr int kOpen = 8;
constexpr const char* kNames[] = {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_USEC", "WATCHDOG_PID"};

using Value = std::optional<std::string>;

Value get(const char* name) {
  const char* const text = getenv(name);
  return text ? Value(text) : std::nullopt;
}

void set(const char* name, const std::string& text) {
  if (text == "-")
    unsetenv(name);
  else
    setenv(name, text == "=" ? absl::StrCat(getpid()).c_str() : text.c_str(), 1);
}

void open_descriptors() {
  static bool open = false;
  if (open) return;
  open = true;
  for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + kOpen; ++fd)
    if (fcntl(fd, F_GETFD) < 0) {
      const int null = ::open("/dev/null", O_RDWR);
      if (null != fd) {
        dup2(null, fd);
        close(null);
      }
    }
}

// Names by the letter of the protocol: parted by colons, a backslash keeps the next character from being one.
std::optional<std::vector<std::string>> split(const std::string& text) {
  std::vector<std::string> names(1);
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      if (++i == text.size()) return std::nullopt;
      names.back() += text[i];
    } else if (text[i] == ':') {
      names.emplace_back();
    } else {
      names.back() += text[i];
    }
  }
  return names;
}

bool is_our_pid(const Value& text) { return text && *text == absl::StrCat(getpid()); }

void expect_names(char** names, int n, const Value& text) {
  const auto expected = text ? split(*text) : std::vector<std::string>(static_cast<size_t>(n), "unknown");
  EXPECT(expected.has_value());
  for (size_t i = 0; i < expected->size(); ++i) EXPECT(names[i] && (*expected)[i] == names[i]);
  EXPECT(expected->size() == static_cast<size_t>(n) && !names[n]);
  for (int i = 0; i < n; ++i) free(names[i]);
  free(names);
}

void listen(bool unset) {
  const Value count = get("LISTEN_FDS");
  const Value names = get("LISTEN_FDNAMES");
  const bool ours = is_our_pid(get("LISTEN_PID"));
  const bool plain = count && is_plain_number(*count);

  const int without_names = sd_listen_fds(0);
  char* untouched = nullptr;
  char** list = &untouched;
  const int r = sd_listen_fds_with_names(unset, &list);
  if (ours && !count) EXPECT(r == 0);
  if (!ours && r > 0) EXPECT(get("LISTEN_PID") || unset);  // Another way to write our PID, 0x... for one.
  if (ours && plain) {
    uint64_t n = 0;
    EXPECT(absl::SimpleAtoi(*count, &n));
    if (n >= 1 && n <= kOpen) EXPECT(without_names == static_cast<int>(n));
    if (n == 0) EXPECT(r == -EINVAL);
    if (n > INT_MAX) EXPECT(r == -ERANGE);
  }
  if (r > 0) {
    EXPECT(r == without_names);
    expect_names(list, r, names);
  } else {
    EXPECT(list == &untouched);
    if (without_names > 0) {
      EXPECT(r == -EINVAL && names);
      const auto parts = split(*names);
      EXPECT(!parts || parts->size() != static_cast<size_t>(without_names));
    }
  }
}

void watchdog(bool unset) {
  const Value period = get("WATCHDOG_USEC");
  const Value pid = get("WATCHDOG_PID");
  constexpr uint64_t kUntouched = 0x1234567;
  uint64_t usec = kUntouched;
  const int r = sd_watchdog_enabled(unset, &usec);
  EXPECT(r <= 1);
  EXPECT(r == 1 || usec == kUntouched);
  if (!period) EXPECT(r == 0);
  if (period && is_plain_number(*period)) {
    uint64_t expected = 0;
    EXPECT(absl::SimpleAtoi(*period, &expected));
    if (expected == 0) EXPECT(r == -EINVAL);
    if (expected > 0 && (!pid || is_our_pid(pid))) EXPECT(r == 1 && usec == expected);
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  open_descriptors();
  if (size == 0) return 0;
  const bool unset = (data[0] & 1) != 0;
  const std::string text = string_of(view_of(data + 1, size - 1));
  std::vector<std::string> parts = absl::StrSplit(text, absl::MaxSplits('\n', 4));
  parts.resize(std::size(kNames), "-");
  for (size_t i = 0; i < parts.size(); ++i) set(kNames[i], parts[i]);
  std::vector<Value> before;
  for (const char* name : kNames) before.push_back(get(name));
  listen(unset);
  watchdog(unset);
  for (size_t i = 0; i < before.size(); ++i) EXPECT(get(kNames[i]) == (unset ? std::nullopt : before[i]));
  return 0;
}
