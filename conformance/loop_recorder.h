// SPDX-License-Identifier: MIT
//
// A journal of what a loop dispatched, for the tests of behaviour: each source belongs to a `struct Probe` with a name,
// its callback writes that name into the journal, and the test compares the journal with one string.
//
// 1. `probe_KIND` adds a source and asserts that this worked; `free_probe` drops the test's reference.
// 2. In the journal a signal that was sent with a value is `name=VALUE`, an inotify event `name:MASK:FILE` (hexadecimal
//    mask), a child event `name:CODE:STATUS`; everything else is the plain name. A blank follows each.
// 3. What happens inside a callback is the probe's `act`, which finds loop and source in the probe.
// 4. Sources of equal priority that became pending in one iteration are in no order that the reference promises:
//    compare these with `assert_journal_any_order`, or, where Evenkeel does promise one, with `assert_journal_ties`.
// 5. `gather` is one iteration in which whatever is ready becomes pending, and nothing of the test's is dispatched.
//    With something pending before it, only sources of strictly better priority are sure to become pending: a loop need
//    not ask the kernel about what could not preempt.
//
// Nothing here looks at the clock to decide a test; `run_until_calls` waits as long as it takes (the runner has the
// limit).
#ifndef EVENKEEL_CONFORMANCE_LOOP_RECORDER_H
#define EVENKEEL_CONFORMANCE_LOOP_RECORDER_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>

#include "harness.h"

// Both values before either text: `result` often runs callbacks that compare results themselves.
#undef assert_result
#define assert_result(result, expected)                                \
  do {                                                                 \
    int result_ = (result), expected_ = (expected);                    \
    assert_string_equal(result_name(result_), result_name(expected_)); \
  } while (0)

struct Probe {
  const char* name;
  int result;                  // what the callback returns
  void (*act)(struct Probe*);  // done inside the callback
  struct Probe* other;         // for `act`
  sd_event* loop;
  sd_event_source* source;
  unsigned calls;
  uint32_t revents;   // of the last IO event
  uint64_t usec;      // of the last time event
  uint32_t cookie;    // of the last inotify event
  siginfo_t siginfo;  // of the last child event
};

static char journal[4096];

static inline void note(const char* format, ...) {
  size_t used = strlen(journal);
  va_list ap;
  va_start(ap, format);
  vsnprintf(journal + used, sizeof(journal) - used, format, ap);
  va_end(ap);
}

#define assert_journal(expected)            \
  do {                                      \
    assert_string_equal(journal, expected); \
    journal[0] = 0;                         \
  } while (0)

static inline int compare_words(const void* a, const void* b) { return strcmp(*(char* const*)a, *(char* const*)b); }

static inline void sort_words(char* text, char* sorted) {
  char* words[256];
  size_t count = 0;
  for (char* word = strtok(text, " "); word && count < lengthof(words); word = strtok(NULL, " ")) words[count++] = word;
  qsort(words, count, sizeof(words[0]), compare_words);
  sorted[0] = 0;
  for (size_t i = 0; i < count; i++) strcat(strcat(sorted, words[i]), " ");
}

static inline void assert_journal_any_order(const char* expected) {
  char copy[sizeof(journal)], sorted[sizeof(journal)], sorted_expected[sizeof(journal)];
  snprintf(copy, sizeof(copy), "%s", expected);
  sort_words(copy, sorted_expected);
  sort_words(journal, sorted);
  journal[0] = 0;
  assert_string_equal(sorted, sorted_expected);
}

// The reference leaves ties to its memory layout; ours go in the order of the kernel's report, then of creation.
static inline void assert_journal_ties(const char* expected) {
  if (as_reference(kAgeOfEquals)) return assert_journal_any_order(expected);
  assert_journal(expected);
}

static inline int begin_recorded(void** state) { return journal[0] = 0, begin_clean(state); }

#define recorded_test(f) cmocka_unit_test_setup_teardown(f, begin_recorded, end_clean)

// With SIGCHLD blocked, as 252 wants it for every child source.
static inline int begin_children(void** state) {
  int r = begin_recorded(state);
  set_blocked(SIGCHLD, true);
  return r;
}

static inline int end_children(void** state) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  while (sigtimedwait(&set, NULL, &(struct timespec){0}) == SIGCHLD) continue;
  set_blocked(SIGCHLD, false);
  return end_clean(state);
}

#define child_test(f) cmocka_unit_test_setup_teardown(f, begin_children, end_children)

// ---- callbacks ----------------------------------------------------------------------------------------------------

// Everything is read before `act`, which may free the source.
static inline int after_note(struct Probe* probe) {
  probe->calls++;
  if (probe->act) probe->act(probe);
  return probe->result;
}

static inline int record_event(sd_event_source* s, void* userdata) {
  struct Probe* probe = userdata;
  (void)s;
  note("%s ", probe->name);
  return after_note(probe);
}

static inline int record_prepare(sd_event_source* s, void* userdata) {
  (void)s;
  note("(%s) ", ((struct Probe*)userdata)->name);
  return 0;
}

static inline int record_io(sd_event_source* s, int fd, uint32_t revents, void* userdata) {
  struct Probe* probe = userdata;
  (void)fd;
  probe->revents = revents;
  return record_event(s, userdata);
}

static inline int record_time(sd_event_source* s, uint64_t usec, void* userdata) {
  ((struct Probe*)userdata)->usec = usec;
  return record_event(s, userdata);
}

static inline int record_signal(sd_event_source* s, const struct signalfd_siginfo* si, void* userdata) {
  struct Probe* probe = userdata;
  if (si->ssi_code != SI_QUEUE) return record_event(s, userdata);
  note("%s=%d ", probe->name, (int)si->ssi_int);
  return after_note(probe);
}

static inline int record_child(sd_event_source* s, const siginfo_t* si, void* userdata) {
  struct Probe* probe = userdata;
  (void)s;
  probe->siginfo = *si;
  note("%s:%d:%d ", probe->name, si->si_code, si->si_status);
  return after_note(probe);
}

static inline int record_inotify(sd_event_source* s, const struct inotify_event* event, void* userdata) {
  struct Probe* probe = userdata;
  (void)s;
  probe->cookie = event->cookie;
  note("%s:%x:%s ", probe->name, (unsigned)event->mask, event->len ? event->name : "");
  return after_note(probe);
}

static inline void record_destroy(void* userdata) { note("~%s ", ((struct Probe*)userdata)->name); }

// ---- sources ------------------------------------------------------------------------------------------------------

static inline void probe_io(sd_event* loop, struct Probe* p, int fd, uint32_t events) {
  assert_result(sd_event_add_io(p->loop = loop, &p->source, fd, events, record_io, p), 0);
}
static inline void probe_time(sd_event* loop, struct Probe* p, clockid_t clock, uint64_t usec) {
  assert_result(sd_event_add_time(p->loop = loop, &p->source, clock, usec, 1, record_time, p), 0);
}
static inline void probe_signal(sd_event* loop, struct Probe* p, int sig) {
  assert_result(sd_event_add_signal(p->loop = loop, &p->source, sig, record_signal, p), 0);
}
static inline void probe_child(sd_event* loop, struct Probe* p, pid_t pid, int options) {
  assert_result(sd_event_add_child(p->loop = loop, &p->source, pid, options, record_child, p), 0);
}
static inline void probe_inotify(sd_event* loop, struct Probe* p, const char* path, uint32_t mask) {
  assert_result(sd_event_add_inotify(p->loop = loop, &p->source, path, mask, record_inotify, p), 0);
}
static inline void probe_defer(sd_event* loop, struct Probe* p) {
  assert_result(sd_event_add_defer(p->loop = loop, &p->source, record_event, p), 0);
}
static inline void probe_post(sd_event* loop, struct Probe* p) {
  assert_result(sd_event_add_post(p->loop = loop, &p->source, record_event, p), 0);
}
static inline void probe_exit(sd_event* loop, struct Probe* p) {
  assert_result(sd_event_add_exit(p->loop = loop, &p->source, record_event, p), 0);
}

static inline void free_probe(struct Probe* p) { p->source = sd_event_source_unref(p->source); }

static inline void set_priority(struct Probe* p, int64_t priority) {
  assert_result(sd_event_source_set_priority(p->source, priority), 0);
}
static inline void set_enabled(struct Probe* p, int enabled) {
  assert_result(sd_event_source_set_enabled(p->source, enabled), 0);
}
static inline int enabled_of(struct Probe* p) {
  int enabled = 99;
  assert_true(sd_event_source_get_enabled(p->source, &enabled) >= 0);
  return enabled;
}
static inline int is_pending(struct Probe* p) { return sd_event_source_get_pending(p->source); }
static inline void set_limit(struct Probe* p, uint64_t interval, unsigned burst) {
  assert_result(sd_event_source_set_ratelimit(p->source, interval, burst), 0);
}
static inline int is_limited(struct Probe* p) { return sd_event_source_is_ratelimited(p->source); }

// ---- driving ------------------------------------------------------------------------------------------------------

static inline int iterate(sd_event* loop) { return sd_event_run(loop, 0); }

static inline void iterate_times(sd_event* loop, int times) {
  while (times-- > 0) assert_true(iterate(loop) >= 0);
}

// Until a run has nothing to do. More than `kMaxBusy` iterations are a loop that never sleeps.
enum { kMaxBusy = 100000 };
static inline int iterate_until_idle(sd_event* loop) {
  int count = 0, r;
  while ((r = iterate(loop)) > 0)
    if (++count > kMaxBusy) fail_msg("the loop does not go to sleep");
  assert_result(r, 0);
  return count;
}

static inline void run_until_calls(struct Probe* p, unsigned calls) {
  while (p->calls < calls) assert_true(sd_event_run(p->loop, UINT64_MAX) >= 0);
}

static inline void gather(sd_event* loop) {
  sd_event_source* gate = NULL;
  int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
  assert_result(sd_event_add_io(loop, &gate, fd, EPOLLIN, on_io, NULL), 0);
  assert_result(sd_event_source_set_priority(gate, INT64_MIN), 0);
  int r;
  while ((r = iterate(loop)) == 0) continue;  // an iteration in which a rate limit ended
  assert_result(r, 1);
  sd_event_source_unref(gate);
  close(fd);
}

// Is the loop's fd readable, as another loop sees it? Waits at most `ms`; -1 for as long as it takes.
static inline bool fd_readable(sd_event* loop, int ms) {
  struct pollfd p = {.fd = sd_event_get_fd(loop), .events = POLLIN};
  return poll(&p, 1, ms) == 1;
}

// ---- things to watch ----------------------------------------------------------------------------------------------

static inline int make_eventfd(unsigned value) {
  int fd = eventfd(value, EFD_CLOEXEC | EFD_NONBLOCK);
  assert_true(fd > 2);
  return fd;
}
static inline void raise_eventfd(int fd) { assert_int_equal(eventfd_write(fd, 1), 0); }
static inline void lower_eventfd(int fd) {
  eventfd_t value;
  assert_int_equal(eventfd_read(fd, &value), 0);
}
static inline void act_lower(struct Probe* p) { lower_eventfd(sd_event_source_get_io_fd(p->source)); }

static inline uint64_t clock_usec(clockid_t clock) {
  struct timespec now;
  assert_int_equal(clock_gettime(clock, &now), 0);
  return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}
static inline void sleep_until(clockid_t clock, uint64_t usec) {
  for (uint64_t now; (now = clock_usec(clock)) < usec;) usleep((useconds_t)(usec - now) + 1);
}

static inline void queue_value(int sig, int value) {
  assert_int_equal(sigqueue(getpid(), sig, (union sigval){.sival_int = value}), 0);
}

static inline void await_zombie(pid_t pid) {
  siginfo_t info;
  assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
}
static inline pid_t spawn_zombie(int status) {
  pid_t pid = spawn_exiting(status);
  return await_zombie(pid), pid;
}
// 'R' running or stopped, 'Z' zombie, '-' reaped
static inline char child_state(pid_t pid) {
  siginfo_t info = {0};
  if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0) return '-';
  return info.si_pid == pid ? 'Z' : 'R';
}

static inline char* make_dir(void) {
  static char dir[32];
  strcpy(dir, "/tmp/evenkeel-XXXXXX");
  assert_non_null(mkdtemp(dir));
  return dir;
}
static inline const char* in_dir(const char* dir, const char* name) {
  static char path[4][320];
  static unsigned turn;
  snprintf(path[++turn % 4], sizeof(path[0]), "%s/%s", dir, name);
  return path[turn % 4];
}
static inline void create_file(const char* dir, const char* name) {
  int fd = open(in_dir(dir, name), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  assert_true(fd >= 0);
  close(fd);
}
static inline void remove_file(const char* dir, const char* name) { assert_int_equal(unlink(in_dir(dir, name)), 0); }
static inline void remove_dir(const char* dir) {
  DIR* stream = opendir(dir);
  if (!stream) return;
  for (struct dirent* entry; (entry = readdir(stream));)
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) unlink(in_dir(dir, entry->d_name));
  closedir(stream);
  assert_int_equal(rmdir(dir), 0);
}

#endif
