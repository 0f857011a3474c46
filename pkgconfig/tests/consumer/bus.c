// SPDX-License-Identifier: MIT
//
// A program that needs sd-bus on its loop: one end of a socket pair asks the other, both are on the same loop.
//
// libsystemd's sd-bus calls sd-event by itself, so this shows which loop that ends up with. Every connection answers
// org.freedesktop.DBus.Peer.Ping; the loop is left with the exit code 8 when the answer is there.
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

static int on_reply(sd_bus_message* reply, void* userdata, sd_bus_error* error) {
  (void)error;
  puts(sd_bus_message_is_method_error(reply, NULL) ? "refused" : "answered");
  return sd_event_exit(userdata, 8);
}

static int make_end(sd_event* event, int fd, int server, sd_bus** ret) {
  const sd_id128_t id = SD_ID128_MAKE(0b, 5e, 2f, 6a, 41, d3, 4c, 9d, 8e, 17, 3a, 60, c2, 74, f9, 05);
  int r = sd_bus_new(ret);
  if (r >= 0) r = sd_bus_set_fd(*ret, fd, fd);
  if (r >= 0 && server) r = sd_bus_set_server(*ret, 1, id);
  if (r >= 0) r = sd_bus_start(*ret);
  if (r >= 0) r = sd_bus_attach_event(*ret, event, SD_EVENT_PRIORITY_NORMAL);
  return r;
}

int main(void) {
  sd_event* event = NULL;
  sd_bus *server = NULL, *client = NULL;
  int fds[2];
  int r;

  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0) return 1;
  r = sd_event_new(&event);
  if (r >= 0) r = make_end(event, fds[0], 1, &server);
  if (r >= 0) r = make_end(event, fds[1], 0, &client);
  if (r >= 0) {
    r = sd_bus_call_method_async(client, NULL, NULL, "/", "org.freedesktop.DBus.Peer", "Ping", on_reply, event, "");
  }
  if (r >= 0) r = sd_event_loop(event);
  sd_bus_unref(client);
  sd_bus_unref(server);
  sd_event_unref(event);
  if (r < 0) fprintf(stderr, "bus: %s\n", strerror(-r));
  return r < 0 ? 1 : r;
}
