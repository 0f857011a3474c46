// SPDX-License-Identifier: MIT
//
// See inotify_queue.h.
#include "src/inotify_queue.h"

#include <stdio.h>
#include <string.h>

#include "src/callbacks.h"
#include "src/kernel.h"
#include "src/loop.h"

namespace evenkeel {

namespace {

// What every source of an inode gets, asked for or not.
constexpr uint32_t kAlways = IN_IGNORED | IN_UNMOUNT;

// Flags that the shared watch must not have: it is ours to end, and the path is followed by hand.
constexpr uint32_t kNotShared = IN_ONESHOT | IN_DONT_FOLLOW | IN_ONLYDIR;

// How many of the bytes are whole events whose names end. The kernel writes nothing else; but a program that closes our
// descriptor and opens another file by its number may have us read anything.
size_t whole_events(const char* bytes, size_t size) {
  size_t position = 0;
  for (;;) {
    struct inotify_event event;
    if (size - position < sizeof(event)) return position;
    ::memcpy(&event, bytes + position, sizeof(event));
    if (event.len > size - position - sizeof(event)) return position;
    const size_t end = position + sizeof(event) + event.len;
    if (end % alignof(struct inotify_event) != 0 || (event.len > 0 && bytes[end - 1] != '\0')) return position;
    position = end;
  }
}

}  // namespace

Inode::~Inode() {
  if (path_fd >= 0) (void)kernel::close(path_fd);
  ListNode<InodeOpenTag>::unlink();
}

InotifyQueue* InotifyQueue::of(Level& level) {
  if (!level.inotify) level.inotify = make<InotifyQueue>(level);
  return level.inotify;
}

InotifyQueue::~InotifyQueue() {
  n_recipients_ = 0;
  close_if_unused();
  ::free(buffer_);
}

int InotifyQueue::open() {
  if (fd_ >= 0) return 0;
  if (!buffer_ && !(buffer_ = static_cast<char*>(allocate(kBufferSize)))) return -ENOMEM;
  const int fd = kernel::inotify_init();
  if (fd < 0) return fd;
  fd_ = fd;
  if (const int r = level_.loop().poller().add_channel(*this); r < 0) {
    (void)kernel::close(fd);
    fd_ = -1;
    return r;
  }
  return 0;
}

int InotifyQueue::watch(Inode& inode, uint32_t mask) {
  char path[sizeof("/proc/self/fd/") + 3 * sizeof(int)];
  (void)::snprintf(path, sizeof(path), "/proc/self/fd/%d", inode.path_fd);
  // The kernel judges the mask of the new source together with what is watched already.
  for (InotifySource* source = inode.sources.front(); source; source = inode.sources.next(*source))
    mask |= source->mask_ & ~uint32_t{IN_MASK_CREATE};
  const int wd = kernel::inotify_add_watch(fd_, path, mask & ~kNotShared);
  return wd == -ENOENT ? -ENOSYS : wd;  // No /proc.
}

int InotifyQueue::acquire(int path_fd, uint32_t mask, Inode** ret) {
  struct stat st = {};
  if (const int r = kernel::fstat(path_fd, &st); r < 0) return r;
  const Inode::Id id = {st.st_dev, st.st_ino};
  Inode* known = by_id_.find(id);
  Inode* inode = known;
  if (!known) {
    if (!by_id_.reserve() || !by_watch_.reserve()) return -ENOMEM;
    inode = make<Inode>(*this, id);
    if (!inode) return -ENOMEM;
  }
  int r = inode->path_fd < 0 ? keep_path(*inode, path_fd) : 0;
  if (r >= 0) r = open();
  const int wd = r < 0 ? r : watch(*inode, mask);
  if (wd < 0) {
    if (!known) dispose(inode);
    close_if_unused();
    return wd;
  }
  if (!known) {
    inode->wd = wd;
    by_id_.insert(*inode);
    by_watch_.insert(*inode);
  } else if (wd != known->wd && !(inode = succeed(*known, wd))) {
    return -ENOMEM;
  }
  *ret = inode;
  return 0;
}

// The kernel has dropped the watch that is known, which is still to be read, and the number stands for another inode.
Inode* InotifyQueue::succeed(Inode& old, int wd) {
  Inode* inode = by_watch_.reserve() ? make<Inode>(*this, old.id()) : nullptr;
  const int path_fd = old.path_fd;
  old.ListNode<InodeOpenTag>::unlink();
  old.path_fd = -1;
  if (!inode) {
    (void)kernel::inotify_rm_watch(fd_, wd);
    (void)kernel::close(path_fd);
    return nullptr;
  }
  inode->wd = wd;
  inode->path_fd = path_fd;
  level_.loop().inotifies().open_paths().push_back(*inode);
  by_id_.erase(old);
  by_id_.insert(*inode);
  by_watch_.insert(*inode);
  return inode;
}

int InotifyQueue::keep_path(Inode& inode, int path_fd) {
  const int fd = kernel::duplicate(path_fd);
  if (fd < 0) return fd;
  inode.path_fd = fd;
  level_.loop().inotifies().open_paths().push_back(inode);
  return 0;
}

// Without a watch nothing can come; what is buffered was for sources that are gone.
void InotifyQueue::close_if_unused() {
  if (fd_ < 0 || !by_watch_.empty() || n_recipients_ > 0) return;
  level_.loop().poller().remove_channel(*this);
  (void)kernel::close(fd_);
  fd_ = -1;
  position_ = filled_ = 0;
  owing_ = false;
  ListNode<InotifyBufferedTag>::unlink();
}

void InotifyQueue::forget_watch(Inode& inode) {
  if (inode.wd < 0) return;
  by_id_.erase(inode);
  by_watch_.erase(inode);
  inode.wd = -1;
}

void InotifyQueue::release(Inode& inode) {
  if (!inode.sources.empty()) return;
  const int wd = inode.wd;
  forget_watch(inode);
  if (wd >= 0 && !level_.loop().forked()) (void)kernel::inotify_rm_watch(fd_, wd);
  dispose(&inode);
  close_if_unused();
}

void InotifyQueue::arm() {
  if (n_armed_++ == 0) level_.attach_channel(*this);
}

void InotifyQueue::disarm() {
  if (--n_armed_ == 0) level_.detach_channel(*this);
}

const struct inotify_event* InotifyQueue::head() const {
  return reinterpret_cast<const struct inotify_event*>(buffer_ + position_);
}

void InotifyQueue::done() {
  if (--n_recipients_ > 0) return;
  if (!owing_) next_event();
  if (position_ < filled_) level_.loop().inotifies().put_off(*this);
  close_if_unused();
}

void InotifyQueue::next_event() {
  ++serial_;
  owing_ = false;
  position_ += sizeof(struct inotify_event) + head()->len;
  if (position_ < filled_) return;
  position_ = filled_ = 0;
  level_.loop().poller().mute(*this, false);
}

void InotifyQueue::distribute() {
  while (position_ < filled_) {
    n_recipients_ = owing_ ? give_to_owed() : give(*head());
    owing_ = false;
    if (n_recipients_ > 0) return;
    next_event();
  }
}

unsigned InotifyQueue::give(const struct inotify_event& event) {
  if ((event.mask & IN_Q_OVERFLOW) != 0) {
    unsigned n = 0;
    by_watch_.for_each([&](Inode& inode) { n += give_to(inode, event); });
    return n;
  }
  Inode* inode = by_watch_.find(event.wd);
  if (!inode) return 0;
  const unsigned n = give_to(*inode, event);
  // The kernel has dropped the watch, and will use the numbers of inode and watch again for others.
  if ((event.mask & IN_IGNORED) != 0) forget_watch(*inode);
  return n;
}

unsigned InotifyQueue::give_to(Inode& inode, const struct inotify_event& event) {
  unsigned n = 0;
  for (InotifySource* source = inode.sources.front(); source; source = inode.sources.next(*source)) {
    const bool wanted = (event.mask & (source->mask_ | kAlways | IN_Q_OVERFLOW)) != 0;
    n += wanted && source->receive(event);
  }
  return n;
}

void InotifyQueue::owe(InotifySource& source) {
  source.owed_ = serial_;
  owing_ = true;
}

unsigned InotifyQueue::give_to_owed() {
  unsigned n = 0;
  by_watch_.for_each([&](Inode& inode) {
    for (InotifySource* source = inode.sources.front(); source; source = inode.sources.next(*source)) {
      if (source->owed_ != serial_) continue;
      source->owed_ = 0;  // Another one may be switched off with the same event, and only that one gets it once more.
      n += source->receive(*head());
    }
  });
  return n;
}

void InotifyQueue::on_ready(uint32_t events) {
  (void)events;
  // The head waits for a dispatch. Until it is gone, what comes after it stays in the kernel, and must not wake the
  // loop again and again.
  if (position_ < filled_) level_.loop().poller().mute(*this, true);
  while (position_ >= filled_) {
    const ssize_t n = kernel::read(fd_, buffer_, kBufferSize);
    if (n <= 0) return;
    position_ = 0;
    filled_ = whole_events(buffer_, static_cast<size_t>(n));
    if (filled_ == 0) return;
    distribute();
  }
}

void Inotifies::put_off(InotifySource& source) {
  if (!source.ListNode<InotifyBackloggedTag>::linked()) backlogged_.push_back(source);
}

void Inotifies::distribute() {
  while (InotifySource* source = backlogged_.front()) {
    decltype(backlogged_)::erase(*source);
    source->go_on();
  }
  while (InotifyQueue* queue = buffered_.front()) {
    decltype(buffered_)::erase(*queue);
    queue->distribute();
  }
}

void Inotifies::close_paths() {
  while (Inode* inode = open_paths_.front()) {
    inode->ListNode<InodeOpenTag>::unlink();
    (void)kernel::close(inode->path_fd);
    inode->path_fd = -1;
  }
}

int InotifySource::open_path(const char* path, uint32_t mask) {
  int flags = O_PATH;
  if ((mask & IN_DONT_FOLLOW) != 0) flags |= O_NOFOLLOW;
  if ((mask & IN_ONLYDIR) != 0) flags |= O_DIRECTORY;
  return kernel::open(path, flags);
}

int InotifySource::add(Loop& loop, Source** ret, int fd, const char* path, uint32_t mask, Callback callback,
                       void* userdata) {
  InotifySource* source = make<InotifySource>(fd, mask, callback);
  if (!source) return -ENOMEM;
  source->userdata = userdata;
  int r = path && !(source->path_ = copy_string(path)) ? -ENOMEM : source->find_inode_path(fd);
  if (r < 0) {
    source->destroy();
    return r;
  }
  r = connect(loop, source, !ret);
  if (r < 0) return r;
  if (ret) *ret = source;
  return 0;
}

int InotifySource::find_inode_path(int fd) {
  char link[sizeof("/proc/self/fd/") + 3 * sizeof(int)];
  char path[PATH_MAX];
  (void)::snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  const ssize_t n = kernel::readlink(link, path, sizeof(path) - 1);
  // A descriptor that is not open has no link either.
  if (n < 0) return n != -ENOENT ? static_cast<int>(n) : kernel::fcntl_getfd(fd) < 0 ? -EBADF : -ENOSYS;
  path[n] = '\0';
  inode_path_ = copy_string(path);
  return inode_path_ ? 0 : -ENOMEM;
}

int InotifySource::attach() {
  InotifyQueue* queue = InotifyQueue::of(level());
  if (!queue) return -ENOMEM;
  if (const int r = queue->acquire(add_fd_, mask_, &inode_); r < 0) return r;
  inode_->sources.push_back(*this);
  return 0;
}

void InotifySource::detach(bool forked) {
  (void)forked;
  ListNode<InodeSourceTag>::unlink();
  ListNode<InotifyBackloggedTag>::unlink();
  backlog_.clear();
  leave_head();
  inode_->queue.release(*inode_);
  inode_ = nullptr;
}

int InotifySource::arm() {
  level().inotify->arm();
  return 0;
}

void InotifySource::disarm() { level().inotify->disarm(); }

// True: the event has to stay at the head until the source has been dispatched for it.
bool InotifySource::receive(const struct inotify_event& head) {
  if (enabled() == Enabled::kOff) return false;
  if ((rate_limited() || !backlog_.empty()) && backlog_.push(head)) {
    (void)take_event();
    return false;
  }
  at_head_ = !backlog_.empty() || take_event();
  return at_head_;
}

// An iteration has begun, and there is more for the source. What it is not ON for by now is dropped.
void InotifySource::go_on() {
  if (enabled() != Enabled::kOff) {
    if (has_more()) (void)take_event();
    return;
  }
  backlog_.clear();
  leave_head();
}

void InotifySource::leave_head() {
  if (!at_head_) return;
  at_head_ = false;
  inode_->queue.done();
}

void InotifySource::withheld() {
  if (backlog_.empty() && backlog_.push(*inode_->queue.head())) leave_head();
}

int InotifySource::fire() {
  InotifyQueue& queue = inode_->queue;
  // The callback may free the last source of the level, and with it what the event was read into.
  Loop& held_loop = *loop();
  Level& held = level();
  held_loop.levels().hold(held);
  InotifyBacklog::Copy* copy = backlog_.pop();
  if (!copy) at_head_ = false;
  const struct inotify_event* event = copy ? copy->event() : queue.head();
  const int r = callback_ ? call_program(callback_, this, event, userdata) : held_loop.exit_by_default(*this);
  ::free(copy);
  // The source may be without its inode and its level by now, and the loop is held by the dispatch alone. Where the
  // callback has forked, the child leaves the queue as it is: it is the parent's.
  if (!held_loop.forked()) {
    if (!copy) queue.done();
    if (connected() && has_more()) held_loop.inotifies().put_off(*this);
  }
  held_loop.levels().release(held);
  return r;
}

void InotifySource::unpended(bool dispatched) {
  if (dispatched) return;
  if (!backlog_.empty()) {
    loop()->inotifies().put_off(*this);
    return;
  }
  inode_->queue.owe(*this);
  leave_head();
}

// Possible only while the path is open, which is before the first iteration; but it is open again when a later source
// is added for it. An event that waits for its dispatch is in the old queue, and keeps its source there.
int InotifySource::move(Level& to) {
  if (inode_->path_fd < 0 || has_event() || has_more()) return -EOPNOTSUPP;
  InotifyQueue* queue = InotifyQueue::of(to);
  if (!queue) return -ENOMEM;
  if (const int r = queue->acquire(inode_->path_fd, mask_, &next_inode_); r < 0) return r;
  if (armed()) {
    level().inotify->disarm();
    queue->arm();
  }
  return 0;
}

void InotifySource::moved() {
  Inode& old = *inode_;
  ListNode<InodeSourceTag>::unlink();
  next_inode_->sources.push_back(*this);
  inode_ = next_inode_;
  next_inode_ = nullptr;
  owed_ = 0;
  old.queue.release(old);
}

void InotifySource::destroy() {
  ::free(path_);
  ::free(inode_path_);
  dispose(this);
}

}  // namespace evenkeel
