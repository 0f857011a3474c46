// SPDX-License-Identifier: MIT
//
// Errors that only a kernel with less to give returns: no /proc, no inotify watches or instances left, no pidfds.
//
// Each case takes something away from a forked process, which ends with it: /proc by chroot(2), what is left by the
// limits of a user namespace of its own, a system call by a seccomp filter. Where that is not allowed the case is
// skipped and says so. Invariant: a call that fails leaves the out-pointer alone and no fd open; and it works once the
// reason is gone.
#include <sched.h>

#include "harness.h"
#include "refuse.h"

enum { kNotAllowed = 7777 };

static int or_skip(int result) {
  if (result != kNotAllowed) return result;
  print_message("this process may not take it away\n");
  skip();
  return result;
}

// The first number that is free: it tells of a leak where there is no /proc to count in.
static int next_fd(void) {
  int fd = fcntl(0, F_DUPFD_CLOEXEC, 0);
  close(fd);
  return fd;
}

static bool write_text(const char* path, const char* text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
  if (fd >= 0) close(fd);
  return done;
}

// ---- inotify ------------------------------------------------------------------------------------------------------

static int add_by_path(sd_event* loop, sd_event_source** s, int fd) {
  return (void)fd, sd_event_add_inotify(loop, s, "/", IN_CREATE, on_inotify, NULL);
}
static int add_by_fd(sd_event* loop, sd_event_source** s, int fd) {
  return sd_event_add_inotify_fd(loop, s, fd, IN_CREATE, on_inotify, NULL);
}

struct Add {
  int (*add)(sd_event* loop, sd_event_source** s, int fd);
  const char* limit;
  const char* directory;
};

static int fail_cleanly(const struct Add* a, sd_event* loop, int root) {
  sd_event_source *const untouched = (sd_event_source*)loop, *s = untouched;
  int free_fd = next_fd(), r = a->add(loop, &s, root);
  if (r >= 0) return r;
  return s == untouched && next_fd() == free_fd ? r : kNoAnswer;
}

static int add_without_proc(void* context) {
  const struct Add* a = context;
  sd_event* loop = make_loop();
  int root = open("/", O_PATH | O_CLOEXEC);
  if (chroot(a->directory) < 0 && (unshare(CLONE_NEWUSER) < 0 || chroot(a->directory) < 0)) return kNotAllowed;
  if (chdir("/") < 0) return kNotAllowed;
  const int r = fail_cleanly(a, loop, root);
  // Back in the tree as it was: what the end of a process writes (gcov) does not belong into that directory.
  sd_event_source* s = NULL;
  if (fchdir(root) < 0 || chroot(".") < 0) return kNoAnswer;
  assert_result(a->add(loop, &s, root), 0);
  assert_null(sd_event_source_unref(s));
  return r;
}

static int add_at_limit(void* context) {
  const struct Add* a = context;
  sd_event* loop = make_loop();
  sd_event_source* s = NULL;
  int root = open("/", O_PATH | O_CLOEXEC);
  if (unshare(CLONE_NEWUSER) < 0 || !write_text(a->limit, "0")) return kNotAllowed;
  int r = fail_cleanly(a, loop, root);
  assert_true(write_text(a->limit, "100"));
  assert_result(a->add(loop, &s, root), 0);
  assert_null(sd_event_source_unref(s));
  return r;
}

static void without_proc_inotify_sources_are_ENOSYS(void** state) {
  (void)state;
  char directory[] = "/tmp/evenkeel-root-XXXXXX";
  assert_non_null(mkdtemp(directory));
  struct Add by_fd = {add_by_fd, NULL, directory}, by_path = {add_by_path, NULL, directory};
  int fd = in_child(add_without_proc, &by_fd), path = in_child(add_without_proc, &by_path);
  assert_int_equal(rmdir(directory), 0);
  assert_result(or_skip(fd), -ENOSYS);
  assert_result(or_skip(path), -ENOSYS);
}

static void without_watches_left_inotify_sources_are_ENOSPC(void** state) {
  (void)state;
  struct Add by_fd = {add_by_fd, "/proc/sys/user/max_inotify_watches", NULL}, by_path = by_fd;
  by_path.add = add_by_path;
  assert_result(or_skip(in_child(add_at_limit, &by_fd)), -ENOSPC);
  assert_result(or_skip(in_child(add_at_limit, &by_path)), -ENOSPC);
}

static void without_instances_left_inotify_sources_are_EMFILE(void** state) {
  (void)state;
  struct Add by_fd = {add_by_fd, "/proc/sys/user/max_inotify_instances", NULL}, by_path = by_fd;
  by_path.add = add_by_path;
  assert_result(or_skip(in_child(add_at_limit, &by_fd)), -EMFILE);
  assert_result(or_skip(in_child(add_at_limit, &by_path)), -EMFILE);
}

// ---- pidfds -------------------------------------------------------------------------------------------------------

static int pidfd_of_source_without_pidfds(void* context) {
  const bool* blocked = context;
  if (!refuse(SYS_pidfd_open, ENOSYS)) return kNotAllowed;
  set_blocked(SIGCHLD, *blocked);
  sd_event* loop = make_loop();
  sd_event_source* s = NULL;
  int r = sd_event_add_child(loop, &s, spawn_sleeper(), WEXITED, on_child, NULL);
  if (r < 0) return s ? kNoAnswer : r;
  assert_result(sd_event_source_send_child_signal(s, SIGKILL, NULL, 0), 0);
  assert_result(sd_event_source_get_child_pidfd_own(s), -EOPNOTSUPP);
  assert_result(sd_event_source_set_child_pidfd_own(s, 1), -EOPNOTSUPP);
  return sd_event_source_get_child_pidfd(s);
}

static void without_pidfds_a_child_source_has_none_to_give(void** state) {
  (void)state;
  bool blocked = true;
  assert_result(or_skip(in_child(pidfd_of_source_without_pidfds, &blocked)), differs(kNoPidfds, -ENOSYS, -EOPNOTSUPP));
}

static void without_pidfds_and_SIGCHLD_blocked_a_child_source_is_EBUSY(void** state) {
  (void)state;
  bool blocked = false;
  assert_result(or_skip(in_child(pidfd_of_source_without_pidfds, &blocked)), differs(kNoPidfds, -ENOSYS, -EBUSY));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      clean_test(without_proc_inotify_sources_are_ENOSYS),
      clean_test(without_watches_left_inotify_sources_are_ENOSPC),
      clean_test(without_instances_left_inotify_sources_are_EMFILE),
      clean_test(without_pidfds_a_child_source_has_none_to_give),
      clean_test(without_pidfds_and_SIGCHLD_blocked_a_child_source_is_EBUSY),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
