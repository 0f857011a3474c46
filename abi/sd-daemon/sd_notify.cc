// SPDX-License-Identifier: MIT
//
// sd_notify and family, sd_watchdog_enabled: the C promises over src/notify.h.
//
// Idea: each function makes one message of its arguments and hands it to the engine. The forms with a format are the
// only ones that allocate: the text, for the length of the call.
//
// Invariants:
//  1. $NOTIFY_SOCKET (or the watchdog's two variables) is gone at return if that was asked for, whatever happened.
//  2. Arguments that no manager could make sense of fail before the environment is looked at.
//  3. `%m` in a format means the errno of the caller: nothing here touches it before the text is made, or at all.
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "abi/export.h"
#include "abi/sd-daemon/environment.h"
#include "include/systemd/sd-daemon.h"
#include "src/notify.h"

namespace {

using evenkeel::NotifyMessage;
using evenkeel::sd_daemon::UnsetAtReturn;

int send(const NotifyMessage& message) {
  if (!message.state || (!message.fds.data() && !message.fds.empty())) return -EINVAL;
  return evenkeel::notify(message);
}

// `message` but for its text.
int send_formatted(NotifyMessage message, const char* format, va_list arguments) {
  if (!format) return -EINVAL;
  const int saved = errno;
  char* text = nullptr;
  if (::vasprintf(&text, format, arguments) < 0) {
    errno = saved;
    return -ENOMEM;
  }
  message.state = text;
  const int r = send(message);
  ::free(text);
  errno = saved;
  return r;
}

}  // namespace

extern "C" {

EVENKEEL_PUBLIC int sd_notify(int unset_environment, const char* state) noexcept {
  const UnsetAtReturn unset(unset_environment, "NOTIFY_SOCKET");
  return send({.state = state});
}

EVENKEEL_PUBLIC int sd_pid_notify(pid_t pid, int unset_environment, const char* state) noexcept {
  const UnsetAtReturn unset(unset_environment, "NOTIFY_SOCKET");
  return send({.state = state, .pid = pid});
}

EVENKEEL_PUBLIC int sd_pid_notify_with_fds(pid_t pid, int unset_environment, const char* state, const int* fds,
                                           unsigned n_fds) noexcept {
  const UnsetAtReturn unset(unset_environment, "NOTIFY_SOCKET");
  return send({.state = state, .pid = pid, .fds = {fds, n_fds}});
}

EVENKEEL_PUBLIC int sd_notifyf(int unset_environment, const char* format, ...) noexcept {
  const UnsetAtReturn unset(unset_environment, "NOTIFY_SOCKET");
  va_list arguments;
  va_start(arguments, format);
  const int r = send_formatted({.state = nullptr}, format, arguments);
  va_end(arguments);
  return r;
}

EVENKEEL_PUBLIC int sd_pid_notifyf(pid_t pid, int unset_environment, const char* format, ...) noexcept {
  const UnsetAtReturn unset(unset_environment, "NOTIFY_SOCKET");
  va_list arguments;
  va_start(arguments, format);
  const int r = send_formatted({.state = nullptr, .pid = pid}, format, arguments);
  va_end(arguments);
  return r;
}

EVENKEEL_PUBLIC int sd_pid_notifyf_with_fds(pid_t pid, int unset_environment, const int* fds, size_t n_fds,
                                            const char* format, ...) noexcept {
  const UnsetAtReturn unset(unset_environment, "NOTIFY_SOCKET");
  va_list arguments;
  va_start(arguments, format);
  const int r = send_formatted({.state = nullptr, .pid = pid, .fds = {fds, n_fds}}, format, arguments);
  va_end(arguments);
  return r;
}

EVENKEEL_PUBLIC int sd_notify_barrier(int unset_environment, uint64_t timeout_usec) noexcept {
  const UnsetAtReturn unset(unset_environment, "NOTIFY_SOCKET");
  return evenkeel::notify_barrier(0, timeout_usec);
}

EVENKEEL_PUBLIC int sd_pid_notify_barrier(pid_t pid, int unset_environment, uint64_t timeout_usec) noexcept {
  const UnsetAtReturn unset(unset_environment, "NOTIFY_SOCKET");
  return evenkeel::notify_barrier(pid, timeout_usec);
}

EVENKEEL_PUBLIC int sd_watchdog_enabled(int unset_environment, uint64_t* ret_usec) noexcept {
  const UnsetAtReturn unset(unset_environment, "WATCHDOG_USEC", "WATCHDOG_PID");
  evenkeel::Usec usec = 0;
  const int r = evenkeel::watchdog_enabled(&usec);
  if (r > 0 && ret_usec) *ret_usec = usec;
  return r;
}

}  // extern "C"
