# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Running other people's programs without touching the machine: private namespaces, our library put in front of theirs,
# and the proof of which library their sd_event calls were bound to.
#
# Sourced by the compat tests and by the tests of the examples; brings lib.sh with it.
#
# Invariants:
#  1. After sandbox_enter the script is process 1 of its own network, mount, PID, UTS and IPC namespaces: every port is
#     free, and whatever it starts or mounts is gone when it exits, however it exits. It needs root, or the right to
#     make a user namespace; where both are refused the test is skipped with the kernel's reason.
#     The clock belongs to no namespace: nothing in here has the capability to set it.
#  2. `scratch` is on a tmpfs of these namespaces: nothing has to be removed.
#  3. Nothing waits for a fixed time: wait_for ends when the condition holds or the process that should bring it about
#     is dead. A test that hangs is ended by the time limit of whoever runs it (ctest), and its namespaces with it.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# The environment that a program under test is started with: env "${inject[@]}" PROGRAM.
inject=()

# The columns of compare_both's row.
declare -A compat_row=()

# Usage, first thing in a script: sandbox_enter "$@"
sandbox_enter() {
  if [ -z "${EVENKEEL_SANDBOX:-}" ]; then
    have unshare || skip "unshare is missing (package util-linux)"
    have setpriv || skip "setpriv is missing (package util-linux)"
    have ip || skip "ip is missing (package iproute2)"
    [ -e /proc/self/ns/mnt ] || skip "/proc is not mounted"
    local flags=(-n -m -p -u -i -f --kill-child) mounts=private reason
    if ! unshare "${flags[@]}" true 2>/dev/null; then
      if have python3 && unshare "${flags[@]}" --propagation unchanged true 2>/dev/null; then
        mounts=unchanged
      else
        flags+=(--map-root-user)
        reason=$(unshare "${flags[@]}" true 2>&1) || skip "no right to make namespaces: $reason"
      fi
    fi
    EVENKEEL_SANDBOX=$mounts exec unshare "${flags[@]}" --propagation "$mounts" \
      setpriv --bounding-set -sys_time "$BASH" "$0" "$@"
  fi
  [ "$EVENKEEL_SANDBOX" = private ] || make_mounts_private
  unset EVENKEEL_SANDBOX
  mount -t proc proc /proc
  mount -t tmpfs -o mode=755 tmpfs /run
  ip link set lo up
  scratch=/run/evenkeel
  mkdir "$scratch"
}

# Empty directories in memory for temporary files, unless what is tested lies there itself: programs that make thousands of
# files would measure the disk.
private_tmp() {
  local directory
  for directory in /tmp /var/tmp; do
    case $root/,${library:-},$PWD/ in *"$directory"/*) continue ;; esac
    mount -t tmpfs -o mode=1777 tmpfs "$directory"
  done
}

# In a chroot / is no mount point, so neither unshare nor mount can reach the mount that it is on, and what is mounted
# here could appear on the machine. Entering the mount namespace in which we are already leads out of the chroot (only the
# process that does it, and only to the copy of the mounts that is ours), where the root can be named.
make_mounts_private() {
  python3 - <<'PYTHON' || skip "this is a chroot, and its mounts cannot be made private"
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
MS_REC, MS_PRIVATE = 0x4000, 1 << 18
namespace = os.open("/proc/self/ns/mnt", os.O_RDONLY)
if libc.setns(namespace, 0) < 0 or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) < 0:
    sys.exit(os.strerror(ctypes.get_errno()))
PYTHON
}

# wait_for PID COMMAND...: until COMMAND succeeds; fails when process PID (a child of ours) is gone before.
wait_for() {
  local pid=$1
  shift
  until "$@" >/dev/null 2>&1; do
    kill -0 "$pid" 2>/dev/null || { "$@" >/dev/null 2>&1 && return; return 1; }
    sleep 0.02
  done
}

# listens tcp|udp PORT [COUNT]: do so many sockets of these namespaces (1) wait there?
listens() {
  local protocol=$1 port
  port=$(printf '%04X' "$2")
  awk -v port=":$port" -v count="${3:-1}" -v state="$([ "$protocol" = tcp ] && echo 0A || echo 07)" \
    'index($2, port) == length($2) - 4 && $4 == state { found++ } END { exit found < count }' "/proc/self/net/$protocol"
}

# compile_program NAME: compat-tests/programs/NAME.c, which needs nothing but libc, to $scratch/NAME.
compile_program() {
  have cc || skip "no C compiler"
  cc -O1 -std=gnu11 -Wall -Werror "$root/compat-tests/programs/$1.c" -o "$scratch/$1"
}

# Fills `inject`, the environment that puts library $1 in front and logs every binding to $scratch/$2.PID.
inject_library() {
  inject=(LD_PRELOAD="$1" LD_BIND_NOW=1 LD_DEBUG=bindings LD_DEBUG_OUTPUT="$scratch/$2")
}

# prove_bindings PROGRAM HOW LIBRARY-NAME LOG: fails unless all sd_event calls in the logs were bound to the library.
# With EVENKEEL_ROWS set, a row of the demonstration's table is appended to that file.
prove_bindings() {
  local program=$1 how=$2 library=$3 log=$4 sums result=good
  # What is linked to it has it by its name up to .so.N, whichever name it was preloaded by.
  if [[ $library =~ ^.*\.so\.[0-9]+ ]]; then library=${BASH_REMATCH[0]}; fi
  "$root/tools/bindings" --to "$library" "$scratch/$log".* >"$scratch/$log.proof" || result=bad
  sums=$(sed -n '$s/^bindings: //p' "$scratch/$log.proof")
  say "$program, $how: sd_event calls bound: $sums"
  compat_row[bound]=$sums
  if [ -n "${EVENKEEL_ROWS:-}" ]; then
    printf '%s\t%s\t%s\t%s\n' "$program" "$how" "$sums" "$result" >>"$EVENKEEL_ROWS"
  fi
  [ "$result" = good ] || {
    cat "$scratch/$log.proof" >&2
    fail "$program: not every sd_event call was bound to $library"
  }
}

# compare_both PROGRAM LIBRARY BODY DID [PACKAGE]: BODY natively, then with LIBRARY preloaded, then the proof. BODY starts
# programs with the environment in `inject`, may use $scratch/$round, and fails by `fail` or skips by `skip`; DID says in a
# few words what has been shown when it returns. What fails natively says nothing about us: it is a skip.
# With EVENKEEL_COMPAT_ROWS set, a row of the table of tools/compat is appended to that file, however it ends:
# PROGRAM, version of PACKAGE, calls bound to ours and to others, native result, ours, wall and CPU time of both in seconds.
compare_both() {
  local program=$1 library=$2 body=$3 did=$4
  compat_row=([program]=$1)
  [ -z "${EVENKEEL_COMPAT_ROWS:-}" ] || compat_row[version]=$(version_of "${5:-}")
  failure=""
  round=native
  trap 'compare_ended $?' EXIT
  inject_nothing native-bindings
  mkdir "$scratch/$round"
  measured "$body"
  compat_row[native]=passed
  say "$program, as Debian ships it: $did"
  round=preloaded
  inject_library "$library" bindings
  mkdir "$scratch/$round"
  measured "$body"
  say "$program, preloaded: $did"
  prove_bindings "$program" preloaded "${library##*/}" bindings
  compat_row[preloaded]=passed
  trap - EXIT
  compare_row
}

# The environment of a native round: the dynamic linker logs as much as in the other one, since that takes time.
inject_nothing() {
  inject=(LD_BIND_NOW=1 LD_DEBUG=bindings LD_DEBUG_OUTPUT="$scratch/$1")
}

version_of() {
  if [ -n "$1" ]; then dpkg-query -W -f '${Version}\n' "$1" 2>/dev/null | grep . && return; fi
  cat "$root/build/unpacked/$1.version" 2>/dev/null || printf -- '-\n'
}

# measured BODY: wall and CPU time of the round, the latter of all processes that were started in it and have been waited for.
measured() {
  local begin=${EPOCHREALTIME/./} before after
  times >"$scratch/times"
  before=$(cpu_of_children)
  "$1"
  times >"$scratch/times"
  after=$(cpu_of_children)
  compat_row[wall-$round]=$(seconds $((${EPOCHREALTIME/./} - begin)))
  compat_row[cpu-$round]=$(seconds $((after - before)))
}

# In microseconds, from the last line of $scratch/times: within $(...), `times` would tell of a shell without children.
cpu_of_children() {
  awk -F '[ms ]+' '{ sum = 60000 * ($1 + $3) + 1000 * ($2 + $4) } END { printf "%d", 1000 * sum }' "$scratch/times"
}

seconds() { printf '%d.%03d' $(($1 / 1000000)) $(($1 / 1000 % 1000)); }

# Upon an exit before the end of compare_both. Only the native round may be skipped: what skips itself with the library in
# front, after it has passed without, has failed.
compare_ended() {
  local code=$1 verdict=failed
  # A body that exits, or a signal, of which 0 is all that is told here: there is no result, but it has not passed.
  [ "$code" -ne 0 ] || fail "${compat_row[program]} ($round) ended before anything was compared"
  if [ "$code" -eq 77 ] && [ "$round" = native ]; then verdict=skipped; fi
  compat_row[$round]=$verdict
  compare_row
  [ "$verdict" = failed ] || return 0
  [ "$round" != native ] || skip "${compat_row[program]} fails natively: ${failure:-see above}"
  [ "$code" -ne 77 ] || fail "${compat_row[program]} ($round) was skipped, though it passed natively"
}

compare_row() {
  [ -n "${EVENKEEL_COMPAT_ROWS:-}" ] || return 0
  local column row=
  for column in program version bound native preloaded wall-native wall-preloaded cpu-native cpu-preloaded; do
    row+=$'\t'${compat_row[$column]:--}
  done
  printf '%s\n' "${row#?}" >>"$EVENKEEL_COMPAT_ROWS"
}

# The library argument of a compat test: an absolute path, since the test changes directories.
library_argument() {
  [ $# -eq 1 ] || usage_error "usage: ${0##*/} LIBRARY (a libevenkeel.so.0)"
  [ -r "$1" ] || usage_error "cannot read $1"
  library=$(cd "$(dirname "$1")" && pwd -P)/${1##*/}
}

# example_main NAME BODY DID ARGUMENT...: the test of an example. BODY starts "$program" with the environment in `inject`,
# may use the directory $scratch/$round, and fails by `fail` or skips by `skip`; DID as above. The arguments:
#   BUILD                      a build directory: the example is compiled against it and run in each of the ways below;
#                              with sanitizers if the library has them, and then in the first one only
#   PROGRAM                    linked to libevenkeel.so.0: the bindings are proved
#   PROGRAM --preload LIBRARY  linked to libsystemd, LIBRARY in front: the bindings are proved
#   PROGRAM --static           linked to libevenkeel.a: the program must import no sd_* call at all
#   PROGRAM --archive          linked to the whole of libevenkeel.a and to libsystemd: the bindings are proved
#   PROGRAM --reference        linked to libsystemd, nothing in front: only its behaviour is checked
# A script sets before what its example needs besides: `example_packages`, modules of pkg-config, without which the test is
# skipped. What has libsystemd among them uses more of it than we have: in place of --static there is --archive then.
example_packages=()
example_main() {
  local name=$1 body=$2 did=$3
  shift 3
  if [ ${#example_packages[@]} -gt 0 ]; then
    pkg-config --exists "${example_packages[@]}" 2>/dev/null || skip "missing of pkg-config: ${example_packages[*]}"
  fi
  sandbox_enter "$@"
  [ -x "${1:-}" ] || usage_error "usage: ${0##*/} BUILD | PROGRAM [--preload LIBRARY | --static | --archive | --reference]"
  local path
  path=$(cd "$(dirname "$1")" && pwd -P)/${1##*/}
  if [ -d "$1" ]; then
    run_example_of_build "$name" "$body" "$(cd "$1" && pwd -P)"
  else
    program=$path
    run_example "$name" "$body" "${2:---linked}" "${3:-}"
  fi
}

run_example_of_build() {
  local name=$1 body=$2 build=$3 packages=() systemd=() sanitizers
  local compile=(cc -std=gnu11 -O1 -g -Wall -Werror -pthread "$root/examples/$name.c" -o)
  have cc || skip "no C compiler"
  if [ ${#example_packages[@]} -gt 0 ]; then
    read -ra packages < <(pkg-config --cflags --libs "${example_packages[@]}")
  fi
  local programs=$scratch/programs
  mkdir "$programs"

  sanitizers=$(sed -n 's/^EVENKEEL_SANITIZE:[A-Z]*=//p' "$build/CMakeCache.txt" 2>/dev/null | tr ';' ',')
  program=$programs/linked
  # Ours goes first: what both libraries have is ours then.
  "${compile[@]}" "$program" "-I$root/include" ${sanitizers:+"-fsanitize=$sanitizers"} "-L$build" -levenkeel \
    "-Wl,-rpath,$build" "${packages[@]}"
  run_example "$name" "$body" --linked
  [ -z "$sanitizers" ] || return 0

  if [[ " ${example_packages[*]} " == *" libsystemd "* ]]; then
    program=$programs/archive
    # All of it: libsystemd may call what the program does not, and would take its own then.
    "${compile[@]}" "$program" "-I$root/include" -Wl,--whole-archive "$build/libevenkeel.a" -Wl,--no-whole-archive \
      "${packages[@]}"
    run_example "$name" "$body" --archive
  else
    program=$programs/static
    "${compile[@]}" "$program" "-I$root/include" "$build/libevenkeel.a" "${packages[@]}"
    run_example "$name" "$body" --static
  fi

  if ! pkg-config --exists libsystemd 2>/dev/null; then
    say "not run with libsystemd: its development files are missing (package libsystemd-dev)"
    return
  fi
  program=$programs/reference
  # Their headers: this is the program as it is built without us.
  read -ra systemd < <(pkg-config --cflags --libs libsystemd)
  "${compile[@]}" "$program" "${packages[@]}" "${systemd[@]}"
  run_example "$name" "$body" --reference
  run_example "$name" "$body" --preload "$build/libevenkeel.so.0"
}

# run_example NAME BODY HOW [LIBRARY]; with `did` of example_main.
run_example() {
  local name=$1 body=$2 how=$3 given=${4:-}
  round=${how#--}
  mkdir "$scratch/$round"
  inject=()
  case $how in
    --linked)
      # shellcheck disable=SC2034 # used by the scripts that source this
      inject=(LD_BIND_NOW=1 LD_DEBUG=bindings LD_DEBUG_OUTPUT="$scratch/linked-bindings")
      "$body"
      say "$name, linked: $did"
      prove_bindings "$name" linked libevenkeel.so.0 linked-bindings
      ;;
    --preload)
      [ -r "$given" ] || usage_error "--preload needs a library"
      inject_library "$(cd "$(dirname "$given")" && pwd -P)/${given##*/}" preload-bindings
      "$body"
      say "$name, preloaded: $did"
      prove_bindings "$name" preloaded "${given##*/}" preload-bindings
      ;;
    --static)
      "$body"
      ! nm -D --undefined-only "$program" | grep ' sd_' >&2 || fail "$name imports sd_* though it is linked statically"
      say "$name, static: $did"
      say "$name, static: imports no sd_* call"
      ;;
    --archive)
      # shellcheck disable=SC2034 # the same
      inject=(LD_BIND_NOW=1 LD_DEBUG=bindings LD_DEBUG_OUTPUT="$scratch/archive-bindings")
      "$body"
      say "$name, linked to the archive: $did"
      prove_bindings "$name" "linked to the archive" "${program##*/}" archive-bindings
      ;;
    --reference)
      "$body"
      say "$name, with libsystemd: $did"
      ;;
    *) usage_error "unknown argument '$how'" ;;
  esac
}
