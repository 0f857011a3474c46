// SPDX-License-Identifier: MIT
//
// The loop: references, steps, exit, and what can be asked of it. See handles.h.
#include <poll.h>

#include "abi/sd-event/handles.h"

using namespace evenkeel;
using namespace evenkeel::sd;

// How the caller is to wait: null for the whole thread.
#ifdef EVENKEEL_SHARED_LIBRARY
// Functions of libsystemd-shared from release 262 on, where several stacks share a thread. Where that library is not in
// the process these are null.
extern "C" {
[[gnu::weak]] int sd_fiber_is_running(void);
[[gnu::weak]] int sd_fiber_ppoll(struct pollfd* fds, size_t n, const struct timespec* timeout, const sigset_t* mask);
}

static int suspend_fiber(int fd, Usec timeout) {
  struct pollfd readable = {fd, POLLIN, 0};
  const struct timespec time = to_timespec(timeout);
  return sd_fiber_ppoll(&readable, 1, timeout == kForever ? nullptr : &time, nullptr);
}

static Loop::Suspend suspension() {
  return sd_fiber_is_running && sd_fiber_ppoll && sd_fiber_is_running() > 0 ? suspend_fiber : nullptr;
}
#else
// A program that has the archive in it is none of systemd's.
static Loop::Suspend suspension() { return nullptr; }
#endif

extern "C" {

EVENKEEL_PUBLIC int sd_event_new(sd_event** ret) noexcept {
  if (!ret) return -EINVAL;
  Loop* loop = nullptr;
  RETURN_IF_ERROR(Loop::create(&loop));
  *ret = to_handle(loop);
  return 0;
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_new);

EVENKEEL_PUBLIC sd_event* sd_event_ref(sd_event* e) noexcept {
  Loop* loop = nullptr;
  // Nothing keeps a loop that is being freed.
  if (find(e, &loop) < 0 || loop->forked() || loop->ending()) return nullptr;
  loop->ref();
  return to_handle(loop);
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_ref);

EVENKEEL_PUBLIC sd_event* sd_event_unref(sd_event* e) noexcept {
  Loop* loop = nullptr;
  if (find(e, &loop) >= 0 && !loop->ending()) loop->unref();
  return nullptr;
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_unref);

EVENKEEL_PUBLIC int sd_event_prepare(sd_event* e) noexcept {
  Loop* loop = nullptr;
  RETURN_IF_ERROR(find(e, &loop));
  RETURN_IF_ERROR(not_forked(*loop));
  RETURN_IF_ERROR(not_finished(*loop));
  if (loop->state() != Loop::State::kInitial) return -EBUSY;
  if (foreign_default(*loop)) return -EREMOTEIO;
  return loop->prepare();
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_prepare);

EVENKEEL_PUBLIC int sd_event_wait(sd_event* e, uint64_t timeout) noexcept {
  Loop* loop = nullptr;
  RETURN_IF_ERROR(find(e, &loop));
  RETURN_IF_ERROR(not_forked(*loop));
  RETURN_IF_ERROR(not_finished(*loop));
  if (loop->state() != Loop::State::kArmed) return -EBUSY;
  return loop->wait(timeout);
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_wait);

EVENKEEL_PUBLIC int sd_event_dispatch(sd_event* e) noexcept {
  Loop* loop = nullptr;
  RETURN_IF_ERROR(find(e, &loop));
  RETURN_IF_ERROR(not_forked(*loop));
  RETURN_IF_ERROR(not_finished(*loop));
  if (loop->state() != Loop::State::kPending) return -EBUSY;
  return loop->dispatch();
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_dispatch);

EVENKEEL_PUBLIC int sd_event_run(sd_event* e, uint64_t timeout) noexcept {
  Loop* loop = nullptr;
  RETURN_IF_ERROR(find(e, &loop));
  RETURN_IF_ERROR(not_forked(*loop));
  RETURN_IF_ERROR(not_finished(*loop));
  if (loop->state() != Loop::State::kInitial) return -EBUSY;
  if (foreign_default(*loop)) return -EREMOTEIO;
  return loop->run(timeout, suspension());
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_run);

EVENKEEL_PUBLIC int sd_event_loop(sd_event* e) noexcept {
  Loop* loop = nullptr;
  RETURN_IF_ERROR(find(e, &loop));
  RETURN_IF_ERROR(not_forked(*loop));
  if (loop->state() != Loop::State::kInitial) return -EBUSY;
  if (foreign_default(*loop)) return -EREMOTEIO;
  return loop->run_until_finished(suspension());
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_loop);

EVENKEEL_PUBLIC int sd_event_exit(sd_event* e, int code) noexcept {
  Loop* loop = nullptr;
  RETURN_IF_ERROR(find(e, &loop));
  RETURN_IF_ERROR(usable(*loop));
  loop->exit(code);
  return 0;
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_exit);

EVENKEEL_PUBLIC int sd_event_now(sd_event* e, clockid_t clock, uint64_t* ret) noexcept {
  Loop* loop = nullptr;
  RETURN_IF_ERROR(find(e, &loop));
  if (!ret) return -EINVAL;
  RETURN_IF_ERROR(not_forked(*loop));
  if (!loop->clocks().find(clock)) return -EOPNOTSUPP;
  return loop->now(clock, ret);
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_now);

EVENKEEL_PUBLIC int sd_event_get_fd(sd_event* e) noexcept {
  Loop* loop = nullptr;
  RETURN_IF_ERROR(find(e, &loop));
  RETURN_IF_ERROR(not_forked(*loop));
  return loop->lend_fd();
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_get_fd);

EVENKEEL_PUBLIC int sd_event_get_state(sd_event* e) noexcept {
  Loop* loop = nullptr;
  RETURN_IF_ERROR(find(e, &loop));
  RETURN_IF_ERROR(not_forked(*loop));
  return static_cast<int>(loop->state());
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_get_state);

EVENKEEL_PUBLIC int sd_event_get_tid(sd_event* e, pid_t* ret) noexcept {
  Loop* loop = nullptr;
  RETURN_IF_ERROR(find(e, &loop));
  if (!ret) return -EINVAL;
  RETURN_IF_ERROR(not_forked(*loop));
  return default_thread(*loop, ret);
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_get_tid);

EVENKEEL_PUBLIC int sd_event_get_exit_code(sd_event* e, int* ret) noexcept {
  Loop* loop = nullptr;
  RETURN_IF_ERROR(find(e, &loop));
  RETURN_IF_ERROR(not_forked(*loop));
  if (!loop->exit_requested()) return -ENODATA;
  if (ret) *ret = loop->exit_code();
  return 0;
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_get_exit_code);

EVENKEEL_PUBLIC int sd_event_set_watchdog(sd_event* e, int b) noexcept {
  Loop* loop = nullptr;
  RETURN_IF_ERROR(find(e, &loop));
  RETURN_IF_ERROR(not_forked(*loop));
  return loop->set_watchdog(b != 0);
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_set_watchdog);

EVENKEEL_PUBLIC int sd_event_get_watchdog(sd_event* e) noexcept {
  Loop* loop = nullptr;
  RETURN_IF_ERROR(find(e, &loop));
  RETURN_IF_ERROR(not_forked(*loop));
  return loop->watchdog();
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_get_watchdog);

EVENKEEL_PUBLIC int sd_event_get_iteration(sd_event* e, uint64_t* ret) noexcept {
  Loop* loop = nullptr;
  RETURN_IF_ERROR(find(e, &loop));
  RETURN_IF_ERROR(not_forked(*loop));
  if (!ret) return -EINVAL;
  *ret = loop->iteration();
  return 0;
}
EVENKEEL_SINCE(LIBSYSTEMD_231, sd_event_get_iteration);

EVENKEEL_PUBLIC int sd_event_set_signal_exit(sd_event* e, int b) noexcept {
  Loop* loop = nullptr;
  RETURN_IF_ERROR(find(e, &loop));
  RETURN_IF_ERROR(usable(*loop));
  return loop->set_signal_exit(b != 0);
}
EVENKEEL_SINCE(LIBSYSTEMD_252, sd_event_set_signal_exit);

EVENKEEL_PUBLIC int sd_event_set_exit_on_idle(sd_event* e, int b) noexcept {
  Loop* loop = nullptr;
  RETURN_IF_ERROR(find(e, &loop));
  RETURN_IF_ERROR(not_forked(*loop));
  loop->set_exit_on_idle(b != 0);
  return loop->exit_on_idle();
}
EVENKEEL_SINCE(LIBSYSTEMD_259, sd_event_set_exit_on_idle);

EVENKEEL_PUBLIC int sd_event_get_exit_on_idle(sd_event* e) noexcept {
  Loop* loop = nullptr;
  RETURN_IF_ERROR(find(e, &loop));
  RETURN_IF_ERROR(not_forked(*loop));
  return loop->exit_on_idle();
}
EVENKEEL_SINCE(LIBSYSTEMD_259, sd_event_get_exit_on_idle);

}  // extern "C"
