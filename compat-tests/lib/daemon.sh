# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154 # scratch, round and the like are set by sandbox.sh
#
# Daemons, most of them systemd's, without a systemd: where they are, directories of their own for what they write, and their start and end.
#
# Sourced after sandbox.sh. daemon_require before sandbox_enter.
#
# Invariants:
#  1. A daemon is Debian's binary: the installed one, or the one that tools/setup has unpacked below build/unpacked.
#  2. It sees a copy of the machine's /etc and empty state directories, on the tmpfs of the namespaces.
#  3. It must live until daemon_stop, and then end with 0 upon its signal. What it printed is in $scratch/$round/NAME.log, with
#     what LD_DEBUG does not tell; its end is waited for, so that its time counts.

# daemon_path PATH PACKAGE: prints where a file of a package is.
daemon_path() {
  if [ -e "$1" ]; then printf '%s\n' "$1"; elif [ -e "$root/build/unpacked/$1" ]; then
    printf '%s\n' "$root/build/unpacked/$1"
  else
    return 1
  fi
}

# daemon_require NAME PACKAGE: sets `daemon`, the path of /lib/systemd/NAME; another one's NAME is its whole path.
daemon_require() {
  local path=$1
  [[ $path == /* ]] || path=/lib/systemd/$1
  [ "$(id -u)" -eq 0 ] || skip "${path##*/} needs root, to give files to other users"
  daemon=$(daemon_path "$path") || skip "$path is missing (package $2; tools/setup unpacks it)"
}

# Anew in each round: a copy of the machine's /etc, and nothing where daemons keep their state.
daemon_directories() {
  local directory copy=$scratch/$round/etc
  umount /etc 2>/dev/null || true
  mkdir "$copy"
  cp -a /etc/. "$copy"
  # As a machine that has been set up, but not as this one.
  printf '%032d\n' 1 >"$copy/machine-id"
  mount --bind "$copy" /etc
  for directory in /var/lib/systemd /var/log; do
    umount "$directory" 2>/dev/null || true
    [ ! -d "$directory" ] || mount -t tmpfs -o mode=755 tmpfs "$directory"
  done
  mkdir -p /run/systemd
}

# daemon_user NAME: a user as the daemon's package would have made it, in the copy of /etc.
daemon_user() {
  getent passwd "$1" >/dev/null || printf '%s:x:61000:61000::/:/usr/sbin/nologin\n' "$1" >>/etc/passwd
  getent group "$1" >/dev/null || printf '%s:x:61000:\n' "$1" >>/etc/group
}

# The command that starts it as another user, if it is to be one: it must not see the environment of `inject`, since the log of
# the dynamic linker would be its file then.
daemon_as=()

# daemon_start [VARIABLE=VALUE...] PROGRAM [ARGUMENT...]: sets daemon_pid and daemon_log.
daemon_start() {
  daemon_log=$scratch/$round/daemon.log
  "${daemon_as[@]}" env "${inject[@]}" "$@" >>"$daemon_log" 2>&1 </dev/null &
  daemon_pid=$!
}

# The signal upon which it ends. (One that a shell has it ignore arrives all the same, as the loop blocks it.)
daemon_signal=TERM

# daemon_stop: the signal must end it with 0.
daemon_stop() {
  local code=0
  kill -"$daemon_signal" "$daemon_pid" 2>/dev/null || fail "($round) the daemon is gone: $(tail -n 5 "$daemon_log")"
  wait "$daemon_pid" || code=$?
  [ "$code" -eq 0 ] || fail "($round) the daemon exited with $code: $(tail -n 5 "$daemon_log")"
}

# expect WANTED COMMAND...: what the command prints contains WANTED.
expect() {
  local wanted=$1 got
  shift
  got=$("$@" 2>&1) || true
  [[ $got == *"$wanted"* ]] || fail "($round) $*: expected '$wanted', got '$got'; $(tail -n 5 "$daemon_log")"
}

# must COMMAND...: it succeeds.
must() {
  local got
  got=$("$@" 2>&1) || fail "($round) $*: '$got'; $(tail -n 5 "$daemon_log")"
}

# --- Daemons that are services on the bus (after lib/bus.sh) ---

# bus_daemon_main SCRIPT-ARGUMENTS... -- NAME PACKAGE SERVICE INTERFACE BODY DID: a test of such a daemon. BODY asks it by
# `call METHOD ...` and `property NAME`; both rounds have a bus of their own, which runs on the same loop as the daemon.
bus_daemon_main() {
  local arguments=()
  while [ "$1" != -- ]; do arguments+=("$1") && shift; done
  shift
  daemon_require "$1" "$2"
  bus_require
  sandbox_enter "${arguments[@]}"
  library_argument "${arguments[@]}"
  bus_service=org.freedesktop.$3 bus_object=/org/freedesktop/$3 bus_interface=org.freedesktop.$4 bus_body=$5
  compare_both "$1" "$library" bus_daemon_run "$6" "$2"
}

bus_daemon_run() {
  daemon_directories
  bus_daemon_start "$daemon"
  "$bus_body"
  bus_daemon_stop
}

# bus_daemon_start COMMAND...: the bus, and the daemon, until it has the name $bus_service.
bus_daemon_start() {
  bus_start "$scratch/$round/bus.log" "${inject[@]}"
  daemon_start "$@"
  wait_for "$daemon_pid" bus_name_taken || fail "($round) it died: $(tail -n 5 "$daemon_log")"
}

bus_daemon_stop() {
  local code=0
  daemon_stop
  bus_stop || code=$?
  [ "$code" -eq 0 ] || fail "($round) the bus exited with $code: $(tail -n 5 "$scratch/$round/bus.log")"
}

# Has the daemon its name on the bus?
bus_name_taken() {
  busctl call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus NameHasOwner s "$bus_service" | grep -q true
}

call() { busctl call "$bus_service" "$bus_object" "$bus_interface" "$@"; }
property() { busctl get-property "$bus_service" "$bus_object" "$bus_interface" "$@"; }
