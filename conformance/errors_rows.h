// SPDX-License-Identifier: MIT
//
// Tables of calls on sources: each call is made on a source of every kind, in every state of the loop, by the process
// that made the loop and by one that was forked in that state. The results are compared with the reference's.
//
// A row holds words with a letter a kind: io time signal child inotify defer post exit (errors_kinds.h). The first four
// are for a loop in any state but FINISHED, in FINISHED, and the same two in a forked process. Where a state has a word
// of its own, `IN(STATE) = word` or `FORKED_IN(STATE) = word` follows; and `GONE = word` where a source whose loop is
// gone (errors_gone.c) does not answer like one in a live loop. What 252 answers otherwise in a forked process is
// `FORKED_ON_REFERENCE = word`, for all states or, with FINISHED_ before it, for that one; what 257 does as well,
// `FORKED_BEFORE_262 = word`; `GONE_ON_REFERENCE` and `GONE_ON_NEWER` are of 252, and of 257 and 262. Letters: . = 0, 1
// = 1, + = more, D = -EDOM, S = -ESTALE, C = -ECHILD, V = -EINVAL, F = -EBADF, P = -EPERM, E = -EEXIST, N = -ENODATA, X
// = -ENXIO, G = -ENOEXEC, W = -EOVERFLOW, R = -ESRCH, O = -EOPNOTSUPP, A = -ERANGE; ! is a crash, # an abort, ~ a call
// that failed and yet changed the state or the number of fds. What runs is always a forked process of its own, so that
// a crash is just another letter.
#ifndef EVENKEEL_CONFORMANCE_ERRORS_ROWS_H
#define EVENKEEL_CONFORMANCE_ERRORS_ROWS_H

#include <sys/mman.h>

#include "errors_states.h"

// Where the getters put what they got; what it should be is a matter of the getset_ programs.
static struct {
  const char* text;
  int64_t priority;
  uint64_t usec;
  uint32_t mask;
  unsigned burst;
  int number;
  clockid_t clock;
  pid_t pid;
  sd_event_destroy_t destroy;
} out;

typedef int (*SourceCall)(sd_event_source* s, struct Kit* kit);

struct Words {
  char own[kKinds + 2], forked[kKinds + 2];
};

struct RowProbe {
  SourceCall call;
  int state;
  struct Kit kit;
  struct Words* words;  // shared with the parent
};

static inline void call_each_kind(struct RowProbe* probe, char* word) {
  struct Kit* kit = &probe->kit;
  for (int kind = 0; kind < kKinds; kind++) {
    int fds = count_fds(), state = sd_event_get_state(kit->loop);
    int r = probe->call(kit->source[kind], kit);
    bool same = count_fds() == fds && sd_event_get_state(kit->loop) == state;
    word[kind] = r < 0 && !same ? '~' : letter_of(r);
  }
}

static inline const char* letter_of_end(int result) {
  return result == 0 ? "" : result == died_of(SIGSEGV) ? "!" : result == died_of(SIGABRT) ? "#" : "?";
}

static inline int call_forked(void* probe) {
  return call_each_kind(probe, ((struct RowProbe*)probe)->words->forked), 0;
}

static inline void call_forked_and_here(void* context) {
  struct RowProbe* probe = context;
  strcat(probe->words->forked, letter_of_end(in_child(call_forked, probe)));
  drop_pending_signals();
  call_each_kind(probe, probe->words->own);
}

static inline int probe_row(void* context) {
  struct RowProbe* probe = context;
  kit_open(&probe->kit);
  act_in_state(&probe->kit, probe->state, call_forked_and_here, probe);
  kit_close(&probe->kit);
  return 0;
}

static inline struct Words run_probe(int (*probe_row_of)(void* probe), SourceCall call, int state) {
  struct Words* shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_ptr_not_equal(shared, MAP_FAILED);
  struct RowProbe probe = {.call = call, .state = state, .words = shared};
  rehearse();
  strcat(shared->own, letter_of_end(in_child(probe_row_of, &probe)));
  struct Words words = *shared;
  munmap(shared, sizeof(*shared));
  return words;
}

// A word ends at the kind where the call crashed, with the letter of that.
static inline struct Words run_row(SourceCall call, int state) { return run_probe(probe_row, call, state); }

enum {
  kAnyState,
  kFinished,
  kAnyForked,
  kFinishedForked,
  kOwnWords,
  kForkedWords = kOwnWords + kStates,
  kGone = kForkedWords + kStates,
  kGoneOnReference,
  kGoneOnNewer,
  kForkedOnReference,
  kFinishedForkedOnReference,
  kForkedBefore262,
  kWords
};
#define IN(state) [kOwnWords + SD_EVENT_##state]
#define FORKED_IN(state) [kForkedWords + SD_EVENT_##state]
#define GONE [kGone]
#define GONE_ON_REFERENCE [kGoneOnReference]
#define GONE_ON_NEWER [kGoneOnNewer]
#define FORKED_ON_REFERENCE [kForkedOnReference]
#define FINISHED_FORKED_ON_REFERENCE [kFinishedForkedOnReference]
#define FORKED_BEFORE_262 [kForkedBefore262]

struct SourceRow {
  SourceCall call;
  const char* expected[kWords];
};

#define DEFINE_SOURCE_CALL(name, expression, ...) \
  static int name(sd_event_source* s, struct Kit* kit) { return (void)s, (void)kit, (expression); }
#define DEFINE_SOURCE_ROW(name, expression, ...) \
  static const struct SourceRow name##_expectation = {name, {__VA_ARGS__}};
#define SOURCE_ROW_TEST(name, ...)                                                                       \
  {#name "_answers_each_kind_in_each_state_here_and_forked", row_is_as_expected, begin_clean, end_clean, \
   (void*)&name##_expectation},

#ifndef PRESSURE_LIKE
#define PRESSURE_LIKE kIo
#endif

// Rows that know nothing of pressure sources expect of them what they do of the kind PRESSURE_LIKE.
static inline const char* completed(const char* word, char* buffer) {
  size_t given = strlen(word);
  memset(buffer, word[PRESSURE_LIKE], kKinds);
  memcpy(buffer, word, given);
  buffer[kKinds] = 0;
  return given == 8 ? buffer : word;
}

static inline int as_expected(const char* got, const char* expected, const char* state, const char* where) {
  char buffer[kKinds + 1];
  expected = completed(expected, buffer);
  if (strcmp(got, expected) == 0) return 0;
  print_error("%s%s: \"%s\", not \"%s\"\n", state, where, got, expected);
  return 1;
}

static inline const char* expected_forked(const struct SourceRow* row, int state) {
  const char* const* words = row->expected;
  bool finished = state == SD_EVENT_FINISHED;
  const char* word = words[kForkedWords + state] ? words[kForkedWords + state] : words[kAnyForked + finished];
  const char* reference = words[finished ? kFinishedForkedOnReference : kForkedOnReference];
  if (!reference) reference = words[kForkedOnReference];
  if (words[kForkedBefore262]) return differs_text(kForkedRevents, words[kForkedBefore262], word);
  return reference ? differs_text(kForkedCalls, reference, word) : word;
}

static inline void row_is_as_expected(void** context) {
  const struct SourceRow* row = *context;
  int wrong = 0;
  for (int i = 0; i < kStates; i++) {
    int state = kLifeOfALoop[i], finished = state == SD_EVENT_FINISHED;
    const char* own = row->expected[kOwnWords + state];
    struct Words got = run_row(row->call, state);
    wrong += as_expected(got.own, own ? own : row->expected[kAnyState + finished], kStateNames[state], "");
    wrong += as_expected(got.forked, expected_forked(row, state), kStateNames[state], " forked");
  }
  assert_int_equal(wrong, 0);
}

#endif
