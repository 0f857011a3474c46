// SPDX-License-Identifier: MIT
//
// See examine.h. The library's own symbols, with their versions, say what it can serve: a call of sd-event that it does
// not have under that version goes to another library, which is how libraries of other makers (elogind's) and newer
// functions are noticed without a list of them.
#include "tools/evenkeel/examine.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <utility>

#include "tools/evenkeel/closure.h"
#include "tools/evenkeel/elf_file.h"
#include "tools/evenkeel/program.h"

namespace evenkeel_tool {
namespace {

bool is_event_call(const std::string& name) { return name.starts_with("sd_event_"); }

// sd_bus_attach_event and the like: they make their library use sd-event, of the default loop if no other is given.
bool attaches(const std::string& name) { return name.starts_with("sd_") && name.ends_with("_attach_event"); }

std::string listed(const std::set<std::string>& names) {
  constexpr size_t kMost = 3;
  std::string text;
  size_t n = 0;
  for (const std::string& name : names) {
    if (n == kMost) return text + " and " + std::to_string(names.size() - kMost) + " more";
    text += (n++ ? ", " : "") + name;
  }
  return text;
}

// Would the dynamic linker be in its secure mode, in which it takes no path from LD_PRELOAD? ld.so(8), execve(2).
void examine_privileges(const std::string& path, Report& report) {
  struct stat status = {};
  struct statvfs system = {};
  if (stat(path.c_str(), &status) < 0) return;
  if (statvfs(path.c_str(), &system) == 0 && (system.f_flag & ST_NOSUID)) return;
  if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) return;
  const char* const kIgnored = ": the dynamic linker then ignores the library";
  if ((status.st_mode & S_ISUID) && status.st_uid != getuid()) {
    report.add(Verdict::kRefused, "is set-user-ID" + std::string(kIgnored));
  }
  // Without the right to execute it is a mark for locks that are mandatory.
  if ((status.st_mode & S_ISGID) && (status.st_mode & S_IXGRP) && status.st_gid != getgid()) {
    report.add(Verdict::kRefused, "is set-group-ID" + std::string(kIgnored));
  }
  if (getuid() != 0 && getxattr(path.c_str(), "security.capability", nullptr, 0) > 0) {
    report.add(Verdict::kRefused, "has file capabilities" + std::string(kIgnored));
  }
}

// False if there is nothing to look into.
bool examine_kind(const ElfFile& program, const ElfFile& self, Report& report) {
  switch (program.kind) {
    case FileKind::kUnreadable:
      report.add(Verdict::kUnknown, std::string("cannot be read: ") + strerror(program.error));
      return false;
    case FileKind::kNotElf:
      report.add(Verdict::kRefused, "is no ELF file");
      return false;
    case FileKind::kDamaged:
      report.add(Verdict::kRefused, "is a damaged ELF file");
      return false;
    case FileKind::kOtherMachine:
      report.add(Verdict::kRefused,
                 "is for another machine (" + program.machine + ") than the library (" + self.machine + ")");
      return false;
    case FileKind::kElf:
      break;
  }
  if (!program.loadable) {
    report.add(Verdict::kRefused, "is an ELF file, but no program");
    return false;
  }
  if (program.interpreter.empty()) {
    report.add(Verdict::kRefused, program.needed.empty()
                                      ? "is linked statically: no dynamic linker puts a library into it"
                                      : "is a library, no program: it names no dynamic linker");
    return false;
  }
  const auto base = [](const std::string& path) { return path.substr(path.rfind('/') + 1); };
  if (!self.interpreter.empty() && base(program.interpreter) != base(self.interpreter)) {
    report.add(Verdict::kRefused, "is started by " + program.interpreter +
                                      ", which is the dynamic linker of another C library than " + self.interpreter);
    return false;
  }
  return true;
}

class Examination {
 public:
  Examination(const ElfFile& library, Report& report) : library_(library), report_(report) {
    for (const Symbol& symbol : library.symbols) {
      if (!symbol.defined) continue;
      names_.insert(symbol.name);
      versions_.emplace(symbol.name, symbol.version);
    }
  }

  void examine(const Closure& closure) {
    const ElfFile& program = closure.files.front();
    bool loads_at_run_time = false;
    for (const ElfFile& file : closure.files) {
      report_.files.push_back(file.path);
      if (is_ours(file)) continue;
      examine_calls(file);
      examine_copies(file, &file == &program);
      // libc and the dynamic linker use it for themselves.
      const bool of_libc = file.soname.starts_with("libc.so") || file.soname.starts_with("ld-linux") ||
                           file.soname.starts_with("ld64") || file.soname.starts_with("libdl.so");
      loads_at_run_time |= !of_libc && (file.find("dlopen") || file.find("dlmopen"));
    }
    for (const std::string& name : closure.missing)
      report_.add(Verdict::kUnknown, "needs a library that is not found: " + name);
    if (n_users_ == 0) examine_unused(program, loads_at_run_time);
  }

 private:
  bool is_ours(const ElfFile& file) const {
    return (!file.soname.empty() && file.soname == library_.soname) || file.defines("evenkeel_version");
  }

  bool serves(const Symbol& symbol) const {
    return symbol.version.empty() ? names_.count(symbol.name) > 0 : versions_.count({symbol.name, symbol.version}) > 0;
  }

  // What is looked up by the dynamic linker: what is defined elsewhere, or here and referred to.
  void examine_calls(const ElfFile& file) {
    std::set<std::string> served, foreign;
    bool attached = false;
    for (const Symbol& symbol : file.symbols) {
      if (symbol.defined ? !symbol.referred : symbol.name.empty()) continue;
      attached |= !symbol.defined && attaches(symbol.name);
      if (serves(symbol)) {
        served.insert(symbol.name);
      } else if (is_event_call(symbol.name)) {
        foreign.insert(symbol.name + (symbol.version.empty() ? "" : "@" + symbol.version));
      }
    }
    if (!foreign.empty()) {
      report_.add(Verdict::kRefused, "calls what the library does not have, " + listed(foreign) + " (" + file.path +
                                         "): another library would serve these, with a loop of its own");
    }
    if (!served.empty())
      report_.calls.push_back(file.path + " calls " + std::to_string(served.size()) + " of its functions");
    // libsystemd calls sd-event for its own sd-bus, which says nothing about the program.
    const bool uses = !file.defines("sd_event_new") && !served.empty();
    n_users_ += uses || attached || !foreign.empty();
  }

  // Copies of sd-event that a preloaded library is not put before.
  void examine_copies(const ElfFile& file, bool is_program) {
    if (!file.linked_in.empty()) {
      ++n_users_;
      report_.add(Verdict::kRefused,
                  "has sd-event linked in, for itself (" + file.path + ": " + listed(file.linked_in) + ")");
    }
    if (!file.defines("sd_event_new")) return;
    if (is_program) {
      ++n_users_;
      report_.add(Verdict::kRefused, "defines sd_event_new itself, and a program comes before any preloaded library");
      return;
    }
    const bool open = std::any_of(file.symbols.begin(), file.symbols.end(), [](const Symbol& symbol) {
      return symbol.defined && symbol.referred && is_event_call(symbol.name);
    });
    const bool has_bus = std::any_of(file.symbols.begin(), file.symbols.end(),
                                     [](const Symbol& symbol) { return symbol.defined && attaches(symbol.name); });
    if (file.symbolic) {
      report_.add(Verdict::kRefused, file.path + " was linked with -Bsymbolic: it would keep a loop of its own");
    } else if (!open && has_bus) {
      report_.add(Verdict::kRefused, file.path +
                                         " calls its own sd-event past the dynamic linker (-Bsymbolic-functions or "
                                         "the like): it would keep a loop of its own");
    } else if (!open) {
      report_.add(Verdict::kUnknown, file.path +
                                         " defines sd_event_new, and if it calls that itself it does so past the "
                                         "dynamic linker");
    }
  }

  void examine_unused(const ElfFile& program, bool loads_at_run_time) {
    std::set<std::string> mentioned;
    std::set_intersection(program.mentioned.begin(), program.mentioned.end(), names_.begin(), names_.end(),
                          std::inserter(mentioned, mentioned.end()));
    const bool looks_up = program.find("dlsym") || program.find("dlvsym");
    if (!mentioned.empty() && program.mentions_libsystemd && looks_up) {
      report_.add(Verdict::kRefused,
                  "looks sd-event up in libsystemd.so.0 by itself, by the look of it (dlopen, dlsym): it gets "
                  "libsystemd's in spite of a preloaded library");
    } else if (!mentioned.empty()) {
      report_.add(Verdict::kRefused,
                  "calls no sd-event of a library, but has the names of its functions in its text (" +
                      listed(mentioned) + "): it seems to have sd-event linked in");
    } else if (loads_at_run_time) {
      report_.add(Verdict::kUnknown,
                  "does not use sd-event, nor does a library that it is linked to; but it may load one that "
                  "does when it runs (dlopen)");
    } else {
      report_.add(Verdict::kRefused, "does not use sd-event, nor does a library that it is linked to");
    }
  }

  const ElfFile& library_;
  Report& report_;
  std::set<std::string> names_;
  std::set<std::pair<std::string, std::string>> versions_;
  int n_users_ = 0;
};

}  // namespace

void Report::add(Verdict each, std::string finding) {
  verdict = std::max(verdict, each);
  findings.push_back(std::move(finding));
}

bool has_event_loop(const std::string& library) {
  const ElfFile file = read_elf_file(library);
  return file.kind == FileKind::kElf && file.defines("sd_event_new");
}

Report examine(const std::string& path, const std::string& library) {
  Report report;
  const Resolved resolved = resolve_scripts(path);
  if (resolved.environment_cleared)
    report.add(Verdict::kRefused, "clears the environment (env -i), LD_PRELOAD with it");
  if (resolved.path.empty()) {
    report.add(Verdict::kUnknown, "wants the interpreter " + resolved.missing + ": " + strerror(resolved.error));
    return report;
  }
  const ElfFile ours = read_elf_file(library);
  // The class and machine that can be read in depth are those of this program, and so is the C library.
  const ElfFile self = read_elf_file("/proc/self/exe");
  examine_privileges(resolved.path, report);
  ElfFile program = read_elf_file(resolved.path);
  if (examine_kind(program, self, report)) Examination(ours, report).examine(find_closure(std::move(program)));
  if (!resolved.scripts.empty()) {
    for (std::string& finding : report.findings) finding.insert(0, "its interpreter " + resolved.path + " ");
  }
  return report;
}

}  // namespace evenkeel_tool
