#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The public headers compile: alone, twice, and together with libsystemd's own headers.
#
# Idea: a program may include our sd-daemon.h and libsystemd's sd-bus.h, which brings its own files of the names that we
# use. Whoever comes first must serve both. So small programs, which also use what the shared macros make, are compiled
# in every order, in every language version, by every compiler that is here, with warnings as errors. Ours come with -I,
# not -isystem, and libsystemd's from a copy, because a compiler looks away from what is wrong in /usr/include. What is
# theirs alone to answer for (-Wpedantic and the like) is only asked of ours.
#
# usage: headers_test.sh INCLUDE_DIRECTORY      (of ours; libsystemd's are found in /usr/include)
# Exit code 77 without any compiler; without libsystemd's headers only ours are tested, and that is said.
set -u

include=${1:?usage: $0 INCLUDE_DIRECTORY}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0
passed=0

# What each program does with the headers, whichever file their macros came from.
body='
struct thing { int n; };
_SD_BEGIN_DECLARATIONS;
int sd_test_printf(const char *format, ...) _sd_printf_(1, 2);
int sd_test_sentinel(int first, ...) _sd_sentinel_;
int sd_test_pure(int x) _sd_pure_;
int sd_test_const(int x) _sd_const_;
int sd_test_deprecated(void) _sd_deprecated_;
int sd_test_array(int three[_SD_ARRAY_STATIC 3]);
struct thing *sd_test_unref(struct thing *thing);
_SD_DEFINE_POINTER_CLEANUP_FUNC(struct thing, sd_test_unref);
struct sd_test_packed { char c; int i; } _sd_packed_;
extern _sd_destroy_t sd_test_destroy;
_SD_END_DECLARATIONS;
#ifdef __cplusplus
#  define CHECK(what) static_assert(what, "")
#elif __STDC_VERSION__ >= 201112L
#  define CHECK(what) _Static_assert(what, "")
#else
#  define CHECK(what) extern int sd_test_check[(what) ? 1 : -1]
#endif
CHECK(sizeof(struct sd_test_packed) == 1 + sizeof(int));
CHECK(sizeof(_SD_STRINGIFY(SD_LISTEN_FDS_START)) == 2);
CHECK(sizeof(SD_EMERG SD_ALERT SD_CRIT SD_ERR SD_WARNING SD_NOTICE SD_INFO SD_DEBUG) == 25);
int main(void) {
  __attribute__((cleanup(sd_test_unrefp))) struct thing *thing = 0;
  uint64_t usec = 0;
  char **names = 0;
  struct sockaddr *address = 0;
  int r = sd_notify(0, "READY=1") + sd_notifyf(0, "READY=%d", 1) + sd_pid_notify(0, 0, "READY=1");
  r += sd_pid_notifyf(0, 0, "%s", "READY=1") + sd_pid_notify_with_fds(0, 0, "READY=1", 0, 0);
  r += sd_notify_barrier(0, usec) + sd_watchdog_enabled(0, &usec);
  r += sd_listen_fds(0) + sd_listen_fds_with_names(0, &names) + sd_booted();
  r += sd_is_fifo(0, 0) + sd_is_special(0, 0) + sd_is_socket(0, 0, 0, 0) + sd_is_socket_inet(0, 0, 0, 0, 0);
  r += sd_is_socket_sockaddr(0, 0, address, 0, 0) + sd_is_socket_unix(0, 0, 0, 0, 0) + sd_is_mq(0, 0);
  return r + (thing ? thing->n : 0);
}'
# Only what our files came first for: newer than libsystemd 252.
ours='
enum _SD_ENUM_TYPE_S64(sd_test_enum) { SD_TEST_ONE = 1, _SD_ENUM_FORCE_S64(TEST) };
CHECK(sizeof(enum sd_test_enum) == 8);
int (*sd_test_barrier)(pid_t, int, uint64_t) = sd_pid_notify_barrier;
int (*sd_test_formatted)(pid_t, int, const int *, size_t, const char *, ...) = sd_pid_notifyf_with_fds;'

program() {  # NAME TEXT, as C and as C++
  printf '%s\n' "$2" >"$work/$1.c"
  cp "$work/$1.c" "$work/$1.cc"
}
# An enumerator of 64 bits is an extension before C23, ours in no way more than theirs.
extension='#pragma GCC diagnostic ignored "-Wpedantic"'

program alone "#include <systemd/sd-daemon.h>
$body"
program twice "#include <systemd/sd-daemon.h>
#include <systemd/sd-daemon.h>
$body"
program newer "#include <systemd/sd-daemon.h>
$body
$extension
$ours"
programs="alone twice newer"  # ours alone
theirs=$work/theirs
mixed=
if [ -f /usr/include/systemd/sd-bus.h ] && [ -f /usr/include/systemd/sd-journal.h ]; then
  mkdir "$theirs" && cp -r /usr/include/systemd "$theirs/systemd" || exit 1
  program before "#include <systemd/sd-daemon.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-journal.h>
$body
$extension
$ours"
  program after "#include <systemd/sd-bus.h>
#include <systemd/sd-journal.h>
#include <systemd/sd-daemon.h>
$body
$extension
int (*sd_test_barrier)(pid_t, int, uint64_t) = sd_pid_notify_barrier;"
  program theirs_before "#include \"$theirs/systemd/sd-daemon.h\"
#include <systemd/sd-daemon.h>
$body"
  program theirs_after "#include <systemd/sd-daemon.h>
#include \"$theirs/systemd/sd-daemon.h\"
$body"
  mixed="before after theirs_before theirs_after"
  if [ -f "$include/systemd/sd-event.h" ]; then
    program event_before "#include <systemd/sd-event.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
$body
sd_event *loop = SD_EVENT_DEFAULT;"
    program event_after "#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>
#include <systemd/sd-daemon.h>
$body
sd_event *loop = SD_EVENT_DEFAULT;"
    mixed="$mixed event_before event_after"
  fi
else
  echo "libsystemd's headers are not installed: only ours are tested"
fi

try() {  # COMPILER SUFFIX OPTION...
  local compiler=$1 suffix=$2 name strict
  shift 2
  for name in $programs $mixed; do
    strict="-Wextra -Wpedantic -Wconversion -Wno-variadic-macros"
    case " $mixed " in *" $name "*)
      strict=
      # libsystemd's headers are not written for C89.
      case "$*" in *gnu89*) continue ;; esac
      ;;
    esac
    # shellcheck disable=SC2086 # the options are words
    if "$compiler" "$@" -Wall $strict -Werror -fsyntax-only -I"$include" -I"$theirs" "$work/$name.$suffix" \
      >"$work/log" 2>&1; then
      passed=$((passed + 1))
    else
      failed=$((failed + 1))
      echo "FAILED: $compiler $* ($name.$suffix)"
      head -5 "$work/log"
    fi
  done
}

found=no
for compiler in gcc clang; do
  command -v $compiler >/dev/null || continue
  found=yes
  for standard in c99 c11 c17 gnu11 gnu17 c2x; do try $compiler c -std=$standard; done
  try $compiler c -std=gnu89 -Wno-long-long
  try $compiler c -std=c11 -D_GNU_SOURCE
done
for compiler in g++ clang++; do
  command -v $compiler >/dev/null || continue
  found=yes
  for standard in c++11 c++14 c++17 c++20 gnu++20; do try $compiler cc -std=$standard; done
done
[ $found = yes ] || { echo "skipped: no compiler here"; exit 77; }
echo "$passed passed, $failed failed"
[ $failed = 0 ]
