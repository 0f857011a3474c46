# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154 # scratch and round are set by sandbox.sh
#
# A socket that stands for the service manager: what is sent to it can be looked at. Messages follow each other without a mark.
#
# Sourced after sandbox.sh. manager_require in front of example_main; then manager_start, and programs that have
# NOTIFY_SOCKET="$manager" in their environment. It ends with the namespaces of the test.
#
# Invariant: manager_told COUNT PATTERN looks at all that has come since the last manager_start.

manager_require() { have socat || skip "socat is missing"; }

# Sets `manager`, the address.
manager_start() {
  manager=$scratch/$round/notify
  manager_log=$scratch/$round/notify.log
  : >"$manager_log"
  socat -u "UNIX-RECV:$manager" "OPEN:$manager_log,append" </dev/null &
  wait_for $! test -S "$manager" || fail "socat died"
}

# manager_told COUNT PATTERN: so often at least?
manager_told() { [ "$(grep -aoE "$2" "$manager_log" | wc -l)" -ge "$1" ]; }
