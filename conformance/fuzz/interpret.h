// SPDX-License-Identifier: MIT
//
// Runs a program that is a list of operations. Included once by each runner, after what it wants to define for
// runtime.h.
//
// Invariant: a program that is interpreted and the same program printed as C, compiled and run, give the same trace,
// for both call the functions of runtime.h in the same order (the test `fuzz:printed` holds them to it).
#ifndef EVENKEEL_FUZZ_INTERPRET_H
#define EVENKEEL_FUZZ_INTERPRET_H

#include "runtime.h"

static const struct Program* program_now;

#define FUZZ_CALL_0(name) name()
#define FUZZ_CALL_1(name) name(a[0])
#define FUZZ_CALL_2(name) name(a[0], a[1])
#define FUZZ_CALL_3(name) name(a[0], a[1], a[2])
#define FUZZ_CALL_4(name) name(a[0], a[1], a[2], a[3])

static void interpret(const struct Operation* operation) {
  const uint8_t* a = operation->args;
  if (forked) return;
  switch (operation->name) {
#define X(name, weight, where, modes, count, ...) \
  case kOperation_##name:                         \
    FUZZ_CALL_##count(name);                      \
    break;
    FUZZ_OPERATIONS(X)
#undef X
    default:
      abort();
  }
  after_operation();
}

static void run_inside(enum Context context, int slot, unsigned call) {
  for (uint32_t i = 0; i < program_now->count; i++) {
    const struct Operation* o = &program_now->operations[i];
    if (o->context == context && o->slot == slot && o->call == call) interpret(o);
  }
}

static void run_program(const struct Program* program) {
  program_now = program;
  begin(program->modes, program->release);
  for (uint32_t i = 0; i < program->count; i++)
    if (program->operations[i].context == kNowhere) interpret(&program->operations[i]);
  end();
}

#endif
