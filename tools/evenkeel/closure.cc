// SPDX-License-Identifier: MIT
//
// See closure.h. Who was loaded by whom is kept, as DT_RPATH, which is out of use but not gone, holds for what a
// library's libraries need as well.
#include "tools/evenkeel/closure.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <optional>

namespace evenkeel_tool {
namespace {

std::string directory_of(const std::string& path) {
  char resolved[PATH_MAX];
  std::string real = realpath(path.c_str(), resolved) ? resolved : path;
  const size_t slash = real.rfind('/');
  return slash == std::string::npos ? "." : real.substr(0, slash ? slash : 1);
}

std::string replace_all(std::string text, const std::string& name, const std::string& value) {
  for (const std::string& token : {"$" + name, "${" + name + "}"}) {
    for (size_t at = 0; (at = text.find(token, at)) != std::string::npos; at += value.size())
      text.replace(at, token.size(), value);
  }
  return text;
}

// What ld.so(8) has in place of $NAME and ${NAME}. $LIB differs from distribution to distribution: a path with it is
// tried in each of the spellings that there are.
std::vector<std::string> expand(const std::string& path, const std::string& origin) {
  const std::string plain = replace_all(path, "PLATFORM", EVENKEEL_PROCESSOR);
  std::vector<std::string> results;
  for (const char* lib : {"lib", "lib64", "lib/" EVENKEEL_MULTIARCH}) {
    std::string result = replace_all(replace_all(plain, "LIB", lib), "ORIGIN", origin);
    if (results.empty() || result != results.back()) results.push_back(std::move(result));
  }
  return results;
}

// Name to paths, in the order of the cache. Only asked for when a library was not found before.
const std::multimap<std::string, std::string>& cache() {
  static const auto* const known = [] {
    auto* result = new std::multimap<std::string, std::string>;
    FILE* pipe = popen("PATH=/sbin:/usr/sbin:/bin:/usr/bin; exec ldconfig -p 2>/dev/null", "re");
    if (!pipe) return result;
    char* line = nullptr;
    size_t size = 0;
    // A line is "<tab>NAME (kind) => PATH".
    for (ssize_t n; (n = getline(&line, &size, pipe)) > 0;) {
      const std::string text(line, static_cast<size_t>(n) - (line[n - 1] == '\n'));
      const size_t bracket = text.find(" ("), arrow = text.find(" => ");
      if (text[0] != '\t' || bracket == std::string::npos || arrow == std::string::npos) continue;
      result->emplace(text.substr(1, bracket - 1), text.substr(arrow + 4));
    }
    free(line);
    pclose(pipe);
    return result;
  }();
  return *known;
}

class Search {
 public:
  explicit Search(ElfFile program) { add(std::move(program), {}, 0); }

  Closure run() {
    for (size_t i = 0; i < closure_.files.size(); ++i) {
      const std::vector<std::string> needed = closure_.files[i].needed;
      for (const std::string& name : needed) {
        if (known_.count(name)) continue;
        if (auto file = locate(name, i)) {
          add(std::move(*file), name, i);
        } else {
          known_[name] = true;
          closure_.missing.push_back(name + ", for " + closure_.files[i].path);
        }
      }
    }
    return std::move(closure_);
  }

 private:
  void add(ElfFile file, const std::string& name, size_t loader) {
    known_[name] = true;
    if (!file.soname.empty()) known_[file.soname] = true;
    char resolved[PATH_MAX];
    const std::string real = realpath(file.path.c_str(), resolved) ? resolved : file.path;
    if (paths_.count(real)) return;
    paths_[real] = true;
    closure_.files.push_back(std::move(file));
    loaders_.push_back(loader);
  }

  static std::optional<ElfFile> load(const std::string& path) {
    ElfFile file = read_elf_file(path);
    if (file.kind != FileKind::kElf || !file.loadable) return std::nullopt;
    return file;
  }

  // In the directories of a list with colons; an empty one is the current directory.
  std::optional<ElfFile> in_list(const std::string& list, const std::string& name, const std::string& origin) {
    if (list.empty()) return std::nullopt;
    for (const std::string& part : split(list, ':')) {
      for (const std::string& directory : expand(part.empty() ? "." : part, origin)) {
        if (auto file = load(directory + "/" + name)) return file;
      }
    }
    return std::nullopt;
  }

  std::optional<ElfFile> by_rpath(const std::string& name, size_t wanted_by) {
    if (!closure_.files[wanted_by].runpath.empty()) return std::nullopt;
    for (size_t i = wanted_by;; i = loaders_[i]) {
      const ElfFile& file = closure_.files[i];
      if (file.runpath.empty()) {
        if (auto found = in_list(file.rpath, name, directory_of(file.path))) return found;
      }
      if (i == 0) return std::nullopt;
    }
  }

  std::optional<ElfFile> locate(const std::string& name, size_t wanted_by) {
    const ElfFile& file = closure_.files[wanted_by];
    const std::string origin = directory_of(file.path);
    if (name.find('/') != std::string::npos) return load(expand(name, origin).front());
    if (auto found = by_rpath(name, wanted_by)) return found;
    const char* library_path = getenv("LD_LIBRARY_PATH");
    if (library_path) {
      std::string list = library_path;
      for (char& c : list) c = c == ';' ? ':' : c;
      if (auto found = in_list(list, name, directory_of(closure_.files[0].path))) return found;
    }
    if (auto found = in_list(file.runpath, name, origin)) return found;
    const auto [begin, end] = cache().equal_range(name);
    for (auto each = begin; each != end; ++each) {
      if (auto found = load(each->second)) return found;
    }
    static const std::string kDefaults = std::string("/lib/") + EVENKEEL_MULTIARCH + ":/usr/lib/" + EVENKEEL_MULTIARCH +
                                         ":/lib64:/usr/lib64:/lib:/usr/lib";
    return in_list(kDefaults, name, origin);
  }

  Closure closure_;
  std::vector<size_t> loaders_;  // by the index in closure_.files
  std::map<std::string, bool> known_, paths_;
};

}  // namespace

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == separator) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

Closure find_closure(ElfFile program) { return Search(std::move(program)).run(); }

}  // namespace evenkeel_tool
