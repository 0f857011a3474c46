// SPDX-License-Identifier: MIT
//
// What sd-daemon says where the kernel refuses one of its system calls, as the filters of containers do: that error.
//
// Each case is a process of its own (conformance/refuse.h), in which one system call gives EPERM, and for a call that
// is to be made one that does not need it, to show that the rest works.
#include "daemon_harness.h"
#include "refuse.h"

static int udp_socket(void) { return socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0); }

static int ask_is_socket(void) { return sd_is_socket(udp_socket(), AF_UNSPEC, SOCK_DGRAM, -1); }
static int ask_is_listening(void) { return sd_is_socket(udp_socket(), AF_UNSPEC, 0, 0); }
static int ask_family(void) { return sd_is_socket(udp_socket(), AF_INET, 0, -1); }
static int ask_inet(void) { return sd_is_socket_inet(udp_socket(), AF_INET, 0, -1, 0); }
static int ask_fifo(void) { return sd_is_fifo(0, NULL); }
static int ask_special(void) { return sd_is_special(0, NULL); }
static int say(void) { return sd_notify(0, "READY=1"); }
static int barrier(void) { return sd_notify_barrier(0, 1000); }

#ifndef SYS_newfstatat
#define SYS_newfstatat SYS_statx
#endif

struct Refused {
  const char* name;
  long system_call;
  int (*call)(void);
};

static const struct Refused kRefused[] = {
    {"sd_is_socket without getsockopt", SYS_getsockopt, ask_is_socket},
    {"sd_is_socket that listens without getsockopt", SYS_getsockopt, ask_is_listening},
    {"sd_is_socket of a family without getsockname", SYS_getsockname, ask_family},
    {"sd_is_socket_inet without getsockname", SYS_getsockname, ask_inet},
    {"sd_is_fifo without fstat", SYS_newfstatat, ask_fifo},
    {"sd_is_special without fstat", SYS_newfstatat, ask_special},
    {"sd_notify without socket", SYS_socket, say},
    {"sd_notify without sendmsg", SYS_sendmsg, say},
    {"sd_notify_barrier without pipe2", SYS_pipe2, barrier},
};

enum { kWorksWithIt = 1, kNotRefused, kDescriptorsLeft };

static int call_refused(void* context) {
  const struct Refused* refused = context;
  setenv("NOTIFY_SOCKET", "@evenkeel-nobody", 1);
  const int n_fds = count_fds();
  if (refused->call() == -EPERM) return kWorksWithIt;
  const int n_own = count_fds() - n_fds;  // The socket that is asked about.
  if (!refuse(refused->system_call, EPERM)) return kNotRefused;
#ifdef SYS_fstat
  // By which of the two glibc asks depends on its version.
  if (refused->system_call == SYS_newfstatat && !refuse(SYS_fstat, EPERM)) return kNotRefused;
#endif
  const int r = refused->call();
  return count_fds() > n_fds + 2 * n_own ? kDescriptorsLeft : r;
}

static void a_system_call_that_is_refused_is_told_by_the_call(void** state) {
  (void)state;
  for (size_t i = 0; i < lengthof(kRefused); i++) {
    struct Refused refused = kRefused[i];
    const int r = in_child(call_refused, &refused);
    if (r != -EPERM) fail_msg("%s: %d", refused.name, r);
  }
}

int main(void) {
#ifdef SYS_socketcall
  (void)puts("skipped: here all calls for sockets are one system call, and a filter can't tell them apart");
  return 77;
#endif
  exit_77_without_filters();
  const struct CMUnitTest tests[] = {clean_test(a_system_call_that_is_refused_is_told_by_the_call)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
