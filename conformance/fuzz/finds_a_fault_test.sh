#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# finds_a_fault_test.sh FUZZ SERVE LIBRARY: the fuzzer finds the fault of faulty.c, and shortens the program to a few lines; the
# model finds it, too.
source "$(dirname "${BASH_SOURCE[0]}")/../../tools/lib.sh"

[ $# -eq 3 ] || usage_error "usage: ${0##*/} FUZZ SERVE LIBRARY"
code=0
output=$("$1" "$2" "$3" --seeds 1-400 --most 1) || code=$?
say "$output"
[ "$code" -eq 1 ] || fail "expected a difference (1), got $code"
grep -q '^  begin(k' <<<"$output" || fail "no program was printed"
count=$(grep -cE '^ .*DO\(' <<<"$output")
[ "$count" -le 8 ] || fail "the shortened program still has $count operations"
grep -q 'set_enabled' <<<"$output" || fail "the shortened program does not call what is faulty"

# The model finds it without the other library.
seed=$(sed -n 's/^== the libraries differ: seed //p' <<<"$output")
trace=$("$1" "$2" "$3" --trace "$seed")
ours=${trace#*== ours}
grep -q '^WRONG' <<<"$ours" || fail "the model did not notice the fault"
! grep -q '^WRONG' <<<"${trace%"$ours"}" || fail "the model found a fault in the reference"
