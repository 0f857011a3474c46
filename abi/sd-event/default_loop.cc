// SPDX-License-Identifier: MIT
//
// The default loop of each thread.
//
// Idea: a cell on the heap stands between the thread and its loop, known to both. The thread-local pointer leads to it
// without a call; a pthread key has it freed when the thread ends. So a loop that outlives its thread, and is freed by
// another, does not reach into memory of a thread that is gone.
//
// Invariant: a cell exists while its loop or its thread does, and is freed by the one that goes last; `loop` or
// `thread_gone` says which is still there.
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi/sd-event/handles.h"
#include "src/memory.h"

namespace evenkeel::sd {

namespace {

struct Cell {
  Loop* loop = nullptr;
  pid_t thread = 0;
  bool thread_gone = false;
};

thread_local Cell* cell = nullptr;
pthread_once_t key_once = PTHREAD_ONCE_INIT;
pthread_key_t key;
int key_error = 0;

void thread_ends(void* data) {
  Cell* mine = static_cast<Cell*>(data);
  mine->thread_gone = true;
  cell = nullptr;
  if (!mine->loop) dispose(mine);
}

void make_key() { key_error = ::pthread_key_create(&key, thread_ends); }

void loop_ends(void* data) {
  Cell* its = static_cast<Cell*>(data);
  its->loop = nullptr;
  if (its->thread_gone) {
    dispose(its);
  } else if (its == cell) {
    cell = nullptr;
    (void)::pthread_setspecific(key, nullptr);
    dispose(its);
  }
  // Else its thread finds it empty, and uses it again or ends it.
}

int make_cell() {
  if (cell) return 0;
  (void)::pthread_once(&key_once, make_key);
  if (key_error != 0) return -ENOMEM;
  Cell* made = make<Cell>();
  if (!made) return -ENOMEM;
  if (::pthread_setspecific(key, made) != 0) {
    dispose(made);
    return -ENOMEM;
  }
  made->thread = static_cast<pid_t>(::syscall(SYS_gettid));
  cell = made;
  return 0;
}

Cell* cell_of(const Loop& loop) { return loop.on_free == loop_ends ? static_cast<Cell*>(loop.on_free_data) : nullptr; }

}  // namespace

Loop* default_loop() { return cell ? cell->loop : nullptr; }

bool is_foreign_default(const Loop& loop) {
  const Cell* its = cell_of(loop);
  return its && its != cell;
}

int default_thread(const Loop& loop, pid_t* ret) {
  const Cell* its = cell_of(loop);
  if (!its) return -ENXIO;
  *ret = its->thread;
  return 0;
}

static int make_default(Loop** ret) {
  RETURN_IF_ERROR(make_cell());
  Loop* loop = nullptr;
  RETURN_IF_ERROR(Loop::create(&loop));
  loop->on_free = loop_ends;
  loop->on_free_data = cell;
  cell->loop = loop;
  *ret = loop;
  return 1;
}

}  // namespace evenkeel::sd

using namespace evenkeel;
using namespace evenkeel::sd;

extern "C" {

EVENKEEL_PUBLIC int sd_event_default(sd_event** ret) noexcept {
  Loop* loop = default_loop();
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
