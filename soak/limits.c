// SPDX-License-Identifier: MIT
//
// Inotify sources with rate limits.
//
// Idea: up to three sources in a loop of their own watch one directory, some with a limit that does not end by itself.
// Files are made. What has no limit, or has not reached it, gets all at once, whatever becomes of the others; what has
// reached it gets nothing, and costs nothing: the loop sleeps. When the limits are taken back the rest comes, in order.
//
// Invariants: no event is lost, comes twice or out of order. An hour is never over within a round.
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "soak/soak.h"

enum { kWatchers = 3, kMostTurns = 2000 };
static const uint64_t kHour = 3600u * 1000000ull;

struct Watcher {
  sd_event_source* source;
  uint64_t last, received, allowed;  // allowed: with which its limit is reached
};

static int on_file(sd_event_source* s, const struct inotify_event* event, void* userdata) {
  struct Watcher* w = userdata;
  must_not_stray(NULL);
  const uint64_t number = strtoull(event->name, NULL, 10);
  if (s != w->source || event->mask != IN_CREATE) fault(NULL, "inotify event %x", event->mask);
  if (w->last && number != w->last + 1)
    fault(NULL, "inotify event %llu after %llu", (unsigned long long)number, (unsigned long long)w->last);
  w->last = number;
  if (w->received++ == w->allowed) fault(NULL, "an inotify source got more than its limit allows");
  return 0;
}

static void make_file(uint64_t* number) {
  char path[160];
  (void)snprintf(path, sizeof(path), "%s/limited/%llu", world.directory, (unsigned long long)++*number);
  if (mknod(path, S_IFREG | 0600, 0) != 0 || unlink(path) != 0) fault(NULL, "mknod or unlink: %s", strerror(errno));
}

static void add_watcher(sd_event* loop, struct Watcher* w, int64_t priority, uint64_t* luck) {
  char path[160];
  (void)snprintf(path, sizeof(path), "%s/limited", world.directory);
  const uint64_t burst = 1 + below(luck, 4);
  *w = (struct Watcher){.allowed = UINT64_MAX};
  must(sd_event_add_inotify(loop, &w->source, path, IN_CREATE, on_file, w));
  must(sd_event_source_set_priority(w->source, priority));
  if (one_in(luck, 3)) return;
  must(sd_event_source_set_ratelimit(w->source, kHour, (unsigned)burst));
  w->allowed = burst;
}

static void hear(sd_event* loop, const struct Watcher* watchers, unsigned n, uint64_t made) {
  for (unsigned turns = 0; sd_event_run(loop, 0) != 0; turns++)
    if (turns == kMostTurns) fault(NULL, "a loop with limited inotify sources never sleeps");
  struct pollfd p = {.fd = sd_event_get_fd(loop), .events = POLLIN};
  if (sd_event_prepare(loop) != 0 || poll(&p, 1, 0) != 0 || sd_event_wait(loop, 0) != 0)
    fault(NULL, "a loop with limited inotify sources does not sleep");
  for (const struct Watcher* w = watchers; w < watchers + n; w++) {
    const uint64_t wanted = w->allowed < made ? w->allowed : made;
    if (w->received != wanted)
      fault(NULL, "an inotify source beside limited ones got %llu of %llu", (unsigned long long)w->received,
            (unsigned long long)wanted);
  }
}

void limit_inotify(uint64_t* luck) {
  static bool inside;  // The directory is one for all.
  struct Watcher watchers[kWatchers];
  sd_event* loop = NULL;
  uint64_t made = 0;
  if (inside) return;
  inside = true;
  must(sd_event_new(&loop));
  world.loops++;
  const unsigned n = 1 + below(luck, kWatchers);
  const bool shared = one_in(luck, 2);
  for (unsigned i = 0; i < n; i++) add_watcher(loop, &watchers[i], shared ? 0 : (int64_t)i, luck);
  for (unsigned bursts = 1 + below(luck, 4); bursts > 0; bursts--) {
    for (unsigned files = 1 + below(luck, 8); files > 0; files--) make_file(&made);
    hear(loop, watchers, n, made);
  }
  for (unsigned i = 0; i < n; i++) {
    must(sd_event_source_set_ratelimit(watchers[i].source, 0, 0));
    watchers[i].allowed = UINT64_MAX;
  }
  hear(loop, watchers, n, made);
  for (unsigned i = 0; i < n; i++) sd_event_source_unref(watchers[i].source);
  sd_event_unref(loop);
  inside = false;
}
