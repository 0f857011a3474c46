# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Minimal trees of Debian, and commands inside them.
#
# Sourced by tools/bare-root, tools/build-on, tools/newest and tools/package, after lib.sh. A tree is made by debootstrap from
# the package source that this machine uses, and entered in a chroot with mount and PID namespaces of its own: what is
# mounted or started there does not outlive the command. Needs root.

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

# use_tree PACKAGE[,PACKAGE...] [SUITE]: sets `tree`. It is in $TREE, where it is made if there is none, and stays; or a new
# one, which is removed at the end unless `keep` is set.
use_tree() {
  [ "$(id -u)" -eq 0 ] || fail "needs root"
  have debootstrap || fail "debootstrap is missing (package debootstrap)"
  tree=${TREE:-}
  if [ -z "$tree" ]; then
    tree=$(mktemp -d)
    # shellcheck disable=SC2064 # the directory is known now and shall not change
    [ -n "${keep:-}" ] || trap "rm -rf --one-file-system '$tree' '$tree.log'" EXIT
  fi
  [ ! -e "$tree/usr/bin/bash" ] || return 0
  mkdir -p "$tree"
  chmod 755 "$tree"
  make_tree "$tree" "$@"
}

# install_in_tree TREE PACKAGE...: the newest versions that there are.
install_in_tree() {
  local tree=$1
  shift
  in_tree "$tree" "apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $*" \
    >"$tree/packages.log" 2>&1 </dev/null || fail "its packages can't be installed: $(tail -n 5 "$tree/packages.log")"
}

# in_tree TREE COMMAND [pivoted]: by the tree's bash. Its standard input and output are the caller's. With "pivoted" it is
# in no chroot: / is a mount point, and processes may make user namespaces, as on a machine.
in_tree() {
  # shellcheck disable=SC2016 # for the shell inside
  unshare -m -p -f --kill-child --propagation private "$BASH" -c '
    set -eu
    [ -z "$3" ] || mount --bind "$1" "$1"
    mount --rbind /dev "$1/dev"
    mount --bind /sys "$1/sys"
    mount -t proc proc "$1/proc"
    mount -t tmpfs -o mode=1777 tmpfs "$1/tmp"
    cp -L /etc/resolv.conf "$1/etc/resolv.conf" 2>/dev/null || true
    cp -L /etc/hosts "$1/etc/hosts" 2>/dev/null || true
    cd "$1"
    [ -z "$3" ] || { pivot_root . . && umount -l . && cd /; }
    exec chroot . /usr/bin/env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
      TERM="${TERM:-dumb}" CI=true bash -c "$2"' bash "$1" "$2" "${3:-}"
}
