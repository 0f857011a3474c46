// SPDX-License-Identifier: MIT
//
// What makes sources ready: channels, signals, processes, files, and time; and the trace that everything is written to.
//
// Invariants:
//  1. Nothing in the trace depends on the machine, on addresses, or on the moment: descriptors are told as numbers of
//     channels, times as words, errors by name. Two runs of a program on one library give the same trace.
//  2. Whatever an operation starts has happened when it returns (a process that is ended is a zombie by then).
//  3. A program ends its processes and sockets; files are in a directory that belongs to who runs programs.
//
// All is static: a program includes runtime.h, and is one translation unit.
#ifndef EVENKEEL_FUZZ_WORLD_H
#define EVENKEEL_FUZZ_WORLD_H

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>
#include <time.h>
#include <unistd.h>

#include "differences.h"
#include "operations.h"

// ---- the trace -----------------------------------------------------------------------------------------------------

enum { kTraceSize = 1 << 20 };

// Of who runs the program, which may want to read it after a crash.
static char* trace_text;
static size_t trace_length;

__attribute__((format(printf, 1, 2))) static void trace(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const size_t room = kTraceSize - trace_length;
  const int n = vsnprintf(trace_text + trace_length, room, format, arguments);
  va_end(arguments);
  if (n > 0) trace_length += (size_t)n < room ? (size_t)n : room - 1;
}

static const char* error_name(int result) {
  static char text[4][16];
  static unsigned next;
  if (result < 0 && strerrorname_np(-result)) return strerrorname_np(-result);
  char* here = text[next++ % 4];
  (void)snprintf(here, sizeof(text[0]), "%d", result);
  return here;
}

#ifdef FUZZ_ALONE
enum { kAlone = 1 };  // There is nobody to differ from.
#else
enum { kAlone = 0 };
#endif

static char release[8];  // Of libsystemd.

// Whether the program keeps clear of a difference, as the reference differs so.
static bool kept_clear(enum Avoided why) {
  static const char* const releases[] = {
#define X(name, row, releases, reason) releases,
      FUZZ_DIFFERENCES(X)
#undef X
  };
  return !kAlone && strstr(releases[why], release);
}

static bool avoided(enum Avoided why) {
  static const char* const names[] = {
#define X(name, row, releases, reason) #name,
      FUZZ_DIFFERENCES(X)
#undef X
  };
  if (!kept_clear(why)) return false;
  trace("avoided: %s\n", names[why]);
  return true;
}

// ---- the state of a program ----------------------------------------------------------------------------------------

static unsigned modes;
static char work_dir[64];
static sd_event* loop;
static bool ended;                          // The loop is not ours any more.
static unsigned wave;                       // Of ties: how many iterations there were.
static int worst_of_wave[kMostOperations];  // Of ties: the worst priority that was called; INT_MAX if nothing was left.
static bool partly_run;                     // Of ties: it is not known which of a group have been called.
static int inside;                          // How many callbacks we are in.
static enum Context context_now;
static int callback_result;  // Of the one that runs.
static uint64_t nap_until;   // By then all that is near in time is past.
static uint64_t near_from;   // Unless 0: by then the first of it may be.
static bool stalled;         // And it was, in the middle of other things.
static bool forked;          // A process that was forked in a callback, and has nothing to do any more.

static sd_event* inner;  // A loop within the loop (others.h).
static sd_event_source* inner_sources[3];

static bool on_ours(void) { return dlsym(RTLD_DEFAULT, "evenkeel_version"); }

static bool strict(void) { return modes & kStrict; }
static bool lazy(void) { return modes & kLazy; }
static bool ties(void) { return modes & kTies; }

static uint64_t clock_now(clockid_t id) {
  struct timespec ts;
  clock_gettime(id, &ts);
  return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

static void sleep_until(uint64_t usec) {
  const uint64_t now = clock_now(CLOCK_MONOTONIC);
  if (now >= usec) return;
  const uint64_t span = usec - now;
  struct timespec ts = {(time_t)(span / 1000000u), (long)(span % 1000000u) * 1000};
  while (nanosleep(&ts, &ts) < 0 && errno == EINTR) continue;
}

// What is near is to be in the future until `nap` sleeps. A machine that stalls may pass it by; then the trace says so,
// and is worth nothing.
static uint64_t near_usec(void) { return 20000u << (modes >> kSlowShift); }

static void comes_near(void) {
  const uint64_t near = clock_now(CLOCK_MONOTONIC) + near_usec();
  if (near_from == 0) near_from = near - 5000;
  if (near + 3000 > nap_until) nap_until = near + 3000;
}

static void check_stalled(void) {
  if (stalled || near_from == 0 || clock_now(CLOCK_MONOTONIC) < near_from) return;
  stalled = true;
  trace("stalled\n");
}

// Whether what becomes ready now would be seen by 252 alone: after the callback for the end of a rate limit it looks
// again.
static bool too_late(void) { return context_now == kExpired && avoided(kAvoidLimitedExpire); }

// ---- channels ------------------------------------------------------------------------------------------------------

static struct Channel {
  int ends[2];  // Read from the first, write to the second; they are one for an eventfd.
  unsigned wave;
  bool fed;
} channels[kChannels + 1];  // The last one is the inner loop.

static bool hung_up;  // Any of them.

static bool readable(int fd) {
  struct pollfd p = {fd, POLLIN, 0};
  return poll(&p, 1, 0) > 0 && (p.revents & POLLIN);
}

static int channel_fd(int end) { return channels[end / 2].ends[end % 2]; }

static void open_channels(void) {
  for (int i = 0; i < kChannels; i++) {
    int* ends = channels[i].ends;
    int r = 0;
    if (i % 3 == 0) r = pipe2(ends, O_CLOEXEC | O_NONBLOCK);
    if (i % 3 == 1) r = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends);
    if (i % 3 == 2) r = ends[0] = ends[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (r < 0) abort();
  }
}

static void close_channels(void) {
  for (int i = 0; i < kChannels; i++) {
    close(channels[i].ends[0]);
    if (i % 3 != 2) close(channels[i].ends[1]);
  }
}

static void empty_channel(int channel, bool whole) {
  uint64_t buffer[8];
  while (read(channels[channel].ends[0], buffer, whole || channel % 3 == 2 ? sizeof(buffer) : 1) > 0)
    if (!whole) break;
}

static void feed(int channel) {
  struct Channel* c = &channels[channel];
  if ((ties() && c->fed) || too_late()) return;
  const uint64_t one = 1;
  const ssize_t n = write(c->ends[1], &one, channel % 3 == 2 ? 8 : 1);
  c->fed = true;
  c->wave = wave;
  trace("feed %d: %zd\n", channel, n);
}

static void drain(int channel) {
  empty_channel(channel, true);
  trace("drain %d\n", channel);
}

static bool oneshot_gathers(void);  // Of slots.h.

// The other side goes away; for sources it is readable (and hung up) for ever.
static void hang_up(int channel) {
  if (channel % 3 == 2 || too_late() || oneshot_gathers()) return;
  hung_up = hung_up || channel % 3 == 1;
  trace("hang_up %d: %d\n", channel, channel % 3 == 1 ? shutdown(channels[channel].ends[1], SHUT_RDWR) : 0);
}

// ---- signals -------------------------------------------------------------------------------------------------------

static const int kSignalNumbers[kSignals] = {SIGUSR1, SIGUSR2, SIGWINCH, SIGTERM, 36, 39};
static unsigned signal_waves[kSignals];
static bool signal_sent[kSignals];    // And not seen by a callback since.
static int signals_unseen[kSignals];  // More than there are if the kernel merged some.
static int signal_value;

static void on_unblocked(int number) { (void)number; }

static void block_signals(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);  // 252 wants it for child sources.
  sigaddset(&set, SIGUSR1);
  sigaddset(&set, SIGUSR2);
  sigaddset(&set, 36);
  sigaddset(&set, 39);
  sigprocmask(SIG_SETMASK, &set, NULL);
  signal(SIGPIPE, SIG_IGN);
  // Those that are unblocked with the end of their source must not end the program.
  for (int i = 0; i < kSignals; i++) signal(kSignalNumbers[i], on_unblocked);
}

static bool blocked(int number) {
  sigset_t set;
  sigprocmask(SIG_BLOCK, NULL, &set);
  return sigismember(&set, number) == 1;
}

static int signal_index(int number) {
  for (int i = 0; i < kSignals; i++)
    if (kSignalNumbers[i] == number) return i;
  return 0;
}

static void send_signal(int i) {
  const int number = kSignalNumbers[i];
  if (!blocked(number) || too_late()) return;
  if (ties() && signal_sent[i]) return;
  if (lazy() && signal_sent[i] && number < 34 && avoided(kAvoidLazyMerge)) return;
  signal_sent[i] = true;
  signals_unseen[i]++;
  signal_waves[i] = wave;
  union sigval value = {.sival_int = ++signal_value};
  const int r = number < 34 ? kill(getpid(), number) : sigqueue(getpid(), number, value);
  trace("send_signal %d: %d\n", i, r);
}

static void trace_blocked(void) {
  trace("blocked:");
  for (int number = 1; number < NSIG; number++)
    if (blocked(number)) trace(" %d", number);
  trace("\n");
}

// ---- processes -----------------------------------------------------------------------------------------------------

enum { kMostChildren = kAlone ? 4 : 64 };
static struct Child {
  pid_t pid;
  bool ended;
  bool stopped;
  bool untold;  // Its source has not been called for the last change.
} children[kMostChildren];
static int n_children;

static int spawn(void) {
  if (n_children == kMostChildren) return -1;
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (getppid() == parent) pause();
    _exit(0);
  }
  if (pid < 0) abort();
  children[n_children].pid = pid;
  return n_children++;
}

// Until `what` has happened to the process; it stays to be waited for.
static void await(pid_t pid, int what) {
  siginfo_t info;
  while (waitid(P_PID, (id_t)pid, &info, what | WNOWAIT) < 0 && errno == EINTR) continue;
}

static void end_process(int child) {
  siginfo_t info;
  if (child < 0 || children[child].ended) return;
  children[child].ended = true;
  if (waitid(P_PID, (id_t)children[child].pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
    return;  // Reaped with its source.
  kill(children[child].pid, SIGKILL);
  await(children[child].pid, WEXITED);
}

// What became of the processes; then none is left.
static void end_processes(void) {
  for (int i = 0; i < n_children; i++) {
    siginfo_t info = {.si_pid = 0};
    const int r = waitid(P_PID, (id_t)children[i].pid, &info, WEXITED | WNOHANG | WNOWAIT);
    trace("process %d: %s\n", i, r < 0 ? "reaped" : info.si_pid ? "a zombie" : "alive");
    if (r < 0) continue;
    kill(children[i].pid, SIGKILL);
    while (waitpid(children[i].pid, NULL, 0) < 0 && errno == EINTR) continue;
  }
}

// ---- files and messages --------------------------------------------------------------------------------------------

// Those that are there, the newest last. No name is used twice, as the kernel merges equal events (kAvoidLazyMerge).
static int files[2 * kMostOperations];
static int n_files;
static int n_files_made;
static int notify_socket = -1;

static const char* file_path(int number) {
  static char path[96];
  (void)snprintf(path, sizeof(path), number < 0 ? "%s/w" : "%s/n%d", work_dir, number);
  return path;
}

static bool overflows(int how);

// 0: a new file in the directory. 1: the newest one goes. 2: the file `w` is written to.
static void touch(int how) {
  if ((how == 1 ? n_files == 0 : n_files == 2 * kMostOperations) || too_late()) return;
  if (how == 2 && (lazy() || ties()) && avoided(kAvoidLazyMerge)) return;
  if (overflows(how)) return;
  if (how == 1) {
    unlink(file_path(files[--n_files]));
  } else {
    if (how == 0) files[n_files++] = n_files_made;
    const int fd = open(file_path(how == 0 ? n_files_made++ : -1), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (how == 2 && write(fd, "w", 1) != 1) abort();
    close(fd);
  }
  trace("touch %d\n", how);
}

static void open_files(void) {
  if (!work_dir[0]) {
    strcpy(work_dir, "/tmp/evenkeel-fuzz-XXXXXX");
    if (!mkdtemp(work_dir)) abort();
  }
  close(open(file_path(-1), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  // The kernel chooses an abstract address that nobody has.
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  socklen_t size = sizeof(sa_family_t);
  notify_socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (bind(notify_socket, (struct sockaddr*)&address, size)) abort();
  size = sizeof(address) - 1;
  if (getsockname(notify_socket, (struct sockaddr*)&address, &size)) abort();
  address.sun_path[0] = '@';
  setenv("NOTIFY_SOCKET", address.sun_path, 1);
  setenv("WATCHDOG_USEC", "3600000000", 1);
  unsetenv("WATCHDOG_PID");
}

static void remove_files(void) {
  DIR* dir = opendir(work_dir);
  for (struct dirent* entry; dir && (entry = readdir(dir));)
    if (entry->d_name[0] != '.') unlinkat(dirfd(dir), entry->d_name, 0);
  if (dir) closedir(dir);
}

static void trace_messages(void) {
  char message[64];
  for (ssize_t n; (n = recv(notify_socket, message, sizeof(message), 0)) > 0;) trace("message %.*s\n", (int)n, message);
}

static int count_fds(void) {
  int count = 0;
  DIR* dir = opendir("/proc/self/fd");
  while (dir && readdir(dir)) count++;
  if (dir) closedir(dir);
  return count;
}

#endif
