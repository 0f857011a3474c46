// SPDX-License-Identifier: MIT
//
// What happens first is dispatched first, of sources of equal priority. Each case makes its causes in a known order.
//
// Invariants under test:
// 1. The order of two causes is that of their dispatches, on the reference and on ours. The reference puts inotify
//    behind what has a descriptor of its own (kAgeOfEquals).
// 2. A timer that is due goes behind what is ready in the same look: an answer that is there is served before the
//    time-out for it, and may take that back.
// 3. On ours that holds for any number of causes; the reference's heap mixes more than two (kAgeOfEquals).
// 4. No source waits for more than two turns of each of its equals.
//
// Each round begins with a loop that has said that nothing is ready; what was dispatched just before is a case of its
// own. Neither a source that is always pending nor one that could go first changes anything, so each case is tried
// beside both. Of causes there are 2, 70 (more than ours fetches at once where something could go first) or 1,100 (more
// than it ever fetches at once).
#include <stdlib.h>
#include <sys/resource.h>

#include "loop_recorder.h"

// What is in the loop besides, and not in the journal.
enum Beside { kNothing, kDeferOn, kBetterIdle, kBesides };

struct Company {
  enum Beside what;
  sd_event* loop;
  sd_event_source* source;
  int fd;
};

static void open_company(struct Company* company, enum Beside what) {
  *company = (struct Company){what, make_loop(), NULL, -1};
  if (what == kDeferOn) {
    assert_result(sd_event_add_defer(company->loop, &company->source, on_event, NULL), 0);
    assert_result(sd_event_source_set_enabled(company->source, SD_EVENT_ON), 0);
  }
  if (what == kBetterIdle) {
    company->fd = make_eventfd(0);
    assert_result(sd_event_add_io(company->loop, &company->source, company->fd, EPOLLIN, on_io, NULL), 0);
    assert_result(sd_event_source_set_priority(company->source, -1), 0);
  }
}

static void close_company(struct Company* company) {
  sd_event_source_unref(company->source);
  sd_event_unref(company->loop);
  if (company->fd >= 0) close(company->fd);
}

// A defer source that is ON starves all others there.
static bool starves(enum Beside what) { return what == kDeferOn && as_reference(kDeferTurns); }

static void expect_nothing_ready(struct Company* company) {
  assert_result(iterate(company->loop), company->what == kDeferOn);
}

// ---- two causes ---------------------------------------------------------------------------------------------------

enum Cause { kPipe, kOtherPipe, kSignal, kEnd, kFile, kTimeOut, kCauses };

struct World {
  struct Company company;
  sd_event* loop;
  struct Probe probes[kCauses];
  int fds[2];
  pid_t pid;
  int ends[2];  // Closing the second one ends the process.
  char* dir;
};

static void open_world(struct World* world, enum Beside beside, uint32_t flags, bool child) {
  static const char* const kNames[] = {"pipe", "other", "signal", "end", "file", "time-out"};
  *world = (struct World){.dir = make_dir()};
  open_company(&world->company, beside);
  world->loop = world->company.loop;
  for (size_t i = 0; i < kCauses; i++) world->probes[i].name = kNames[i];
  for (size_t i = 0; i < 2; i++) {
    world->fds[i] = make_eventfd(0);
    world->probes[i].act = act_lower;
    probe_io(world->loop, &world->probes[i], world->fds[i], EPOLLIN | flags);
  }
  probe_signal(world->loop, &world->probes[kSignal], SIGUSR1 | SD_EVENT_SIGNAL_PROCMASK);
  probe_inotify(world->loop, &world->probes[kFile], world->dir, IN_CREATE);
  probe_time(world->loop, &world->probes[kTimeOut], CLOCK_MONOTONIC, UINT64_MAX);
  if (!child) return;
  assert_int_equal(pipe2(world->ends, O_CLOEXEC), 0);
  world->pid = fork();
  assert_true(world->pid >= 0);
  if (world->pid == 0) {
    char byte;
    close(world->ends[1]);
    _exit(read(world->ends[0], &byte, 1) == 0 ? 0 : 1);
  }
  close(world->ends[0]);
  probe_child(world->loop, &world->probes[kEnd], world->pid, WEXITED);
}

static void close_world(struct World* world) {
  for (size_t i = 0; i < kCauses; i++) free_probe(&world->probes[i]);
  for (size_t i = 0; i < 2; i++) close(world->fds[i]);
  close_company(&world->company);
  remove_dir(world->dir);
}

static void cause(struct World* world, enum Cause what) {
  if (what < kSignal) raise_eventfd(world->fds[what]);
  if (what == kSignal) assert_int_equal(raise(SIGUSR1), 0);
  if (what == kFile) create_file(world->dir, "x");
  if (what == kTimeOut)
    assert_result(sd_event_source_set_time(world->probes[kTimeOut].source, clock_usec(CLOCK_MONOTONIC)), 0);
  if (what != kEnd) return;
  close(world->ends[1]);
  await_zombie(world->pid);
}

static const char* const kShown[] = {"pipe", "other", "signal", "end:1:0", "file:100:x", "time-out"};

// Causes of a lower rank go first, whatever happened first.
static int rank_of(enum Cause what) {
  if (what == kTimeOut) return 2;
  return what == kFile && as_reference(kAgeOfEquals);
}

static void expect_order_of_two(enum Cause first, enum Cause second, enum Beside beside, uint32_t flags) {
  struct World world;
  char expected[64];
  const bool swapped = rank_of(first) > rank_of(second);
  open_world(&world, beside, flags, first == kEnd || second == kEnd);
  expect_nothing_ready(&world.company);
  cause(&world, first);
  cause(&world, second);
  iterate_times(world.loop, 12);
  snprintf(expected, sizeof(expected), "%s %s ", kShown[swapped ? second : first], kShown[swapped ? first : second]);
  assert_journal(expected);
  close_world(&world);
}

static void two_causes_are_served_in_their_order(void** state) {
  (void)state;
  for (int beside = 0; beside < kBesides; beside++) {
    if (starves((enum Beside)beside)) continue;
    for (int first = 0; first < kCauses; first++)
      for (int second = 0; second < kCauses; second++) {
        if (first == second) continue;
        expect_order_of_two((enum Cause)first, (enum Cause)second, (enum Beside)beside, 0);
        expect_order_of_two((enum Cause)first, (enum Cause)second, (enum Beside)beside, EPOLLET);
      }
  }
}

// A child writes, is read, writes its last words and ends.
static void expect_last_words(enum Cause end, enum Beside beside, uint32_t flags) {
  struct World world;
  open_world(&world, beside, flags, true);
  expect_nothing_ready(&world.company);
  for (unsigned i = 1; i <= 3; i++) {
    cause(&world, kPipe);
    while (world.probes[kPipe].calls < i) assert_result(iterate(world.loop), 1);
  }
  cause(&world, kPipe);
  cause(&world, end);
  iterate_times(world.loop, 12);
  assert_journal(end == kEnd ? "pipe pipe pipe pipe end:1:0 " : "pipe pipe pipe pipe signal ");
  if (end != kEnd) cause(&world, kEnd);
  iterate_times(world.loop, 12);
  journal[0] = 0;
  close_world(&world);
}

static void the_last_words_of_a_source_that_was_just_dispatched_go_before_the_end(void** state) {
  (void)state;
  for (int beside = 0; beside < kBesides; beside++) {
    if (starves((enum Beside)beside)) continue;
    for (int end = kSignal; end <= kEnd; end++) {
      expect_last_words((enum Cause)end, (enum Beside)beside, 0);
      expect_last_words((enum Cause)end, (enum Beside)beside, EPOLLET);
    }
  }
}

static struct Probe* time_out;
static void act_answered(struct Probe* p) {
  act_lower(p);
  set_enabled(time_out, SD_EVENT_OFF);
}

static void an_answer_that_is_there_takes_back_a_time_out_that_is_due(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  const int fd = make_eventfd(0);
  struct Probe timer = {.name = "time-out"}, answer = {.name = "answer", .act = act_answered};
  for (int answer_first = 0; answer_first < 2; answer_first++) {
    if (answer_first) probe_io(loop, &answer, fd, EPOLLIN);
    probe_time(loop, &timer, CLOCK_MONOTONIC, clock_usec(CLOCK_MONOTONIC) + 1000);
    if (!answer_first) probe_io(loop, &answer, fd, EPOLLIN);
    time_out = &timer;
    // The program is busy, stopped or suspended until both have come.
    sleep_until(CLOCK_MONOTONIC, clock_usec(CLOCK_MONOTONIC) + 5000);
    raise_eventfd(fd);
    iterate_until_idle(loop);
    assert_journal("answer ");
    free_probe(&timer);
    free_probe(&answer);
  }
  close(fd);
  sd_event_unref(loop);
}

// ---- many causes --------------------------------------------------------------------------------------------------

enum { kMost = 1100 };

struct Many {
  struct Company company;
  int n;
  int fds[kMost];
  sd_event_source* sources[kMost];
  int served[kMost];  // Which one, in order.
  int n_served;
  int turns[kMost];
  bool keeps_ready;
};
static struct Many many;

static int on_one_of_many(sd_event_source* s, int fd, uint32_t revents, void* userdata) {
  (void)s, (void)revents;
  const int i = (int)(intptr_t)userdata;
  many.turns[i]++;
  if (many.keeps_ready) return 0;
  if (many.n_served < kMost) many.served[many.n_served++] = i;
  lower_eventfd(fd);
  return 0;
}

static void open_many(int n, enum Beside beside, bool ready) {
  many = (struct Many){.n = n, .keeps_ready = ready};
  open_company(&many.company, beside);
  for (int i = 0; i < n; i++) {
    many.fds[i] = make_eventfd(ready);
    const uint32_t flags = !ready && rand() % 2 ? EPOLLET : 0;
    assert_result(sd_event_add_io(many.company.loop, &many.sources[i], many.fds[i], EPOLLIN | flags, on_one_of_many,
                                  (void*)(intptr_t)i),
                  0);
  }
}

static void close_many(void) {
  for (int i = 0; i < many.n; i++) sd_event_source_unref(many.sources[i]), close(many.fds[i]);
  close_company(&many.company);
}

static void shuffle(int* order, int n) {
  for (int i = 0; i < n; i++) order[i] = i;
  for (int i = n - 1; i > 0; i--) {
    const int j = rand() % (i + 1), other = order[i];
    order[i] = order[j];
    order[j] = other;
  }
}

static void expect_order_of_many(int n, enum Beside beside) {
  int order[kMost];
  open_many(n, beside, false);
  shuffle(order, n);
  expect_nothing_ready(&many.company);
  for (int i = 0; i < n; i++) raise_eventfd(many.fds[order[i]]);
  for (int i = 0; many.n_served < n; i++) {
    assert_result(iterate(many.company.loop), 1);
    assert_true(i < 3 * n + 3);
  }
  for (int i = 0; i < n; i++) assert_int_equal(many.turns[i], 1);
  if (!as_reference(kAgeOfEquals)) assert_memory_equal(many.served, order, sizeof(order[0]) * (size_t)n);
  close_many();
}

// Descriptors for `kMost` sources and what is open besides.
static struct rlimit before;
static bool room_for_most(void) {
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlim_t wanted = kMost + 100;
  if (before.rlim_cur >= wanted) return true;
  const struct rlimit more = {wanted, before.rlim_max};
  if (before.rlim_max >= wanted) return setrlimit(RLIMIT_NOFILE, &more) == 0;
  print_message("no room for %d descriptors: fewer are tried\n", kMost);
  return false;
}
static void give_room_back(void) { assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0); }

static void any_number_of_causes_is_served_in_their_order(void** state) {
  (void)state;
  srand(1);
  const bool most = room_for_most();
  for (int beside = 0; beside < kBesides; beside++) {
    if (starves((enum Beside)beside)) continue;
    for (int round = 0; round < 30; round++) expect_order_of_many(2 + rand() % 20, (enum Beside)beside);
    for (int round = 0; round < 4; round++) expect_order_of_many(70, (enum Beside)beside);
    expect_order_of_many(300, (enum Beside)beside);
    if (most) expect_order_of_many(kMost, (enum Beside)beside);
  }
  give_room_back();
}

// `n` sources stay ready, and after `dispatches` of them another one becomes ready.
static void expect_two_turns_at_most(int n, int dispatches, enum Beside beside, uint32_t flags) {
  struct Probe late = {.name = "late", .act = act_lower};
  open_many(n, beside, true);
  const int fd = make_eventfd(0);
  probe_io(many.company.loop, &late, fd, EPOLLIN | flags);
  iterate_times(many.company.loop, dispatches);
  memset(many.turns, 0, sizeof(many.turns));
  raise_eventfd(fd);
  for (int iterations = 0; late.calls == 0; iterations++) {
    assert_result(iterate(many.company.loop), 1);
    assert_true(iterations < 3 * (n + 1));
    for (int i = 0; i < n; i++)
      if (many.turns[i] > 2) fail_msg("%d of %d had three turns, %d before, beside %d", i, n, dispatches, beside);
  }
  journal[0] = 0;
  free_probe(&late);
  close(fd);
  close_many();
}

static void no_source_waits_for_more_than_two_turns_of_its_equals(void** state) {
  (void)state;
  const bool most = room_for_most();
  for (int beside = 0; beside < kBesides; beside++) {
    if (starves((enum Beside)beside)) continue;
    for (int dispatches = 1; dispatches <= 5; dispatches++) {
      expect_two_turns_at_most(2, dispatches, (enum Beside)beside, 0);
      expect_two_turns_at_most(2, dispatches, (enum Beside)beside, EPOLLET);
    }
    for (int dispatches = 1; dispatches <= 141; dispatches += 35) {
      expect_two_turns_at_most(70, dispatches, (enum Beside)beside, 0);
      expect_two_turns_at_most(70, dispatches, (enum Beside)beside, EPOLLET);
    }
    if (!most) continue;
    expect_two_turns_at_most(kMost, 1, (enum Beside)beside, 0);
    expect_two_turns_at_most(kMost, kMost - 50, (enum Beside)beside, EPOLLET);
  }
  give_room_back();
}

int main(void) {
  exit_77_without_pidfds();
  const struct CMUnitTest tests[] = {
      child_test(two_causes_are_served_in_their_order),
      child_test(the_last_words_of_a_source_that_was_just_dispatched_go_before_the_end),
      recorded_test(an_answer_that_is_there_takes_back_a_time_out_that_is_due),
      recorded_test(any_number_of_causes_is_served_in_their_order),
      recorded_test(no_source_waits_for_more_than_two_turns_of_its_equals),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
