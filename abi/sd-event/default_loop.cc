// SPDX-License-Identifier: MIT
//
// The default loop of each thread.
//
// Idea: each default loop has a cell, which is in use as long as the loop lives. A thread remembers the cell of its
// loop and the number that the cell got with it. When the loop ends, the cell loses the number, and may get another one
// with another loop. So a thread finds out by itself that its loop is gone, whichever thread has freed it; and a loop
// that outlives its thread reaches into no memory of that thread. Nothing has to be done when a thread ends, so there
// is no function that is called then: the library may be unloaded by that time, and the program's own functions for the
// end of a thread may still use the thread's loop.
//
// Invariants:
//  1. A cell is in use if and only if its `number` is not 0. A number is given once.
//  2. `loop` and `thread` are written by the thread that has given the number, before anybody else knows the loop.
//  3. Cells are used again and never freed: there are as many as there were default loops at one time, 16 at least.
//
// Forks: a child's copy of the parent's default loop is none of the child, which makes its own.
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>

#include "abi/sd-event/handles.h"
#include "src/memory.h"

namespace evenkeel::sd {

namespace {

struct Cell {
  std::atomic<uint64_t> number = 0;
  Loop* loop = nullptr;
  pid_t thread = 0;
};

struct Block {
  Cell cells[16];
  std::atomic<Block*> next = nullptr;
};

constinit Block first_block;
constinit std::atomic<uint64_t> last_number = 0;

// What this thread remembers.
struct Mine {
  Cell* cell = nullptr;
  uint64_t number = 0;
};
constinit thread_local Mine mine;

bool is_mine(const Cell* cell) {
  return cell == mine.cell && cell->number.load(std::memory_order_acquire) == mine.number;
}

void loop_ends(void* data) { static_cast<Cell*>(data)->number.store(0, std::memory_order_release); }

// A block behind `block`; null when memory is short.
Block* next_block(Block& block) {
  Block* next = block.next.load(std::memory_order_acquire);
  if (next) return next;
  Block* fresh = make<Block>();
  if (!fresh || block.next.compare_exchange_strong(next, fresh, std::memory_order_acq_rel)) return fresh;
  dispose(fresh);  // Another thread was faster.
  return next;
}

Cell* take_cell(uint64_t number) {
  for (Block* block = &first_block; block; block = next_block(*block)) {
    for (Cell& cell : block->cells) {
      uint64_t unused = 0;
      if (cell.number.load(std::memory_order_relaxed) == 0 &&
          cell.number.compare_exchange_strong(unused, number, std::memory_order_acquire))
        return &cell;
    }
  }
  return nullptr;
}

Cell* cell_of(const Loop& loop) { return loop.on_free == loop_ends ? static_cast<Cell*>(loop.on_free_data) : nullptr; }

}  // namespace

Loop* default_loop() { return mine.cell && is_mine(mine.cell) ? mine.cell->loop : nullptr; }

bool is_foreign_default(const Loop& loop) {
  const Cell* its = cell_of(loop);
  return its && !is_mine(its);
}

int default_thread(const Loop& loop, pid_t* ret) {
  const Cell* its = cell_of(loop);
  if (!its) return -ENXIO;
  *ret = its->thread;
  return 0;
}

static int make_default(Loop** ret) {
  const uint64_t number = last_number.fetch_add(1, std::memory_order_relaxed) + 1;
  Cell* cell = take_cell(number);
  if (!cell) return -ENOMEM;
  Loop* loop = nullptr;
  if (const int r = Loop::create(&loop); r < 0) {
    loop_ends(cell);
    return r;
  }
  cell->loop = loop;
  cell->thread = static_cast<pid_t>(::syscall(SYS_gettid));
  loop->on_free = loop_ends;
  loop->on_free_data = cell;
  mine = {cell, number};
  *ret = loop;
  return 1;
}

}  // namespace evenkeel::sd

using namespace evenkeel;
using namespace evenkeel::sd;

extern "C" {

EVENKEEL_PUBLIC int sd_event_default(sd_event** ret) noexcept {
  Loop* loop = default_loop();
  if (loop && loop->forked()) loop = nullptr;  // The parent's.
  if (!ret) return loop != nullptr;
  if (!loop) {
    const int r = make_default(&loop);
    if (r >= 0) *ret = to_handle(loop);
    return r;
  }
  loop->ref();
  *ret = to_handle(loop);
  return 0;
}
EVENKEEL_SINCE(LIBSYSTEMD_221, sd_event_default);

}  // extern "C"
