/* SPDX-License-Identifier: MIT
 *
 * What a program does in two loops at once: its own ("outer": GLib's, libuv's) and an sd-event loop inside of it
 * ("inner").
 *
 * The outer program calls outer_readable, outer_tick and outer_signal from its own handlers, drives the inner loop by
 * an adapter of examples/, and goes on until `done`. Everything goes to and fro, so that a wake-up that is lost in
 * either loop stops the work for good:
 *   kRounds     numbers over a socket pair, each end in one of the loops
 *   kDeadlines  a timer of the inner loop, armed anew by a timer of the outer one when it has elapsed
 *   kTicks      a timer that the inner loop arms itself
 *   kSignals    SIGUSR2 to the inner loop, SIGUSR1 back to the outer one
 *   a child of the inner loop, which is started by its last tick
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "program.h"

enum { kRounds = 2000, kDeadlines = 40, kTicks = 40, kSignals = 20, kTickMsec = 1 };

struct Work {
  sd_event* event;
  sd_event_source* deadline;
  int inner_fd, outer_fd;
  unsigned rounds, deadlines, ticks, inner_signals, outer_signals;
  bool child_ended, done;
};

/* Blocks SIGUSR2 and SIGCHLD: before any thread is started. */
void work_begin(struct Work* work, sd_event* event);
void work_end(struct Work* work);

void outer_readable(struct Work* work);
/* False: the timer is not needed any more. */
bool outer_tick(struct Work* work);
void outer_signal(struct Work* work);

/* For the adapter: the inner loop is to go on to the end of the program. */
void inner_ended(int result, void* userdata);
