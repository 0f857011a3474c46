// SPDX-License-Identifier: MIT
//
// Random programs on a loop and on a naive model of it.
//
// Idea: the model is a vector of what is pending, sorted by priority and then by the iteration in which it became so,
// and is searched from the front; the engine has levels, heaps and lists. A program adds, frees, enables, disables and
// reorders sources, makes descriptors ready and timers due, from outside and from inside callbacks, and runs
// iterations. After each step both agree on who is pending and who was dispatched, and `check_invariants` holds.
//
// What one report of the kernel made pending has no order among itself that a program could rely on; the model lets any
// of such a group go first. Everything else has exactly one order.
//
// Apart from the model, one promise is tested by looking at the world itself: no source is ever dispatched while a
// source of better priority is on and ready.
//
// Seeds are fixed. A failing one is named with the steps up to the failure.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <sstream>
#include <vector>

#include "src/testing.h"

namespace evenkeel {
namespace {

constexpr Priority kPriorities[] = {INT64_MIN, -1, 0, 0, 0, 1, 100, INT64_MAX};

enum class Sort { kDefer, kIo, kTime, kPost };
constexpr char kSortLetters[] = "diTp";

struct Entry {
  Sort sort = Sort::kDefer;
  int number = 0;
  Source* source = nullptr;
  std::unique_ptr<test::EventFd> event = nullptr;
  bool ready = false;  // The descriptor is readable, the time has come.
  Priority priority = 0;
  Enabled enabled = Enabled::kOff;
  uint64_t since = 0;  // When it became pending; 0 if it is not.
  uint64_t group = 0;

  bool on() const { return enabled != Enabled::kOff; }
  bool watched() const { return sort == Sort::kIo || sort == Sort::kTime; }
};

class Program {
 public:
  explicit Program(unsigned seed) : random_(seed) { EXPECT_EQ(Loop::create(&loop_), 0); }
  ~Program() {
    for (const auto& entry : entries_) entry->source->unref();
    loop_->unref();
  }

  // False after a failure.
  bool run(int n_steps) {
    for (int step = 0; step < n_steps; ++step) {
      if (pick(3) == 0)
        iterate();
      else
        change();
      if (!agree()) return false;
    }
    return true;
  }

  std::string log() const { return log_.str(); }

 private:
  unsigned pick(size_t n) { return static_cast<unsigned>(random_() % n); }
  Priority pick_priority() { return kPriorities[pick(std::size(kPriorities))]; }

  Entry* pick_entry() { return entries_.empty() ? nullptr : entries_[pick(entries_.size())].get(); }

  void note(const char* what, const Entry& entry) {
    log_ << ' ' << what << ':' << kSortLetters[static_cast<int>(entry.sort)] << entry.number << '@' << entry.priority;
  }

  // --- The model's queue: nobody keeps it sorted, who wants the first looks for it. ---

  void push(Entry& entry, uint64_t group) {
    if (entry.since != 0) return;
    entry.since = loop_->iteration() + 1;  // 0 means not pending.
    entry.group = group;
    queue_.push_back(&entry);
  }
  void drop(Entry& entry) {
    entry.since = 0;
    queue_.erase(std::remove(queue_.begin(), queue_.end(), &entry), queue_.end());
  }
  // Of the best priority, those that became pending in the earliest iteration, in the order in which they were pushed.
  std::vector<Entry*> first_ones() const {
    std::vector<Entry*> best;
    for (Entry* entry : queue_) {
      if (!best.empty()) {
        const Entry& top = *best.front();
        if (entry->priority > top.priority) continue;
        if (entry->priority == top.priority && entry->since > top.since) continue;
        if (entry->priority < top.priority || entry->since < top.since) best.clear();
      }
      best.push_back(entry);
    }
    // Groups stand as they came; the first of them may go in any order.
    size_t n = 0;
    while (n < best.size() && best[n]->group == best.front()->group) ++n;
    best.resize(n);
    return best;
  }

  // --- What the loop's iteration does. ---

  // The kernel's news reach the queue: all of them when nothing is pending; else those of better priority, and of the
  // same when the first of it became pending after the kernel was last asked about everything.
  void ask() {
    const std::vector<Entry*> first = first_ones();
    if (first.empty()) return ask_everything();
    const Priority bound = first.front()->priority;
    const bool inclusive = first.front()->since > asked_in_;
    const auto asked = [&](const Entry& entry) {
      return entry.on() && (entry.priority < bound || (inclusive && entry.priority == bound));
    };
    // Of two that are new at one priority, only the whole question tells which was first.
    std::map<Priority, int> n_fresh;
    for (const auto& entry : entries_)
      if (entry->sort == Sort::kIo && entry->ready && entry->since == 0 && asked(*entry)) ++n_fresh[entry->priority];
    for (const auto& [priority, n] : n_fresh)
      if (n > 1) return ask_everything();
    for (const auto& entry : entries_)
      if (entry->sort == Sort::kIo && entry->ready && asked(*entry)) push(*entry, ++last_group_);
    // The clock is looked at where a timer could go first. One that is due and could not go first must not overtake
    // what the kernel has.
    bool timers = false;
    bool others = false;
    for (const auto& entry : entries_) {
      if (entry->sort != Sort::kTime) continue;
      timers = timers || asked(*entry);
      others = others || (entry->on() && entry->ready && entry->since == 0 && !asked(*entry));
    }
    if (timers && others) return ask_everything();
    push_due_timers(bound, inclusive);
  }

  void ask_everything() {
    const uint64_t group = ++last_group_;
    for (const auto& entry : entries_)
      if (entry->sort == Sort::kIo && entry->on() && entry->ready) push(*entry, group);
    push_due_timers(INT64_MAX, true);
    asked_in_ = loop_->iteration() + 1;
  }

  void push_due_timers(Priority bound, bool inclusive) {
    const uint64_t group = ++last_group_;
    for (const auto& entry : entries_) {
      const bool asked = entry->priority < bound || (inclusive && entry->priority == bound);
      if (entry->sort == Sort::kTime && entry->on() && entry->ready && asked) push(*entry, group);
    }
  }

  void pend_posts() {
    // In the order in which they were turned on.
    for (Entry* post : posts_) push(*post, ++last_group_);
  }

  // The engine has chosen `entry`; says whether that was right.
  void dispatched(Entry& entry) {
    log_ << " ->";
    note("run", entry);
    const std::vector<Entry*> first = first_ones();
    EXPECT_NE(std::find(first.begin(), first.end(), &entry), first.end())
        << "the model would have dispatched " << (first.empty() ? -1 : first.front()->number) << ", not "
        << entry.number;
    for (const auto& other : entries_) {
      if (other->watched() && other->on() && other->ready) {
        EXPECT_GE(other->priority, entry.priority) << other->number << " is better than " << entry.number;
      }
    }
    drop(entry);
    if (entry.sort == Sort::kDefer && entry.enabled == Enabled::kOn) push(entry, ++last_group_);
    if (entry.sort != Sort::kPost) pend_posts();
    if (entry.enabled == Enabled::kOneshot) turn(entry, Enabled::kOff);
  }

  int callback(Source* source) {
    ++n_dispatched_;
    Entry* entry = nullptr;
    for (const auto& candidate : entries_)
      if (candidate->source == source) entry = candidate.get();
    if (!entry) {
      ADD_FAILURE() << "a source that was freed is dispatched";
      return 0;
    }
    const Sort sort = entry->sort;
    dispatched(*entry);
    EXPECT_TRUE(loop_->check_invariants());
    log_ << " {";
    for (unsigned n = pick(4); n > 0; --n) change();
    log_ << " }";
    if (sort != Sort::kPost) pend_posts();
    return 0;
  }

  void iterate() {
    log_ << "\n  iterate";
    n_dispatched_ = 0;
    const int prepared = loop_->prepare();
    if (prepared > 0) ask();
    EXPECT_EQ(prepared > 0, !queue_.empty());
    if (prepared == 0) {
      const int waited = loop_->wait(0);
      ask();
      EXPECT_EQ(waited > 0, !queue_.empty());
      if (waited <= 0) return;
    }
    EXPECT_EQ(loop_->dispatch(), 1);
    EXPECT_EQ(n_dispatched_, 1);
  }

  // --- Changes that a program makes. ---

  void change() {
    Entry* entry = pick_entry();
    if (!entry || (entries_.size() < 14 && pick(6) == 0)) return add();
    switch (pick(8)) {
      case 0:
        return release(*entry);
      case 1:
      case 2:
        return set_enabled(*entry);
      case 3:
        return set_priority(*entry);
      default:
        return set_ready(*entry);
    }
  }

  void add() {
    auto entry = std::make_unique<Entry>();
    entry->sort = static_cast<Sort>(pick(4));
    entry->number = n_added_++;
    int r = -1;
    const auto call = [](Source* source, void* program) { return static_cast<Program*>(program)->callback(source); };
    const auto on_io = [](Source* source, int, uint32_t, void* program) {
      return static_cast<Program*>(program)->callback(source);
    };
    const auto on_time = [](Source* source, Usec, void* program) {
      return static_cast<Program*>(program)->callback(source);
    };
    switch (entry->sort) {
      case Sort::kDefer:
        r = DeferSource::add(*loop_, &entry->source, call, this);
        break;
      case Sort::kPost:
        r = PostSource::add(*loop_, &entry->source, call, this);
        break;
      case Sort::kIo:
        entry->event = std::make_unique<test::EventFd>();
        r = IoSource::add(*loop_, &entry->source, entry->event->fd(), EPOLLIN, on_io, this);
        break;
      case Sort::kTime:
        entry->ready = pick(2) == 0;
        r = TimeSource::add(*loop_, &entry->source, CLOCK_MONOTONIC, entry->ready ? 1 : kForever, 1, on_time, this);
        break;
    }
    EXPECT_EQ(r, 0);
    note("add", *entry);
    turn(*entry, entry->source->enabled());
    entries_.push_back(std::move(entry));
  }

  void release(Entry& entry) {
    note("free", entry);
    turn(entry, Enabled::kOff);
    entry.source->unref();
    entries_.erase(std::find_if(entries_.begin(), entries_.end(), [&](const auto& e) { return e.get() == &entry; }));
  }

  // The model's part of turning a source on or off.
  void turn(Entry& entry, Enabled enabled) {
    const bool was_on = entry.on();
    entry.enabled = enabled;
    if (!entry.on()) {
      drop(entry);
      posts_.erase(std::remove(posts_.begin(), posts_.end(), &entry), posts_.end());
    } else if (!was_on) {
      if (entry.sort == Sort::kDefer) push(entry, ++last_group_);
      if (entry.sort == Sort::kPost) posts_.push_back(&entry);
    }
  }

  void set_enabled(Entry& entry) {
    constexpr Enabled kAll[] = {Enabled::kOff, Enabled::kOn, Enabled::kOneshot};
    const Enabled enabled = kAll[pick(3)];
    note(enabled == Enabled::kOff ? "off" : enabled == Enabled::kOn ? "on" : "once", entry);
    EXPECT_EQ(entry.source->set_enabled(enabled), 0);
    turn(entry, enabled);
  }

  void set_priority(Entry& entry) {
    note("move", entry);
    const Priority priority = pick_priority();
    log_ << "->" << priority;
    EXPECT_EQ(entry.source->set_priority(priority), 0);
    if (priority == entry.priority) return;
    entry.priority = priority;
    if (entry.since == 0) return;
    // Behind all of its new priority that are as old.
    entry.group = ++last_group_;
    queue_.erase(std::remove(queue_.begin(), queue_.end(), &entry), queue_.end());
    queue_.push_back(&entry);
  }

  void set_ready(Entry& entry) {
    if (entry.sort == Sort::kIo) {
      note(entry.ready ? "clear" : "set", entry);
      entry.ready ? entry.event->clear() : entry.event->set();
      entry.ready = !entry.ready;
    } else if (entry.sort == Sort::kTime) {
      note(entry.ready ? "never" : "due", entry);
      entry.ready = !entry.ready;
      drop(entry);
      static_cast<TimeSource*>(entry.source)->set_time(entry.ready ? 1 : kForever);
    }
  }

  bool agree() {
    EXPECT_TRUE(loop_->check_invariants());
    for (const auto& entry : entries_) {
      EXPECT_EQ(entry->source->is_pending(), entry->since != 0) << "source " << entry->number;
      EXPECT_EQ(entry->source->enabled(), entry->enabled) << "source " << entry->number;
      EXPECT_EQ(entry->source->priority(), entry->priority) << "source " << entry->number;
    }
    EXPECT_EQ(loop_->poller().n_sources(), entries_.size());
    return !::testing::Test::HasFailure();
  }

  std::mt19937 random_;
  Loop* loop_ = nullptr;
  std::vector<std::unique_ptr<Entry>> entries_;
  std::vector<Entry*> queue_;
  std::vector<Entry*> posts_;
  uint64_t last_group_ = 0;
  uint64_t asked_in_ = 1;  // What is there before the first iteration is as old as anything.
  int n_added_ = 0;
  int n_dispatched_ = 0;
  std::ostringstream log_;
};

TEST(Model, random_programs_do_what_the_naive_model_does) {
  const int n_fds = test::count_fds();
  for (unsigned seed = 1; seed <= 300; ++seed) {
    Program program(seed);
    if (!program.run(250)) {
      FAIL() << "seed " << seed << ", steps:" << program.log();
    }
  }
  EXPECT_EQ(test::count_fds(), n_fds);
}

}  // namespace
}  // namespace evenkeel
