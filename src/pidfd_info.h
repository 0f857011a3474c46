// SPDX-License-Identifier: MIT
//
// Which process a pidfd stands for: the kernel tells, and before Linux 6.13 in /proc/self/fdinfo alone.
#pragma once

#include <sys/types.h>

namespace evenkeel {

// -EBADF: not open; -ESRCH: the process is gone (reaped); -ENOTTY: not a pidfd; -EREMOTE: of another PID namespace;
// -EOPNOTSUPP: /proc is not there.
int pidfd_get_pid(int pidfd, pid_t* ret);

}  // namespace evenkeel
