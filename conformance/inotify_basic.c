// SPDX-License-Identifier: MIT
//
// Inotify sources one by one: what is accepted, what arrives, in what order, and what the getters say.
//
// Invariants under test:
// 1. Events arrive as the kernel made them, one a dispatch, in order, all that one read returned.
// 2. The end of an inode is told to each of its sources (IN_IGNORED); the source then is silent, and that is no error.
// 3. add_inotify opens the path itself and does not keep the inode pinned after the next iteration; the fd given to
//    add_inotify_fd stays the caller's.
// 4. The priority can be changed until the first iteration and then is fixed.
#include "inotify_dir.h"

static void bad_arguments_give_the_error_of_the_kernel_or_einval(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  sd_event_source* s = NULL;
  create_file(dir, "f");
  int fd = open(dir, O_PATH | O_CLOEXEC), closed = make_eventfd(0);
  close(closed);
  const char* file = in_dir(dir, "f");
  assert_result(sd_event_add_inotify(loop, &s, NULL, IN_CREATE, on_inotify, NULL), -EINVAL);
  assert_result(sd_event_add_inotify(loop, &s, dir, IN_CREATE | IN_MASK_ADD, on_inotify, NULL), -EINVAL);
  assert_result(sd_event_add_inotify(loop, &s, in_dir(dir, "none"), IN_CREATE, on_inotify, NULL), -ENOENT);
  assert_result(sd_event_add_inotify(loop, &s, file, IN_CREATE | IN_ONLYDIR, on_inotify, NULL), -ENOTDIR);
  assert_result(sd_event_add_inotify_fd(loop, &s, -1, IN_CREATE, on_inotify, NULL), -EBADF);
  assert_result(sd_event_add_inotify_fd(loop, &s, closed, IN_CREATE, on_inotify, NULL), -EBADF);
  assert_result(sd_event_add_inotify_fd(loop, &s, fd, IN_CREATE | IN_MASK_ADD, on_inotify, NULL), -EINVAL);
  assert_null(s);
  close(fd);
  sd_event_unref(loop);
}

static void getters_show_mask_path_and_defaults(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"}, b = {.name = "b", .loop = loop};
  const char* description = NULL;
  uint32_t mask = 0;
  probe_inotify(loop, &a, dir, IN_CREATE | IN_ATTRIB);
  assert_int_equal(enabled_of(&a), SD_EVENT_ON);
  assert_result(sd_event_source_get_inotify_mask(a.source, &mask), 0);
  assert_int_equal(mask, IN_CREATE | IN_ATTRIB);
  assert_result(sd_event_source_get_description(a.source, &description), 0);
  assert_string_equal(description, dir);
  int fd = open(dir, O_PATH | O_CLOEXEC);
  assert_result(sd_event_add_inotify_fd(loop, &b.source, fd, IN_DELETE | IN_ONESHOT, record_inotify, &b), 0);
  assert_int_equal(enabled_of(&b), SD_EVENT_ONESHOT);
  assert_result(sd_event_source_get_description(b.source, &description), -ENXIO);
  free_probe(&a);
  free_probe(&b);
  assert_true(fcntl(fd, F_GETFD) >= 0);
  close(fd);
  sd_event_unref(loop);
}

static void events_arrive_one_a_dispatch_in_the_order_of_the_kernel(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_inotify(loop, &a, dir, IN_CREATE | IN_DELETE | IN_MOVE | IN_CLOSE_WRITE);
  assert_result(iterate(loop), 0);
  create_file(dir, "f");
  create_file(dir, "a name that is longer than sixteen bytes");
  remove_file(dir, "f");
  assert_int_equal(mkdir(in_dir(dir, "d"), 0700), 0);
  assert_int_equal(rmdir(in_dir(dir, "d")), 0);
  assert_int_equal(iterate_until_idle(loop), 7);
  assert_journal(
      "a:100:f a:8:f a:100:a name that is longer than sixteen bytes a:8:a name that is longer than sixteen "
      "bytes a:200:f a:40000100:d a:40000200:d ");
  free_probe(&a);
  sd_event_unref(loop);
}

static uint32_t first_cookie;
static void act_keep_cookie(struct Probe* p) {
  if (p->calls == 1) first_cookie = p->cookie;
}

static void both_halves_of_a_rename_carry_one_cookie(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a", .act = act_keep_cookie};
  create_file(dir, "f");
  probe_inotify(loop, &a, dir, IN_MOVE);
  assert_int_equal(rename(in_dir(dir, "f"), in_dir(dir, "g")), 0);
  assert_int_equal(iterate_until_idle(loop), 2);
  assert_journal("a:40:f a:80:g ");
  assert_int_not_equal(first_cookie, 0);
  assert_int_equal(first_cookie, a.cookie);
  free_probe(&a);
  sd_event_unref(loop);
}

static void the_end_of_the_inode_is_told_to_each_source_and_then_all_is_quiet(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"}, b = {.name = "b"};
  create_file(dir, "f");
  probe_inotify(loop, &a, in_dir(dir, "f"), IN_DELETE_SELF);
  probe_inotify(loop, &b, in_dir(dir, "f"), IN_OPEN);
  assert_result(iterate(loop), 0);
  remove_file(dir, "f");
  iterate_until_idle(loop);
  assert_journal_ties("a:400: a:8000: b:8000: ");
  assert_int_equal(enabled_of(&a), SD_EVENT_ON);
  create_file(dir, "f");  // the path was resolved once: this is another inode
  assert_result(iterate(loop), 0);
  set_enabled(&a, SD_EVENT_OFF);
  set_enabled(&a, SD_EVENT_ON);
  assert_result(iterate(loop), 0);
  free_probe(&a);
  free_probe(&b);
  sd_event_unref(loop);
}

// Makes files until one has the inode number of the one that was removed last.
static bool create_file_with_number(const char* name, ino_t number) {
  struct stat now = {0};
  char other[32];
  for (int i = 0; i < 200; i++) {
    create_file(dir, name);
    if (stat(in_dir(dir, name), &now) == 0 && now.st_ino == number) return true;
    (void)snprintf(other, sizeof(other), "other%d", i);
    assert_int_equal(rename(in_dir(dir, name), in_dir(dir, other)), 0);
  }
  return false;
}

static void a_file_that_gets_the_number_of_one_that_is_gone_is_another_one(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"}, b = {.name = "b", .loop = loop};
  struct stat gone;
  create_file(dir, "f");
  assert_int_equal(stat(in_dir(dir, "f"), &gone), 0);
  probe_inotify(loop, &a, in_dir(dir, "f"), IN_DELETE_SELF);
  assert_result(iterate(loop), 0);
  remove_file(dir, "f");
  if (create_file_with_number("g", gone.st_ino)) {
    const int added = sd_event_add_inotify(loop, &b.source, in_dir(dir, "g"), IN_ATTRIB, record_inotify, &b);
    assert_result(added, differs(kInotifyNumber, -EINVAL, 0));
    assert_int_equal(chmod(in_dir(dir, "g"), 0640), 0);
    iterate_until_idle(loop);
    assert_journal(b.source ? "a:400: a:8000: b:4: " : "a:400: a:8000: ");
    free_probe(&b);
  } else {
    print_message("not tried: this file system does not use numbers again\n");
  }
  free_probe(&a);
  sd_event_unref(loop);
}

static void a_watched_file_is_really_gone_when_it_is_deleted_after_an_iteration(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  create_file(dir, "f");
  probe_inotify(loop, &a, in_dir(dir, "f"), IN_ATTRIB);
  assert_result(iterate(loop), 0);
  remove_file(dir, "f");  // with a fd left open this would be IN_ATTRIB alone
  iterate_until_idle(loop);
  assert_journal("a:4: a:8000: ");
  free_probe(&a);
  sd_event_unref(loop);
}

static void a_symlink_is_followed_or_not_as_asked(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  sd_event_source* s = NULL;
  assert_int_equal(symlink("nowhere", in_dir(dir, "link")), 0);
  assert_result(sd_event_add_inotify(loop, &s, in_dir(dir, "link"), IN_ATTRIB, on_inotify, NULL), -ENOENT);
  probe_inotify(loop, &a, in_dir(dir, "link"), IN_ATTRIB | IN_DONT_FOLLOW);
  assert_result(iterate(loop), 0);
  remove_file(dir, "link");
  iterate_until_idle(loop);
  assert_journal("a:4: a:8000: ");
  free_probe(&a);
  sd_event_unref(loop);
}

static void the_priority_is_fixed_with_the_first_iteration(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  int64_t priority = 0;
  probe_inotify(loop, &a, dir, IN_CREATE);
  set_priority(&a, -5);
  set_priority(&a, 7);
  assert_result(iterate(loop), 0);
  set_priority(&a, 7);
  assert_result(sd_event_source_set_priority(a.source, 6), -EOPNOTSUPP);
  assert_result(sd_event_source_get_priority(a.source, &priority), 0);
  assert_int_equal(priority, 7);
  create_file(dir, "f");
  assert_int_equal(iterate_until_idle(loop), 1);
  assert_journal("a:100:f ");
  free_probe(&a);
  sd_event_unref(loop);
}

static void a_watch_counts_from_the_call_that_added_it(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  create_file(dir, "before");
  probe_inotify(loop, &a, dir, IN_CREATE);
  create_file(dir, "after");
  set_priority(&a, 3);
  create_file(dir, "later");
  iterate_until_idle(loop);
  // A change of priority moves the watch to another inotify fd: what it had seen until then may be gone.
  if (strncmp(journal, "a:100:after ", 12) == 0) memmove(journal, journal + 12, strlen(journal + 12) + 1);
  assert_journal("a:100:later ");
  free_probe(&a);
  sd_event_unref(loop);
}

static void a_oneshot_source_reports_one_event_and_more_after_it_was_enabled_again(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  struct Probe a = {.name = "a"};
  probe_inotify(loop, &a, dir, IN_CREATE);
  set_enabled(&a, SD_EVENT_ONESHOT);
  create_file(dir, "1");
  assert_int_equal(iterate_until_idle(loop), 1);
  assert_int_equal(enabled_of(&a), SD_EVENT_OFF);
  set_enabled(&a, SD_EVENT_ON);
  create_file(dir, "2");
  assert_int_equal(iterate_until_idle(loop), 1);
  assert_journal("a:100:1 a:100:2 ");
  free_probe(&a);
  sd_event_unref(loop);
}

static void a_null_callback_exits_the_loop(void** state) {
  (void)state;
  sd_event* loop = make_loop();
  sd_event_source* s = NULL;
  assert_result(sd_event_add_inotify(loop, &s, dir, IN_CREATE, NULL, (void*)(intptr_t)7), 0);
  create_file(dir, "f");
  assert_int_equal(sd_event_loop(loop), 7);
  sd_event_source_unref(s);
  sd_event_unref(loop);
}

static int fds_left_by_a_floating_source(void* context) {
  (void)context;
  int before = count_fds();
  sd_event* loop = make_loop();
  assert_result(sd_event_add_inotify(loop, NULL, dir, IN_CREATE, on_inotify, NULL), 0);
  iterate_times(loop, 1);
  sd_event_unref(loop);
  return count_fds() - before;
}

static void a_floating_source_goes_with_its_loop(void** state) {
  (void)state;
  assert_int_equal(in_child(fds_left_by_a_floating_source, NULL), differs(kFloatingInotify, 2, 0));
}

static void two_loops_watch_one_inode_independently(void** state) {
  (void)state;
  sd_event *loop = make_loop(), *other_loop = make_loop();
  struct Probe a = {.name = "a"}, b = {.name = "b"};
  probe_inotify(loop, &a, dir, IN_CREATE);
  probe_inotify(other_loop, &b, dir, IN_DELETE);
  create_file(dir, "f");
  remove_file(dir, "f");
  iterate_until_idle(loop);
  iterate_until_idle(other_loop);
  assert_journal("a:100:f b:200:f ");
  free_probe(&a);
  free_probe(&b);
  sd_event_unref(loop);
  sd_event_unref(other_loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      dir_test(bad_arguments_give_the_error_of_the_kernel_or_einval),
      dir_test(getters_show_mask_path_and_defaults),
      dir_test(events_arrive_one_a_dispatch_in_the_order_of_the_kernel),
      dir_test(both_halves_of_a_rename_carry_one_cookie),
      dir_test(the_end_of_the_inode_is_told_to_each_source_and_then_all_is_quiet),
      dir_test(a_file_that_gets_the_number_of_one_that_is_gone_is_another_one),
      dir_test(a_watched_file_is_really_gone_when_it_is_deleted_after_an_iteration),
      dir_test(a_symlink_is_followed_or_not_as_asked),
      dir_test(the_priority_is_fixed_with_the_first_iteration),
      dir_test(a_watch_counts_from_the_call_that_added_it),
      dir_test(a_oneshot_source_reports_one_event_and_more_after_it_was_enabled_again),
      dir_test(a_null_callback_exits_the_loop),
      dir_test(a_floating_source_goes_with_its_loop),
      dir_test(two_loops_watch_one_inode_independently),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
