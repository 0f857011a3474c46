// SPDX-License-Identifier: MIT
//
// Causes at random, made in a known order: what happens first is dispatched first, whatever has been dispatched before.
//
// A program has 2 to 100 sources of a few priorities and of all kinds that can become ready: descriptors (level- and
// edge-triggered, ON and one-shot, emptied or read by the piece), signals, ends of children, files, timers that are
// due, defer sources. It makes causes in batches, between iterations and in callbacks, and turns sources off and on and
// moves them meanwhile. At each dispatch a plain model is asked, which goes through all sources. Under test:
// 1. Nothing is dispatched while something better is ready since before the iteration.
// 2. Among equals, nothing is dispatched before another one whose cause came earlier. Each source has a place, which is
//    the moment of its cause, or somewhere from `early` to `late`: the kernel's list keeps a level-triggered descriptor
//    that was reported until the next look, and an edge-triggered one that had another edge; who is turned on with
//    something at hand gets its place by that.
// 3. Timers stand behind what the look that finds them finds, and among each other by their times.
// 4. No source waits for more than two turns of any of its equals.
// 5. Nothing is lost, and nothing is dispatched for nothing.
//
// The reference promises as much for two sources alone, as its heap mixes more of them (kAgeOfEquals), and reads
// inotify after everything else.
//
// Arguments: the first and the last seed. A seed is a program; one that fails is printed as what happened.
#include "loop_recorder.h"

enum Kind { kPipe, kSignal, kEnd, kFile, kTimer, kDefer, kKinds };
enum { kMost = 100, kMostPriorities = 3, kMostChildren = 3 };
static const char* const kNames[] = {"pipe", "signal", "end", "file", "timer", "defer"};
static const int kSignals[kMostPriorities] = {SIGUSR1, SIGUSR2, SIGWINCH};
static const uint64_t kAnywhere = UINT64_MAX;

static struct Source {
  sd_event_source* source;
  enum Kind kind;
  int64_t priority;
  bool edge, once, by_piece;
  int fd;  // Of an end, closing it is the cause.
  pid_t pid;
  bool enabled;
  unsigned ready;        // How many dispatches it is good for; of a pipe that is emptied, 0 or 1.
  uint64_t since;        // When it became ready and enabled.
  uint64_t early;        // 0: the next look says.
  uint64_t late;         // kAnywhere: no later than its turn.
  uint64_t due;          // Of timers.
  uint64_t edge_again;   // Unless 0: the second edge since it was dispatched.
  uint64_t kept;         // Unless 0: since when the kernel's list may have it though nothing is there.
  uint8_t turns[kMost];  // Of the others, since it is ready.
} sources[kMost];

static sd_event* loop;
static unsigned n_sources, n_priorities, n_causes_left, n_files;
static unsigned n_idle;  // The first look that finds nothing may have read what was left of how the sources were added.
static uint64_t now, begun;  // Moments are counted.
static uint64_t signalled;   // Unless 0: since when a signal, or a change of one signalfd, may have listed them all.
static uint64_t seed, random_state;
static char dirs[kMostPriorities][32];
static char events[1 << 16];

static unsigned below(unsigned n) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (unsigned)(random_state >> 32) % n;
}

__attribute__((format(printf, 1, 2))) static void happened(const char* format, ...) {
  const size_t used = strlen(events);
  va_list ap;
  va_start(ap, format);
  vsnprintf(events + used, sizeof(events) - used, format, ap);
  va_end(ap);
}

static unsigned number_of(const struct Source* s) { return (unsigned)(s - sources); }
static bool waits(const struct Source* s) { return s->enabled && s->ready; }
// Whose place is behind everything that one look finds.
static bool stands_last(const struct Source* s) {
  return s->kind == kTimer || (s->kind == kFile && as_reference(kAgeOfEquals));
}

static void wrong(const struct Source* s, const char* what) {
  print_error("seed %llu: %s %u %s\n", (unsigned long long)seed, kNames[s->kind], number_of(s), what);
  for (unsigned i = 0; i < n_sources; i++)
    print_error("%u: %s at %d%s%s%s\n", i, kNames[sources[i].kind], (int)sources[i].priority,
                sources[i].edge ? " edge" : "", sources[i].once ? " once" : "", sources[i].by_piece ? " by-piece" : "");
  print_error("%s\n", events);
  fail();
}

// ---- what happens --------------------------------------------------------------------------------------------------

static void becomes_ready(struct Source* s, bool anew) {
  if (!waits(s)) return;
  s->since = ++now;
  memset(s->turns, 0, sizeof(s->turns));
  if (anew) s->late = kAnywhere;
}

static void make_cause(struct Source* s) {
  const bool again = s->ready > 0;
  if (again && s->kind != kPipe && s->kind != kFile) return;
  if (s->kind == kEnd && s->fd < 0) return;
  if (s->kind == kDefer && s->enabled) return;
  happened(" %s%u", again ? "+" : "", number_of(s));
  ++now;
  if (s->kind == kPipe) raise_eventfd(s->fd);
  if (s->kind == kSignal) assert_int_equal(raise(s->fd), 0);
  if (s->kind == kFile) {
    char name[16];
    snprintf(name, sizeof(name), "%u", n_files++);
    create_file(dirs[s->fd], name);
    remove_file(dirs[s->fd], name);
  }
  if (s->kind == kEnd) {
    close(s->fd);
    s->fd = -1;
    await_zombie(s->pid);
  }
  if (s->kind == kTimer) {
    const uint64_t before = clock_usec(CLOCK_MONOTONIC);
    while ((s->due = clock_usec(CLOCK_MONOTONIC)) == before) continue;
    assert_int_equal(sd_event_source_set_time(s->source, s->due), 0);
  }
  if (s->kind == kDefer || s->kind == kTimer) {
    assert_int_equal(sd_event_source_set_enabled(s->source, SD_EVENT_ONESHOT), 0);
    s->enabled = true;
  }
  if ((s->kind == kSignal || s->kind == kEnd) && !signalled) signalled = now;
  if (again && !s->edge_again) s->edge_again = now;
  if (!again || (s->kind == kPipe && s->by_piece) || s->kind == kFile) s->ready++;
  if (again) return;
  s->early = s->kept ? s->kept : now;
  s->late = now;
  if (s->kind == kSignal) s->early = signalled;
  if (s->kind == kDefer) s->early = 1;
  if (stands_last(s)) s->early = 0;
  if (stands_last(s)) s->late = kAnywhere;
  becomes_ready(s, false);
}

static void change(struct Source* s) {
  if (s->kind == kPipe && !s->enabled) {
    happened(" on:%u", number_of(s));
    assert_int_equal(sd_event_source_set_enabled(s->source, s->once ? SD_EVENT_ONESHOT : SD_EVENT_ON), 0);
    s->enabled = true;
    becomes_ready(s, true);
  } else if (s->kind == kPipe && !s->edge && below(4) == 0) {
    happened(" off:%u", number_of(s));
    assert_int_equal(sd_event_source_set_enabled(s->source, SD_EVENT_OFF), 0);
    s->enabled = false;
  } else if (s->kind != kSignal && s->kind != kFile && !(s->kind == kTimer && s->ready) && below(4) == 0) {
    s->priority = below(n_priorities);
    happened(" to:%u:%d", number_of(s), (int)s->priority);
    assert_int_equal(sd_event_source_set_priority(s->source, s->priority), 0);
    s->late = kAnywhere;  // Behind what was found in the same look.
    memset(s->turns, 0, sizeof(s->turns));
    for (unsigned i = 0; i < n_sources; i++) sources[i].turns[number_of(s)] = 0;
  }
}

static void do_something(void) {
  struct Source* s = &sources[below(n_sources)];
  if (below(8) == 0) return change(s);
  make_cause(s);
}

// ---- what is dispatched --------------------------------------------------------------------------------------------

static void check_others(const struct Source* s) {
  for (unsigned i = 0; i < n_sources; i++) {
    struct Source* other = &sources[i];
    if (other == s || !waits(other) || other->priority > s->priority) continue;
    if (other->priority < s->priority) {
      if (other->since < begun) wrong(other, "is better, and was ready before");
      continue;
    }
    if (other->late < s->early) wrong(other, "was ready earlier");
    if (s->kind == kTimer && other->kind == kTimer && other->due < s->due) wrong(other, "was due earlier");
    if (++other->turns[number_of(s)] > 2 && !as_reference(kDeferTurns))
      wrong(other, "waits for more than two turns of an equal");
  }
}

static int dispatched(struct Source* s) {
  happened(" [%u", number_of(s));
  if (!waits(s)) wrong(s, "is dispatched for nothing");
  check_others(s);
  ++now;
  if (s->kind == kPipe) lower_eventfd(s->fd);
  if (s->once || s->kind == kTimer || s->kind == kDefer || s->kind == kEnd) s->enabled = false;
  s->ready--;
  const uint64_t place = s->late == kAnywhere ? s->early : s->late;
  const bool listed = !s->edge && s->kind != kDefer && s->kind != kTimer;
  s->kept = listed ? place : s->edge_again;
  s->edge_again = 0;
  if (s->ready) {
    s->early = place;
    s->late = stands_last(s) ? kAnywhere : now;
    becomes_ready(s, false);
  }
  for (unsigned i = below(4) == 0 ? below(5) : 0; i > 0 && n_causes_left > 0; i--, n_causes_left--) do_something();
  // More files are listened to only now.
  if (s->kind == kFile && waits(s) && s->late != kAnywhere) s->late = ++now;
  happened("]");
  return 0;
}

static int on_pipe_event(sd_event_source* s, int fd, uint32_t revents, void* source) {
  return (void)s, (void)fd, (void)revents, dispatched(source);
}
static int on_timer_event(sd_event_source* s, uint64_t usec, void* source) {
  return (void)s, (void)usec, dispatched(source);
}
static int on_signal_event(sd_event_source* s, const struct signalfd_siginfo* info, void* source) {
  return (void)s, (void)info, dispatched(source);
}
static int on_child_event(sd_event_source* s, const siginfo_t* info, void* source) {
  return (void)s, (void)info, dispatched(source);
}
static int on_file_event(sd_event_source* s, const struct inotify_event* event, void* source) {
  return (void)s, (void)event, dispatched(source);
}
static int on_defer_event(sd_event_source* s, void* source) { return (void)s, dispatched(source); }

static int step(void) {
  begun = ++now;
  for (unsigned i = 0; i < n_sources; i++)
    if (waits(&sources[i]) && sources[i].early == 0) sources[i].early = now;
  const int r = iterate(loop);
  assert_true(r >= 0);
  if (r > 0) return r;
  happened(" idle\n");
  for (unsigned i = 0; i < n_sources; i++) {
    if (waits(&sources[i])) wrong(&sources[i], "is ready, and the loop says that nothing is");
    if (n_idle > 0) sources[i].kept = 0;
  }
  if (n_idle++ > 0) signalled = 0;
  return 0;
}

// ---- programs ------------------------------------------------------------------------------------------------------

static void add_end(struct Source* s) {
  int ends[2];
  assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
  s->pid = fork();
  assert_true(s->pid >= 0);
  if (s->pid == 0) {
    char byte;
    close(ends[1]);
    for (unsigned i = 0; i < n_sources; i++)
      if (sources[i].kind == kEnd && &sources[i] != s && sources[i].fd > 0) close(sources[i].fd);
    _exit(read(ends[0], &byte, 1) == 0 ? 0 : 1);
  }
  close(ends[0]);
  s->fd = ends[1];
  assert_int_equal(sd_event_add_child(loop, &s->source, s->pid, WEXITED, on_child_event, s), 0);
}

// One signal and one directory for each priority, as more of them share a descriptor.
static enum Kind draw_kind(unsigned priority, bool children, unsigned* n_children, unsigned* taken) {
  const enum Kind kind = below(3) ? kPipe : (enum Kind)below(kKinds);
  if (kind == kEnd && (!children || ++*n_children > kMostChildren)) return kPipe;
  if (kind == kSignal || kind == kFile) {
    const unsigned bit = 1U << (priority * 2 + (kind == kFile));
    if (*taken & bit) return kPipe;
    *taken |= bit;
  }
  return kind;
}

static void add_source(struct Source* s, enum Kind kind, unsigned priority) {
  *s = (struct Source){.kind = kind, .priority = priority, .fd = (int)priority};
  s->enabled = kind != kTimer && kind != kDefer;
  if (kind == kPipe) {
    const unsigned how = below(8);
    s->edge = how & 1;
    s->once = how == 2 || how == 3;
    s->by_piece = how == 4;
    s->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | (s->by_piece ? EFD_SEMAPHORE : 0));
    const uint32_t flags = EPOLLIN | (s->edge ? EPOLLET : 0);
    assert_int_equal(sd_event_add_io(loop, &s->source, s->fd, flags, on_pipe_event, s), 0);
    if (s->once) assert_int_equal(sd_event_source_set_enabled(s->source, SD_EVENT_ONESHOT), 0);
  }
  if (kind == kSignal) {
    s->fd = kSignals[priority];
    assert_int_equal(sd_event_add_signal(loop, &s->source, s->fd, on_signal_event, s), 0);
  }
  if (kind == kEnd) add_end(s);
  if (kind == kFile) s->kept = now;  // Another one's watch may have gone from the same descriptor.
  if (kind == kFile)
    assert_int_equal(sd_event_add_inotify(loop, &s->source, dirs[priority], IN_CREATE, on_file_event, s), 0);
  if (kind == kTimer)
    assert_int_equal(sd_event_add_time(loop, &s->source, CLOCK_MONOTONIC, 0, 1, on_timer_event, s), 0);
  if (kind == kDefer) assert_int_equal(sd_event_add_defer(loop, &s->source, on_defer_event, s), 0);
  if (!s->enabled) assert_int_equal(sd_event_source_set_enabled(s->source, SD_EVENT_OFF), 0);
  assert_int_equal(sd_event_source_set_priority(s->source, s->priority), 0);
}

static void free_source(struct Source* s) {
  sd_event_source_unref(s->source);
  if (s->kind == kPipe || (s->kind == kEnd && s->fd >= 0)) close(s->fd);
  if (s->kind == kEnd) waitpid(s->pid, NULL, 0);
}

static void run_program(unsigned n) {
  random_state = seed * 0x9e3779b97f4a7c15u + n;
  for (unsigned i = 0; i < 8; i++) (void)below(2);
  unsigned n_children = 0, taken = 0;
  const bool children = below(4) == 0;
  events[0] = 0;
  loop = make_loop();
  now = signalled = 1;
  n_idle = 0;
  n_sources = n;
  n_priorities = 1 + below(kMostPriorities);
  n_causes_left = 2 * n;
  memset(sources, 0, sizeof(sources));
  for (unsigned i = 0; i < n; i++) {
    const unsigned priority = below(n_priorities);
    add_source(&sources[i], draw_kind(priority, children, &n_children, &taken), priority);
  }
  for (unsigned round = 1 + below(8); round > 0; round--) {
    happened("\nround:");
    for (unsigned i = 1 + below(below(2) ? n : 3); i > 0; i--) do_something();
    happened("\n");
    const unsigned most = round == 1 || below(2) ? UINT32_MAX : below(n + 2);
    for (unsigned i = 0; i < most && step() > 0; i++) continue;
  }
  for (unsigned i = 0; i < n; i++) free_source(&sources[i]);
  sd_event_unref(loop);
}

// ---- tests ---------------------------------------------------------------------------------------------------------

static uint64_t first_seed = 1, last_seed = 400;

static void run_programs(bool pairs) {
  for (int i = 0; i < kMostPriorities; i++) {
    snprintf(dirs[i], sizeof(dirs[i]), "%s", make_dir());
    set_blocked(kSignals[i], true);
  }
  for (seed = first_seed; seed <= last_seed; seed++) {
    random_state = seed * 0x9e3779b97f4a7c15u;
    run_program(pairs ? 2 : 3 + below(below(4) ? 8 : kMost - 2));
  }
  for (int i = 0; i < kMostPriorities; i++) {
    assert_int_equal(rmdir(dirs[i]), 0);
    set_blocked(kSignals[i], false);
  }
}

static void two_sources_are_served_in_the_order_of_their_causes(void** state) {
  (void)state;
  run_programs(true);
}

static void any_number_of_sources_is_served_in_the_order_of_their_causes(void** state) {
  (void)state;
  if (as_reference(kAgeOfEquals)) return;
  run_programs(false);
}

int main(int argc, char** argv) {
  exit_77_without_pidfds();
  if (argc == 3) {
    first_seed = strtoull(argv[1], NULL, 10);
    last_seed = strtoull(argv[2], NULL, 10);
  }
  const struct CMUnitTest tests[] = {
      child_test(two_sources_are_served_in_the_order_of_their_causes),
      child_test(any_number_of_sources_is_served_in_the_order_of_their_causes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
