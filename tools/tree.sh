# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Minimal trees of Debian, and commands inside them.
#
# Sourced by tools/bare-root, tools/build-on and tools/package, after lib.sh. A tree is made by debootstrap from the package source that this
# machine uses, and entered in a chroot with mount and PID namespaces of its own: what is mounted or started there does not
# outlive the command. Needs root.

# The first Debian archive of apt's configuration that has this suite's main component.
archive() {
  # shellcheck disable=SC2016 # apt's own variables
  apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 'Identifier: Packages' 2>/dev/null |
    awk '$2 == "bookworm" && $3 == "main" { sub(/\/$/, "", $1); print $1; exit }'
}

# make_tree TREE PACKAGE[,PACKAGE...] [SUITE]: of Debian 12, unless another release is named.
make_tree() {
  local tree=$1 suite=${3:-bookworm} mirror
  mirror=$(archive)
  say "making a minimal $suite from ${mirror:=http://deb.debian.org/debian}"
  debootstrap --variant=minbase --include="$2" "$suite" "$tree" "$mirror" >"$tree.log" 2>&1 || {
    tail -n 20 "$tree.log" >&2
    fail "debootstrap failed; the whole log is $tree.log"
  }
  # How this machine reaches its package source (a proxy, clocks that are off) holds for the tree too.
  apt-config dump 2>/dev/null |
    grep -E '^Acquire::(http|https|Check-Valid-Until|Check-Date|Retries)' >"$tree/etc/apt/apt.conf.d/90bare-root" || true
}

# in_tree TREE COMMAND: by the tree's bash. Its standard input and output are the caller's.
in_tree() {
  # shellcheck disable=SC2016 # for the shell inside
  unshare -m -p -f --kill-child --propagation private "$BASH" -c '
    set -eu
    mount --rbind /dev "$1/dev"
    mount --bind /sys "$1/sys"
    mount -t proc proc "$1/proc"
    mount -t tmpfs -o mode=1777 tmpfs "$1/tmp"
    cp -L /etc/resolv.conf "$1/etc/resolv.conf" 2>/dev/null || true
    cp -L /etc/hosts "$1/etc/hosts" 2>/dev/null || true
    exec chroot "$1" /usr/bin/env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
      TERM="${TERM:-dumb}" CI=true bash -c "$2"' bash "$1" "$2"
}
