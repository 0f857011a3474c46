// SPDX-License-Identifier: MIT
//
// Without memory a call is -ENOMEM, leaves everything as it was, and works when it is made again.
//
// Idea: each call is made on a fresh loop, again and again; in the n-th run its n-th allocation fails, until it needs
// fewer. How many allocations there are is the library's business; that there is one, and what a failure is, is not.
//
// Invariants: each call runs in a process of its own, which reports the first thing that is wrong by a number.
#include "no_memory.h"

#include <pthread.h>
#include <semaphore.h>
#include <sys/eventfd.h>

#include "harness.h"

enum { kOk, kNeverFailed, kWrongError, kResultChanged, kDoesNotWorkAgain, kNeverEnds };

typedef int (*Call)(sd_event* loop, sd_event_source** ret);

static int event_fd = -1;

static int add_io(sd_event* loop, sd_event_source** ret) {
  return sd_event_add_io(loop, ret, event_fd, EPOLLIN, on_io, NULL);
}
static int add_time(sd_event* loop, sd_event_source** ret) {
  return sd_event_add_time(loop, ret, CLOCK_REALTIME, UINT64_MAX, 0, on_time, NULL);
}
static int add_signal(sd_event* loop, sd_event_source** ret) {
  return sd_event_add_signal(loop, ret, SIGUSR1, on_signal, NULL);
}
static int add_child(sd_event* loop, sd_event_source** ret) {
  return sd_event_add_child(loop, ret, getppid(), WEXITED, on_child, NULL);
}
static int add_inotify(sd_event* loop, sd_event_source** ret) {
  return sd_event_add_inotify(loop, ret, "/tmp", IN_DELETE_SELF, on_inotify, NULL);
}
static int add_time_relative(sd_event* loop, sd_event_source** ret) {
  return sd_event_add_time_relative(loop, ret, CLOCK_BOOTTIME, 5000000, 0, on_time, NULL);
}
static int parent_pidfd = -1, directory = -1;
static int add_child_pidfd(sd_event* loop, sd_event_source** ret) {
  return sd_event_add_child_pidfd(loop, ret, parent_pidfd, WEXITED, on_child, NULL);
}
static int add_inotify_fd(sd_event* loop, sd_event_source** ret) {
  return sd_event_add_inotify_fd(loop, ret, directory, IN_DELETE_SELF, on_inotify, NULL);
}
static int set_signal_exit(sd_event* loop, sd_event_source** ret) {
  return (void)ret, sd_event_set_signal_exit(loop, 1);
}
static int add_defer(sd_event* loop, sd_event_source** ret) { return sd_event_add_defer(loop, ret, on_event, NULL); }
static int add_post(sd_event* loop, sd_event_source** ret) { return sd_event_add_post(loop, ret, on_event, NULL); }
static int add_exit(sd_event* loop, sd_event_source** ret) { return sd_event_add_exit(loop, ret, on_event, NULL); }

static int make_new(sd_event* loop, sd_event_source** ret) {
  (void)loop, (void)ret;
  sd_event* another = NULL;
  const int r = sd_event_new(&another);
  sd_event_unref(another);
  return r;
}
static int make_default(sd_event* loop, sd_event_source** ret) {
  (void)loop, (void)ret;
  sd_event* own = NULL;
  const int r = sd_event_default(&own);
  if (r >= 0 && r != 1) return -EIO;
  sd_event_unref(own);
  return sd_event_default(NULL) == 0 ? r : -EIO;
}

// Of `call` on a fresh loop: true when its `nth` allocation failed.
static bool fail_at(Call call, int nth, int* wrong) {
  sd_event* loop = make_loop();
  sd_event_source *source = NULL, *again = NULL;
  fail_allocation(nth);
  const int r = call(loop, &source);
  const bool failed = failed_allocation();
  if (failed && r < 0) {
    if (r != -ENOMEM) *wrong = kWrongError;
    if (source) *wrong = kResultChanged;
    if (call(loop, &again) < 0) *wrong = kDoesNotWorkAgain;
  } else if (r < 0) {
    *wrong = kDoesNotWorkAgain;
  }
  sd_event_source_unref(source);
  sd_event_source_unref(again);
  sd_event_unref(loop);
  return failed && r < 0;  // It may do without.
}

static int fail_everywhere(void* context) {
  Call call = *(Call*)context;
  int wrong = kOk, n_failures = 0, n_in_a_row = 0;
  event_fd = eventfd(0, EFD_CLOEXEC);
  parent_pidfd = open_pidfd(getppid());
  directory = open("/tmp", O_PATH | O_CLOEXEC);
  set_blocked(SIGUSR1, true);
  set_blocked(SIGCHLD, true);
  for (int nth = 0; n_in_a_row < 5; nth++) {  // One that the call can do without is not its last.
    if (nth > 500) return kNeverEnds;
    const bool failed = fail_at(call, nth, &wrong);
    if (wrong != kOk) return wrong;
    n_failures += failed;
    n_in_a_row = failed ? 0 : n_in_a_row + 1;
  }
  return n_failures > 0 ? kOk : kNeverFailed;
}

static void the_call_is_enomem_and_works_later(void** state) {
  assert_int_equal(in_child(fail_everywhere, *state), kOk);
}

// ---- default loops of many threads
// -----------------------------------------------------------------------------------

enum { kHolders = 40 };
static struct Holder {
  pthread_t id;
  sd_event* loop;
  sem_t made, released;
} holders[kHolders];
static int n_holders;

static void* hold_a_default_loop(void* userdata) {
  struct Holder* holder = userdata;
  if (sd_event_default(&holder->loop) != 1) holder->loop = NULL;
  sem_post(&holder->made);
  sem_wait(&holder->released);
  sd_event_unref(holder->loop);
  return NULL;
}

static void start_holder(void) {
  struct Holder* holder = &holders[n_holders++];
  sem_init(&holder->made, 0, 0);
  sem_init(&holder->released, 0, 0);
  if (pthread_create(&holder->id, NULL, hold_a_default_loop, holder) != 0) abort();
  sem_wait(&holder->made);
}

static int end_holders(int wrong) {
  for (int i = 0; i < n_holders; i++) {
    sem_post(&holders[i].released);
    pthread_join(holders[i].id, NULL);
  }
  return wrong;
}

// One more is made while this thread is in the middle of making its own.
static int default_loops_at_once(void* context) {
  const int n_others = *(int*)context;
  int wrong = kOk;
  sd_event* own = NULL;
  while (n_holders < n_others) start_holder();
  act_at_allocation(start_holder);
  if (sd_event_default(&own) != 1 || n_holders != n_others + 1) return kDoesNotWorkAgain;
  for (int i = 0; i < n_holders; i++)
    if (!holders[i].loop || holders[i].loop == own) wrong = kResultChanged;
  if (sd_event_run(own, 0) != 0) wrong = kDoesNotWorkAgain;
  sd_event_unref(own);
  return end_holders(wrong);
}

static int default_loop_without_memory(void* context) {
  const int n_others = *(int*)context;
  int wrong = kOk, nth = 0;
  while (n_holders < n_others) start_holder();
  while (wrong == kOk && fail_at(make_default, nth, &wrong)) nth++;
  return end_holders(wrong == kOk && nth == 0 ? kNeverFailed : wrong);
}

static void beside_any_number_of_others(int (*probe)(void* n_others)) {
  for (int n_others = 1; n_others < kHolders; n_others++) assert_int_equal(in_child(probe, &n_others), kOk);
}

static void a_default_loop_may_be_made_while_another_thread_makes_one(void** state) {
  (void)state;
  beside_any_number_of_others(default_loops_at_once);
}

static void a_default_loop_beside_those_of_many_threads_is_enomem_and_works_later(void** state) {
  (void)state;
  beside_any_number_of_others(default_loop_without_memory);
}

// ---- what needs none ------------------------------------------------------------------------------------------------

// The allocations of all calls on a loop that make nothing.
static int allocations_of_an_iteration(void* context) {
  (void)context;
  sd_event* loop = make_loop();
  sd_event_source* source = NULL;
  uint64_t usec = 0;
  pid_t tid = 0;
  int number = 0;
  if (add_defer(loop, &source) < 0 || sd_event_source_set_enabled(source, SD_EVENT_ON) < 0) return -EIO;
  setenv("WATCHDOG_USEC", "1000000", 1);
  if (sd_event_set_watchdog(loop, 1) != 1) return -EIO;  // This has made what a later one uses.
  const unsigned long before = count_allocations();
  sd_event_unref(sd_event_ref(loop));
  bool right = sd_event_set_watchdog(loop, 0) == 0 && sd_event_set_watchdog(loop, 1) == 1 && sd_event_get_fd(loop) > 2;
  right &= sd_event_prepare(loop) == 1 && sd_event_get_state(loop) == SD_EVENT_PENDING && sd_event_dispatch(loop) == 1;
  right &= sd_event_source_set_enabled(source, SD_EVENT_OFF) == 0 && sd_event_prepare(loop) == 0;
  right &= sd_event_wait(loop, 0) == 0 && sd_event_run(loop, 0) == 0 && sd_event_get_watchdog(loop) == 1;
  right &= sd_event_now(loop, CLOCK_REALTIME, &usec) == 0 && sd_event_get_iteration(loop, &usec) == 0;
  right &= sd_event_get_tid(loop, &tid) == -ENXIO && sd_event_exit(loop, 3) == 0 && sd_event_loop(loop) == 3;
  right &= sd_event_get_exit_code(loop, &number) == 0 && number == 3;
  const unsigned long n = count_allocations() - before;
  sd_event_source_unref(source);
  sd_event_unref(loop);
  return right ? (int)n : -EIO;
}

static void a_loop_that_runs_needs_no_memory(void** state) {
  (void)state;
  assert_result(in_child(allocations_of_an_iteration, NULL), differs(kMemoryOfWait, 1, 0));
}

// clang-format off
#define CALLS(X)                                                                                                      \
  X(make_new) X(make_default) X(add_io) X(add_time) X(add_time_relative) X(add_signal) X(add_child)                   \
  X(add_child_pidfd) X(add_inotify) X(add_inotify_fd) X(add_defer) X(add_post) X(add_exit) X(set_signal_exit)
// clang-format on
#define POINTER(name) static Call name##_call = name;
#define CASE(name) \
  {#name "_is_enomem_without_memory", the_call_is_enomem_and_works_later, begin_clean, end_clean, (void*)&name##_call},

CALLS(POINTER)

int main(void) {
  exit_77_with_another_allocator();
  exit_77_without_pidfds();
  const struct CMUnitTest tests[] = {CALLS(CASE) clean_test(a_loop_that_runs_needs_no_memory),
                                     clean_test(a_default_loop_may_be_made_while_another_thread_makes_one),
                                     clean_test(a_default_loop_beside_those_of_many_threads_is_enomem_and_works_later)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
