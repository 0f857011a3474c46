// SPDX-License-Identifier: MIT
//
// The tables of the calls on sources (errors_table_*.h), each row once more without memory.
//
// Idea: a row's call is made on a source of every kind, in a loop in several of its states, and again and again: in the
// n-th attempt its n-th allocation fails, until one needs fewer. An attempt that lacks memory is -ENOMEM and leaves all
// sources as they were, by every getter; or it does without, and gives what it gives with memory.
//
// Invariants: each state of a row has a process of its own, which makes the calls twice with memory and once without,
// and has as many blocks in use after that as after a time with memory: whatever failed has left nothing behind. It
// answers 0, or with a number below that says what was wrong first.
#ifndef EVENKEEL_CONFORMANCE_NO_MEMORY_ROWS_H
#define EVENKEEL_CONFORMANCE_NO_MEMORY_ROWS_H

#include "errors_rows.h"
#include "no_memory.h"

enum { kWrongError = 1, kSourcesChanged, kDescriptorsLeft, kOtherResult, kNeverEnds, kLoopDoesNotGoOn, kBlocksLeft };
static const char* const kWrongs[] = {"",
                                      "an error other than ENOMEM",
                                      "a source has changed",
                                      "a descriptor is left open",
                                      "another result without memory",
                                      "no end of the allocations",
                                      "the loop does not go on",
                                      "memory is lost"};

struct MemoryProbe {
  SourceCall call;
  int state;
  bool scarce;
  int wrong, n_failures;
  struct Kit kit;
};

static inline void describe(char* text, size_t size, sd_event_source* s) {
  struct {
    const char* name;
    int64_t priority;
    uint64_t time, accuracy, interval;
    uint32_t events, mask;
    unsigned burst;
    int enabled;
    sd_event_destroy_t destroy;
  } now = {.name = ""};
  sd_event_source_get_description(s, &now.name);
  sd_event_source_get_priority(s, &now.priority);
  sd_event_source_get_enabled(s, &now.enabled);
  sd_event_source_get_destroy_callback(s, &now.destroy);
  sd_event_source_get_ratelimit(s, &now.interval, &now.burst);
  sd_event_source_get_io_events(s, &now.events);
  sd_event_source_get_time(s, &now.time);
  sd_event_source_get_time_accuracy(s, &now.accuracy);
  sd_event_source_get_inotify_mask(s, &now.mask);
  snprintf(text, size, "%s %ld %d %p %p %d %d %lu/%u %d %d %d %x %lu+%lu %d %d %d %x", now.name, (long)now.priority,
           now.enabled, (void*)(uintptr_t)now.destroy, sd_event_source_get_userdata(s), sd_event_source_get_floating(s),
           sd_event_source_get_exit_on_failure(s), (unsigned long)now.interval, now.burst,
           sd_event_source_is_ratelimited(s), sd_event_source_get_io_fd(s), sd_event_source_get_io_fd_own(s),
           now.events, (unsigned long)now.time, (unsigned long)now.accuracy, sd_event_source_get_child_pidfd(s),
           sd_event_source_get_child_pidfd_own(s), sd_event_source_get_child_process_own(s), now.mask);
}

struct Scene {
  char sources[kKinds][512];
  int n_fds, state;
};

static inline struct Scene scene_of(struct Kit* kit) {
  struct Scene scene = {.n_fds = count_fds(), .state = sd_event_get_state(kit->loop)};
  for (int kind = 0; kind < kKinds; kind++)
    describe(scene.sources[kind], sizeof(scene.sources[kind]), kit->source[kind]);
  return scene;
}

static inline int compare_scenes(const struct Scene* a, const struct Scene* b) {
  if (a->n_fds != b->n_fds) return kDescriptorsLeft;
  if (a->state != b->state) return kSourcesChanged;
  for (int kind = 0; kind < kKinds; kind++)
    if (strcmp(a->sources[kind], b->sources[kind]) != 0) return kSourcesChanged;
  return 0;
}

// The results with memory, by kind.
static int with_memory[kKinds];

static inline int call_without_memory(struct MemoryProbe* probe, int kind) {
  struct Kit* kit = &probe->kit;
  for (int nth = 0; nth < 100; nth++) {
    const struct Scene before = scene_of(kit);
    fail_allocation(nth);
    const int r = probe->call(kit->source[kind], kit);
    if (!failed_allocation() || r != -ENOMEM) {
      if (letter_of(r) == letter_of(with_memory[kind])) return 0;
      return r < 0 ? kWrongError : kOtherResult;
    }
    probe->n_failures++;
    const struct Scene after = scene_of(kit);
    const int wrong = compare_scenes(&before, &after);
    if (wrong) return wrong;
  }
  return kNeverEnds;
}

static inline void call_each_kind_in_state(void* context) {
  struct MemoryProbe* probe = context;
  for (int kind = 0; kind < kKinds && !probe->wrong; kind++) {
    if (probe->scarce)
      probe->wrong = call_without_memory(probe, kind);
    else
      with_memory[kind] = probe->call(probe->kit.source[kind], &probe->kit);
  }
}

static inline int blocks_after(struct MemoryProbe* probe, bool scarce, long* blocks) {
  const long before = count_blocks();
  probe->scarce = scarce;
  kit_open(&probe->kit);
  act_in_state(&probe->kit, probe->state, call_each_kind_in_state, probe);
  if (!probe->wrong && probe->state != SD_EVENT_FINISHED && sd_event_get_state(probe->kit.loop) == SD_EVENT_INITIAL &&
      sd_event_run(probe->kit.loop, 0) < 0)
    probe->wrong = kLoopDoesNotGoOn;
  kit_close(&probe->kit);
  *blocks = count_blocks() - before;
  return probe->wrong;
}

static inline int probe_without_memory(void* context) {
  struct MemoryProbe* probe = context;
  long warm = 0, rich = 0, poor = 0;
  int wrong = blocks_after(probe, false, &warm);
  if (!wrong) wrong = blocks_after(probe, false, &rich);
  if (!wrong) wrong = blocks_after(probe, true, &poor);
  return wrong ? -wrong : poor > rich ? -kBlocksLeft : probe->n_failures;
}

struct MemoryRow {
  const char* name;
  SourceCall call;
};

// How often memory was lacking.
static inline int rows_are_enomem_without_memory(const struct MemoryRow* rows, size_t n) {
  static const int kSome[] = {SD_EVENT_INITIAL, SD_EVENT_RUNNING};
  int n_wrong = 0, n_failures = 0;
  for (size_t i = 0; i < n * lengthof(kSome); i++) {
    const struct MemoryRow* row = &rows[i / lengthof(kSome)];
    struct MemoryProbe probe = {.call = row->call, .state = kSome[i % lengthof(kSome)]};
    const int r = in_child(probe_without_memory, &probe);
    const bool right = r >= 0 && r < kDied;
    n_wrong += !right;
    n_failures += right ? r : 0;
    if (!right)
      print_error("%s in %s: %s\n", row->name, kStateNames[probe.state],
                  r < 0 && r > -(int)lengthof(kWrongs) ? kWrongs[-r] : result_name(r));
  }
  assert_int_equal(n_wrong, 0);
  return n_failures;
}

#define MEMORY_ROW(name, ...) {#name, name},

#endif
