// SPDX-License-Identifier: MIT
//
// $NOTIFY_SOCKET: the input is the variable.
//
// Nothing is sent: an address that happens to be that of somebody's socket must not get a message.
#include <errno.h>
#include <string.h>

#include "absl/strings/str_cat.h"
#include "fuzz/expect.h"
#include "src/notify.h"

namespace evenkeel::fuzz {
namespace {

void expect_unix(const std::string& text, int r, const NotifyAddress& address) {
  const bool abstract = text[0] == '@';
  const int expected = text.size() == 1                            ? -EINVAL
                       : text.size() < sizeof(address.un.sun_path) ? 0
                       : abstract                                  ? -EINVAL
                                                                   : -ENAMETOOLONG;
  EXPECT(r == expected);
  if (r < 0) return;
  const size_t size = offsetof(struct sockaddr_un, sun_path) + text.size() + (abstract ? 0 : 1);
  EXPECT(address.any.sa_family == AF_UNIX && address.type == SOCK_DGRAM && address.size == size);
  EXPECT(address.un.sun_path[0] == (abstract ? '\0' : '/'));
  EXPECT(std::string_view(address.un.sun_path + 1, text.size() - 1) == std::string_view(text).substr(1));
}

bool same(const NotifyAddress& a, const NotifyAddress& b) {
  return a.size == b.size && memcmp(&a.any, &b.any, a.size) == 0 && a.type == b.type && a.fall_back == b.fall_back;
}

// What is understood can be written in one way, which is understood as the same.
void expect_vsock(const std::string& text, int r, const NotifyAddress& address) {
  const std::string scheme = text.substr(0, text.find(':') + 1);
  const bool known =
      scheme == "vsock:" || scheme == "vsock-dgram:" || scheme == "vsock-seqpacket:" || scheme == "vsock-stream:";
  EXPECT(known ? r == 0 || r == -EINVAL || r == -ERANGE : r == -EPROTO);
  if (r < 0) return;
  EXPECT(text.starts_with("vsock"));
  EXPECT(address.any.sa_family == AF_VSOCK && address.size == sizeof(address.vm));
  EXPECT(address.vm.svm_cid != VMADDR_CID_ANY && address.vm.svm_port != VMADDR_PORT_ANY);
  const std::string plain =
      absl::StrCat(text.substr(0, text.find(':')), ":", address.vm.svm_cid, ":", address.vm.svm_port);
  NotifyAddress again;
  EXPECT(parse_notify_address(plain.c_str(), &again) == 0);
  EXPECT(same(address, again));
}

}  // namespace
}  // namespace evenkeel::fuzz

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace evenkeel;
  const std::string text = fuzz::string_of(fuzz::view_of(data, size));
  NotifyAddress address;
  const int r = parse_notify_address(text.c_str(), &address);
  if (text.starts_with('/') || text.starts_with('@'))
    fuzz::expect_unix(text, r, address);
  else
    fuzz::expect_vsock(text, r, address);
  return 0;
}
