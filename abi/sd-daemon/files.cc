// SPDX-License-Identifier: MIT
//
// sd_is_fifo, sd_is_special, sd_is_mq: is this descriptor such a file, and the one that a path leads to? And sd_booted,
// which is a question to the file system as well.
//
// Idea: the descriptor is asked first, so that a wrong kind is 0 whatever the path is. Then the path is looked up,
// following links, and compared by inode (by number for devices: every node of a device is that device).
//
// Invariants:
//  1. A path that leads nowhere is an answer, not an error - but for message queues, where the reference says -ENOENT.
//  2. Nothing is opened, so no device notices.
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "abi/export.h"
#include "include/systemd/sd-daemon.h"
#include "src/kernel.h"

namespace {

namespace kernel = evenkeel::kernel;

bool is_same_inode(const struct stat& a, const struct stat& b) { return a.st_dev == b.st_dev && a.st_ino == b.st_ino; }

bool is_same_special(const struct stat& a, const struct stat& b) {
  if ((a.st_mode & S_IFMT) != (b.st_mode & S_IFMT)) return false;
  return S_ISCHR(a.st_mode) ? a.st_rdev == b.st_rdev : is_same_inode(a, b);
}

using Comparison = bool (*)(const struct stat&, const struct stat&);

int leads_to(const char* path, const struct stat& file, Comparison same) {
  struct stat found = {};
  const int r = kernel::stat(path, &found);
  if (r == -ENOENT || r == -ENOTDIR) return 0;
  return r < 0 ? r : same(file, found);
}

// 1 or 0, -EBADF. The probe alone can't tell an open file of another kind from no file.
int is_message_queue(int fd) {
  const int r = kernel::probe_message_queue(fd);
  if (r != -EBADF) return r < 0 ? r : 1;
  const int flags = kernel::get_fd_flags(fd);
  return flags < 0 ? flags : 0;
}

int is_named_queue(int fd, const char* name) {
  static constexpr char kMount[] = "/dev/mqueue";
  char path[PATH_MAX];
  const size_t size = ::strlen(name) + 1;
  if (name[0] != '/') return -EINVAL;
  if (size > sizeof(path) - sizeof(kMount)) return -ENAMETOOLONG;
  ::memcpy(path, kMount, sizeof(kMount) - 1);
  ::memcpy(path + sizeof(kMount) - 1, name, size);

  struct stat queue = {};
  struct stat found = {};
  if (const int r = kernel::fstat(fd, &queue); r < 0) return r;
  if (const int r = kernel::stat(path, &found); r < 0) return r;
  return is_same_inode(queue, found);
}

}  // namespace

extern "C" {

EVENKEEL_PUBLIC int sd_is_fifo(int fd, const char* path) noexcept {
  struct stat file = {};
  if (const int r = kernel::fstat(fd, &file); r < 0) return r;
  if (!S_ISFIFO(file.st_mode)) return 0;
  return path ? leads_to(path, file, is_same_inode) : 1;
}

EVENKEEL_PUBLIC int sd_is_special(int fd, const char* path) noexcept {
  struct stat file = {};
  if (const int r = kernel::fstat(fd, &file); r < 0) return r;
  if (!S_ISREG(file.st_mode) && !S_ISCHR(file.st_mode)) return 0;
  return path ? leads_to(path, file, is_same_special) : 1;
}

EVENKEEL_PUBLIC int sd_is_mq(int fd, const char* path) noexcept {
  const int r = is_message_queue(fd);
  return r > 0 && path ? is_named_queue(fd, path) : r;
}

EVENKEEL_PUBLIC int sd_booted(void) noexcept {
  struct stat directory = {};
  const int r = kernel::stat("/run/systemd/system/", &directory);
  if (r == -ENOENT) return 0;
  return r < 0 ? r : 1;
}

}  // extern "C"
