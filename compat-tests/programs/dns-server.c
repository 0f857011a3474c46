// SPDX-License-Identifier: MIT
//
// dns-server ADDRESS PORT: answers DNS queries by UDP there (RFC 1035). The name nN.DOMAIN, with a number N below
// 65536, has the address 10.9.N/256.N%256; other records of it are not there, and neither is any other name.
// Runs until it is killed.
#include <arpa/inet.h>
#include <err.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { kHeader = 12, kTypeA = 1, kNoSuchName = 3, kNames = 65536 };

// The length of a question that is not compressed, 0 if it is none.
static size_t question_length(const unsigned char* question, size_t length) {
  size_t at = 0;
  while (at < length && question[at] != 0 && question[at] < 64) at += 1 + (size_t)question[at];
  return at + 5 <= length && question[at] == 0 ? at + 5 : 0;
}

// The number in the first label, -1 if it is not nN.
static int number_of(const unsigned char* question) {
  char label[64] = "", *end;
  memcpy(label, question + 1, question[0]);
  if (label[0] != 'n' || label[1] < '0' || label[1] > '9') return -1;
  unsigned long n = strtoul(label + 1, &end, 10);
  return *end == 0 && n < kNames ? (int)n : -1;
}

// Turns a query into its answer; returns its length, 0 for none.
static size_t answer(unsigned char* message, size_t length, size_t room) {
  if (length < kHeader || message[2] & 0x80) return 0;
  size_t question = question_length(message + kHeader, length - kHeader);
  if (question == 0) return 0;
  int number = number_of(message + kHeader);
  size_t end = kHeader + question;
  bool found = number >= 0 && message[end - 3] == kTypeA;
  message[2] = (unsigned char)(0x84 | (message[2] & 1));
  message[3] = number >= 0 ? 0 : kNoSuchName;
  memcpy(message + 4, (unsigned char[]){0, 1, 0, found, 0, 0, 0, 0}, 8);
  if (!found || room < end + 16) return end;
  // The name of the question, A, IN, a minute, four bytes.
  memcpy(message + end, (unsigned char[]){0xC0, kHeader, 0, kTypeA, 0, 1, 0, 0, 0, 60, 0, 4, 10, 9}, 14);
  message[end + 14] = (unsigned char)(number >> 8);
  message[end + 15] = (unsigned char)number;
  return end + 16;
}

int main(int argc, char** argv) {
  if (argc != 3) errx(2, "usage: dns-server ADDRESS PORT");
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[2]))};
  if (inet_pton(AF_INET, argv[1], &address.sin_addr) != 1) errx(2, "no address: %s", argv[1]);
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, (struct sockaddr*)&address, sizeof address) < 0) err(1, "%s, port %s", argv[1], argv[2]);
  for (;;) {
    unsigned char message[1500];
    struct sockaddr_in from;
    socklen_t from_length = sizeof from;
    ssize_t n = recvfrom(fd, message, 512, 0, (struct sockaddr*)&from, &from_length);
    size_t length = n > 0 ? answer(message, (size_t)n, sizeof message) : 0;
    if (length > 0 && sendto(fd, message, length, 0, (struct sockaddr*)&from, from_length) < 0) err(1, "send");
  }
}
