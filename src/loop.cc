// SPDX-License-Identifier: MIT
//
// See loop.h.
#include "src/loop.h"

#include "src/callbacks.h"
#include "src/kernel.h"
#include "src/notify.h"
#include "src/profile.h"
#include "src/signal_queue.h"
#include "src/time_source.h"

namespace evenkeel {

namespace {

// Holds the loop while callbacks run that may drop its last reference.
class Hold {
 public:
  explicit Hold(Loop& loop) : loop_(loop) { loop_.ref(); }
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;
  ~Hold() { loop_.unref(); }

 private:
  Loop& loop_;
};

// How far CLOCK_MONOTONIC_COARSE, which costs next to nothing, is behind at most. A tick is 1 to 10 ms, but those of a
// virtual machine come late when its host is busy (15 ms were seen), and no answer may be before the wake-up.
constexpr Usec kCoarseness = 100 * kUsecPerMsec;

// The worst priority that a question about what is better than `bound` (or as good) asks about.
constexpr Priority worst_asked(Priority bound, bool inclusive) {
  return inclusive || bound == INT64_MIN ? bound : bound - 1;
}

Usec read_clock(clockid_t id) {
  struct timespec ts = {};
  (void)kernel::clock_gettime(id, &ts);
  return to_usec(ts);
}

}  // namespace

int Loop::create(Loop** ret) {
  const uint64_t process = Process::draw();
  if (process == 0) return -ENOMEM;
  Loop* loop = make<Loop>();
  if (!loop) return -ENOMEM;
  loop->process_ = process;
  int r = loop->poller_.open();
  if (r >= 0) r = Profile::create_if_wanted(&loop->profile_);
  if (r < 0) {
    dispose(loop);
    return r;
  }
  *ret = loop;
  return 0;
}

void Loop::unref() {
  if (--refs_ == 0) end();
}

void Loop::end() { dispose(this); }

Loop::~Loop() {
  // Only floating sources are left: the others hold a reference. One that somebody has a reference of lives on,
  // unconnected.
  refs_ = 1;
  state_ = State::kFinished;  // For the destroy callbacks, which may use the loop: nothing is added or run any more.
  ending_ = true;
  if (on_free) on_free(on_free_data);
  on_free = nullptr;
  if (forked()) poller_.abandon();  // Channels that wait for a next source are removed without one.
  poller_.for_each_source([](Source& source) {
    source.disconnect();
    if (--source.refs_ == 0 && !source.calling_) source.finish();
  });
  dispose(profile_);
}

int Loop::prepare() {
  Hold hold(*this);
  return settle(begin_iteration());
}

// While another loop sleeps on our descriptor, it has to stand for what the program wants now. Some programs poll it
// without `prepare`.
int Loop::settle(int result) {
  if (lent_ && !forked()) poller_.set_eager(true);
  return result;
}

int Loop::begin_iteration() {
  poller_.set_eager(false);
  if (exit_requested_) return pending_state();
  ++iteration_;
  if (profile_) note_iteration();
  if (!prepares_.empty()) {
    state_ = State::kPreparing;
    if (const int r = run_prepare_callbacks(); r < 0) return r;
    state_ = State::kInitial;
  }
  if (!inotifies_.open_paths().empty()) inotifies_.close_paths();
  if (!pressure_writes_.empty()) PressureSource::flush(pressure_writes_);
  // With nothing else ON, what is pending are post sources, which may turn something on.
  if (exit_on_idle_ && n_busy_ == 0 && levels_.n_pending() == 0) exit(0);
  if (exit_requested_) return pending_state();
  if (inotifies_.any_buffered()) inotifies_.distribute();
  if (children_.due()) children_.look();
  if (const Level* best = levels_.best_pending()) {
    ever_asked_ = true;
    known_times_ = 0;
    if (const int r = look_for_better(*best); r < 0 && r != -EINTR) return r;
    return pending_state();
  }
  poller_.flush();
  if (const int r = program_clocks(); r < 0) return r;
  poller_.set_eager(true);
  state_ = State::kArmed;
  return 0;
}

void Loop::note_iteration() { profile_->iteration(read_clock(CLOCK_MONOTONIC)); }

int Loop::pending_state() {
  state_ = State::kPending;
  return 1;
}

int Loop::run_prepare_callbacks() {
  // A callback may add, enable, disable, reorder and free sources, this one included: who is next is asked each time.
  while (!prepares_.empty() && prepares_.top()->prepared_in < iteration_) {
    Extras& next = *prepares_.top();
    prepares_.erase(next);
    next.prepared_in = iteration_;
    prepares_.push(next);
    if (const int r = call_handler(next.source, next.prepare); r < 0) return r;
  }
  return 0;
}

// Something is pending. Asks only about what could be dispatched before it: nothing, mostly.
inline int Loop::look_for_better(const Level& best) {
  const Priority bound = best.priority();
  // What became pending since the kernel was asked is not known to be older than what the kernel has for us.
  const bool inclusive = best.first_pending()->pending_since() > asked_in_;
  const Level* armed = levels_.best_armed();
  const bool better = armed && (armed->priority() < bound || (inclusive && armed->priority() == bound));
  if (better) return ask_better(bound, inclusive);
  return after_asking(worst_asked(bound, inclusive));
}

int Loop::ask_better(Priority bound, bool inclusive) {
  size_t n_fds = 0;
  size_t n_timers = 0;
  levels_.for_each_better(bound, inclusive, [&](Level& level) {
    n_fds += level.n_fds();
    n_timers += level.n_timers();
    return true;
  });
  if (n_fds > 0 && !poller_.ask_better(levels_, bound, inclusive)) return ask(0);
  // A timer that is not better must not go before what the kernel has of its priority: then everything is asked.
  const Priority worst = worst_asked(bound, inclusive);
  if (n_timers > 0 && !pend_due_timers(worst)) return ask(0);
  return after_asking(worst);
}

int Loop::ask(Usec timeout) {
  const int r = ask_kernel(timeout);
  return r < 0 ? r : after_asking(INT64_MAX);
}

// Asks the kernel about everything. Calls nobody.
int Loop::ask_kernel(Usec timeout, bool whole) {
  // Of sources that were added or turned on since `prepare`.
  if (!pressure_writes_.empty()) PressureSource::flush(pressure_writes_);
  const int n = poller_.wait(timeout, levels_.many_armed());
  if (n < 0) return n;
  asked_in_ = iteration_;
  ever_asked_ = true;
  if (!whole || known_times_ == 0) note_wake_up();  // A mere look changes no time that the program may know.
  rest_ = poller_.deliver(n);
  if (rest_) fetch_rest(static_cast<size_t>(n), whole || timer_is_due());
  if (children_.due()) children_.look();
  // Last, so that among equals an answer that is there goes before the time-out for it.
  if (clocks_.in_use()) (void)pend_due_timers(INT64_MAX);
  return 0;
}

inline void Loop::note_wake_up() {
  const bool exactly = time_wanted_ || clocks_.in_use();
  known_times_ = exactly ? kMonotonicKnown : kAwakeKnown;
  if (exactly)
    monotonic_ = read_clock(CLOCK_MONOTONIC);
  else
    (void)kernel::clock_gettime(CLOCK_MONOTONIC_COARSE, &awake_);
}

// More is ready than one call tells, of which `n_seen` events are known. The rest can wait for its turn, unless
// something of it might go before what is pending: then it has to be known, too.
void Loop::fetch_rest(size_t n_seen, bool whole) {
  while (rest_ && (whole || !rest_can_wait())) {
    const int n = n_seen < poller_.n_most() ? poller_.more() : 0;
    n_seen += static_cast<size_t>(n > 0 ? n : 0);
    rest_ = poller_.deliver(n);
  }
}

bool Loop::rest_can_wait() {
  const Level* best = levels_.best_pending();
  const Level* armed = levels_.best_armed();
  if (!best || !armed) return false;
  const Priority bound = best->priority();
  return armed->priority() >= bound || poller_.ask_better(levels_, bound, false);
}

void Loop::look() {
  if (state_ != State::kPending || exit_requested_) return;
  if (asked_in_ != iteration_)
    (void)ask_kernel(0, true);
  else if (rest_)
    fetch_rest(0, true);
  if (children_.due()) children_.look();
}

bool Loop::pend_due_timers(Priority worst) {
  bool all = true;
  for (Clock& clock : clocks_) {
    if (!clock.has_timers()) continue;
    Usec time = 0;
    time_now(clock.id(), &time);
    all = clock.pend_due(time, worst) && all;
  }
  return all;
}

bool Loop::timer_is_due() {
  for (Clock& clock : clocks_) {
    Usec time = 0;
    if (clock.has_timers() && (time_now(clock.id(), &time), clock.any_due(time))) return true;
  }
  return false;
}

// What goes with every look at the world, whatever was found. `worst` is the worst priority that was asked about.
inline int Loop::after_asking(Priority worst) {
  if (children_.due()) children_.look();
  return rate_limits_.next_end() != kForever || watchdog_.on() ? look_at_own_timers(worst) : 0;
}

int Loop::look_at_own_timers(Priority worst) {
  if (rate_limits_.next_end() != kForever) {
    // Callbacks run in here: nobody may begin an iteration inside of this one. One that waits and dispatches by itself,
    // which it may, leaves another state.
    const State before = state_;
    state_ = State::kArmed;
    const int n_called = rate_limits_.expire(*this, monotonic_now());
    if (n_called < 0) return n_called;
    limit_ended_ = limit_ended_ || n_called > 0;
    state_ = before;
    // A timer that comes back, and has elapsed, is due in this look, or, of the real-time clock, in the next.
    (void)clocks_.monotonic().pend_due(monotonic_now(), worst);
    if (Clock& clock = clocks_.boottime(); clock.has_timers()) {
      Usec time = 0;
      time_now(clock.id(), &time);
      (void)clock.pend_due(time, worst);
    }
  }
  if (watchdog_.on()) watchdog_.feed(monotonic_now());
  return 0;
}

Window Loop::monotonic_window() const {
  const Usec back = rate_limits_.next_end();
  return Window{back, back}.joined(watchdog_.window());
}

int Loop::program_clocks() {
  if (!clocks_.in_use()) return 0;
  for (Clock& clock : clocks_) {
    if (!clock.open()) continue;
    const Window window = clock.id() == CLOCK_MONOTONIC ? clock.window().joined(monotonic_window()) : clock.window();
    if (const int r = clock.program(window); r < 0) return r;
  }
  return 0;
}

int Loop::wait(Usec timeout) {
  Hold hold(*this);
  return settle(sleep(timeout));
}

int Loop::sleep(Usec timeout) {
  poller_.set_eager(false);
  if (exit_requested_) return pending_state();
  const int r = ask(timeout);
  if (r == -EINTR) return pending_state();  // A signal handler has run; the caller shall see to it.
  state_ = State::kInitial;
  if (r < 0) return r;
  return exit_requested_ || limit_ended_ || levels_.best_pending() ? pending_state() : 0;
}

int Loop::dispatch() {
  Hold hold(*this);
  poller_.set_eager(false);
  return settle(dispatch_best());
}

int Loop::dispatch_best() {
  if (exit_requested_) return dispatch_exit();
  Level* best = limit_ended_ ? nullptr : levels_.best_pending();
  limit_ended_ = false;
  if (!best) {
    state_ = State::kInitial;
    return 1;
  }
  state_ = State::kRunning;
  const int r = dispatch_source(*best->first_pending());
  state_ = State::kInitial;
  return r;
}

// A limit counts real time, also where the caller was busy between `wait` and `dispatch`, as the reference does.
bool Loop::admitted(RateLimit& limit) { return rate_limits_.admit(limit, current_time()); }

inline int Loop::dispatch_source(Source& source) {
  RateLimit* limit = source.rate_limit();
  if (limit && limit->configured() && !admitted(*limit)) return 1;
  source.unpend(true);
  const bool wakes_posts = source.wakes_posts();
  if (wakes_posts && !posts_.empty()) pend_posts();
  if (source.enabled_ == Enabled::kOneshot) (void)source.set_enabled(Enabled::kOff);
  if (const int r = call(source, [&] { return source.fire(); }); r < 0) return r;  // `source` may be gone now.
  // A post source that the callback has added or turned on follows this dispatch, too.
  if (wakes_posts && !posts_.empty()) pend_posts();
  return 1;
}

void Loop::pend_posts() {
  for (PostSource* post = posts_.front(); post; post = posts_.next(*post)) post->pend();
}

// A callback may free its source, fork, and wait for events of this loop, in which the same source may be called again.
template <typename Callback>
inline int Loop::call(Source& source, Callback callback) {
  const bool outer = source.calling_;
  source.calling_ = true;
  const int r = callback();
  source.calling_ = outer;
  if (r < 0 && !forked()) failed(source, r);
  if (source.refs_ == 0 && !outer) source.finish();
  if (!forked()) return 0;
  poller_.abandon();
  return -ECHILD;
}

int Loop::call_handler(Source& source, Source::Handler handler) {
  return call(source, [&] { return call_program(handler, &source, source.userdata); });
}

void Loop::failed(Source& source, int error) {
  if (source.exit_on_failure_) exit(error);
  if (source.connected()) (void)source.set_enabled(Enabled::kOff);
}

int Loop::dispatch_exit() {
  if (exits_.empty()) {
    state_ = State::kFinished;
    return 0;
  }
  Source& source = *exits_.top();
  ++iteration_;
  state_ = State::kExiting;
  if (source.enabled_ == Enabled::kOneshot) (void)source.set_enabled(Enabled::kOff);
  pend_posts();  // Nothing will dispatch them any more, but they are said to be pending.
  const int r = call(source, [&] { return source.fire(); });
  if (r >= 0) pend_posts();
  state_ = State::kInitial;
  return r < 0 ? r : 1;
}

int Loop::run(Usec timeout, Suspend suspend) {
  Hold hold(*this);
  return settle(iterate(timeout, suspend));
}

// While the caller is suspended others may use the loop, which is between two iterations then.
int Loop::sleep_suspended(Usec timeout, Suspend suspend) {
  int r = settle(sleep(0));
  if (r != 0) return r;
  r = suspend(lend_fd(), timeout);
  if (r < 0) return r;
  if (state_ != State::kInitial) return -EBUSY;
  r = begin_iteration();
  return r == 0 ? sleep(0) : r;
}

int Loop::iterate(Usec timeout, Suspend suspend) {
  int r = begin_iteration();
  if (r == 0) r = suspend && timeout > 0 ? sleep_suspended(timeout, suspend) : sleep(timeout);
  if (r <= 0) return r;
  r = dispatch_best();
  return r < 0 ? r : 1;
}

int Loop::run_until_finished(Suspend suspend) {
  Hold hold(*this);
  while (state_ != State::kFinished) {
    if (const int r = iterate(kForever, suspend); r < 0) return r;
  }
  return exit_code_;
}

void Loop::exit(int code) {
  exit_requested_ = true;
  exit_code_ = code;
}

int Loop::lend_fd() {
  if (!lent_) poller_.for_each_source([](Source& source) { source.loop_lent(); });
  lent_ = true;
  // From now on others look at it, too.
  if (state_ == State::kInitial || state_ == State::kArmed || state_ == State::kPending) poller_.set_eager(true);
  poller_.flush();
  return poller_.lend();
}

int Loop::exit_by_default(const Source& source) {
  exit(static_cast<int>(reinterpret_cast<intptr_t>(source.userdata)));
  return 0;
}

int Loop::set_signal_exit(bool on) {
  constexpr int kSignals[2] = {SIGINT, SIGTERM};
  if (on == (exit_signals_[0] != nullptr)) return 0;
  for (int i = 0; i < 2 && on; ++i) {
    Source* added = nullptr;
    const int r = SignalSource::add(*this, &added, kSignals[i] | SignalSource::kBlock, nullptr, nullptr);
    if (r < 0) {
      if (i > 0) release_exit_signal(exit_signals_[0]);
      return r;
    }
    added->set_floating(true);
    added->unref();  // The loop's reference is left: it owns the source, which does not keep it.
    exit_signals_[i] = added;
  }
  if (!on)
    for (Source*& source : exit_signals_) release_exit_signal(source);
  return 1;
}

void Loop::release_exit_signal(Source*& source) {
  source->unref();
  source = nullptr;
}

// What the clock says. Never before the time of the iteration, which it becomes if that was not asked for yet: a rate
// limit that counts from here ends no sooner than `now` and its interval say.
Usec Loop::current_time() {
  const Usec current = read_clock(CLOCK_MONOTONIC);
  if ((known_times_ & kMonotonicKnown) == 0) {
    // A wake-up whose time was not noted exactly is at least known to be no later than this.
    const Usec awake_by = (known_times_ & kAwakeKnown) != 0 ? to_usec(awake_) + kCoarseness : kForever;
    monotonic_ = current < awake_by ? current : awake_by;
  }
  known_times_ |= kMonotonicKnown;
  return current;
}

Usec Loop::monotonic_now() {
  if ((known_times_ & kMonotonicKnown) == 0) (void)current_time();
  return monotonic_;
}

int Loop::now(clockid_t id, Usec* ret) {
  time_wanted_ = true;
  return time_now(id, ret);
}

int Loop::time_now(clockid_t id, Usec* ret) {
  if (id == CLOCK_REALTIME_ALARM) id = CLOCK_REALTIME;
  if (id == CLOCK_BOOTTIME_ALARM) id = CLOCK_BOOTTIME;
  if (!ever_asked_) {
    *ret = read_clock(id);
    return 1;
  }
  const Usec then = monotonic_now();
  if (id == CLOCK_MONOTONIC) {
    *ret = then;
    return 0;
  }
  // The other clocks are not read at each wake-up: what they said then follows from how long ago that is.
  const size_t which = id == CLOCK_BOOTTIME;
  const uint8_t known = which == 0 ? kRealtimeKnown : kBoottimeKnown;
  if ((known_times_ & known) == 0) {
    const Usec passed = read_clock(CLOCK_MONOTONIC) - then;
    const Usec current = read_clock(id);
    realtime_and_boottime_[which] = current > passed ? current - passed : 0;
    known_times_ |= known;
  }
  *ret = realtime_and_boottime_[which];
  return 0;
}

int Loop::add_to_now(clockid_t id, Usec span, Usec* ret) {
  if (span == kForever) {
    *ret = kForever;
    return 0;
  }
  Usec current = 0;
  (void)now(id, &current);
  if (span >= kForever - current) return -EOVERFLOW;
  *ret = current + span;
  return 0;
}

int Loop::set_watchdog(bool on) {
  if (on == watchdog_.on()) return on;
  if (!on) {
    watchdog_.stop();
    return 0;
  }
  Usec period = 0;
  if (const int r = watchdog_enabled(&period); r <= 0) return r;
  if (const int r = clocks_.open(clocks_.monotonic(), poller_); r < 0) return r;
  watchdog_.start(period, read_clock(CLOCK_MONOTONIC));
  return 1;
}

void Loop::count_busy(const Source& source, int change) {
  if (source.keeps_loop_busy()) n_busy_ += static_cast<uint64_t>(static_cast<int64_t>(change));
}

}  // namespace evenkeel
