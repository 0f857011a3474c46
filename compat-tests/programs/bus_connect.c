// SPDX-License-Identifier: MIT
//
// How a client of bus-service gets to it: over the system bus, or by starting it on the other end of a socket pair.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus_client.h"

pid_t start(const char* program, const char* argument) {
  fflush(stdout);
  const pid_t pid = fork();
  if (pid == 0) {
    execl(program, program, argument, NULL);
    _exit(127);
  }
  return MUST(pid);
}

static int on_service_end(sd_event_source* source, const siginfo_t* info, void* userdata) {
  struct Client* client = userdata;
  (void)source;
  EXPECT(info->si_code == CLD_EXITED);
  printf("service: ended with %d\n", info->si_status);
  client->service_ended = true;
  return 0;
}

void connect_to(struct Client* c, const char* service) {
  if (!service) {
    c->destination = SERVICE_NAME;
    MUST(sd_bus_open_system(&c->bus));
  } else {
    int fds[2];
    char number[16];
    EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    fcntl(fds[1], F_SETFD, 0);
    snprintf(number, sizeof(number), "%d", fds[1]);
    MUST(sd_event_add_child(c->event, NULL, start(service, number), WEXITED, on_service_end, c));
    close(fds[1]);
    MUST(sd_bus_new(&c->bus));
    MUST(sd_bus_set_fd(c->bus, fds[0], fds[0]));
    MUST(sd_bus_negotiate_fds(c->bus, 1));
    MUST(sd_bus_start(c->bus));
  }
  MUST(sd_bus_attach_event(c->bus, c->event, SD_EVENT_PRIORITY_NORMAL));
}

void disconnect(struct Client* c) {
  const bool started = !c->destination;
  c->bus = sd_bus_flush_close_unref(c->bus);
  // It ends as its connection is gone.
  if (started) run_until(c, &c->service_ended);
}
