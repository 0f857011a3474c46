// SPDX-License-Identifier: MIT
//
// A program that needs sd-event and sd-daemon: it tells a service manager that it is ready, and is that manager itself.
//
// What comes from libsystemd 252 or older alone is used, so that it is built on that as well. The loop is left with the
// exit code 7 when the message has come; a defer source sends it, an IO source receives it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <unistd.h>

static int on_ready(sd_event_source* source, void* userdata) {
  (void)source;
  (void)userdata;
  return sd_notify(0, "READY=1\nSTATUS=consumer");
}

static int on_message(sd_event_source* source, int fd, uint32_t events, void* userdata) {
  char text[100];
  const ssize_t length = recv(fd, text, sizeof(text), 0);
  (void)userdata;
  if (events != EPOLLIN || length < 0) return -1;
  printf("%.*s\n", (int)length, text);
  return sd_event_exit(sd_event_source_get_event(source), 7);
}

int main(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  socklen_t length = sizeof(sa_family_t);
  sd_event* event = NULL;
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  int r;

  // The kernel chooses an abstract name.
  if (fd < 0 || bind(fd, (struct sockaddr*)&address, length) < 0) return 1;
  length = sizeof(address);
  if (getsockname(fd, (struct sockaddr*)&address, &length) < 0) return 1;
  address.sun_path[0] = '@';
  address.sun_path[length - sizeof(sa_family_t)] = 0;
  if (setenv("NOTIFY_SOCKET", address.sun_path, 1) < 0) return 1;

  r = sd_event_default(&event);
  if (r >= 0) r = sd_event_add_defer(event, NULL, on_ready, NULL);
  if (r >= 0) r = sd_event_add_io(event, NULL, fd, EPOLLIN, on_message, NULL);
  if (r >= 0) r = sd_event_loop(event);
  sd_event_unref(event);
  close(fd);
  if (r < 0) fprintf(stderr, "daemon: %s\n", strerror(-r));
  return r < 0 ? 1 : r;
}
