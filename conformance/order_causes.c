// SPDX-License-Identifier: MIT
//
// What happens first is dispatched first, of sources of equal priority. Each case makes its causes in a known order.
//
// Invariants under test:
// 1. The order of two causes is that of their dispatches, on the reference and on ours.
// 2. A timer that is due goes behind what is ready in the same look: an answer that is there is served before the
//    time-out for it, and may take that back.
// 3. On ours that holds for any number of causes; the reference's heap mixes more than two (kAgeOfEquals).
//
// Each round begins with a loop that has said that nothing is ready. What was dispatched just before is a case of its
// own.
#include <stdlib.h>

#include "loop_recorder.h"

enum Cause { kPipe, kOtherPipe, kSignal, kEnd, kCauses };

struct World {
  sd_event* loop;
  struct Probe probes[kCauses];
  int fds[2];
  pid_t pid;
  int ends[2];  // Closing the second one ends the process.
};

static void open_world(struct World* world, uint32_t flags, bool child) {
  static const char* const kNames[] = {"pipe", "other", "signal", "end"};
  *world = (struct World){.loop = make_loop()};
  for (size_t i = 0; i < kCauses; i++) world->probes[i].name = kNames[i];
  for (size_t i = 0; i < 2; i++) {
    world->fds[i] = make_eventfd(0);
    world->probes[i].act = act_lower;
    probe_io(world->loop, &world->probes[i], world->fds[i], EPOLLIN | flags);
  }
  probe_signal(world->loop, &world->probes[kSignal], SIGUSR1 | SD_EVENT_SIGNAL_PROCMASK);
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
  sd_event_unref(world->loop);
}

static void cause(struct World* world, enum Cause what) {
  if (what == kSignal) assert_int_equal(raise(SIGUSR1), 0);
  if (what < kSignal) raise_eventfd(world->fds[what]);
  if (what != kEnd) return;
  close(world->ends[1]);
  await_zombie(world->pid);
}

static const char* const kShown[] = {"pipe", "other", "signal", "end:1:0"};

static void two_causes_are_served_in_their_order(void** state) {
  (void)state;
  for (int first = 0; first < kCauses; first++) {
    for (int second = 0; second < kCauses; second++) {
      if (first == second) continue;
      for (int edge = 0; edge < 2; edge++) {
        struct World world;
        char expected[64];
        const bool child = first == kEnd || second == kEnd;
        open_world(&world, edge ? EPOLLET : 0, child);
        assert_result(iterate(world.loop), 0);
        cause(&world, (enum Cause)first);
        cause(&world, (enum Cause)second);
        iterate_until_idle(world.loop);
        snprintf(expected, sizeof(expected), "%s %s ", kShown[first], kShown[second]);
        assert_journal(expected);
        close_world(&world);
      }
    }
  }
}

// A child writes, is read, writes its last words and ends.
static void the_last_words_of_a_source_that_was_just_dispatched_go_before_the_end(void** state) {
  (void)state;
  for (int edge = 0; edge < 2; edge++) {
    for (int end = kSignal; end <= kEnd; end++) {
      struct World world;
      open_world(&world, edge ? EPOLLET : 0, true);
      for (int i = 0; i < 3; i++) {
        cause(&world, kPipe);
        assert_result(iterate(world.loop), 1);
      }
      cause(&world, kPipe);
      cause(&world, (enum Cause)end);
      iterate_times(world.loop, 2);
      assert_journal(end == kEnd ? "pipe pipe pipe pipe end:1:0 " : "pipe pipe pipe pipe signal ");
      if (end != kEnd) cause(&world, kEnd);
      iterate_until_idle(world.loop);
      journal[0] = 0;
      close_world(&world);
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

static void any_number_of_causes_is_served_in_their_order(void** state) {
  (void)state;
  if (as_reference(kAgeOfEquals)) return;
  srand(1);
  for (int round = 0; round < 100; round++) {
    enum { kMany = 300 };
    sd_event* loop = make_loop();
    static struct Probe probes[kMany];
    static char names[kMany][12];
    char expected[12 * kMany] = "";
    int fds[kMany], order[kMany];
    const int n = round % 10 == 0 ? kMany : 2 + rand() % 20;
    for (int i = 0; i < n; i++) {
      snprintf(names[i], sizeof(names[i]), "%d", i);
      probes[i] = (struct Probe){.name = names[i], .act = act_lower};
      order[i] = i;
      fds[i] = make_eventfd(0);
      probe_io(loop, &probes[i], fds[i], EPOLLIN | (rand() % 2 ? EPOLLET : 0));
    }
    for (int i = n - 1; i > 0; i--) {
      const int j = rand() % (i + 1), other = order[i];
      order[i] = order[j];
      order[j] = other;
    }
    assert_result(iterate(loop), 0);
    for (int i = 0; i < n; i++) {
      raise_eventfd(fds[order[i]]);
      strcat(strcat(expected, names[order[i]]), " ");
    }
    assert_int_equal(iterate_until_idle(loop), n);
    assert_journal(expected);
    for (int i = 0; i < n; i++) free_probe(&probes[i]), close(fds[i]);
    sd_event_unref(loop);
  }
}

int main(void) {
  exit_77_without_pidfds();
  const struct CMUnitTest tests[] = {
      child_test(two_causes_are_served_in_their_order),
      child_test(the_last_words_of_a_source_that_was_just_dispatched_go_before_the_end),
      recorded_test(an_answer_that_is_there_takes_back_a_time_out_that_is_due),
      recorded_test(any_number_of_causes_is_served_in_their_order),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
