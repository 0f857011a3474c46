// SPDX-License-Identifier: MIT
//
// The file system of a watched directory goes: every source of its inodes is told, whatever it asked for.
//
// A tmpfs in a mount namespace of a forked process; where that is not allowed the program is skipped. That it can be
// unmounted while the loop watches it also shows that the loop does not pin it.
#include <sched.h>
#include <sys/mount.h>

#include "loop_recorder.h"

// A tmpfs of our own on the directory. 0, or why not, as -errno.
static int mount_on(const char* dir) {
  if (unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) return -errno;
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) return -errno;
  return mount("tmpfs", dir, "tmpfs", 0, NULL) < 0 ? -errno : 0;
}

static int try_to_mount(void* dir) { return mount_on(dir); }

// 0 if each source was told of the unmount and of the end of its watch, and the loop sleeps then.
static int sources_that_were_not_told(void* dir) {
  static const uint32_t kMasks[] = {IN_CREATE, IN_DELETE, IN_ATTRIB};
  struct Probe probes[lengthof(kMasks)] = {{.name = "a"}, {.name = "b"}, {.name = "c"}};
  if (mount_on(dir) < 0) return -EPERM;
  sd_event* loop = make_loop();
  for (size_t i = 0; i < lengthof(kMasks); i++) probe_inotify(loop, &probes[i], dir, kMasks[i]);
  set_priority(&probes[2], 1);
  iterate_until_idle(loop);
  if (umount(dir) < 0) return -errno;
  iterate_until_idle(loop);
  assert_journal_any_order("a:40002000: a:8000: b:40002000: b:8000: c:40002000: c:8000: ");
  for (size_t i = 0; i < lengthof(kMasks); i++) free_probe(&probes[i]);
  sd_event_unref(loop);
  return 0;
}

static void each_source_is_told_that_its_file_system_went(void** state) {
  (void)state;
  char* dir = make_dir();
  const int r = in_child(sources_that_were_not_told, dir);
  remove_dir(dir);
  assert_result(r, 0);
}

int main(void) {
  char* dir = make_dir();
  const int r = in_child(try_to_mount, dir);
  remove_dir(dir);
  if (r < 0) {
    print_message("skipped: nothing can be mounted here (%s)\n", strerror(-r));
    return 77;
  }
  const struct CMUnitTest tests[] = {recorded_test(each_source_is_told_that_its_file_system_went)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
