// SPDX-License-Identifier: MIT
//
// What add_inotify and add_inotify_fd refuse: paths, fds, masks; and that nothing has changed then.
//
// add_inotify opens its path (O_PATH) before it looks at anything else, so the error of the path wins even over a null
// loop. Masks go to the kernel, except IN_MASK_ADD, which the library refuses itself.
// Each test works in a directory of its own under /tmp, which `close_yard` removes, and owns its loop.
#include "harness.h"

struct Yard {
  sd_event* loop;
  char directory[32], file[48], link[48], dangling[48];
};

static struct Yard open_yard(void) {
  struct Yard y = {.loop = make_loop(), .directory = "/tmp/evenkeel-XXXXXX"};
  assert_non_null(mkdtemp(y.directory));
  snprintf(y.file, sizeof(y.file), "%s/file", y.directory);
  snprintf(y.link, sizeof(y.link), "%s/link", y.directory);
  snprintf(y.dangling, sizeof(y.dangling), "%s/dangling", y.directory);
  close(open(y.file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  assert_int_equal(symlink("file", y.link), 0);
  assert_int_equal(symlink("nothing", y.dangling), 0);
  return y;
}

static void close_yard(struct Yard y) {
  assert_null(sd_event_unref(y.loop));
  unlink(y.file);
  unlink(y.link);
  unlink(y.dangling);
  assert_int_equal(rmdir(y.directory), 0);
}

static int add_path(sd_event* loop, const char* path, uint32_t mask) {
  sd_event_source* s = NULL;
  int r = sd_event_add_inotify(loop, &s, path, mask, on_inotify, NULL);
  assert_true((s != NULL) == (r == 0));
  sd_event_source_unref(s);
  return r;
}

static int add_fd(sd_event* loop, int fd, uint32_t mask) {
  sd_event_source* s = NULL;
  int r = sd_event_add_inotify_fd(loop, &s, fd, mask, on_inotify, NULL);
  assert_true((s != NULL) == (r == 0));
  sd_event_source_unref(s);
  return r;
}

static void paths_give_the_error_of_open(void** state) {
  (void)state;
  struct Yard y = open_yard();
  char deep[64], long_name[5000];
  snprintf(deep, sizeof(deep), "%s/below", y.file);
  memset(long_name, 'x', sizeof(long_name) - 1);
  long_name[sizeof(long_name) - 1] = 0;
  assert_result(add_path(y.loop, NULL, IN_CREATE), -EINVAL);
  assert_result(add_path(y.loop, "", IN_CREATE), -ENOENT);
  assert_result(add_path(y.loop, "/nonexistent", IN_CREATE), -ENOENT);
  assert_result(add_path(y.loop, deep, IN_CREATE), -ENOTDIR);
  assert_result(add_path(y.loop, y.dangling, IN_CREATE), -ENOENT);
  assert_result(add_path(y.loop, long_name, IN_CREATE), -ENAMETOOLONG);
  assert_result(add_path(y.loop, y.file, IN_OPEN), 0);
  assert_result(add_path(y.loop, y.link, IN_OPEN), 0);
  assert_result(add_path(y.loop, "/dev/null", IN_OPEN), 0);
  assert_result(add_path(y.loop, "/proc/self/exe", IN_OPEN), 0);
  close_yard(y);
}

static void the_error_of_the_path_wins_over_that_of_the_loop(void** state) {
  (void)state;
  assert_result(add_path(NULL, "/nonexistent", IN_CREATE), -ENOENT);
  assert_result(add_path(SD_EVENT_DEFAULT, "/nonexistent", IN_CREATE), -ENOENT);
  assert_result(add_path(NULL, "/", IN_CREATE), -EINVAL);
  assert_result(add_path(SD_EVENT_DEFAULT, "/", IN_CREATE), -ENOPKG);
}

static void IN_DONT_FOLLOW_watches_the_link_and_IN_ONLYDIR_wants_a_directory(void** state) {
  (void)state;
  struct Yard y = open_yard();
  assert_result(add_path(y.loop, y.dangling, IN_OPEN | IN_DONT_FOLLOW), 0);
  assert_result(add_path(y.loop, y.link, IN_OPEN | IN_DONT_FOLLOW), 0);
  assert_result(add_path(y.loop, y.file, IN_OPEN | IN_ONLYDIR), -ENOTDIR);
  assert_result(add_path(y.loop, y.directory, IN_OPEN | IN_ONLYDIR), 0);
  assert_result(add_path(NULL, y.file, IN_OPEN | IN_ONLYDIR), -ENOTDIR);
  close_yard(y);
}

static void fds_that_are_negative_or_closed_are_EBADF_and_others_are_accepted(void** state) {
  (void)state;
  struct Yard y = open_yard();
  int directory = open(y.directory, O_PATH | O_CLOEXEC), file = open(y.file, O_RDONLY | O_CLOEXEC), pipes[2];
  assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
  assert_result(add_fd(y.loop, -1, IN_OPEN), -EBADF);
  assert_result(add_fd(y.loop, INT32_MIN, IN_OPEN), -EBADF);
  assert_result(add_fd(y.loop, AT_FDCWD, IN_OPEN), -EBADF);
  assert_result(add_fd(y.loop, 9999, IN_OPEN), -EBADF);
  assert_result(add_fd(y.loop, directory, IN_OPEN), 0);
  assert_result(add_fd(y.loop, file, IN_OPEN), 0);
  assert_result(add_fd(y.loop, pipes[0], IN_OPEN), 0);
  assert_result(add_fd(y.loop, file, IN_OPEN | IN_ONLYDIR), 0);
  assert_int_not_equal(fcntl(directory, F_GETFD), -1);
  close(directory);
  close(file);
  close(pipes[0]);
  close(pipes[1]);
  close_yard(y);
}

static void the_callers_fd_stays_open_and_is_not_needed_any_more(void** state) {
  (void)state;
  struct Yard y = open_yard();
  sd_event_source* s = NULL;
  int fd = open(y.directory, O_RDONLY | O_CLOEXEC);
  assert_int_equal(sd_event_add_inotify_fd(y.loop, &s, fd, IN_DELETE, on_inotify, NULL), 0);
  assert_int_not_equal(fcntl(fd, F_GETFD), -1);
  close(fd);
  unlink(y.file);
  assert_int_equal(sd_event_run(y.loop, UINT64_MAX), 1);
  sd_event_source_unref(s);
  close_yard(y);
}

static void IN_MASK_ADD_is_EINVAL(void** state) {
  (void)state;
  struct Yard y = open_yard();
  int fd = open(y.directory, O_RDONLY | O_CLOEXEC);
  assert_result(add_path(y.loop, y.directory, IN_MASK_ADD), -EINVAL);
  assert_result(add_path(y.loop, y.directory, IN_MASK_ADD | IN_CREATE), -EINVAL);
  assert_result(add_fd(y.loop, fd, IN_MASK_ADD | IN_CREATE), -EINVAL);
  close(fd);
  close_yard(y);
}

// The kernel's word on a mask, for an inode that nobody watches.
static int kernel_on_mask(const char* path, uint32_t mask) {
  int fd = inotify_init1(IN_CLOEXEC), r = inotify_add_watch(fd, path, mask) < 0 ? -errno : 0;
  close(fd);
  return r;
}

static void the_kernel_judges_the_mask_without_the_bits_that_say_how_to_watch(void** state) {
  (void)state;
  struct Yard y = open_yard();
  const uint32_t not_for_the_kernel = IN_ONLYDIR | IN_DONT_FOLLOW | IN_ONESHOT;
  for (unsigned bit = 0; bit < 32; bit++) {
    uint32_t masks[] = {UINT32_C(1) << bit, UINT32_C(1) << bit | IN_CREATE};
    for (size_t i = 0; i < lengthof(masks); i++) {
      int expected = masks[i] & IN_MASK_ADD ? -EINVAL : kernel_on_mask(y.directory, masks[i] & ~not_for_the_kernel);
      assert_result(add_path(y.loop, y.directory, masks[i]), expected);
    }
  }
  assert_result(add_path(y.loop, y.directory, 0), -EINVAL);
  assert_result(add_path(y.loop, y.directory, IN_ONESHOT | IN_ONLYDIR), -EINVAL);
  assert_result(add_path(y.loop, y.directory, UINT32_MAX & ~(uint32_t)IN_MASK_ADD), -EINVAL);
  close_yard(y);
}

static void an_empty_mask_is_accepted_on_an_inode_that_is_watched(void** state) {
  (void)state;
  struct Yard y = open_yard();
  sd_event_source* s = NULL;
  assert_int_equal(sd_event_add_inotify(y.loop, &s, y.directory, IN_CREATE, on_inotify, NULL), 0);
  assert_result(add_path(y.loop, y.directory, 0), 0);
  sd_event_source_unref(s);
  assert_result(add_path(y.loop, y.directory, 0), -EINVAL);
  close_yard(y);
}

static void IN_MASK_CREATE_fails_with_EEXIST_when_the_inode_is_watched(void** state) {
  (void)state;
  struct Yard y = open_yard();
  sd_event_source* s = NULL;
  assert_result(add_path(y.loop, y.directory, IN_CREATE | IN_MASK_CREATE), 0);
  assert_int_equal(sd_event_add_inotify(y.loop, &s, y.directory, IN_CREATE, on_inotify, NULL), 0);
  assert_result(add_path(y.loop, y.directory, IN_CREATE | IN_MASK_CREATE), -EEXIST);
  sd_event_source_unref(s);
  close_yard(y);
}

static void an_inode_may_have_many_sources(void** state) {
  (void)state;
  struct Yard y = open_yard();
  sd_event_source* sources[3] = {NULL};
  for (size_t i = 0; i < lengthof(sources); i++)
    assert_int_equal(sd_event_add_inotify(y.loop, &sources[i], y.directory, IN_CREATE, on_inotify, NULL), 0);
  for (size_t i = 0; i < lengthof(sources); i++) sd_event_source_unref(sources[i]);
  close_yard(y);
}

static void a_failed_call_leaves_no_fd(void** state) {
  (void)state;
  struct Yard y = open_yard();
  int before = count_fds();
  assert_result(add_path(y.loop, y.directory, IN_MASK_ADD), -EINVAL);
  assert_result(add_path(y.loop, y.directory, 0x00100000), -EINVAL);
  assert_result(add_path(y.loop, "/nonexistent", IN_CREATE), -ENOENT);
  assert_result(add_path(NULL, y.directory, IN_CREATE), -EINVAL);
  assert_result(add_path(SD_EVENT_DEFAULT, y.directory, IN_CREATE), -ENOPKG);
  assert_int_equal(count_fds(), before);
  close_yard(y);
}

static void the_priority_is_fixed_once_an_iteration_began_until_the_inode_is_added_again(void** state) {
  (void)state;
  struct Yard y = open_yard();
  sd_event_source *s = NULL, *again = NULL;
  int64_t priority = 77;
  assert_int_equal(sd_event_add_inotify(y.loop, &s, y.directory, IN_CREATE, on_inotify, NULL), 0);
  assert_result(sd_event_source_set_priority(s, 5), 0);
  assert_int_equal(sd_event_run(y.loop, 0), 0);
  assert_result(sd_event_source_set_priority(s, 6), -EOPNOTSUPP);
  assert_result(sd_event_source_set_priority(s, 5), 0);
  assert_int_equal(sd_event_source_set_enabled(s, SD_EVENT_OFF), 0);
  assert_result(sd_event_source_set_priority(s, 6), -EOPNOTSUPP);
  assert_int_equal(sd_event_source_get_priority(s, &priority), 0);
  assert_int_equal(priority, 5);
  assert_int_equal(sd_event_add_inotify(y.loop, &again, y.directory, IN_CREATE, on_inotify, NULL), 0);
  assert_int_equal(sd_event_source_set_priority(again, 5), 0);
  assert_result(sd_event_source_set_priority(s, 6), 0);
  sd_event_source_unref(again);
  sd_event_source_unref(s);
  close_yard(y);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      clean_test(paths_give_the_error_of_open),
      clean_test(the_error_of_the_path_wins_over_that_of_the_loop),
      clean_test(IN_DONT_FOLLOW_watches_the_link_and_IN_ONLYDIR_wants_a_directory),
      clean_test(fds_that_are_negative_or_closed_are_EBADF_and_others_are_accepted),
      clean_test(the_callers_fd_stays_open_and_is_not_needed_any_more),
      clean_test(IN_MASK_ADD_is_EINVAL),
      clean_test(the_kernel_judges_the_mask_without_the_bits_that_say_how_to_watch),
      clean_test(an_empty_mask_is_accepted_on_an_inode_that_is_watched),
      clean_test(IN_MASK_CREATE_fails_with_EEXIST_when_the_inode_is_watched),
      clean_test(an_inode_may_have_many_sources),
      clean_test(the_priority_is_fixed_once_an_iteration_began_until_the_inode_is_added_again),
      clean_test(a_failed_call_leaves_no_fd),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
