// SPDX-License-Identifier: MIT
//
// The runner: takes programs from its standard input, runs each in a process of its own, gives back what it wrote.
//
// Idea: one of these runs on the reference and one with our library in front of it. The trace is in memory that both
// processes share, so that it is there after a crash, and up to the point where a program hangs. A program may use a
// little of the processor; whoever uses more is stopped by SIGPROF (it spins), whoever lasts longer by SIGALRM (it
// sleeps). Both limits are longer where the program allows for a slow machine.
//
// Invariants:
//  1. On standard output: first the name of the library that calls are bound to, in a line; then for each program the
//     status of its process, the length of its trace, the trace.
//  2. A program's process is a child of the runner, its files are in the runner's directory: both are cleared away
//     after each program, whatever became of it.
#define _GNU_SOURCE 1
#include <dlfcn.h>
#include <sys/mman.h>

#include "interpret.h"

static bool transfer(ssize_t (*step)(int, void*, size_t), int fd, void* data, size_t size) {
  for (char* at = data; size > 0;) {
    const ssize_t n = step(fd, at, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += n;
    size -= (size_t)n;
  }
  return true;
}

static ssize_t write_step(int fd, void* data, size_t size) { return write(fd, data, size); }

static void limit_time(unsigned slowness) {
  const long spin_usec = 300000L << slowness;
  const struct itimerval spins = {.it_value = {.tv_sec = spin_usec / 1000000, .tv_usec = spin_usec % 1000000}};
  setitimer(ITIMER_PROF, &spins, NULL);
  alarm(20U << (slowness < 3 ? slowness : 3));
}

static int run_in_child(const struct Program* program) {
  memset(trace_text, 0, 1);
  const pid_t pid = fork();
  if (pid == 0) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    limit_time(program->modes >> kSlowShift);
    run_program(program);
    _exit(0);
  }
  int status = -1;
  // A process that was stopped at once has not asked yet to go with its parent. The group is there until it is reaped.
  await(pid, WEXITED);
  kill(-pid, SIGKILL);
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  remove_files();
  return status;
}

int main(void) {
  Dl_info info;
  static struct Program program;
  signal(SIGPIPE, SIG_IGN);  // Who reads may go away: there is something to clear away then, too.
  if (!dladdr(dlsym(RTLD_DEFAULT, "sd_event_new"), &info)) return 1;
  trace_text = mmap(NULL, kTraceSize, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  strcpy(work_dir, "/tmp/evenkeel-fuzz-XXXXXX");
  if (trace_text == MAP_FAILED || !mkdtemp(work_dir)) return 1;
  if (printf("%s\n", info.dli_fname) < 0 || fflush(stdout)) return 1;
  while (transfer(read, STDIN_FILENO, &program, sizeof(program))) {
    int32_t head[2] = {run_in_child(&program), 0};
    head[1] = (int32_t)strlen(trace_text);
    if (!transfer(write_step, STDOUT_FILENO, head, sizeof(head))) break;
    if (!transfer(write_step, STDOUT_FILENO, trace_text, (size_t)head[1])) break;
  }
  remove_files();
  rmdir(work_dir);
  return 0;
}
