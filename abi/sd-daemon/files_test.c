// SPDX-License-Identifier: MIT
//
// sd_is_fifo, sd_is_special and sd_is_mq: kinds of descriptors against kinds of paths.
//
// The idea: one of each kind of file is opened, one of each kind of path is made, and the tables are the products of
// both. What needs a mount (names of message queues, sd_booted) is in mounts_test.c. See daemon_harness.h for the
// rules.
#include "daemon_harness.h"

// ---- one of each ----

enum Kind {
  kFifo,
  kPipe,
  kRegular,
  kDirectory,
  kNull,
  kNullPath,
  kZero,
  kProc,
  kProcDirectory,
  kSocket,
  kClosed,
  kMinus1,
  kCwd,
  kKinds
};

static int* fds(void) {
  static int open_fds[kKinds];
  return open_fds;
}

static int open_all(void** state) {
  int ends[2];
  if (make_directory(state) < 0 || mkfifo(in_directory("fifo"), 0600) < 0 || pipe2(ends, O_CLOEXEC) < 0) return -1;
  close(ends[1]);
  close(open(in_directory("regular"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  if (symlink("fifo", in_directory("link")) < 0 || symlink("loop", in_directory("loop")) < 0) return -1;
  fds()[kFifo] = open(in_directory("fifo"), O_RDWR | O_CLOEXEC);
  fds()[kPipe] = ends[0];
  fds()[kRegular] = open(in_directory("regular"), O_RDONLY | O_CLOEXEC);
  fds()[kDirectory] = open(test_directory(), O_RDONLY | O_CLOEXEC);
  fds()[kNull] = open("/dev/null", O_RDWR | O_CLOEXEC);
  fds()[kNullPath] = open("/dev/null", O_PATH | O_CLOEXEC);
  fds()[kZero] = open("/dev/zero", O_RDWR | O_CLOEXEC);
  fds()[kProc] = open("/proc/uptime", O_RDONLY | O_CLOEXEC);
  fds()[kProcDirectory] = open("/proc", O_RDONLY | O_CLOEXEC);
  fds()[kSocket] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  for (int kind = 0; kind < kClosed; kind++)
    if (fds()[kind] < 0) return -1;
  fds()[kClosed] = 100000;
  fds()[kMinus1] = -1;
  fds()[kCwd] = AT_FDCWD;  // a number that some system calls take for a directory
  return 0;
}

static int close_all(void** state) {
  for (int kind = 0; kind < kClosed; kind++) close(fds()[kind]);
  return remove_directory(state);
}

struct Case {
  enum Kind kind;
  const char* path;  // a name in the test's directory, unless it begins with '/'
  int result;
};

static void check(const struct Case* cases, size_t n, int (*call)(int, const char*)) {
  for (size_t i = 0; i < n; i++) {
    const struct Case* c = &cases[i];
    char name[100];
    snprintf(name, sizeof(name), "kind %d, path %.30s", (int)c->kind, c->path ? c->path : "-");
    const char* path = !c->path || c->path[0] == '/' || !c->path[0] ? c->path : in_directory(c->path);
    expect_case(name, call(fds()[c->kind], path), c->result);
  }
}

static char* long_path(size_t size) {
  static char path[6000];
  memset(path, 'a', size);
  path[0] = '/';
  path[size] = '\0';
  return path;
}

static void a_fifo_is_one_and_is_found_by_its_path(void** state) {
  (void)state;
  const struct Case cases[] = {
      {kFifo, NULL, 1},          {kPipe, NULL, 1},        {kRegular, NULL, 0},
      {kDirectory, NULL, 0},     {kNull, NULL, 0},        {kSocket, NULL, 0},
      {kClosed, NULL, -EBADF},   {kMinus1, NULL, -EBADF}, {kCwd, NULL, -EBADF},
      {kFifo, "fifo", 1},        {kFifo, "link", 1},      {kFifo, "regular", 0},
      {kFifo, "missing", 0},     {kFifo, "regular/x", 0}, {kFifo, "", 0},
      {kPipe, "fifo", 0},        {kPipe, "missing", 0},   {kRegular, "regular", 0},
      {kRegular, "loop", 0},     {kFifo, "loop", -ELOOP}, {kMinus1, "fifo", -EBADF},
      {kClosed, "fifo", -EBADF}, {kSocket, "fifo", 0},    {kFifo, long_path(5000), -ENAMETOOLONG},
  };
  check(cases, lengthof(cases), sd_is_fifo);
}

static void a_special_file_is_a_device_or_a_regular_file(void** state) {
  (void)state;
  const struct Case cases[] = {
      {kNull, NULL, 1},
      {kNullPath, NULL, 1},
      {kProc, NULL, 1},
      {kRegular, NULL, 1},
      {kDirectory, NULL, 0},
      {kProcDirectory, NULL, 0},
      {kFifo, NULL, 0},
      {kSocket, NULL, 0},
      {kMinus1, NULL, -EBADF},
      {kCwd, NULL, -EBADF},
      {kClosed, NULL, -EBADF},
      {kNull, "/dev/null", 1},
      {kNull, "/dev/zero", 0},
      {kZero, "/dev/zero", 1},
      {kNull, "regular", 0},
      {kNull, "missing", 0},
      {kNull, "regular/x", 0},
      {kNull, "", 0},
      {kNull, "loop", -ELOOP},
      {kProc, "/proc/uptime", 1},
      {kProc, "/proc/loadavg", 0},
      {kProc, "/dev/null", 0},
      {kRegular, "regular", 1},
      {kRegular, "/dev/null", 0},
      {kRegular, "missing", 0},
      {kDirectory, "missing", 0},
      {kFifo, "fifo", 0},
      {kDirectory, "loop", 0},
      {kClosed, "/dev/null", -EBADF},
      {kNull, long_path(5000), -ENAMETOOLONG},
  };
  check(cases, lengthof(cases), sd_is_special);
}

static void every_node_of_a_device_is_that_device(void** state) {
  (void)state;
  if (mknod(in_directory("null"), S_IFCHR | 0600, makedev(1, 3)) < 0) {
    print_message("no device nodes here: %s\n", strerror(errno));
    skip();
  }
  const struct Case cases[] = {{kNull, "null", 1}, {kZero, "null", 0}, {kRegular, "null", 0}};
  check(cases, lengthof(cases), sd_is_special);
  unlink(in_directory("null"));
}

static void what_is_no_message_queue_is_0_whatever_the_name(void** state) {
  (void)state;
  const struct Case cases[] = {
      {kFifo, NULL, 0},      {kPipe, NULL, 0},        {kRegular, NULL, 0},
      {kDirectory, NULL, 0}, {kNull, NULL, 0},        {kSocket, NULL, 0},
      {kNullPath, NULL, 0},  {kClosed, NULL, -EBADF}, {kMinus1, NULL, -EBADF},
      {kCwd, NULL, -EBADF},  {kRegular, "/x", 0},     {kRegular, "", 0},
      {kClosed, "", -EBADF}, {kMinus1, "", -EBADF},   {kRegular, long_path(5000), 0},
  };
  check(cases, lengthof(cases), sd_is_mq);
}

static void a_message_queue_is_one_and_its_name_must_be_one(void** state) {
  (void)state;
  char name[64];
  snprintf(name, sizeof(name), "/evenkeel-%d", (int)getpid());
  const int queue = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, NULL);
  if (queue < 0) {
    print_message("no message queues here: %s\n", strerror(errno));
    skip();
  }
  assert_int_equal(sd_is_mq(queue, NULL), 1);
  assert_int_equal(sd_is_mq(queue, name + 1), -EINVAL);
  assert_int_equal(sd_is_mq(queue, ""), -EINVAL);
  assert_int_equal(sd_is_mq(queue, "/evenkeel-nobody"), -ENOENT);
  assert_int_equal(sd_is_mq(queue, long_path(5000)), -ENAMETOOLONG);
  assert_int_equal(sd_is_fifo(queue, NULL), 0);
  assert_int_equal(mq_unlink(name), 0);
  assert_int_equal(sd_is_mq(queue, NULL), 1);
  assert_int_equal(sd_is_mq(queue, name), -ENOENT);
  mq_close(queue);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      clean_test(a_fifo_is_one_and_is_found_by_its_path),
      clean_test(a_special_file_is_a_device_or_a_regular_file),
      clean_test(every_node_of_a_device_is_that_device),
      clean_test(what_is_no_message_queue_is_0_whatever_the_name),
      clean_test(a_message_queue_is_one_and_its_name_must_be_one),
  };
  return cmocka_run_group_tests(tests, open_all, close_all);
}
