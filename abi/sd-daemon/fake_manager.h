// SPDX-License-Identifier: MIT
//
// The service manager's end of the notification socket, for tests.
//
// The idea: the test itself is the manager. It binds a socket to an abstract name with its process ID in it, says so in
// $NOTIFY_SOCKET, makes a call, and then reads the one message that must be in the queue: nothing ever waits.
//
// `message()` is the last one that was received. Its descriptors are the test's to close (`close_received`).
#ifndef EVENKEEL_FAKE_MANAGER_H
#define EVENKEEL_FAKE_MANAGER_H

#include "daemon_harness.h"

struct Received {
  char text[400000];
  ssize_t size;
  struct ucred sender;
  int fds[300];
  size_t n_fds;
};

static inline struct Received* message(void) {
  static struct Received the_message;
  return &the_message;
}

static inline void receive(int manager) {
  struct Received* m = message();
  char control[4096];
  struct iovec text = {m->text, sizeof(m->text) - 1};
  struct msghdr header = {.msg_iov = &text, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
  m->n_fds = 0;
  m->size = recvmsg(manager, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (m->size < 0) fail_msg("no message: %s", strerror(errno));
  m->text[m->size] = '\0';
  for (struct cmsghdr* c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_type == SCM_CREDENTIALS) memcpy(&m->sender, CMSG_DATA(c), sizeof(m->sender));
    if (c->cmsg_type != SCM_RIGHTS) continue;
    m->n_fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(m->fds, CMSG_DATA(c), m->n_fds * sizeof(int));
  }
}

static inline void close_received(void) {
  for (size_t i = 0; i < message()->n_fds; i++) close(message()->fds[i]);
  message()->n_fds = 0;
}

static inline void expect_nothing(int manager) {
  char byte;
  assert_int_equal(recv(manager, &byte, 1, MSG_DONTWAIT), -1);
  assert_int_equal(errno, EAGAIN);
}

// Listens at an abstract address and says so in $NOTIFY_SOCKET.
static inline int start_manager(void) {
  char name[64];
  const int one = 1, fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const int size = snprintf(name, sizeof(name), "@evenkeel-notify-%d", (int)getpid());
  set_variable("NOTIFY_SOCKET", name);
  name[0] = '\0';
  assert_int_equal(bind_unix(fd, name, (size_t)size), 0);
  assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)), 0);
  return fd;
}

#endif
