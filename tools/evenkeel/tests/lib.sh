# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# The programs and libraries that the tests of `evenkeel` look at, each made for one finding, and how they are asked.
#
# Sourced by the run-* scripts, with BUILD, a build directory, as their argument. Everything is in `work`, which is removed.
#
# Invariants:
#  1. A stand-in for libsystemd has what matters here: sd_event_new and sd_event_unref under their version, and a function
#     of its own, sd_bus_attach_event, that calls them. How it was linked is what the tests are about.
#  2. A stand-in for Evenkeel (`stand_in`) is preloaded where programs run, as ours may be built with a sanitizer, which
#     these programs are not.
source "$(dirname "${BASH_SOURCE[0]}")/../../lib.sh"

# tool_setup BUILD: sets `tool`, `library` and `work`.
tool_setup() {
  [ $# -eq 1 ] || usage_error "usage: ${0##*/} BUILD"
  library=$(cd "$1" && pwd -P)/libevenkeel.so.0
  tool=${library%/*}/bin/evenkeel
  if [ ! -x "$tool" ] || [ ! -e "$library" ]; then usage_error "$1 is not a build directory"; fi
  have cc || skip "no C compiler"
  work=$(mktemp -d)
  # shellcheck disable=SC2064 # the name is known now and shall not change
  trap "rm -rf '$work'" EXIT
  unset LD_PRELOAD LD_LIBRARY_PATH
}

# make_library FILE NODE [FLAG...]: a stand-in, whose symbols have the version NODE.
make_library() {
  local file=$1 node=$2
  shift 2
  mkdir -p "$(dirname "$file")"
  printf '%s { global: sd_*; local: *; };\n' "$node" >"$work/map"
  cat >"$work/library.c" <<'SOURCE'
int sd_event_new(void **e) { *e = 0; return THEIRS; }
int sd_event_unref(void *e) { (void)e; return 0; }
#if THEIRS == 3
int sd_bus_attach_event(void *bus) { return sd_event_new((void **)bus) + sd_event_unref(bus); }
#endif
SOURCE
  cc -O1 -shared -fPIC -DTHEIRS=3 "$work/library.c" -o "$file" "-Wl,-soname,$(basename "$file")" \
    "-Wl,--version-script=$work/map" "$@"
}

# Exits with what sd_event_new returns: 3 is libsystemd's stand-in, 4 Evenkeel's.
write_program() {
  printf 'int sd_event_new(void **e);\nint main(void) { void *e; return sd_event_new(&e); }\n' >"$work/program.c"
}

# make_program NAME [FLAG...]: linked to the stand-in in $work/lib, or as the flags say.
make_program() {
  local name=$1
  shift
  write_program
  cc "$work/program.c" -o "$work/$name" "$@"
}

linked_to() { printf -- '-L%s\n-l:%s\n-Wl,-rpath,%s\n' "$1" "$2" "$1"; }

make_stand_in() {
  stand_in=$work/evenkeel/libevenkeel.so.0
  make_library "$stand_in" LIBSYSTEMD_221 -UTHEIRS -DTHEIRS=4
}

# asked CODE PATTERN COMMAND...: its exit code, and what it says on both outputs (a pattern of grep -E; '' is nothing at all).
asked() {
  local wanted=$1 pattern=$2 code=0 got
  shift 2
  got=$("$@" 2>&1 </dev/null) || code=$?
  [ "$code" -eq "$wanted" ] || fail "$*: exited with $code, not $wanted: $got"
  if [ -z "$pattern" ]; then [ -z "$got" ] || fail "$*: says: $got"; else
    grep -qE -- "$pattern" <<<"$got" || fail "$*: does not say '$pattern', but: $got"
  fi
  n_asked=$((${n_asked:-0} + 1))
}

# check CODE PATTERN PROGRAM
check() { asked "$1" "$2" "$tool" check --library "$library" "$3"; }
