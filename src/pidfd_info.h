// SPDX-License-Identifier: MIT
//
// Which process a pidfd stands for, from /proc/self/fdinfo, the one place where the kernel tells.
#pragma once

#include <sys/types.h>

namespace evenkeel {

// -EBADF: not open; -ESRCH: the process is gone (reaped); -ENOTTY: not a pidfd; -EREMOTE: of another PID namespace;
// -EOPNOTSUPP: /proc is not there.
int pidfd_get_pid(int pidfd, pid_t* ret);

}  // namespace evenkeel
