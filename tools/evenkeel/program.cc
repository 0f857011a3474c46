// SPDX-License-Identifier: MIT
//
// See program.h. The kernel gives a script's interpreter at most one argument: the rest of the line behind its name.
#include "tools/evenkeel/program.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "tools/evenkeel/closure.h"
#include "tools/evenkeel/elf_file.h"

namespace evenkeel_tool {
namespace {

// As execve(2) sees it.
int may_run(const std::string& path) {
  struct stat status = {};
  if (stat(path.c_str(), &status) < 0) return errno;
  if (!S_ISREG(status.st_mode)) return EACCES;
  return access(path.c_str(), X_OK) < 0 ? errno : 0;
}

std::string base_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::vector<std::string> words_of(const std::string& line) {
  std::vector<std::string> words;
  for (size_t at = line.find_first_not_of(" \t"); at != std::string::npos;) {
    const size_t end = std::min(line.find_first_of(" \t", at), line.size());
    words.push_back(line.substr(at, end - at));
    at = line.find_first_not_of(" \t", end);
  }
  return words;
}

// The program that `env WORDS` starts; empty if none is named. -S splits what the kernel passed as one argument.
std::string started_by_env(const std::vector<std::string>& words, bool& cleared) {
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "-i" || word == "-" || word == "--ignore-environment" || word == "-iS") cleared = true;
    const bool takes_value = word == "-u" || word == "-C";
    if (takes_value) ++i;
    if (word.starts_with("-S") && word.size() > 2) return word.substr(2);
    if (!word.starts_with("-") && word.find('=') == std::string::npos) return word;
  }
  return {};
}

}  // namespace

Found find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) {
    const int error = may_run(name);
    return {error ? std::string() : name, error};
  }
  Found result{{}, ENOENT};
  if (name.empty()) return result;
  const char* path = getenv("PATH");
  // Without $PATH, what execvp of glibc takes.
  for (const std::string& directory : split(path ? path : "/bin:/usr/bin", ':')) {
    const std::string file = (directory.empty() ? "." : directory) + "/" + name;
    const int error = may_run(file);
    if (!error) return {file, 0};
    if (error == EACCES) result.error = error;
  }
  return result;
}

Resolved resolve_scripts(const std::string& path) {
  // The kernel follows so many; then it says ELOOP.
  constexpr size_t kMostScripts = 5;
  constexpr size_t kLongestLine = 256;
  Resolved result;
  result.path = path;
  for (;;) {
    const std::string head = read_head(result.path, kLongestLine);
    if (head.starts_with(ELFMAG) || head.empty()) return result;
    result.scripts.push_back(result.path);
    std::string next = "/bin/sh";
    if (head.starts_with("#!")) {
      const std::string line = head.substr(2, head.find('\n') - 2);
      std::vector<std::string> words = words_of(line);
      next = words.empty() ? "" : words.front();
      if (base_name(next) == "env") {
        words.erase(words.begin());
        const std::string started = started_by_env(words, result.environment_cleared);
        if (!started.empty()) next = started;
      } else if (next.find('/') == std::string::npos) {
        next.insert(0, "./");  // the kernel knows no $PATH
      }
    }
    const Found found = find_program(next);
    result.path = found.path;
    result.error = result.scripts.size() > kMostScripts ? ELOOP : found.error;
    if (result.error) {
      result.path.clear();
      result.missing = next;
      return result;
    }
  }
}

}  // namespace evenkeel_tool
