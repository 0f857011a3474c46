// SPDX-License-Identifier: MIT
//
// Runs programs on both libraries and judges; shortens a program for which they differ.
//
// Idea of the verdict: both programs came to their end, and with equal traces, after ties are sorted. Where the
// reference hangs, what went before is compared, and the hang must go away when no file is touched: 252 hangs upon
// inotify events that nobody wants, and any other hang is a difference.
//
// Idea of the shortening: operations are left out, in pieces that become smaller (delta debugging), as long as the
// verdict stays "different". Nothing is drawn anew: a program is a list.
//
// A difference must show three times in a row, with longer times and limits each time; else it is counted as unsteady.
// Where the machine stalled, so that what was to be in the future was past too soon, both are run again, with longer
// times. Ownership: a `Runner` has the process that it started, and ends it by closing its input.
#pragma once

#include <sys/types.h>

#include <string>

#include "generate.h"

namespace evenkeel::fuzz {

struct Outcome {
  int status = 0;
  std::string trace;
};

class Runner {
 public:
  // `by` starts the program, by its path, on other libraries than the machine's; it may be empty, as may `preload`.
  Runner(const std::string& program, const std::string& by, const std::string& preload);
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;
  ~Runner();

  // The file of the library that its calls are bound to.
  const std::string& library() const { return library_; }
  Outcome run(const Program& program);

 private:
  pid_t pid_ = -1;
  int to_ = -1;
  int from_ = -1;
  std::string library_;
};

enum class Verdict { kSame, kReferenceHangs, kStalled, kUnsteady, kDifferent };

class Comparer {
 public:
  Comparer(Runner& reference, Runner& ours) : reference_(reference), ours_(ours) {}

  Verdict judge(const Program& program);
  // What differed in the last judgement: the first lines that do.
  const std::string& explanation() const { return explanation_; }
  Program shorten(Program program);

 private:
  Verdict judge_once(const Program& program);
  Verdict judge_patiently(Program program);
  bool differs(const Program& program) { return judge(program) == Verdict::kDifferent; }
  void explain(const Outcome& reference, const Outcome& ours);

  Runner& reference_;
  Runner& ours_;
  std::string explanation_;
};

}  // namespace evenkeel::fuzz
