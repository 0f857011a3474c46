// SPDX-License-Identifier: MIT
//
// What a loop has to do inside of any other one: the same cases for poll, epoll, GLib and libuv (foreign_*.c).
//
// A foreign loop is a `struct Driver`: it runs until the inner loop has finished, sleeps on `sd_event_get_fd` and on
// one descriptor of its own, and calls `serve` when that one is readable. All of them rest on `to_rest` and `once`,
// which go by the state of the loop, never by what was called last: a foreign loop may come back to its first phase
// without the last one (GLib does when something of better priority is ready), and finds the loop ARMED then, where
// `prepare` is -EBUSY and `wait` with a timeout of 0 is the way on.
//
// Invariants under test:
// 1. Whatever kind of source there is something for, the foreign loop wakes, and nothing is lost or told twice.
// 2. What the foreign loop's own callbacks change while the inner one is ARMED counts from its next round on.
// 3. An inner loop that is always busy leaves the foreign loop its turn.
#ifndef EVENKEEL_CONFORMANCE_FOREIGN_LOOP_H
#define EVENKEEL_CONFORMANCE_FOREIGN_LOOP_H

#include "loop_recorder.h"

struct Outer {
  sd_event* loop;
  int fd;  // An eventfd, of the foreign loop.
  unsigned served;
  void (*on_served)(struct Outer*);
};

struct Driver {
  void (*run)(struct Outer*);
};

// ---- for drivers --------------------------------------------------------------------------------------------------

static inline bool in_state(sd_event* loop, int state) { return sd_event_get_state(loop) == state; }

// From any state to one in which something is pending, or the descriptor may be slept on. True: do not sleep.
static inline bool to_rest(sd_event* loop) {
  if (in_state(loop, SD_EVENT_ARMED)) assert_true(sd_event_wait(loop, 0) >= 0);
  if (in_state(loop, SD_EVENT_INITIAL)) assert_true(sd_event_prepare(loop) >= 0);
  return !in_state(loop, SD_EVENT_ARMED);
}

static inline bool looked(sd_event* loop) {
  if (in_state(loop, SD_EVENT_ARMED)) assert_true(sd_event_wait(loop, 0) >= 0);
  return in_state(loop, SD_EVENT_PENDING) || in_state(loop, SD_EVENT_FINISHED);
}

static inline void dispatch_one(sd_event* loop) {
  if (in_state(loop, SD_EVENT_PENDING)) assert_true(sd_event_dispatch(loop) >= 0);
}

static inline bool finished(sd_event* loop) { return in_state(loop, SD_EVENT_FINISHED); }

static inline void serve(struct Outer* outer) {
  lower_eventfd(outer->fd);
  outer->served++;
  if (outer->on_served) outer->on_served(outer);
}

// ---- the cases ----------------------------------------------------------------------------------------------------

static inline struct Outer make_outer(void) { return (struct Outer){.loop = make_loop(), .fd = make_eventfd(0)}; }

static inline void free_outer(struct Outer* outer) {
  sd_event_unref(outer->loop);
  close(outer->fd);
}

// One source of each kind; the callback of each makes the next one ready, so that there is one right order.
static struct Chain {
  struct Probe defer, io, signal, child, inotify, timer, limited, post, exit;
  char* dir;
  int fd;
} chain;

static inline void act_raise(struct Probe* p) { (void)p, raise_eventfd(chain.fd); }
static inline void act_queue_two(struct Probe* p) {
  act_lower(p);
  queue_value(SIGRTMIN, 1);
  queue_value(SIGRTMIN, 2);
}
static inline void act_fork_at_the_second(struct Probe* p) {
  if (p->calls == 2) probe_child(p->loop, &chain.child, spawn_exiting(3), WEXITED);
}
static inline void act_create_three(struct Probe* p) {
  (void)p;
  create_file(chain.dir, "1");
  create_file(chain.dir, "2");
  create_file(chain.dir, "3");
}
static inline void act_set_timer_at_the_third(struct Probe* p) {
  if (p->calls == 3) probe_time(p->loop, &chain.timer, CLOCK_MONOTONIC, clock_usec(CLOCK_MONOTONIC) + 2000);
}
static inline void act_turn_on_the_limited(struct Probe* p) { (void)p, set_enabled(&chain.limited, SD_EVENT_ON); }
static inline void act_exit_at_the_third(struct Probe* p) {
  if (p->calls == 3) assert_result(sd_event_exit(p->loop, 7), 0);
}

static inline void make_chain(sd_event* loop) {
  chain = (struct Chain){
      .defer = {.name = "defer", .act = act_raise},
      .io = {.name = "io", .act = act_queue_two},
      .signal = {.name = "signal", .act = act_fork_at_the_second},
      .child = {.name = "child", .act = act_create_three},
      .inotify = {.name = "inotify", .act = act_set_timer_at_the_third},
      .timer = {.name = "timer", .act = act_turn_on_the_limited},
      .limited = {.name = "limited", .act = act_exit_at_the_third},
      .post = {.name = "post"},
      .exit = {.name = "exit"},
      .dir = make_dir(),
      .fd = make_eventfd(0),
  };
  probe_defer(loop, &chain.defer);
  probe_io(loop, &chain.io, chain.fd, EPOLLIN);
  probe_signal(loop, &chain.signal, SIGRTMIN | SD_EVENT_SIGNAL_PROCMASK);
  probe_inotify(loop, &chain.inotify, chain.dir, IN_CREATE);
  probe_defer(loop, &chain.limited);
  set_enabled(&chain.limited, SD_EVENT_OFF);
  set_limit(&chain.limited, 3000, 1);
  assert_result(sd_event_add_post(loop, &chain.post.source, on_event, NULL), 0);
  set_priority(&chain.post, 10);
  probe_exit(loop, &chain.exit);
}

static inline void free_chain(void) {
  struct Probe* probes[] = {&chain.defer, &chain.io,      &chain.signal, &chain.child, &chain.inotify,
                            &chain.timer, &chain.limited, &chain.post,   &chain.exit};
  for (size_t i = 0; i < lengthof(probes); i++) free_probe(probes[i]);
  remove_dir(chain.dir);
  close(chain.fd);
}

static inline void each_kind_of_source_wakes_the_foreign_loop(void** state) {
  const struct Driver* driver = *state;
  struct Outer outer = make_outer();
  make_chain(outer.loop);
  driver->run(&outer);
  assert_journal(
      "defer io signal=1 signal=2 child:1:3 inotify:100:1 inotify:100:2 inotify:100:3 timer limited limited limited "
      "exit ");
  int code = 0;
  assert_result(sd_event_get_exit_code(outer.loop, &code), 0);
  assert_int_equal(code, 7);
  free_chain();
  free_outer(&outer);
}

// Each round of the foreign loop's own changes something that only a new iteration of the inner one takes into account.
static struct Probe changed[4];

static inline void raise_outer(struct Probe* p) { raise_eventfd(*(int*)p->other); }

static inline void change_something(struct Outer* outer) {
  const char* const names[] = {"on", "new", "time", "last"};
  struct Probe* p = &changed[outer->served - 1];
  *p = (struct Probe){.name = names[outer->served - 1], .act = raise_outer, .other = (struct Probe*)&outer->fd};
  if (outer->served == 1) {
    probe_io(outer->loop, p, outer->fd, EPOLLOUT);  // Writable for ever.
    set_enabled(p, SD_EVENT_ONESHOT);
  } else if (outer->served == 2) {
    probe_defer(outer->loop, p);
  } else if (outer->served == 3) {
    probe_time(outer->loop, p, CLOCK_MONOTONIC, UINT64_MAX);
    assert_result(sd_event_source_set_time(p->source, clock_usec(CLOCK_MONOTONIC) + 1000), 0);
  } else {
    assert_result(sd_event_exit(outer->loop, 0), 0);
  }
}

static inline void what_the_foreign_loops_callbacks_change_counts_from_the_next_round_on(void** state) {
  const struct Driver* driver = *state;
  struct Outer outer = make_outer();
  outer.on_served = change_something;
  raise_eventfd(outer.fd);
  driver->run(&outer);
  assert_journal("on new time ");
  assert_int_equal(outer.served, 4);
  for (size_t i = 0; i < lengthof(changed); i++) free_probe(&changed[i]);
  free_outer(&outer);
}

static inline void request_exit(struct Outer* outer) { assert_result(sd_event_exit(outer->loop, 0), 0); }

static inline void raise_outer_at_the_tenth(struct Probe* p) {
  if (p->calls == 10) raise_outer(p);
  if (p->calls > 1000) fail_msg("the foreign loop is starved");
}

static inline void an_inner_loop_that_is_always_busy_leaves_the_foreign_loop_its_turn(void** state) {
  const struct Driver* driver = *state;
  struct Outer outer = make_outer();
  outer.on_served = request_exit;
  struct Probe busy = {.name = "", .act = raise_outer_at_the_tenth, .other = (struct Probe*)&outer.fd};
  int fd = make_eventfd(1);
  probe_io(outer.loop, &busy, fd, EPOLLIN);
  driver->run(&outer);
  assert_int_equal(outer.served, 1);
  assert_true(busy.calls >= 10);
  journal[0] = 0;
  free_probe(&busy);
  close(fd);
  free_outer(&outer);
}

// A driver is a function; its name completes those of the cases.
#define foreign_test(f, driver)                                                               \
  {                                                                                           \
#f "_" #driver, f, begin_children, end_children, (void*)&(const struct Driver) { driver } \
  }
#define foreign_tests(driver)                                                                      \
  foreign_test(each_kind_of_source_wakes_the_foreign_loop, driver),                                \
      foreign_test(what_the_foreign_loops_callbacks_change_counts_from_the_next_round_on, driver), \
      foreign_test(an_inner_loop_that_is_always_busy_leaves_the_foreign_loop_its_turn, driver)

#endif
