// SPDX-License-Identifier: MIT
//
// What all sources have. See handles.h.
#include "abi/sd-event/handles.h"

using namespace evenkeel;
using namespace evenkeel::sd;

extern "C" {

EVENKEEL_PUBLIC sd_event_source* sd_event_source_ref(sd_event_source* s) noexcept {
  if (is_ours(s)) to_source(s)->ref();
  return s;
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_source_ref);

EVENKEEL_PUBLIC sd_event_source* sd_event_source_unref(sd_event_source* s) noexcept {
  if (is_ours(s)) to_source(s)->unref();
  return nullptr;
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_source_unref);

EVENKEEL_PUBLIC sd_event_source* sd_event_source_disable_unref(sd_event_source* s) noexcept {
  (void)sd_event_source_set_enabled(s, SD_EVENT_OFF);
  return sd_event_source_unref(s);
}
EVENKEEL_SINCE(LIBSYSTEMD_243, sd_event_source_disable_unref);

EVENKEEL_PUBLIC sd_event* sd_event_source_get_event(sd_event_source* s) noexcept {
  return is_usable_here(s) ? to_handle(to_source(s)->loop()) : nullptr;
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_source_get_event);

EVENKEEL_PUBLIC void* sd_event_source_get_userdata(sd_event_source* s) noexcept {
  return is_usable_here(s) ? to_source(s)->userdata : nullptr;
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_source_get_userdata);

EVENKEEL_PUBLIC void* sd_event_source_set_userdata(sd_event_source* s, void* userdata) noexcept {
  if (!is_usable_here(s)) return nullptr;
  void* old = to_source(s)->userdata;
  to_source(s)->userdata = userdata;
  return old;
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_source_set_userdata);

EVENKEEL_PUBLIC int sd_event_source_set_description(sd_event_source* s, const char* description) noexcept {
  if (!is_ours(s)) return -EINVAL;
  Source& source = *to_source(s);
  RETURN_IF_ERROR(not_forked(source));
  return source.set_description(description);
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_source_set_description);

EVENKEEL_PUBLIC int sd_event_source_get_description(sd_event_source* s, const char** ret) noexcept {
  if (!is_ours(s) || !ret) return -EINVAL;
  const char* description = to_source(s)->description();
  if (!description) return -ENXIO;
  *ret = description;
  return 0;
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_source_get_description);

EVENKEEL_PUBLIC int sd_event_source_set_prepare(sd_event_source* s, sd_event_handler_t callback) noexcept {
  if (!is_ours(s)) return -EINVAL;
  Source& source = *to_source(s);
  if (source.kind() == Kind::kExit) return -EDOM;
  RETURN_IF_ERROR(usable(source));
  return source.set_prepare(callback_cast<Source::Handler>(callback));
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_source_set_prepare);

EVENKEEL_PUBLIC int sd_event_source_get_pending(sd_event_source* s) noexcept {
  if (!is_ours(s)) return -EINVAL;
  Source& source = *to_source(s);
  if (source.kind() == Kind::kExit) return -EDOM;
  RETURN_IF_ERROR(usable(source));
  if (source.kind() == Kind::kDefer) return 1;
  source.loop()->look();
  return source.has_event();
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_source_get_pending);

EVENKEEL_PUBLIC int sd_event_source_get_priority(sd_event_source* s, int64_t* ret) noexcept {
  if (!is_ours(s)) return -EINVAL;
  Source& source = *to_source(s);
  RETURN_IF_ERROR(not_forked(source));
  if (!ret) return -EINVAL;
  *ret = source.priority();
  return 0;
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_source_get_priority);

EVENKEEL_PUBLIC int sd_event_source_set_priority(sd_event_source* s, int64_t priority) noexcept {
  if (!is_ours(s)) return -EINVAL;
  Source& source = *to_source(s);
  RETURN_IF_ERROR(usable(source));
  return source.set_priority(priority);
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_source_set_priority);

EVENKEEL_PUBLIC int sd_event_source_get_enabled(sd_event_source* s, int* ret) noexcept {
  if (!s && !ret) return 0;
  if (!is_ours(s)) return -EINVAL;
  Source& source = *to_source(s);
  RETURN_IF_ERROR(not_forked(source));
  if (ret) *ret = static_cast<int>(source.enabled());
  return source.enabled() != Enabled::kOff;
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_source_get_enabled);

EVENKEEL_PUBLIC int sd_event_source_set_enabled(sd_event_source* s, int enabled) noexcept {
  if (enabled != SD_EVENT_OFF && enabled != SD_EVENT_ON && enabled != SD_EVENT_ONESHOT) return -EINVAL;
  if (!s && enabled == SD_EVENT_OFF) return 0;
  if (!is_ours(s)) return -EINVAL;
  Source& source = *to_source(s);
  RETURN_IF_ERROR(not_forked(source));
  // The end of its loop turns a source off as far as anyone can tell.
  if (const int r = not_finished(source); r < 0) return enabled == SD_EVENT_OFF ? 0 : r;
  return source.set_enabled(static_cast<Enabled>(enabled));
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_source_set_enabled);

EVENKEEL_PUBLIC int sd_event_source_set_destroy_callback(sd_event_source* s, sd_event_destroy_t callback) noexcept {
  if (!is_ours(s)) return -EINVAL;
  RETURN_IF_ERROR(not_forked(*to_source(s)));
  return to_source(s)->set_destroy_callback(callback);
}
EVENKEEL_SINCE(LIBSYSTEMD_239, sd_event_source_set_destroy_callback);

EVENKEEL_PUBLIC int sd_event_source_get_destroy_callback(sd_event_source* s, sd_event_destroy_t* ret) noexcept {
  if (!is_ours(s)) return -EINVAL;
  RETURN_IF_ERROR(not_forked(*to_source(s)));
  const Source::Destroy callback = to_source(s)->destroy_callback();
  if (ret) *ret = callback;
  return callback != nullptr;
}
EVENKEEL_SINCE(LIBSYSTEMD_239, sd_event_source_get_destroy_callback);

EVENKEEL_PUBLIC int sd_event_source_get_floating(sd_event_source* s) noexcept {
  if (!is_ours(s)) return -EINVAL;
  RETURN_IF_ERROR(not_forked(*to_source(s)));
  return to_source(s)->floating();
}
EVENKEEL_SINCE(LIBSYSTEMD_240, sd_event_source_get_floating);

EVENKEEL_PUBLIC int sd_event_source_set_floating(sd_event_source* s, int b) noexcept {
  if (!is_ours(s)) return -EINVAL;
  Source& source = *to_source(s);
  RETURN_IF_ERROR(not_forked(source));
  if (source.floating() == (b != 0)) return 0;
  if (!source.connected()) return -ESTALE;
  source.set_floating(b != 0);
  return 1;
}
EVENKEEL_SINCE(LIBSYSTEMD_240, sd_event_source_set_floating);

EVENKEEL_PUBLIC int sd_event_source_get_exit_on_failure(sd_event_source* s) noexcept {
  if (!is_ours(s)) return -EINVAL;
  Source& source = *to_source(s);
  if (source.kind() == Kind::kExit) return -EDOM;
  RETURN_IF_ERROR(not_forked(source));
  return source.exit_on_failure();
}
EVENKEEL_SINCE(LIBSYSTEMD_247, sd_event_source_get_exit_on_failure);

EVENKEEL_PUBLIC int sd_event_source_set_exit_on_failure(sd_event_source* s, int b) noexcept {
  if (!is_ours(s)) return -EINVAL;
  Source& source = *to_source(s);
  if (source.kind() == Kind::kExit) return -EDOM;
  RETURN_IF_ERROR(not_forked(source));
  if (source.exit_on_failure() == (b != 0)) return 0;
  source.set_exit_on_failure(b != 0);
  return 1;
}
EVENKEEL_SINCE(LIBSYSTEMD_247, sd_event_source_set_exit_on_failure);

EVENKEEL_PUBLIC int sd_event_source_set_ratelimit(sd_event_source* s, uint64_t interval_usec, unsigned burst) noexcept {
  if (!is_ours(s)) return -EINVAL;
  Source& source = *to_source(s);
  RETURN_IF_ERROR(not_forked(source));
  if (!source.can_rate_limit()) return -EDOM;
  return source.set_rate_limit(interval_usec, burst);
}
EVENKEEL_SINCE(LIBSYSTEMD_248, sd_event_source_set_ratelimit);

EVENKEEL_PUBLIC int sd_event_source_get_ratelimit(sd_event_source* s, uint64_t* ret_interval_usec,
                                                  unsigned* ret_burst) noexcept {
  if (!is_ours(s)) return -EINVAL;
  Source& source = *to_source(s);
  RETURN_IF_ERROR(not_forked(source));
  if (!source.can_rate_limit()) return -EDOM;
  const RateLimit* limit = source.rate_limit();
  if (!limit || !limit->configured()) return -ENOEXEC;
  if (ret_interval_usec) *ret_interval_usec = limit->interval();
  if (ret_burst) *ret_burst = limit->burst();
  return 0;
}
EVENKEEL_SINCE(LIBSYSTEMD_248, sd_event_source_get_ratelimit);

EVENKEEL_PUBLIC int sd_event_source_is_ratelimited(sd_event_source* s) noexcept {
  if (!is_ours(s)) return -EINVAL;
  RETURN_IF_ERROR(not_forked(*to_source(s)));
  return to_source(s)->rate_limited();
}
EVENKEEL_SINCE(LIBSYSTEMD_248, sd_event_source_is_ratelimited);

EVENKEEL_PUBLIC int sd_event_source_leave_ratelimit(sd_event_source* s) noexcept {
  if (!is_ours(s)) return -EINVAL;
  Source& source = *to_source(s);
  if (!source.can_rate_limit()) return -EDOM;
  RETURN_IF_ERROR(usable(source));
  return source.loop()->rate_limits().leave(source);
}
EVENKEEL_SINCE(LIBSYSTEMD_254, sd_event_source_leave_ratelimit);

EVENKEEL_PUBLIC int sd_event_source_set_ratelimit_expire_callback(sd_event_source* s,
                                                                  sd_event_handler_t callback) noexcept {
  if (!is_ours(s)) return -EINVAL;
  RETURN_IF_ERROR(not_forked(*to_source(s)));
  return to_source(s)->set_rate_limit_expired(callback_cast<Source::Handler>(callback));
}
EVENKEEL_SINCE(LIBSYSTEMD_250, sd_event_source_set_ratelimit_expire_callback);

}  // extern "C"
