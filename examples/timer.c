/* SPDX-License-Identifier: MIT
 *
 * timer: a metronome that keeps its beat, and a chore that has time.
 *
 *   timer [BEATS [MILLISECONDS]]
 *
 * The beat is due every MILLISECONDS (20), and asks for an accuracy of 1 ms; after BEATS (5) of them the program ends.
 *   - The next beat is counted from when this one was due, and not from now: delays don't add up. One that is over
 *     already, since the machine was suspended or busy, say, is left out, instead of being made up for in a hurry.
 *   - A timer is never early. It is late by its accuracy at most, as far as the machine allows.
 *
 * The chore is due after three beats, and may be a second late. The loop puts such a timer off to a moment at which
 * something wakes up anyway: so it costs no wake-up of its own. A program with a hundred timers should tell for each
 * how much it matters; the default is 250 ms.
 *
 * Invariants: both timers are one-shot, and the callback that has run turns its own on again. CLOCK_MONOTONIC: nobody
 * can set it. (CLOCK_BOOTTIME goes on while the machine is suspended, CLOCK_REALTIME is for times of day.)
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>

static const uint64_t kMsec = 1000, kSec = 1000000;

struct metronome {
  unsigned beats, wanted;
  uint64_t period, left_out;
  unsigned chores;
};

static int on_beat(sd_event_source* source, uint64_t due, void* userdata) {
  struct metronome* m = userdata;
  sd_event* event = sd_event_source_get_event(source);
  uint64_t now;

  /* The time at which this iteration woke up: free of charge, and the same for all that is called in it. */
  int r = sd_event_now(event, CLOCK_MONOTONIC, &now);
  if (r < 0) return r;
  printf("beat %u%s\n", ++m->beats, now < due ? ", early" : "");
  if (m->beats >= m->wanted) return sd_event_exit(event, EXIT_SUCCESS);

  uint64_t next = due + m->period;
  if (next <= now) {
    const uint64_t missed = (now - next) / m->period + 1;
    m->left_out += missed;
    next += missed * m->period;
  }
  r = sd_event_source_set_time(source, next);
  return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int on_chore(sd_event_source* source, uint64_t due, void* userdata) {
  struct metronome* m = userdata;
  (void)due;
  m->chores++;
  int r = sd_event_source_set_time_relative(source, 3 * m->period);
  return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int run(struct metronome* m) {
  sd_event* event = NULL;
  sd_event_source *beat = NULL, *chore = NULL;

  int r = sd_event_default(&event);
  if (r < 0) goto finish;
  r = sd_event_add_time_relative(event, &beat, CLOCK_MONOTONIC, m->period, kMsec, on_beat, m);
  if (r < 0) goto finish;
  /* A callback that fails only turns its source off; a metronome without its beat would wait for ever. */
  r = sd_event_source_set_exit_on_failure(beat, 1);
  if (r < 0) goto finish;
  r = sd_event_add_time_relative(event, &chore, CLOCK_MONOTONIC, 3 * m->period, kSec, on_chore, m);
  if (r < 0) goto finish;
  r = sd_event_loop(event);

finish:
  sd_event_source_disable_unref(chore);
  sd_event_source_disable_unref(beat);
  sd_event_unref(event);
  return r;
}

int main(int argc, char** argv) {
  struct metronome m = {
      .wanted = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 5,
      .period = (argc > 2 ? strtoull(argv[2], NULL, 10) : 20) * kMsec,
  };
  if (argc > 3 || m.wanted == 0 || m.period == 0) {
    fprintf(stderr, "usage: %s [BEATS [MILLISECONDS]]\n", argv[0]);
    return 2;
  }
  const int r = run(&m);
  if (r < 0) {
    fprintf(stderr, "%s: %s\n", argv[0], strerror(-r));
    return EXIT_FAILURE;
  }
  fprintf(stderr, "%u beats, %" PRIu64 " left out, %u chores\n", m.beats, m.left_out, m.chores);
  return r;
}
