// SPDX-License-Identifier: MIT
//
// A process in which the kernel refuses a system call, as an older kernel or the filter of a container does.
//
// Idea: a seccomp filter, which lasts as long as the process: for probes of `in_child` alone. `refuse` is false where
// no filter can be set; the test has to skip then, and to say so. harness.h is included before.
#ifndef EVENKEEL_CONFORMANCE_REFUSE_H
#define EVENKEEL_CONFORMANCE_REFUSE_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static inline bool refuse(long system_call, int error) {
  struct sock_filter steps[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)system_call, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const struct sock_fprog program = {.len = lengthof(steps), .filter = steps};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static inline int refuse_something(void* nothing) {
  (void)nothing;
  return refuse(SYS_getppid, EPERM) && syscall(SYS_getppid) < 0 && errno == EPERM ? 0 : 1;
}

// For the first line of a `main` whose tests need filters.
static inline void exit_77_without_filters(void) {
  if (in_child(refuse_something, NULL) == 0) return;
  print_message("skipped: no filter of system calls can be set here\n");
  exit(77);
}

#endif
