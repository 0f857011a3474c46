// SPDX-License-Identifier: MIT
//
// Every call on a source whose loop is gone: the source was floating, so that it did not keep the loop, and a reference
// of it is left. 252 crashes or aborts in most calls that look at the loop, newer releases abort in all that ask
// whether the process is the loop's; ours answers -ESTALE where the loop is needed, and else what it would answer in a
// live one.
//
// The tables are those of the calls in a live loop; errors_rows.h says how to read them. Nothing can be said of a fork
// here, as it is the loop that knows its process: each call is made in a forked process, and then, unless it crashed
// there, in the one that made the loop, with the same result.
#include "errors_rows.h"
#include "errors_table_child.h"
#include "errors_table_common.h"
#include "errors_table_kinds.h"

#define TABLES(X) COMMON_CALLS(X) KIND_CALLS(X) CHILD_CALLS(X)

TABLES(DEFINE_SOURCE_CALL)
TABLES(DEFINE_SOURCE_ROW)

static void take_loop_away(struct Kit* kit) {
  for (int kind = 0; kind < kKinds; kind++) assert_int_equal(sd_event_source_set_floating(kit->source[kind], 1), 1);
  kit->loop = sd_event_unref(kit->loop);
}

struct Orphan {
  struct RowProbe* probe;
  enum Kind kind;
};

static int call_orphan(void* context) {
  const struct Orphan* orphan = context;
  struct Kit* kit = &orphan->probe->kit;
  return orphan->probe->call(kit->source[orphan->kind], kit);
}

static int probe_orphans(void* context) {
  struct RowProbe* probe = context;
  kit_open(&probe->kit);
  take_loop_away(&probe->kit);
  for (int kind = 0; kind < kKinds; kind++) {
    struct Orphan orphan = {probe, (enum Kind)kind};
    int r = in_child(call_orphan, &orphan);
    probe->words->forked[kind] = letter_of(r);
    if (r == died_of(SIGSEGV) || r == died_of(SIGABRT)) probe->words->forked[kind] = '!';
    probe->words->own[kind] = r < kDied ? letter_of(call_orphan(&orphan)) : '!';
  }
  if (!as_reference(kGoneAborts)) kit_close(&probe->kit);  // That takes from the sources what they own.
  return 0;
}

// Newer releases ask the loop of the source about the process in what says -ECHILD to a forked one.
static const char* answer_of_newer(const char* const words[], const char* expected, char* buffer) {
  if (words[kGoneOnNewer]) return words[kGoneOnNewer];
  if (words[kForkedBefore262] && as_reference(kForkedRevents)) return expected;
  for (int kind = 0; kind <= kKinds; kind++) buffer[kind] = words[kAnyForked][kind] == 'C' ? '!' : expected[kind];
  return buffer;
}

static void orphans_answer_as_expected(void** context) {
  const struct SourceRow* row = *context;
  struct Words got = run_probe(probe_orphans, row->call, 0);
  const char* expected = row->expected[kGone] ? row->expected[kGone] : row->expected[kAnyState];
  const char* reference = row->expected[kGoneOnReference];
  char buffer[kKinds + 1];
  if (reference) expected = differs_text(kGoneLoop, reference, expected);
  if (as_reference(kGoneAborts)) expected = answer_of_newer(row->expected, expected, buffer);
  assert_string_equal(got.forked, expected);
  assert_string_equal(got.own, expected);
}

#define GONE_TEST(name, ...)                                                                             \
  {#name "_answers_each_kind_when_the_loop_is_gone", orphans_answer_as_expected, begin_clean, end_clean, \
   (void*)&name##_expectation},

int main(void) {
  exit_77_without_pidfds();
  const struct CMUnitTest tests[] = {TABLES(GONE_TEST)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
