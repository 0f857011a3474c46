// SPDX-License-Identifier: MIT
//
// Talking to the service manager: the notification socket and the watchdog's variables.
//
// Idea: the manager tells a service, in environment variables, where it listens and how often it wants a sign of life.
// A message is text in one datagram, with descriptors and the identity of the sender beside it; nothing is ever read
// back. Each message gets a socket of its own, so nothing here has state, and a loop's watchdog may call `notify` at
// any time.
//
// Invariants:
//  1. No call allocates memory: addresses, control data and numbers live on the stack.
//  2. No call leaves a descriptor open, whatever it returns. Descriptors of the caller stay the caller's.
//  3. The environment is read at each call and never written; taking variables away is the business of the ABI above.
//  4. Results: 1 the message is in the manager's queue, 0 nobody asked for it (the variable is not set), else -errno.
//
// Threads: as safe as the environment itself, which nobody may change meanwhile. Forks: a child talks for itself.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>
// It uses what sys/socket.h declares.
#include <linux/vm_sockets.h>

#include <span>
#include <string_view>

#include "src/types.h"

namespace evenkeel {

// A variable of the manager's protocols, or null. Programs that gained privileges by being executed see them too:
// services do under SELinux or with file capabilities, and would be without their sockets and their watchdog.
inline const char* manager_variable(const char* name) { return ::getenv(name); }

// The integers of those variables: white space before them, a sign, the prefixes 0x, 0 (octal), 0o and 0b. -ERANGE
// beyond 64 bits, -EINVAL for anything else that is no number.
struct Integer {
  uint64_t magnitude;
  bool negative;
};
int parse_integer(std::string_view text, Integer* ret);
int parse_unsigned(std::string_view text, uint64_t max, uint64_t* ret);  // -ERANGE outside 0..max
int parse_pid(std::string_view text, pid_t* ret);                        // -ERANGE outside 1..INT_MAX

// Where the manager listens: /path or @abstract (AF_UNIX datagrams), or vsock:CID:PORT for a manager on the other side
// of a hypervisor, with vsock-dgram:, vsock-seqpacket: and vsock-stream: for one kind of socket only.
struct NotifyAddress {
  union {
    struct sockaddr any;
    struct sockaddr_un un;
    struct sockaddr_vm vm;
  };
  socklen_t size;
  int type;        // SOCK_DGRAM, SOCK_SEQPACKET or SOCK_STREAM
  bool fall_back;  // vsock: SOCK_SEQPACKET where the hypervisor has no datagrams
};
// -EPROTO for what begins like no address, -EINVAL for one that is none, -ERANGE for a vsock number that is too large,
// -ENAMETOOLONG for a path that does not fit.
int parse_notify_address(const char* text, NotifyAddress* ret);

struct NotifyMessage {
  const char* state;              // newline-separated assignments, not null
  pid_t pid = 0;                  // on behalf of this process where the kernel lets us, 0: this one
  std::span<const int> fds = {};  // 253 at most (-E2BIG): the kernel's limit
};
// Waits while the manager's queue is full; -EINTR when a signal handler ends that. -EOPNOTSUPP for descriptors once
// a vsock is connected.
int notify_send(const NotifyAddress& address, const NotifyMessage& message);

// The same to $NOTIFY_SOCKET; 0 when it is not set.
int notify(const NotifyMessage& message);
inline int notify(const char* state) { return notify(NotifyMessage{.state = state}); }

// Waits until the manager has taken everything that was sent before. -ETIMEDOUT after `timeout` (exact, relative;
// kForever: never), -EINTR when a signal handler ran, -EOPNOTSUPP over vsock, which carries no descriptors.
int notify_barrier(pid_t pid, Usec timeout);

// 1 and the period when the manager expects signs of life ("WATCHDOG=1") from this very process; 0 when not; else
// -errno, for a variable that makes no sense. `ret` is only written with 1.
int watchdog_enabled(Usec* ret);

}  // namespace evenkeel
