// SPDX-License-Identifier: MIT
//
// sd_is_socket and its relatives: is this descriptor such a socket, bound to such an address?
//
// Idea: four questions of growing detail. The kernel is asked for no more than the question needs: the file's kind,
// then type and listening state, then the address that the socket is bound to, of which the family is a part.
//
// Invariants:
//  1. What the caller got wrong (-EINVAL and the like) is said before the descriptor is looked at, with one exception
//     that programs may know from the reference: an address that is too short only matters if the socket is of its
//     family.
//  2. Addresses of the caller are copied before they are read: nothing is known of their alignment.
//  3. An address that the kernel returned has zeroes behind it, so a path of the full 108 bytes still ends.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "abi/export.h"
#include "include/systemd/sd-daemon.h"
#include "src/kernel.h"

namespace {

namespace kernel = evenkeel::kernel;

union Address {
  struct sockaddr any;
  struct sockaddr_in in4;
  struct sockaddr_in6 in6;
  struct sockaddr_un un;
  struct sockaddr_storage storage;
};

int bound_address(int fd, Address* ret, socklen_t* ret_size) {
  ::memset(static_cast<void*>(ret), 0, sizeof(*ret));
  *ret_size = sizeof(ret->storage);
  return kernel::getsockname(fd, &ret->any, ret_size);
}

// 1 or 0, or the error of the call.
int has_option(int fd, int option, bool (*matches)(int value, int wanted), int wanted) {
  int value = 0;
  const int r = kernel::getsockopt(fd, option, &value);
  return r < 0 ? r : matches(value, wanted);
}

int is_socket(int fd, int type, int listening) {
  if (fd < 0) return -EBADF;
  if (type < 0) return -EINVAL;
  struct stat file = {};
  if (const int r = kernel::fstat(fd, &file); r < 0) return r;
  if (!S_ISSOCK(file.st_mode)) return 0;
  if (type != 0) {
    const int r = has_option(
        fd, SO_TYPE, [](int value, int wanted) { return value == wanted; }, type);
    if (r <= 0) return r;
  }
  if (listening < 0) return 1;
  return has_option(
      fd, SO_ACCEPTCONN, [](int value, int wanted) { return !value == !wanted; }, listening);
}

// The same, with the address that the socket is bound to.
int is_bound_socket(int fd, int type, int listening, Address* ret, socklen_t* ret_size) {
  const int r = is_socket(fd, type, listening);
  if (r <= 0) return r;
  const int q = bound_address(fd, ret, ret_size);
  return q < 0 ? q : 1;
}

bool is_inet(int family) { return family == AF_INET || family == AF_INET6; }

bool is_address4(const struct sockaddr_in& bound, const struct sockaddr_in& wanted) {
  if (wanted.sin_port != 0 && bound.sin_port != wanted.sin_port) return false;
  return bound.sin_addr.s_addr == wanted.sin_addr.s_addr;
}

bool is_address6(const struct sockaddr_in6& bound, const struct sockaddr_in6& wanted) {
  if (wanted.sin6_port != 0 && bound.sin6_port != wanted.sin6_port) return false;
  if (wanted.sin6_flowinfo != 0 && bound.sin6_flowinfo != wanted.sin6_flowinfo) return false;
  if (wanted.sin6_scope_id != 0 && bound.sin6_scope_id != wanted.sin6_scope_id) return false;
  return ::memcmp(&bound.sin6_addr, &wanted.sin6_addr, sizeof(bound.sin6_addr)) == 0;
}

// `size` counts from the start of sun_path: a path with its final NUL, an abstract name with its leading one, nothing
// for a socket without a name.
bool is_unix_name(const struct sockaddr_un& bound, size_t size, const char* path, size_t length) {
  if (length == 0) length = ::strlen(path);
  if (length > sizeof(bound.sun_path)) return false;
  const bool abstract = path[0] == '\0';
  if (abstract ? size != length : size < length + 1) return false;
  if (::memcmp(bound.sun_path, path, length) != 0) return false;
  return abstract || length == sizeof(bound.sun_path) || bound.sun_path[length] == '\0';
}

}  // namespace

extern "C" {

EVENKEEL_PUBLIC int sd_is_socket(int fd, int family, int type, int listening) noexcept {
  if (fd < 0) return -EBADF;
  if (family < 0) return -EINVAL;
  const int r = is_socket(fd, type, listening);
  if (r <= 0 || family == AF_UNSPEC) return r;
  Address bound;
  socklen_t size = 0;
  const int q = bound_address(fd, &bound, &size);
  return q < 0 ? q : bound.any.sa_family == family;
}

EVENKEEL_PUBLIC int sd_is_socket_inet(int fd, int family, int type, int listening, uint16_t port) noexcept {
  if (fd < 0) return -EBADF;
  if (family != AF_UNSPEC && !is_inet(family)) return -EINVAL;
  Address bound;
  socklen_t size = 0;
  if (const int r = is_bound_socket(fd, type, listening, &bound, &size); r <= 0) return r;
  if (!is_inet(bound.any.sa_family) || (family != AF_UNSPEC && bound.any.sa_family != family)) return 0;
  if (port == 0) return 1;
  return port == ntohs(bound.any.sa_family == AF_INET ? bound.in4.sin_port : bound.in6.sin6_port);
}

EVENKEEL_PUBLIC int sd_is_socket_sockaddr(int fd, int type, const struct sockaddr* addr, unsigned addr_len,
                                          int listening) noexcept {
  if (fd < 0) return -EBADF;
  if (!addr) return -EINVAL;
  if (addr_len < sizeof(sa_family_t)) return -ENOBUFS;
  Address wanted = {};
  ::memcpy(static_cast<void*>(&wanted), addr, addr_len < sizeof(wanted) ? addr_len : sizeof(wanted));
  if (!is_inet(wanted.any.sa_family)) return -EPFNOSUPPORT;

  Address bound;
  socklen_t size = 0;
  if (const int r = is_bound_socket(fd, type, listening, &bound, &size); r <= 0) return r;
  if (bound.any.sa_family != wanted.any.sa_family) return 0;
  const bool is4 = wanted.any.sa_family == AF_INET;
  if (addr_len < (is4 ? sizeof(wanted.in4) : sizeof(wanted.in6))) return -EINVAL;
  return is4 ? is_address4(bound.in4, wanted.in4) : is_address6(bound.in6, wanted.in6);
}

EVENKEEL_PUBLIC int sd_is_socket_unix(int fd, int type, int listening, const char* path, size_t length) noexcept {
  Address bound;
  socklen_t size = 0;
  if (const int r = is_bound_socket(fd, type, listening, &bound, &size); r <= 0) return r;
  if (bound.any.sa_family != AF_UNIX) return 0;
  return path ? is_unix_name(bound.un, size - offsetof(struct sockaddr_un, sun_path), path, length) : 1;
}

}  // extern "C"
