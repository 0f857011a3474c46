// SPDX-License-Identifier: MIT
//
// bus-service [FD]: a service by sd-bus whose connection is attached to an sd-event loop.
//
// Without an argument it takes SERVICE_NAME on the system bus; with FD it is the server end of a connection between two
// processes, without a bus, and ends when the other one has gone. SIGTERM ends it in either case. It has methods that
// answer at once, one that answers when a timer says so, one that never answers, one that fails, a writable property
// that tells of its changes, signals, and a list of peers that it is told of when they die. At the end it prints what
// it has done.
//
// Invariants:
//  1. Everything happens in callbacks of the one loop: no call waits.
//  2. A reply that is owed (struct Later) owns the call that it answers, and its timer; both go when it is sent.
#include <errno.h>
#include <signal.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "program.h"

struct Service {
  sd_event* event;
  sd_bus* bus;
  sd_bus_track* peers;
  uint32_t level;
  uint64_t calls, signals, late, changes, deserted;
};

struct Later {
  struct Service* service;
  sd_bus_message* call;
  sd_event_source* timer;
  uint32_t value;
};

static int reverse(sd_bus_message* call, void* userdata, sd_bus_error* error) {
  struct Service* s = userdata;
  const char* text;
  char reversed[256];
  int r = sd_bus_message_read(call, "s", &text);
  if (r < 0) return r;
  const size_t n = strlen(text);
  if (n >= sizeof(reversed)) return sd_bus_error_set_const(error, SERVICE_REFUSED, "too long");
  for (size_t i = 0; i < n; ++i) reversed[i] = text[n - 1 - i];
  reversed[n] = '\0';
  ++s->calls;
  return sd_bus_reply_method_return(call, "s", reversed);
}

static int echo(sd_bus_message* call, void* userdata, sd_bus_error* error) {
  struct Service* s = userdata;
  sd_bus_message* reply = NULL;
  (void)error;
  int r = sd_bus_message_new_method_return(call, &reply);
  if (r >= 0) r = sd_bus_message_copy(reply, call, 1);
  if (r >= 0) r = sd_bus_send(NULL, reply, NULL);
  sd_bus_message_unref(reply);
  ++s->calls;
  return r < 0 ? r : 1;
}

static int write_to(sd_bus_message* call, void* userdata, sd_bus_error* error) {
  struct Service* s = userdata;
  const char* text;
  int fd;
  int r = sd_bus_message_read(call, "hs", &fd, &text);
  if (r < 0) return r;
  if (write(fd, text, strlen(text)) < 0) return sd_bus_error_set_errno(error, errno);
  ++s->calls;
  return sd_bus_reply_method_return(call, NULL);
}

static int refuse(sd_bus_message* call, void* userdata, sd_bus_error* error) {
  struct Service* s = userdata;
  const char* why;
  int r = sd_bus_message_read(call, "s", &why);
  if (r < 0) return r;
  ++s->calls;
  return sd_bus_error_setf(error, SERVICE_REFUSED, "refused: %s", why);
}

static int answer_later(sd_event_source* timer, uint64_t usec, void* userdata) {
  struct Later* later = userdata;
  (void)timer;
  (void)usec;
  ++later->service->late;
  const int r = sd_bus_reply_method_return(later->call, "u", later->value);
  sd_bus_message_unref(later->call);
  sd_event_source_unref(later->timer);
  free(later);
  return r;
}

static int answer_after(sd_bus_message* call, void* userdata, sd_bus_error* error) {
  struct Service* s = userdata;
  uint64_t usec;
  uint32_t value;
  (void)error;
  int r = sd_bus_message_read(call, "tu", &usec, &value);
  if (r < 0) return r;
  struct Later* later = malloc(sizeof(*later));
  if (!later) return -ENOMEM;
  *later = (struct Later){.service = s, .value = value};
  r = sd_event_add_time_relative(s->event, &later->timer, CLOCK_MONOTONIC, usec, 1, answer_later, later);
  if (r < 0) {
    free(later);
    return r;
  }
  later->call = sd_bus_message_ref(call);
  ++s->calls;
  return 1;
}

static int never_answer(sd_bus_message* call, void* userdata, sd_bus_error* error) {
  struct Service* s = userdata;
  (void)call;
  (void)error;
  ++s->calls;
  return 1;
}

static int emit(sd_bus_message* call, void* userdata, sd_bus_error* error) {
  struct Service* s = userdata;
  uint32_t n;
  (void)error;
  int r = sd_bus_message_read(call, "u", &n);
  for (uint32_t i = 0; r >= 0 && i < n; ++i) {
    char text[32];
    snprintf(text, sizeof(text), "tick %u of %u", i, n);
    r = sd_bus_emit_signal(s->bus, SERVICE_PATH, SERVICE_INTERFACE, "Tick", "us", i, text);
    ++s->signals;
  }
  ++s->calls;
  return r < 0 ? r : sd_bus_reply_method_return(call, NULL);
}

// The last of the peers has gone.
static int peers_gone(sd_bus_track* track, void* userdata) {
  struct Service* s = userdata;
  ++s->deserted;
  return sd_bus_emit_signal(s->bus, SERVICE_PATH, SERVICE_INTERFACE, "Deserted", "u", sd_bus_track_count(track));
}

static int join(sd_bus_message* call, void* userdata, sd_bus_error* error) {
  struct Service* s = userdata;
  (void)error;
  // Not before: a list that nobody has joined is told to be empty, over and over, while the connection is being made.
  int r = s->peers ? 0 : sd_bus_track_new(s->bus, &s->peers, peers_gone, s);
  if (r >= 0) r = sd_bus_track_add_sender(s->peers, call);
  if (r < 0) return r;
  ++s->calls;
  r = sd_bus_emit_signal(s->bus, SERVICE_PATH, SERVICE_INTERFACE, "Joined", "s", sd_bus_message_get_sender(call));
  return r < 0 ? r : sd_bus_reply_method_return(call, NULL);
}

static int set_level(sd_bus* bus, const char* path, const char* interface, const char* property, sd_bus_message* value,
                     void* userdata, sd_bus_error* error) {
  struct Service* s = userdata;
  uint32_t level;
  (void)error;
  int r = sd_bus_message_read(value, "u", &level);
  if (r < 0 || level == s->level) return r;
  s->level = level;
  ++s->changes;
  return sd_bus_emit_properties_changed(bus, path, interface, property, NULL);
}

static int get_level(sd_bus* bus, const char* path, const char* interface, const char* property, sd_bus_message* reply,
                     void* userdata, sd_bus_error* error) {
  struct Service* s = userdata;
  (void)bus, (void)path, (void)interface, (void)property, (void)error;
  return sd_bus_message_append(reply, "u", s->level);
}

static int get_peers(sd_bus* bus, const char* path, const char* interface, const char* property, sd_bus_message* reply,
                     void* userdata, sd_bus_error* error) {
  struct Service* s = userdata;
  (void)bus, (void)path, (void)interface, (void)property, (void)error;
  return sd_bus_message_append(reply, "u", s->peers ? sd_bus_track_count(s->peers) : 0);
}

static const sd_bus_vtable kVtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("Reverse", "s", "s", reverse, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Echo", ALL_TYPES, ALL_TYPES, echo, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("WriteTo", "hs", NULL, write_to, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Refuse", "s", "s", refuse, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("AnswerAfter", "tu", "u", answer_after, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("NeverAnswer", NULL, "u", never_answer, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Emit", "u", NULL, emit, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Join", NULL, NULL, join, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_SIGNAL("Tick", "us", 0),
    SD_BUS_SIGNAL("Joined", "s", 0),
    SD_BUS_SIGNAL("Deserted", "u", 0),
    SD_BUS_WRITABLE_PROPERTY("Level", "u", get_level, set_level, 0,
                             SD_BUS_VTABLE_UNPRIVILEGED | SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("Peers", "u", get_peers, 0, 0),
    SD_BUS_VTABLE_END,
};

static void open_connection(struct Service* s, const char* fd) {
  if (!fd) {
    MUST(sd_bus_open_system(&s->bus));
  } else {
    sd_id128_t id;
    const int socket = atoi(fd);
    MUST(sd_id128_randomize(&id));
    MUST(sd_bus_new(&s->bus));
    MUST(sd_bus_set_fd(s->bus, socket, socket));
    MUST(sd_bus_set_server(s->bus, 1, id));
    MUST(sd_bus_negotiate_fds(s->bus, 1));
    MUST(sd_bus_start(s->bus));
  }
  MUST(sd_bus_set_exit_on_disconnect(s->bus, 1));
  MUST(sd_bus_attach_event(s->bus, s->event, SD_EVENT_PRIORITY_NORMAL));
}

int main(int argc, char** argv) {
  struct Service s = {.level = 1};
  sigset_t terminate;
  sigemptyset(&terminate);
  sigaddset(&terminate, SIGTERM);
  sigprocmask(SIG_BLOCK, &terminate, NULL);
  MUST(sd_event_default(&s.event));
  MUST(sd_event_add_signal(s.event, NULL, SIGTERM, NULL, NULL));
  open_connection(&s, argc > 1 ? argv[1] : NULL);
  MUST(sd_bus_add_object_vtable(s.bus, NULL, SERVICE_PATH, SERVICE_INTERFACE, kVtable, &s));
  if (argc == 1) {
    MUST(sd_bus_request_name(s.bus, SERVICE_NAME, 0));
  }
  const int code = sd_event_loop(s.event);
  printf("service: %llu calls, %llu late answers, %llu signals, %llu changes, deserted %llu times, exit code %d\n",
         (unsigned long long)s.calls, (unsigned long long)s.late, (unsigned long long)s.signals,
         (unsigned long long)s.changes, (unsigned long long)s.deserted, code);
  sd_bus_track_unref(s.peers);
  sd_bus_flush_close_unref(s.bus);
  sd_event_unref(s.event);
  return code < 0 ? EXIT_FAILURE : code;
}
