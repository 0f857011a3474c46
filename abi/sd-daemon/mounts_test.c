// SPDX-License-Identifier: MIT
//
// sd_booted, and sd_is_mq with a name: the two calls whose answers depend on what is mounted where.
//
// The idea: a child in namespaces of its own mounts an empty /run, or the message queues on a directory in place of
// /dev, and arranges there what it wants to ask about. All of it goes away with the child. Without the privilege for
// that the program exits with 77. See daemon_harness.h for the rules.
#include "daemon_harness.h"

static int enter_namespaces(void) {
  if (unshare(CLONE_NEWNS | CLONE_NEWIPC) < 0) return -errno;
  return mount("none", "/", "", MS_REC | MS_PRIVATE, NULL) < 0 ? -errno : 0;
}

// ---- sd_booted ----

static int make_file(const char* path) {
  const int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
  return fd < 0 ? -1 : close(fd);
}

static int nothing(void) { return 0; }
static int parent_only(void) { return mkdir("/run/systemd", 0755); }
static int directory(void) { return parent_only() < 0 ? -1 : mkdir("/run/systemd/system", 0); }
static int link_to_directory(void) { return parent_only() < 0 ? -1 : symlink("/proc", "/run/systemd/system"); }
static int link_to_nowhere(void) { return parent_only() < 0 ? -1 : symlink("/missing", "/run/systemd/system"); }
static int file(void) { return parent_only() < 0 ? -1 : make_file("/run/systemd/system"); }
static int parent_file(void) { return make_file("/run/systemd"); }
static int parent_loop(void) { return symlink("systemd", "/run/systemd"); }
static int parent_closed(void) {
  if (directory() < 0 || chmod("/run/systemd", 0) < 0) return -1;
  return setgid(65534) < 0 ? -1 : setuid(65534);
}

static const struct Boot {
  const char* name;
  int (*arrange)(void);
  int result;
} kBoots[] = {
    {"empty /run", nothing, 0},
    {"only /run/systemd", parent_only, 0},
    {"the directory", directory, 1},
    {"a link to a directory", link_to_directory, 1},
    {"a link to nowhere", link_to_nowhere, 0},
    {"a file in its place", file, -ENOTDIR},
    {"a file in place of its parent", parent_file, -ENOTDIR},
    {"a loop of links", parent_loop, -ELOOP},
    {"a closed parent", parent_closed, -EACCES},
};

static int boot(void* argument) {
  const struct Boot* b = argument;
  if (enter_namespaces() < 0 || mount("none", "/run", "tmpfs", 0, "mode=755") < 0) return INT_MAX;
  if (b->arrange() < 0) return INT_MAX - 1;
  return sd_booted();
}

static void a_system_is_booted_with_systemd_where_its_directory_is(void** state) {
  (void)state;
  for (size_t i = 0; i < lengthof(kBoots); i++)
    expect_case(kBoots[i].name, in_child(boot, (void*)&kBoots[i]), kBoots[i].result);
}

// ---- sd_is_mq ----

static const struct Name {
  const char* name;
  int result;
} kNames[] = {
    {"/mine", 1},  {"//mine", 1}, {"/other", 0}, {"/missing", -ENOENT},    {"/mine/", -ENOTDIR},  {"mine", -EINVAL},
    {"", -EINVAL}, {"/", 0},      {"/.", 0},     {"/../missing", -ENOENT}, {"/mine/x", -ENOTDIR},
};

static int ask_about_queues(void* argument) {
  (void)argument;
  if (enter_namespaces() < 0 || mount("none", "/dev", "tmpfs", 0, "mode=755") < 0) return -1;
  if (mkdir("/dev/mqueue", 0755) < 0 || mount("none", "/dev/mqueue", "mqueue", 0, "") < 0) return -2;
  const int mine = mq_open("/mine", O_CREAT | O_RDWR, 0600, NULL),
            other = mq_open("/other", O_CREAT | O_RDWR, 0600, NULL);
  if (mine < 0 || other < 0) return -3;
  for (size_t i = 0; i < lengthof(kNames); i++)
    if (sd_is_mq(mine, kNames[i].name) != kNames[i].result) return 1 + (int)i;
  // A queue is a queue however it was opened, but for reading its data; the directory is none.
  const int as_file = open("/dev/mqueue/mine", O_RDONLY), as_path = open("/dev/mqueue/mine", O_PATH);
  if (sd_is_mq(as_file, NULL) != 1 || sd_is_mq(as_file, "/mine") != 1 || sd_is_mq(as_path, NULL) != 0) return 100;
  if (sd_is_mq(open("/dev/mqueue", O_RDONLY), "/") != 0) return 101;
  return 0;
}

static void a_message_queue_is_found_by_its_name(void** state) {
  (void)state;
  const int failed = in_child(ask_about_queues, NULL);
  if (failed > 0 && failed <= (int)lengthof(kNames)) fail_msg("the name '%s'", kNames[failed - 1].name);
  assert_int_equal(failed, 0);
}

static int probe(void* argument) {
  (void)argument;
  return enter_namespaces();
}

int main(void) {
  const int r = in_child(probe, NULL);
  if (r < 0) {
    printf("skipped: no namespaces of its own: %s\n", strerror(-r));
    return 77;
  }
  const struct CMUnitTest tests[] = {
      clean_test(a_system_is_booted_with_systemd_where_its_directory_is),
      clean_test(a_message_queue_is_found_by_its_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
