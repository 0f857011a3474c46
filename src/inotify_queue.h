// SPDX-License-Identifier: MIT
//
// File system events, read by inotify, ordered by the priorities of their sources.
//
// Idea: each level with inotify sources has one inotify descriptor. Sources of one inode share a watch (an `Inode`),
// whose mask is the OR of theirs. What one read brings is kept in a buffer and delivered event by event: the one at the
// head makes its recipients pending, and goes when the last of them has been dispatched or does not want it any more;
// then the next iteration hands out the next one before it asks the kernel. Not sooner: a ONESHOT source that is turned
// on again before that loses nothing, and neither does one that is turned off and on again while it is pending.
//
// Nobody waits for a source that is over its rate limit: it gets a copy of the event into a backlog of its own, and the
// events that follow for it behind that (inotify_backlog.h). It is dispatched for the backlog first, an event an
// iteration.
//
// Invariants:
//  1. `n_recipients_` is the number of sources that wait for the event at the head (`InotifySource::at_head_`), or are
//  in
//     their callback with it. If it is 0 with something buffered, the queue is on the loop's list of those.
//  2. An inode is in the tables until IN_IGNORED was read, after that it is known to its sources only. Before, another
//     inode may get its number: then that one is in the table of numbers, and the old one in that of watches only.
//  3. A source has a watch from `add` until it is freed, also while it is OFF: then events for it alone are dropped.
//  4. A source with an event is at the head or has a backlog. One that has more without being pending or held is in its
//     callback, or on the loop's list of those.
//
// Owner: the queue owns its inodes, an inode goes with its last source. The descriptor of the path, without which no
// watch can be moved to another queue, is closed at the next iteration, so that nothing keeps a file system from being
// unmounted.
//
// A callback may free its own source, its siblings, or the last source of the level: the level, and with it this queue
// and the event that the callback still reads, is held by the dispatch.
#pragma once

#include <sys/inotify.h>
#include <sys/types.h>

#include "src/hash_table.h"
#include "src/inotify_backlog.h"
#include "src/poller.h"

namespace evenkeel {

class InotifyQueue;
class InotifySource;
struct InodeByIdTag;
struct InotifyBufferedTag;
struct InotifyBackloggedTag;
struct InodeByWatchTag;
struct InodeOpenTag;
struct InodeSourceTag;

// A watched inode of one queue.
class Inode final : public HashNode<InodeByIdTag>, public HashNode<InodeByWatchTag>, public ListNode<InodeOpenTag> {
 public:
  struct Id {
    dev_t device;
    ino_t number;
    bool operator==(const Id&) const = default;
  };

  explicit Inode(InotifyQueue& owner, Id id) : queue(owner), id_(id) {}
  ~Inode();

  const Id& id() const { return id_; }

  InotifyQueue& queue;
  List<InotifySource, InodeSourceTag> sources;
  int wd = -1;       // -1: not watched by the kernel.
  int path_fd = -1;  // O_PATH, until the next iteration.

 private:
  const Id id_;
};

// The inotify descriptor of one level.
class InotifyQueue final : public Channel, public ListNode<InotifyBufferedTag> {
 public:
  explicit InotifyQueue(Level& level) : level_(level) {}
  ~InotifyQueue();

  static InotifyQueue* of(Level& level);

  // The inode that `path_fd` stands for, watched for `mask` besides what it is watched for already. Takes a duplicate
  // of the descriptor if the inode is new here.
  int acquire(int path_fd, uint32_t mask, Inode** ret);
  void release(Inode& inode);

  void arm();
  void disarm();

  // Which event a recipient of the head is dispatched for.
  const struct inotify_event* head() const;
  // The source was turned off with the head. If it is on again by the next iteration, it gets it.
  void owe(InotifySource& source);
  // A recipient is through with the head.
  void done();
  // Gives the head, or the first event after it that somebody wants, to its recipients.
  void distribute();

  void on_ready(uint32_t events) override;

 private:
  friend class LoopCheck;

  // Room for one event with the longest name at least, as read(2) needs; in practice for a burst.
  static constexpr size_t kBufferSize = 4096;

  struct ById {
    using Key = Inode::Id;
    static Key key(const Inode& inode) { return inode.id(); }
    static uint64_t hash(const Key& id) { return hash_integer(id.number ^ hash_integer(id.device)); }
  };
  struct ByWatch {
    using Key = int;
    static Key key(const Inode& inode) { return inode.wd; }
    static uint64_t hash(Key wd) { return hash_integer(static_cast<uint64_t>(wd)); }
  };

  int open();
  void close_if_unused();
  int keep_path(Inode& inode, int path_fd);
  int watch(Inode& inode, uint32_t mask);
  Inode* succeed(Inode& old, int wd);
  void forget_watch(Inode& inode);
  unsigned give(const struct inotify_event& event);
  unsigned give_to(Inode& inode, const struct inotify_event& event);
  unsigned give_to_owed();
  void next_event();

  Level& level_;
  HashTable<Inode, InodeByIdTag, ById> by_id_;
  HashTable<Inode, InodeByWatchTag, ByWatch> by_watch_;
  size_t n_armed_ = 0;

  char* buffer_ = nullptr;
  size_t filled_ = 0;
  size_t position_ = 0;
  unsigned n_recipients_ = 0;
  uint64_t serial_ = 1;  // Of the head.
  bool owing_ = false;   // Some source was turned off with it.
};

// The inotify sources of a loop: those whose paths are still open, and (for overflows) all of them by queue.
class Inotifies {
 public:
  List<Inode, InodeOpenTag>& open_paths() { return open_paths_; }
  void close_paths();

  // The next event of a buffer, or of a source's backlog, is handed out in the next iteration: its source may be
  // ONESHOT and be turned on again by then.
  void put_off(InotifyQueue& queue) { buffered_.push_back(queue); }
  void put_off(InotifySource& source);
  bool any_buffered() const { return !buffered_.empty() || !backlogged_.empty(); }
  void distribute();

 private:
  List<Inode, InodeOpenTag> open_paths_;
  List<InotifyQueue, InotifyBufferedTag> buffered_;
  List<InotifySource, InotifyBackloggedTag> backlogged_;
};

class InotifySource final : public Source, public ListNode<InodeSourceTag>, public ListNode<InotifyBackloggedTag> {
 public:
  using Callback = int (*)(Source*, const struct inotify_event*, void* userdata);

  // `fd` is an O_PATH or any other descriptor of the inode, which stays the caller's; `path`, which may be null, is
  // kept as a description.
  static int add(Loop& loop, Source** ret, int fd, const char* path, uint32_t mask, Callback callback, void* userdata);

  // A descriptor of the inode at `path`, as `mask` wants it opened (IN_DONT_FOLLOW, IN_ONLYDIR), or -errno.
  static int open_path(const char* path, uint32_t mask);

  uint32_t mask() const { return mask_; }
  // Of the inode, as the kernel told it when the source was added.
  const char* path() const { return inode_path_; }

  int attach() override;
  void detach(bool forked) override;
  int arm() override;
  void disarm() override;
  int fire() override;
  int move(Level& to) override;
  void moved() override;
  void unpended(bool dispatched) override;
  void withheld() override;
  const char* default_description() const override { return path_; }
  void destroy() override;

 private:
  friend class Inotifies;
  friend class InotifyQueue;
  friend class LoopCheck;
  template <typename T, typename... Args>
  friend T* make(Args&&... args);
  template <typename T>
  friend void dispose(T* object);

  InotifySource(int fd, uint32_t mask, Callback callback)
      : Source(Kind::kInotify, {.hears_unpended = true}, (mask & IN_ONESHOT) != 0 ? Enabled::kOneshot : Enabled::kOn),
        mask_(mask),
        add_fd_(fd),
        callback_(callback) {}

  int find_inode_path(int fd);
  bool has_more() const { return at_head_ || !backlog_.empty(); }
  bool receive(const struct inotify_event& head);
  void go_on();
  void leave_head();

  char* path_ = nullptr;  // As it was given.
  char* inode_path_ = nullptr;
  Inode* inode_ = nullptr;
  Inode* next_inode_ = nullptr;  // While it moves to another level.
  uint64_t owed_ = 0;            // The event that it was turned off with.
  InotifyBacklog backlog_;
  bool at_head_ = false;  // Waits for the event at the head of its queue; if it has a backlog, behind that.
  const uint32_t mask_;
  const int add_fd_;  // Only of meaning during `add`.
  const Callback callback_;
};

}  // namespace evenkeel
