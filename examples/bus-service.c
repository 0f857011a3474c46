/* SPDX-License-Identifier: MIT
 *
 * bus-service: a service on the message bus by sd-bus of libsystemd, on our loop.
 *
 * sd-bus calls sd_event_*() of the library that comes first, which is ours if it was linked first (or preloaded): then
 * the connection lives on the same loop as the timers of this program. See with busctl call org.example.Counter
 * /org/example/Counter org.example.Counter1 Add u 5
 *
 *   Add(u) -> u         adds, returns the sum; an error if it does not fit
 *   AddLater(ut) -> u   the same after so many microseconds; meanwhile others are served
 *   property Sum        tells of its changes
 *
 * Invariants:
 *  1. Everything happens in callbacks of the one loop: none of them waits. What takes its time keeps the call, returns
 * 1
 *     ("I'll answer"), and answers when it is done.
 *  2. An answer that is owed (struct later) owns the call and the timer; both go when it is given.
 *  3. The name is taken last: who finds the service finds it ready.
 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#define PATH "/org/example/Counter"
#define INTERFACE "org.example.Counter1"
#define NAME "org.example.Counter"

struct counter {
  sd_event* event;
  sd_bus* bus;
  uint32_t sum;
};

struct later {
  struct counter* counter;
  sd_bus_message* call;
  sd_event_source* timer;
  uint32_t amount;
};

static int add_and_answer(struct counter* c, sd_bus_message* call, uint32_t amount) {
  uint32_t sum;
  if (__builtin_add_overflow(c->sum, amount, &sum)) {
    return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_INVALID_ARGS, "%u and %u is too much", c->sum, amount);
  }
  c->sum = sum;
  int r = sd_bus_emit_properties_changed(c->bus, PATH, INTERFACE, "Sum", NULL);
  return r < 0 ? r : sd_bus_reply_method_return(call, "u", sum);
}

static int add(sd_bus_message* call, void* userdata, sd_bus_error* error) {
  uint32_t amount;
  (void)error;
  int r = sd_bus_message_read(call, "u", &amount);
  return r < 0 ? r : add_and_answer(userdata, call, amount);
}

static void forget(struct later* later) {
  sd_event_source_disable_unref(later->timer);
  sd_bus_message_unref(later->call);
  free(later);
}

static int on_later(sd_event_source* source, uint64_t usec, void* userdata) {
  struct later* later = userdata;
  (void)source, (void)usec;
  const int r = add_and_answer(later->counter, later->call, later->amount);
  forget(later); /* which frees the source whose callback this is: allowed */
  return r;
}

static int add_later(sd_bus_message* call, void* userdata, sd_bus_error* error) {
  struct counter* c = userdata;
  uint64_t usec;
  (void)error;
  struct later* later = calloc(1, sizeof(*later));
  if (!later) return -ENOMEM;
  later->counter = c;
  later->call = sd_bus_message_ref(call);
  int r = sd_bus_message_read(call, "ut", &later->amount, &usec);
  if (r >= 0) {
    r = sd_event_add_time_relative(c->event, &later->timer, CLOCK_MONOTONIC, usec, 1000, on_later, later);
  }
  if (r < 0) {
    forget(later);
    return r; /* sd-bus makes an answer of it. */
  }
  return 1;
}

static const sd_bus_vtable kVtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("Add", "u", "u", add, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("AddLater", "ut", "u", add_later, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_PROPERTY("Sum", "u", NULL, offsetof(struct counter, sum), SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_VTABLE_END,
};

static int run(struct counter* c) {
  int r = sd_event_default(&c->event);
  if (r < 0) return r;
  if ((r = sd_event_set_signal_exit(c->event, 1)) < 0) return r;
  if ((r = sd_bus_open_system(&c->bus)) < 0) return r;
  /* Without the bus there is nothing left to do: exit, with a failure. */
  if ((r = sd_bus_set_exit_on_disconnect(c->bus, 1)) < 0) return r;
  if ((r = sd_bus_attach_event(c->bus, c->event, SD_EVENT_PRIORITY_NORMAL)) < 0) return r;
  if ((r = sd_bus_add_object_vtable(c->bus, NULL, PATH, INTERFACE, kVtable, c)) < 0) return r;
  if ((r = sd_bus_request_name(c->bus, NAME, 0)) < 0) return r;
  return sd_event_loop(c->event);
}

int main(void) {
  struct counter c = {.sum = 0};
  const int r = run(&c);
  /* What is still to be sent is sent; then the connection leaves the loop. */
  sd_bus_flush_close_unref(c.bus);
  sd_event_unref(c.event);
  if (r < 0) fprintf(stderr, "bus-service: %s\n", strerror(-r));
  printf("the sum is %u\n", c.sum);
  return r < 0 ? EXIT_FAILURE : r;
}
