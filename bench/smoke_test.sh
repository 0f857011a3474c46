#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# bench/smoke_test.sh BUILD PROGRAM: every command of bench/scenarios.tsv for this program runs, at a tiny size, on every
# loop that was built, and prints the rows that the table wants. Figures are not looked at, beyond being above zero.
#
# A loop may leave out a scenario, with its reason; ours may not, and neither may the reference.
source "$(dirname "${BASH_SOURCE[0]}")/../tools/lib.sh"

build=$1 program=$2
ran=0

# The arguments that make a run tiny, after those of the command: the last one counts.
case $program in
  ready | timers | children | memory) tiny=(--n 20 --count 40 --ms 1) ;;
  passing) tiny=(--n 20 --active 2 --count 40) ;;
  churn) tiny=(--n 2000 --ms 100) ;;
  wakeups) tiny=(--n 20 --ms 100) ;;
  latency) tiny=(--n 20 --count 5 --ms 1000) ;;
  proxyd) tiny=(--n 5 --count 2) ;;
  *) tiny=(--count 10) ;;
esac

# check_output COMMAND LOOP OUTPUT: a line for each unit that the table wants of this command, and no other.
check_output() {
  local units
  units=$(awk -F '\t' -v command="$1" '!/^#/ && $3 == command { print $2 }' "$root/bench/scenarios.tsv")
  awk -F '\t' -v loop="$2" -v program="$program" '
    index($1, program) == 1 && $2 == loop && $3 > 0 && NF == 4 { print $4; next }
    { print "unexpected: " $0 }' <<<"$3" | diff <(printf '%s\n' "$units") - >&2 ||
    fail "bench-$1 --loop $2 printed: $3"
}

run_command() {
  local command=$1 loop=$2 arguments output code=0
  read -ra arguments <<<"$command"
  output=$(timeout "$patience" "$build/bench-${arguments[0]}" "${arguments[@]:1}" "${tiny[@]}" --loop "$loop" 2>&1) || code=$?
  case $code in
    0)
      check_output "$command" "$loop" "$output"
      ran=$((ran + 1))
      ;;
    77)
      [[ $output == "skipped: "* ]] || fail "bench-$command --loop $loop was skipped without a reason"
      if [ "$program" = proxyd ]; then skip "${output#skipped: }"; fi
      [[ $loop != evenkeel && $loop != reference ]] || fail "bench-$command --loop $loop: $output"
      ;;
    *) fail "bench-$command --loop $loop: exit code $code: $output" ;;
  esac
}

main() {
  local module loop command
  while IFS= read -r command; do
    for module in "$build"/bench-loop-*.so; do
      loop=${module##*/bench-loop-}
      run_command "$command" "${loop%.so}"
    done
  done < <(awk -F '\t' -v program="$program" '!/^#/ && ($3 == program || index($3, program " ") == 1) { print $3 }' \
    "$root/bench/scenarios.tsv" | uniq)
  [ "$ran" -gt 0 ] || fail "no scenario of $program ran"
  say "$program: $ran runs"
}

main
