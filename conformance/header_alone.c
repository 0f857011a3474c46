// SPDX-License-Identifier: MIT
//
// sd-event.h needs nothing before it. This file is valid C11 and C++20, and is compiled as each of
//   -std=c11   -std=gnu11   -std=c11 -D_GNU_SOURCE   -x c++ -std=c++20   -x c++ -std=gnu++20
// with -Wall -Wextra -Wpedantic -Werror. Without _GNU_SOURCE and POSIX there is no siginfo_t, so the child handler is
// only a pointer then, as it is in the reference's header.
// Nothing but the header may be included here; that it links and runs shows the declarations to be extern "C".
#include <systemd/sd-event.h>

static int count_up(sd_event_source* s, void* userdata) {
  (void)s;
  ++*(int*)userdata;
  return 0;
}

static int use_the_types(void) {
  sd_event_handler_t handler = count_up;
  sd_event_io_handler_t io_handler = 0;
  sd_event_time_handler_t time_handler = 0;
  sd_event_signal_handler_t signal_handler = 0;
  sd_event_child_handler_t child_handler = 0;
  sd_event_inotify_handler_t inotify_handler = 0;
  sd_event_destroy_t destroy_handler = 0;
  return handler && !io_handler && !time_handler && !signal_handler && !child_handler && !inotify_handler &&
         !destroy_handler;
}

int main(void) {
  sd_event* loop = 0;
  sd_event_source* source = 0;
  int calls = 0;
  if (!use_the_types()) return 1;
  if (sd_event_new(&loop) < 0) return 2;
  if (sd_event_add_defer(loop, &source, count_up, &calls) < 0) return 3;
  if (sd_event_run(loop, 0) != 1 || calls != 1) return 4;
  sd_event_source_unrefp(&source);
  sd_event_unrefp(&loop);
  return 0;
}
