// SPDX-License-Identifier: MIT
//
// Every sd_event function of release 252 has the type that it had there, in the header and in the library.
//
// Each function is declared here once more: a header that says otherwise does not compile. Then its address is taken
// from the library that the program runs with, so a function that is not exported does not link, or not load.
// Parameter names are those of the documentation where they tell something. Nothing is called.
#define _GNU_SOURCE 1
#include <stdio.h>
#include <systemd/sd-event.h>

// clang-format off
int sd_event_default(sd_event **);
int sd_event_new(sd_event **);
sd_event* sd_event_ref(sd_event *);
sd_event* sd_event_unref(sd_event *);
int sd_event_add_io(sd_event *, sd_event_source **, int fd, uint32_t events, sd_event_io_handler_t, void *);
int sd_event_add_time(sd_event *, sd_event_source **, clockid_t, uint64_t usec, uint64_t accuracy,
                      sd_event_time_handler_t, void *);
int sd_event_add_signal(sd_event *, sd_event_source **, int sig, sd_event_signal_handler_t, void *);
int sd_event_add_child(sd_event *, sd_event_source **, pid_t, int options, sd_event_child_handler_t, void *);
int sd_event_add_defer(sd_event *, sd_event_source **, sd_event_handler_t, void *);
int sd_event_add_post(sd_event *, sd_event_source **, sd_event_handler_t, void *);
int sd_event_add_exit(sd_event *, sd_event_source **, sd_event_handler_t, void *);
int sd_event_prepare(sd_event *);
int sd_event_wait(sd_event *, uint64_t timeout_usec);
int sd_event_dispatch(sd_event *);
int sd_event_run(sd_event *, uint64_t timeout_usec);
int sd_event_loop(sd_event *);
int sd_event_exit(sd_event *, int code);
int sd_event_now(sd_event *, clockid_t, uint64_t *ret_usec);
int sd_event_get_fd(sd_event *);
int sd_event_get_state(sd_event *);
int sd_event_get_tid(sd_event *, pid_t *);
int sd_event_get_exit_code(sd_event *, int *);
int sd_event_set_watchdog(sd_event *, int b);
int sd_event_get_watchdog(sd_event *);
sd_event_source* sd_event_source_ref(sd_event_source *);
sd_event_source* sd_event_source_unref(sd_event_source *);
sd_event* sd_event_source_get_event(sd_event_source *);
void* sd_event_source_get_userdata(sd_event_source *);
void* sd_event_source_set_userdata(sd_event_source *, void *);
int sd_event_source_set_description(sd_event_source *, const char *);
int sd_event_source_get_description(sd_event_source *, const char **);
int sd_event_source_set_prepare(sd_event_source *, sd_event_handler_t);
int sd_event_source_get_pending(sd_event_source *);
int sd_event_source_get_priority(sd_event_source *, int64_t *);
int sd_event_source_set_priority(sd_event_source *, int64_t);
int sd_event_source_get_enabled(sd_event_source *, int *);
int sd_event_source_set_enabled(sd_event_source *, int);
int sd_event_source_get_io_fd(sd_event_source *);
int sd_event_source_set_io_fd(sd_event_source *, int);
int sd_event_source_get_io_events(sd_event_source *, uint32_t *);
int sd_event_source_set_io_events(sd_event_source *, uint32_t);
int sd_event_source_get_io_revents(sd_event_source *, uint32_t *);
int sd_event_source_get_time(sd_event_source *, uint64_t *);
int sd_event_source_set_time(sd_event_source *, uint64_t);
int sd_event_source_get_time_accuracy(sd_event_source *, uint64_t *);
int sd_event_source_set_time_accuracy(sd_event_source *, uint64_t);
int sd_event_source_get_time_clock(sd_event_source *, clockid_t *);
int sd_event_source_get_signal(sd_event_source *);
int sd_event_source_get_child_pid(sd_event_source *, pid_t *);
int sd_event_get_iteration(sd_event *, uint64_t *);
int sd_event_source_get_io_fd_own(sd_event_source *);
int sd_event_source_set_io_fd_own(sd_event_source *, int own);
int sd_event_add_inotify(sd_event *, sd_event_source **, const char *path, uint32_t mask, sd_event_inotify_handler_t,
                         void *);
int sd_event_source_get_inotify_mask(sd_event_source *, uint32_t *);
int sd_event_source_set_destroy_callback(sd_event_source *, sd_event_destroy_t);
int sd_event_source_get_destroy_callback(sd_event_source *, sd_event_destroy_t *);
int sd_event_source_get_floating(sd_event_source *);
int sd_event_source_set_floating(sd_event_source *, int b);
sd_event_source* sd_event_source_disable_unref(sd_event_source *);
int sd_event_add_child_pidfd(sd_event *, sd_event_source **, int pidfd, int options, sd_event_child_handler_t, void *);
int sd_event_source_get_child_pidfd(sd_event_source *);
int sd_event_source_get_child_pidfd_own(sd_event_source *);
int sd_event_source_set_child_pidfd_own(sd_event_source *, int own);
int sd_event_source_get_child_process_own(sd_event_source *);
int sd_event_source_set_child_process_own(sd_event_source *, int own);
int sd_event_source_send_child_signal(sd_event_source *, int sig, const siginfo_t *, unsigned flags);
int sd_event_add_time_relative(sd_event *, sd_event_source **, clockid_t, uint64_t usec, uint64_t accuracy,
                               sd_event_time_handler_t, void *);
int sd_event_source_set_time_relative(sd_event_source *, uint64_t);
int sd_event_source_get_exit_on_failure(sd_event_source *);
int sd_event_source_set_exit_on_failure(sd_event_source *, int b);
int sd_event_source_set_ratelimit(sd_event_source *, uint64_t interval_usec, unsigned burst);
int sd_event_source_get_ratelimit(sd_event_source *, uint64_t *ret_interval_usec, unsigned *ret_burst);
int sd_event_source_is_ratelimited(sd_event_source *);
int sd_event_add_inotify_fd(sd_event *, sd_event_source **, int fd, uint32_t mask, sd_event_inotify_handler_t, void *);
int sd_event_source_set_ratelimit_expire_callback(sd_event_source *, sd_event_handler_t);
int sd_event_set_signal_exit(sd_event *, int b);
// clang-format on

typedef void (*AnyFunction)(void);

#define FUNCTION(f) \
  { #f, (AnyFunction)f }

static const struct {
  const char* name;
  AnyFunction function;
} kFunctions[] = {
    FUNCTION(sd_event_default),
    FUNCTION(sd_event_new),
    FUNCTION(sd_event_ref),
    FUNCTION(sd_event_unref),
    FUNCTION(sd_event_add_io),
    FUNCTION(sd_event_add_time),
    FUNCTION(sd_event_add_signal),
    FUNCTION(sd_event_add_child),
    FUNCTION(sd_event_add_defer),
    FUNCTION(sd_event_add_post),
    FUNCTION(sd_event_add_exit),
    FUNCTION(sd_event_prepare),
    FUNCTION(sd_event_wait),
    FUNCTION(sd_event_dispatch),
    FUNCTION(sd_event_run),
    FUNCTION(sd_event_loop),
    FUNCTION(sd_event_exit),
    FUNCTION(sd_event_now),
    FUNCTION(sd_event_get_fd),
    FUNCTION(sd_event_get_state),
    FUNCTION(sd_event_get_tid),
    FUNCTION(sd_event_get_exit_code),
    FUNCTION(sd_event_set_watchdog),
    FUNCTION(sd_event_get_watchdog),
    FUNCTION(sd_event_source_ref),
    FUNCTION(sd_event_source_unref),
    FUNCTION(sd_event_source_get_event),
    FUNCTION(sd_event_source_get_userdata),
    FUNCTION(sd_event_source_set_userdata),
    FUNCTION(sd_event_source_set_description),
    FUNCTION(sd_event_source_get_description),
    FUNCTION(sd_event_source_set_prepare),
    FUNCTION(sd_event_source_get_pending),
    FUNCTION(sd_event_source_get_priority),
    FUNCTION(sd_event_source_set_priority),
    FUNCTION(sd_event_source_get_enabled),
    FUNCTION(sd_event_source_set_enabled),
    FUNCTION(sd_event_source_get_io_fd),
    FUNCTION(sd_event_source_set_io_fd),
    FUNCTION(sd_event_source_get_io_events),
    FUNCTION(sd_event_source_set_io_events),
    FUNCTION(sd_event_source_get_io_revents),
    FUNCTION(sd_event_source_get_time),
    FUNCTION(sd_event_source_set_time),
    FUNCTION(sd_event_source_get_time_accuracy),
    FUNCTION(sd_event_source_set_time_accuracy),
    FUNCTION(sd_event_source_get_time_clock),
    FUNCTION(sd_event_source_get_signal),
    FUNCTION(sd_event_source_get_child_pid),
    FUNCTION(sd_event_get_iteration),
    FUNCTION(sd_event_source_get_io_fd_own),
    FUNCTION(sd_event_source_set_io_fd_own),
    FUNCTION(sd_event_add_inotify),
    FUNCTION(sd_event_source_get_inotify_mask),
    FUNCTION(sd_event_source_set_destroy_callback),
    FUNCTION(sd_event_source_get_destroy_callback),
    FUNCTION(sd_event_source_get_floating),
    FUNCTION(sd_event_source_set_floating),
    FUNCTION(sd_event_source_disable_unref),
    FUNCTION(sd_event_add_child_pidfd),
    FUNCTION(sd_event_source_get_child_pidfd),
    FUNCTION(sd_event_source_get_child_pidfd_own),
    FUNCTION(sd_event_source_set_child_pidfd_own),
    FUNCTION(sd_event_source_get_child_process_own),
    FUNCTION(sd_event_source_set_child_process_own),
    FUNCTION(sd_event_source_send_child_signal),
    FUNCTION(sd_event_add_time_relative),
    FUNCTION(sd_event_source_set_time_relative),
    FUNCTION(sd_event_source_get_exit_on_failure),
    FUNCTION(sd_event_source_set_exit_on_failure),
    FUNCTION(sd_event_source_set_ratelimit),
    FUNCTION(sd_event_source_get_ratelimit),
    FUNCTION(sd_event_source_is_ratelimited),
    FUNCTION(sd_event_add_inotify_fd),
    FUNCTION(sd_event_source_set_ratelimit_expire_callback),
    FUNCTION(sd_event_set_signal_exit),
};

int main(void) {
  int missing = 0;
  for (size_t i = 0; i < sizeof(kFunctions) / sizeof(kFunctions[0]); i++)
    if (!kFunctions[i].function) {
      fprintf(stderr, "missing: %s\n", kFunctions[i].name);
      missing++;
    }
  return missing ? 1 : 0;
}
