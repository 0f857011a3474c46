# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Building a project of others against an installed Evenkeel: the copy, the rounds, and the proof.
#
# Sourced by the run-* scripts, with BUILD, a build directory, as their argument.
#
# Invariants:
#  1. The copy is installed to one directory and then moved to another, where it is used: nothing may name the first one.
#  2. A project is built once with the libsystemd of the machine, which shows that it is a program of libsystemd, and once
#     more from the same files with PKG_CONFIG_PATH and LDFLAGS alone set differently. Both times it must do the same.
#  3. Everything is in one directory that is removed at the end.
source "$(dirname "${BASH_SOURCE[0]}")/../../tools/lib.sh"
# shellcheck disable=SC2034 # used by the tests
here=$root/pkgconfig/tests

# install_copy BUILD: sets `work`, and `prefix` and `libdir` of the copy.
install_copy() {
  [ $# -eq 1 ] || usage_error "usage: ${0##*/} BUILD"
  [ -e "$1/CMakeCache.txt" ] || usage_error "$1 is not a build directory"
  local tool
  for tool in pkg-config cc readelf nm; do have "$tool" || skip "$tool is missing"; done
  ! grep -q '^CMAKE_INSTALL_PREFIX:[A-Z]*=/usr$' "$1/CMakeCache.txt" ||
    skip "this build is configured for /usr, which is not moved"
  work=$(mktemp -d)
  # shellcheck disable=SC2064 # the name is known now and shall not change
  trap "rm -rf '$work'" EXIT
  DESTDIR='' cmake --install "$1" --prefix "$work/first" >"$work/log" 2>&1 || fail "installing: $(cat "$work/log")"
  prefix=$work/moved
  mv "$work/first" "$prefix"
  ! grep -rlF "$work/first" "$prefix" >&2 || fail "these name the directory to which they were installed"
  libdir=$(dirname "$(find "$prefix" -name libevenkeel.so.0)")
}

# in_round ROUND: the environment of a user who wants libsystemd (native), ours before it (relinked), or ours alone (alone).
in_round() {
  round=$1
  unset PKG_CONFIG_PATH LDFLAGS
  case $round in
    relinked) PKG_CONFIG_PATH=$libdir/evenkeel/pkgconfig ;;
    alone) PKG_CONFIG_PATH=$libdir/evenkeel/pkgconfig-alone ;;
    *) return ;;
  esac
  export PKG_CONFIG_PATH LDFLAGS=-Wl,-rpath,$libdir
}

# quietly COMMAND...: its output is shown when it fails.
quietly() { "$@" >"$work/log" 2>&1 || fail "$round: $* failed: $(tail -n 40 "$work/log")"; }

# expect_run CODE OUTPUT COMMAND...: and every call of sd-event is bound to one library, the one of this round.
expect_run() {
  local wanted=$1 text=$2 program=${*: -1} code=0 got library=libevenkeel.so.0
  shift 2
  [ "$round" != native ] || library=libsystemd.so.0
  rm -f "$work/bindings".*
  got=$(LD_BIND_NOW=1 LD_DEBUG=bindings LD_DEBUG_OUTPUT=$work/bindings "$@") || code=$?
  [ "$code:$got" = "$wanted:$text" ] || fail "$round: ${program##*/} exited with $code and said '$got'"
  got=$("$root/tools/bindings" --to "$library" "$work/bindings".*) || fail "$round: ${program##*/}: $got"
  say "$round: ${program##*/}: ${got##*$'\n'} ($library)"
}

expect_daemon() { expect_run 7 $'READY=1\nSTATUS=consumer' "$@"; }
expect_bus() { expect_run 8 answered "$@"; }

# two_rounds BUILDER: BUILDER DIRECTORY builds the project's programs in DIRECTORY, which is there and empty.
two_rounds() {
  pkg-config --exists libsystemd || skip "libsystemd-dev is missing"
  for round in native relinked; do
    in_round "$round"
    mkdir "$work/$round"
    "$1" "$work/$round"
    expect_daemon "$work/$round/daemon"
    expect_bus "$work/$round/bus"
    [ ! -e "$work/$round/split" ] || expect_run 9 '' "$work/$round/split"
  done
}
