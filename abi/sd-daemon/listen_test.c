// SPDX-License-Identifier: MIT
//
// sd_listen_fds and sd_listen_fds_with_names: which descriptors, under which names, for whom.
//
// The idea: descriptors are numbered from 3, so each case runs in a child that has made itself four of them and closed
// all above. It asks three times - plainly, with names, and plainly with `unset_environment` - and writes down what it
// saw. The rows are spellings of the three variables. See daemon_harness.h for the rules.
#include <malloc.h>

#include "daemon_harness.h"

enum { kOpen = 4 };  // descriptors 3..6

// What the child saw; shared memory, so that it need not go through the pipe.
struct Seen {
  int plain, named, unset;
  int close_on_exec;  // how many of the four, counted from the first, after the plain call
  bool names_touched, variables_left;
  char names[2000];  // each in brackets
};

struct Case {
  const char* pid;  // a printf format for the child's PID, or null
  const char* fds;
  const char* names;
  int result;            // of the plain call
  int named;             // of the call with names
  const char* expected;  // the names as they are, in brackets
};

static const struct Case kCases[] = {
    // nothing for us
    {NULL, NULL, NULL, 0, 0, ""},
    {"%d", NULL, "a:b", 0, 0, ""},
    {NULL, "2", NULL, 0, 0, ""},
    {NULL, "junk", NULL, 0, 0, ""},
    {"1", "2", "a:b", 0, 0, ""},
    {"1", "junk", NULL, 0, 0, ""},
    {"2147483647", "1", NULL, 0, 0, ""},
    // for us
    {"%d", "1", NULL, 1, 1, "[unknown]"},
    {"%d", "4", NULL, 4, 4, "[unknown][unknown][unknown][unknown]"},
    {" %d", " 2", NULL, 2, 2, "[unknown][unknown]"},
    {"+%d", "+2", NULL, 2, 2, "[unknown][unknown]"},
    {"%#x", "0x2", NULL, 2, 2, "[unknown][unknown]"},
    {"%#o", "02", NULL, 2, 2, "[unknown][unknown]"},
    {"%d", "0b10", NULL, 2, 2, "[unknown][unknown]"},
    // a PID that is none
    {"", "1", NULL, -EINVAL, -EINVAL, ""},
    {"junk", "2", "a:b", -EINVAL, -EINVAL, ""},
    {"junk", NULL, NULL, -EINVAL, -EINVAL, ""},
    {"%d ", "1", NULL, -EINVAL, -EINVAL, ""},
    {"-", "1", NULL, -EINVAL, -EINVAL, ""},
    {"-5x", "1", NULL, -EINVAL, -EINVAL, ""},
    {"0", "1", NULL, -ERANGE, -ERANGE, ""},
    {"-0", "1", NULL, -ERANGE, -ERANGE, ""},
    {"-1", "1", NULL, -ERANGE, -ERANGE, ""},
    {"4294967297", "1", NULL, -ERANGE, -ERANGE, ""},
    {"18446744073709551617", "1", NULL, -ERANGE, -ERANGE, ""},
    // a count that is none
    {"%d", "", NULL, -EINVAL, -EINVAL, ""},
    {"%d", "0", "a", -EINVAL, -EINVAL, ""},
    {"%d", "-0", NULL, -EINVAL, -EINVAL, ""},
    {"%d", "-1", NULL, -EINVAL, -EINVAL, ""},
    {"%d", "-2147483648", NULL, -EINVAL, -EINVAL, ""},
    {"%d", "junk", NULL, -EINVAL, -EINVAL, ""},
    {"%d", "2 ", NULL, -EINVAL, -EINVAL, ""},
    {"%d", "2147483645", NULL, -EINVAL, -EINVAL, ""},
    {"%d", "2147483647", NULL, -EINVAL, -EINVAL, ""},
    {"%d", "2147483648", NULL, -ERANGE, -ERANGE, ""},
    {"%d", "-2147483649", NULL, -ERANGE, -ERANGE, ""},
    {"%d", "4294967298", NULL, -ERANGE, -ERANGE, ""},
    {"%d", "-99999999999999999999", NULL, -ERANGE, -ERANGE, ""},
    // more than there are
    {"%d", "5", NULL, -EBADF, -EBADF, ""},
    {"%d", "2147483644", "a", -EBADF, -EBADF, ""},
    // names
    {"%d", "2", "a:b", 2, 2, "[a][b]"},
    {"%d", "1", "that_fills_what_malloc24", 1, 1, "[that_fills_what_malloc24]"},
    {"%d", "1", "", 1, 1, "[]"},
    {"%d", "2", ":", 2, 2, "[][]"},
    {"%d", "3", "a::b", 3, 3, "[a][][b]"},
    {"%d", "2", "a:", 2, 2, "[a][]"},
    {"%d", "2", ":a", 2, 2, "[][a]"},
    {"%d", "2", " a : b ", 2, 2, "[ a ][ b ]"},
    {"%d", "2", "\"a:b\"", 2, 2, "[\"a][b\"]"},
    {"%d", "1", "\xc3\xa4\n", 1, 1, "[\xc3\xa4\n]"},
    // a backslash takes the next character as it is
    {"%d", "2", "a\\:b:c", 2, 2, "[a:b][c]"},
    {"%d", "1", "\\:", 1, 1, "[:]"},
    {"%d", "2", "a\\\\:b", 2, 2, "[a\\][b]"},
    {"%d", "2", "\\x41:a\\nb", 2, 2, "[x41][anb]"},
    // too few, too many, unfinished
    {"%d", "2", "a", 2, -EINVAL, ""},
    {"%d", "2", "", 2, -EINVAL, ""},
    {"%d", "2", "a\\:b", 2, -EINVAL, ""},
    {"%d", "2", "a:b:c", 2, -EINVAL, ""},
    {"%d", "2", "a:b:", 2, -EINVAL, ""},
    {"%d", "1", ":", 1, -EINVAL, ""},
    {"%d", "1", "a\\", 1, -EINVAL, ""},
    {"%d", "2", "a:b\\", 2, -EINVAL, ""},
    {"%d", "1", "\\", 1, -EINVAL, ""},
};

static struct Seen* seen(void) {
  static struct Seen* page;
  if (!page) page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) fail_msg("mmap: %s", strerror(errno));
  return page;
}

static void set_variables(const struct Case* c) {
  char pid[64] = "";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  if (c->pid) snprintf(pid, sizeof(pid), c->pid, (int)getpid());
#pragma GCC diagnostic pop
  set_variable("LISTEN_PID", c->pid ? pid : NULL);
  set_variable("LISTEN_FDS", c->fds);
  set_variable("LISTEN_FDNAMES", c->names);
}

static void note_names(char** names) {
  seen()->names[0] = '\0';
  for (size_t i = 0; names[i]; i++) {
    const size_t used = strlen(seen()->names);
    // No tool but memcheck would see a zero that has no room of its own.
    const char* room = malloc_usable_size(names[i]) > strlen(names[i]) ? "" : " without room";
    snprintf(seen()->names + used, sizeof(seen()->names) - used, "[%s%s]", names[i], room);
    free(names[i]);
  }
  free(names);
}

static int prepare_descriptors(void) {
  const int fd = open("/dev/null", O_RDONLY);
  if (fd < 0) return -1;
  for (int i = 0; i < kOpen; i++)
    if (dup2(fd, SD_LISTEN_FDS_START + i) < 0) return -1;
  for (int i = SD_LISTEN_FDS_START + kOpen; i < 50; i++) close(i);
  for (int i = 0; i < kOpen; i++)
    if (fcntl(SD_LISTEN_FDS_START + i, F_SETFD, 0) < 0) return -1;
  return 0;
}

static int listen_in_child(void* argument) {
  const struct Case* c = argument;
  char* untouched = NULL;
  char** names = &untouched;
  if (prepare_descriptors() < 0) return -1;
  set_variables(c);
  seen()->plain = sd_listen_fds(0);
  seen()->close_on_exec = 0;
  while (seen()->close_on_exec < kOpen && fcntl(SD_LISTEN_FDS_START + seen()->close_on_exec, F_GETFD) == FD_CLOEXEC)
    seen()->close_on_exec++;
  seen()->named = sd_listen_fds_with_names(0, &names);
  seen()->names_touched = names != &untouched;
  if (seen()->names_touched) note_names(names);
  if (sd_listen_fds_with_names(0, NULL) != seen()->plain) return -2;
  seen()->unset = sd_listen_fds(1);
  seen()->variables_left = getenv("LISTEN_PID") || getenv("LISTEN_FDS") || getenv("LISTEN_FDNAMES");
  if (sd_listen_fds(0) != 0) return -3;
  set_variables(c);
  if (sd_listen_fds_with_names(1, NULL) != seen()->plain) return -4;
  if (getenv("LISTEN_PID") || getenv("LISTEN_FDS") || getenv("LISTEN_FDNAMES")) return -5;
  return 0;
}

static void every_spelling_of_the_variables_has_its_result(void** state) {
  (void)state;
  for (size_t i = 0; i < lengthof(kCases); i++) {
    const struct Case* c = &kCases[i];
    char name[300];
    snprintf(name, sizeof(name), "LISTEN_PID='%s' LISTEN_FDS='%s' LISTEN_FDNAMES='%s'", c->pid ? c->pid : "-",
             c->fds ? c->fds : "-", c->names ? c->names : "-");
    memset(seen(), 0, sizeof(*seen()));
    expect_case(name, in_child(listen_in_child, (void*)c), 0);
    expect_case(name, seen()->plain, c->result);
    expect_case(name, seen()->named, c->named);
    expect_case(name, seen()->unset, c->result);
    expect_case(name, seen()->variables_left, false);
    expect_case(name, seen()->names_touched, c->named > 0);
    // Those before one that is missing have the flag already; nobody can rely on that, but it is no secret either.
    expect_case(name, seen()->close_on_exec, c->result == -EBADF ? kOpen : c->result > 0 ? c->result : 0);
    if (strcmp(seen()->names, c->expected) != 0) fail_msg("%s: the names are %s", name, seen()->names);
  }
}

static int other_flags_survive(void* argument) {
  const struct Case c = {"%d", "2", NULL, 0, 0, ""};
  (void)argument;
  if (prepare_descriptors() < 0 || fcntl(3, F_SETFD, FD_CLOEXEC) < 0) return -1;
  const int before = fcntl(4, F_GETFL);
  set_variables(&c);
  if (sd_listen_fds(1) != 2) return -2;
  return fcntl(3, F_GETFD) == FD_CLOEXEC && fcntl(4, F_GETFD) == FD_CLOEXEC && fcntl(4, F_GETFL) == before;
}

static void a_descriptor_that_is_close_on_exec_already_is_fine(void** state) {
  (void)state;
  assert_int_equal(in_child(other_flags_survive, NULL), 1);
}

static int errno_after_success(void* argument) {
  const struct Case c = {"%d", "2", "a:b", 0, 0, ""};
  char** names = NULL;
  (void)argument;
  if (prepare_descriptors() < 0) return -1;
  set_variables(&c);
  errno = EDOM;
  if (sd_listen_fds_with_names(1, &names) != 2) return -2;
  const int after = errno;
  note_names(names);
  return after;
}

static void errno_is_left_alone(void** state) {
  (void)state;
  assert_int_equal(in_child(errno_after_success, NULL), differs(kErrno, 0, EDOM));
}

static int listen_as_heir(void* argument) {
  (void)argument;
  return sd_listen_fds(0);
}

static void a_child_does_not_take_what_was_meant_for_its_parent(void** state) {
  (void)state;
  const struct Case c = {"%d", "1", NULL, 0, 0, ""};
  set_variables(&c);
  assert_int_equal(in_child(listen_as_heir, NULL), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      clean_test(every_spelling_of_the_variables_has_its_result),
      clean_test(a_descriptor_that_is_close_on_exec_already_is_fine),
      clean_test(errno_is_left_alone),
      clean_test(a_child_does_not_take_what_was_meant_for_its_parent),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
