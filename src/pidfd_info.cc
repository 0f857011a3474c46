// SPDX-License-Identifier: MIT
//
// See pidfd_info.h.
#include "src/pidfd_info.h"

#include <stdio.h>

#include "src/kernel.h"
#include "src/proc_text.h"

namespace evenkeel {

int pidfd_get_pid(int pidfd, pid_t* ret) {
  if (const int pid = kernel::pidfd_info(pidfd); pid > 0) return *ret = pid, 0;
  // An older kernel, or one that does not say why it can't tell.
  char path[sizeof("/proc/self/fdinfo/") + 3 * sizeof(int)];
  (void)::snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
  const int fd = kernel::open(path, O_RDONLY);
  if (fd == -ENOENT) return kernel::fcntl_getfd(pidfd) < 0 ? -EBADF : -EOPNOTSUPP;
  if (fd < 0) return fd;
  char text[1024];
  const ssize_t n = kernel::read(fd, text, sizeof(text));
  (void)kernel::close(fd);
  return n < 0 ? static_cast<int>(n) : parse_fdinfo({text, static_cast<size_t>(n)}, ret);
}

}  // namespace evenkeel
