// SPDX-License-Identifier: MIT
//
// sd_notify_barrier: returns when the manager has closed the descriptor that came with the message, or when time is up.
//
// The idea: a forked child plays the manager and does one thing with the message that it gets. Time only ever has a
// lower bound here: a barrier may be late on a busy machine, but it never may give up early. Where the child has to act
// while the barrier waits, the barrier has no timeout, and a signal ends it. What a barrier has in common with other
// messages is in notify_test.c.
#include "daemon_harness.h"

enum Deed { kClose, kWriteThenSignal, kKeep };

struct Manager {
  pid_t pid;
  int leash;  // closing it ends the child
};

static uint64_t now_usec(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

// Exit code 0: the message was a barrier with one writable descriptor.
static int play_manager(int listening, int leash, enum Deed deed) {
  char text[64] = "", control[256];
  struct iovec iov = {text, sizeof(text) - 1};
  struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
  if (recvmsg(listening, &header, 0) != 9 || strcmp(text, "BARRIER=1") != 0) return 1;
  const struct cmsghdr* c = CMSG_FIRSTHDR(&header);
  if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(int))) return 2;
  int fd;
  memcpy(&fd, CMSG_DATA(c), sizeof(fd));
  if (deed == kWriteThenSignal && write(fd, "x", 1) != 1) return 3;
  if (deed == kClose) close(fd);
  // Again and again, so that a signal which comes before the wait does no harm.
  struct pollfd end = {leash, POLLIN, 0};
  while (poll(&end, 1, deed == kWriteThenSignal ? 20 : -1) <= 0)
    if (deed == kWriteThenSignal) kill(getppid(), SIGALRM);
  return 0;
}

static struct Manager start_manager(enum Deed deed) {
  char name[64];
  int leash[2];
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const int size = snprintf(name, sizeof(name), "@evenkeel-barrier-%d", (int)getpid());
  set_variable("NOTIFY_SOCKET", name);
  name[0] = '\0';
  if (bind_unix(fd, name, (size_t)size) < 0 || pipe2(leash, O_CLOEXEC) < 0) fail_msg("%s", strerror(errno));
  fflush(NULL);
  const pid_t pid = fork();
  if (pid == 0) {
    close(leash[1]);
    _exit(play_manager(fd, leash[0], deed));
  }
  close(leash[0]);
  close(fd);
  return (struct Manager){pid, leash[1]};
}

static void end_manager(struct Manager manager) {
  int status;
  close(manager.leash);
  assert_int_equal(waitpid(manager.pid, &status, 0), manager.pid);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_barrier_returns_1_when_the_manager_closes_the_descriptor(void** state) {
  (void)state;
  static const uint64_t kTimeouts[] = {UINT64_MAX, UINT64_MAX - 1, (uint64_t)INT64_MAX, 600 * UINT64_C(1000000)};
  for (size_t i = 0; i < lengthof(kTimeouts); i++) {
    const struct Manager manager = start_manager(kClose);
    assert_int_equal(sd_notify_barrier(0, kTimeouts[i]), 1);
    assert_non_null(getenv("NOTIFY_SOCKET"));
    end_manager(manager);
  }
}

static void a_barrier_that_is_not_answered_waits_for_its_timeout(void** state) {
  (void)state;
  static const uint64_t kTimeouts[] = {0, 1, 999, 30500};
  for (size_t i = 0; i < lengthof(kTimeouts); i++) {
    const struct Manager manager = start_manager(kKeep);
    const uint64_t begin = now_usec();
    assert_int_equal(sd_notify_barrier(1, kTimeouts[i]), -ETIMEDOUT);
    assert_true(now_usec() - begin >= kTimeouts[i]);
    assert_null(getenv("NOTIFY_SOCKET"));
    end_manager(manager);
  }
}

static void on_alarm(int sig) { (void)sig; }
static const struct sigaction kOnAlarm = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};

// The byte is there when the signal comes. Whoever looks for it sees it first.
static void a_byte_in_the_pipe_is_no_answer(void** state) {
  (void)state;
  struct sigaction before;
  assert_int_equal(sigaction(SIGALRM, &kOnAlarm, &before), 0);
  const struct Manager manager = start_manager(kWriteThenSignal);
  assert_int_equal(sd_notify_barrier(0, UINT64_MAX), -EINTR);
  end_manager(manager);
  assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
}

static int wait_with_alarms(void* argument) {
  const struct itimerval often = {{0, 20000}, {0, 20000}};
  if (sigaction(SIGALRM, &kOnAlarm, NULL) < 0 || setitimer(ITIMER_REAL, &often, NULL) < 0) return INT_MAX;
  return sd_notify_barrier(0, *(uint64_t*)argument);
}

static void a_signal_handler_ends_the_wait_with_eintr(void** state) {
  (void)state;
  uint64_t timeouts[] = {UINT64_MAX, 600 * UINT64_C(1000000)};
  for (size_t i = 0; i < lengthof(timeouts); i++) {
    const struct Manager manager = start_manager(kKeep);
    assert_int_equal(in_child(wait_with_alarms, &timeouts[i]), -EINTR);
    end_manager(manager);
  }
}

// The pipe is made first, as in the reference: so this is known even without a manager.
static int wait_without_descriptors(void* argument) {
  (void)argument;
  int fd;
  while ((fd = open("/dev/null", O_RDONLY)) >= 0) continue;
  return sd_notify_barrier(0, 0);
}

static void without_descriptors_to_spare_it_is_emfile(void** state) {
  (void)state;
  assert_int_equal(in_child(wait_without_descriptors, NULL), -EMFILE);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      clean_test(a_barrier_returns_1_when_the_manager_closes_the_descriptor),
      clean_test(a_barrier_that_is_not_answered_waits_for_its_timeout),
      clean_test(a_byte_in_the_pipe_is_no_answer),
      clean_test(a_signal_handler_ends_the_wait_with_eintr),
      clean_test(without_descriptors_to_spare_it_is_emfile),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
