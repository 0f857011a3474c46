// SPDX-License-Identifier: MIT
//
// See notify.h.
//
// One message goes through these steps: address -> socket -> control data -> sendmsg, with a second try where a first
// failure has a known remedy:
//  - the kernel refuses to let us speak for another process: speak for ourselves, the manager may accept that as well;
//  - the text is larger than the send buffer: enlarge the buffer (only then: two calls that nearly nobody needs);
//  - the hypervisor has no datagrams: use a connection that keeps message boundaries.
#include "src/notify.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>

#include "src/kernel.h"

namespace evenkeel {
namespace {

constexpr size_t kMaxFds = 253;                      // SCM_MAX_FD of the kernel
constexpr int kLargeBuffer = 8 * 1024 * 1024;        // bytes
constexpr std::string_view kBlanks = " \t\n\v\f\r";  // in every locale

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  void reset() {
    if (fd_ >= 0) (void)kernel::close(fd_);
    fd_ = -1;
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

// ---- Numbers ----

void skip_blanks(std::string_view* text) {
  const size_t n = text->find_first_not_of(kBlanks);
  text->remove_prefix(n == text->npos ? text->size() : n);
}

bool skip_prefix(std::string_view* text, char letter) {
  if (text->size() < 2 || (*text)[0] != '0' || ((*text)[1] | 0x20) != letter) return false;
  text->remove_prefix(2);
  return true;
}

// The value of a digit, or one that is too large for every base.
unsigned digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? static_cast<unsigned>(lower - 'a') + 10 : UINT_MAX;
}

bool skip_sign(std::string_view* text) {
  if (text->empty() || (text->front() != '-' && text->front() != '+')) return false;
  const bool negative = text->front() == '-';
  text->remove_prefix(1);
  return negative;
}

// 0x counts only with a digit behind it: "0x" alone is a 0 with something behind it, hence no number.
unsigned base_of(std::string_view* text) {
  if (text->size() > 2 && digit((*text)[2]) < 16 && skip_prefix(text, 'x')) return 16;
  return !text->empty() && text->front() == '0' ? 8 : 10;
}

// ---- Addresses ----

int parse_unix(std::string_view text, NotifyAddress* ret) {
  if (text.size() < 2) return -EINVAL;
  const bool abstract = text[0] == '@';
  // A path keeps its final NUL; an abstract name has none, but the reference has always left room for it.
  if (text.size() >= sizeof(ret->un.sun_path)) return abstract ? -EINVAL : -ENAMETOOLONG;
  ret->un.sun_family = AF_UNIX;
  ::memcpy(ret->un.sun_path, text.data(), text.size());
  if (abstract) ret->un.sun_path[0] = '\0';
  ret->size = static_cast<socklen_t>(offsetof(struct sockaddr_un, sun_path) + text.size() + (abstract ? 0 : 1));
  ret->type = SOCK_DGRAM;
  return 0;
}

// CID:PORT. Neither may be the wildcard, as number or as -1: a message goes to one receiver. The port is looked at
// first.
int parse_vsock(std::string_view text, int type, bool fall_back, NotifyAddress* ret) {
  const size_t colon = text.find(':');
  if (colon == text.npos) return -EINVAL;
  uint64_t cid = 0;
  uint64_t port = 0;
  const std::string_view cid_text = {text.data(), colon};
  text.remove_prefix(colon + 1);
  if (const int r = parse_unsigned(text, UINT32_MAX, &port); r < 0) return r;
  if (cid_text == "-1") return -EINVAL;
  if (const int r = parse_unsigned(cid_text, UINT32_MAX, &cid); r < 0) return r;
  if (cid == UINT32_MAX || port == UINT32_MAX) return -EINVAL;
  ret->vm.svm_family = AF_VSOCK;
  ret->vm.svm_cid = static_cast<unsigned>(cid);
  ret->vm.svm_port = static_cast<unsigned>(port);
  ret->size = sizeof(ret->vm);
  ret->type = type;
  ret->fall_back = fall_back;
  return 0;
}

// ---- Sending ----

// The control data of one message: descriptors, and the identity that the sender claims.
class Control {
 public:
  void add(int type, const void* data, size_t size, struct msghdr* header) {
    auto* const entry = reinterpret_cast<struct cmsghdr*>(bytes_ + header->msg_controllen);
    entry->cmsg_level = SOL_SOCKET;
    entry->cmsg_type = type;
    entry->cmsg_len = CMSG_LEN(size);
    ::memcpy(CMSG_DATA(entry), data, size);
    header->msg_control = bytes_;
    header->msg_controllen += CMSG_SPACE(size);
  }

 private:
  alignas(
      struct cmsghdr) unsigned char bytes_[CMSG_SPACE(sizeof(int) * kMaxFds) + CMSG_SPACE(sizeof(struct ucred))] = {};
};

ssize_t send_growing(int fd, const struct msghdr& header) {
  const ssize_t r = kernel::sendmsg(fd, header);
  if (r != -EMSGSIZE) return r;
  // The second form goes beyond the system's limit and is for the privileged; the send says whether either was enough.
  (void)kernel::setsockopt(fd, SO_SNDBUF, kLargeBuffer);
  (void)kernel::setsockopt(fd, SO_SNDBUFFORCE, kLargeBuffer);
  return kernel::sendmsg(fd, header);
}

// What the kernel says when the claimed identity is not ours to claim: no privilege, no such process, or an ID that
// does not exist in this user namespace.
bool is_refused_identity(ssize_t r) { return r == -EPERM || r == -ESRCH || r == -EINVAL; }

// The kernel fills in the identity of the sender, with the real IDs: only another process must be named.
bool is_another(pid_t pid) { return pid != 0 && pid != kernel::getpid(); }

int send_unix(const NotifyAddress& address, const NotifyMessage& message) {
  if (message.fds.size() > kMaxFds) return -E2BIG;
  const Fd socket(kernel::socket(AF_UNIX, address.type));
  if (socket.get() < 0) return socket.get();

  struct iovec text = {const_cast<char*>(message.state), ::strlen(message.state)};
  struct msghdr header = {};
  header.msg_name = const_cast<struct sockaddr*>(&address.any);
  header.msg_namelen = address.size;
  header.msg_iov = &text;
  header.msg_iovlen = 1;
  Control control;
  if (!message.fds.empty()) control.add(SCM_RIGHTS, message.fds.data(), message.fds.size_bytes(), &header);

  if (is_another(message.pid)) {
    struct msghdr with_identity = header;
    const struct ucred identity = {message.pid, kernel::getuid(), kernel::getgid()};
    control.add(SCM_CREDENTIALS, &identity, sizeof(identity), &with_identity);
    const ssize_t r = send_growing(socket.get(), with_identity);
    if (!is_refused_identity(r)) return r < 0 ? static_cast<int>(r) : 1;
  }
  const ssize_t r = send_growing(socket.get(), header);
  return r < 0 ? static_cast<int>(r) : 1;
}

// 0: there is a connection, but not for descriptors.
int send_vsock(const NotifyAddress& address, int type, const NotifyMessage& message) {
  const Fd socket(kernel::socket(AF_VSOCK, type));
  if (socket.get() < 0) return socket.get();
  if (const int r = kernel::connect(socket.get(), &address.any, address.size); r < 0) return r;
  // To send the rest would be to lose them.
  if (!message.fds.empty()) return 0;

  // Only a stream ever takes less than all. The end of the connection ends its message.
  std::string_view state = message.state;
  do {
    struct iovec text = {const_cast<char*>(state.data()), state.size()};
    struct msghdr header = {};
    header.msg_iov = &text;
    header.msg_iovlen = 1;
    const ssize_t r = kernel::sendmsg(socket.get(), header);
    if (r < 0) return static_cast<int>(r);
    state.remove_prefix(static_cast<size_t>(r));
  } while (type == SOCK_STREAM && !state.empty());
  return 1;
}

// How the kernel says that a transport has no sockets of this type: when it is made, connected or sent to.
bool is_missing_type(int r) {
  return r == -ENODEV || r == -ESOCKTNOSUPPORT || r == -EPROTONOSUPPORT || r == -EOPNOTSUPP || r == -EPROTOTYPE;
}

}  // namespace

int parse_integer(std::string_view text, Integer* ret) {
  skip_blanks(&text);
  const unsigned given = skip_prefix(&text, 'b') ? 2U : skip_prefix(&text, 'o') ? 8U : 0U;
  if (given != 0) skip_blanks(&text);  // These two prefixes stand before the sign, as in the reference.
  const bool negative = skip_sign(&text);
  const unsigned base = given != 0 ? given : base_of(&text);

  uint64_t value = 0;
  bool overflow = false;
  size_t n = 0;
  for (; n < text.size() && digit(text[n]) < base; ++n) {
    overflow = overflow || __builtin_mul_overflow(value, uint64_t{base}, &value) ||
               __builtin_add_overflow(value, uint64_t{digit(text[n])}, &value);
  }
  if (n == 0) return -EINVAL;
  if (overflow) return -ERANGE;
  if (n != text.size()) return -EINVAL;
  *ret = {value, negative};
  return 0;
}

int parse_unsigned(std::string_view text, uint64_t max, uint64_t* ret) {
  Integer value = {};
  if (const int r = parse_integer(text, &value); r < 0) return r;
  if ((value.negative && value.magnitude != 0) || value.magnitude > max) return -ERANGE;
  *ret = value.magnitude;
  return 0;
}

int parse_pid(std::string_view text, pid_t* ret) {
  uint64_t pid = 0;
  if (const int r = parse_unsigned(text, INT_MAX, &pid); r < 0) return r;
  if (pid == 0) return -ERANGE;
  *ret = static_cast<pid_t>(pid);
  return 0;
}

int parse_notify_address(const char* text, NotifyAddress* ret) {
  struct Scheme {
    std::string_view prefix;
    int type;
    bool fall_back;
  };
  static constexpr Scheme kSchemes[] = {{"vsock:", SOCK_DGRAM, true},
                                        {"vsock-dgram:", SOCK_DGRAM, false},
                                        {"vsock-seqpacket:", SOCK_SEQPACKET, false},
                                        {"vsock-stream:", SOCK_STREAM, false}};
  std::string_view address = text;  // Never `substr`: it could throw, which takes the C++ runtime.
  ::memset(static_cast<void*>(ret), 0, sizeof(*ret));
  if (address.starts_with('/') || address.starts_with('@')) return parse_unix(address, ret);
  for (const Scheme& scheme : kSchemes) {
    if (!address.starts_with(scheme.prefix)) continue;
    address.remove_prefix(scheme.prefix.size());
    return parse_vsock(address, scheme.type, scheme.fall_back, ret);
  }
  return -EPROTO;
}

int notify_send(const NotifyAddress& address, const NotifyMessage& message) {
  if (address.any.sa_family == AF_UNIX) return send_unix(address, message);
  int r = send_vsock(address, address.type, message);
  if (address.fall_back && is_missing_type(r)) r = send_vsock(address, SOCK_SEQPACKET, message);
  return r == 0 ? -EOPNOTSUPP : r;
}

int notify(const NotifyMessage& message) {
  if (message.fds.size() > kMaxFds) return -E2BIG;
  const char* const socket = manager_variable("NOTIFY_SOCKET");
  if (!socket) return 0;
  NotifyAddress address;
  if (const int r = parse_notify_address(socket, &address); r < 0) return r;
  return notify_send(address, message);
}

// The manager gets the only writing end of a pipe that is left, and closes it when its turn comes.
int notify_barrier(pid_t pid, Usec timeout) {
  int ends[2] = {-1, -1};
  if (const int r = kernel::pipe(ends); r < 0) return r;
  const Fd ours(ends[0]);
  Fd theirs(ends[1]);
  if (const int r = notify({"BARRIER=1", pid, {&ends[1], 1}}); r <= 0) return r;
  theirs.reset();

  struct pollfd closed = {ours.get(), 0, 0};
  const struct timespec span = to_timespec(timeout);
  const int r = kernel::ppoll(&closed, 1, timeout == kForever ? nullptr : &span);
  if (r < 0) return r;
  return r == 0 ? -ETIMEDOUT : 1;
}

int watchdog_enabled(Usec* ret) {
  const char* const period = manager_variable("WATCHDOG_USEC");
  if (!period) return 0;
  uint64_t usec = 0;
  if (const int r = parse_unsigned(period, UINT64_MAX, &usec); r < 0) return r;
  if (usec == 0 || usec == kForever) return -EINVAL;

  if (const char* const owner = manager_variable("WATCHDOG_PID"); owner) {
    pid_t pid = 0;
    if (const int r = parse_pid(owner, &pid); r < 0) return r;
    if (pid != kernel::getpid()) return 0;
  }
  *ret = usec;
  return 1;
}

}  // namespace evenkeel
