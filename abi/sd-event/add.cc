// SPDX-License-Identifier: MIT
//
// Adding sources: one function a kind. See handles.h.
#include "abi/sd-event/handles.h"
#include "src/io_source.h"
#include "src/kernel.h"
#include "src/time_source.h"

using namespace evenkeel;
using namespace evenkeel::sd;

static int add_inotify(sd_event* e, sd_event_source** ret, int fd, const char* path, uint32_t mask,
                       sd_event_inotify_handler_t callback, void* userdata) {
  Loop* loop = nullptr;
  RETURN_IF_ERROR(find(e, &loop));
  RETURN_IF_ERROR(usable(*loop));
  if ((mask & IN_MASK_ADD) != 0) return -EINVAL;
  return InotifySource::add(*loop, to_source(ret), fd, path, mask, callback_cast<InotifySource::Callback>(callback),
                            userdata);
}

extern "C" {

EVENKEEL_PUBLIC int sd_event_add_io(sd_event* e, sd_event_source** ret, int fd, uint32_t events,
                                    sd_event_io_handler_t callback, void* userdata) noexcept {
  Loop* loop = nullptr;
  RETURN_IF_ERROR(find(e, &loop));
  if (fd < 0) return -EBADF;
  if ((events & ~IoSource::kEvents) != 0) return -EINVAL;
  RETURN_IF_ERROR(usable(*loop));
  return IoSource::add(*loop, to_source(ret), fd, events, callback_cast<IoSource::Callback>(callback), userdata);
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_add_io);

EVENKEEL_PUBLIC int sd_event_add_time(sd_event* e, sd_event_source** ret, clockid_t clock, uint64_t usec,
                                      uint64_t accuracy, sd_event_time_handler_t callback, void* userdata) noexcept {
  Loop* loop = nullptr;
  RETURN_IF_ERROR(find(e, &loop));
  if (accuracy == kForever) return -EINVAL;
  RETURN_IF_ERROR(usable(*loop));
  return TimeSource::add(*loop, to_source(ret), clock, usec, accuracy, callback_cast<TimeSource::Callback>(callback),
                         userdata);
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_add_time);

EVENKEEL_PUBLIC int sd_event_add_time_relative(sd_event* e, sd_event_source** ret, clockid_t clock, uint64_t usec,
                                               uint64_t accuracy, sd_event_time_handler_t callback,
                                               void* userdata) noexcept {
  Loop* loop = nullptr;
  RETURN_IF_ERROR(find(e, &loop));
  RETURN_IF_ERROR(not_forked(*loop));
  if (!loop->clocks().find(clock)) return -EOPNOTSUPP;
  RETURN_IF_ERROR(loop->add_to_now(clock, usec, &usec));
  return sd_event_add_time(e, ret, clock, usec, accuracy, callback, userdata);
}
EVENKEEL_SINCE(LIBSYSTEMD_247, sd_event_add_time_relative);

EVENKEEL_PUBLIC int sd_event_add_signal(sd_event* e, sd_event_source** ret, int sig, sd_event_signal_handler_t callback,
                                        void* userdata) noexcept {
  Loop* loop = nullptr;
  RETURN_IF_ERROR(find(e, &loop));
  RETURN_IF_ERROR(usable(*loop));
  return SignalSource::add(*loop, to_source(ret), sig, callback_cast<SignalSource::Callback>(callback), userdata);
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_add_signal);

EVENKEEL_PUBLIC int sd_event_add_child(sd_event* e, sd_event_source** ret, pid_t pid, int options,
                                       sd_event_child_handler_t callback, void* userdata) noexcept {
  Loop* loop = nullptr;
  RETURN_IF_ERROR(find(e, &loop));
  if (pid <= 1 || !ChildSource::valid(options)) return -EINVAL;
  RETURN_IF_ERROR(usable(*loop));
  return ChildSource::add(*loop, to_source(ret), pid, options, callback_cast<ChildSource::Callback>(callback),
                          userdata);
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_add_child);

EVENKEEL_PUBLIC int sd_event_add_child_pidfd(sd_event* e, sd_event_source** ret, int pidfd, int options,
                                             sd_event_child_handler_t callback, void* userdata) noexcept {
  Loop* loop = nullptr;
  RETURN_IF_ERROR(find(e, &loop));
  if (pidfd < 0) return -EBADF;
  if (!ChildSource::valid(options)) return -EINVAL;
  RETURN_IF_ERROR(usable(*loop));
  return ChildSource::add_pidfd(*loop, to_source(ret), pidfd, options, callback_cast<ChildSource::Callback>(callback),
                                userdata);
}
EVENKEEL_SINCE(LIBSYSTEMD_245, sd_event_add_child_pidfd);

EVENKEEL_PUBLIC int sd_event_add_inotify(sd_event* e, sd_event_source** ret, const char* path, uint32_t mask,
                                         sd_event_inotify_handler_t callback, void* userdata) noexcept {
  if (!path) return -EINVAL;
  // The path is looked at before the loop is: what can't be opened is reported first.
  const int fd = InotifySource::open_path(path, mask);
  if (fd < 0) return fd;
  const int r = add_inotify(e, ret, fd, path, mask, callback, userdata);
  (void)kernel::close(fd);
  return r;
}
EVENKEEL_SINCE(LIBSYSTEMD_239, sd_event_add_inotify);

EVENKEEL_PUBLIC int sd_event_add_inotify_fd(sd_event* e, sd_event_source** ret, int fd, uint32_t mask,
                                            sd_event_inotify_handler_t callback, void* userdata) noexcept {
  Loop* loop = nullptr;
  RETURN_IF_ERROR(find(e, &loop));
  if (fd < 0) return -EBADF;
  return add_inotify(e, ret, fd, nullptr, mask, callback, userdata);
}
EVENKEEL_SINCE(LIBSYSTEMD_250, sd_event_add_inotify_fd);

EVENKEEL_PUBLIC int sd_event_add_defer(sd_event* e, sd_event_source** ret, sd_event_handler_t callback,
                                       void* userdata) noexcept {
  Loop* loop = nullptr;
  RETURN_IF_ERROR(find(e, &loop));
  RETURN_IF_ERROR(usable(*loop));
  return DeferSource::add(*loop, to_source(ret), callback_cast<Source::Handler>(callback), userdata);
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_add_defer);

EVENKEEL_PUBLIC int sd_event_add_post(sd_event* e, sd_event_source** ret, sd_event_handler_t callback,
                                      void* userdata) noexcept {
  Loop* loop = nullptr;
  RETURN_IF_ERROR(find(e, &loop));
  RETURN_IF_ERROR(usable(*loop));
  return PostSource::add(*loop, to_source(ret), callback_cast<Source::Handler>(callback), userdata);
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_add_post);

EVENKEEL_PUBLIC int sd_event_add_exit(sd_event* e, sd_event_source** ret, sd_event_handler_t callback,
                                      void* userdata) noexcept {
  Loop* loop = nullptr;
  RETURN_IF_ERROR(find(e, &loop));
  if (!callback) return -EINVAL;
  RETURN_IF_ERROR(usable(*loop));
  return ExitSource::add(*loop, to_source(ret), callback_cast<Source::Handler>(callback), userdata);
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_add_exit);

}  // extern "C"
