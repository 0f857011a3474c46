// SPDX-License-Identifier: MIT
//
// What a process has, counted between two rounds, when there is no source at all; and whether it grows.
//
// What "flat" means:
//  - After each round: no child, no watch of inotify; and no more descriptors than the old loop needs when it has been
//    used for everything: at most 4 more than when the process was warm.
//  - After a round without the old loop: as many descriptors and blocks of memory as before it, exactly.
//  - Over the minutes (each has its least count of descriptors, of bytes in use and of resident memory): the least of
//  the
//    last third of the minutes is not above the greatest least of the first third, the very first minute left out, in
//    which the process gets warm. So whatever is lost again and again shows, however little it is. 2 KiB in use are
//    allowed for tables of the old loop that double when there are more sources at once than ever before, and 64 KiB
//    resident, as it is chance which pages of the heap are touched.
//
// A run that is shorter than six minutes has shorter "minutes". Sanitizers have allocators of their own, which do not
// tell and do not give back: there bytes and resident memory are not judged, leaks are found by them.
#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "soak/soak.h"

enum { kMostMinutes = 100000, kTablesThatDoubled = 2048, kPagesByChance = 64 * 1024 };
static struct Count least[kMostMinutes];
static unsigned minutes;
static struct Count now_least = {-1, -1, -1, -1, -1, -1};

static long count_watches_of(const char* fd) {
  char path[320], line[256];
  long n = 0;
  (void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%s", fd);
  FILE* file = fopen(path, "re");
  if (!file) return 0;
  while (fgets(line, sizeof(line), file)) n += strncmp(line, "inotify ", 8) == 0;
  (void)fclose(file);
  return n;
}

static long count_resident(void) {
  long size = 0, resident = 0;
  FILE* file = fopen("/proc/self/statm", "re");
  if (!file || fscanf(file, "%ld %ld", &size, &resident) != 2) fault(NULL, "/proc/self/statm");
  (void)fclose(file);
  return resident * sysconf(_SC_PAGESIZE);
}

struct Count count_all(void) {
  struct Count count = {.blocks = blocks_in_use_now(), .heap = (long)mallinfo2().uordblks, .rss = count_resident()};
  DIR* dir = opendir("/proc/self/fd");
  struct dirent* entry;
  if (!dir) fault(NULL, "/proc/self/fd: %s", strerror(errno));
  while ((entry = readdir(dir))) {
    if (entry->d_name[0] == '.') continue;
    count.fds++;
    count.watches += count_watches_of(entry->d_name);
  }
  closedir(dir);
  count.fds--;  // The directory itself.
  const pid_t child = waitpid(-1, NULL, WNOHANG);
  count.children = child < 0 ? 0 : 1;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  count.heap = count.rss = 0;
#endif
  return count;
}

void compare_counts(const struct Count* before, const struct Count* after, const char* when) {
  static long most;
  if (most == 0) most = before->fds + 4;
  if (after->children != 0) fault(NULL, "a child process is left");
  if (after->watches != 0) fault(NULL, "%ld watches of inotify are left", after->watches);
  if (after->fds > most) fault(NULL, "%ld descriptors, %ld at most were expected", after->fds, most);
  if (!when) return;
  if (after->fds != before->fds) fault(NULL, "%s: %ld descriptors, then %ld", when, before->fds, after->fds);
  if (after->blocks != before->blocks)
    fault(NULL, "%s: %ld blocks of memory, then %ld", when, before->blocks, after->blocks);
}

static void take_least(long* kept, long seen) {
  if (*kept < 0 || seen < *kept) *kept = seen;
}

void note_second(const struct Count* count) {
  take_least(&now_least.fds, count->fds);
  take_least(&now_least.heap, count->heap);
  take_least(&now_least.rss, count->rss);
}

void end_minute(unsigned minute) {
  if (now_least.fds < 0 || minutes == kMostMinutes) return;
  printf(
      "minute %u: at least %ld descriptors, %ld bytes in use, %ld KiB resident; %llu rounds, %llu dispatches, "
      "%llu sources, %llu loops, %llu threads, %llu forks, %llu failures\n",
      minute, now_least.fds, now_least.heap, now_least.rss / 1024, (unsigned long long)world.rounds,
      (unsigned long long)world.dispatched, (unsigned long long)world.added, (unsigned long long)world.loops,
      (unsigned long long)world.threads, (unsigned long long)world.forks, (unsigned long long)world.failed);
  (void)fflush(stdout);
  least[minutes++] = now_least;
  now_least = (struct Count){-1, -1, -1, -1, -1, -1};
}

static int grew(const char* what, size_t offset, long allowed) {
  const unsigned third = (minutes - 1) / 3;
  long early = -1, late = -1;
  for (unsigned i = 1; i < minutes; i++) {
    const long n = *(const long*)(const void*)((const char*)&least[i] + offset);
    if (i <= third && n > early) early = n;
    if (i > minutes - 1 - third) take_least(&late, n);
  }
  printf("%s: at most %ld in the first third, at least %ld in the last: %s\n", what, early, late,
         late > early + allowed ? "GREW" : "flat");
  return late > early + allowed;
}

int judge(void) {
  if (minutes < 4) {
    printf("too short to tell whether something grew: %u minutes\n", minutes);
    return 1;
  }
  return grew("descriptors", offsetof(struct Count, fds), 0) +
             grew("bytes in use", offsetof(struct Count, heap), kTablesThatDoubled) +
             grew("resident bytes", offsetof(struct Count, rss), kPagesByChance) >
         0;
}
