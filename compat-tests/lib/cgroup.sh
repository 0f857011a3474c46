# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154 # scratch is set by sandbox.sh
#
# A cgroup of the test's own in the machine's cgroup2 tree, for what makes cgroups itself: the one thing that no namespace
# takes along when it ends.
#
# Sourced after sandbox.sh, between sandbox_enter and its end: enter_cgroup, then processes put into $cgroup (in_cgroup), remove_cgroup.
#
# Invariants:
#  1. Nothing in the tree is changed but below $cgroup, which is removed once its processes are dead.
#  2. The owner holds a lock on it, by descriptor 9, which nothing else may inherit. One without an owner is what a killed run
#     has left, and is removed by the next run. Making one and locking it is one step to others, by a lock on the whole tree.

# Sets `cgroup`.
enter_cgroup() {
  local top=$scratch/cgroup name
  if [ ! -d "$top" ]; then
    mkdir "$top"
    mount -t cgroup2 cgroup2 "$top" 2>"$scratch/reason" || skip "no cgroup2: $(cat "$scratch/reason")"
  fi
  exec 8<"$top"
  flock -w 60 8
  for name in "$top"/evenkeel.*; do
    if [ -d "$name" ] && flock -n "$name" true; then remove_cgroup "$name"; fi
  done
  cgroup=$(mktemp -d "$top/evenkeel.XXXXXX" 2>"$scratch/reason") ||
    skip "no cgroup of our own: $(cat "$scratch/reason")"
  chmod 755 "$cgroup"
  exec 9<"$cgroup"
  flock -n 9
  exec 8<&-
}

# The processes in it are dead already, or dying.
remove_cgroup() {
  local until=$((SECONDS + patience))
  until find "$1" -depth -type d -exec rmdir {} + 2>/dev/null; do
    if [ ! -d "$1" ] || [ "$SECONDS" -ge "$until" ]; then break; fi
    sleep 0.02
  done
  [ ! -d "$1" ] || warn "the cgroup ${1##*/} could not be removed"
}

# in_cgroup COMMAND...: with a view of the cgroup as the whole tree, in place of the (sub)shell. Process 1 must be in it, too:
# by that one systemd's programs tell which part of the tree is the machine's.
in_cgroup() {
  echo "$BASHPID" >"$cgroup/cgroup.procs"
  exec unshare -C -m -p -f --kill-child --mount-proc "$BASH" -c 'mount -t cgroup2 cgroup2 /sys/fs/cgroup && "$@"; exit' \
    in_cgroup "$@" 9<&-
}
