# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154 # scratch is set by sandbox.sh
#
# A message bus of the test's own, where the system bus is looked for: dbus-broker-launch in the namespaces of sandbox.sh.
#
# Sourced after sandbox.sh. bus_require in front of sandbox_enter; then bus_start, programs, bus_stop, as often as wanted.
#
# Invariants:
#  1. Socket, configuration and the socket on which the broker wants to log (a journal that throws everything away) are
#     on the tmpfs of the namespaces. Nothing reaches the machine's bus, and nothing is left of this one.
#  2. When bus_start returns the socket accepts connections: systemd-socket-activate listens before the launcher is started
#     by the first of them.
#  3. The launcher has the environment that bus_start is told, which is empty otherwise: whether the bus runs on our loop is
#     the test's decision. It allows everybody everything.
bus=/run/dbus/system_bus_socket
bus_launcher=/usr/bin/dbus-broker-launch

bus_require() {
  [ -x "$bus_launcher" ] || skip "$bus_launcher is missing (package dbus-broker)"
  have busctl || skip "busctl is missing (package systemd)"
  have socat || skip "socat is missing"
}

# bus_start LOG [VARIABLE=VALUE...]: sets bus_pid.
bus_start() {
  local log=$1 pass=() assignment
  shift
  for assignment in "$@"; do pass+=(-E "$assignment"); done
  bus_prepare
  rm -f "$bus"
  systemd-socket-activate -l "$bus" "${pass[@]}" \
    "$bus_launcher" --scope system --config-file "$scratch/bus.conf" >"$log" 2>&1 </dev/null &
  bus_pid=$!
  wait_for "$bus_pid" test -S "$bus" || fail "systemd-socket-activate died: $(cat "$log")"
  # For programs that run as another user.
  chmod 666 "$bus"
}

# SIGTERM; returns the launcher's exit code.
bus_stop() {
  kill -TERM "$bus_pid"
  wait "$bus_pid"
}

bus_prepare() {
  [ ! -e "$scratch/bus.conf" ] || return 0
  mkdir -p /run/dbus
  if [ ! -S /run/systemd/journal/socket ]; then
    mkdir -p /run/systemd/journal
    socat -u UNIX-RECVFROM:/run/systemd/journal/socket,fork OPEN:/dev/null </dev/null >/dev/null 2>&1 &
    wait_for $! test -S /run/systemd/journal/socket || fail "socat died"
  fi
  cat >"$scratch/bus.conf" <<'CONF'
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*" eavesdrop="false"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
CONF
}
