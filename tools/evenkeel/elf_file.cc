// SPDX-License-Identifier: MIT
//
// Reads an ELF file by <elf.h>, as the dynamic linker would: program headers, then the dynamic section, whose addresses
// are turned into offsets by the loadable segments. Only what the linker does not need is found by section headers.
#include "tools/evenkeel/elf_file.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <optional>

namespace evenkeel_tool {
namespace {

#if __ELF_NATIVE_CLASS == 64
constexpr unsigned char kNativeClass = ELFCLASS64;
using Info = Elf64_Xword;
constexpr Info symbol_of(Info info) { return ELF64_R_SYM(info); }
#else
constexpr unsigned char kNativeClass = ELFCLASS32;
using Info = Elf32_Word;
constexpr Info symbol_of(Info info) { return ELF32_R_SYM(info); }
#endif
constexpr unsigned char kNativeData = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;

constexpr ElfW(Half) kNativeMachine =
#if defined(__x86_64__)
    EM_X86_64;
#elif defined(__i386__)
    EM_386;
#elif defined(__aarch64__)
    EM_AARCH64;
#elif defined(__arm__)
    EM_ARM;
#elif defined(__riscv)
    EM_RISCV;
#elif defined(__powerpc64__)
    EM_PPC64;
#elif defined(__s390x__)
    EM_S390;
#elif defined(__loongarch__)
    258;  // EM_LOONGARCH, which is younger than some <elf.h>
#elif defined(__mips__)
    EM_MIPS;
#else
#error "which e_machine do programs of this architecture have?"
#endif

constexpr std::string_view kPrefix = "sd_event_";

// What a file may be made of to be looked into; one that was made to keep us busy has more.
constexpr uint64_t kLongestName = 1024;
constexpr uint64_t kLongestList = 1 << 20;
constexpr unsigned kMostVersions = 1 << 15;                   // As their numbers have 15 bits.
constexpr size_t kMostSegments = 65536 / sizeof(ElfW(Phdr));  // As execve(2) has it.

std::string name_of_machine(unsigned machine, unsigned char elf_class) {
  const char* name = nullptr;
  switch (machine) {
    case EM_386:
      name = "x86";
      break;
    case EM_X86_64:
      name = elf_class == ELFCLASS64 ? "x86-64" : "x32";
      break;
    case EM_AARCH64:
      name = "arm64";
      break;
    case EM_ARM:
      name = "arm";
      break;
    case EM_RISCV:
      name = "risc-v";
      break;
    case EM_PPC64:
      name = "powerpc64";
      break;
    case EM_S390:
      name = "s390";
      break;
    case EM_MIPS:
      name = "mips";
      break;
    default:
      break;
  }
  const std::string bits = elf_class == ELFCLASS64 ? ", 64 bits" : ", 32 bits";
  return (name ? name : "machine " + std::to_string(machine)) + bits;
}

// A file in memory, of which only what lies inside can be had.
class Bytes {
 public:
  explicit Bytes(const std::string& path) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status = {};
    if (fd < 0 || fstat(fd, &status) < 0) {
      error_ = errno;
    } else if (!S_ISREG(status.st_mode)) {
      error_ = S_ISDIR(status.st_mode) ? EISDIR : EACCES;
    } else if (status.st_size > 0) {
      void* map = mmap(nullptr, static_cast<size_t>(status.st_size), PROT_READ, MAP_PRIVATE, fd, 0);
      if (map == MAP_FAILED) {
        error_ = errno;
      } else {
        all_ = {static_cast<const char*>(map), static_cast<size_t>(status.st_size)};
      }
    }
    if (fd >= 0) close(fd);
  }
  ~Bytes() {
    if (!all_.empty()) munmap(const_cast<char*>(all_.data()), all_.size());
  }
  Bytes(const Bytes&) = delete;
  Bytes& operator=(const Bytes&) = delete;

  int error() const { return error_; }
  std::string_view all() const { return all_; }

  std::string_view part(uint64_t offset, uint64_t size) const {
    if (offset > all_.size()) return {};
    const auto begin = static_cast<size_t>(offset);
    return all_.substr(begin, static_cast<size_t>(std::min<uint64_t>(size, all_.size() - begin)));
  }

  template <class T>
  std::optional<T> load(uint64_t offset) const {
    const std::string_view bytes = part(offset, sizeof(T));
    if (bytes.size() != sizeof(T)) return std::nullopt;
    T value;
    memcpy(&value, bytes.data(), sizeof(T));
    return value;
  }

  bool has(uint64_t offset, uint64_t size) const { return offset <= all_.size() && size <= all_.size() - offset; }

  // The text at `offset`, up to its 0, which must come before the limit.
  std::string_view text(uint64_t offset, uint64_t limit) const {
    const std::string_view rest = part(offset, limit);
    const size_t end = rest.find('\0');
    return end == std::string_view::npos ? std::string_view() : rest.substr(0, end);
  }

 private:
  std::string_view all_;
  int error_ = 0;
};

class Reader {
 public:
  Reader(const Bytes& bytes, ElfFile& file) : bytes_(bytes), file_(file) {}

  void read() {
    const auto header = bytes_.load<ElfW(Ehdr)>(0);
    file_.kind = FileKind::kDamaged;
    if (!header) return;
    header_ = *header;
    file_.loadable = header_.e_type == ET_EXEC || header_.e_type == ET_DYN;
    if (file_.loadable && !read_segments()) return;
    file_.kind = FileKind::kElf;
    if (file_.dynamic) {
      read_dynamic();
      count_symbols();
      read_versions();
      read_symbols();
      mark_referred();
    }
    read_symbol_table();
    read_mentioned();
    for (auto& [index, symbol] : symbols_) file_.symbols.push_back(std::move(symbol));
  }

 private:
  // False unless the table is as execve(2) wants it, and the file has all of what is to be loaded.
  bool read_segments() {
    if (header_.e_phentsize != sizeof(ElfW(Phdr)) || header_.e_phnum == 0 || header_.e_phnum > kMostSegments)
      return false;
    for (unsigned i = 0; i < header_.e_phnum; ++i) {
      const auto segment = bytes_.load<ElfW(Phdr)>(header_.e_phoff + uint64_t{i} * sizeof(ElfW(Phdr)));
      if (!segment) return false;
      if (segment->p_type == PT_LOAD) {
        if (!bytes_.has(segment->p_offset, segment->p_filesz)) return false;
        loads_.push_back(*segment);
      }
      if (segment->p_type == PT_INTERP) file_.interpreter = bytes_.text(segment->p_offset, kLongestList);
      if (segment->p_type == PT_DYNAMIC) {
        dynamic_ = *segment;
        file_.dynamic = true;
      }
    }
    return true;
  }

  // Where an address of the running program lies in the file; beyond its end if nowhere.
  uint64_t offset_of(uint64_t address) const {
    for (const auto& load : loads_) {
      if (address >= load.p_vaddr && address - load.p_vaddr < load.p_filesz)
        return address - load.p_vaddr + load.p_offset;
    }
    return bytes_.all().size();
  }

  uint64_t entry(ElfW(Sxword) tag) const {
    const auto found = entries_.find(tag);
    return found == entries_.end() ? 0 : found->second;
  }
  uint64_t table(ElfW(Sxword) tag) const { return entries_.count(tag) ? offset_of(entry(tag)) : bytes_.all().size(); }
  std::string string(uint64_t offset, uint64_t limit = kLongestName) const {
    return std::string(bytes_.text(strings_ + offset, limit));
  }

  void read_dynamic() {
    std::vector<uint64_t> needed;
    for (uint64_t at = 0; at < dynamic_.p_filesz; at += sizeof(ElfW(Dyn))) {
      const auto dyn = bytes_.load<ElfW(Dyn)>(dynamic_.p_offset + at);
      if (!dyn || dyn->d_tag == DT_NULL) break;
      if (dyn->d_tag == DT_NEEDED) needed.push_back(dyn->d_un.d_val);
      entries_[dyn->d_tag] = dyn->d_un.d_val;
    }
    strings_ = table(DT_STRTAB);
    for (const uint64_t offset : needed) file_.needed.push_back(string(offset));
    if (entries_.count(DT_SONAME)) file_.soname = string(entry(DT_SONAME));
    if (entries_.count(DT_RPATH)) file_.rpath = string(entry(DT_RPATH), kLongestList);
    if (entries_.count(DT_RUNPATH)) file_.runpath = string(entry(DT_RUNPATH), kLongestList);
    file_.symbolic = entries_.count(DT_SYMBOLIC) || (entry(DT_FLAGS) & DF_SYMBOLIC);
  }

  // The dynamic section does not say how many there are. The section headers do; without them, the linkers' habit to
  // put the strings behind the symbols.
  void count_symbols() {
    if (const auto section = find_section(SHT_DYNSYM)) n_symbols_ = section->sh_size / sizeof(ElfW(Sym));
    const uint64_t symbols = entry(DT_SYMTAB), strings = entry(DT_STRTAB);
    if (!n_symbols_ && strings > symbols) n_symbols_ = (strings - symbols) / sizeof(ElfW(Sym));
  }

  // Both lists are chained by offsets that only lead forward, so they end.
  void read_versions() {
    unsigned left = kMostVersions;
    uint64_t at = table(DT_VERDEF);
    for (uint64_t i = 0; i < entry(DT_VERDEFNUM) && left > 0; ++i, --left) {
      const auto def = bytes_.load<ElfW(Verdef)>(at);
      const auto aux = def ? bytes_.load<ElfW(Verdaux)>(at + def->vd_aux) : std::nullopt;
      if (!aux) break;
      if (!(def->vd_flags & VER_FLG_BASE)) versions_[def->vd_ndx & 0x7fff] = string(aux->vda_name);
      if (!def->vd_next) break;
      at += def->vd_next;
    }
    at = table(DT_VERNEED);
    for (uint64_t i = 0; i < entry(DT_VERNEEDNUM) && left > 0; ++i) {
      const auto need = bytes_.load<ElfW(Verneed)>(at);
      if (!need) break;
      uint64_t aux_at = at + need->vn_aux;
      for (unsigned j = 0; j < need->vn_cnt && left > 0; ++j, --left) {
        const auto aux = bytes_.load<ElfW(Vernaux)>(aux_at);
        if (!aux) break;
        versions_[aux->vna_other & 0x7fff] = string(aux->vna_name);
        if (!aux->vna_next) break;
        aux_at += aux->vna_next;
      }
      if (!need->vn_next) break;
      at += need->vn_next;
    }
  }

  void read_symbols() {
    const uint64_t symbols = table(DT_SYMTAB), versyms = table(DT_VERSYM);
    for (uint64_t i = 1; i < n_symbols_; ++i) {
      const auto symbol = bytes_.load<ElfW(Sym)>(symbols + i * sizeof(ElfW(Sym)));
      if (!symbol) break;
      if (ELF64_ST_BIND(symbol->st_info) == STB_LOCAL) continue;
      Symbol result;
      result.name = string(symbol->st_name);
      result.defined = symbol->st_shndx != SHN_UNDEF;
      const auto index = bytes_.load<ElfW(Half)>(versyms + i * sizeof(ElfW(Half)));
      if (index) {
        const auto version = versions_.find(*index & 0x7fff);
        if (version != versions_.end()) result.version = version->second;
      }
      symbols_.emplace(i, std::move(result));
    }
  }

  template <class Relocation>
  void mark_table(uint64_t offset, uint64_t size) {
    for (uint64_t at = 0; at < size; at += sizeof(Relocation)) {
      const auto relocation = bytes_.load<Relocation>(offset + at);
      if (!relocation) return;
      const auto symbol = symbols_.find(symbol_of(relocation->r_info));
      if (symbol != symbols_.end()) symbol->second.referred = true;
    }
  }

  void mark_referred() {
    mark_table<ElfW(Rela)>(table(DT_RELA), entry(DT_RELASZ));
    mark_table<ElfW(Rel)>(table(DT_REL), entry(DT_RELSZ));
    if (entry(DT_PLTREL) == DT_REL) {
      mark_table<ElfW(Rel)>(table(DT_JMPREL), entry(DT_PLTRELSZ));
    } else {
      mark_table<ElfW(Rela)>(table(DT_JMPREL), entry(DT_PLTRELSZ));
    }
  }

  std::optional<ElfW(Shdr)> section_at(unsigned index) const {
    if (header_.e_shentsize != sizeof(ElfW(Shdr)) || index >= header_.e_shnum) return std::nullopt;
    return bytes_.load<ElfW(Shdr)>(header_.e_shoff + uint64_t{index} * sizeof(ElfW(Shdr)));
  }

  // There is one of each at most.
  std::optional<ElfW(Shdr)> find_section(ElfW(Word) type) const {
    for (unsigned i = 0;; ++i) {
      const auto section = section_at(i);
      if (!section || section->sh_type == type) return section;
    }
  }

  void read_symbol_table() {
    const auto section = find_section(SHT_SYMTAB);
    const auto strings = section ? section_at(section->sh_link) : std::nullopt;
    if (!strings) return;
    std::set<std::string_view> exported;
    for (const auto& [index, symbol] : symbols_) {
      if (symbol.defined) exported.insert(symbol.name);
    }
    for (uint64_t at = 0; at < section->sh_size; at += sizeof(ElfW(Sym))) {
      const auto symbol = bytes_.load<ElfW(Sym)>(section->sh_offset + at);
      if (!symbol) return;
      if (symbol->st_shndx == SHN_UNDEF || ELF64_ST_TYPE(symbol->st_info) != STT_FUNC) continue;
      const std::string_view name = bytes_.text(strings->sh_offset + symbol->st_name, kLongestName);
      if (name.starts_with(kPrefix) && !exported.count(name)) file_.linked_in.emplace(name);
    }
  }

  // Texts of their own, with a 0 on both sides, in what is loaded; the names of dynamic symbols don't count.
  void read_mentioned() {
    const uint64_t names = strings_, names_end = strings_ + entry(DT_STRSZ);
    for (const auto& load : loads_) {
      const std::string_view part = bytes_.part(load.p_offset, load.p_filesz);
      for (size_t at = part.find(kPrefix); at != std::string_view::npos; at = part.find(kPrefix, at + 1)) {
        const uint64_t offset = load.p_offset + at;
        if (file_.dynamic && offset >= names && offset < names_end) continue;
        if (at > 0 && part[at - 1] != '\0') continue;
        std::string name(bytes_.text(offset, kLongestName));
        if (name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos) {
          file_.mentioned.insert(std::move(name));
        }
      }
      if (part.find(std::string_view("libsystemd.so.0\0", 16)) != std::string_view::npos &&
          std::find(file_.needed.begin(), file_.needed.end(), "libsystemd.so.0") == file_.needed.end()) {
        file_.mentions_libsystemd = true;
      }
    }
  }

  const Bytes& bytes_;
  ElfFile& file_;
  ElfW(Ehdr) header_ = {};
  ElfW(Phdr) dynamic_ = {};
  std::vector<ElfW(Phdr)> loads_;
  std::map<ElfW(Sxword), uint64_t> entries_;
  uint64_t strings_ = 0, n_symbols_ = 0;
  std::map<unsigned, std::string> versions_;
  std::map<uint64_t, Symbol> symbols_;
};

}  // namespace

const Symbol* ElfFile::find(std::string_view name) const {
  const auto found = std::find_if(symbols.begin(), symbols.end(), [name](const Symbol& s) { return s.name == name; });
  return found == symbols.end() ? nullptr : &*found;
}

bool ElfFile::defines(std::string_view name) const {
  const Symbol* symbol = find(name);
  return symbol && symbol->defined;
}

ElfFile read_elf_file(const std::string& path) {
  ElfFile file;
  file.path = path;
  const Bytes bytes(path);
  file.error = bytes.error();
  if (file.error) return file;
  const std::string_view head = bytes.part(0, EI_NIDENT + 4);
  if (!head.starts_with(ELFMAG)) {
    file.kind = FileKind::kNotElf;
    return file;
  }
  if (head.size() < EI_NIDENT + 4) {
    file.kind = FileKind::kDamaged;
    return file;
  }
  const auto elf_class = static_cast<unsigned char>(head[EI_CLASS]);
  const auto data = static_cast<unsigned char>(head[EI_DATA]);
  const unsigned first = static_cast<unsigned char>(head[EI_NIDENT + 2]);
  const unsigned second = static_cast<unsigned char>(head[EI_NIDENT + 3]);
  const unsigned machine = data == ELFDATA2MSB ? first << 8 | second : second << 8 | first;
  file.machine = name_of_machine(machine, elf_class);
  if (elf_class != kNativeClass || data != kNativeData || machine != kNativeMachine) {
    file.kind = FileKind::kOtherMachine;
    return file;
  }
  Reader(bytes, file).read();
  return file;
}

std::string read_head(const std::string& path, size_t length) {
  const Bytes bytes(path);
  return std::string(bytes.part(0, length));
}

}  // namespace evenkeel_tool
