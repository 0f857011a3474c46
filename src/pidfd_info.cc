// SPDX-License-Identifier: MIT
//
// See pidfd_info.h.
#include "src/pidfd_info.h"

#include <stdio.h>
#include <string.h>

#include "src/kernel.h"

namespace evenkeel {

namespace {

// The value of the line "Pid:\t<number>", which the kernel writes for a pidfd only; -1 for a process that is gone.
int find_pid(const char* text, long* ret) {
  constexpr const char kName[] = "Pid:";
  for (const char* line = text; line && *line; line = ::strchr(line, '\n')) {
    if (*line == '\n') ++line;
    if (::strncmp(line, kName, sizeof(kName) - 1) != 0) continue;
    *ret = ::strtol(line + sizeof(kName) - 1, nullptr, 10);
    return 0;
  }
  return -ENOTTY;
}

}  // namespace

int pidfd_get_pid(int pidfd, pid_t* ret) {
  char path[sizeof("/proc/self/fdinfo/") + 3 * sizeof(int)];
  (void)::snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
  const int fd = kernel::open(path, O_RDONLY);
  if (fd == -ENOENT) return kernel::fcntl_getfd(pidfd) < 0 ? -ESRCH : -EOPNOTSUPP;
  if (fd < 0) return fd;
  char text[1024];
  const ssize_t n = kernel::read(fd, text, sizeof(text) - 1);
  (void)kernel::close(fd);
  if (n < 0) return static_cast<int>(n);
  text[n] = '\0';
  long pid = 0;
  if (const int r = find_pid(text, &pid); r < 0) return r;
  if (pid <= 0) return pid == 0 ? -EREMOTE : -ESRCH;
  *ret = static_cast<pid_t>(pid);
  return 0;
}

}  // namespace evenkeel
