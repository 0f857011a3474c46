// SPDX-License-Identifier: MIT
//
// A source that fires when memory, CPU or IO is short.
//
// Idea: a file is opened when the source is added (pressure_config.h says which), is given its settings before the loop
// waits for the first time, and is watched. A file of the kernel tells by EPOLLPRI and is never read; of a FIFO, a
// device or a socket any input tells, and is thrown away.
//
// Invariants:
//  1. An armed source is watched, so that errors belong to the call that arms it. While it has settings to write it is
//     on the loop's `PressureWrites` too, until the write was tried and whenever the descriptor has become writable.
//  2. A file of the kernel is watched anew after its settings were written: before, it has no queue that epoll could
//     wait on. It forgets an event as soon as anyone has looked, and a loop that watches our epoll set looks through
//     it: so once that set is lent, the file is watched through a relay, which see.
//  3. What can't be written, or watched then, turns the source off; no callback fails by it.
//  4. A hang-up or an error is reported once, as a failed callback: `fire` sees to it.
//
// Owner: the source owns its descriptors, from `add` until it is disconnected.
// Forks: a child closes its duplicates only.
#pragma once

#include "src/poller.h"
#include "src/pressure_config.h"

namespace evenkeel {

struct PressureWriteTag;
class PressureSource;

// The sources of a loop that have settings to write. Empty in nearly every loop at nearly every time.
using PressureWrites = List<PressureSource, PressureWriteTag>;

// Gives back to the system what memory the library keeps for later.
int trim_memory();

class PressureSource final : public WatchedSource, public ListNode<PressureWriteTag> {
 public:
  // A null callback stands for `trim_memory` where memory is short, else for nothing.
  static int add(Loop& loop, Source** ret, Kind kind, Handler callback, void* userdata);

  // -EBUSY when it is too late, or not the program's to say; 1 if something has changed.
  int set_full(bool full);
  int set_period(Usec threshold, Usec window);
  bool settable() const { return !begun_ && !config_.ruled_by_variables(); }

  // Writes what is due, before the kernel is asked for events.
  static void flush(PressureWrites& due);

  int arm() override;
  void disarm() override;
  void loop_lent() override;
  void on_ready(uint32_t events) override;
  int fire() override;
  void detach(bool forked) override;
  void destroy() override;

 private:
  template <typename T, typename... Args>
  friend T* make(Args&&... args);
  template <typename T>
  friend void dispose(T* object);

  PressureSource(Kind kind, Handler callback) : WatchedSource(kind, {}, Enabled::kOn), callback_(callback) {}

  bool of_kernel() const { return config_.file() == PressureFile::kRegular; }
  bool writing() const { return !config_.unwritten().empty(); }
  bool relayed() const { return fd_ != file_; }
  uint32_t events() const;
  void write_on();
  int write_rest();
  int drain();
  void relay();
  uint32_t take_report();
  void repeat_report();
  void close();

  PressureConfig config_;
  int file_ = -1;       // What is watched in the end; `fd_` is the same, or the relay.
  bool begun_ = false;  // To write the settings.
  uint32_t revents_ = 0;
  const Handler callback_;
};

}  // namespace evenkeel
