/* SPDX-License-Identifier: MIT
 *
 * sd-daemon: what a service and its service manager tell each other.
 *
 * The idea: the manager hands a service descriptors and settings through environment variables; the service answers
 * with short texts to a socket. Without a manager the variables are not set, and every such call is cheap and gives 0.
 *
 * What holds for all of them:
 *  1. A result is negative on failure, and then an errno value with its sign changed; errno itself is left alone. 0 is
 *     "no" or "nobody asked", a positive number is "yes" or a count.
 *  2. `unset_environment`, where it is not 0, takes the variables that the call reads out of the environment, also when
 *     the call fails: children do not inherit them, and a later call finds nothing. As with all writing of the
 *     environment, no other thread may use the environment then.
 *  3. Programs that gained privileges when they were executed (set-user-ID, file capabilities) see the variables too;
 * one that anybody may execute must clear its environment first.
 *  4. Descriptors that are passed in stay the caller's, and stay open.
 *
 * Every call may be made in any thread and in a forked child, which acts in its own name. The number in brackets is the
 * release of libsystemd that first had the function.
 */
#ifndef foosddaemonhfoo
#define foosddaemonhfoo

#include <inttypes.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "_sd-common.h"

#ifndef _sd_noexcept_
#define _sd_noexcept_
#endif

_SD_BEGIN_DECLARATIONS;

/* ---- Levels of lines on standard error: fputs(SD_WARNING "Nearly full.\n", stderr). The numbers are syslog's. ---- */

#define SD_EMERG "<0>"   /* nothing works any more */
#define SD_ALERT "<1>"   /* somebody must act at once */
#define SD_CRIT "<2>"    /* a vital part failed */
#define SD_ERR "<3>"     /* something failed */
#define SD_WARNING "<4>" /* something may fail */
#define SD_NOTICE "<5>"  /* worth knowing, nothing is wrong */
#define SD_INFO "<6>"    /* the level of lines without a prefix */
#define SD_DEBUG "<7>"   /* of use to who looks for a fault */

/* ---- Descriptors that the manager opened for us ---- */

/* The first one; the others follow without a gap. */
#define SD_LISTEN_FDS_START 3

/* [209] How many descriptors there are: $LISTEN_FDS, if $LISTEN_PID is this process; 0 otherwise. They get
 * FD_CLOEXEC, and are the caller's from then on.
 *
 * -EINVAL, -ERANGE: a variable is no number, or one that can't be.
 * -EBADF: one of the descriptors is not open. */
int sd_listen_fds(int unset_environment) _sd_noexcept_;

/* [227] The same; where the result is positive, `*ret_names` gets as many names and a NULL behind them: those of
 * $LISTEN_FDNAMES (separated by ':', a '\' takes the next character as it is), or "unknown" for each where that is
 * not set. The caller frees every name and the array with free(). `ret_names` may be NULL; otherwise it is only
 * written when the result is positive.
 *
 * Also -EINVAL: more or fewer names than descriptors. -ENOMEM. */
int sd_listen_fds_with_names(int unset_environment, char*** ret_names) _sd_noexcept_;

/* ---- What is this descriptor? 1: what was asked for, 0: something else ----
 *
 * All: -EBADF for a descriptor that is negative or not open. A path that does not exist is "something else"; other
 * errors of looking at it are returned. */

/* [209] A FIFO or pipe; with a `path`, the one that is found there. */
int sd_is_fifo(int fd, const char* path) _sd_noexcept_;

/* [209] A character device or regular file, as those of /proc and /sys are; with a `path`, the file or a node of the
 * device that is found there. */
int sd_is_special(int fd, const char* path) _sd_noexcept_;

/* [209] A socket of this `family` (AF_UNSPEC: any) and `type` (0: any), which was given to listen() (`listening` >
 * 0), was not (0), or either (< 0, which is right for all but connections).
 *
 * -EINVAL: a negative family or type. */
int sd_is_socket(int fd, int family, int type, int listening) _sd_noexcept_;

/* [209] The same for AF_INET and AF_INET6 (AF_UNSPEC: both), bound to `port` (host byte order, 0: any).
 *
 * -EINVAL: another family, or a negative type. */
int sd_is_socket_inet(int fd, int family, int type, int listening, uint16_t port) _sd_noexcept_;

/* [233] The same, bound to the address `addr` of `addr_len` bytes. A port, flow information or scope of 0 is not
 * compared.
 *
 * -EINVAL: no address, one that is too short for its family, or a negative type.
 * -ENOBUFS: not even room for a family. -EPFNOSUPPORT: neither AF_INET nor AF_INET6. */
int sd_is_socket_sockaddr(int fd, int type, const struct sockaddr* addr, unsigned addr_len,
                          int listening) _sd_noexcept_;

/* [209] A socket of AF_UNIX, bound to `path` if that is not NULL. `length` 0: `path` is a string. Otherwise the
 * address has so many bytes; an abstract one counts and begins with its NUL.
 *
 * -EINVAL: a negative type. */
int sd_is_socket_unix(int fd, int type, int listening, const char* path, size_t length) _sd_noexcept_;

/* [209] A POSIX message queue; with a `path`, the queue of that name ("/name"), as found in /dev/mqueue.
 *
 * -EINVAL: the name does not begin with '/'. -ENOENT: no such queue (here it is an error), or nothing mounted there. */
int sd_is_mq(int fd, const char* path) _sd_noexcept_;

/* ---- Telling the manager ----
 *
 * A message is a list of assignments, one a line: READY=1, RELOADING=1, STOPPING=1, STATUS=text, ERRNO=number,
 * MAINPID=pid, WATCHDOG=1, FDSTORE=1, ... (man 3 sd_notify). It goes to $NOTIFY_SOCKET: /path, @abstract, or
 * vsock:CID:PORT for a manager outside of this virtual machine, with vsock-dgram:, vsock-seqpacket: and vsock-stream:
 * for one kind of socket only.
 *
 * 1: the manager has it in its queue, which says nothing about what it makes of it. 0: $NOTIFY_SOCKET is not set.
 * -EINVAL: no message, or an address that makes no sense. -EPROTO: it begins like none. -ERANGE: a number in it.
 * -ENAMETOOLONG: its path is too long. -ENOENT, -ECONNREFUSED, -EACCES, -EPROTOTYPE, ...: the manager can't be reached
 * there. -EINTR: a signal handler ran while the call waited for room in the manager's queue.
 *
 * `pid` other than 0: on behalf of that process. Without the privilege for it, in the name of the caller after all. */

/* [209] */
int sd_notify(int unset_environment, const char* state) _sd_noexcept_;

/* [209] The message from printf()'s format and arguments. Also -ENOMEM. */
int sd_notifyf(int unset_environment, const char* format, ...) _sd_noexcept_ _sd_printf_(2, 3);

/* [214] */
int sd_pid_notify(pid_t pid, int unset_environment, const char* state) _sd_noexcept_;

/* [214] Also -ENOMEM. */
int sd_pid_notifyf(pid_t pid, int unset_environment, const char* format, ...) _sd_noexcept_ _sd_printf_(3, 4);

/* [219] With copies of `n_fds` descriptors, which the manager may keep for us (FDSTORE=1).
 *
 * -EINVAL: `fds` is NULL and `n_fds` is not 0. -E2BIG: more than 253 of them. -EBADF: one is not open.
 * -EOPNOTSUPP: vsock carries no descriptors. */
int sd_pid_notify_with_fds(pid_t pid, int unset_environment, const char* state, const int* fds,
                           unsigned n_fds) _sd_noexcept_;

/* [254] The same with printf()'s format and arguments. Also -ENOMEM. */
int sd_pid_notifyf_with_fds(pid_t pid, int unset_environment, const int* fds, size_t n_fds, const char* format,
                            ...) _sd_noexcept_ _sd_printf_(5, 6);

/* [246] Waits until the manager has taken all messages that were sent before, at most `timeout_usec` microseconds
 * from now; UINT64_MAX: without a limit. 1: it has. 0: $NOTIFY_SOCKET is not set.
 *
 * -ETIMEDOUT. -EINTR: a signal handler ran. -EOPNOTSUPP: vsock carries no descriptors. Else as sd_notify(). */
int sd_notify_barrier(int unset_environment, uint64_t timeout_usec) _sd_noexcept_;

/* [254] The same on behalf of another process. */
int sd_pid_notify_barrier(pid_t pid, int unset_environment, uint64_t timeout_usec) _sd_noexcept_;

/* [209] Whether the manager expects "WATCHDOG=1" from this process, and the time in microseconds in `*ret_usec` (may be
 * NULL; only written with 1) after which it takes the process for hung: $WATCHDOG_USEC, unless $WATCHDOG_PID is another
 * process. A good rhythm is half of it. sd_event_set_watchdog() does all of this.
 *
 * -EINVAL, -ERANGE: a variable is no number, or one that can't be. */
int sd_watchdog_enabled(int unset_environment, uint64_t* ret_usec) _sd_noexcept_;

/* ---- The system ---- */

/* [209] Whether the system was booted with systemd (/run/systemd/system/ is a directory). No other call here needs to
 * be guarded with it. */
int sd_booted(void) _sd_noexcept_;

_SD_END_DECLARATIONS;

#endif
