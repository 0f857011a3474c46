/* SPDX-License-Identifier: MIT
 *
 * sd-event: an event loop, and the sources of events that it waits for.
 *
 * The idea: a loop has sources. Each waits for one thing: a descriptor, a time, a signal, a child process, a change of
 * a file, a shortage, or for its turn. When it has come the source is pending; an iteration of the loop dispatches one
 * pending source, the one of best priority, which means that its callback is called. Then the next iteration begins.
 *
 * What holds for all calls:
 *  1. A result is negative on failure, and then an errno value with its sign changed; errno itself is left alone.
 *     Otherwise it is 0 or positive, and 0 where nothing else is said. A call that fails has changed nothing.
 *  2. Times and spans are microseconds. UINT64_MAX is "never", or "without a limit". A flag is on unless it is 0.
 *  3. Objects are counted references: who has one gives it back with unref. Loops and sources that are passed in, and
 *     what a get call returns, are only lent. Descriptors stay the caller's unless a call ..._own() says otherwise;
 *     those of the library are close-on-exec, and never 0, 1 or 2.
 *  4. A loop and its sources belong to one thread at a time, references included; loops of different threads don't
 *     meet. Nothing here may be called by a signal handler.
 *  5. A forked child can't use the loops of its parent. To give back references there leaves the parent alone.
 *
 * Errors of all calls, not named again below:
 *  -EINVAL  The loop, the source, or the pointer for a result is NULL.
 *  -ENOPKG  SD_EVENT_DEFAULT, and this thread has no default loop.
 *  -EDOM    The source is of another kind than the call is for.
 *  -ESTALE  The loop is finished: of calls that add a source, run the loop or ask it to exit, that set anything of a
 *           source but OFF that says when it is called (prepare, priority, events, time, accuracy), and of
 *           get_pending and leave_ratelimit. The loop is gone, as it may be for a source that was floating: of all
 *           calls that need it.
 *  -ECHILD  The process was forked after the loop was made; NULL from calls that return a pointer. Only to get the
 *           description, and to ref and unref a source, works there.
 *  -ENOMEM, -EMFILE, -ENFILE  No memory or descriptors left, of the calls that take such.
 *
 * A number in brackets is the release of libsystemd that first had the function. The headlines name man pages; what
 * came after release 252 is in the pages of newer ones.
 */
#ifndef foosdeventhfoo
#define foosdeventhfoo

#include <inttypes.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>

#include "_sd-common.h"

#ifndef _sd_noexcept_
#define _sd_noexcept_
#endif

_SD_BEGIN_DECLARATIONS;

typedef struct sd_event sd_event;
typedef struct sd_event_source sd_event_source;

/* In place of any loop that is passed in: the default loop of the calling thread. */
#define SD_EVENT_DEFAULT ((sd_event*)1)

/* Whether a source waits for its event. */
enum {
  SD_EVENT_OFF = 0,     /* no */
  SD_EVENT_ON = 1,      /* yes, again and again */
  SD_EVENT_ONESHOT = -1 /* yes, and it goes OFF when its callback is about to be called */
};

/* What a loop does; see "Iterations". */
enum {
  SD_EVENT_INITIAL,  /* nothing: the next iteration may begin */
  SD_EVENT_ARMED,    /* nothing was pending: it may wait */
  SD_EVENT_PENDING,  /* something is pending: it may dispatch */
  SD_EVENT_RUNNING,  /* it is in the callback of a source */
  SD_EVENT_EXITING,  /* it is in the callback of an exit source */
  SD_EVENT_FINISHED, /* it has exited, and is of no more use */
  SD_EVENT_PREPARING /* it is in a prepare callback */
};

/* Good priorities to begin with. Any number will do, negative ones included: the lower, the sooner. */
enum {
  SD_EVENT_PRIORITY_IMPORTANT = -100,
  SD_EVENT_PRIORITY_NORMAL = 0, /* of a source to which nothing was said */
  SD_EVENT_PRIORITY_IDLE = 100
};

/* Or-ed to a signal's number in sd_event_add_signal(): the call blocks the signal, too. */
#define SD_EVENT_SIGNAL_PROCMASK (1 << 30)

/* ---- Callbacks ----
 *
 * A callback gets its source, what has happened, and the source's userdata. A negative result is a failure: the source
 * goes OFF, and the loop exits with that number as its code if the source is set so (exit_on_failure). Other results
 * mean nothing.
 *
 * It may make every call but those that run its own loop: prepare, wait, dispatch, run, loop (-EBUSY). It may turn off
 * and free any source, its own included, and drop the last reference on the loop. What it was given stays valid until
 * it returns, and not longer; but a descriptor that the source owns is closed as soon as the source is freed. It must
 * return: no longjmp(), and no exception may leave it. While it runs the loop does nothing else, so it should not
 * block. */

/* Of defer, post, exit and pressure sources, which have nothing to tell; also for prepare and for rate limits. */
typedef int (*sd_event_handler_t)(sd_event_source* s, void* userdata);

/* `revents`: what was seen, as in epoll_wait(2): what the source asked for, and EPOLLERR and EPOLLHUP in any case. */
typedef int (*sd_event_io_handler_t)(sd_event_source* s, int fd, uint32_t revents, void* userdata);

/* `usec`: the time that was set. For the time that it is, see sd_event_now(). */
typedef int (*sd_event_time_handler_t)(sd_event_source* s, uint64_t usec, void* userdata);

/* `si`: the signal, as in signalfd(2). */
typedef int (*sd_event_signal_handler_t)(sd_event_source* s, const struct signalfd_siginfo* si, void* userdata);

/* `si`: the change of state, as in waitid(2). A type of its own only where the C library has siginfo_t (POSIX). */
#if defined _GNU_SOURCE || (defined _POSIX_C_SOURCE && _POSIX_C_SOURCE >= 199309L)
typedef int (*sd_event_child_handler_t)(sd_event_source* s, const siginfo_t* si, void* userdata);
#else
typedef void* sd_event_child_handler_t;
#endif

/* `event`: one event with its name, as in inotify(7). Its watch descriptor is the library's. */
typedef int (*sd_event_inotify_handler_t)(sd_event_source* s, const struct inotify_event* event, void* userdata);

/* Called once, when a source is really freed. The source is gone, and so may be the loop, unless the callback knows of
 * a reference on it. */
typedef _sd_destroy_t sd_event_destroy_t;

/* ---- The loop as an object: sd_event_new(3) ----
 *
 * A loop lives until its last reference is gone. Each source that is not floating holds one, so a program that keeps
 * sources may drop its own. If $SD_EVENT_PROFILE_DELAYS is set when a loop is made, the loop writes to standard error
 * every 5 s how long its iterations took. */

/* [221] The default loop of this thread. `*e` gets a reference on it: the first one (1: it was made) or a further one
 * (0). It is freed like any other, and the next call makes a new one. `e` NULL: makes none; 1 if there is one or 0. */
int sd_event_default(sd_event** e) _sd_noexcept_;

/* [221] A new loop; `*e` gets its first reference. */
int sd_event_new(sd_event** e) _sd_noexcept_;

/* [221] One reference more. Returns the loop, NULL for NULL or where there is no default loop. */
sd_event* sd_event_ref(sd_event* e) _sd_noexcept_;

/* [221] One reference less; with the last one the loop ends, and its floating sources with it. NULL is no harm. Returns
 * NULL. */
sd_event* sd_event_unref(sd_event* e) _sd_noexcept_;

/* ---- Iterations: sd_event_run(3), sd_event_wait(3) ----
 *
 *            prepare = 1                   dispatch = 1
 *   INITIAL ------------> PENDING ------------------------> INITIAL
 *      |                     ^    \  dispatch = 0
 *      | prepare = 0         |     `----------------------> FINISHED
 *      `---------> ARMED ----' wait = 1
 *                       `----- wait = 0 ------------------> INITIAL
 *
 * Among pending sources that of the lowest priority value goes first, among equals that which became pending in the
 * older iteration, and then in the order in which the kernel told of them; so equals take turns. A source that is
 * always pending lets none of worse priority come, but neither the watchdog nor an exit has to wait for it.
 *
 * The calls need the state that the picture shows: -EBUSY in any other, and so in any callback. Errors of the kernel
 * may be returned as well.
 *
 * Another loop (poll(), epoll, GLib, libuv) can sleep for this one: after prepare = 0 it watches sd_event_get_fd() for
 * POLLIN, and then calls wait with 0. It may do so at any time, and must before it calls prepare again. Who adds or
 * changes sources in ARMED should as well, and not sleep before the next prepare: it is there that times and deferred
 * work are taken into account. */

/* [221] Begins an iteration: calls the prepare callbacks, best priority first. 1: dispatch is next, 0: wait.
 *
 * -EREMOTEIO: it is the default loop of another thread. */
int sd_event_prepare(sd_event* e) _sd_noexcept_;

/* [221] Waits for an event, for `timeout` microseconds at most; 0: looks only. 1: dispatch is next, which may find
 * nothing to do if it was a signal handler that ended the wait. 0: the time is over, or what woke the loop concerned no
 * source. */
int sd_event_wait(sd_event* e, uint64_t timeout) _sd_noexcept_;

/* [221] Dispatches one source, or none if nothing is pending any more. 1: the loop goes on, 0: it has finished. */
int sd_event_dispatch(sd_event* e) _sd_noexcept_;

/* [221] One iteration: prepare, wait where it is due, dispatch. 1: it did something, which includes that it finished,
 * that a signal handler ran, and that a source was held back by its rate limit. 0: it waited for nothing.
 *
 * Errors as sd_event_prepare(). */
int sd_event_run(sd_event* e, uint64_t timeout) _sd_noexcept_;

/* [221] Iterations until the loop has finished. Returns the exit code, also a negative one.
 *
 * Errors as sd_event_prepare(), but -EBUSY for a loop that is finished. */
int sd_event_loop(sd_event* e) _sd_noexcept_;

/* [221] The state: SD_EVENT_INITIAL and so on. */
int sd_event_get_state(sd_event* e) _sd_noexcept_;

/* [231] How often an iteration was begun. Once exit was asked for, exit sources are counted as they are dispatched. */
int sd_event_get_iteration(sd_event* e, uint64_t* ret) _sd_noexcept_;

/* [221] The descriptor that becomes readable in ARMED when the loop would wake up, for whatever reason, times included.
 * It is the loop's: to be watched, not to be closed or changed. sd_event_get_fd(3) */
int sd_event_get_fd(sd_event* e) _sd_noexcept_;

/* [221] The thread that made this default loop. -ENXIO: it is no default loop. sd_event_new(3) */
int sd_event_get_tid(sd_event* e, pid_t* ret) _sd_noexcept_;

/* [221] The time, in microseconds on `clock`, when this iteration woke up: the same for all that is called in it. 1: it
 * is the current time, as the loop has not looked at the world yet. sd_event_now(3)
 *
 * -EOPNOTSUPP: not one of the clocks that sd_event_add_time() has. */
int sd_event_now(sd_event* e, clockid_t clock, uint64_t* ret) _sd_noexcept_;

/* ---- The end: sd_event_exit(3), sd_event_set_signal_exit(3) ----
 *
 * A loop that was asked to exit finishes the callback that it is in. Then it dispatches the exit sources that are not
 * OFF, one an iteration and nothing else, by priority and then by age, and has finished when none is left. */

/* [221] Asks the loop to exit with this code. Of several requests the last one counts. It doesn't wake a loop that
 * waits in another thread. */
int sd_event_exit(sd_event* e, int code) _sd_noexcept_;

/* [221] The code. -ENODATA: exit was not asked for. With NULL it only says whether it was. */
int sd_event_get_exit_code(sd_event* e, int* ret) _sd_noexcept_;

/* [252] Whether SIGINT and SIGTERM make the loop exit with code 0. The call blocks the two in this thread, and unblocks
 * them, if it was it that blocked them, with `b` 0 or at the loop's end. 1: that is new, 0: it was so.
 *
 * -EBUSY: one of the two has a source. */
int sd_event_set_signal_exit(sd_event* e, int b) _sd_noexcept_;

/* [259] Whether the loop exits with code 0 when an iteration begins, and all sources but exit and post sources are OFF.
 * The signals of sd_event_set_signal_exit() are sources, too. Returns the setting, 1 or 0. */
int sd_event_set_exit_on_idle(sd_event* e, int b) _sd_noexcept_;

/* [259] Returns the setting. */
int sd_event_get_exit_on_idle(sd_event* e) _sd_noexcept_;

/* ---- The watchdog: sd_event_set_watchdog(3) ---- */

/* [221] Whether the loop sends "WATCHDOG=1" to the service manager as long as it iterates: at once, and then whenever
 * 1/2 to 3/4 of the manager's period are over. 1: it does. 0: it does not, as `b` is 0, or nobody asked for it (see
 * sd_watchdog_enabled()).
 *
 * -EINVAL, -ERANGE: $WATCHDOG_USEC or $WATCHDOG_PID is no number, or one that can't be. */
int sd_event_set_watchdog(sd_event* e, int b) _sd_noexcept_;

/* [221] 1: it does, 0: it does not. */
int sd_event_get_watchdog(sd_event* e) _sd_noexcept_;

/* ---- Adding sources ----
 *
 * `*s` gets a reference on the new source, which keeps the loop as well. If `s` is NULL the source is floating: it
 * belongs to the loop, and ends with it.
 *
 * At first a source is
 *   ON       I/O, signal, inotify, post, pressure;
 *   ONESHOT  time, child, defer, exit, and inotify with IN_ONESHOT.
 *
 * `callback` may be NULL, but for exit sources: then the loop is asked to exit, with (int) (intptr_t) userdata as its
 * code. With pressure sources NULL means something else. The loop never looks at `userdata` apart from that. */

/* ---- Descriptors: sd_event_add_io(3) ----
 *
 * A source is pending from when its event was seen until its dispatch, even if the condition goes away meanwhile, and
 * takes all events that come until then. ON is level-triggered: it fires as long as there is something to read, say. A
 * descriptor should not block (O_NONBLOCK).
 *
 * Turn the source OFF, or free it, before closing its descriptor. Then the number is free for use at once, and another
 * source may have it. A descriptor that is closed too soon tells nothing any more; while a duplicate is open it may go
 * on until the source is OFF. While a source waits for a descriptor no other one of the loop can. */

/* [221] For EPOLLIN, EPOLLOUT, EPOLLPRI, EPOLLRDHUP, EPOLLERR, EPOLLHUP, with EPOLLET on the edge only. 0 still means
 * EPOLLERR and EPOLLHUP.
 *
 * -EBADF: the descriptor is negative or not open. -EINVAL: another event. -EPERM: a file that epoll can't watch, as a
 * regular one. -EEXIST: another source waits for it. -ELOOP: loops that wait for each other. */
int sd_event_add_io(sd_event* e, sd_event_source** s, int fd, uint32_t events, sd_event_io_handler_t callback,
                    void* userdata) _sd_noexcept_;

/* [221] The descriptor. */
int sd_event_source_get_io_fd(sd_event_source* s) _sd_noexcept_;

/* [221] Another descriptor. An owned one is closed then, and the new one is owned. What was seen on the old one remains
 * pending. With errors as sd_event_add_io(), unless the source is OFF: then they come when it is turned on. */
int sd_event_source_set_io_fd(sd_event_source* s, int fd) _sd_noexcept_;

/* [237] Whether the source owns its descriptor (1) or the caller does (0, at first). */
int sd_event_source_get_io_fd_own(sd_event_source* s) _sd_noexcept_;

/* [237] If so, it is closed when the source is freed, or gets another one. */
int sd_event_source_set_io_fd_own(sd_event_source* s, int own) _sd_noexcept_;

/* [221] What the source waits for. */
int sd_event_source_get_io_events(sd_event_source* s, uint32_t* ret) _sd_noexcept_;

/* [221] What it shall wait for. A new mask drops a pending event; the same does nothing, but with EPOLLET, where the
 * edge comes again. Errors as sd_event_add_io(). */
int sd_event_source_set_io_events(sd_event_source* s, uint32_t events) _sd_noexcept_;

/* [221] What was seen and not yet dispatched. -ENODATA: nothing, as in the callback of the source itself. */
int sd_event_source_get_io_revents(sd_event_source* s, uint32_t* ret) _sd_noexcept_;

/* ---- Times: sd_event_add_time(3) ----
 *
 * A source fires at `usec` on its clock or later, and asks to be served before usec + accuracy: 0 stands for 250 ms,
 * and 1 is as exact as it gets. Unless a source of the same clock asks for an earlier one, the wake-up is put as late
 * as that allows; within the bounds at a moment that all processes of the machine choose, so that they wake up together
 * (one in a minute, else in 10 s, 1 s or 250 ms). So a source that has time should say so.
 *
 * Clocks: CLOCK_REALTIME (which may be set), CLOCK_MONOTONIC, CLOCK_BOOTTIME (which counts suspended time as well),
 * CLOCK_REALTIME_ALARM and CLOCK_BOOTTIME_ALARM (which wake a suspended machine). */

/* [221] `usec` is absolute: 0, and all that has passed, is due at once. UINT64_MAX is never.
 *
 * For a rhythm set the next time in the callback, counted from its argument rather than from now, and turn the source
 * on again. One that is ON and gets no new time fires in each iteration.
 *
 * -EINVAL: the accuracy is UINT64_MAX. -EOPNOTSUPP: no such clock here. -EPERM: ..._ALARM needs CAP_WAKE_ALARM. */
int sd_event_add_time(sd_event* e, sd_event_source** s, clockid_t clock, uint64_t usec, uint64_t accuracy,
                      sd_event_time_handler_t callback, void* userdata) _sd_noexcept_;

/* [247] `usec` from now on, and now is what sd_event_now() says. UINT64_MAX is never.
 *
 * Also -EOVERFLOW: that is beyond the end of time. */
int sd_event_add_time_relative(sd_event* e, sd_event_source** s, clockid_t clock, uint64_t usec, uint64_t accuracy,
                               sd_event_time_handler_t callback, void* userdata) _sd_noexcept_;

/* [221] The time that is set, always an absolute one. */
int sd_event_source_get_time(sd_event_source* s, uint64_t* ret) _sd_noexcept_;

/* [221] Another time, absolute. Drops a pending event, and turns nothing on. */
int sd_event_source_set_time(sd_event_source* s, uint64_t usec) _sd_noexcept_;

/* [247] The same, from now on; UINT64_MAX is never. -EOVERFLOW: that is beyond the end of time. */
int sd_event_source_set_time_relative(sd_event_source* s, uint64_t usec) _sd_noexcept_;

/* [221] The accuracy, 250000 where 0 was set. */
int sd_event_source_get_time_accuracy(sd_event_source* s, uint64_t* ret) _sd_noexcept_;

/* [221] Another accuracy, a span. Drops a pending event. -EINVAL: UINT64_MAX. */
int sd_event_source_set_time_accuracy(sd_event_source* s, uint64_t usec) _sd_noexcept_;

/* [221] The clock. */
int sd_event_source_get_time_clock(sd_event_source* s, clockid_t* ret) _sd_noexcept_;

/* ---- Signals: sd_event_add_signal(3) ----
 *
 * A signal must be blocked in all threads of the process, or it is handled as usual. It is taken from the kernel by
 * signalfd(2), one at a time for each priority, so that real-time signals keep their order and values. One that was
 * taken, and not dispatched when its source is turned OFF, is lost. */

/* [221] -EINVAL: no such signal. -EBUSY: the loop has a source for it already, or it is not blocked in this thread.
 * With SD_EVENT_SIGNAL_PROCMASK it is blocked if need be, and unblocked when the source is freed. */
int sd_event_add_signal(sd_event* e, sd_event_source** s, int sig, sd_event_signal_handler_t callback,
                        void* userdata) _sd_noexcept_;

/* [221] The signal. */
int sd_event_source_get_signal(sd_event_source* s) _sd_noexcept_;

/* ---- Child processes: sd_event_add_child(3) ----
 *
 * When the process has exited the callback is called while it is a zombie, and then it is reaped, whatever the callback
 * did; a stop or a continuation is taken as soon as it is seen. No other process is reaped. Nobody else should wait for
 * this one; if somebody did, a source with WEXITED fails with -ECHILD as if its callback had.
 *
 * An exit is seen by a pidfd (Linux 5.4), and needs no signal. Where those can't be had, and for WSTOPPED and
 * WCONTINUED, SIGCHLD must be blocked in all threads. */

/* [221] `options`: WEXITED, WSTOPPED, WCONTINUED, or several; [259] with WNOWAIT nothing is taken and nobody is reaped.
 *
 * -EINVAL: other options, or a PID that is not above 1. -ESRCH: no such process. -EBUSY: the loop has a source for it
 * already, or SIGCHLD is needed, and not blocked. -EBUSY: WEXITED
 * while SIGCHLD is ignored or has SA_NOCLDWAIT. */
int sd_event_add_child(sd_event* e, sd_event_source** s, pid_t pid, int options, sd_event_child_handler_t callback,
                       void* userdata) _sd_noexcept_;

/* [245] The same by a pidfd, which must stay open as long as the source is there. It stays the caller's.
 *
 * Also -EBADF: it is negative. -ENOTTY: it is no pidfd. -ESRCH: it is not open, or the process was reaped. */
int sd_event_add_child_pidfd(sd_event* e, sd_event_source** s, int pidfd, int options,
                             sd_event_child_handler_t callback, void* userdata) _sd_noexcept_;

/* [221] The PID. */
int sd_event_source_get_child_pid(sd_event_source* s, pid_t* ret) _sd_noexcept_;

/* [245] The pidfd, the one that was given where one was. -EOPNOTSUPP: there is none. */
int sd_event_source_get_child_pidfd(sd_event_source* s) _sd_noexcept_;

/* [245] Whether the source owns its pidfd: 1 at first by PID, 0 where the pidfd was given. */
int sd_event_source_get_child_pidfd_own(sd_event_source* s) _sd_noexcept_;

/* [245] If so, it is closed when the source is freed. */
int sd_event_source_set_child_pidfd_own(sd_event_source* s, int own) _sd_noexcept_;

/* [245] Whether the source owns the process (1) or not (0, at first). */
int sd_event_source_get_child_process_own(sd_event_source* s) _sd_noexcept_;

/* [245] If so, and it lives when the source is freed, it gets SIGKILL and is reaped, which that call waits for. */
int sd_event_source_set_child_process_own(sd_event_source* s, int own) _sd_noexcept_;

/* [245] Sends it a signal, which can't hit another process that got its PID later. `si`: as in rt_sigqueueinfo(2), may
 * be NULL. `flags`: of pidfd_send_signal(2), 0 in most cases.
 *
 * -EINVAL: no such signal, nor is 0 one, `si` is for another, or the kernel does not know a flag. -ESRCH: the process
 * has exited. -EPERM. */
#if defined _GNU_SOURCE || (defined _POSIX_C_SOURCE && _POSIX_C_SOURCE >= 199309L)
int sd_event_source_send_child_signal(sd_event_source* s, int sig, const siginfo_t* si, unsigned flags) _sd_noexcept_;
#else
int sd_event_source_send_child_signal(sd_event_source* s, int sig, const void* si, unsigned flags) _sd_noexcept_;
#endif

/* ---- Changes of files: sd_event_add_inotify(3) ----
 *
 * Sources for one inode share a watch of the kernel, but each gets only what it asked for; and in any case IN_IGNORED
 * (the inode is gone: nothing will come any more), IN_UNMOUNT and IN_Q_OVERFLOW (events were lost, whoever's they
 * were). Events come one a dispatch, in their order. One that no source which is not OFF wants is dropped.
 *
 * The priority can be changed until the next iteration begins; -EOPNOTSUPP after that. */

/* [239] `mask`: see inotify(7); without IN_MASK_ADD. With IN_ONESHOT the source is ONESHOT. `path` is copied. Whatever
 * becomes of it, the source belongs to the inode that it led to.
 *
 * -ENOENT, -ENOTDIR, -EACCES, ...: the path can't be followed, which is tried before anything else. -EINVAL: no path,
 * or not a mask. -EEXIST: IN_MASK_CREATE, and the inode is watched. -ENOSPC: too many watches. -ENOSYS: no /proc. */
int sd_event_add_inotify(sd_event* e, sd_event_source** s, const char* path, uint32_t mask,
                         sd_event_inotify_handler_t callback, void* userdata) _sd_noexcept_;

/* [250] The same for the inode of a descriptor (O_PATH is enough), which the source does not need any more then.
 *
 * Also -EBADF: it is negative or not open. */
int sd_event_add_inotify_fd(sd_event* e, sd_event_source** s, int fd, uint32_t mask,
                            sd_event_inotify_handler_t callback, void* userdata) _sd_noexcept_;

/* [239] The mask, as it was given. */
int sd_event_source_get_inotify_mask(sd_event_source* s, uint32_t* ret) _sd_noexcept_;

/* [256] The path of what is watched, absolute and without links; it is the source's. */
int sd_event_source_get_inotify_path(sd_event_source* s, const char** ret) _sd_noexcept_;

/* ---- Sources that need no event: sd_event_add_defer(3) ---- */

/* [221] Pending as long as it is not OFF: called soon, but not from here. */
int sd_event_add_defer(sd_event* e, sd_event_source** s, sd_event_handler_t callback, void* userdata) _sd_noexcept_;

/* [221] Pending whenever a source that is not a post source is dispatched: called after other work, if its priority is
 * bad enough that that comes first. */
int sd_event_add_post(sd_event* e, sd_event_source** s, sd_event_handler_t callback, void* userdata) _sd_noexcept_;

/* [221] Dispatched when the loop exits, see "The end". One that is ON keeps the loop from finishing until it is turned
 * OFF. -EINVAL: no callback. */
int sd_event_add_exit(sd_event* e, sd_event_source** s, sd_event_handler_t callback, void* userdata) _sd_noexcept_;

/* ---- Shortages: sd_event_add_memory_pressure(3) ----
 *
 * The kernel (PSI) measures for how long tasks had to wait for memory, CPU or I/O. A source fires when they did for
 * more than `threshold` microseconds in a window; at first, when some waited for 200000 in 2000000. It watches the
 * cgroup of the process, else the machine.
 *
 * If $MEMORY_PRESSURE_WATCH (CPU_..., IO_...) is set, it names what is watched: a file of the kernel, or a FIFO, a
 * device or a stream socket, where any input counts and is thrown away, 4 KiB at most a call. $MEMORY_PRESSURE_WRITE
 * is written there, Base64-decoded, before the first wait. Settings that the kernel refuses turn the source OFF, and
 * the loop goes on; a file that has gone away counts as a callback that failed. */

/* [254] `callback` NULL: sd_event_trim_memory().
 *
 * -EHOSTDOWN: the variable is empty or "/dev/null", so there shall be none. -EBADMSG: it is no absolute path, or not a
 * normalised one. -EPIPE, -ENAMETOOLONG, -EINVAL: the Base64 of the other ends too early, goes on after its padding, or
 * has a character that can't be there. -ENOENT, -EACCES, ...: it can't be opened. -EISDIR, -ENOTTY, -EBADF: it is
 * a directory, a file but not of the kernel, something else. -EOPNOTSUPP: not set, and the kernel does not measure. */
int sd_event_add_memory_pressure(sd_event* e, sd_event_source** s, sd_event_handler_t callback,
                                 void* userdata) _sd_noexcept_;

/* [261] `callback` NULL: nothing is done. */
int sd_event_add_cpu_pressure(sd_event* e, sd_event_source** s, sd_event_handler_t callback,
                              void* userdata) _sd_noexcept_;

/* [261] `callback` NULL: nothing is done. */
int sd_event_add_io_pressure(sd_event* e, sd_event_source** s, sd_event_handler_t callback,
                             void* userdata) _sd_noexcept_;

/* [254, 261, 261] "some": one task waited at least, "full": all of them at once. `type` is not kept. 1: that is new, 0:
 * it was so.
 *
 * -EBUSY: settings were written, which the first iteration does, or the variable rules. -EINVAL: another word. */
int sd_event_source_set_memory_pressure_type(sd_event_source* s, const char* type) _sd_noexcept_;
int sd_event_source_set_cpu_pressure_type(sd_event_source* s, const char* type) _sd_noexcept_;
int sd_event_source_set_io_pressure_type(sd_event_source* s, const char* type) _sd_noexcept_;

/* [254, 261, 261] The spans, in microseconds. Without privileges the window must be a multiple of 2 s. 1: they are new,
 * 0: they were so.
 *
 * -EBUSY: as before. -ERANGE: one of them is 0 or UINT64_MAX. -EINVAL: the threshold is larger than the window. */
int sd_event_source_set_memory_pressure_period(sd_event_source* s, uint64_t threshold_usec,
                                               uint64_t window_usec) _sd_noexcept_;
int sd_event_source_set_cpu_pressure_period(sd_event_source* s, uint64_t threshold_usec,
                                            uint64_t window_usec) _sd_noexcept_;
int sd_event_source_set_io_pressure_period(sd_event_source* s, uint64_t threshold_usec,
                                           uint64_t window_usec) _sd_noexcept_;

/* [254] Gives back to the system what memory malloc() keeps for later; may be called in any thread. */
int sd_event_trim_memory(void) _sd_noexcept_;

/* ---- The source as an object: sd_event_source_unref(3), sd_event_source_set_floating(3) ---- */

/* [221] One reference more. Returns the source; NULL for NULL. */
sd_event_source* sd_event_source_ref(sd_event_source* s) _sd_noexcept_;

/* [221] One reference less; with the last one the source leaves its loop at once, and is freed. NULL is no harm.
 * Returns NULL. As long as somebody else has a reference it goes on. */
sd_event_source* sd_event_source_unref(sd_event_source* s) _sd_noexcept_;

/* [243] The same, but OFF first, so that it does not go on. */
sd_event_source* sd_event_source_disable_unref(sd_event_source* s) _sd_noexcept_;

/* [240] Whether the source is floating: 1 or 0. */
int sd_event_source_get_floating(sd_event_source* s) _sd_noexcept_;

/* [240] A floating source belongs to its loop, and does not keep it; else it is kept by who has references, and keeps
 * the loop. With 1 the loop takes a reference of its own, so the caller still has to give back its own; with 0 the loop
 * drops that one, and the caller should have another. 1: that is new, 0: it was so. */
int sd_event_source_set_floating(sd_event_source* s, int b) _sd_noexcept_;

/* [221] The loop, NULL if it is gone, which it can be for a floating source. sd_event_source_get_event(3) */
sd_event* sd_event_source_get_event(sd_event_source* s) _sd_noexcept_;

/* [221] The userdata. sd_event_source_set_userdata(3) */
void* sd_event_source_get_userdata(sd_event_source* s) _sd_noexcept_;

/* [221] Another userdata, for all callbacks of the source. Returns the old one. */
void* sd_event_source_set_userdata(sd_event_source* s, void* userdata) _sd_noexcept_;

/* [239] A callback for the end, NULL for none. sd_event_source_set_destroy_callback(3) */
int sd_event_source_set_destroy_callback(sd_event_source* s, sd_event_destroy_t callback) _sd_noexcept_;

/* [239] 1: there is one, and `*ret` (`ret` may be NULL) gets it. 0: there is none. */
int sd_event_source_get_destroy_callback(sd_event_source* s, sd_event_destroy_t* ret) _sd_noexcept_;

/* [221] A text for who looks for a fault. It is copied; NULL for none. 1: it is new, 0: it was so.
 * sd_event_source_set_description(3) */
int sd_event_source_set_description(sd_event_source* s, const char* description) _sd_noexcept_;

/* [221] The text, which is the source's, and valid until it is changed. At first signal sources have the name ("USR1"),
 * inotify sources the path. -ENXIO: there is none. */
int sd_event_source_get_description(sd_event_source* s, const char** ret) _sd_noexcept_;

/* ---- What a source does: sd_event_source_set_enabled(3), ..._set_priority(3), ..._set_prepare(3) ---- */

/* [221] SD_EVENT_ON or SD_EVENT_ONESHOT: 1, SD_EVENT_OFF: 0. `*ret` (`ret` may be NULL) gets which. Without a source,
 * and with `ret` NULL, 0. */
int sd_event_source_get_enabled(sd_event_source* s, int* ret) _sd_noexcept_;

/* [221] SD_EVENT_OFF drops a pending event; it works on a finished loop, too, and NULL is no harm then. Between the
 * other two what is pending stays so. If the descriptor of an I/O source was closed while it was OFF, turning it on
 * fails, or the next iteration turns it OFF.
 *
 * -EINVAL: another value. -EBADF, -EPERM, -EEXIST: of I/O sources, see sd_event_add_io(). */
int sd_event_source_set_enabled(sd_event_source* s, int enabled) _sd_noexcept_;

/* [221] The priority. */
int sd_event_source_get_priority(sd_event_source* s, int64_t* ret) _sd_noexcept_;

/* [221] Another priority. What is pending stays so, and keeps its age. -EOPNOTSUPP: too late for an inotify source. */
int sd_event_source_set_priority(sd_event_source* s, int64_t priority) _sd_noexcept_;

/* [221] A callback for the begin of each iteration, NULL for none; it comes for a source that is not OFF, nor held back
 * by its rate limit, and not while the loop exits. It is the place to set up what the source shall wait for. A source
 * that becomes pending by it is dispatched in this very iteration, if it is the best. -EDOM: an exit source. */
int sd_event_source_set_prepare(sd_event_source* s, sd_event_handler_t callback) _sd_noexcept_;

/* [221] Whether its event was seen and not yet dispatched: 1 or 0. Defer sources: always 1. Exit sources: -EDOM.
 * sd_event_source_get_pending(3) */
int sd_event_source_get_pending(sd_event_source* s) _sd_noexcept_;

/* [247] Whether the loop exits when a callback of the source fails: 1 or 0. Exit sources: -EDOM.
 * sd_event_source_set_exit_on_failure(3) */
int sd_event_source_get_exit_on_failure(sd_event_source* s) _sd_noexcept_;

/* [247] If so, with what the callback returned as its code. 1: that is new, 0: it was so. Exit sources: -EDOM. */
int sd_event_source_set_exit_on_failure(sd_event_source* s, int b) _sd_noexcept_;

/* ---- Rate limits: sd_event_source_set_ratelimit(3) ----
 *
 * Of I/O, time, signal, inotify, defer and pressure sources; -EDOM for others. An interval begins with a dispatch.
 * After `burst` dispatches the next one that is due within the interval is not made: the source is held back, which
 * costs no wake-ups, and keeps its event until the interval is over. Then, exactly, it is back, and the next dispatch
 * begins another interval. ON, ONESHOT and OFF are another matter, and remain. */

/* [248] `interval_usec` or `burst` 0: no limit, as at first. A source that is held back comes back. */
int sd_event_source_set_ratelimit(sd_event_source* s, uint64_t interval_usec, unsigned burst) _sd_noexcept_;

/* [248] Each pointer may be NULL. -ENOEXEC: there is no limit. */
int sd_event_source_get_ratelimit(sd_event_source* s, uint64_t* ret_interval_usec, unsigned* ret_burst) _sd_noexcept_;

/* [248] Whether the source is held back: 1 or 0. Of every kind. */
int sd_event_source_is_ratelimited(sd_event_source* s) _sd_noexcept_;

/* [254] Ends that now, without the callback below, and counts from 0. 1: it was held back, 0: it was not. */
int sd_event_source_leave_ratelimit(sd_event_source* s) _sd_noexcept_;

/* [250] A callback for when an interval is over and the source is back, NULL for none. It is called by prepare
 * or wait, where the state of the loop need not keep it from running the loop: it must not. Of every kind. */
int sd_event_source_set_ratelimit_expire_callback(sd_event_source* s, sd_event_handler_t callback) _sd_noexcept_;

/* ---- sd_event_unrefp(), sd_event_source_unrefp(), sd_event_source_disable_unrefp() ----
 *
 * For __attribute__((cleanup(...))): each gets the address of a pointer; the pointer may be NULL. */

_SD_DEFINE_POINTER_CLEANUP_FUNC(sd_event, sd_event_unref);
_SD_DEFINE_POINTER_CLEANUP_FUNC(sd_event_source, sd_event_source_unref);
_SD_DEFINE_POINTER_CLEANUP_FUNC(sd_event_source, sd_event_source_disable_unref);

_SD_END_DECLARATIONS;

#endif
