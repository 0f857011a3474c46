// SPDX-License-Identifier: MIT
//
// sntp-server PORT: answers every SNTP request on this UDP port of loopback that its clock is not synchronised (RFC
// 4330: leap indicator 3), so that no client takes the time from it. Prints "asked" for each request. Runs until it is
// killed.
#include <arpa/inet.h>
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

// The era of NTP begins in 1900.
static const uint64_t kSecondsTo1970 = UINT64_C(2208988800);

struct sntp {
  unsigned char leap_version_mode, stratum, poll, precision;
  unsigned char delay[4], dispersion[4], reference[4];
  unsigned char reference_time[8], originate_time[8], receive_time[8], transmit_time[8];
};

int main(int argc, char** argv) {
  if (argc != 2) errx(2, "usage: sntp-server PORT");
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((unsigned short)atoi(argv[1])),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, (struct sockaddr*)&address, sizeof address) < 0) err(1, "port %s", argv[1]);
  for (;;) {
    struct sntp message;
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    ssize_t n = recvfrom(fd, &message, sizeof message, 0, (struct sockaddr*)&from, &length);
    if (n != sizeof message) continue;
    // What the client has sent as its time comes back as the time of the origin; the others are the time of this
    // machine.
    memcpy(message.originate_time, message.transmit_time, sizeof message.originate_time);
    uint32_t now = htonl((uint32_t)((uint64_t)time(NULL) + kSecondsTo1970));
    memcpy(message.reference_time, &now, sizeof now);
    memcpy(message.receive_time, &now, sizeof now);
    memcpy(message.transmit_time, &now, sizeof now);
    message.leap_version_mode = (unsigned char)(3 << 6 | 4 << 3 | 4);
    message.stratum = 2;
    message.precision = 0xEC;
    if (sendto(fd, &message, sizeof message, 0, (struct sockaddr*)&from, length) < 0) err(1, "send");
    puts("asked");
    fflush(stdout);
  }
}
