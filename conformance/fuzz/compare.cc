// SPDX-License-Identifier: MIT
//
// See compare.h.
#include "compare.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <sstream>
#include <vector>

namespace evenkeel::fuzz {

namespace {

[[noreturn]] void give_up(const char* what) {
  std::perror(what);
  std::exit(2);
}

void read_all(int fd, void* data, size_t size) {
  for (char* at = static_cast<char*>(data); size > 0;) {
    const ssize_t n = read(fd, at, size);
    if (n <= 0) give_up("a runner has died");
    at += n;
    size -= static_cast<size_t>(n);
  }
}

// Lines `~group what` of one stretch may change places with those of their group.
std::string sort_ties(const std::string& trace) {
  std::vector<std::string> lines;
  std::istringstream in(trace);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  std::map<std::string, std::vector<size_t>> groups;
  const auto put_in_order = [&] {
    for (auto& [group, places] : groups) {
      std::vector<std::string> members;
      for (const size_t place : places) members.push_back(lines[place]);
      std::sort(members.begin(), members.end());
      for (size_t i = 0; i < places.size(); ++i) lines[places[i]] = members[i];
    }
    groups.clear();
  };
  for (size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].starts_with('~')) groups[lines[i].substr(0, lines[i].find(' '))].push_back(i);
    // A stretch ends where everything has been run; what is partly run goes on in the next one.
    if (lines[i].starts_with("  all:")) put_in_order();
  }
  put_in_order();
  std::string sorted;
  for (const std::string& line : lines) sorted += line + "\n";
  return sorted;
}

bool hangs(const Outcome& outcome) {
  return WIFSIGNALED(outcome.status) && (WTERMSIG(outcome.status) == SIGPROF || WTERMSIG(outcome.status) == SIGALRM);
}

Program without(const Program& program, unsigned from, unsigned count) {
  Program rest = program;
  rest.count = 0;
  for (unsigned i = 0; i < program.count; ++i)
    if (i < from || i >= from + count) rest.operations[rest.count++] = program.operations[i];
  return rest;
}

Program without_touches(const Program& program) {
  Program rest = program;
  rest.count = 0;
  for (unsigned i = 0; i < program.count; ++i)
    if (program.operations[i].name != kOperation_touch) rest.operations[rest.count++] = program.operations[i];
  return rest;
}

std::string status_text(int status) {
  if (WIFSIGNALED(status)) return std::string("died of ") + strsignal(WTERMSIG(status));
  return "exited with " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

Runner::Runner(const std::string& program, const std::string& by, const std::string& preload) {
  int to[2];
  int from[2];
  if (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0) give_up("pipe2");
  pid_ = fork();
  if (pid_ < 0) give_up("fork");
  if (pid_ == 0) {
    dup2(to[0], STDIN_FILENO);
    dup2(from[1], STDOUT_FILENO);
    if (!std::getenv("EVENKEEL_FUZZ_STDERR")) dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
    // It ends with its input, so that what it is at can be finished.
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    if (!preload.empty()) setenv("LD_PRELOAD", preload.c_str(), 1);
    if (by.empty())
      execl(program.c_str(), program.c_str(), nullptr);
    else
      execl(by.c_str(), by.c_str(), program.c_str(), nullptr);
    _exit(127);
  }
  close(to[0]);
  close(from[1]);
  to_ = to[1];
  from_ = from[0];
  for (char c = 0;;) {
    read_all(from_, &c, 1);
    if (c == '\n') break;
    library_ += c;
  }
}

Runner::~Runner() {
  close(to_);
  close(from_);
  waitpid(pid_, nullptr, 0);
}

Outcome Runner::run(const Program& program) {
  const char* at = reinterpret_cast<const char*>(&program);
  for (size_t left = sizeof(program); left > 0;) {
    const ssize_t n = write(to_, at, left);
    if (n <= 0) give_up("a runner has died");
    at += n;
    left -= static_cast<size_t>(n);
  }
  int32_t head[2];
  read_all(from_, head, sizeof(head));
  Outcome outcome{head[0], std::string(static_cast<size_t>(head[1]), '\0')};
  read_all(from_, outcome.trace.data(), outcome.trace.size());
  return outcome;
}

void Comparer::explain(const Outcome& reference, const Outcome& ours) {
  std::istringstream a(reference.trace);
  std::istringstream b(ours.trace);
  explanation_ = "reference " + status_text(reference.status) + ", ours " + status_text(ours.status) + "\n";
  std::vector<std::string> before;
  for (std::string x, y;;) {
    const bool more_x = static_cast<bool>(std::getline(a, x));
    const bool more_y = static_cast<bool>(std::getline(b, y));
    if (!more_x && !more_y) return;
    // Of the model (model.h), which is right even where both libraries are not.
    const bool right = x.find("WRONG") == std::string::npos;
    if (more_x == more_y && x == y && right) {
      before.push_back(x);
      continue;
    }
    for (size_t i = before.size() > 6 ? before.size() - 6 : 0; i < before.size(); ++i)
      explanation_ += "    " + before[i] + "\n";
    explanation_ += "  reference: " + (more_x ? x : "(end)") + "\n  ours:      " + (more_y ? y : "(end)") + "\n";
    return;
  }
}

Verdict Comparer::judge_once(const Program& program) {
  Outcome reference = reference_.run(program);
  Outcome ours = ours_.run(program);
  if (program.modes & kTies) {
    reference.trace = sort_ties(reference.trace);
    ours.trace = sort_ties(ours.trace);
  }
  const auto stalled = [](const Outcome& o) { return o.trace.find("\nstalled\n") != std::string::npos; };
  if (stalled(reference) || stalled(ours)) return Verdict::kStalled;
  const bool right = ours.trace.find("WRONG") == std::string::npos;
  if (reference.status == 0 && ours.status == 0 && reference.trace == ours.trace && right) return Verdict::kSame;
  explain(reference, ours);
  if (!hangs(reference) || hangs(ours)) return Verdict::kDifferent;
  const bool same_before = ours.trace.starts_with(reference.trace) || (program.modes & kTies);
  if (!same_before) return Verdict::kDifferent;
  const Outcome calmer = reference_.run(without_touches(program));
  if (stalled(calmer)) return Verdict::kStalled;
  if (hangs(calmer)) return Verdict::kDifferent;
  return Verdict::kReferenceHangs;
}

Verdict Comparer::judge_patiently(Program program) {
  for (unsigned slowness = 0;; ++slowness, program.modes += 1U << kSlowShift) {
    const Verdict verdict = judge_once(program);
    if (verdict != Verdict::kStalled || slowness == kSlowest) return verdict;
  }
}

Verdict Comparer::judge(const Program& program) {
  const Verdict first = judge_patiently(program);
  if (first != Verdict::kDifferent) return first;
  Program calmer = program;
  for (int i = 0; i < 2; ++i) {
    calmer.modes += 1U << kSlowShift;
    if (judge_patiently(calmer) != Verdict::kDifferent) return Verdict::kUnsteady;
  }
  return Verdict::kDifferent;
}

Program Comparer::shorten(Program program) {
  for (unsigned size = std::max(program.count / 2, 1u);;) {
    bool shorter = false;
    for (unsigned from = 0; from < program.count;) {
      const Program rest = without(program, from, size);
      if (rest.count < program.count && differs(rest)) {
        program = rest;
        shorter = true;
      } else {
        from += size;
      }
    }
    if (size == 1 && !shorter) break;
    if (!shorter || size > program.count) size = std::max(std::min(size, program.count) / 2, 1u);
  }
  (void)judge(program);
  return program;
}

}  // namespace evenkeel::fuzz
