# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What every script of the repository shares: where things are, how they speak, how they skip and fail.
#
# Sourced, never run. Sets `root` (the checkout, wherever the script was called from), `patience`, and nothing else that
# lasts, but for `failure`, what `fail` was told; it starts no process and leaves no file.
#
# Invariants:
#  1. Exit codes mean the same everywhere: 0 passed, 1 failed, 77 skipped with its reason printed, 2 wrong usage.
#  2. What is told to a person goes to stdout; what a person must act upon goes to stderr.
#  3. Nothing here depends on the locale: tools are read in C, whatever the user's language.
set -euo pipefail
export LC_ALL=C.UTF-8

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

say() { printf '%s\n' "$*"; }
head_line() { printf '\n== %s\n' "$*"; }
warn() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

fail() {
  # shellcheck disable=SC2034 # for who has a trap for the exit
  failure=$*
  warn "$*"
  exit 1
}

skip() {
  say "skipped: $*"
  exit 77
}

usage_error() {
  warn "$*"
  exit 2
}

# complain LABEL LINES: each line of LINES with the label before it; nothing when there are none.
complain() {
  [ -z "$2" ] || while IFS= read -r line; do warn "$1: $line"; done <<<"$2"
}

have() { command -v "$1" >/dev/null 2>&1; }

# The comment at the head of a script is its manual: prints it without the marks, from the first prose line on.
print_manual() {
  sed -n '/^# SPDX/,/^[^#]/{ /^# SPDX/d; /^# shellcheck/d; /^#/{ s/^# \{0,1\}//; p; }; }' "$1" | sed '1{/^$/d}'
}

# files_named PATTERN...: files that git knows or would add, so that build directories do not count; in a copy without
# git, all but build/. A line each, relative to `root`, where it must be called.
files_named() {
  if have git && git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    git ls-files --cached --others --exclude-standard -- "$@" | while IFS= read -r f; do
      [ ! -f "$f" ] || printf '%s\n' "$f"
    done
  else
    local pattern names=()
    for pattern in "$@"; do names+=(-o -path "./$pattern"); done
    find . -path ./build -prune -o -type f \( "${names[@]:1}" \) -print
  fi
}

# with_section FILE BEGIN END TEXT: prints FILE with TEXT between its lines BEGIN and END, in place of what is there.
with_section() {
  awk -v begin="$2" -v end="$3" -v text="$4" '
    $0 == begin { print; print text; inside = 1; found++ }
    $0 == end { inside = 0; found++ }
    !inside { print }
    END { exit found != 2 }' "$1" || fail "${1##*/} does not have the two marks: $2, $3"
}

# Seconds after which a program is taken for hung: ten times what the longest takes on a slow and busy machine. A test
# of ctest, which may start many programs, has its limit in CMakePresets.json.
# shellcheck disable=SC2034 # used by those that source this
patience=900

# Two cores or more are used whole; a build in a container may see fewer than the machine has.
jobs_here() { nproc 2>/dev/null || echo 1; }

# Tests mostly wait, for a process that ends or a time that comes: several of them fit on a core.
tests_at_once() { echo $(($(jobs_here) * 3)); }

# build_preset PRESET [--target TARGET] [ARGUMENT...]: configures (once) and builds a preset, or a target of it; arguments go to
# the configuration. Quiet unless it fails.
build_preset() {
  local preset=$1 log target=()
  shift
  if [ "${1:-}" = --target ]; then
    target=(--target "$2")
    shift 2
  fi
  log=$root/build/$preset.log
  mkdir -p "$root/build"
  local generator=()
  if [ ! -e "$root/build/$preset/CMakeCache.txt" ] && have ninja; then generator=(-G Ninja); fi
  if ! { cmake -S "$root" --preset "$preset" "${generator[@]}" "$@" &&
    cmake --build "$root/build/$preset" -j "$(jobs_here)" "${target[@]}"; } >"$log" 2>&1; then
    # Without ninja's and make's progress, which drowns the error.
    grep -vE '^\[ *[0-9]+[/%]|^(gmake|make)' "$log" | tail -n 60 >&2
    warn "building preset '$preset' failed; the whole log is $log"
    return 1
  fi
}

# The argument of a check of the built object: sets `object`.
object_argument() {
  [ $# -eq 1 ] || usage_error "usage: ${0##*/} LIBRARY"
  [ -r "$1" ] || usage_error "cannot read $1"
  have readelf || skip "readelf is missing (package binutils)"
  # shellcheck disable=SC2034 # used by the checks
  object=$1
}
