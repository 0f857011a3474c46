// SPDX-License-Identifier: MIT
//
// sd_is_socket, sd_is_socket_inet, sd_is_socket_sockaddr and sd_is_socket_unix.
//
// The idea: for the first two the right answer is known from how each socket was made, so every socket meets every
// combination of arguments. For the other two, which compare addresses, there are tables. IPv6 sockets are left out
// where the kernel has none; ports are the kernel's choice. See daemon_harness.h for the rules.
#include "daemon_harness.h"

// ---- one socket of each kind ----

struct Sample {
  int family, type;
  bool listens;
  int fd;
  uint16_t port;  // host byte order, 0: not bound
};

enum { kStream, kDatagram, kListener, kTcp4, kUdp4, kListener4, kNetlink, kTcp6, kUdp6, kListener6, kSamples };

static struct Sample* samples(void) {
  static struct Sample all[kSamples] = {
      {AF_UNIX, SOCK_STREAM, false, -1, 0}, {AF_UNIX, SOCK_DGRAM, false, -1, 0},   {AF_UNIX, SOCK_STREAM, true, -1, 0},
      {AF_INET, SOCK_STREAM, false, -1, 0}, {AF_INET, SOCK_DGRAM, false, -1, 0},   {AF_INET, SOCK_STREAM, true, -1, 0},
      {AF_NETLINK, SOCK_RAW, false, -1, 0}, {AF_INET6, SOCK_STREAM, false, -1, 0}, {AF_INET6, SOCK_DGRAM, false, -1, 0},
      {AF_INET6, SOCK_STREAM, true, -1, 0},
  };
  return all;
}

static int sample(int kind) { return samples()[kind].fd; }

static size_t loopback(int family, uint16_t port, struct sockaddr_storage* ret) {
  struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  memset(ret, 0, sizeof(*ret));
  if (family == AF_INET) memcpy(ret, &in4, sizeof(in4));
  if (family == AF_INET6) memcpy(ret, &in6, sizeof(in6));
  return family == AF_INET ? sizeof(in4) : sizeof(in6);
}

static bool have_ipv6(void) { return sample(kListener6) >= 0; }

static int open_sample(struct Sample* s) {
  struct sockaddr_storage address;
  socklen_t size = sizeof(address);
  s->fd = socket(s->family, s->type | SOCK_CLOEXEC, 0);
  if (s->fd < 0) return -1;
  if (s->listens && s->family != AF_UNIX) {
    if (bind(s->fd, (struct sockaddr*)&address, (socklen_t)loopback(s->family, 0, &address)) < 0) return -1;
    if (getsockname(s->fd, (struct sockaddr*)&address, &size) < 0) return -1;
    s->port = ntohs(((struct sockaddr_in*)&address)->sin_port);  // at the same place in both families
  }
  if (s->listens && s->family == AF_UNIX &&
      bind_unix(s->fd, in_directory("listener"), strlen(in_directory("listener")) + 1))
    return -1;
  return s->listens ? listen(s->fd, 1) : 0;
}

static int close_all(void** state) {
  for (int i = 0; i < kSamples; i++)
    if (sample(i) >= 0) close(sample(i));
  return remove_directory(state);
}

static int open_all(void** state) {
  if (make_directory(state) < 0) return -1;
  for (int i = 0; i < kSamples; i++) {
    if (open_sample(&samples()[i]) == 0) continue;
    if (samples()[i].family != AF_INET6) return -1;
    print_message("no IPv6 here: %s\n", strerror(errno));
    if (sample(i) >= 0) close(sample(i));
    samples()[i].fd = -1;
  }
  return 0;
}

static bool matches(const struct Sample* s, int type, int listening) {
  return (type == 0 || type == s->type) && (listening < 0 || (listening > 0) == s->listens);
}

// ---- sd_is_socket ----

static void every_socket_is_what_it_was_made_as(void** state) {
  (void)state;
  static const int kFamilies[] = {AF_UNSPEC, AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, 9999};
  static const int kTypes[] = {0, SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, 99, SOCK_STREAM | SOCK_CLOEXEC};
  static const int kListening[] = {-1, 0, 1, 5, INT_MIN, INT_MAX};
  for (const struct Sample* s = samples(); s < samples() + kSamples; s++)
    for (size_t f = 0; s->fd >= 0 && f < lengthof(kFamilies); f++)
      for (size_t t = 0; t < lengthof(kTypes); t++)
        for (size_t l = 0; l < lengthof(kListening); l++) {
          char name[100];
          snprintf(name, sizeof(name), "sample %d, family %d, type %d, listening %d", (int)(s - samples()),
                   kFamilies[f], kTypes[t], kListening[l]);
          const bool expected =
              (kFamilies[f] == 0 || kFamilies[f] == s->family) && matches(s, kTypes[t], kListening[l]);
          expect_case(name, sd_is_socket(s->fd, kFamilies[f], kTypes[t], kListening[l]), expected);
        }
}

static void what_is_no_socket_is_0_and_what_makes_no_sense_an_error(void** state) {
  (void)state;
  const int file = open("/dev/null", O_RDWR | O_CLOEXEC);
  assert_int_equal(sd_is_socket(file, 0, 0, -1), 0);
  assert_int_equal(sd_is_socket(file, AF_UNIX, SOCK_STREAM, 1), 0);
  assert_int_equal(sd_is_socket(file, -1, 0, -1), -EINVAL);
  assert_int_equal(sd_is_socket(file, 0, -1, -1), -EINVAL);
  assert_int_equal(sd_is_socket(sample(kStream), 0, -1, -1), -EINVAL);
  assert_int_equal(sd_is_socket(100000, -1, 0, -1), -EINVAL);
  assert_int_equal(sd_is_socket(100000, 0, 0, -1), -EBADF);
  assert_int_equal(sd_is_socket(-1, -1, -1, -1), -EBADF);
  assert_int_equal(sd_is_socket(AT_FDCWD, 0, 0, -1), -EBADF);
  close(file);
}

// ---- sd_is_socket_inet ----

static void every_socket_is_bound_where_it_was_bound(void** state) {
  (void)state;
  static const int kFamilies[] = {AF_UNSPEC, AF_INET, AF_INET6};
  static const int kTypes[] = {0, SOCK_STREAM, SOCK_DGRAM};
  static const int kListening[] = {-1, 0, 1};
  for (const struct Sample* s = samples(); s < samples() + kSamples; s++)
    for (size_t f = 0; s->fd >= 0 && f < lengthof(kFamilies); f++)
      for (size_t t = 0; t < lengthof(kTypes); t++)
        for (size_t l = 0; l < lengthof(kListening); l++)
          for (int p = 0; p < 3; p++) {
            const uint16_t port = p == 0 ? 0 : p == 1 ? s->port : (uint16_t)(s->port ^ 1);
            char name[100];
            snprintf(name, sizeof(name), "sample %d, family %d, type %d, listening %d, port %d", (int)(s - samples()),
                     kFamilies[f], kTypes[t], kListening[l], port);
            const bool inet = s->family == AF_INET || s->family == AF_INET6;
            const bool family = inet && (kFamilies[f] == 0 || kFamilies[f] == s->family);
            const bool expected = family && matches(s, kTypes[t], kListening[l]) && (port == 0 || port == s->port);
            expect_case(name, sd_is_socket_inet(s->fd, kFamilies[f], kTypes[t], kListening[l], port), expected);
          }
}

static void only_the_inet_families_may_be_asked_for(void** state) {
  (void)state;
  const int file = open("/dev/null", O_RDWR | O_CLOEXEC);
  assert_int_equal(sd_is_socket_inet(sample(kStream), AF_UNIX, 0, -1, 0), -EINVAL);
  assert_int_equal(sd_is_socket_inet(sample(kTcp4), -1, 0, -1, 0), -EINVAL);
  assert_int_equal(sd_is_socket_inet(100000, 99, 0, -1, 0), -EINVAL);
  assert_int_equal(sd_is_socket_inet(sample(kTcp4), 0, -1, -1, 0), -EINVAL);
  assert_int_equal(sd_is_socket_inet(-1, AF_UNIX, 0, -1, 0), -EBADF);
  assert_int_equal(sd_is_socket_inet(100000, 0, 0, -1, 0), -EBADF);
  assert_int_equal(sd_is_socket_inet(file, 0, 0, -1, 80), 0);
  close(file);
}

// ---- sd_is_socket_sockaddr ----

static int is_at4(int fd, const char* ip, uint16_t port, unsigned size, int listening) {
  struct sockaddr_storage address = {0};
  struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, ip, &in4.sin_addr);
  memcpy(&address, &in4, sizeof(in4));
  return sd_is_socket_sockaddr(fd, SOCK_STREAM, (struct sockaddr*)&address, size, listening);
}

static void an_ipv4_address_is_compared(void** state) {
  (void)state;
  const int fd = sample(kListener4);
  const uint16_t port = samples()[kListener4].port;
  assert_int_equal(is_at4(fd, "127.0.0.1", port, 16, 1), 1);
  assert_int_equal(is_at4(fd, "127.0.0.1", port, 17, -1), 1);
  assert_int_equal(is_at4(fd, "127.0.0.1", port, 128, -1), 1);
  assert_int_equal(is_at4(fd, "127.0.0.1", 0, 16, 1), 1);
  assert_int_equal(is_at4(fd, "127.0.0.1", port ^ 1, 16, 1), 0);
  assert_int_equal(is_at4(fd, "127.0.0.2", port, 16, 1), 0);
  assert_int_equal(is_at4(fd, "0.0.0.0", port, 16, 1), 0);
  assert_int_equal(is_at4(fd, "0.0.0.0", 0, 16, 1), 0);
  assert_int_equal(is_at4(fd, "127.0.0.1", port, 16, 0), 0);
  assert_int_equal(is_at4(sample(kTcp4), "0.0.0.0", 0, 16, -1), 1);
  assert_int_equal(is_at4(sample(kUdp4), "0.0.0.0", 0, 16, -1), 0);
  assert_int_equal(is_at4(sample(kStream), "127.0.0.1", port, 16, -1), 0);
}

static int is_at6(int fd, const char* ip, uint16_t port, uint32_t flow, uint32_t scope, unsigned size) {
  struct sockaddr_storage address = {0};
  struct sockaddr_in6 in6 = {
      .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_flowinfo = flow, .sin6_scope_id = scope};
  inet_pton(AF_INET6, ip, &in6.sin6_addr);
  memcpy(&address, &in6, sizeof(in6));
  return sd_is_socket_sockaddr(fd, SOCK_STREAM, (struct sockaddr*)&address, size, 1);
}

static void an_ipv6_address_is_compared_with_what_is_given_of_flow_and_scope(void** state) {
  (void)state;
  const int fd = sample(kListener6);
  const uint16_t port = samples()[kListener6].port;
  assert_int_equal(is_at6(sample(kListener4), "::1", 0, 0, 0, 28), 0);
  assert_int_equal(is_at6(sample(kListener4), "::1", 0, 0, 0, 16), 0);  // too short, but not its family
  if (!have_ipv6()) skip();
  assert_int_equal(is_at6(fd, "::1", port, 0, 0, 28), 1);
  assert_int_equal(is_at6(fd, "::1", 0, 0, 0, 32), 1);
  assert_int_equal(is_at6(fd, "::1", port ^ 1, 0, 0, 28), 0);
  assert_int_equal(is_at6(fd, "::2", port, 0, 0, 28), 0);
  assert_int_equal(is_at6(fd, "::", port, 0, 0, 28), 0);
  assert_int_equal(is_at6(fd, "::1", port, 5, 0, 28), 0);
  assert_int_equal(is_at6(fd, "::1", port, 0, 7, 28), 0);
  assert_int_equal(is_at6(fd, "::1", port, 0, 0, 27), -EINVAL);
  assert_int_equal(is_at6(fd, "::1", port, 0, 0, 24), -EINVAL);
  assert_int_equal(is_at4(fd, "127.0.0.1", 0, 16, 1), 0);
}

static void an_address_must_be_long_enough_and_of_an_inet_family(void** state) {
  (void)state;
  struct sockaddr_storage address;
  const int fd = sample(kListener4), file = open("/dev/null", O_RDWR | O_CLOEXEC);
  struct sockaddr* at = (struct sockaddr*)&address;
  loopback(AF_INET, 0, &address);
  static const struct {
    unsigned size;
    int result;
  } kSizes[] = {{0, -ENOBUFS}, {1, -ENOBUFS}, {2, -EINVAL}, {15, -EINVAL}, {16, 1}};
  for (size_t i = 0; i < lengthof(kSizes); i++)
    assert_int_equal(sd_is_socket_sockaddr(fd, 0, at, kSizes[i].size, -1), kSizes[i].result);
  assert_int_equal(sd_is_socket_sockaddr(fd, 0, NULL, 16, -1), -EINVAL);
  assert_int_equal(sd_is_socket_sockaddr(-1, 0, NULL, 16, -1), -EBADF);
  assert_int_equal(sd_is_socket_sockaddr(100000, 0, at, 16, -1), -EBADF);
  assert_int_equal(sd_is_socket_sockaddr(fd, -1, at, 16, -1), -EINVAL);
  assert_int_equal(sd_is_socket_sockaddr(file, 0, at, 16, -1), 0);
  assert_int_equal(sd_is_socket_sockaddr(file, 0, at, 15, -1), 0);
  at->sa_family = AF_UNIX;
  assert_int_equal(sd_is_socket_sockaddr(sample(kStream), 0, at, 110, -1), -EPFNOSUPPORT);
  assert_int_equal(sd_is_socket_sockaddr(100000, 0, at, 3, -1), -EPFNOSUPPORT);
  at->sa_family = AF_UNSPEC;
  assert_int_equal(sd_is_socket_sockaddr(fd, 0, at, 16, -1), -EPFNOSUPPORT);
  close(file);
}

static void an_address_may_stand_at_any_place_in_memory(void** state) {
  (void)state;
  struct sockaddr_storage address;
  char bytes[sizeof(address) + 1];
  const size_t size = loopback(AF_INET, samples()[kListener4].port, &address);
  memcpy(bytes + 1, &address, size);
  const struct sockaddr* odd = (const struct sockaddr*)(const void*)(bytes + 1);
  assert_int_equal(sd_is_socket_sockaddr(sample(kListener4), 0, odd, (unsigned)size, 1), 1);
}

// ---- sd_is_socket_unix ----

static void a_path_is_compared_as_a_whole(void** state) {
  (void)state;
  char path[200] = "", longer[200] = "";
  const int fd = sample(kListener);
  const size_t size = strlen(in_directory("listener"));
  assert_true(size < 108);
  memcpy(path, in_directory("listener"), size);
  memcpy(longer, path, size);
  longer[size] = 'x';
  assert_int_equal(sd_is_socket_unix(fd, 0, -1, NULL, 0), 1);
  assert_int_equal(sd_is_socket_unix(fd, SOCK_STREAM, 1, path, 0), 1);
  assert_int_equal(sd_is_socket_unix(fd, SOCK_STREAM, 1, path, size), 1);
  assert_int_equal(sd_is_socket_unix(fd, SOCK_STREAM, 1, path, size + 1), 0);
  assert_int_equal(sd_is_socket_unix(fd, SOCK_STREAM, 1, path, 150), 0);
  assert_int_equal(sd_is_socket_unix(fd, SOCK_STREAM, 1, longer, 0), 0);
  assert_int_equal(sd_is_socket_unix(fd, SOCK_STREAM, 1, "listener", 0), 0);
  assert_int_equal(sd_is_socket_unix(fd, SOCK_STREAM, 1, "", 0), 0);
  assert_int_equal(sd_is_socket_unix(fd, SOCK_DGRAM, 1, path, 0), 0);
  assert_int_equal(sd_is_socket_unix(fd, SOCK_STREAM, 0, path, 0), 0);
  assert_int_equal(sd_is_socket_unix(fd, 0, -1, longer, size), differs(kUnixLength, 0, 1));
  assert_int_equal(sd_is_socket_unix(fd, 0, -1, path, size - 1), differs(kUnixLength, 1, 0));
  path[size - 1] = '\0';
  assert_int_equal(sd_is_socket_unix(fd, SOCK_STREAM, 1, path, 0), 0);
}

static void an_abstract_name_is_compared_as_a_whole(void** state) {
  (void)state;
  char name[400] = "";
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const size_t size = 1 + (size_t)sprintf(name + 1, "evenkeel-is-%d", (int)getpid());
  assert_int_equal(bind_unix(fd, name, size), 0);
  assert_int_equal(sd_is_socket_unix(fd, SOCK_DGRAM, -1, name, size), 1);
  assert_int_equal(sd_is_socket_unix(fd, SOCK_STREAM, -1, name, size), 0);
  assert_int_equal(sd_is_socket_unix(fd, 0, -1, name, size - 1), 0);
  assert_int_equal(sd_is_socket_unix(fd, 0, -1, name, size + 1), 0);
  assert_int_equal(sd_is_socket_unix(fd, 0, -1, name, 0), 0);
  assert_int_equal(sd_is_socket_unix(fd, 0, -1, name, 400), 0);
  assert_int_equal(sd_is_socket_unix(fd, 0, -1, name + 1, 0), 0);
  name[size - 1] ^= 1;
  assert_int_equal(sd_is_socket_unix(fd, 0, -1, name, size), 0);
  close(fd);
}

static void a_path_of_the_full_108_bytes_has_no_room_for_a_nul(void** state) {
  (void)state;
  char path[110];
  const int length = snprintf(path, sizeof(path), "%s/", test_directory());
  memset(path + length, 'p', 108 - (size_t)length);
  path[108] = path[109] = '\0';
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind_unix(fd, path, 108), 0);
  assert_int_equal(sd_is_socket_unix(fd, 0, -1, path, 0), 1);
  assert_int_equal(sd_is_socket_unix(fd, 0, -1, path, 108), 1);
  path[108] = 'p';
  assert_int_equal(sd_is_socket_unix(fd, 0, -1, path, 0), 0);
  path[107] = '\0';
  assert_int_equal(sd_is_socket_unix(fd, 0, -1, path, 0), 0);
  close(fd);
}

static void a_socket_without_a_name_has_only_the_empty_one(void** state) {
  (void)state;
  const int fd = sample(kStream);
  assert_int_equal(sd_is_socket_unix(fd, 0, -1, NULL, 0), 1);
  assert_int_equal(sd_is_socket_unix(fd, 0, -1, "", 0), 1);
  assert_int_equal(sd_is_socket_unix(fd, 0, -1, "", 1), 0);
  assert_int_equal(sd_is_socket_unix(fd, 0, -1, "/x", 0), 0);
}

static void what_is_no_unix_socket_is_0(void** state) {
  (void)state;
  const int file = open("/dev/null", O_RDWR | O_CLOEXEC);
  assert_int_equal(sd_is_socket_unix(sample(kTcp4), 0, -1, NULL, 0), 0);
  assert_int_equal(sd_is_socket_unix(sample(kListener4), 0, -1, "/x", 0), 0);
  assert_int_equal(sd_is_socket_unix(file, 0, -1, NULL, 0), 0);
  assert_int_equal(sd_is_socket_unix(file, -1, -1, NULL, 0), -EINVAL);
  assert_int_equal(sd_is_socket_unix(100000, 0, -1, NULL, 0), -EBADF);
  assert_int_equal(sd_is_socket_unix(-1, -1, -1, NULL, 0), -EBADF);
  close(file);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      clean_test(every_socket_is_what_it_was_made_as),
      clean_test(what_is_no_socket_is_0_and_what_makes_no_sense_an_error),
      clean_test(every_socket_is_bound_where_it_was_bound),
      clean_test(only_the_inet_families_may_be_asked_for),
      clean_test(an_ipv4_address_is_compared),
      clean_test(an_ipv6_address_is_compared_with_what_is_given_of_flow_and_scope),
      clean_test(an_address_must_be_long_enough_and_of_an_inet_family),
      clean_test(an_address_may_stand_at_any_place_in_memory),
      clean_test(a_path_is_compared_as_a_whole),
      clean_test(an_abstract_name_is_compared_as_a_whole),
      clean_test(a_path_of_the_full_108_bytes_has_no_room_for_a_nul),
      clean_test(a_socket_without_a_name_has_only_the_empty_one),
      clean_test(what_is_no_unix_socket_is_0),
  };
  return cmocka_run_group_tests(tests, open_all, close_all);
}
