// SPDX-License-Identifier: MIT
//
// Sources whose loop is gone: floating ones that somebody holds a reference to when the loop is freed.
//
// Each row holds the results for io time signal child inotify defer post exit, on the reference and on ours; see
// errors_kinds.h for the letters; # is an abort, ! a crash. What a source keeps can still be had of it, what needs the
// loop is stale (S).
// Invariants: each call runs in a process of its own, which made the sources itself.
#include "errors_kinds.h"

static struct {
  const char* text;
  int64_t priority;
  uint64_t usec;
  unsigned burst;
  uint32_t events;
  int number;
  clockid_t clock;
  pid_t pid;
} out;

struct OrphanRow {
  SourceCall call;
  const char *reference, *ours;
};

struct OrphanProbe {
  SourceCall call;
  enum Kind kind;
};

static int probe_orphan(void* context) {
  const struct OrphanProbe* probe = context;
  struct Kit kit;
  kit_open(&kit);
  for (int kind = 0; kind < kKinds; kind++) assert_int_equal(sd_event_source_set_floating(kit.source[kind], 1), 1);
  assert_null(sd_event_unref(kit.loop));
  const int result = probe->call(kit.source[probe->kind], &kit);
  for (int kind = 0; kind < kKinds; kind++) sd_event_source_unref(kit.source[kind]);
  kill(kit.child, SIGKILL);
  return result;
}

static void orphans_answer_as_expected(void** state) {
  const struct OrphanRow* row = *state;
  char got[kKinds + 1] = "";
  for (int kind = 0; kind < kKinds; kind++) {
    struct OrphanProbe probe = {row->call, (enum Kind)kind};
    const int result = in_child(probe_orphan, &probe);
    got[kind] = result == died_of(SIGABRT) ? '#' : result == died_of(SIGSEGV) ? '!' : letter_of(result);
  }
  const bool same = strcmp(row->reference, row->ours) == 0;
  assert_string_equal(got, same ? row->ours : differs_text(kOrphan, row->reference, row->ours));
}

// clang-format off
#define CALLS(X) \
  X(get_event, sd_event_source_get_event(s) == NULL, "11111111", "11111111")                                          \
  X(get_userdata, sd_event_source_get_userdata(s) == kit, "11111111", "11111111")                                     \
  X(get_enabled, sd_event_source_get_enabled(s, &out.number), "########", "11111111")                                 \
  X(set_enabled_on, sd_event_source_set_enabled(s, SD_EVENT_ON), "########", "SSSSSSSS")                              \
  X(set_enabled_off, sd_event_source_set_enabled(s, SD_EVENT_OFF), "########", "........")                            \
  X(get_pending, sd_event_source_get_pending(s), "!!!!!!!D", "SSSSSSSD")                                              \
  X(get_priority, sd_event_source_get_priority(s, &out.priority), "########", "........")                             \
  X(set_priority, sd_event_source_set_priority(s, 5), "!!!!!!!!", "SSSSSSSS")                                         \
  X(set_prepare, sd_event_source_set_prepare(s, on_event), "!!!!!!!D", "SSSSSSSD")                                    \
  X(set_description, sd_event_source_set_description(s, "x"), "########", "11111111")                                 \
  X(get_description, sd_event_source_get_description(s, &out.text), "XX.X.XXX", "XX.X.XXX")                           \
  X(set_floating, sd_event_source_set_floating(s, 0), "SSSSSSSS", "SSSSSSSS")                                         \
  X(get_floating, sd_event_source_get_floating(s), "11111111", "11111111")                                            \
  X(set_exit_on_failure, sd_event_source_set_exit_on_failure(s, 1), "1111111D", "1111111D")                           \
  X(set_ratelimit, sd_event_source_set_ratelimit(s, 1000, 5), "...D..DD", "SSSDSSDD")                                 \
  X(get_ratelimit, sd_event_source_get_ratelimit(s, &out.usec, &out.burst), "GGGDGGDD", "GGGDGGDD")                   \
  X(is_ratelimited, sd_event_source_is_ratelimited(s), "........", "........")                                        \
  X(set_ratelimit_expire_callback, sd_event_source_set_ratelimit_expire_callback(s, on_event),                        \
    "........", "........")                                                                                           \
  X(get_io_fd, sd_event_source_get_io_fd(s), "#DDDDDDD", "+DDDDDDD")                                                  \
  X(set_io_fd, sd_event_source_set_io_fd(s, kit->pipe_fds[1]), "#DDDDDDD", "SDDDDDDD")                                \
  X(get_io_events, sd_event_source_get_io_events(s, &out.events), "#DDDDDDD", ".DDDDDDD")                             \
  X(set_io_events, sd_event_source_set_io_events(s, EPOLLOUT), "!DDDDDDD", "SDDDDDDD")                                \
  X(get_io_revents, sd_event_source_get_io_revents(s, &out.events), "NDDDDDDD", "NDDDDDDD")                           \
  X(get_time, sd_event_source_get_time(s, &out.usec), "D#DDDDDD", "D.DDDDDD")                                         \
  X(set_time, sd_event_source_set_time(s, 1), "D!DDDDDD", "DSDDDDDD")                                                 \
  X(set_time_relative, sd_event_source_set_time_relative(s, 1), "DVDDDDDD", "DSDDDDDD")                               \
  X(get_time_accuracy, sd_event_source_get_time_accuracy(s, &out.usec), "D#DDDDDD", "D.DDDDDD")                       \
  X(set_time_accuracy, sd_event_source_set_time_accuracy(s, 1), "D!DDDDDD", "DSDDDDDD")                               \
  X(get_time_clock, sd_event_source_get_time_clock(s, &out.clock), "D#DDDDDD", "D.DDDDDD")                            \
  X(get_signal, sd_event_source_get_signal(s), "DD#DDDDD", "DD+DDDDD")                                                \
  X(get_child_pid, sd_event_source_get_child_pid(s, &out.pid), "DDD#DDDD", "DDD.DDDD")                                \
  X(get_child_pidfd, sd_event_source_get_child_pidfd(s), "DDD#DDDD", "DDDODDDD")                                      \
  X(send_child_signal, sd_event_source_send_child_signal(s, SIGCONT, NULL, 0), "DDD#DDDD", "DDD.DDDD")                \
  X(get_inotify_mask, sd_event_source_get_inotify_mask(s, &out.events), "DDDD#DDD", "DDDD.DDD")
// clang-format on

#define DEFINE_ROW(name, expression, reference, ours) \
  DEFINE_SOURCE_CALL(name, expression)                \
  static const struct OrphanRow name##_expectation = {name, reference, ours};
#define ROW_TEST(name, expression, reference, ours) \
  {#name "_answers_without_a_loop", orphans_answer_as_expected, begin_clean, end_clean, (void*)&name##_expectation},

CALLS(DEFINE_ROW)

int main(void) {
  exit_77_without_pidfds();
  const struct CMUnitTest tests[] = {CALLS(ROW_TEST)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
