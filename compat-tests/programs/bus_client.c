// SPDX-License-Identifier: MIT
//
// bus-client [SERVICE | --member]: calls everything that bus-service has, and compares what comes back.
//
// Without an argument it finds the service on the system bus. With the path of bus-service it starts that program and
// talks to it over a socket pair, without a bus. --member joins the service's peers and then waits to be killed: the
// client starts itself so, to see that the service notices the death of a peer.
//
// Invariants: see bus_client.h.
#include "bus_client.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static sd_bus_message* append_all_types(sd_bus_message* m) {
  const uint8_t bytes[] = {0, 1, 254, 255};
  MUST(sd_bus_message_append(m, "ybnqiuxtdsog", 255, 1, -32768, 65535, INT32_MIN, UINT32_MAX, INT64_MIN, UINT64_MAX,
                             0.5, "text", "/a/path", "a(sv)"));
  MUST(sd_bus_message_append(m, "a{sv}", 2, "first", "s", "value", "second", "ai", 3, 1, 2, 3));
  MUST(sd_bus_message_append(m, "(ii)", -1, 1));
  MUST(sd_bus_message_append_array(m, 'y', bytes, sizeof(bytes)));
  return m;
}

static void compare_all_types(sd_bus_message* reply) {
  uint8_t y;
  int b;
  int16_t n;
  uint16_t q;
  int32_t i, first, second;
  uint32_t u;
  int64_t x;
  uint64_t t;
  double d;
  const char *s, *o, *g, *key, *text, *other_key;
  const void* bytes;
  size_t size;
  MUST(sd_bus_message_read(reply, "ybnqiuxtdsog", &y, &b, &n, &q, &i, &u, &x, &t, &d, &s, &o, &g));
  EXPECT(y == 255 && b == 1 && n == -32768 && q == 65535 && i == INT32_MIN && u == UINT32_MAX);
  EXPECT(x == INT64_MIN && t == UINT64_MAX && d > 0.25 && d < 0.75);
  EXPECT(!strcmp(s, "text") && !strcmp(o, "/a/path") && !strcmp(g, "a(sv)"));
  int32_t array[3];
  MUST(sd_bus_message_read(reply, "a{sv}", 2, &key, "s", &text, &other_key, "ai", 3, &array[0], &array[1], &array[2]));
  EXPECT(!strcmp(key, "first") && !strcmp(text, "value") && !strcmp(other_key, "second"));
  EXPECT(array[0] == 1 && array[1] == 2 && array[2] == 3);
  MUST(sd_bus_message_read(reply, "(ii)", &first, &second));
  EXPECT(first == -1 && second == 1);
  MUST(sd_bus_message_read_array(reply, 'y', &bytes, &size));
  EXPECT(size == 4 && !memcmp(bytes, "\0\1\376\377", 4));
}

static void all_types(struct Client* c) {
  sd_bus_message *call = append_all_types(new_call(c, "Echo")), *reply = NULL;
  MUST(sd_bus_call(c->bus, call, 0, NULL, &reply));
  compare_all_types(reply);
  sd_bus_message_unref(call);
  sd_bus_message_unref(reply);
  puts("echo: " ALL_TYPES);
}

static void descriptors(struct Client* c) {
  int fds[2];
  char buffer[16];
  EXPECT(pipe2(fds, O_CLOEXEC) == 0);
  MUST(sd_bus_call_method(c->bus, c->destination, SERVICE_PATH, SERVICE_INTERFACE, "WriteTo", NULL, NULL, "hs", fds[1],
                          "through a pipe"));
  close(fds[1]);
  const ssize_t n = read(fds[0], buffer, sizeof(buffer));
  EXPECT(n == 14 && !memcmp(buffer, "through a pipe", 14));
  close(fds[0]);
  puts("descriptor: passed");
}

static void failures(struct Client* c) {
  sd_bus_error error = SD_BUS_ERROR_NULL;
  const int r = sd_bus_call_method(c->bus, c->destination, SERVICE_PATH, SERVICE_INTERFACE, "Refuse", &error, NULL, "s",
                                   "as asked");
  EXPECT(r < 0);
  printf("refused: %s, %s\n", error.name, error.message);
  sd_bus_error_free(&error);
}

struct Level {
  uint32_t level;
  unsigned changes;
  bool done;
};

static int on_properties(sd_bus_message* m, void* userdata, sd_bus_error* error) {
  struct Level* l = userdata;
  const char *interface, *name;
  (void)error;
  MUST(sd_bus_message_read(m, "s", &interface));
  EXPECT(!strcmp(interface, SERVICE_INTERFACE));
  MUST(sd_bus_message_read(m, "a{sv}", 1, &name, "u", &l->level));
  EXPECT(!strcmp(name, "Level"));
  ++l->changes;
  l->done = l->level == 8;
  return 0;
}

static void properties(struct Client* c) {
  static const uint32_t kLevels[] = {7, 7, 8};
  struct Level level = {0};
  sd_bus_slot* slot = NULL;
  uint32_t value;
  MUST(
      sd_bus_get_property_trivial(c->bus, c->destination, SERVICE_PATH, SERVICE_INTERFACE, "Level", NULL, 'u', &value));
  EXPECT(value == 1);
  MUST(sd_bus_match_signal(c->bus, &slot, c->destination, SERVICE_PATH, "org.freedesktop.DBus.Properties",
                           "PropertiesChanged", on_properties, &level));
  for (size_t i = 0; i < sizeof(kLevels) / sizeof(*kLevels); ++i)
    MUST(sd_bus_set_property(c->bus, c->destination, SERVICE_PATH, SERVICE_INTERFACE, "Level", NULL, "u", kLevels[i]));
  run_until(c, &level.done);
  sd_bus_slot_unref(slot);
  printf("property: %u changes, now %u\n", level.changes, level.level);
}

struct Timeout {
  uint64_t began;
  bool done;
};

static int on_timeout(sd_bus_message* m, void* userdata, sd_bus_error* error) {
  struct Timeout* t = userdata;
  (void)error;
  EXPECT(sd_bus_message_is_method_error(m, NULL) > 0);
  EXPECT(monotonic_usec() >= t->began + 20000);
  printf("no answer: %s\n", sd_bus_message_get_error(m)->name);
  t->done = true;
  return 0;
}

static void no_answer(struct Client* c) {
  struct Timeout timeout = {.began = monotonic_usec()};
  sd_bus_message* call = new_call(c, "NeverAnswer");
  MUST(sd_bus_call_async(c->bus, NULL, call, on_timeout, &timeout, 20000));
  run_until(c, &timeout.done);
  sd_bus_message_unref(call);
}

struct Member {
  char name[64];
  bool joined, deserted, ended;
};

static int on_joined(sd_bus_message* m, void* userdata, sd_bus_error* error) {
  struct Member* member = userdata;
  const char* name;
  (void)error;
  MUST(sd_bus_message_read(m, "s", &name));
  snprintf(member->name, sizeof(member->name), "%s", name);
  member->joined = true;
  return 0;
}

static int on_deserted(sd_bus_message* m, void* userdata, sd_bus_error* error) {
  struct Member* member = userdata;
  uint32_t left;
  (void)error;
  MUST(sd_bus_message_read(m, "u", &left));
  EXPECT(left == 0);
  member->deserted = true;
  return 0;
}

static int on_member_end(sd_event_source* source, const siginfo_t* info, void* userdata) {
  struct Member* member = userdata;
  (void)source;
  EXPECT(info->si_code == CLD_KILLED && info->si_status == SIGKILL);
  member->ended = true;
  return 0;
}

static uint32_t count_peers(struct Client* c) {
  uint32_t n;
  MUST(sd_bus_get_property_trivial(c->bus, c->destination, SERVICE_PATH, SERVICE_INTERFACE, "Peers", NULL, 'u', &n));
  return n;
}

static void death_of_a_peer(struct Client* c) {
  struct Member member = {.name = ""};
  sd_bus_slot *joined = NULL, *deserted = NULL;
  sd_event_source* child = NULL;
  MUST(sd_bus_match_signal(c->bus, &joined, c->destination, SERVICE_PATH, SERVICE_INTERFACE, "Joined", on_joined,
                           &member));
  MUST(sd_bus_match_signal(c->bus, &deserted, c->destination, SERVICE_PATH, SERVICE_INTERFACE, "Deserted", on_deserted,
                           &member));
  MUST(sd_event_add_child(c->event, &child, start("/proc/self/exe", "--member"), WEXITED, on_member_end, &member));
  run_until(c, &member.joined);
  EXPECT(count_peers(c) == 1);
  EXPECT(!member.deserted && !member.ended);
  MUST(sd_event_source_send_child_signal(child, SIGKILL, NULL, 0));
  run_until(c, &member.deserted);
  run_until(c, &member.ended);
  EXPECT(count_peers(c) == 0);
  sd_event_source_unref(child);
  sd_bus_slot_unref(joined);
  sd_bus_slot_unref(deserted);
  puts("peer: joined, was killed, its service noticed");
}

static int be_member(struct Client* c) {
  MUST(sd_bus_call_method(c->bus, c->destination, SERVICE_PATH, SERVICE_INTERFACE, "Join", NULL, NULL, NULL));
  return sd_event_loop(c->event);
}

void run_until(struct Client* c, const bool* done) {
  while (!*done) MUST(sd_event_run(c->event, UINT64_MAX));
}

int main(int argc, char** argv) {
  const bool member = argc > 1 && !strcmp(argv[1], "--member");
  const char* service = argc > 1 && !member ? argv[1] : NULL;
  struct Client c = {0};
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, NULL);
  MUST(sd_event_default(&c.event));
  connect_to(&c, service);
  if (member) return be_member(&c);
  all_types(&c);
  descriptors(&c);
  failures(&c);
  properties(&c);
  no_answer(&c);
  if (!service) death_of_a_peer(&c);
  many_late_answers(&c);
  // The same connection at another priority of the same loop.
  MUST(sd_bus_detach_event(c.bus));
  MUST(sd_bus_attach_event(c.bus, c.event, SD_EVENT_PRIORITY_IDLE));
  many_calls(&c);
  many_signals(&c);
  disconnect(&c);
  sd_event_unref(c.event);
  return EXIT_SUCCESS;
}
