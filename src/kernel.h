// SPDX-License-Identifier: MIT
//
// The only file that calls the kernel.
//
// Idea: one thin inline function a system call, `-errno` in the return value instead of `errno`, no policy. Whoever
// wants to know what the library can ask of the kernel reads this file; whoever wants the kernel to fail sets
// `fault_hook`.
//
// Invariants:
//  1. Every function returns >= 0 on success and -errno on failure. `errno` is left as it was found: a callback's
//     caller may look at its own `errno` after a call of ours.
//  2. Every file descriptor that is made here is close-on-exec and greater than 2.
//  3. With EVENKEEL_FAULTS defined (tests only) each function first asks `fault_hook` whether it shall fail instead.
//
// Threads: nothing here has state. Forks: nothing here knows of them.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "src/types.h"

namespace evenkeel::kernel {

// Names of the calls, for the fault injection.
enum class Call : uint8_t {
  kClose,
  kDup,
  kEpollCreate,
  kEpollCtl,
  kEpollWait,
  kPoll,
  kTimerfdCreate,
  kTimerfdSettime,
  kClockGettime,
  kSignalfd,
  kSigmask,
  kSigpending,
  kRead,
  kWrite,
  kOpen,
  kFstat,
  kFstatfs,
  kInotifyInit,
  kInotifyAddWatch,
  kInotifyRmWatch,
  kPidfdInfo,
  kPidfdOpen,
  kPidfdSendSignal,
  kKill,
  kWaitid,
  kMadvise,
  kSocket,
  kConnect,
  kSendmsg,
  kGetsockopt,
  kGetsockname,
  kFcntl,
  kPipe,
  kMalloc,
};

#ifdef EVENKEEL_FAULTS
// Returns 0 to let the call through, the -errno it shall fail with, or (where `run` asks) what it shall return instead.
using FaultHook = int (*)(Call call);
extern FaultHook fault_hook;
inline int fault(Call call) { return fault_hook ? fault_hook(call) : 0; }
#else
inline constexpr int fault(Call) { return 0; }
#endif

// Runs one call: `-errno` on failure, `errno` restored.
template <typename Body>
inline auto run(Call call, Body body) -> decltype(body()) {
  using R = decltype(body());
  if (const int injected = fault(call); injected != 0) return static_cast<R>(injected);
  const int saved = errno;
  R r = body();
  if (r < 0) {
    r = static_cast<R>(-errno);
    errno = saved;
  }
  return r;
}

// Whether a result means that the machine or the process is out of something now, and another time may go well.
inline constexpr bool is_shortage(int r) { return r == -ENOMEM || r == -EMFILE || r == -ENFILE; }

inline int close(int fd) {
  return run(Call::kClose, [&] { return ::close(fd); });
}

// Moves a descriptor of ours above 2, so that a program which closed its stdio never finds a loop there.
inline int above_stdio(int fd) {
  if (fd < 0 || fd > 2) return fd;
  const int moved = run(Call::kDup, [&] { return ::fcntl(fd, F_DUPFD_CLOEXEC, 3); });
  (void)close(fd);
  return moved;
}

inline int epoll_create() {
  return above_stdio(run(Call::kEpollCreate, [] { return ::epoll_create1(EPOLL_CLOEXEC); }));
}

inline int epoll_ctl(int epoll, int op, int fd, uint32_t events, uint64_t data) {
  struct epoll_event event = {};
  event.events = events;
  event.data.u64 = data;
  return run(Call::kEpollCtl, [&] { return ::epoll_ctl(epoll, op, fd, &event); });
}

inline int epoll_wait(int epoll, struct epoll_event* events, int n, int timeout_ms) {
  return run(Call::kEpollWait, [&] { return ::epoll_wait(epoll, events, n, timeout_ms); });
}

// -ENOSYS where the kernel (before 5.11) or a seccomp filter does not have it.
// It knows the timespec of 64 bits alone, on every architecture. A thread that waits in it can be cancelled only where
// it is called by the C library, which has it from glibc 2.35 on.
static_assert(sizeof(timespec::tv_sec) == 8);
inline int epoll_pwait2(int epoll, struct epoll_event* events, int n, const struct timespec* timeout) {
  return run(Call::kEpollWait, [&] {
#if __GLIBC_PREREQ(2, 35)
    return ::epoll_pwait2(epoll, events, n, timeout, nullptr);
#else
    return static_cast<int>(::syscall(SYS_epoll_pwait2, epoll, events, n, timeout, nullptr, size_t{0}));
#endif
  });
}

inline int poll(struct pollfd* fds, nfds_t n, int timeout_ms) {
  return run(Call::kPoll, [&] { return ::poll(fds, n, timeout_ms); });
}

// With 64 bits of time where long has 32, the fortified ppoll of glibc 2.36 hands this timespec to the call that takes
// the short one. Later versions define __USE_TIME_BITS64 where there is only one timespec as well, and no __ppoll64.
#if defined(__USE_TIME_BITS64) && __TIMESIZE == 32
extern "C" int ppoll_time64(struct pollfd*, nfds_t, const struct timespec*, const sigset_t*) __asm__("__ppoll64");
#else
inline int ppoll_time64(struct pollfd* fds, nfds_t n, const struct timespec* timeout, const sigset_t* mask) {
  return ::ppoll(fds, n, timeout, mask);
}
#endif

inline int ppoll(struct pollfd* fds, nfds_t n, const struct timespec* timeout) {
  return run(Call::kPoll, [&] { return ppoll_time64(fds, n, timeout, nullptr); });
}

inline int duplicate(int fd) {
  return run(Call::kDup, [&] { return ::fcntl(fd, F_DUPFD_CLOEXEC, 3); });
}

inline int dup3(int from, int to) {
  return run(Call::kDup, [&] { return ::dup3(from, to, O_CLOEXEC); });
}

inline int timerfd_create(clockid_t clock) {
  return above_stdio(run(Call::kTimerfdCreate, [&] { return ::timerfd_create(clock, TFD_NONBLOCK | TFD_CLOEXEC); }));
}

// Absolute; an all-zero value disarms.
inline int timerfd_settime(int fd, const struct itimerspec& value) {
  return run(Call::kTimerfdSettime, [&] { return ::timerfd_settime(fd, TFD_TIMER_ABSTIME, &value, nullptr); });
}

inline bool has_clock(clockid_t clock) {
  struct timespec ts = {};
  return run(Call::kClockGettime, [&] { return ::clock_gettime(clock, &ts); }) >= 0;
}

// Of the clocks that are there on every kernel: it can't fail, so errno is nothing to take care of.
inline int clock_gettime(clockid_t clock, struct timespec* ts) {
  if (const int injected = fault(Call::kClockGettime); injected < 0) return injected;
  return ::clock_gettime(clock, ts);
}

// `fd` -1 makes a new signalfd, else replaces the mask of that one.
inline int signalfd(int fd, const sigset_t& mask) {
  const int r = run(Call::kSignalfd, [&] { return ::signalfd(fd, &mask, SFD_NONBLOCK | SFD_CLOEXEC); });
  return fd < 0 ? above_stdio(r) : r;
}

inline int change_sigmask(int how, const sigset_t* set, sigset_t* old) {
  if (const int injected = fault(Call::kSigmask); injected < 0) return injected;
  return -::pthread_sigmask(how, set, old);
}

// The blocked signals that wait for this thread or its process: what a signalfd of theirs would be ready for.
inline int sigpending(sigset_t* ret) {
  ::sigemptyset(ret);  // The kernel fills in its part only.
  return run(Call::kSigpending, [&] { return ::sigpending(ret); });
}

inline ssize_t read(int fd, void* buffer, size_t size) {
  return run(Call::kRead, [&] { return ::read(fd, buffer, size); });
}

inline ssize_t write(int fd, const void* buffer, size_t size) {
  return run(Call::kWrite, [&] { return ::write(fd, buffer, size); });
}

inline int open(const char* path, int flags) {
  return above_stdio(run(Call::kOpen, [&] { return ::open(path, flags | O_CLOEXEC | O_NOCTTY); }));
}

inline int fstat(int fd, struct stat* st) {
  return run(Call::kFstat, [&] { return ::fstat(fd, st); });
}

inline int fstatfs(int fd, struct statfs* st) {
  return run(Call::kFstatfs, [&] { return ::fstatfs(fd, st); });
}

inline ssize_t readlink(const char* path, char* buffer, size_t size) {
  return run(Call::kFstat, [&] { return ::readlink(path, buffer, size); });
}

inline int fcntl_getfd(int fd) {
  return run(Call::kFcntl, [&] { return ::fcntl(fd, F_GETFD); });
}

inline int inotify_init() {
  return above_stdio(run(Call::kInotifyInit, [] { return ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC); }));
}

inline int inotify_add_watch(int fd, const char* path, uint32_t mask) {
  return run(Call::kInotifyAddWatch, [&] { return ::inotify_add_watch(fd, path, mask); });
}

inline int inotify_rm_watch(int fd, int wd) {
  return run(Call::kInotifyRmWatch, [&] { return ::inotify_rm_watch(fd, wd); });
}

inline int pidfd_open(pid_t pid) {
  return above_stdio(run(Call::kPidfdOpen, [&] { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U)); }));
}

// The process of a pidfd, as of Linux 6.13.
inline int pidfd_info(int pidfd) {
  struct {  // Of <linux/pidfd.h>, which may be older than the kernel.
    uint64_t mask, cgroup;
    uint32_t pid, others[11];
  } info = {};
  constexpr unsigned long kGetInfo = _IOWR(0xff, 11, decltype(info));
  const int r = run(Call::kPidfdInfo, [&] { return ::ioctl(pidfd, kGetInfo, &info); });
  return r < 0 ? r : static_cast<int>(info.pid);
}

inline int pidfd_send_signal(int pidfd, int sig, const siginfo_t* info, unsigned flags = 0) {
  return run(Call::kPidfdSendSignal,
             [&] { return static_cast<int>(::syscall(SYS_pidfd_send_signal, pidfd, sig, info, flags)); });
}

inline int rt_sigqueueinfo(pid_t pid, int sig, const siginfo_t* info) {
  return run(Call::kKill, [&] { return static_cast<int>(::syscall(SYS_rt_sigqueueinfo, pid, sig, info)); });
}

inline int kill(pid_t pid, int sig) {
  return run(Call::kKill, [&] { return ::kill(pid, sig); });
}

inline int waitid(idtype_t type, id_t id, siginfo_t* info, int options) {
  return run(Call::kWaitid, [&] { return ::waitid(type, id, info, options); });
}

// The kernel wipes the page in each forked child. -EINVAL where it can't.
inline int wipe_on_fork(void* page, size_t size) {
  // An emulation of the kernel (qemu-user) takes all advice, and follows none: then it takes one that does not exist
  // too.
  constexpr int kNoAdvice = -1;
  const int r = run(Call::kMadvise, [&] { return ::madvise(page, size, MADV_WIPEONFORK); });
  if (r < 0) return r == -ENOMEM || r == -EAGAIN ? -ENOMEM : -EINVAL;
  const int saved = errno;
  const bool takes_all = ::madvise(page, size, kNoAdvice) >= 0;
  errno = saved;
  return takes_all ? -EINVAL : 0;
}

inline int pipe(int (&ends)[2]) {
  if (const int r = run(Call::kPipe, [&] { return ::pipe2(ends, O_CLOEXEC); }); r < 0) return r;
  for (int& end : ends) end = above_stdio(end);
  if (ends[0] >= 0 && ends[1] >= 0) return 0;
  const int error = ends[0] < 0 ? ends[0] : ends[1];
  for (const int end : ends)
    if (end >= 0) (void)close(end);
  return error;
}

inline int socket(int family, int type) {
  return above_stdio(run(Call::kSocket, [&] { return ::socket(family, type | SOCK_CLOEXEC, 0); }));
}

inline int connect(int fd, const struct sockaddr* address, socklen_t size) {
  return run(Call::kConnect, [&] { return ::connect(fd, address, size); });
}

// Never raises SIGPIPE.
inline ssize_t sendmsg(int fd, const struct msghdr& message) {
  return run(Call::kSendmsg, [&] { return ::sendmsg(fd, &message, MSG_NOSIGNAL); });
}

inline int getsockopt(int fd, int option, int* value) {
  socklen_t size = sizeof(*value);
  return run(Call::kGetsockopt, [&] { return ::getsockopt(fd, SOL_SOCKET, option, value, &size); });
}

inline int setsockopt(int fd, int option, int value) {
  return run(Call::kGetsockopt, [&] { return ::setsockopt(fd, SOL_SOCKET, option, &value, sizeof(value)); });
}

inline int getsockname(int fd, struct sockaddr* address, socklen_t* size) {
  return run(Call::kGetsockname, [&] { return ::getsockname(fd, address, size); });
}

inline int get_fd_flags(int fd) {
  return run(Call::kFcntl, [&] { return ::fcntl(fd, F_GETFD); });
}

inline int set_fd_flags(int fd, int flags) {
  return run(Call::kFcntl, [&] { return ::fcntl(fd, F_SETFD, flags); });
}

// Follows symbolic links.
inline int stat(const char* path, struct stat* st) {
  return run(Call::kFstat, [&] { return ::stat(path, st); });
}

// 0 for a POSIX message queue; -EBADF for every other descriptor, open or not.
inline int probe_message_queue(int fd) {
  return run(Call::kFstat, [&] { return static_cast<int>(::syscall(SYS_mq_getsetattr, fd, nullptr, nullptr)); });
}

inline pid_t getpid() { return ::getpid(); }
inline uid_t getuid() { return ::getuid(); }
inline gid_t getgid() { return ::getgid(); }

}  // namespace evenkeel::kernel
