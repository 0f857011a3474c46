// SPDX-License-Identifier: MIT
//
// Inotify: sources that share directories, by path and by descriptor, and directories that go away.
//
// Idea: one event makes and removes a file in a directory, and every source that is there for it gets its share. The
// name of the file is a number that only grows, so that the order can be checked. A directory that is removed tells its
// source twice: that it is gone, and that nothing will come any more.
//
// Invariants: what happens while a source is OFF may be lost or not. Events older than the source may still come, by
// way of a sibling's watch, and don't count.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "soak/soak.h"

enum { kByDescriptor = 1, kGoes = 2 };
static pid_t owner;

static const char* path_of(unsigned directory, const char* name) {
  static char path[160];
  (void)snprintf(path, sizeof(path), "%s/%u%s", world.directory, directory, name);
  return path;
}

void begin_inotify_kinds(void) {
  strcpy(world.directory, "/tmp/evenkeel-soak-XXXXXX");
  if (!mkdtemp(world.directory)) fault(NULL, "mkdtemp: %s", strerror(errno));
  owner = getpid();
  world.has_directory = true;
  char limited[80];
  (void)snprintf(limited, sizeof(limited), "%s/limited", world.directory);  // limits.c has it.
  if (mkdir(limited, 0700) != 0) fault(NULL, "mkdir: %s", strerror(errno));
  for (unsigned i = 0; i < kDirectories; i++)
    if (mkdir(path_of(i, ""), 0700) != 0) fault(NULL, "mkdir: %s", strerror(errno));
}

void end_inotify_kinds(void) {
  if (!world.has_directory || getpid() != owner) return;
  for (struct Thing* t = world.things; t < world.things + kMostThings; t++)
    if (t->used && t->directory >= kDirectories) (void)rmdir(path_of((unsigned)t->directory, ""));
  for (unsigned i = 0; i < kDirectories; i++) (void)rmdir(path_of(i, ""));
  char limited[80];
  (void)snprintf(limited, sizeof(limited), "%s/limited", world.directory);
  (void)rmdir(limited);
  end_library();
  (void)rmdir(world.directory);
  world.has_directory = false;
}

static int on_inotify(sd_event_source* s, const struct inotify_event* event, void* userdata) {
  struct Thing* t = enter(s, userdata);
  if (event->mask & (IN_Q_OVERFLOW | IN_UNMOUNT) || !(event->mask & (t->mask | IN_IGNORED)))
    fault(t, "event %x", event->mask);
  if (t->kind->detail & kGoes) {
    if (!(event->mask & (t->received ? IN_IGNORED : IN_DELETE_SELF)) && !t->may_be_lost)
      fault(t, "event %x", event->mask);
    t->done = t->done || event->mask & IN_IGNORED;
    receive(t, 1);
  } else {
    const uint64_t number = strtoull(event->name, NULL, 10) * 2 + (event->mask & IN_DELETE ? 1 : 0);
    if (number <= t->last) fault(t, "event %llu after %llu", (unsigned long long)number, (unsigned long long)t->last);
    t->last = number;
    if (number / 2 > t->due) receive(t, 1);
  }
  return leave(t);
}

static int add_inotify(struct Thing* t) {
  static const uint32_t masks[] = {IN_CREATE, IN_DELETE, IN_CREATE | IN_DELETE};
  const int detail = t->kind->detail;
  const unsigned directory = detail & kGoes ? kDirectories + t->id : below(&t->luck, kDirectories);
  sd_event* loop = world.homes[t->home];
  int result;
  t->mask = detail & kGoes ? IN_DELETE_SELF : masks[below(&t->luck, lengthof(masks))];
  if (detail & kGoes && mkdir(path_of(directory, ""), 0700) != 0) return -errno;
  t->directory = (int)directory;
  if (detail & kByDescriptor) {
    t->fds[1] = open(path_of(directory, ""), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (t->fds[1] < 0) return -EMFILE;
    result = tried(sd_event_add_inotify_fd(loop, &t->source, t->fds[1], t->mask, on_inotify, t));
  } else {
    result = tried(sd_event_add_inotify(loop, &t->source, path_of(directory, ""), t->mask, on_inotify, t));
  }
  t->due = world.sequence;
  return result;
}

static bool fire_files(struct Thing* t) {
  char name[32];
  (void)snprintf(name, sizeof(name), "/%llu", (unsigned long long)(world.sequence + 1));
  if (mknod(path_of((unsigned)t->directory, name), S_IFREG | 0600, 0) != 0) return false;
  if (unlink(path_of((unsigned)t->directory, name)) != 0) fault(t, "unlink: %s", strerror(errno));
  world.sequence++;
  for (struct Thing* u = world.things; u < world.things + kMostThings; u++) {
    if (!u->used || u->gone || u->kind->add != add_inotify || u->directory != t->directory) continue;
    const uint64_t events = (u->mask & IN_CREATE ? 1 : 0) + (u->mask & IN_DELETE ? 1 : 0);
    u->sent += events;
    if (u->state == SD_EVENT_OFF) u->may_be_lost += events;
  }
  return true;
}

static bool fire_removal(struct Thing* t) {
  if (t->sent || rmdir(path_of((unsigned)t->directory, "")) != 0) return false;
  t->sent = 2;
  if (t->state == SD_EVENT_OFF) t->may_be_lost = 2;
  return true;
}

static void close_inotify(struct Thing* t) {
  if (t->kind->detail & kGoes && t->directory && !t->sent) (void)rmdir(path_of((unsigned)t->directory, ""));
  close_two(t);
}

const struct Kind inotify_kinds[] = {
    {"directory", add_inotify, fire_files, lose_what_is_on_the_way, close_inotify, kLimitable, 0},
    {"directory by descriptor", add_inotify, fire_files, lose_what_is_on_the_way, close_inotify, kLimitable,
     kByDescriptor},
    {"directory that goes", add_inotify, fire_removal, lose_what_is_on_the_way, close_inotify, kLimitable, kGoes},
};
_Static_assert(lengthof(inotify_kinds) == kInotifyKinds, "");
