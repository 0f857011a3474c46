/* SPDX-License-Identifier: MIT
 *
 * watch-file: prints the first line of a file whenever the file is written or replaced, until it is asked to end.
 *
 *   watch-file DIRECTORY NAME
 *
 * Most programs replace a file instead of writing into it: they write another one, and give it the name. A watch on the
 * file itself belongs to its inode, and would hear of nothing after that. So the directory is watched, for the name.
 *   - IN_CLOSE_WRITE: somebody has finished writing. IN_MODIFY would tell of each write, and of halves of lines.
 *   - IN_MOVED_TO, IN_MOVED_FROM, IN_DELETE: it was replaced, or is gone.
 *   - IN_Q_OVERFLOW comes unasked when events were lost: all that is known then is to look again.
 *   - IN_IGNORED comes unasked when the directory itself is gone: nothing will come any more.
 *
 * The directory must not be held open for that: as long as somebody has a descriptor of it, it is not gone.
 *
 * Changes come in bursts. They are not acted upon one by one: each turns a defer source on, which runs when there is
 * nothing more urgent, and which looks once at what is there by then.
 *
 * Invariant: who prints looks at the file, and not at the event. An event says that something has happened, not what is
 * the case now.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>
#include <unistd.h>

struct watch {
  const char *directory, *name, *path;
  sd_event_source* look;
};

static int on_look(sd_event_source* source, void* userdata) {
  const struct watch* w = userdata;
  char line[256];
  (void)source;
  const int fd = open(w->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) {
    printf("%s: %s\n", w->name, strerror(errno));
    return 0;
  }
  const ssize_t n = read(fd, line, sizeof(line) - 1);
  close(fd);
  line[n > 0 ? n : 0] = '\0';
  line[strcspn(line, "\n")] = '\0';
  printf("%s: \"%s\"\n", w->name, line);
  return 0;
}

static int on_change(sd_event_source* source, const struct inotify_event* change, void* userdata) {
  const struct watch* w = userdata;
  if (change->mask & IN_IGNORED) {
    printf("the directory is gone\n");
    return sd_event_exit(sd_event_source_get_event(source), EXIT_SUCCESS);
  }
  /* What was lost may have been of the name. An event of the directory itself has no name: `len` is 0. */
  const int concerns_us = change->mask & IN_Q_OVERFLOW || (change->len > 0 && strcmp(change->name, w->name) == 0);
  return concerns_us ? sd_event_source_set_enabled(w->look, SD_EVENT_ONESHOT) : 0;
}

static int run(struct watch* w) {
  sd_event* event = NULL;
  sd_event_source* changes = NULL;

  int r = sd_event_default(&event);
  if (r < 0) goto finish;
  r = sd_event_set_signal_exit(event, 1);
  if (r < 0) goto finish;
  r = sd_event_add_inotify(event, &changes, w->directory,
                           IN_ONLYDIR | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE, on_change, w);
  if (r < 0) goto finish;
  r = sd_event_source_set_exit_on_failure(changes, 1);
  if (r < 0) goto finish;
  /* A defer source is one-shot, and on: so the file is looked at once at the start. That is after the watch was set up,
   * so that no change comes between. */
  r = sd_event_add_defer(event, &w->look, on_look, w);
  if (r < 0) goto finish;
  r = sd_event_source_set_priority(w->look, SD_EVENT_PRIORITY_IDLE);
  if (r < 0) goto finish;
  r = sd_event_loop(event);

finish:
  w->look = sd_event_source_disable_unref(w->look);
  sd_event_source_disable_unref(changes);
  sd_event_unref(event);
  return r;
}

int main(int argc, char** argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: %s DIRECTORY NAME\n", argv[0]);
    return 2;
  }
  char path[PATH_MAX];
  if (snprintf(path, sizeof(path), "%s/%s", argv[1], argv[2]) >= (int)sizeof(path)) {
    fprintf(stderr, "%s: %s\n", argv[1], strerror(ENAMETOOLONG));
    return EXIT_FAILURE;
  }
  struct watch w = {.directory = argv[1], .name = argv[2], .path = path};
  setvbuf(stdout, NULL, _IOLBF, 0);
  const int r = run(&w);
  if (r < 0) fprintf(stderr, "%s: %s\n", argv[1], strerror(-r));
  return r < 0 ? EXIT_FAILURE : r;
}
