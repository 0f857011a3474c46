# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2030,SC2031,SC2034,SC2154 # scratch, inject and the like are of sandbox.sh, the lists of the scripts
#
# systemd's own tests (package systemd-tests) on our loop: each binary natively and preloaded, from the directory where it is.
#
# Sourced after sandbox.sh, by the scripts systemd-tests-* and test-event, which share them out so that they run in parallel.
# The binaries are Debian's, unchanged; they check themselves by assertions, and what is compared is the exit code. All of them bind to
# libsystemd-shared natively and to our library when that is preloaded, which is proved for each.
#
# Invariants:
#  1. A binary that passes natively must pass preloaded. One that fails natively, or skips itself (77), is skipped with its
#     reason, and says nothing.
#  2. A script passes if a binary passed and none failed; it is skipped if all were skipped.
#  3. They see interfaces and devices of these namespaces only, the machine's settings read-only, and no cgroups, but for
#     those that start services, which have a cgroup of their own for the whole tree.
source "$(dirname "${BASH_SOURCE[0]}")/cgroup.sh"

systemd_tests=/usr/lib/systemd/tests
# Newer releases have them in a directory of their own.
[ ! -d "$systemd_tests/unit-tests" ] || systemd_tests+=/unit-tests

# Those that can call sd_event_*: they import one, or a function of libsystemd-shared from which one is reached (found by
# following the calls in its machine code). What imports one and is in no list is run by systemd-tests-others.
systemd_tests_bus=(test-bus-chat test-bus-cleanup test-bus-marshal test-bus-match test-bus-objects test-bus-queue-ref-cycle
  test-bus-server test-bus-track test-bus-util test-bus-vtable test-bus-vtable-cc test-bus-watch-bind)
systemd_tests_network=(test-dhcp-client test-dhcp-server test-dhcp6-client test-firewall-util test-ipv4ll test-lldp-rx
  test-local-addresses test-loopback test-ndisc-ra test-ndisc-rs test-netlink test-network test-networkd-conf
  test-nss-hosts test-resolve test-resolved-etc-hosts test-resolved-stream test-socket-netlink test-timesync)
systemd_tests_own_script=(test-event)
systemd_tests_cgroup=(test-path)

# systemd_tests_main LIBRARY NAME...
systemd_tests_main() {
  [ -d "$systemd_tests" ] || skip "$systemd_tests is missing (package systemd-tests)"
  library_argument "$1"
  shift
  private_tmp
  mount -t sysfs -o ro sysfs /sys || skip "no right to mount sysfs"
  { mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys; } || skip "/proc/sys can't be made read-only"
  local name code n_passed=0 n_failed=0 n_skipped=0
  for name in "$@"; do
    # In a shell of its own, which may exit; and without `||`, which would turn off -e in it.
    set +e
    (
      set -e
      scratch=$scratch/$name
      mkdir "$scratch"
      compare_both "$name" "$library" run_systemd_test passes systemd-tests
    )
    code=$?
    set -e
    case $code in
      0) n_passed=$((n_passed + 1)) ;;
      77) n_skipped=$((n_skipped + 1)) ;;
      *) n_failed=$((n_failed + 1)) && warn "$name failed" ;;
    esac
  done
  say "$n_passed passed, $n_failed failed, $n_skipped skipped"
  [ "$n_failed" -eq 0 ] || exit 1
  [ "$n_passed" -gt 0 ] || skip "none of them passes natively here"
}

run_systemd_test() {
  local name=${scratch##*/} output=$scratch/$round/output code=0
  [ -x "$systemd_tests/$name" ] || skip "$systemd_tests/$name is missing"
  # By its whole path: some look for files beside it.
  local command=(env -C "$systemd_tests" "${inject[@]}" "$systemd_tests/$name")
  if [[ " ${systemd_tests_cgroup[*]} " == *" $name "* ]]; then
    enter_cgroup
    (in_cgroup "${command[@]}") >"$output" 2>&1 </dev/null || code=$?
    remove_cgroup "$cgroup"
  else
    "${command[@]}" >"$output" 2>&1 </dev/null || code=$?
  fi
  [ "$code" -ne 77 ] || [ "$round" != native ] || skip "$name skips itself here: $(tail -n 1 "$output")"
  [ "$code" -eq 0 ] || {
    tail -n 30 "$output" >&2
    fail "$name ($round) exited with $code: $(tail -n 1 "$output")"
  }
}
