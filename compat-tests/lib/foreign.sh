# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154 # scratch, round are set by sandbox.sh
#
# A program on another loop, with an sd-event loop and an sd-bus connection inside: what it has to print, whichever the loop.
#
# Sourced after programs.sh. compat-tests/programs/foreign_work.h says what these programs do. A wake-up that is lost in one
# of the two loops stops the work; then the time limit of whoever runs the test ends it.

# foreign_main LOOP PACKAGE PROGRAM ARGUMENT...: the whole test.
foreign_main() {
  local loop=$1 package=$2 foreign_program=$3
  shift 3
  sandbox_enter "$@"
  library_argument "$@"
  programs_require bus-service "$foreign_program"
  compare_three "our loop inside of $loop" "$library" run_foreign \
    "2,000 numbers to and fro, timers, signals, a child, 10,102 calls by sd-bus" "$package"
}

run_foreign() {
  local directory=$scratch/$round
  run_program "$foreign_program" "$directory/output" "$(program_path bus-service)" ||
    fail "($round) $foreign_program: exit code $?, $(cat "$directory/output.err")"
  expect_sorted "$directory/output" <<'EXPECTED'
calls: 10000 sent, 10000 answered, 100 at once
late answers: 100, of a call that was given up none
service: 10102 calls, 101 late answers, 1000 signals, 0 changes, deserted 0 times, exit code 1
service: ended with 1
signals: 1000, in order
to and fro: 2000 numbers, 40 deadlines, 20 signals; 40 ticks, and a child
EXPECTED
}
