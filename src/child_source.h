// SPDX-License-Identifier: MIT
//
// State changes of child processes.
//
// Idea: an exit is seen by the pidfd, so that a thousand children cost nothing until one of them ends. Stops and
// continuations have no descriptor: sources that ask for them, and all sources where the kernel refuses pidfds, are
// looked at one by one after each SIGCHLD. The callback runs while the process is a zombie; it is reaped right after.
//
// Invariants:
//  1. A loop has at most one source for a PID.
//  2. `gone_`: the process was reaped, or is not ours to wait for; the source never fires again.
//  3. A source that needs SIGCHLD is on the loop's list of those, and counted in its level's signal queue, while it is
//     armed.
//
// Owner: the pidfd belongs to the source unless the caller gave it, and the process if the caller says so. Both are
// kept until the source is freed, which is after its loop if it was floating and has a reference. Forks: a forked child
// kills and reaps nothing.
#pragma once

#include <signal.h>
#include <sys/wait.h>

#include "src/hash_table.h"
#include "src/poller.h"

namespace evenkeel {

struct ChildBySignalTag;
struct ChildTag;

class ChildSource final : public WatchedSource, public HashNode<ChildTag>, public ListNode<ChildBySignalTag> {
 public:
  using Callback = int (*)(Source*, const siginfo_t*, void* userdata);

  static constexpr int kStates = WEXITED | WSTOPPED | WCONTINUED;
  // At least one of these; WNOWAIT besides leaves the process unreaped, and alone asks for nothing.
  static constexpr bool valid(int options) { return options != 0 && (options & ~(kStates | WNOWAIT)) == 0; }

  // -ESRCH without such a process, -EBUSY if it has a source already, if SIGCHLD is needed and is not blocked, or
  // if the kernel would reap it.
  static int add(Loop& loop, Source** ret, pid_t pid, int options, Callback callback, void* userdata);
  static int add_pidfd(Loop& loop, Source** ret, int pidfd, int options, Callback callback, void* userdata);

  pid_t pid() const { return pid_; }
  int pidfd() const { return fd_; }
  bool own_pidfd() const { return owns_fd(); }
  void set_own_pidfd(bool own) { own_fd(own); }
  bool own_process() const { return own_process_; }
  void set_own_process(bool own) { own_process_ = own; }

  // -ESRCH once the exit was seen. The kernel judges the flags.
  int send_signal(int signo, const siginfo_t* info, unsigned flags);

  int attach() override;
  void detach(bool forked) override;
  int arm() override;
  void disarm() override;
  void on_ready(uint32_t events) override;
  int fire() override;
  int move(Level& to) override;
  void destroy() override;

  // Asks for the state of the process, and becomes pending if it has changed. `again`: since it was told of, right now.
  void look(bool again = false);

 private:
  template <typename T, typename... Args>
  friend T* make(Args&&... args);
  template <typename T>
  friend void dispose(T* object);

  ChildSource(pid_t pid, int pidfd, bool own_pidfd, int options, Callback callback)
      : WatchedSource(Kind::kChild, {.rate_limitable = false}, Enabled::kOneshot),
        pid_(pid),
        options_(options),
        callback_(callback) {
    fd_ = pidfd;
    own_fd(own_pidfd);
  }

  static int add_new(Loop& loop, Source** ret, pid_t pid, int pidfd, bool own, int options, Callback callback,
                     void* userdata);

  bool by_signal() const { return fd_ < 0 || (options_ & (WSTOPPED | WCONTINUED)) != 0; }
  void reap();
  bool has_pidfd() const;
  bool exit_seen() const;
  void end_process();
  int wait_for(siginfo_t* info, int options) const;

  const pid_t pid_;
  const int options_;
  bool own_process_ = false;
  bool gone_ = false;
  const Callback callback_;
  siginfo_t info_ = {};
  uint64_t owner_ = 0;  // The process that the source was in when it left its loop.
};

class Children {
 public:
  struct ByPid {
    using Key = pid_t;
    static Key key(const ChildSource& source) { return source.pid(); }
    static uint64_t hash(Key pid) { return hash_integer(static_cast<uint64_t>(pid)); }
  };

  HashTable<ChildSource, ChildTag, ByPid>& by_pid() { return by_pid_; }
  List<ChildSource, ChildBySignalTag>& by_signal() { return by_signal_; }

  // A SIGCHLD was read, or a source was armed that may have missed one.
  void look_at_all() { look_ = true; }
  bool due() const { return look_; }
  void look();

 private:
  HashTable<ChildSource, ChildTag, ByPid> by_pid_;
  List<ChildSource, ChildBySignalTag> by_signal_;
  bool look_ = false;
};

}  // namespace evenkeel
