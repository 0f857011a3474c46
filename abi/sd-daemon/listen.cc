// SPDX-License-Identifier: MIT
//
// sd_listen_fds and sd_listen_fds_with_names: the descriptors that the service manager opened for this process.
//
// Idea: the protocol is three variables. $LISTEN_PID says for whom they are meant, so that a child which inherited them
// does not take its parent's; $LISTEN_FDS is a count, the descriptors begin at 3; $LISTEN_FDNAMES has a name for each.
//
// Invariants:
//  1. A positive result means that all the descriptors are open and close-on-exec.
//  2. Names are handed out all or none. They belong to the caller, who ends them with free().
//  3. The variables are gone at return if that was asked for, whatever happened.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <string_view>

#include "abi/export.h"
#include "abi/sd-daemon/environment.h"
#include "include/systemd/sd-daemon.h"
#include "src/kernel.h"
#include "src/memory.h"
#include "src/notify.h"

namespace {

using evenkeel::manager_variable;
using evenkeel::sd_daemon::UnsetAtReturn;
namespace kernel = evenkeel::kernel;

// $LISTEN_FDS: a number of descriptors that fit between the first one and INT_MAX.
int parse_count(const char* text) {
  evenkeel::Integer value = {};
  if (const int r = evenkeel::parse_integer(text, &value); r < 0) return r;
  if (value.magnitude > uint64_t{INT_MAX} + value.negative) return -ERANGE;
  if (value.negative || value.magnitude == 0 || value.magnitude > INT_MAX - SD_LISTEN_FDS_START) return -EINVAL;
  return static_cast<int>(value.magnitude);
}

int count_for_this_process() {
  const char* const owner = manager_variable("LISTEN_PID");
  if (!owner) return 0;
  pid_t pid = 0;
  if (const int r = evenkeel::parse_pid(owner, &pid); r < 0) return r;
  if (pid != kernel::getpid()) return 0;
  const char* const count = manager_variable("LISTEN_FDS");
  return count ? parse_count(count) : 0;
}

int close_on_exec(int fd) {
  const int flags = kernel::get_fd_flags(fd);
  if (flags < 0 || (flags & FD_CLOEXEC)) return flags;
  return kernel::set_fd_flags(fd, flags | FD_CLOEXEC);
}

int take_descriptors() {
  const int n = count_for_this_process();
  for (int i = 0; i < n; ++i)
    if (const int r = close_on_exec(SD_LISTEN_FDS_START + i); r < 0) return r;
  return n;
}

// A list of names while it is made, with a null behind the last one.
class Names {
 public:
  explicit Names(size_t n) : list_(static_cast<char**>(evenkeel::allocate((n + 1) * sizeof(char*)))), limit_(n) {
    if (list_) list_[0] = nullptr;
  }
  Names(const Names&) = delete;
  Names& operator=(const Names&) = delete;
  ~Names() {
    for (size_t i = 0; list_ && i < size_; ++i) ::free(list_[i]);
    ::free(list_);
  }

  // Takes `name` over, which is null when there was no memory for it.
  int add(char* name) {
    if (!list_ || !name || size_ == limit_) {
      const bool too_many = list_ && name;
      ::free(name);
      return too_many ? -EINVAL : -ENOMEM;
    }
    list_[size_++] = name;
    list_[size_] = nullptr;
    return 0;
  }
  bool complete() const { return size_ == limit_; }
  char** release() {
    char** const list = list_;
    list_ = nullptr;
    return list;
  }

 private:
  char** list_;
  size_t size_ = 0;
  const size_t limit_;
};

// The next name, with its escapes resolved, or null without memory. `text` moves to the separator or the end behind it;
// `-EINVAL` in `error` for a backslash with nothing behind it.
char* next_name(const char** text, int* error) {
  auto* const name = static_cast<char*>(evenkeel::allocate(::strlen(*text) + 1));
  if (!name) return nullptr;
  size_t size = 0;
  const char* at = *text;
  for (; *at && *at != ':'; ++at) {
    if (*at == '\\' && *++at == '\0') {
      *error = -EINVAL;
      break;
    }
    name[size++] = *at;
  }
  name[size] = '\0';
  *text = at;
  return name;
}

int split_names(const char* text, Names* names) {
  for (;;) {
    int error = 0;
    char* const name = next_name(&text, &error);
    if (const int r = names->add(name); r < 0) return r;
    if (error < 0) return error;
    if (*text == '\0') return names->complete() ? 0 : -EINVAL;
    ++text;
  }
}

int make_names(int n, char*** ret) {
  Names names(static_cast<size_t>(n));
  if (const char* const text = manager_variable("LISTEN_FDNAMES"); text) {
    if (const int r = split_names(text, &names); r < 0) return r;
  }
  while (!names.complete())
    if (const int r = names.add(evenkeel::copy_string("unknown")); r < 0) return r;
  *ret = names.release();
  return n;
}

}  // namespace

extern "C" {

EVENKEEL_PUBLIC int sd_listen_fds(int unset_environment) noexcept {
  const UnsetAtReturn unset(unset_environment, "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES");
  return take_descriptors();
}

EVENKEEL_PUBLIC int sd_listen_fds_with_names(int unset_environment, char*** ret_names) noexcept {
  const UnsetAtReturn unset(unset_environment, "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES");
  const int n = take_descriptors();
  return n > 0 && ret_names ? make_names(n, ret_names) : n;
}

}  // extern "C"
