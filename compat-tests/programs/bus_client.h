/* SPDX-License-Identifier: MIT
 *
 * The clients of bus-service: what their parts share. bus_connect.c finds or starts the service, bus_client.c makes one
 * call at a time and has the peers, bus_client_load.c calls many at once. A client drives its loop as it likes.
 *
 * Invariants:
 *  1. A step of the client begins with nothing pending and runs the loop, one iteration at a time, until what it has
 *     asked for is there. What comes back is compared in the callbacks; a step ends by printing a line.
 *  2. Slots are floating or freed in the step that made them.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "program.h"

struct Client {
  sd_event* event;
  sd_bus* bus;
  const char* destination; /* NULL where there is no bus between the two */
  bool service_ended;
};

static inline sd_bus_message* new_call(struct Client* c, const char* method) {
  sd_bus_message* call = NULL;
  MUST(sd_bus_message_new_method_call(c->bus, &call, c->destination, SERVICE_PATH, SERVICE_INTERFACE, method));
  return call;
}

static inline uint64_t monotonic_usec(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* The program's own way to drive the loop. */
void run_until(struct Client* client, const bool* done);

/* With the path of the service: starts it, on the other end of a socket pair. Else it is on the system bus. */
void connect_to(struct Client* client, const char* service);
/* And, where the service was started by connect_to, waits for its end. */
void disconnect(struct Client* client);
pid_t start(const char* program, const char* argument);

void many_calls(struct Client* client);
void many_late_answers(struct Client* client);
void many_signals(struct Client* client);
