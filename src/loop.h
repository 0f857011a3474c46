// SPDX-License-Identifier: MIT
//
// The event loop: conducts one iteration.
//
// Idea: kernel -> multiplexers -> pending sources -> dispatch of one -> its callback. The loop owns the multiplexers
// and says when each is asked; what they do is theirs. An iteration is `prepare`, `wait`, `dispatch`, and goes through
// the states INITIAL, PREPARING, ARMED, PENDING, RUNNING (EXITING while exit sources run), and FINISHED at the end.
//
// Asking the kernel: an iteration that finds something pending asks only about what could go before it
// (`look_for_better`); everything else has to wait for its elders anyway. doc/dispatch.md has the argument.
//
// Invariants:
//  1. `asked_in_` is the last iteration in which the kernel was asked about everything. A source that became pending in
//     or before it is at least as old as anything of its priority that the kernel still keeps.
//  2. Every call that may run a callback holds a reference on the loop while it does, for the callback may drop the
//     last.
//  3. After FINISHED nothing is dispatched any more.
//
// Threads: one loop belongs to one thread at a time. Forks: `forked()` is true in every child, and then the caller must
// do nothing that reaches the kernel; freeing closes the child's own descriptors and changes nothing in the parent.
#pragma once

#include "src/child_source.h"
#include "src/clock.h"
#include "src/extras.h"
#include "src/inotify_queue.h"
#include "src/level.h"
#include "src/made_here.h"
#include "src/poller.h"
#include "src/pressure_source.h"
#include "src/process.h"
#include "src/rate_limit.h"
#include "src/signal_queue.h"
#include "src/static_sources.h"
#include "src/watchdog.h"

namespace evenkeel {

class Profile;

class Loop : public MadeHere {
 public:
  // The values are those of the C ABI.
  enum class State : int { kInitial = 0, kArmed, kPending, kRunning, kExiting, kFinished, kPreparing };

  static int create(Loop** ret);
  void ref() { ++refs_; }
  void unref();

  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  bool forked() const { return !Process::is(process_); }
  State state() const { return state_; }
  bool finished() const { return state_ == State::kFinished; }
  bool ending() const { return ending_; }
  uint64_t iteration() const { return iteration_; }

  // The steps of an iteration; each needs the state that the step before it left. Results as in the C ABI.
  int prepare();
  int wait(Usec timeout);
  int dispatch();
  // Instead of the thread, `suspend` suspends the caller alone, where several stacks share a thread, until the
  // descriptor is readable or the time is over. It returns 0 or more, or the -errno with which the step ends.
  using Suspend = int (*)(int fd, Usec timeout);
  int run(Usec timeout, Suspend suspend = nullptr);
  // Runs until the exit; returns its code.
  int run_until_finished(Suspend suspend = nullptr);

  // For who wants to know what is pending: between `prepare` and `dispatch`, asks the kernel if this iteration has not.
  void look();

  // Asks the loop to leave; a later call replaces the code.
  void exit(int code);
  bool exit_requested() const { return exit_requested_; }
  int exit_code() const { return exit_code_; }
  void set_exit_on_idle(bool on) { exit_on_idle_ = on; }
  bool exit_on_idle() const { return exit_on_idle_; }
  // The descriptor, for another loop to watch.
  int lend_fd();
  bool lent() const { return lent_; }
  // SIGINT and SIGTERM exit the loop with code 0.
  int set_signal_exit(bool on);

  // The time of this iteration on a clock; 1 if there was no iteration yet, and it is the current time. `id` is
  // supported.
  int now(clockid_t id, Usec* ret);
  Usec monotonic_now();
  // `span` from now on; kForever stays so. -EOVERFLOW beyond the end of time.
  int add_to_now(clockid_t id, Usec span, Usec* ret);

  int set_watchdog(bool on);
  bool watchdog() const { return watchdog_.on(); }

  // --- For the sources. ---
  Poller& poller() { return poller_; }
  Levels& levels() { return levels_; }
  Clocks& clocks() { return clocks_; }
  Signals& signals() { return signals_; }
  Children& children() { return children_; }
  Inotifies& inotifies() { return inotifies_; }
  RateLimits& rate_limits() { return rate_limits_; }
  IntrusiveHeap<Extras, PrepareTag, PrepareSooner>& prepares() { return prepares_; }
  Posts& posts() { return posts_; }
  Exits& exits() { return exits_; }
  PressureWrites& pressure_writes() { return pressure_writes_; }
  uint64_t next_id() { return next_id_++; }
  void count_busy(const Source& source, int change);

  // Calls a callback of a source outside its dispatch, with all that follows from its result. -ECHILD where the
  // callback has forked, and this is the child: then nothing of the loop may be touched any more.
  [[nodiscard]] int call_handler(Source& source, Source::Handler handler);
  // A callback of the source failed with `error`.
  void failed(Source& source, int error);
  // What a source does that has no callback.
  int exit_by_default(const Source& source);

  // Called when the loop ends; for the shim that keeps a pointer to it.
  void (*on_free)(void* data) = nullptr;
  void* on_free_data = nullptr;

  // For tests: whether every structure is as its file says.
  bool check_invariants();

 private:
  friend class LoopCheck;
  friend void dispose<Loop>(Loop* object);
  friend Loop* make<Loop>();

  Loop() : levels_(*this) {}
  ~Loop();

  [[gnu::noinline]] void end();
  // The steps, called with a reference on the loop held.
  int begin_iteration();
  int sleep(Usec timeout);
  int dispatch_best();
  int iterate(Usec timeout, Suspend suspend);
  int sleep_suspended(Usec timeout, Suspend suspend);

  int run_prepare_callbacks();
  int look_for_better(const Level& best);
  int ask_better(Priority bound, bool inclusive);
  int time_now(clockid_t id, Usec* ret);
  Usec current_time();
  int ask(Usec timeout);
  int ask_kernel(Usec timeout, bool whole = false);
  void note_wake_up();
  [[gnu::noinline]] void fetch_rest(size_t n_seen, bool whole);
  bool rest_can_wait();
  // Timers that are due become pending, but none that is worse than `worst`: false if there is such a one.
  bool pend_due_timers(Priority worst);
  bool timer_is_due();
  int after_asking(Priority worst);
  int look_at_own_timers(Priority worst);
  Window monotonic_window() const;
  int program_clocks();
  [[gnu::noinline]] void note_iteration();
  [[gnu::noinline]] bool admitted(RateLimit& limit);
  int dispatch_source(Source& source);
  int dispatch_exit();
  template <typename Callback>
  int call(Source& source, Callback callback);
  // Nothing is to be put off any more, if another loop may sleep on the descriptor of this one now.
  int settle(int result);
  void pend_posts();
  void release_exit_signal(Source*& source);
  int pending_state();

  uint32_t refs_ = 1;
  State state_ = State::kInitial;
  bool exit_requested_ = false;
  bool exit_on_idle_ = false;
  bool ending_ = false;  // The last reference is gone; destroy callbacks may run still.
  bool lent_ = false;    // The descriptor is known outside.
  bool ever_asked_ = false;
  // Which of `monotonic_` and `realtime_and_boottime_` are of this iteration. They are read when they are asked for;
  // but once a program has asked, at each wake-up. Until then the coarse clock tells by when the loop was awake.
  static constexpr uint8_t kMonotonicKnown = 1, kRealtimeKnown = 2, kBoottimeKnown = 4, kAwakeKnown = 8;
  uint8_t known_times_ = 0;
  bool time_wanted_ = false;
  bool limit_ended_ = false;  // A callback for the end of a rate limit ran: that was this iteration's dispatch.
  bool rest_ = false;         // The kernel's report may have had more to tell than was taken.
  int exit_code_ = 0;
  uint64_t process_ = 0;
  uint64_t iteration_ = 0;
  uint64_t asked_in_ = 0;
  uint64_t next_id_ = 1;
  uint64_t n_busy_ = 0;
  Usec monotonic_ = 0;
  struct timespec awake_ = {};
  Usec realtime_and_boottime_[2] = {};

  Poller poller_;
  Levels levels_;
  Clocks clocks_;
  Signals signals_;
  Children children_;
  Inotifies inotifies_;
  RateLimits rate_limits_;
  Watchdog watchdog_;
  Posts posts_;
  Exits exits_;
  PressureWrites pressure_writes_;
  IntrusiveHeap<Extras, PrepareTag, PrepareSooner> prepares_;
  Source* exit_signals_[2] = {};
  Profile* profile_ = nullptr;
};

// --- Parts of every dispatch, which are not to cost calls. ---

inline void Source::pend() {
  if (is_pending()) return;
  pending_since_ = loop()->iteration();
  level_->push_pending(*this);
}

inline void Source::unpend(bool dispatched) {
  if (held_)
    held_ = false;
  else if (is_pending())
    level_->erase_pending(*this);
  else
    return;
  if (traits_.hears_unpended) unpended(dispatched);
}

}  // namespace evenkeel
