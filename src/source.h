// SPDX-License-Identifier: MIT
//
// What every event source is, whatever it waits for.
//
// Idea: a source is a node of intrusive structures. Adding it takes all memory and descriptors that it will ever need;
// arming, becoming pending, being dispatched and rearmed allocate nothing. A kind of source is one small class that
// derives from `Source` and says what is special about it by the virtual functions below; nothing else knows the kinds.
//
// Words: a source is *enabled* (ON or ONESHOT) or OFF as the program says; *armed* while it is enabled and not offline
// for its rate limit, which is when its multiplexer watches for its event; *pending* from the event until its dispatch;
// *connected* until its last reference goes or its loop ends.
//
// Invariants:
//  1. armed == connected and enabled and not rate-limited, and (for exit sources too) `arm()` succeeded.
//  2. pending implies armed. held implies rate-limited, and that the event's data is kept.
//  3. A connected source holds a reference on its level and a slot of the loop's registry; one that is not floating
//     holds a reference on its loop. A floating one is held by the loop.
//  4. A failing operation leaves the source as it was.
//
// A callback may free its own source: while `calling_` is set the memory stays until the outermost callback of the
// source has returned, but the source is disconnected at once. Forks: in a child nothing here may touch the kernel's
// objects, which are the parent's too; see `Loop::forked`.
#pragma once

#include "src/level.h"
#include "src/list.h"
#include "src/made_here.h"
#include "src/types.h"

namespace evenkeel {

class RateLimit;
struct Extras;

enum class Kind : uint8_t {
  kIo,
  kTime,
  kSignal,
  kChild,
  kInotify,
  kDefer,
  kPost,
  kExit,
  kMemoryPressure,
  kCpuPressure,
  kIoPressure,
};

enum class Enabled : int8_t { kOneshot = -1, kOff = 0, kOn = 1 };

// What is special about a kind of source: what can be said without a call, in a byte.
struct Traits {
  bool rate_limitable : 1 = true;
  bool wakes_posts : 1 = true;
  bool keeps_loop_busy : 1 = true;  // For a loop that exits when it is idle.
  bool hears_unpended : 1 = false;  // `unpended` is to be called.
  bool watched : 1 = false;         // It is a WatchedSource.
  uint8_t variant : 3 = 0;          // Of meaning to the kind alone.
};

class Source : public ListNode<SourcePendingTag>, public MadeHere {
  uint32_t refs_ = 1;  // First, as there is room for it behind the mark.

 public:
  using Handler = int (*)(Source*, void* userdata);
  using Destroy = void (*)(void* userdata);

  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  // References. `unref` of the last one disconnects the source and frees it, or leaves the latter to the dispatch.
  void ref() { ++refs_; }
  void unref();

  Loop* loop() const { return level_ ? &level_->loop() : nullptr; }
  Level& level() const { return *level_; }
  bool connected() const { return level_ != nullptr; }
  Kind kind() const { return kind_; }
  uint64_t id() const { return id_; }
  uint32_t slot() const { return slot_; }
  uint64_t pending_since() const { return pending_since_; }

  Priority priority() const { return level_ ? level_->priority() : 0; }
  int set_priority(Priority priority);

  Enabled enabled() const { return enabled_; }
  int set_enabled(Enabled enabled);
  bool armed() const { return armed_; }
  bool is_pending() const { return aged_ || ListNode<SourcePendingTag>::linked(); }
  // As the program sees it: a source that went over its rate limit keeps its event until it is back.
  bool has_event() const { return is_pending() || held_; }

  // Puts the source at the end of its level's queue; nothing happens if it is there already.
  void pend();
  // An event that was read for this source and for others: makes it pending, or is held while it is limited. False if
  // the source is OFF or has an event already.
  bool take_event();
  void unpend(bool dispatched = false);

  bool floating() const { return floating_; }
  void set_floating(bool floating);

  bool exit_on_failure() const { return exit_on_failure_; }
  void set_exit_on_failure(bool on) { exit_on_failure_ = on; }

  void* userdata = nullptr;

  // -ENOMEM possible: what few sources use is kept aside, and made when it is first set.
  int set_description(const char* description);
  const char* description() const;
  int set_prepare(Handler handler);
  int set_destroy_callback(Destroy callback);
  Destroy destroy_callback() const;

  // See rate_limit.h. Null where none was ever set.
  int set_rate_limit(Usec interval, unsigned burst);
  int set_rate_limit_expired(Handler handler);
  RateLimit* rate_limit() const;
  bool rate_limited() const { return limited_; }

  // --- What a kind of source says of itself. ---

  // Takes what the source needs of its loop beyond level and slot, once; `detach` gives it back. `forked`: this is a
  // child of the process that made the loop.
  virtual int attach() { return 0; }
  virtual void detach(bool forked) { (void)forked; }
  // Starts to watch for the event. Called with the source OFF or limited; on failure nothing has changed.
  virtual int arm() { return 0; }
  // Stops; never fails.
  virtual void disarm() {}
  // An armed source changes from ON to ONESHOT or back. On failure it does not.
  virtual int rearm() { return 0; }
  // Calls the program's callback, and finishes what has to be finished even if that has freed the source (a child is
  // reaped): disconnected, and with its last reference gone, the object lives on until `fire` returns.
  virtual int fire() { return 0; }
  // The source is about to move to another level (on failure nothing has changed), and has moved.
  virtual int move(Level& to);
  virtual void moved() {}
  // Ends the object itself.
  virtual void destroy() {}
  // The source stops being pending: with `dispatched` its callback is next, else its event is dropped. It may be armed
  // still. See Traits.
  virtual void unpended(bool dispatched) { (void)dispatched; }
  // The source has gone over its rate limit with an event at hand, which waits for the end of the limit now.
  virtual void withheld() {}
  // From now on another loop looks at the descriptor of ours.
  virtual void loop_lent() {}

  virtual const char* default_description() const { return nullptr; }

  bool can_rate_limit() const { return traits_.rate_limitable; }
  bool wakes_posts() const { return traits_.wakes_posts; }
  bool keeps_loop_busy() const { return traits_.keeps_loop_busy; }
  WatchedSource* watched();  // Null if it is none.

 protected:
  Source(Kind kind, Traits traits, Enabled enabled) : enabled_(enabled), kind_(kind), traits_(traits) {}
  ~Source() = default;

  // The last step of every `add`: takes level and slot, then arms. On failure the object is destroyed.
  static int connect(Loop& loop, Source* source, bool floating);

  uint8_t variant() const { return traits_.variant; }
  bool owns_fd() const { return owns_fd_; }
  void own_fd(bool own) { owns_fd_ = own; }
  // A word for the kind to use while the source neither is pending nor keeps an event: then nobody asks since when.
  uint64_t spare() const { return pending_since_; }
  void set_spare(uint64_t value) { pending_since_ = value; }

 private:
  friend class Level;
  friend class Loop;
  friend class LoopCheck;
  friend class Poller;
  friend class RateLimits;

  int go_online();
  void go_offline();
  void withhold();
  int come_back();
  void disconnect();
  void finish();  // Calls the destroy callback and frees the memory.
  Extras* need_extras();
  void follow_prepare();

  // Which level, and what is known of it elsewhere.
  Level* level_ = nullptr;
  Extras* extras_ = nullptr;
  uint64_t id_ = 0;  // By creation, never used again in this loop.
  uint64_t pending_since_ = 0;
  uint32_t slot_ = UINT32_MAX;

  // State that the program sets, or that its callbacks change.
  Enabled enabled_;
  const Kind kind_;
  const Traits traits_;
  bool floating_ : 1 = false;
  bool exit_on_failure_ : 1 = false;
  bool armed_ : 1 = false;
  bool aged_ : 1 = false;  // Pending, and in its level's heap of those that came with an age.
  bool limited_ : 1 = false;
  bool held_ : 1 = false;     // Was pending when it went over its rate limit.
  bool calling_ : 1 = false;  // A callback of it runs.
  bool owns_fd_ : 1 = false;  // For the kinds that have one.
};

// --- Parts of every dispatch, which are not to cost calls. ---

inline void Level::count_pending() {
  ++owner_.n_pending_;
  if (n_pending_++ == 0) owner_.pending_.push(*this);
}

inline void Level::uncount_pending() {
  --owner_.n_pending_;
  if (--n_pending_ == 0) owner_.pending_.erase(*this);
}

inline Source* Level::first_pending() const {
  Source* first = pending_.front();
  return aged_.empty() ? first : first_aged(first);
}

inline void Level::push_pending(Source& source) {
  count_pending();
  pending_.push_back(source);
}

inline void Level::erase_pending(Source& source) {
  if (source.aged_)
    erase_aged(source);
  else
    decltype(pending_)::erase(source);
  uncount_pending();
}

}  // namespace evenkeel
