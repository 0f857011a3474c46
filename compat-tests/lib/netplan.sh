# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154 # scratch, round and the like are set by sandbox.sh
#
# What netplan-dbus is asked in the tests of Debian's program and of what is built of its source.
#
# Sourced after sandbox.sh, bus.sh and daemon.sh. The daemon is `daemon`; `netplan_environment` is its own, besides `inject`,
# which the bus has as well. The command netplan, which the daemon starts to try a configuration, is played by a few lines
# here (there is a variable for it), which write down how they end: nothing changes a network.
netplan_environment=()
# shellcheck disable=SC2034 # used by daemon.sh
bus_service=io.netplan.Netplan bus_object=/io/netplan/Netplan bus_interface=io.netplan.Netplan
# The shell has what it starts in the background ignore SIGINT, and that is inherited by the command, which needs it.
# shellcheck disable=SC2034 # used by daemon.sh
daemon_as=(env --default-signal=INT)

# The command: `get` and `set` work on the file of the root that they are told, `try` waits for the decision.
write_command() {
  printf '#!%s\ndirectory=%q\n' "$BASH" "$scratch/$round" >"$1"
  cat >>"$1" <<'COMMAND'
for argument in "$@"; do [[ $argument != --root-dir=* ]] || file=${argument#*=}/etc/netplan/evenkeel.yaml; done
ended() { echo "$1" >>"$directory/tries"; rm "$directory/trying"; kill "$child"; exit 0; }
case $1 in
  get) cat "$file" ;;
  set) echo "# $2" >>"$file" ;;
  try)
    trap 'ended accepted' USR1
    trap 'ended rejected' INT
    trap 'ended "ends by itself"' HUP
    sleep infinity &
    child=$!
    echo begins >>"$directory/tries"
    echo $$ >"$directory/trying.new"
    mv "$directory/trying.new" "$directory/trying"
    # What the daemon waits for.
    touch "$netplan_root/run/netplan/netplan-try.ready"
    wait
    ;;
  *) echo "unknown: $*" >>"$directory/tries" ;;
esac
COMMAND
  chmod +x "$1"
}

# configuration METHOD ARGUMENT...: of the object that Config made.
configuration() {
  busctl call "$bus_service" "$configuration" "$bus_interface.Config" "$@"
}

trying() { [ -e "$scratch/$round/trying" ]; }
gone() { [[ $(configuration Get 2>&1) == *'Unknown object'* ]]; }

# make_configuration: sets `configuration`, which is the file as it is now, and what is added here.
make_configuration() {
  configuration=$(call Config | cut -d '"' -f 2)
  expect "# $round" configuration Get
  must configuration Set ss "$1" ""
  expect "# $1" configuration Get
}

# Another one is refused as long as it lasts.
try() {
  must configuration Try u 30
  wait_for "$daemon_pid" trying || fail "($round) it died: $(tail -n 5 "$daemon_log")"
  expect 'Another Try() is currently in progress' configuration Try u 30
}

ask() {
  local difference
  expect '"dbus-config"' call Info
  make_configuration first=rejected
  try
  must configuration Cancel
  make_configuration second=ends
  try
  kill -HUP "$(cat "$scratch/$round/trying")"
  wait_for "$daemon_pid" gone || fail "($round) it died: $(tail -n 5 "$daemon_log")"
  make_configuration third=accepted
  try
  must configuration Apply
  gone || fail "($round) the configuration that was accepted is still there"
  expect "# $round"$'\n# third=accepted' cat "$netplan_root/etc/netplan/evenkeel.yaml"
  printf '%s\n' begins rejected begins 'ends by itself' begins accepted >"$scratch/$round/wanted"
  difference=$(diff "$scratch/$round/wanted" "$scratch/$round/tries") ||
    fail "($round) the tries were others: $difference"
}

netplan_run() {
  export netplan_root=$scratch/$round/root
  mkdir -p "$netplan_root/etc/netplan" "$netplan_root/run/netplan"
  printf 'network: {version: 2} # %s\n' "$round" >"$netplan_root/etc/netplan/evenkeel.yaml"
  write_command "$scratch/$round/netplan"
  bus_daemon_start "${netplan_environment[@]}" DBUS_TEST_NETPLAN_CMD="$scratch/$round/netplan" DBUS_TEST_NETPLAN_ROOT="$netplan_root" "$daemon"
  ask
  bus_daemon_stop
}
