#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# printed_test.sh FUZZ SERVE LIBRARY: programs that are printed as C, compiled and run write the trace of the interpreter.
source "$(dirname "${BASH_SOURCE[0]}")/../../tools/lib.sh"

[ $# -eq 3 ] || usage_error "usage: ${0##*/} FUZZ SERVE LIBRARY"
compiler=${CC:-cc}
have "$compiler" || skip "no C compiler ($compiler)"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
compared=0
for seed in 1 2 3 5 8 13 21 34 55 89; do
  "$1" "$2" "$3" --print "$seed" >"$dir/program.c"
  "$1" "$2" "$3" --trace "$seed" >"$dir/traces"
  # What a reference that hangs writes ends somewhere.
  grep -q '^== reference, status 0$' "$dir/traces" || continue
  sed -n '/^== reference/,/^== ours/{ /^== /d; p; }' "$dir/traces" >"$dir/interpreted"
  "$compiler" -std=gnu11 -D_GNU_SOURCE -w -I "$root/conformance/fuzz" -I "$root/include" "$dir/program.c" -o "$dir/program" -lsystemd
  "$dir/program" >"$dir/printed"
  diff -u "$dir/interpreted" "$dir/printed" || fail "seed $seed: the printed program does something else"
  compared=$((compared + 1))
done
[ "$compared" -gt 5 ] || fail "only $compared programs could be compared"
say "$compared programs"
