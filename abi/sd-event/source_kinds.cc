// SPDX-License-Identifier: MIT
//
// What only sources of one kind have; -EDOM for the others. See handles.h.
#include "abi/sd-event/handles.h"
#include "src/io_source.h"
#include "src/time_source.h"

using namespace evenkeel;
using namespace evenkeel::sd;

extern "C" {

EVENKEEL_PUBLIC int sd_event_source_get_io_fd(sd_event_source* s) noexcept {
  IoSource* source = nullptr;
  RETURN_IF_ERROR(find(s, Kind::kIo, &source));
  RETURN_IF_ERROR(not_forked(*source));
  return source->fd();
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_source_get_io_fd);

EVENKEEL_PUBLIC int sd_event_source_set_io_fd(sd_event_source* s, int fd) noexcept {
  if (s && fd < 0) return -EBADF;
  IoSource* source = nullptr;
  RETURN_IF_ERROR(find(s, Kind::kIo, &source));
  RETURN_IF_ERROR(not_forked(*source));
  if (!source->connected()) return -ESTALE;
  return source->set_fd(fd);
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_source_set_io_fd);

EVENKEEL_PUBLIC int sd_event_source_get_io_fd_own(sd_event_source* s) noexcept {
  IoSource* source = nullptr;
  RETURN_IF_ERROR(find(s, Kind::kIo, &source));
  RETURN_IF_ERROR(not_forked(*source));
  return source->own_fd();
}
EVENKEEL_SINCE(LIBSYSTEMD_237, sd_event_source_get_io_fd_own);

EVENKEEL_PUBLIC int sd_event_source_set_io_fd_own(sd_event_source* s, int own) noexcept {
  IoSource* source = nullptr;
  RETURN_IF_ERROR(find(s, Kind::kIo, &source));
  RETURN_IF_ERROR(not_forked(*source));
  source->set_own_fd(own != 0);
  return 0;
}
EVENKEEL_SINCE(LIBSYSTEMD_237, sd_event_source_set_io_fd_own);

EVENKEEL_PUBLIC int sd_event_source_get_io_events(sd_event_source* s, uint32_t* ret) noexcept {
  if (!ret) return -EINVAL;
  IoSource* source = nullptr;
  RETURN_IF_ERROR(find(s, Kind::kIo, &source));
  RETURN_IF_ERROR(not_forked(*source));
  *ret = source->events();
  return 0;
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_source_get_io_events);

EVENKEEL_PUBLIC int sd_event_source_set_io_events(sd_event_source* s, uint32_t events) noexcept {
  IoSource* source = nullptr;
  RETURN_IF_ERROR(find(s, Kind::kIo, &source));
  if ((events & ~IoSource::kEvents) != 0) return -EINVAL;
  RETURN_IF_ERROR(usable(*source));
  return source->set_events(events);
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_source_set_io_events);

EVENKEEL_PUBLIC int sd_event_source_get_io_revents(sd_event_source* s, uint32_t* ret) noexcept {
  if (!ret) return -EINVAL;
  IoSource* source = nullptr;
  RETURN_IF_ERROR(find(s, Kind::kIo, &source));
  RETURN_IF_ERROR(not_forked(*source));
  if (source->connected()) source->loop()->look();
  if (!source->has_event()) return -ENODATA;
  *ret = source->revents();
  return 0;
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_source_get_io_revents);

EVENKEEL_PUBLIC int sd_event_source_get_time(sd_event_source* s, uint64_t* ret) noexcept {
  if (!ret) return -EINVAL;
  TimeSource* source = nullptr;
  RETURN_IF_ERROR(find(s, Kind::kTime, &source));
  RETURN_IF_ERROR(not_forked(*source));
  *ret = source->time();
  return 0;
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_source_get_time);

EVENKEEL_PUBLIC int sd_event_source_set_time(sd_event_source* s, uint64_t usec) noexcept {
  TimeSource* source = nullptr;
  RETURN_IF_ERROR(find(s, Kind::kTime, &source));
  RETURN_IF_ERROR(usable(*source));
  source->set_time(usec);
  return 0;
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_source_set_time);

EVENKEEL_PUBLIC int sd_event_source_set_time_relative(sd_event_source* s, uint64_t usec) noexcept {
  TimeSource* source = nullptr;
  RETURN_IF_ERROR(find(s, Kind::kTime, &source));
  RETURN_IF_ERROR(not_forked(*source));
  if (usec == kForever) return sd_event_source_set_time(s, usec);
  if (!source->connected()) return -ESTALE;
  RETURN_IF_ERROR(source->loop()->add_to_now(source->clock_id(), usec, &usec));
  return sd_event_source_set_time(s, usec);
}
EVENKEEL_SINCE(LIBSYSTEMD_247, sd_event_source_set_time_relative);

EVENKEEL_PUBLIC int sd_event_source_get_time_accuracy(sd_event_source* s, uint64_t* ret) noexcept {
  if (!ret) return -EINVAL;
  TimeSource* source = nullptr;
  RETURN_IF_ERROR(find(s, Kind::kTime, &source));
  RETURN_IF_ERROR(not_forked(*source));
  *ret = source->accuracy();
  return 0;
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_source_get_time_accuracy);

EVENKEEL_PUBLIC int sd_event_source_set_time_accuracy(sd_event_source* s, uint64_t usec) noexcept {
  if (usec == kForever) return -EINVAL;
  TimeSource* source = nullptr;
  RETURN_IF_ERROR(find(s, Kind::kTime, &source));
  RETURN_IF_ERROR(usable(*source));
  source->set_accuracy(usec);
  return 0;
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_source_set_time_accuracy);

EVENKEEL_PUBLIC int sd_event_source_get_time_clock(sd_event_source* s, clockid_t* ret) noexcept {
  if (!ret) return -EINVAL;
  TimeSource* source = nullptr;
  RETURN_IF_ERROR(find(s, Kind::kTime, &source));
  RETURN_IF_ERROR(not_forked(*source));
  *ret = source->clock_id();
  return 0;
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_source_get_time_clock);

EVENKEEL_PUBLIC int sd_event_source_get_signal(sd_event_source* s) noexcept {
  SignalSource* source = nullptr;
  RETURN_IF_ERROR(find(s, Kind::kSignal, &source));
  RETURN_IF_ERROR(not_forked(*source));
  return source->signo();
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_source_get_signal);

EVENKEEL_PUBLIC int sd_event_source_get_child_pid(sd_event_source* s, pid_t* ret) noexcept {
  if (!ret) return -EINVAL;
  ChildSource* source = nullptr;
  RETURN_IF_ERROR(find(s, Kind::kChild, &source));
  RETURN_IF_ERROR(not_forked(*source));
  *ret = source->pid();
  return 0;
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_source_get_child_pid);

EVENKEEL_PUBLIC int sd_event_source_get_child_pidfd(sd_event_source* s) noexcept {
  ChildSource* source = nullptr;
  RETURN_IF_ERROR(find(s, Kind::kChild, &source));
  RETURN_IF_ERROR(not_forked(*source));
  return source->pidfd() < 0 ? -EOPNOTSUPP : source->pidfd();
}
EVENKEEL_SINCE(LIBSYSTEMD_245, sd_event_source_get_child_pidfd);

EVENKEEL_PUBLIC int sd_event_source_get_child_pidfd_own(sd_event_source* s) noexcept {
  ChildSource* source = nullptr;
  RETURN_IF_ERROR(find(s, Kind::kChild, &source));
  RETURN_IF_ERROR(not_forked(*source));
  return source->pidfd() < 0 ? -EOPNOTSUPP : source->own_pidfd();
}
EVENKEEL_SINCE(LIBSYSTEMD_245, sd_event_source_get_child_pidfd_own);

EVENKEEL_PUBLIC int sd_event_source_set_child_pidfd_own(sd_event_source* s, int own) noexcept {
  ChildSource* source = nullptr;
  RETURN_IF_ERROR(find(s, Kind::kChild, &source));
  RETURN_IF_ERROR(not_forked(*source));
  if (source->pidfd() < 0) return -EOPNOTSUPP;
  source->set_own_pidfd(own != 0);
  return 0;
}
EVENKEEL_SINCE(LIBSYSTEMD_245, sd_event_source_set_child_pidfd_own);

EVENKEEL_PUBLIC int sd_event_source_get_child_process_own(sd_event_source* s) noexcept {
  ChildSource* source = nullptr;
  RETURN_IF_ERROR(find(s, Kind::kChild, &source));
  RETURN_IF_ERROR(not_forked(*source));
  return source->own_process();
}
EVENKEEL_SINCE(LIBSYSTEMD_245, sd_event_source_get_child_process_own);

EVENKEEL_PUBLIC int sd_event_source_set_child_process_own(sd_event_source* s, int own) noexcept {
  ChildSource* source = nullptr;
  RETURN_IF_ERROR(find(s, Kind::kChild, &source));
  RETURN_IF_ERROR(not_forked(*source));
  source->set_own_process(own != 0);
  return 0;
}
EVENKEEL_SINCE(LIBSYSTEMD_245, sd_event_source_set_child_process_own);

EVENKEEL_PUBLIC int sd_event_source_send_child_signal(sd_event_source* s, int sig, const siginfo_t* si,
                                                      unsigned flags) noexcept {
  ChildSource* source = nullptr;
  RETURN_IF_ERROR(find(s, Kind::kChild, &source));
  RETURN_IF_ERROR(not_forked(*source));
  if (sig <= 0 || sig >= _NSIG) return -EINVAL;
  return source->send_signal(sig, si, flags);
}
EVENKEEL_SINCE(LIBSYSTEMD_245, sd_event_source_send_child_signal);

EVENKEEL_PUBLIC int sd_event_source_get_inotify_mask(sd_event_source* s, uint32_t* ret) noexcept {
  if (!ret) return -EINVAL;
  InotifySource* source = nullptr;
  RETURN_IF_ERROR(find(s, Kind::kInotify, &source));
  RETURN_IF_ERROR(not_forked(*source));
  *ret = source->mask();
  return 0;
}
EVENKEEL_SINCE(LIBSYSTEMD_239, sd_event_source_get_inotify_mask);

EVENKEEL_PUBLIC int sd_event_source_get_inotify_path(sd_event_source* s, const char** ret) noexcept {
  if (!ret) return -EINVAL;
  InotifySource* source = nullptr;
  RETURN_IF_ERROR(find(s, Kind::kInotify, &source));
  RETURN_IF_ERROR(not_forked(*source));
  *ret = source->path();
  return 0;
}
EVENKEEL_SINCE(LIBSYSTEMD_256, sd_event_source_get_inotify_path);

}  // extern "C"
