// SPDX-License-Identifier: MIT
//
// A process that lives on the library for hours, does everything there is to do with it, and must not change.
//
// Idea: a *thing* is a source and all that its event needs. It counts the events that were sent and those that came. A
// *round* makes loops (its homes; the first may be one that lives as long as the process), does some hundred operations
// at random, callbacks do more, and memory and descriptors run short now and then. Then the round *settles*: each event
// that was sent has to come. What is left then is dropped, and the process has to be as it was before the round.
//
// Invariants:
//  1. After settling `sent - may_be_lost <= received <= sent` for each thing. `may_be_lost` is 0, but for what a source
//     that is turned OFF is allowed to lose, by its header.
//  2. All decisions follow from the seed and the number of the round; those of callbacks from the thing's own stream,
//     so that one thing's luck is not another one's. Times and what the kernel does first are left to chance.
//  3. A thing is a slot of an array, and stays what it is until its callbacks have returned. Nothing here allocates.
//  4. A fault ends the process with exit code 1, after a line that says what, which thing, seed and round.
#ifndef EVENKEEL_SOAK_SOAK_H
#define EVENKEEL_SOAK_SOAK_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#define lengthof(array) (sizeof(array) / sizeof((array)[0]))

enum { kOld, kHomes = 3, kMostThings = 64, kDirectories = 3 };

struct Thing {
  const struct Kind* kind;
  sd_event_source* source;
  int home;
  unsigned id;
  uint64_t luck;
  int state;  // as sd_event_source_get_enabled() has to say
  bool used, gone, floating, owned, done, armed;
  bool expiring;  // within its callback for the end of a limit
  int depth;      // callbacks of it that have not returned
  uint64_t sent, received, may_be_lost, last, prepared_in;
  // What it needs, by kind: 0 is the end of the source, 1 ours.
  int fds[2], signo, directory, options;
  pid_t pid;
  uint32_t mask;
  uint64_t due;
};

enum Trait {
  kByHand = 1,     // its event is that it is turned on: ONESHOT, once for each event
  kEndless = 2,    // nobody counts its events
  kLimitable = 4,  // may have a rate limit
  kLast = 8,       // can't be compared with others: pending by another's dispatch
  kTimed = 16,
  kDescriptor = 32,  // may get another one
};

struct Kind {
  const char* name;
  int (*add)(struct Thing*);          // the source, and all it needs; negative: there is none
  bool (*fire)(struct Thing*);        // whether an event was sent
  void (*before_off)(struct Thing*);  // notes what may be lost by it; may be NULL
  void (*close)(struct Thing*);       // the source is gone
  unsigned traits;
  int detail;
};

struct World {
  uint64_t seed, round, luck, shortage_luck;
  sd_event* homes[kHomes];
  struct Thing things[kMostThings];
  unsigned next_id;
  uint64_t signals_taken;  // by number: one thing has it
  bool few_descriptors, settling;
  bool stray;  // this is a forked process
  uint64_t destroy_luck;
  bool in_destroy;
  bool dropping;  // things go, as their home does: nothing may be added
  int dropped;    // that home, or -1
  bool with_old;  // this round uses the old loop
  char directory[64];
  bool has_directory;
  uint64_t sequence;
  // For the report.
  uint64_t dispatched, added, destroyed, failed, forks, threads, loops, expired, prepared, operations, rounds, asides;
};
extern struct World world;

// ---- luck.c: chance, faults, shortages ------------------------------------------------------------------------------

uint64_t draw(uint64_t* luck);
static inline unsigned below(uint64_t* luck, unsigned n) { return (unsigned)(draw(luck) >> 32) % n; }
static inline bool one_in(uint64_t* luck, unsigned n) { return below(luck, n) == 0; }

static inline int any_home(uint64_t* luck) {
  return (int)(world.with_old ? below(luck, kHomes) : 1 + below(luck, kHomes - 1));
}

_Noreturn void fault(const struct Thing* t, const char* format, ...) __attribute__((format(printf, 2, 3)));

// A call of the library, now and then with memory that runs out within it. A failure is a fault, unless it is the one
// that was arranged.
#define tried(call) (begin_shortage(), end_shortage((call), #call))
void begin_shortage(void);
int end_shortage(int result, const char* call);
// A call that has to do without memory, and without failing.
#define must(call) must_be((call), #call)
int must_be(int result, const char* call);

void begin_few_descriptors(void);
void end_few_descriptors(void);
long blocks_in_use_now(void);  // -1 where nobody counts

// ---- things.c -------------------------------------------------------------------------------------------------------

struct Thing* add_thing(const struct Kind* kind, int home);
struct Thing* any_thing(uint64_t* luck);
void free_thing(struct Thing* t);
void turn(struct Thing* t, int state);
void turn_on(struct Thing* t);
void send_event(struct Thing* t);
bool fire_by_hand(struct Thing* t);
static inline bool is_outstanding(const struct Thing* t) {
  return t->used && !t->gone && t->received + t->may_be_lost < t->sent;
}
void lose_what_is_pending(struct Thing* t);
void lose_what_is_on_the_way(struct Thing* t);
// Every callback begins and ends with these.
struct Thing* enter(sd_event_source* s, void* userdata);
int leave(struct Thing* t);
void receive(struct Thing* t, uint64_t events);
void change_something(struct Thing* t, uint64_t* luck);

// ---- kinds ----------------------------------------------------------------------------------------------------------

extern const struct Kind io_kinds[], static_kinds[], time_kinds[], signal_kinds[], child_kinds[], inotify_kinds[];
enum { kIoKinds = 6, kStaticKinds = 4, kTimeKinds = 5, kSignalKinds = 3, kChildKinds = 5, kInotifyKinds = 3 };
void begin_static_kinds(void);
void begin_inotify_kinds(void);
void end_inotify_kinds(void);
void close_two(struct Thing* t);
uint64_t clock_usec(int clock);

// ---- forks.c --------------------------------------------------------------------------------------------------------

void fork_and_meddle(uint64_t* luck);
// True in a child, which has to return from its callback now. Whoever has made the step of the loop hands the result to
// `came_back`: the child ends there, and it is a fault if the result is not -ECHILD.
bool fork_and_return(uint64_t* luck);
int came_back(int result);
void must_not_stray(const struct Thing* t);

// ---- asides.c: what is done beside the homes, and the files that do it ----------------------------------------------

void do_something_aside(uint64_t* luck);  // anywhere, callbacks included
void do_something_with_threads(uint64_t* luck);
void do_everything_aside(uint64_t* luck);

void run_a_loop_to_its_end(uint64_t* luck);
void end_a_loop(uint64_t* luck);
void run_a_tower(uint64_t* luck);
void reuse_numbers(uint64_t* luck);
void go_to_the_edges(uint64_t* luck);
void limit_inotify(uint64_t* luck);
void end_children_at_once(uint64_t* luck);

void begin_threads(void);
void start_thread(pthread_t* thread, void* (*body)(void*), void* userdata);
void run_threads(uint64_t* luck, unsigned n);
void hand_a_loop_round(uint64_t* luck);
void cancel_threads(uint64_t* luck);
void begin_library(void);
void end_library(void);
void unload_the_library(uint64_t* luck);

// ---- rounds.c, watch.c ----------------------------------------------------------------------------------------------

void run_round(void);
void warm_up(void);
void iterate(int home, uint64_t* luck, uint64_t timeout);
// As whoever does not know whether it may: within a callback it may not.
void try_to_run(int home);

struct Count {
  long fds, children, watches, blocks, heap, rss;
};
struct Count count_all(void);
void compare_counts(const struct Count* before, const struct Count* after, const char* when);
void note_second(const struct Count* count);
void end_minute(unsigned minute);
int judge(void);  // 0: nothing grew

#endif
