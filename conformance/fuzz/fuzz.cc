// SPDX-License-Identifier: MIT
//
// The driver: fuzz SERVE OURS [--release N] [--run PROGRAM]
// [--seeds A-B | --minutes N | --print SEED | --trace SEED | --bytes SEED | --differences] [--jobs N] [--most N]
//
// `SERVE` is the runner (serve.c), linked to libsystemd; `OURS` is our library; `PROGRAM` starts the
// runner on libsystemd of release `N`. Jobs are processes, each with a pair of
// runners and its share of the seeds; each writes its counts to a pipe when it is done. tools/fuzz is the front of
// this.
//
// Exit code: 0 all the same, 1 a difference (its program, shortened, is on standard output), 2 it could not be run.
#include <differences.h>  // Of the conformance tests: the rows of their table.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "compare.h"
#include "differences.h"

namespace {

using namespace evenkeel::fuzz;

struct Counts {
  uint64_t programs = 0;
  uint64_t differences = 0;
  uint64_t hangs = 0;
  uint64_t stalled = 0;
  uint64_t unsteady = 0;
};

// The releases of libsystemd that the table of differences knows. A newer one is taken for the last.
constexpr unsigned kReleases[] = {252, 257, 262};

struct Options {
  std::string serve;
  std::string ours;
  std::string run;  // What starts the runner on another libsystemd than the machine's, unless it is empty.
  unsigned release = kReleases[0];
  uint64_t first = 1;
  uint64_t last = 100;
  double minutes = 0;
  unsigned jobs = 1;
  uint64_t most_differences = 3;  // Of a job, for each takes a while to shorten.
};

// SIGTERM, SIGINT: each job finishes the program that it is at, and the counts are printed.
volatile sig_atomic_t stopped = 0;
std::vector<pid_t> jobs;

void stop(int signo) {
  stopped = 1;
  for (const pid_t job : jobs) kill(job, signo);
}

void report(const Program& program, uint64_t seed, const std::string& explanation) {
  const std::string comment = "seed " + std::to_string(seed) + ", shortened: " + describe(program);
  std::printf("== the libraries differ: seed %llu\n%s%s\n", static_cast<unsigned long long>(seed), explanation.c_str(),
              as_c(program, comment).c_str());
  std::fflush(stdout);
}

Counts work(const Options& options, unsigned job) {
  Runner reference(options.serve, options.run, "");
  Runner ours(options.serve, "", options.ours);
  if (reference.library() == ours.library() || reference.library().find("libsystemd") == std::string::npos) {
    std::fprintf(stderr, "fuzz: calls are bound to %s and %s\n", reference.library().c_str(), ours.library().c_str());
    std::exit(2);
  }
  Comparer comparer(reference, ours);
  Counts counts;
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(options.minutes * 60);
  for (uint64_t seed = options.first + job; counts.differences < options.most_differences; seed += options.jobs) {
    if (stopped || (options.minutes > 0 ? std::chrono::steady_clock::now() >= end : seed > options.last)) break;
    const Program program = generate(seed, options.release);
    const Verdict verdict = comparer.judge(program);
    ++counts.programs;
    if (verdict == Verdict::kReferenceHangs) ++counts.hangs;
    if (verdict == Verdict::kStalled) ++counts.stalled;
    if (verdict == Verdict::kUnsteady) {
      ++counts.unsteady;
      std::printf("unsteady: seed %llu: %s\n", static_cast<unsigned long long>(seed), comparer.explanation().c_str());
      std::fflush(stdout);
    }
    if (verdict != Verdict::kDifferent) continue;
    ++counts.differences;
    const Program shortened = comparer.shorten(program);
    report(shortened, seed, comparer.explanation());
  }
  return counts;
}

int work_in_processes(const Options& options) {
  int results[2];
  if (pipe2(results, O_CLOEXEC) < 0) return 2;
  std::fflush(stdout);
  signal(SIGTERM, stop);
  signal(SIGINT, stop);
  for (unsigned job = 0; job < options.jobs; ++job) {
    const pid_t pid = fork();
    if (pid != 0) {
      jobs.push_back(pid);
    } else {
      jobs.clear();
      close(results[0]);
      const Counts counts = work(options, job);
      _exit(write(results[1], &counts, sizeof(counts)) == sizeof(counts) ? 0 : 2);
    }
  }
  close(results[1]);
  Counts sum;
  unsigned n_done = 0;
  for (Counts counts; read(results[0], &counts, sizeof(counts)) == sizeof(counts); ++n_done) {
    sum.programs += counts.programs;
    sum.differences += counts.differences;
    sum.hangs += counts.hangs;
    sum.stalled += counts.stalled;
    sum.unsteady += counts.unsteady;
  }
  while (wait(nullptr) > 0) continue;
  const auto print = [](uint64_t count, const char* what) {
    std::printf("%llu %s", static_cast<unsigned long long>(count), what);
  };
  print(sum.programs, "programs, ");
  print(sum.differences, "differences, ");
  print(sum.hangs, "times the reference hung upon an unwanted inotify event, ");
  print(sum.stalled, "given up as the machine stalled, ");
  print(sum.unsteady, "unsteady\n");
  if (n_done != options.jobs) return 2;
  return sum.differences > 0 ? 1 : 0;
}

int trace(const Options& options, uint64_t seed) {
  const Program program = generate(seed, options.release);
  const Outcome reference = Runner(options.serve, options.run, "").run(program);
  const Outcome ours = Runner(options.serve, "", options.ours).run(program);
  std::printf("== reference, status %d\n%s== ours, status %d\n%s", reference.status, reference.trace.c_str(),
              ours.status, ours.trace.c_str());
  return 0;
}

// A row of the fuzzer's belongs to one of the table that names each of its releases.
const char* releases_of(const std::string& row) {
#define X(name, releases) \
  if (row == #name) return releases;
  DIFFERENCES(X)
#undef X
  return "";
}

bool all_in_the_table() {
  bool all = true;
  const auto check = [&](const char* name, const std::string& releases, const std::string& known) {
    for (const unsigned release : kReleases) {
      const std::string number = std::to_string(release);
      if (releases.find(number) == std::string::npos || known.find(number) != std::string::npos) continue;
      std::fprintf(stderr, "fuzz: %s: conformance/differences.tsv does not say so of %u\n", name, release);
      all = false;
    }
  };
#define X(name, row, releases, reason) check(#name, releases, releases_of(#row));
  FUZZ_DIFFERENCES(X)
#undef X
  return all;
}

int list_differences() {
  // The row is an enumerator, so that one which is not in the table does not compile.
#define X(name, row, releases, reason) \
  std::printf("%-20s %-20s %-11s %s\n", #name, (static_cast<void>(row), #row), releases, reason);
  FUZZ_DIFFERENCES(X)
#undef X
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3 || !all_in_the_table()) return 2;
  Options options;
  options.serve = argv[1];
  options.ours = argv[2];
  for (int i = 3; i < argc; ++i) {
    const std::string option = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : "";
    if (option == "--differences") return list_differences();
    if (option == "--print") {
      const Program program = generate(std::strtoull(value, nullptr, 0), options.release);
      std::fputs(as_c(program, "seed " + std::string(value) + ": " + describe(program)).c_str(), stdout);
      return 0;
    }
    if (option == "--bytes") {
      // As fuzz/loop_fuzzer.c reads it.
      const Program program = generate(std::strtoull(value, nullptr, 0), options.release);
      const unsigned char head[8] = {static_cast<unsigned char>(program.modes & kLazy ? 0 : 1), 1,
                                     static_cast<unsigned char>(program.modes & (kDefaultLoop | kLoopFirst))};
      std::fwrite(head, 1, sizeof(head), stdout);
      std::fwrite(program.operations, sizeof(Operation), program.count, stdout);
      return 0;
    }
    if (option == "--trace") return trace(options, std::strtoull(value, nullptr, 0));
    ++i;
    if (option == "--seeds") {
      char* rest = nullptr;
      options.first = options.last = std::strtoull(value, &rest, 0);
      if (*rest == '-') options.last = std::strtoull(rest + 1, nullptr, 0);
    } else if (option == "--minutes") {
      options.minutes = std::atof(value);
      options.first = (static_cast<uint64_t>(std::random_device{}()) << 20) + 1000000;
      std::printf("from seed %llu on\n", static_cast<unsigned long long>(options.first));
    } else if (option == "--release") {
      for (const unsigned known : kReleases)
        if (static_cast<unsigned>(std::atoi(value)) >= known) options.release = known;
    } else if (option == "--run") {
      options.run = value;
    } else if (option == "--jobs") {
      options.jobs = static_cast<unsigned>(std::atoi(value));
    } else if (option == "--most") {
      options.most_differences = std::strtoull(value, nullptr, 0);
    } else {
      std::fprintf(stderr, "fuzz: unknown option %s\n", option.c_str());
      return 2;
    }
  }
  return work_in_processes(options);
}
