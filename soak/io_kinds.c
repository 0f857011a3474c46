// SPDX-License-Identifier: MIT
//
// IO sources: a counter, streams by pipe and by socket, on the level and on the edge, room to write, and a hang-up.
//
// Idea: an event of an eventfd is a number that is added to it; one of a stream is a byte, which carries its number, so
// that none can be lost, doubled or overtaken unseen. On the level a callback may leave something for the next; on the
// edge it reads all. Half of the sources own their descriptor.
//
// Invariants: a callback finds something to read, as nobody else reads. fds[0] is the source's end, fds[1] ours. When
// a thing goes, some descriptors are closed while a duplicate keeps the file, and its registration, alive.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "soak/soak.h"

static void close_one(int* fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

void close_two(struct Thing* t) {
  if (t->owned) t->fds[0] = -1;
  close_one(&t->fds[0]);
  close_one(&t->fds[1]);
}

static int add(struct Thing* t, uint32_t events, sd_event_io_handler_t callback) {
  if (t->fds[0] < 0) return -EMFILE;
  const int result = tried(sd_event_add_io(world.homes[t->home], &t->source, t->fds[0], events, callback, t));
  if (result >= 0 && one_in(&t->luck, 2)) t->owned = tried(sd_event_source_set_io_fd_own(t->source, 1)) >= 0;
  return result;
}

// ---- a counter ------------------------------------------------------------------------------------------------------

static int on_counter(sd_event_source* s, int fd, uint32_t revents, void* userdata) {
  struct Thing* t = enter(s, userdata);
  eventfd_t value = 0;
  if (fd != t->fds[0] || revents != EPOLLIN) fault(t, "descriptor %d, events %x", fd, revents);
  if (eventfd_read(fd, &value) != 0) fault(t, "called with nothing to read");
  receive(t, value);
  return leave(t);
}

static int add_counter(struct Thing* t) {
  t->fds[0] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return add(t, EPOLLIN, on_counter);
}

static bool fire_counter(struct Thing* t) {
  const unsigned value = 1 + below(&t->luck, 3);
  if (eventfd_write(t->fds[0], value) != 0) return false;
  t->sent += value;
  return true;
}

// ---- streams --------------------------------------------------------------------------------------------------------

static int on_stream(sd_event_source* s, int fd, uint32_t revents, void* userdata) {
  struct Thing* t = enter(s, userdata);
  const bool edge = (uint32_t)t->kind->detail & (uint32_t)EPOLLET;
  unsigned char bytes[16];
  ssize_t n;
  if (fd != t->fds[0] || revents != EPOLLIN) fault(t, "descriptor %d, events %x", fd, revents);
  bool first = true;
  do {
    n = read(fd, bytes, edge ? sizeof(bytes) : 1 + below(&t->luck, sizeof(bytes)));
    if (n <= 0 && first) fault(t, "called with nothing to read");
    for (ssize_t i = 0; i < n; i++) {
      receive(t, 1);
      if (bytes[i] != (unsigned char)t->received) fault(t, "read %u", bytes[i]);
    }
    first = false;
  } while (edge && n > 0);
  return leave(t);
}

static int add_stream(struct Thing* t) {
  const int made = t->kind->detail & 1 << 16
                       ? pipe2(t->fds, O_CLOEXEC | O_NONBLOCK)
                       : socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, t->fds);
  return made == 0 ? add(t, EPOLLIN | ((uint32_t)t->kind->detail & (uint32_t)EPOLLET), on_stream) : -EMFILE;
}

static bool fire_stream(struct Thing* t) {
  for (unsigned n = 1 + below(&t->luck, 20); n > 0; n--) {
    const unsigned char byte = (unsigned char)(t->sent + 1);
    if (write(t->fds[1], &byte, 1) != 1) return false;
    t->sent++;
  }
  return true;
}

static void close_stream(struct Thing* t) {
  const int duplicate = one_in(&t->luck, 8) && t->fds[1] >= 0 ? dup(t->fds[1]) : -1;
  close_two(t);
  if (duplicate >= 0) close(duplicate);
}

// ---- room to write: it is there whenever somebody asks --------------------------------------------------------------

static int on_room(sd_event_source* s, int fd, uint32_t revents, void* userdata) {
  struct Thing* t = enter(s, userdata);
  if (fd != t->fds[0] || revents != EPOLLOUT) fault(t, "descriptor %d, events %x", fd, revents);
  receive(t, 1);
  return leave(t);
}

static int add_room(struct Thing* t) {
  if (pipe2(t->fds, O_CLOEXEC | O_NONBLOCK) != 0) return -EMFILE;
  const int reader = t->fds[0];
  t->fds[0] = t->fds[1], t->fds[1] = reader;
  const int result = add(t, EPOLLOUT, on_room);
  if (result >= 0) must(sd_event_source_set_enabled(t->source, SD_EVENT_OFF));
  return result;
}

// ---- a hang-up: once ------------------------------------------------------------------------------------------------

static int on_hang_up(sd_event_source* s, int fd, uint32_t revents, void* userdata) {
  struct Thing* t = enter(s, userdata);
  if (fd != t->fds[0] || revents != EPOLLHUP) fault(t, "descriptor %d, events %x", fd, revents);
  receive(t, 1);
  t->done = true;
  must(sd_event_source_set_enabled(s, SD_EVENT_OFF));
  t->state = SD_EVENT_OFF;
  return leave(t);
}

static int add_hang_up(struct Thing* t) {
  return pipe2(t->fds, O_CLOEXEC | O_NONBLOCK) == 0 ? add(t, 0, on_hang_up) : -EMFILE;
}

static bool fire_hang_up(struct Thing* t) {
  if (t->sent) return false;
  close_one(&t->fds[1]);
  t->sent++;
  return true;
}

const struct Kind io_kinds[] = {
    {"counter", add_counter, fire_counter, NULL, close_two, kLimitable | kDescriptor, 0},
    {"pipe", add_stream, fire_stream, NULL, close_stream, kLimitable | kDescriptor, 1 << 16},
    {"socket", add_stream, fire_stream, NULL, close_stream, kLimitable | kDescriptor, 0},
    {"edge", add_stream, fire_stream, NULL, close_stream, kLimitable | kDescriptor, (int)EPOLLET},
    {"room", add_room, fire_by_hand, lose_what_is_on_the_way, close_two, kLimitable | kByHand | kDescriptor, 0},
    {"hang-up", add_hang_up, fire_hang_up, NULL, close_two, kLimitable | kDescriptor, 0},
};
_Static_assert(lengthof(io_kinds) == kIoKinds, "");
