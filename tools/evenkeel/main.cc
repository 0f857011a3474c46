// SPDX-License-Identifier: MIT
//
// evenkeel run PROGRAM [ARGUMENT...], evenkeel check PROGRAM: programs that are linked to libsystemd, on Evenkeel.
//
// The manual is man/evenkeel.1. `run` is of the family of env(1) and nice(1): nothing is printed when all is well, the
// program takes this one's place, and 125, 126 and 127 are said by this one, not by the program. `check` answers by its
// exit code, and says what it found.
//
// Invariants:
//  1. Options end at PROGRAM: what follows is the program's own.
//  2. What `run` starts is what it has examined: the file is looked for once.
//  3. The library is that of the installation that this program belongs to, wherever it was moved to.
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <string>

#include "tools/evenkeel/examine.h"
#include "tools/evenkeel/program.h"

namespace evenkeel_tool {
namespace {

enum ExitCode { kOk = 0, kCannot = 1, kUsage = 2, kFailed = 125, kNotRunnable = 126, kNotFound = 127 };

constexpr char kHelp[] =
    R"(Usage: evenkeel run [--force] [--library FILE] PROGRAM [ARGUMENT]...
       evenkeel check [--library FILE] [--verbose] PROGRAM
       evenkeel --help | --version

run    starts PROGRAM, with the sd-event of libsystemd replaced by Evenkeel's,
       unless that cannot be done
check  tells whether it can be done, and what speaks against it

  -f, --force         start it also if it cannot be done
  -l, --library FILE  the library to preload, in place of the installed one
  -v, --verbose       name each file that was looked into

Exit codes of run: 125 it was refused or failed, 126 PROGRAM cannot be started,
127 PROGRAM was not found; else that of PROGRAM. Of check: 0 it can be done,
1 it cannot, 2 that cannot be told, or wrong usage.
)";

struct Options {
  bool force = false, verbose = false;
  std::string library;
  char** program = nullptr;  // and its arguments
};

// The library beside this program; by its name alone if it is not there, as the dynamic linker then looks for it.
std::string installed_library() {
  char self[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", self, sizeof(self));
  if (length <= 0) return {};
  const std::string path(self, static_cast<size_t>(length));
  char resolved[PATH_MAX];
  const std::string file = path.substr(0, path.rfind('/') + 1) + EVENKEEL_LIBDIR_FROM_BINDIR "/" EVENKEEL_LIBRARY;
  // Not with its links resolved: the name is what says that it stays the same over an update.
  const std::string directory = file.substr(0, file.rfind('/'));
  return realpath(directory.c_str(), resolved) ? std::string(resolved) + "/" EVENKEEL_LIBRARY : file;
}

// The library as an absolute path that LD_PRELOAD can name; empty, and said why, if there is none.
std::string usable_library(const std::string& given) {
  std::string library = given.empty() ? installed_library() : given;
  if (access(library.c_str(), R_OK) < 0) {
    fprintf(stderr, "evenkeel: the library %s: %s\n", library.c_str(), strerror(errno));
    return {};
  }
  if (!has_event_loop(library)) {
    fprintf(stderr, "evenkeel: the library %s has no sd-event for programs of this machine\n", library.c_str());
    return {};
  }
  if (library[0] != '/') {
    char here[PATH_MAX];
    if (!getcwd(here, sizeof(here))) {
      fprintf(stderr, "evenkeel: the current directory: %s\n", strerror(errno));
      return {};
    }
    library = std::string(here) + "/" + library;
  }
  if (library.find_first_of(": \t\n$") != std::string::npos) {
    fprintf(stderr, "evenkeel: LD_PRELOAD cannot name the library: no colon, space or dollar may be in its path: %s\n",
            library.c_str());
    return {};
  }
  return library;
}

bool parse(int argc, char** argv, bool for_run, Options& options) {
  static const option kOptions[] = {{"force", no_argument, nullptr, 'f'},
                                    {"verbose", no_argument, nullptr, 'v'},
                                    {"library", required_argument, nullptr, 'l'},
                                    {nullptr, 0, nullptr, 0}};
  static char own_name[] = "evenkeel";  // With which getopt_long begins its messages.
  argv[0] = own_name;
  optind = 1;
  for (int c; (c = getopt_long(argc, argv, "+fvl:", kOptions, nullptr)) != -1;) {
    if (c == 'f' && for_run) {
      options.force = true;
    } else if (c == 'v' && !for_run) {
      options.verbose = true;
    } else if (c == 'l' && *optarg) {
      options.library = optarg;
    } else {
      if (c != '?') fprintf(stderr, "evenkeel: option '-%c' is wrong here\n", c);
      return false;
    }
  }
  if (optind >= argc || (!for_run && optind + 1 < argc)) {
    fprintf(stderr, optind >= argc ? "evenkeel: no program was named\n" : "evenkeel: check takes one program\n");
    return false;
  }
  options.program = argv + optind;
  return true;
}

int usage(int code) {
  fprintf(stderr, "Try 'evenkeel --help'.\n");
  return code;
}

int run(int argc, char** argv) {
  Options options;
  if (!parse(argc, argv, true, options)) return usage(kFailed);
  const std::string library = usable_library(options.library);
  if (library.empty()) return kFailed;
  const char* name = options.program[0];
  const Found found = find_program(name);
  if (found.error) {
    fprintf(stderr, "evenkeel: %s: %s\n", name, strerror(found.error));
    return found.error == ENOENT ? kNotFound : kNotRunnable;
  }
  if (!options.force) {
    const Report report = examine(found.path, library);
    if (report.verdict == Verdict::kRefused) {
      for (const std::string& finding : report.findings) fprintf(stderr, "evenkeel: %s %s\n", name, finding.c_str());
      fprintf(stderr, "evenkeel: %s was not started; --force starts it nevertheless\n", name);
      return kFailed;
    }
  }
  const char* before = getenv("LD_PRELOAD");
  const std::string preload = library + (before && *before ? std::string(":") + before : std::string());
  if (setenv("LD_PRELOAD", preload.c_str(), 1) < 0) {
    fprintf(stderr, "evenkeel: LD_PRELOAD: %s\n", strerror(errno));
    return kFailed;
  }
  // With a slash in it, so nothing is looked for any more; a file without a format goes to the shell.
  execvp(found.path.find('/') == std::string::npos ? ("./" + found.path).c_str() : found.path.c_str(), options.program);
  const int error = errno;
  fprintf(stderr, "evenkeel: %s: %s\n", name, strerror(error));
  return error == ENOENT ? kNotFound : kNotRunnable;
}

int check(int argc, char** argv) {
  Options options;
  if (!parse(argc, argv, false, options)) return usage(kUsage);
  const std::string library = usable_library(options.library);
  if (library.empty()) return kUsage;
  const char* name = options.program[0];
  const Found found = find_program(name);
  if (found.error) {
    fprintf(stderr, "evenkeel: %s: %s\n", name, strerror(found.error));
    return kUsage;
  }
  const Report report = examine(found.path, library);
  for (size_t i = 0; options.verbose && i < report.files.size(); ++i)
    printf("looked into: %s\n", report.files[i].c_str());
  for (const std::string& finding : report.findings) printf("%s %s\n", name, finding.c_str());
  for (const std::string& calls : report.calls) printf("%s: %s\n", name, calls.c_str());
  const char* const kAnswers[] = {"can be served", "may be served: it cannot be told", "cannot be served"};
  printf("%s: %s\n", name, kAnswers[static_cast<int>(report.verdict)]);
  if (fflush(stdout) != 0 || ferror(stdout)) {
    fprintf(stderr, "evenkeel: standard output: %s\n", strerror(errno));
    return kUsage;
  }
  switch (report.verdict) {
    case Verdict::kServed:
      return kOk;
    case Verdict::kRefused:
      return kCannot;
    case Verdict::kUnknown:
      break;
  }
  return kUsage;
}

int main_program(int argc, char** argv) {
  const std::string command = argc > 1 ? argv[1] : "";
  if (command == "run") return run(argc - 1, argv + 1);
  if (command == "check") return check(argc - 1, argv + 1);
  if (command == "--help" || command == "-h") {
    fputs(kHelp, stdout);
    return fflush(stdout) == 0 ? kOk : kUsage;
  }
  if (command == "--version") {
    puts("evenkeel " EVENKEEL_VERSION);
    return fflush(stdout) == 0 ? kOk : kUsage;
  }
  if (command.empty()) {
    fprintf(stderr, "evenkeel: run or check?\n");
  } else {
    fprintf(stderr, "evenkeel: unknown command '%s'\n", command.c_str());
  }
  return usage(kUsage);
}

}  // namespace
}  // namespace evenkeel_tool

int main(int argc, char** argv) { return evenkeel_tool::main_program(argc, argv); }
