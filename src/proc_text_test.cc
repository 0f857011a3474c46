// SPDX-License-Identifier: MIT
//
// Unit tests of proc_text.h: what the kernel writes, what it would never write, and texts in pieces.
#include "src/proc_text.h"

#include <gtest/gtest.h>

#include <string>

namespace evenkeel {
namespace {

std::string path_of_size(size_t size) {
  std::string path(size, 'a');
  path[0] = '/';
  return path;
}

TEST(IsNormalized, takes_absolute_paths_of_plain_parts) {
  for (const char* path : {"/", "/a", "/a/b", "/a/.b/..c/d.", "/...", "/a b", "/a/"})
    EXPECT_TRUE(is_normalized(path)) << path;
}

TEST(IsNormalized, takes_nothing_else) {
  for (const char* path : {"", "a", "./a", "//", "/a//b", "/a//", "/.", "/..", "/a/../b", "/a/./b", "/a/..", "/a/."})
    EXPECT_FALSE(is_normalized(path)) << path;
}

TEST(IsNormalized, takes_what_a_system_call_would_take) {
  EXPECT_TRUE(is_normalized(path_of_size(PATH_MAX - 1)));
  EXPECT_FALSE(is_normalized(path_of_size(PATH_MAX)));
}

int pid_of(std::string_view text) {
  pid_t pid = 0;
  const int r = parse_fdinfo(text, &pid);
  EXPECT_EQ(r < 0, pid == 0);
  return r < 0 ? r : pid;
}

TEST(ParseFdinfo, finds_the_process_of_a_pidfd) {
  EXPECT_EQ(pid_of("pos:\t0\nflags:\t02000002\nmnt_id:\t15\nPid:\t4711\nNSpid:\t4711\n"), 4711);
  EXPECT_EQ(pid_of("Pid:\t1"), 1);
  EXPECT_EQ(pid_of("Pid:\t2147483647\n"), INT_MAX);
}

TEST(ParseFdinfo, knows_a_process_that_is_gone_and_one_of_another_namespace) {
  EXPECT_EQ(pid_of("pos:\t0\nPid:\t-1\nNSpid:\t-1\n"), -ESRCH);
  EXPECT_EQ(pid_of("pos:\t0\nPid:\t0\n"), -EREMOTE);
}

TEST(ParseFdinfo, takes_nothing_else_for_a_pidfd) {
  for (const char* text :
       {"", "\n", "pos:\t0\nflags:\t02\n", "NSpid:\t12\n", " Pid:\t12\n", "Pid:", "Pid:\t\n", "Pid:\tx\n",
        "Pid:\t12x\n", "Pid:\t2147483648\n", "Pid:\t99999999999999999999\n", "pid:\t1\n"})
    EXPECT_EQ(pid_of(text), -ENOTTY) << text;
}

TEST(ParseBootId, makes_a_number_below_a_minute_of_all_digits) {
  const Usec offset = parse_boot_id("b1f2a0c4-5d6e-4f80-9a1b-2c3d4e5f6071\n");
  EXPECT_GT(offset, 0U);
  EXPECT_LT(offset, 60 * kUsecPerSec);
  EXPECT_EQ(offset, parse_boot_id("b1f2a0c45d6e4f809a1b2c3d4e5f6071"));
  EXPECT_NE(offset, parse_boot_id("b1f2a0c4-5d6e-4f80-9a1b-2c3d4e5f6072\n"));
  EXPECT_NE(offset, parse_boot_id("c1f2a0c4-5d6e-4f80-9a1b-2c3d4e5f6071\n"));
}

TEST(ParseBootId, is_zero_for_what_is_none) {
  for (const char* text :
       {"", "\n", "b1f2a0c4-5d6e-4f80-9a1b-2c3d4e5f607\n", "b1f2a0c4-5d6e-4f80-9a1b-2c3d4e5f60711\n"})
    EXPECT_EQ(parse_boot_id(text), 0U) << text;
}

// In pieces of each size.
std::string path_of(const std::string& text) {
  std::string first;
  for (size_t size = 1; size <= text.size() + 1; size = size < 8 ? size + 1 : size * 2) {
    CgroupPath cgroup;
    for (size_t at = 0; at < text.size(); at += size)
      if (cgroup.take(std::string_view(text).substr(at, size))) break;
    const std::string path(cgroup.path());
    if (size == 1) first = path;
    EXPECT_EQ(path, first) << "in pieces of " << size;
  }
  return first;
}

TEST(CgroupPath, is_that_of_the_hierarchy_of_version_2) {
  EXPECT_EQ(path_of("0::/\n"), "/");
  EXPECT_EQ(path_of("0::/system.slice/a.service\n"), "/system.slice/a.service");
  EXPECT_EQ(path_of("13:cpu,cpuacct:/x\n1:name=systemd:/y\n0::/z\n"), "/z");
  EXPECT_EQ(path_of("0::/z\n0::/second\n"), "/z");
  EXPECT_EQ(path_of("10::/no\n0:x:/no\n00::/no\n0::/yes\n"), "/yes");
}

TEST(CgroupPath, is_empty_where_there_is_none) {
  for (const char* text :
       {"", "\n", "1:name=systemd:/y\n", "0::\n", "0::relative\n", "0::/a/../b\n", "0::/a//b\n", "0:\n"})
    EXPECT_EQ(path_of(text), "") << text;
  EXPECT_EQ(path_of("0::/its line does not end"), "");
}

TEST(CgroupPath, is_never_cut) {
  const std::string longest = path_of_size(PATH_MAX - 1);
  EXPECT_EQ(path_of("0::" + longest + "\n"), longest);
  EXPECT_EQ(path_of("0::" + longest + "a\n"), "");
  EXPECT_EQ(path_of("0::" + longest + "aaaaaaaa\n"), "");
  EXPECT_EQ(path_of("1:x:" + longest + longest + "\n0::/a\n"), "/a");
}

}  // namespace
}  // namespace evenkeel
