# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154 # library, scratch and the like are those of sandbox.sh
#
# The programs written for compat-tests/, which cmake/compat.cmake builds beside the library: where they are, and their runs.
#
# Sourced after sandbox.sh.
#
# Invariants:
#  1. A program is run in three rounds: as built against libsystemd alone ("native"), the same file with ours preloaded
#     ("preloaded"), and built against our headers with our library in front of libsystemd ("relinked").
#  2. What fails natively has failed: these programs are ours, and are written so that they pass on libsystemd.
#  3. Each round must print what the test expects, byte by byte: so the rounds are the same, and none is empty.

# program_path NAME: prints the path of the program for this round.
program_path() {
  local path=${library%/*}/compat-$1
  [ "$round" != relinked ] || path+=-relinked
  printf '%s\n' "$path"
}

# programs_require NAME...: after library_argument.
programs_require() {
  local name
  for name in "$@"; do
    [ -x "${library%/*}/compat-$name" ] || skip "compat-$name was not built beside the library (see tools/setup --for test)"
  done
}

# compare_own PROGRAM LIBRARY BODY DID PACKAGE: compare_both for a program of ours; PACKAGE is what it stands on.
compare_own() {
  own_body=$3
  compare_both "$1" "$2" run_own "$4" "$5"
}

run_own() {
  [ "$round" != native ] || trap 'own_ended $?' EXIT
  "$own_body"
  trap 'compare_ended $?' EXIT
}

own_ended() {
  case $1 in
    0 | 77) compare_ended "$1" ;;
    *) compat_row[native]=failed && compare_row ;;
  esac
}

# compare_three PROGRAM LIBRARY BODY DID PACKAGE: compare_own, then the relinked round.
compare_three() {
  local program=$1 library=$2 body=$3 did=$4
  compare_own "$@"
  round=relinked
  mkdir "$scratch/$round"
  inject=(LD_BIND_NOW=1 LD_DEBUG=bindings LD_DEBUG_OUTPUT="$scratch/relinked-bindings")
  "$body"
  say "$program, relinked: $did"
  # By the name that it was linked by, whichever file it was given as.
  prove_bindings "$program" relinked libevenkeel.so.0 relinked-bindings
}

# expect_output FILE: its bytes are those of standard input.
expect_output() {
  local difference
  difference=$(diff - "$1") || fail "($round) ${1##*/}: not as expected: $difference; $(tail -n 5 "$1".err 2>/dev/null)"
}

# The same for what two processes have written to one file: the order of the lines does not count.
expect_sorted() {
  sort -o "$1" "$1"
  expect_output "$1"
}

# run_program NAME OUTPUT ARGUMENT...: its output is in OUTPUT, what it complains of in OUTPUT.err; returns its exit code.
run_program() {
  local name=$1 output=$2
  shift 2
  env "${inject[@]}" "$(program_path "$name")" "$@" >"$output" 2>"$output.err" </dev/null
}
