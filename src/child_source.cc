// SPDX-License-Identifier: MIT
//
// See child_source.h.
#include "src/child_source.h"

#include "src/callbacks.h"
#include "src/kernel.h"
#include "src/loop.h"
#include "src/pidfd_info.h"
#include "src/process.h"

namespace evenkeel {

namespace {

bool is_exit(int code) { return code == CLD_EXITED || code == CLD_KILLED || code == CLD_DUMPED; }

bool sigchld_is_blocked() {
  sigset_t blocked;
  return kernel::change_sigmask(SIG_BLOCK, nullptr, &blocked) >= 0 && ::sigismember(&blocked, SIGCHLD) == 1;
}

// Whether the process can be told of `options`: SIGCHLD is blocked, which stops need; and an exit leaves a zombie to
// wait for, which it does not while SIGCHLD is ignored or has SA_NOCLDWAIT.
bool can_hear(int options) {
  struct sigaction action = {};
  if ((options & (WSTOPPED | WCONTINUED)) != 0 && !sigchld_is_blocked()) return false;
  if ((options & WEXITED) == 0) return true;
  (void)::sigaction(SIGCHLD, nullptr, &action);
  return action.sa_handler != SIG_IGN && (action.sa_flags & SA_NOCLDWAIT) == 0;
}

}  // namespace

int ChildSource::add(Loop& loop, Source** ret, pid_t pid, int options, Callback callback, void* userdata) {
  if (!can_hear(options) || loop.children().by_pid().find(pid)) return -EBUSY;
  const int pidfd = kernel::pidfd_open(pid);
  // Refused by an old kernel or by a seccomp filter: then SIGCHLD has to do.
  const bool refused = pidfd == -ENOSYS || pidfd == -EPERM || pidfd == -EACCES;
  if (pidfd < 0 && !refused) return pidfd;
  return add_new(loop, ret, pid, refused ? -1 : pidfd, true, options, callback, userdata);
}

int ChildSource::add_pidfd(Loop& loop, Source** ret, int pidfd, int options, Callback callback, void* userdata) {
  pid_t pid = 0;
  if (!can_hear(options)) return -EBUSY;
  if (const int r = pidfd_get_pid(pidfd, &pid); r < 0) return r;
  if (loop.children().by_pid().find(pid)) return -EBUSY;
  return add_new(loop, ret, pid, pidfd, false, options, callback, userdata);
}

int ChildSource::add_new(Loop& loop, Source** ret, pid_t pid, int pidfd, bool own, int options, Callback callback,
                         void* userdata) {
  ChildSource* source = make<ChildSource>(pid, pidfd, own, options, callback);
  if (!source) {
    if (own && pidfd >= 0) (void)kernel::close(pidfd);
    return -ENOMEM;
  }
  source->userdata = userdata;
  if (const int r = connect(loop, source, !ret); r < 0) return r;
  if (ret) *ret = source;
  return 0;
}

int ChildSource::attach() {
  if (fd_ < 0 && !sigchld_is_blocked()) return -EBUSY;
  if (!loop()->children().by_pid().reserve()) return -ENOMEM;
  loop()->children().by_pid().insert(*this);
  return 0;
}

void ChildSource::detach(bool forked) {
  loop()->children().by_pid().erase(*this);
  loop()->poller().forget(*this);
  if (forked)
    own_process_ = false;
  else
    owner_ = Process::draw();
}

void ChildSource::destroy() {
  // A source may outlive its loop, and then be freed in a process that was forked meanwhile.
  if (own_process_ && !gone_ && Process::is(owner_)) end_process();
  if (owns_fd() && fd_ >= 0) (void)kernel::close(fd_);
  dispose(this);
}

void ChildSource::end_process() {
  int r = owns_fd() && fd_ >= 0 ? kernel::pidfd_send_signal(fd_, SIGKILL, nullptr) : -ENOSYS;
  if (r == -ENOSYS) r = kernel::kill(pid_, SIGKILL);
  siginfo_t info = {};
  while (r >= 0 && wait_for(&info, WEXITED) == -EINTR) continue;
}

int ChildSource::arm() {
  if (gone_) return 0;
  if (fd_ >= 0 && (options_ & WEXITED) != 0) {
    if (const int r = watch(EPOLLIN); r < 0) return r;
  }
  if (!by_signal()) return 0;
  SignalQueue* queue = SignalQueue::of(level());
  const int r = queue ? queue->watch_children() : -ENOMEM;
  if (r < 0) {
    unwatch();
    return r;
  }
  // The signal may have come before there was anybody to read it.
  loop()->children().by_signal().push_back(*this);
  loop()->children().look_at_all();
  return 0;
}

void ChildSource::disarm() {
  unwatch();
  if (!ListNode<ChildBySignalTag>::linked()) return;
  ListNode<ChildBySignalTag>::unlink();
  level().signals->unwatch_children();
}

int ChildSource::move(Level& to) {
  if (ListNode<ChildBySignalTag>::linked()) {
    SignalQueue* queue = SignalQueue::of(to);
    const int r = queue ? queue->watch_children() : -ENOMEM;
    if (r < 0) return r;
    level().signals->unwatch_children();
  }
  return WatchedSource::move(to);
}

// The caller may have closed its pidfd, and then the number may be that of another file, or of another process.
bool ChildSource::has_pidfd() const {
  if (fd_ < 0) return false;
  pid_t pid = 0;
  return owns_fd() || (connected() && pidfd_get_pid(fd_, &pid) >= 0 && pid == pid_);
}

int ChildSource::wait_for(siginfo_t* info, int options) const {
  *info = {};
  if (!gone_ && has_pidfd()) {
    const int r = kernel::waitid(P_PIDFD, static_cast<id_t>(fd_), info, options);
    if (r != -EINVAL && r != -EBADF) return r;  // P_PIDFD is of Linux 5.4.
  }
  return kernel::waitid(P_PID, static_cast<id_t>(pid_), info, options);
}

bool ChildSource::exit_seen() const { return gone_ || is_exit(info_.si_code); }

void ChildSource::look(bool again) {
  if (!armed() || is_pending() || gone_ || (options_ & kStates) == 0) return;
  siginfo_t info;
  int r = wait_for(&info, (options_ & kStates) | WNOHANG | WNOWAIT);
  if (r >= 0 && info.si_pid == 0) return;
  if (r < 0) {
    // Somebody else has reaped it; or it has exited, which a source without WEXITED does not care about.
    gone_ = true;
    disarm();
    if ((options_ & WEXITED) != 0) loop()->failed(*this, r);
    return;
  }
  // With WNOWAIT a stop or continuation that was told of stays, and only the next signal tells whether it is another.
  const bool stays = (options_ & WNOWAIT) != 0 && !is_exit(info.si_code);
  if (again && stays && info.si_code == info_.si_code && info.si_status == info_.si_status) return;
  info_ = info;
  // A stop or continuation is consumed here; an exit stays for the callback to see.
  if (!is_exit(info.si_code) && (options_ & WNOWAIT) == 0)
    (void)wait_for(&info, (options_ & ~WEXITED & kStates) | WNOHANG);
  pend();
}

void ChildSource::on_ready(uint32_t events) {
  (void)events;
  look();
}

int ChildSource::fire() {
  const Loop& held_loop = *loop();  // By the dispatch.
  const int r = callback_ ? call_program(callback_, this, &info_, userdata) : loop()->exit_by_default(*this);
  if (held_loop.forked()) return r;  // The callback has forked, and the process is a child of the parent.
  reap();
  // A continuation whose signal was read while the stop before it was pending is still to be told of.
  if (ListNode<ChildBySignalTag>::linked()) look(true);
  return r;
}

void ChildSource::reap() {
  // The callback may have freed this source, and closed its descriptor; but the zombie keeps its PID until here. With
  // WNOWAIT it stays, and is told of again as long as the source is ON.
  if (!is_exit(info_.si_code) || gone_ || (options_ & WNOWAIT) != 0) return;
  gone_ = true;
  siginfo_t info = {};
  (void)wait_for(&info, WEXITED | WNOHANG);
  if (armed()) disarm();
}

int ChildSource::send_signal(int signo, const siginfo_t* info, unsigned flags) {
  if (exit_seen()) return -ESRCH;
  if (has_pidfd()) {
    const int r = kernel::pidfd_send_signal(fd_, signo, info, flags);
    if (r != -ENOSYS) return r;
  }
  if (flags != 0) return -EINVAL;  // As a kernel says that knows none.
  return info ? kernel::rt_sigqueueinfo(pid_, signo, info) : kernel::kill(pid_, signo);
}

void Children::look() {
  look_ = false;
  for (ChildSource *source = by_signal_.front(), *next = nullptr; source; source = next) {
    next = by_signal_.next(*source);
    source->look();
  }
}

}  // namespace evenkeel
