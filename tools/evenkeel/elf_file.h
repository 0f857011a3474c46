// SPDX-License-Identifier: MIT
//
// What an ELF file says of itself, as far as it tells whether sd-event can be replaced in it.
//
// Invariants:
//  1. The file may be anybody's: nothing of it is executed, every offset and size is checked against the file, and time
//     and memory are bounded by its size.
//  2. Read in depth is what could be loaded beside the library: files of the class and machine that this program was
//     built for. Of others, `kind` is all there is.
//  3. The dynamic symbols are those that the dynamic linker sees; `linked_in` comes from the symbol table for
//     debuggers, which a stripped file does not have.
//  4. An ElfFile owns all of its strings; the file is not kept open.
#ifndef EVENKEEL_TOOLS_EVENKEEL_ELF_FILE_H
#define EVENKEEL_TOOLS_EVENKEEL_ELF_FILE_H

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace evenkeel_tool {

enum class FileKind {
  kUnreadable,  // errno says why
  kNotElf,
  kOtherMachine,  // another class, byte order or architecture; `machine` names it
  kDamaged,
  kElf,
};

struct Symbol {
  std::string name;
  std::string version;    // empty: none
  bool defined = false;   // here, and for others
  bool referred = false;  // by a relocation: the dynamic linker decides what is meant
};

struct ElfFile {
  std::string path;
  FileKind kind = FileKind::kUnreadable;
  int error = 0;
  std::string machine;
  bool loadable = false;    // a program or a library, no object file and no core
  std::string interpreter;  // empty: none
  bool dynamic = false;
  bool symbolic = false;  // DT_SYMBOLIC: looks into itself first
  std::string soname, rpath, runpath;
  std::vector<std::string> needed;
  std::vector<Symbol> symbols;
  std::set<std::string> linked_in;  // functions sd_event_* that are there but not for others
  std::set<std::string> mentioned;  // sd_event_* as a text of its own, outside of all symbol tables
  bool mentions_libsystemd = false;

  const Symbol* find(std::string_view name) const;
  bool defines(std::string_view name) const;
};

ElfFile read_elf_file(const std::string& path);

// The bytes at the start of a file; empty if it can't be read.
std::string read_head(const std::string& path, size_t length);

}  // namespace evenkeel_tool

#endif
