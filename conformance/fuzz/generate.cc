// SPDX-License-Identifier: MIT
//
// See generate.h.
//
// Idea: first sources are added, then operations are drawn by weight, some of them into callbacks. A program leaves out
// most kinds of operations that are rare or that end everything, each with a probability of its own ("swarm"): programs
// that do few things often find more than programs that do everything once.
#include "generate.h"

#include <vector>

namespace evenkeel::fuzz {

namespace {

struct Row {
  const char* name;
  unsigned weight;
  unsigned where;
  unsigned modes;
  unsigned count;
  unsigned ranges[kMostArguments];
};

constexpr Row kRows[] = {
#define X(name, weight, where, modes, count, a, b, c, d) {#name, weight, where, modes, count, {a, b, c, d}},
    FUZZ_OPERATIONS(X)
#undef X
};

// splitmix64: small, and the same everywhere.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  unsigned below(unsigned n) {
    state_ += 0x9e3779b97f4a7c15u;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return static_cast<unsigned>((z ^ (z >> 31)) >> 32) % n;
  }
  bool one_in(unsigned n) { return below(n) == 0; }

 private:
  uint64_t state_;
};

bool fits(const Row& row, unsigned modes, Where where) {
  const unsigned kinds = kStrict | kLazy | kTies;
  if (!(row.where & where) || !(row.modes & modes & kinds)) return false;
  return !(row.modes & kTimed) || (modes & kTimed);
}

// What an operation is mostly about: an argument of what has been added by another one, and what becomes of it.
struct Target {
  unsigned name;
  unsigned added_by;
  unsigned argument;
  unsigned divisor;
};

constexpr Target kTargets[] = {
    {kOperation_feed, kOperation_add_io, 1, 2},
    {kOperation_drain, kOperation_add_io, 1, 2},
    {kOperation_send_signal, kOperation_add_signal, 1, 1},
    {kOperation_end_child, kOperation_add_child, 0, 1},
    {kOperation_stop_child, kOperation_add_child, 0, 1},
    {kOperation_continue_child, kOperation_add_child, 0, 1},
    {kOperation_set_process_own, kOperation_add_child, 0, 1},
    {kOperation_send_child_signal, kOperation_add_child, 0, 1},
    {kOperation_set_io_events, kOperation_add_io, 0, 1},
    {kOperation_set_io_fd, kOperation_add_io, 0, 1},
    {kOperation_set_io_fd_owned, kOperation_add_io, 0, 1},
    {kOperation_set_time, kOperation_add_time, 0, 1},
    {kOperation_set_time_relative, kOperation_add_time, 0, 1},
    {kOperation_set_time_near, kOperation_add_time, 0, 1},
    {kOperation_set_ratelimit_near, kOperation_set_ratelimit_expire, 0, 1},
    {kOperation_set_ratelimit_expire, kOperation_add_io, 0, 1},
    {kOperation_set_destroy, kOperation_unref, 0, 1},
};

class Generator {
 public:
  explicit Generator(uint64_t seed) : random_(seed) {}

  Program make() {
    draw_modes();
    draw_weights();
    const unsigned n_adds = 3 + random_.below(8);
    for (unsigned i = 0; i < n_adds; ++i) add(draw(outside_, kOperation_add_io, kOperation_add_exit), kNowhere);
    if (program_.modes & kTimed) draw_limits();
    const unsigned n = 20 + random_.below(random_.one_in(4) ? 300 : 100);
    const unsigned inside = random_.below(4) * 12;
    while (program_.count < n + n_adds && program_.count < kMostOperations) {
      if (random_.below(100) < inside) {
        draw_inside();
      } else {
        unsigned name = draw(outside_, 0, kOperationCount - 1);
        // What is after the end of the loop says little.
        if (ends(name) && program_.count < n * 3 / 4) name = draw(outside_, 0, kOperationCount - 1);
        add(name, kNowhere);
      }
    }
    return program_;
  }

 private:
  static bool ends(unsigned name) {
    return name == kOperation_exit_loop || name == kOperation_run_to_end || name == kOperation_drop_loop;
  }

  void draw_modes() {
    const unsigned kind = random_.below(8);
    program_.modes = kind < 4 ? kStrict : kind < 6 ? kLazy : kTies;
    if (program_.modes != kTies && random_.one_in(5)) program_.modes |= kTimed;
    if (random_.one_in(6)) program_.modes |= kDefaultLoop;
    if (random_.one_in(3)) program_.modes |= kLoopFirst;
  }

  void draw_weights() {
    for (unsigned i = 0; i < kOperationCount; ++i) {
      const Row& row = kRows[i];
      // What is weighty is what makes loops run; the others are there or not.
      const bool there = row.weight >= 24 || !random_.one_in(3);
      const bool often = random_.one_in(5);
      const unsigned weight = there ? row.weight * (often ? 4 : 1) : 0;
      outside_.push_back(fits(row, program_.modes, kOutside) ? weight : 0);
      inside_.push_back(fits(row, program_.modes, kInside) ? weight : 0);
    }
    // 252 hangs upon an inotify event that nobody wants; most programs shall say something about the rest.
    if (!random_.one_in(4)) outside_[kOperation_add_inotify] = inside_[kOperation_add_inotify] = 0;
    if (outside_[kOperation_add_inotify] == 0) outside_[kOperation_touch] = inside_[kOperation_touch] = 0;
    // kAvoidSignalBesideChild
    if (random_.one_in(2)) {
      outside_[kOperation_add_child] = inside_[kOperation_add_child] = 0;
    } else {
      outside_[kOperation_add_signal] = inside_[kOperation_add_signal] = 0;
      outside_[kOperation_set_signal_exit] = inside_[kOperation_set_signal_exit] = 0;
    }
    if (program_.modes & kTies)
      for (unsigned i = 0; i < kOperationCount; ++i) inside_[i] = i == kOperation_fail ? 1 : 0;
  }

  // Rate limits that end during the program, with and without a callback for it; by chance alone they are too rare.
  void draw_limits() {
    for (unsigned i = random_.below(4); i > 0; --i) {
      const unsigned limit = program_.count;
      add(kOperation_set_ratelimit_near, kNowhere);
      program_.operations[limit].args[0] = program_.operations[random_.below(limit)].args[0];
      if (random_.one_in(2)) continue;
      add(kOperation_set_ratelimit_expire, kNowhere);
      program_.operations[limit + 1].args[0] = program_.operations[limit].args[0];
      program_.operations[limit + 1].args[1] = 1;
    }
  }

  // An operation of `from` to `to` by weight.
  unsigned draw(const std::vector<unsigned>& weights, unsigned from, unsigned to) {
    unsigned sum = 0;
    for (unsigned i = from; i <= to; ++i) sum += weights[i];
    if (sum == 0) return from;
    unsigned at = random_.below(sum);
    for (unsigned i = from; i <= to; ++i) {
      if (at < weights[i]) return i;
      at -= weights[i];
    }
    return to;
  }

  void add(unsigned name, unsigned context, unsigned slot = 0, unsigned call = 0) {
    if (program_.count == kMostOperations) return;
    Operation& o = program_.operations[program_.count++];
    o = Operation{static_cast<uint8_t>(name),
                  static_cast<uint8_t>(context),
                  static_cast<uint8_t>(slot),
                  static_cast<uint8_t>(call),
                  {}};
    for (unsigned i = 0; i < kRows[name].count; ++i)
      o.args[i] = static_cast<uint8_t>(random_.below(kRows[name].ranges[i]));
    if (random_.below(4) > 0) aim(o);
    // In a callback much is about its own source.
    if (context != kNowhere && kRows[name].count > 0 && kRows[name].ranges[0] == kSlots && random_.one_in(3))
      o.args[0] = static_cast<uint8_t>(slot);
  }

  // Lets the operation be about something that is there.
  void aim(Operation& o) {
    for (const Target& target : kTargets) {
      if (target.name != o.name) continue;
      std::vector<unsigned> known;
      for (unsigned i = 0; i + 1 < program_.count; ++i)
        if (program_.operations[i].name == target.added_by)
          known.push_back(program_.operations[i].args[target.argument] / target.divisor);
      if (!known.empty()) o.args[0] = static_cast<uint8_t>(known[random_.below(static_cast<unsigned>(known.size()))]);
    }
  }

  void draw_inside() {
    static constexpr unsigned kOthers[] = {kPrepared, kExpired, kDestroyed};
    const unsigned kind = random_.below(9);
    const unsigned context = kind < 6 || (program_.modes & kTies) ? unsigned{kDispatched} : kOthers[kind - 6];
    const unsigned slot = random_.below(kSlots);
    const unsigned call = 1 + random_.below(4);
    const unsigned n = 1 + random_.below(3);
    for (unsigned i = 0; i < n; ++i) add(draw(inside_, 0, kOperationCount - 1), context, slot, call);
  }

  Random random_;
  Program program_ = {};
  std::vector<unsigned> outside_;
  std::vector<unsigned> inside_;
};

std::string call_of(const Operation& o) {
  std::string text = std::string("DO(") + kRows[o.name].name + "(";
  for (unsigned i = 0; i < kRows[o.name].count; ++i) text += (i ? ", " : "") + std::to_string(o.args[i]);
  return text + "));\n";
}

const char* name_of(unsigned context) {
  static constexpr const char* kNames[] = {"kNowhere", "kDispatched", "kPrepared", "kExpired", "kDestroyed"};
  return kNames[context];
}

std::string modes_of(const Program& program) {
  constexpr struct {
    unsigned mode;
    const char* name;
  } kNames[] = {{kStrict, "kStrict"},           {kLazy, "kLazy"},          {kTies, "kTies"}, {kTimed, "kTimed"},
                {kDefaultLoop, "kDefaultLoop"}, {kLoopFirst, "kLoopFirst"}};
  std::string text;
  for (const auto& [mode, name] : kNames)
    if (program.modes & mode) text += (text.empty() ? "" : " | ") + std::string(name);
  return text;
}

}  // namespace

Program generate(uint64_t seed, unsigned release) {
  Program program = Generator(seed).make();
  program.release = release;
  return program;
}

std::string describe(const Program& program) {
  return modes_of(program) + ", " + std::to_string(program.count) + " operations";
}

std::string as_c(const Program& program, const std::string& comment) {
  std::string text = "// " + comment +
                     "\n// cc -std=gnu11 -D_GNU_SOURCE -I conformance/fuzz -I include PROGRAM.c -lsystemd\n"
                     "#include \"runtime.h\"\n\n"
                     "static void run_inside(enum Context context, int slot, unsigned call) {\n"
                     "  (void)context;\n  (void)slot;\n  (void)call;\n";
  for (unsigned i = 0; i < program.count; ++i) {
    const Operation& o = program.operations[i];
    if (o.context == kNowhere) continue;
    text += std::string("  if (context == ") + name_of(o.context) + " && slot == " + std::to_string(o.slot) +
            " && call == " + std::to_string(o.call) + ") " + call_of(o);
  }
  text += "}\n\nint main(void) {\n  begin(" + modes_of(program) + ", " + std::to_string(program.release) + ");\n";
  for (unsigned i = 0; i < program.count; ++i)
    if (program.operations[i].context == kNowhere) text += "  " + call_of(program.operations[i]);
  return text + "  return print_and_end();\n}\n";
}

}  // namespace evenkeel::fuzz
