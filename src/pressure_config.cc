// SPDX-License-Identifier: MIT
//
// See pressure_config.h.
#include "src/pressure_config.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include <algorithm>

#include "src/base64.h"
#include "src/kernel.h"
#include "src/memory.h"
#include "src/proc_text.h"

namespace evenkeel {

namespace {

struct Resource {
  const char* watch_variable;
  const char* write_variable;
  const char* cgroup_file;
  const char* system_file;
};

const Resource& resource_of(Kind kind) {
  static constexpr Resource kMemory = {"MEMORY_PRESSURE_WATCH", "MEMORY_PRESSURE_WRITE", "memory.pressure",
                                       "/proc/pressure/memory"};
  static constexpr Resource kCpu = {"CPU_PRESSURE_WATCH", "CPU_PRESSURE_WRITE", "cpu.pressure", "/proc/pressure/cpu"};
  static constexpr Resource kIo = {"IO_PRESSURE_WATCH", "IO_PRESSURE_WRITE", "io.pressure", "/proc/pressure/io"};
  if (kind == Kind::kCpuPressure) return kCpu;
  return kind == Kind::kIoPressure ? kIo : kMemory;
}

// As "/dev/null" however it is spelled: with more slashes, and with dots for parts.
bool is_dev_null(std::string_view path) {
  constexpr std::string_view kParts[] = {"dev", "null"};
  size_t n = 0;
  if (!path.starts_with('/')) return false;
  while (!path.empty()) {
    const std::string_view part = {path.data(), std::min(path.find('/'), path.size())};
    path.remove_prefix(std::min(part.size() + 1, path.size()));
    if (part.empty() || part == ".") continue;
    if (n == std::size(kParts) || part != kParts[n++]) return false;
  }
  return n == std::size(kParts);
}

int read_cgroup_path(CgroupPath* ret) {
  const int fd = kernel::open("/proc/self/cgroup", O_RDONLY);
  if (fd < 0) return fd;
  char chunk[512];
  ssize_t n;
  do {
    n = kernel::read(fd, chunk, sizeof(chunk));
  } while (n > 0 && !ret->take({chunk, static_cast<size_t>(n)}));
  (void)kernel::close(fd);
  return n < 0 ? static_cast<int>(n) : 0;
}

// The file of our own cgroup; <0 where that can't be had.
int open_of_cgroup(const char* name) {
  CgroupPath cgroup;
  if (const int r = read_cgroup_path(&cgroup); r < 0) return r;
  std::string_view below = cgroup.path();
  if (below.empty()) return -ENOENT;
  if (below == "/") below = {};
  // The second is where a machine has it that uses version 1 besides.
  for (const char* mount : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
    char path[PATH_MAX];
    const int n =
        ::snprintf(path, sizeof(path), "%s%.*s/%s", mount, static_cast<int>(below.size()), below.data(), name);
    if (n < 0 || static_cast<size_t>(n) >= sizeof(path)) continue;
    const int fd = kernel::open(path, O_RDWR | O_NONBLOCK);
    if (kernel::is_shortage(fd)) return fd;
    if (fd < 0) continue;
    struct statfs st = {};
    if (kernel::fstatfs(fd, &st) >= 0 && st.f_type == CGROUP2_SUPER_MAGIC) return fd;
    (void)kernel::close(fd);
  }
  return -ENOENT;
}

bool tells_of_pressure(const struct statfs& st) {
  return st.f_type == PROC_SUPER_MAGIC || st.f_type == CGROUP2_SUPER_MAGIC || st.f_type == CGROUP_SUPER_MAGIC;
}

// A descriptor that was opened with O_PATH says which inode; this name leads to it, whatever has become of its path.
struct LinkToFd {
  explicit LinkToFd(int fd) { (void)::snprintf(path, sizeof(path), "/proc/self/fd/%d", fd); }
  char path[sizeof("/proc/self/fd/") + 3 * sizeof(int)];
};

int connect_to(int path_fd) {
  const int fd = kernel::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK);
  if (fd < 0) return fd;
  // Not by the path itself, which may be longer than an address can hold.
  const LinkToFd link(path_fd);
  struct sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  static_assert(sizeof(link.path) <= sizeof(address.sun_path));
  ::memcpy(address.sun_path, link.path, sizeof(link.path));
  const int r = kernel::connect(fd, reinterpret_cast<const struct sockaddr*>(&address), sizeof(address));
  if (r >= 0) return fd;
  (void)kernel::close(fd);
  return r;
}

}  // namespace

PressureConfig::~PressureConfig() { ::free(decoded_); }

int PressureConfig::open(Kind kind) {
  const Resource& resource = resource_of(kind);
  const char* path = ::secure_getenv(resource.watch_variable);
  if (!path) {
    compose();
    int fd = open_of_cgroup(resource.cgroup_file);
    // Only a machine without such a file is asked for all of it: who is short of something is told so.
    if (fd < 0 && !kernel::is_shortage(fd)) fd = kernel::open(resource.system_file, O_RDWR | O_NONBLOCK);
    return fd == -ENOENT ? -EOPNOTSUPP : fd;
  }
  if (path[0] == '\0' || is_dev_null(path)) return -EHOSTDOWN;
  if (!is_normalized(path)) return -EBADMSG;
  ruled_by_variables_ = true;
  const char* base64 = ::secure_getenv(resource.write_variable);
  if (base64) {
    if (const int r = decode(base64); r < 0) return r;
  }
  return open_named(path);
}

int PressureConfig::decode(const char* base64) {
  const std::string_view text = base64;
  decoded_ = static_cast<char*>(allocate(base64_room(text.size()) + 1));
  if (!decoded_) return -ENOMEM;
  const ssize_t n = decode_base64(text, decoded_);
  if (n < 0) return static_cast<int>(n);
  unwritten_ = {decoded_, static_cast<size_t>(n)};
  return 0;
}

int PressureConfig::open_named(const char* path) {
  // Opening a device or a FIFO can have effects: what it is, is known before.
  const int path_fd = kernel::open(path, O_PATH);
  if (path_fd < 0) return path_fd;
  const int fd = open_inode(path_fd);
  (void)kernel::close(path_fd);
  return fd;
}

int PressureConfig::open_inode(int path_fd) {
  struct stat st = {};
  if (const int r = kernel::fstat(path_fd, &st); r < 0) return r;
  if (S_ISDIR(st.st_mode)) return -EISDIR;
  if (S_ISSOCK(st.st_mode)) {
    file_ = PressureFile::kSocket;
    return connect_to(path_fd);
  }
  if (S_ISREG(st.st_mode)) {
    struct statfs fs = {};
    if (const int r = kernel::fstatfs(path_fd, &fs); r < 0) return r;
    if (!tells_of_pressure(fs)) return -ENOTTY;
    file_ = PressureFile::kRegular;
  } else if (S_ISFIFO(st.st_mode)) {
    file_ = PressureFile::kFifo;
  } else if (S_ISCHR(st.st_mode)) {
    file_ = PressureFile::kDevice;
  } else {
    return -EBADF;
  }
  return reopen(path_fd);
}

int PressureConfig::reopen(int path_fd) const {
  // Who only reads a FIFO notices that its last writer is gone.
  const int access = unwritten_.empty() ? O_RDONLY : O_RDWR;
  const int fd = kernel::open(LinkToFd(path_fd).path, access | O_NONBLOCK);
  return fd == -ENOENT ? -ENOSYS : fd;  // No /proc.
}

int PressureConfig::set_full(bool full) {
  if (full == full_) return 0;
  full_ = full;
  compose();
  return 1;
}

int PressureConfig::set_period(Usec threshold, Usec window) {
  if (threshold == threshold_ && window == window_) return 0;
  threshold_ = threshold;
  window_ = window;
  compose();
  return 1;
}

void PressureConfig::compose() {
  const int n = ::snprintf(composed_, sizeof(composed_), "%s %llu %llu", full_ ? "full" : "some",
                           static_cast<unsigned long long>(threshold_), static_cast<unsigned long long>(window_));
  // With its terminating zero: the kernel overwrites the last character of what it is given.
  unwritten_ = {composed_, static_cast<size_t>(n) + 1};
}

}  // namespace evenkeel
