// SPDX-License-Identifier: MIT
//
// libFuzzer on our library alone: the input is the operations of a program, made up by what reaches new code.
//
// Idea: the programs, their operations and their interpreter are those of conformance/fuzz. Nothing is compared, so
// nothing is avoided either; what counts is that the engine's structures are as their headers say after each operation
// (in callbacks too), that the naive model (model.h) agrees, that no descriptor is left, and that the sanitizers have
// nothing to say.
//
// Input: the first 8 bytes are the modes, then 8 bytes an operation, as in `struct Operation`; each byte is taken
// modulo what it may be, so that every input is a program. `fuzz-programs ... --bytes SEED` writes the corpus.
//
// Invariant: an input leaves nothing behind for the next one: signals, processes, descriptors, the state of the
// runtime.
#include <stdbool.h>
#include <systemd/sd-event.h>

bool evenkeel_check(sd_event* event);

#define FUZZ_ALONE 1
#define FUZZ_CHECK(loop)                \
  do {                                  \
    if (!evenkeel_check(loop)) abort(); \
  } while (0)

#include "interpret.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

struct Row {
  unsigned where;
  unsigned count;
  unsigned ranges[kMostArguments];
};

static const struct Row kRows[] = {
#define X(name, weight, where, modes, count, a, b, c, d) {where, count, {a, b, c, d}},
    FUZZ_OPERATIONS(X)
#undef X
};

static struct Operation operation_of(const uint8_t* bytes) {
  struct Operation o = {.name = bytes[0] % kOperationCount,
                        .context = bytes[1] % kContexts,
                        .slot = bytes[2] % kSlots,
                        .call = bytes[3] % 8};
  if (!(kRows[o.name].where & kInside)) o.context = kNowhere;
  if (o.context != kNowhere && o.call == 0) o.call = 1;
  for (unsigned i = 0; i < kRows[o.name].count; i++) o.args[i] = (uint8_t)(bytes[4 + i] % kRows[o.name].ranges[i]);
  return o;
}

static void forget_everything(void) {
  const struct timespec at_once = {0, 0};
  sigset_t pending;
  sigpending(&pending);
  while (sigtimedwait(&pending, NULL, &at_once) > 0) continue;
  memset(slots, 0, sizeof(slots));
  memset(channels, 0, sizeof(channels));
  memset(children, 0, sizeof(children));
  memset(signal_sent, 0, sizeof(signal_sent));
  memset(signals_unseen, 0, sizeof(signals_unseen));
  memset(signal_waves, 0, sizeof(signal_waves));
  memset(n_destroyed_late, 0, sizeof(n_destroyed_late));
  memset(n_destroyed, 0, sizeof(n_destroyed));
  n_children = n_callbacks = n_expired = n_files = n_files_made = inside = callback_result = kinds_of_children =
      signal_value = 0;
  ended = partly_run = ran_to_end = signal_exit = hung_up = uses_prepare = uses_expire = uses_time = false;
  context_now = kNowhere;
  loop = NULL;
  asker = NULL;
  wave = 0;
  nap_until = near_from = 0;
  stalled = false;
  trace_length = 0;
  model = (struct Model){0};
}

static void leave(void) {
  remove_files();
  rmdir(work_dir);
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static struct Program program;
  static bool begun;
  if (size < 16) return 0;
  if (!begun) atexit(leave);
  begun = true;
  forget_everything();
  program.modes = (data[0] % 4 == 0 ? kLazy : kStrict) | (data[1] % 16 == 0 ? kTimed : 0u) |
                  (data[2] & (kDefaultLoop | kLoopFirst));
  program.count = 0;
  for (size_t i = 8; i + 8 <= size && program.count < kMostOperations; i += 8)
    program.operations[program.count++] = operation_of(data + i);
  run_program(&program);
  remove_files();
  if (n_fds_left != 0) {
    (void)fprintf(stderr, "%+d descriptors\n", n_fds_left);
    abort();
  }
  return 0;
}
