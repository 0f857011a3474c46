// SPDX-License-Identifier: MIT
//
// Who goes first, for every ordered pair of kinds, and who interrupts a long queue, for every kind and every queue.
//
// Invariants under test:
// 1. Of two pending sources the better one is dispatched first, whichever kinds they are, and whichever of the two has
//    waited longer.
// 2. Of two sources of equal priority the one that became pending in an older iteration is dispatched first.
// 3. With many sources pending, what becomes ready in the callback of one of them and is better is dispatched next; so
//    is what only becomes better there.
//
// Exit sources are never pending beside others: static_exit.c. The lists of pairs come from every_kind.h alone, so a
// new kind is in all of them at once.
#include "every_kind.h"

// ---- pairs --------------------------------------------------------------------------------------------------------

struct Pair {
  sd_event* loop;
  struct Thing a, b;
};

static void open_pair(struct Pair* pair, int a, int b) {
  pair->loop = make_loop();
  add_thing(&pair->a, pair->loop, a, 0);
  add_thing(&pair->b, pair->loop, b, 1);
  static char names[2][32];
  struct Thing* things[] = {&pair->a, &pair->b};
  for (size_t i = 0; i < lengthof(things); i++) {
    snprintf(names[i], sizeof(names[i]), "%s-%s", i == 0 ? "first" : "second", things[i]->kind->name);
    things[i]->probe.name = names[i];
    if (!(things[i]->kind->traits & kSwitched)) set_enabled(&things[i]->probe, SD_EVENT_ONESHOT);
  }
}

enum Order { kFirstThenSecond, kSecondThenFirst, kEitherOrder };

// Both are dispatched once.
static void close_pair(struct Pair* pair, enum Order order) {
  const bool turned = order == kSecondThenFirst;
  const struct Thing *first = turned ? &pair->b : &pair->a, *second = turned ? &pair->a : &pair->b;
  char expected[128];
  snprintf(expected, sizeof(expected), "%s %s ", first->probe.name, second->probe.name);
  iterate_until_idle(pair->loop);
  if (order == kEitherOrder) assert_journal_any_order(expected);
  if (order != kEitherOrder) assert_journal(expected);
  end_thing(&pair->a);
  end_thing(&pair->b);
  sd_event_unref(pair->loop);
}

// `play` says what is due then.
static void each_pair(enum Order (*play)(struct Pair*)) {
  unsigned pairs = 0;
  for_each_kind(a) for_each_kind(b) {
    struct Pair pair;
    if (a == kExit || b == kExit) continue;
    open_pair(&pair, a, b);
    close_pair(&pair, play(&pair));
    pairs++;
  }
  assert_true(pairs >= 121);  // eleven kinds at least, against each other and themselves
}

static enum Order play_better_and_fired_later(struct Pair* pair) {
  set_priority(&pair->b.probe, 1);
  fire(&pair->b);
  fire(&pair->a);
  gather(pair->loop);
  return kFirstThenSecond;
}
static void of_two_kinds_that_became_ready_together_the_better_goes_first(void** state) {
  (void)state;
  each_pair(play_better_and_fired_later);
}

static enum Order play_better_and_younger(struct Pair* pair) {
  set_priority(&pair->b.probe, 1);
  fire(&pair->b);
  gather(pair->loop);
  assert_int_equal(is_pending(&pair->b.probe), 1);
  fire(&pair->a);
  gather(pair->loop);
  assert_int_equal(is_pending(&pair->a.probe), 1);
  return kFirstThenSecond;
}
static void a_better_kind_goes_before_one_that_has_waited_longer(void** state) {
  (void)state;
  each_pair(play_better_and_younger);
}

static enum Order play_better_and_not_asked_about(struct Pair* pair) {
  set_priority(&pair->a.probe, -7);
  fire(&pair->b);
  gather(pair->loop);
  fire(&pair->a);
  // A post source needs the dispatch of another to become pending.
  if (is_kind(&pair->a, kPost)) gather(pair->loop);
  return kFirstThenSecond;
}
static void a_better_kind_that_became_ready_since_goes_before_one_that_is_pending(void** state) {
  (void)state;
  each_pair(play_better_and_not_asked_about);
}

static enum Order play_equal_and_older(struct Pair* pair) {
  fire(&pair->a);
  gather(pair->loop);
  assert_int_equal(is_pending(&pair->a.probe), 1);
  fire(&pair->b);
  gather(pair->loop);
  // 252 takes a defer source to be as old as when it was first on.
  if (!is_kind(&pair->b, kDefer)) return kFirstThenSecond;
  if (as_reference(kDeferTurns)) return is_kind(&pair->a, kDefer) ? kEitherOrder : kSecondThenFirst;
  return as_reference(kAgeOfEquals) ? kEitherOrder : kFirstThenSecond;
}
static void of_two_kinds_of_equal_priority_the_older_goes_first(void** state) {
  (void)state;
  each_pair(play_equal_and_older);
}

// ---- queues -------------------------------------------------------------------------------------------------------

// A hundred of what is cheap; a few processes, watches, signals and pipes.
enum { kCrowd = 100, kSmallCrowd = 12 };

struct Queue {
  sd_event* loop;
  struct Thing crowd[kCrowd], other;
  int size, dispatched;
  bool twice;  // the other has its turn at the first of the crowd, and again in the middle
  void (*let_other_go)(struct Thing* other);
};

static struct Queue queue;

static void act_as_crowd(struct Probe* p) {
  (void)p;
  queue.dispatched++;
  if (queue.dispatched == 1 || (queue.twice && queue.dispatched == queue.size / 2)) queue.let_other_go(&queue.other);
}
static void act_settle_other(struct Probe* p) {
  (void)p;
  settle(&queue.other);
}

static int size_of_crowd(int kind) { return kinds[kind].traits & kCostly ? kSmallCrowd : kCrowd; }

static void open_queue(int crowd, int other, int64_t priority, void (*let_other_go)(struct Thing*)) {
  queue.loop = make_loop();
  queue.size = size_of_crowd(crowd);
  queue.dispatched = 0;
  queue.let_other_go = let_other_go;
  add_thing(&queue.other, queue.loop, other, 0);
  if (!(queue.other.kind->traits & kSwitched)) queue.other.probe.act = act_settle_other;
  set_priority(&queue.other.probe, priority);
  for (int i = 0; i < queue.size; i++) {
    add_thing(&queue.crowd[i], queue.loop, crowd, i + 1);
    queue.crowd[i].probe.name = ".";
    queue.crowd[i].probe.act = act_as_crowd;
    set_enabled(&queue.crowd[i].probe, SD_EVENT_ONESHOT);
    fire(&queue.crowd[i]);
  }
}

// The other is dispatched right behind (or `late` dispatches after) each one of the crowd that let it go.
static void close_queue(int late) {
  char expected[2 * kCrowd + 64] = "";
  for (int i = 1; i <= queue.size; i++) {
    strcat(expected, ". ");
    if (i == 1 + late || (queue.twice && i == queue.size / 2 + late))
      strcat(strcat(expected, queue.other.kind->name), " ");
  }
  iterate_until_idle(queue.loop);
  assert_journal(expected);
  for (int i = 0; i < queue.size; i++) end_thing(&queue.crowd[i]);
  end_thing(&queue.other);
  sd_event_unref(queue.loop);
}

static int crowd_of(void** state) {
  const int crowd = (int)(intptr_t)*state;
  if (next_kind(crowd, 0) != crowd) {
    print_message("this library does not have the kind\n");
    skip();
  }
  return crowd;
}

static void what_becomes_ready_in_a_callback_and_is_better_goes_before_all_of(void** state) {
  const int crowd = crowd_of(state);
  for_each_kind(other) {
    if (other == kExit) continue;
    if (crowd == kPost && other == kPost) continue;  // neither lets the other go
    open_queue(crowd, other, -1, fire);
    queue.twice = !(queue.other.kind->traits & kHappensOnce);
    gather(queue.loop);
    close_queue(other == kPost ? differs(kPostOfCallback, 1, 0) : 0);
  }
}

static void raise_other(struct Thing* other) { set_priority(&other->probe, -1); }

// Not for inotify sources: their priority is fixed with the first iteration (inotify_basic.c).
// The other is ready all the time: pending when it was better before, else of a priority that nobody need ask about.
static void what_becomes_better_in_a_callback_goes_before_all_of(void** state) {
  const int crowd = crowd_of(state);
  for (int pending = 0; pending < 2; pending++) for_each_kind(other) {
      if (other == kExit || other == kInotifyPath || other == kInotifyFd) continue;
      open_queue(crowd, other, pending ? -2 : 5, raise_other);
      queue.twice = false;
      fire(&queue.other);
      gather(queue.loop);
      if (pending) {
        assert_int_equal(is_pending(&queue.other.probe), 1);
        set_priority(&queue.other.probe, 5);
      }
      close_queue(0);
    }
}

#define queue_tests(id, name)                                                                    \
  kinds_test_of(what_becomes_ready_in_a_callback_and_is_better_goes_before_all_of, "many_" name, \
                (void*)(intptr_t)(id)),                                                          \
      kinds_test_of(what_becomes_better_in_a_callback_goes_before_all_of, "many_" name, (void*)(intptr_t)(id))

int main(void) {
  const struct CMUnitTest tests[] = {
      kinds_test(of_two_kinds_that_became_ready_together_the_better_goes_first),
      kinds_test(a_better_kind_goes_before_one_that_has_waited_longer),
      kinds_test(a_better_kind_that_became_ready_since_goes_before_one_that_is_pending),
      kinds_test(of_two_kinds_of_equal_priority_the_older_goes_first),
      queue_tests(kIo, "io"),
      queue_tests(kEdge, "edge_triggered_io"),
      queue_tests(kRealtime, "realtime_timers"),
      queue_tests(kBoottime, "boottime_timers"),
      queue_tests(kMonotonic, "monotonic_timers"),
      queue_tests(kSignal, "signals"),
      queue_tests(kChildPid, "children"),
      queue_tests(kChildPidfd, "pidfds"),
      queue_tests(kInotifyPath, "inotify_watches"),
      queue_tests(kInotifyFd, "inotify_watches_by_fd"),
      queue_tests(kDefer, "defer_sources"),
      queue_tests(kPost, "post_sources"),
      queue_tests(kMemory, "memory_pressure"),
      queue_tests(kCpu, "cpu_pressure"),
      queue_tests(kIoPressure, "io_pressure"),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
