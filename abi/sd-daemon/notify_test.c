// SPDX-License-Identifier: MIT
//
// sd_notify and family up to release 246: where a message goes, what it carries, and how each call fails.
//
// The idea: all six calls share one way to the manager. So the ways to fail are one table, the calls are another, and
// every call meets every failure, with and without `unset_environment`. What a message carries is read at a socket that
// plays the manager. See daemon_harness.h for the rules, barrier_test.c for what is special about the barrier.
#include <malloc.h>

#include "daemon_harness.h"
#include "fake_manager.h"

// ---- every call ----

static const char* no_text(void) { return NULL; }

static int call_notify(int unset) { return sd_notify(unset, "READY=1"); }
static int call_notifyf(int unset) { return sd_notifyf(unset, "READY=%d", 1); }
static int call_pid_notify(int unset) { return sd_pid_notify(0, unset, "READY=1"); }
static int call_pid_notify_other(int unset) { return sd_pid_notify(1, unset, "READY=1"); }
static int call_pid_notifyf(int unset) { return sd_pid_notifyf(0, unset, "READY=%s", "1"); }
static int call_with_fds(int unset) { return sd_pid_notify_with_fds(0, unset, "READY=1", &(int){1}, 1); }
static int call_with_no_fds(int unset) { return sd_pid_notify_with_fds(0, unset, "READY=1", NULL, 0); }
static int call_barrier(int unset) { return sd_notify_barrier(unset, 0); }

struct Caller {
  const char* name;
  int (*call)(int unset);
};
static const struct Caller kCallers[] = {
    {"sd_notify", call_notify},
    {"sd_notifyf", call_notifyf},
    {"sd_pid_notify", call_pid_notify},
    {"sd_pid_notify for another", call_pid_notify_other},
    {"sd_pid_notifyf", call_pid_notifyf},
    {"sd_pid_notify_with_fds", call_with_fds},
    {"sd_pid_notify_with_fds without any", call_with_no_fds},
    {"sd_notify_barrier", call_barrier},
};

// The result of every call with this address, and what becomes of the variable.
static void expect_from_all(const char* address, int expected) {
  for (size_t i = 0; i < lengthof(kCallers); i++)
    for (int unset = 0; unset < 2; unset++) {
      char name[200];
      snprintf(name, sizeof(name), "%s(%d) with NOTIFY_SOCKET=%.40s", kCallers[i].name, unset, address ? address : "-");
      set_variable("NOTIFY_SOCKET", address);
      expect_case(name, kCallers[i].call(unset), expected);
      if (unset || !address)
        assert_null(getenv("NOTIFY_SOCKET"));
      else
        assert_string_equal(getenv("NOTIFY_SOCKET"), address);
    }
}

static void without_a_manager_every_call_returns_0(void** state) {
  (void)state;
  expect_from_all(NULL, 0);
}

static void no_call_leaves_memory(void** state) {
  (void)state;
  size_t before = 0;
  set_variable("NOTIFY_SOCKET", NULL);
  for (int i = 0; i < 40; i++) {
    if (i == 20) before = mallinfo2().uordblks;
    for (size_t k = 0; k < lengthof(kCallers); k++) assert_int_equal(kCallers[k].call(0), 0);
  }
  assert_int_equal(mallinfo2().uordblks, before);
}

static void an_address_that_makes_no_sense_is_eproto(void** state) {
  (void)state;
  static const char* const kBad[] = {"", "relative", "./relative", "unix:/run/x", " /run/x", "vsock", "vsock-x:2:1"};
  for (size_t i = 0; i < lengthof(kBad); i++) expect_from_all(kBad[i], differs(kNotifyErrors, -EINVAL, -EPROTO));
  expect_from_all("@", -EINVAL);
  expect_from_all("/", -EINVAL);
}

static void an_address_that_is_too_long_is_refused(void** state) {
  (void)state;
  char address[300];
  memset(address, 'a', sizeof(address));
  address[107] = '\0';
  address[0] = '/';
  expect_from_all(address, -ENOENT);  // fits, does not exist
  address[0] = '@';
  expect_from_all(address, -ECONNREFUSED);
  address[107] = 'a', address[108] = '\0';
  expect_from_all(address, -EINVAL);
  address[0] = '/';
  expect_from_all(address, -ENAMETOOLONG);
  address[108] = 'a', address[299] = '\0';
  expect_from_all(address, -ENAMETOOLONG);
}

static void a_manager_that_cannot_be_reached_gives_the_errno_of_the_kernel(void** state) {
  (void)state;
  expect_from_all(in_directory("missing"), -ENOENT);
  expect_from_all("/dev/null/socket", -ENOTDIR);
  expect_from_all("/dev/null", -ECONNREFUSED);

  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const char* path = in_directory("stale");
  assert_int_equal(bind_unix(fd, path, strlen(path) + 1), 0);
  close(fd);
  expect_from_all(path, -ECONNREFUSED);

  fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  path = in_directory("stream");
  assert_int_equal(bind_unix(fd, path, strlen(path) + 1), 0);
  assert_int_equal(listen(fd, 1), 0);
  expect_from_all(path, -EPROTOTYPE);
  close(fd);
}

static int notify_as_nobody(void* argument) {
  if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0)) return INT_MAX;
  return kCallers[*(size_t*)argument].call(0);
}

static void a_manager_behind_a_closed_door_is_eacces(void** state) {
  (void)state;
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const char* path = in_directory("closed");
  assert_int_equal(bind_unix(fd, path, strlen(path) + 1), 0);
  assert_int_equal(chmod(path, 0), 0);
  set_variable("NOTIFY_SOCKET", path);
  for (size_t i = 0; i < lengthof(kCallers); i++)
    expect_case(kCallers[i].name, in_child(notify_as_nobody, &i), -EACCES);
  close(fd);
}

// ---- arguments ----

static void no_message_is_einval_with_or_without_a_manager(void** state) {
  (void)state;
  const int manager = start_manager();
  for (int round = 0; round < 2; round++) {  // the second one without $NOTIFY_SOCKET
    assert_int_equal(sd_notify(0, NULL), -EINVAL);
    assert_int_equal(sd_notifyf(0, no_text(), 0), -EINVAL);
    assert_int_equal(sd_pid_notify(1, 0, NULL), -EINVAL);
    assert_int_equal(sd_pid_notifyf(1, 0, no_text(), 0), -EINVAL);
    assert_int_equal(sd_pid_notify_with_fds(0, 0, NULL, NULL, 0), -EINVAL);
    assert_int_equal(sd_pid_notify_with_fds(0, 0, "A=1", NULL, 1), -EINVAL);
    clear_variables();
  }
  expect_nothing(manager);
  close(manager);
}

static void bad_arguments_take_the_variable_away_as_well(void** state) {
  (void)state;
  set_variable("NOTIFY_SOCKET", "@nobody");
  assert_int_equal(sd_notify(1, NULL), -EINVAL);
  assert_null(getenv("NOTIFY_SOCKET"));
  set_variable("NOTIFY_SOCKET", "@nobody");
  assert_int_equal(sd_notifyf(1, no_text(), 0), -EINVAL);
  assert_null(getenv("NOTIFY_SOCKET"));
  set_variable("NOTIFY_SOCKET", "@nobody");
  assert_int_equal(sd_pid_notify_with_fds(0, 1, "A=1", NULL, 3), -EINVAL);
  assert_null(getenv("NOTIFY_SOCKET"));
}

// In the C locale no byte sequence stands for this character, so vasprintf fails.
static void a_format_that_cannot_be_expanded_is_enomem(void** state) {
  (void)state;
  set_variable("NOTIFY_SOCKET", "@nobody");
  assert_int_equal(sd_notifyf(1, "STATUS=%ls", L"\x3b1"), -ENOMEM);
  assert_int_equal(getenv("NOTIFY_SOCKET") != NULL, differs(kNotifyfMemory, 1, 0));
  set_variable("NOTIFY_SOCKET", "@nobody");
  assert_int_equal(sd_pid_notifyf(0, 0, "STATUS=%ls", L"\x3b1"), -ENOMEM);
  assert_non_null(getenv("NOTIFY_SOCKET"));
}

static void a_failed_call_leaves_errno_alone(void** state) {
  (void)state;
  set_variable("NOTIFY_SOCKET", in_directory("missing"));
  errno = EDOM;
  assert_int_equal(sd_notify(0, "A=1"), -ENOENT);
  assert_int_equal(errno, differs(kErrno, ENOENT, EDOM));
  errno = EDOM;
  assert_int_equal(sd_notify(0, NULL), -EINVAL);
  assert_int_equal(errno, EDOM);
}

// ---- what a message carries ----

static void the_text_arrives_as_it_is(void** state) {
  (void)state;
  static const char* const kTexts[] = {"READY=1", "A=1\nB=2", "A=1\n", "\n", "", "STATUS=\xc3\xa4%d %s%%"};
  const int manager = start_manager();
  for (size_t i = 0; i < lengthof(kTexts); i++) {
    assert_int_equal(sd_notify(0, kTexts[i]), 1);
    receive(manager);
    assert_string_equal(message()->text, kTexts[i]);
    assert_int_equal(message()->size, strlen(kTexts[i]));
    assert_int_equal(message()->sender.pid, getpid());
  }
  close(manager);
}

static void a_path_is_an_address_too(void** state) {
  (void)state;
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const char* path = in_directory("manager");
  assert_int_equal(bind_unix(fd, path, strlen(path) + 1), 0);
  set_variable("NOTIFY_SOCKET", path);
  assert_int_equal(sd_notify(0, "READY=1"), 1);
  receive(fd);
  assert_string_equal(message()->text, "READY=1");
  close(fd);
}

static void a_format_is_expanded_with_the_errno_of_the_caller(void** state) {
  (void)state;
  const int manager = start_manager();
  errno = ENOSPC;
  assert_int_equal(sd_notifyf(0, "ERRNO=%i\nSTATUS=%m", 28), 1);
  receive(manager);
  assert_string_equal(message()->text, "ERRNO=28\nSTATUS=No space left on device");
  assert_int_equal(sd_pid_notifyf(getpid(), 0, "%s", ""), 1);
  receive(manager);
  assert_int_equal(message()->size, 0);
  close(manager);
}

static void a_text_larger_than_the_usual_buffer_arrives(void** state) {
  (void)state;
  static char text[300001];  // the default is 212992 bytes, what everybody may ask for is twice as much
  memset(text, 'x', sizeof(text) - 1);
  const int manager = start_manager();
  assert_int_equal(sd_notify(0, text), 1);
  receive(manager);
  assert_int_equal(message()->size, 300000);
  assert_string_equal(message()->text, text);
  close(manager);
}

static void another_pid_is_claimed_only_with_privilege(void** state) {
  (void)state;
  const int manager = start_manager();
  const pid_t claimed = geteuid() == 0 ? 1 : getpid();
  assert_int_equal(sd_pid_notify(1, 0, "A=1"), 1);
  receive(manager);
  assert_int_equal(message()->sender.pid, claimed);
  assert_int_equal(sd_pid_notifyf(1, 0, "A=%d", 1), 1);
  receive(manager);
  assert_int_equal(message()->sender.pid, claimed);
  assert_int_equal(sd_pid_notify_with_fds(1, 0, "A=1", &(int){manager}, 1), 1);
  receive(manager);
  assert_int_equal(message()->sender.pid, claimed);
  assert_int_equal(message()->n_fds, 1);
  close_received();
  close(manager);
}

static int claim_as_nobody(void* argument) {
  (void)argument;
  if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0)) return INT_MAX;
  const int r = sd_pid_notify_with_fds(1, 0, "A=1", &(int){1}, 1);
  return r == 1 ? getpid() : r;
}

static void a_claim_that_is_refused_is_sent_in_the_own_name(void** state) {
  (void)state;
  const int manager = start_manager();
  const int sender = in_child(claim_as_nobody, NULL);
  receive(manager);
  assert_int_equal(message()->sender.pid, sender);
  assert_int_equal(message()->n_fds, 1);
  close_received();

  static const pid_t kNobody[] = {-5, INT_MAX};
  for (size_t i = 0; i < lengthof(kNobody); i++) {
    assert_int_equal(sd_pid_notify(kNobody[i], 0, "A=1"), 1);
    receive(manager);
    assert_int_equal(message()->sender.pid, getpid());
  }
  close(manager);
}

static int notify_with_two_ids(void* argument) {
  (void)argument;
  if (setresgid(65533, 0, 0) < 0 || setresuid(65534, 0, 0) < 0) return INT_MAX;
  return sd_notify(0, "A=1") == 1 ? getpid() : -1;
}

static void a_program_with_two_sets_of_ids_sends_the_real_ones(void** state) {
  (void)state;
  if (geteuid() != 0) {
    print_message("only root can have two sets of IDs\n");
    skip();
  }
  const int manager = start_manager();
  const int sender = in_child(notify_with_two_ids, NULL);
  receive(manager);
  assert_int_equal(message()->sender.pid, sender);
  assert_int_equal(message()->sender.uid, 65534);
  assert_int_equal(message()->sender.gid, 65533);
  close(manager);
}

// ---- descriptors ----

static ino_t inode_of(int fd) {
  struct stat st;
  return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

static void descriptors_arrive_in_order_and_stay_open_here(void** state) {
  (void)state;
  int ends[2];
  assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
  const int manager = start_manager();
  const int fds[3] = {ends[0], manager, ends[1]};
  assert_int_equal(sd_pid_notify_with_fds(0, 0, "FDSTORE=1", fds, 3), 1);
  receive(manager);
  assert_int_equal(message()->n_fds, 3);
  for (int i = 0; i < 3; i++) {
    assert_true(inode_of(fds[i]) != 0);
    assert_true(inode_of(message()->fds[i]) == inode_of(fds[i]));
  }
  close_received();
  close(ends[0]);
  close(ends[1]);
  close(manager);
}

static void descriptors_are_253_at_most(void** state) {
  (void)state;
  static int fds[1000];
  const int manager = start_manager();
  for (size_t i = 0; i < lengthof(fds); i++) fds[i] = manager;
  assert_int_equal(sd_pid_notify_with_fds(0, 0, "A=1", fds, 253), 1);
  receive(manager);
  assert_int_equal(message()->n_fds, 253);
  close_received();
  assert_int_equal(sd_pid_notify_with_fds(1, 0, "A=1", fds, 253), 1);
  receive(manager);
  assert_int_equal(message()->n_fds, 253);
  close_received();
  assert_int_equal(sd_pid_notify_with_fds(0, 0, "A=1", fds, 254), differs(kNotifyErrors, -EINVAL, -E2BIG));
  assert_int_equal(sd_pid_notify_with_fds(1, 0, "A=1", fds, 1000), differs(kNotifyErrors, -EINVAL, -E2BIG));
  expect_nothing(manager);
  clear_variables();
  assert_int_equal(sd_pid_notify_with_fds(0, 0, "A=1", fds, 254), differs(kNotifyErrors, 0, -E2BIG));
  assert_int_equal(sd_pid_notify_with_fds(0, 0, NULL, fds, 254), -EINVAL);
  assert_int_equal(sd_pid_notify_with_fds(0, 0, "A=1", NULL, 254), -EINVAL);
  close(manager);
}

static void a_descriptor_that_is_not_open_is_ebadf(void** state) {
  (void)state;
  const int manager = start_manager();
  const int fds[2] = {manager, -1};
  assert_int_equal(sd_pid_notify_with_fds(0, 0, "A=1", fds, 2), -EBADF);
  assert_int_equal(sd_pid_notify_with_fds(1, 0, "A=1", &(int){100000}, 1), -EBADF);
  expect_nothing(manager);
  close(manager);
}

// ---- a manager that does not read ----

static void on_alarm(int sig) { (void)sig; }

// The alarm repeats, so that one that comes before the call sleeps does no harm.
static int fill_the_queue(void* argument) {
  (void)argument;
  const struct sigaction action = {.sa_handler = on_alarm};
  const struct itimerval often = {{0, 20000}, {0, 20000}};
  if (sigaction(SIGALRM, &action, NULL) < 0 || setitimer(ITIMER_REAL, &often, NULL) < 0) return INT_MAX;
  int r;
  do r = sd_notify(0, "A=1");
  while (r > 0);
  return r;
}

static void a_full_queue_is_waited_for_until_a_signal_handler_runs(void** state) {
  (void)state;
  const int manager = start_manager();
  assert_int_equal(in_child(fill_the_queue, NULL), -EINTR);
  close(manager);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      clean_test(without_a_manager_every_call_returns_0),
      clean_test(no_call_leaves_memory),
      clean_test(an_address_that_makes_no_sense_is_eproto),
      clean_test(an_address_that_is_too_long_is_refused),
      clean_test(a_manager_that_cannot_be_reached_gives_the_errno_of_the_kernel),
      clean_test(a_manager_behind_a_closed_door_is_eacces),
      clean_test(no_message_is_einval_with_or_without_a_manager),
      clean_test(bad_arguments_take_the_variable_away_as_well),
      clean_test(a_format_that_cannot_be_expanded_is_enomem),
      clean_test(a_failed_call_leaves_errno_alone),
      clean_test(the_text_arrives_as_it_is),
      clean_test(a_path_is_an_address_too),
      clean_test(a_format_is_expanded_with_the_errno_of_the_caller),
      clean_test(a_text_larger_than_the_usual_buffer_arrives),
      clean_test(another_pid_is_claimed_only_with_privilege),
      clean_test(a_claim_that_is_refused_is_sent_in_the_own_name),
      clean_test(a_program_with_two_sets_of_ids_sends_the_real_ones),
      clean_test(descriptors_arrive_in_order_and_stay_open_here),
      clean_test(descriptors_are_253_at_most),
      clean_test(a_descriptor_that_is_not_open_is_ebadf),
      clean_test(a_full_queue_is_waited_for_until_a_signal_handler_runs),
  };
  return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
