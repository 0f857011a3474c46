# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154 # inject, round, scratch are those of sandbox.sh
#
# A service of programs.sh on the bus of bus.sh, which has the name org.example.Evenkeel: started, and ended by SIGTERM.
#
# Sourced after both. Its output is in $scratch/$round/service, the bus' in bus.log beside it. The bus is not on our loop
# here: it is what service and client talk to.

# service_start PROGRAM ARGUMENT...: the bus, then the service; returns when it has its name.
service_start() {
  local directory=$scratch/$round name=$1
  shift
  bus_start "$directory/bus.log"
  # Not by run_program: the signal of service_stop is for the service, not for a shell around it.
  env "${inject[@]}" "$(program_path "$name")" "$@" >"$directory/service" 2>"$directory/service.err" </dev/null &
  service_pid=$!
  wait_for "$service_pid" service_has_name || fail "($round) the service died: $(cat "$directory/service.err")"
}

service_has_name() {
  busctl --address="unix:path=$bus" --no-pager --no-legend list | grep -q '^org\.example\.Evenkeel '
}

service_stop() {
  local directory=$scratch/$round code=0
  kill -TERM "$service_pid"
  wait "$service_pid" || code=$?
  [ "$code" -eq 0 ] || fail "($round) the service exited with $code: $(cat "$directory/service.err")"
  bus_stop || fail "($round) the bus: $(cat "$directory/bus.log")"
}
