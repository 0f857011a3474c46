// SPDX-License-Identifier: MIT
//
// A program whose memory can run out at any single allocation.
//
// Idea: the program has a malloc, calloc and realloc of its own, which the dynamic linker gives to every library in it,
// the C library included. They are glibc's, but the one that `fail_allocation` names fails. What a call does without
// memory is then tried at each of its allocations in turn. They also count: how many allocations were made, and how
// many blocks are in use, of which a call that failed leaves none. And a thread can be held up in the middle of a call
// until another one has done something.
//
// Invariant: only what the same thread does between `fail_allocation` and `failed_allocation` can fail. valgrind and
// sanitizers have an allocator of their own, so programs of which that is all begin with
// `exit_77_with_another_allocator`. cmocka.h, where it is used, is included before.
#ifndef EVENKEEL_CONFORMANCE_NO_MEMORY_H
#define EVENKEEL_CONFORMANCE_NO_MEMORY_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static _Thread_local int allocations_left = -1;  // Until one fails; -1: none will.
static _Thread_local bool allocation_failed;
static _Thread_local void (*at_allocation)(void);
static _Atomic(unsigned long) allocations_made;
static _Atomic(long) blocks_in_use;

static inline void fail_allocation(int nth) {
  allocation_failed = false;
  allocations_left = nth;
}

// Ends the shortage; whether there was one.
static inline bool failed_allocation(void) {
  allocations_left = -1;
  return allocation_failed;
}

// The next allocation calls `act` first, once.
static inline void act_at_allocation(void (*act)(void)) { at_allocation = act; }

// Of every library, since the process began.
static inline unsigned long count_allocations(void) { return allocations_made; }
static inline long count_blocks(void) { return blocks_in_use; }

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

static inline bool out_of_memory(void) {
  void (*const before)(void) = at_allocation;
  at_allocation = NULL;
  if (before) before();
  if (allocations_left < 0 || allocations_left-- > 0) return false;
  allocation_failed = true;
  errno = ENOMEM;
  return true;
}

#define OF_EVERY_LIBRARY __attribute__((visibility("default")))

extern void* __libc_malloc(size_t size);
extern void* __libc_calloc(size_t n, size_t size);
extern void* __libc_realloc(void* old, size_t size);
extern void __libc_free(void* block);

static inline void* counted(void* block) {
  allocations_made++;
  blocks_in_use += block != NULL;
  return block;
}

OF_EVERY_LIBRARY void* malloc(size_t size) { return out_of_memory() ? NULL : counted(__libc_malloc(size)); }
OF_EVERY_LIBRARY void* calloc(size_t n, size_t size) {
  return out_of_memory() ? NULL : counted(__libc_calloc(n, size));
}
OF_EVERY_LIBRARY void* realloc(void* old, size_t size) {
  if (!old) return malloc(size);
  if (out_of_memory()) return NULL;
  allocations_made++;
  void* block = __libc_realloc(old, size);
  blocks_in_use -= !block && size == 0;  // That was a free.
  return block;
}
OF_EVERY_LIBRARY void free(void* block) {
  blocks_in_use -= block != NULL;
  __libc_free(block);
}

#endif

static inline void exit_77_with_another_allocator(void) {
  void* (*volatile allocate)(size_t) = malloc;  // The compiler believes to know what malloc changes.
  fail_allocation(0);
  free(allocate(1));
  if (failed_allocation()) return;
  puts("skipped: valgrind or a sanitizer has replaced malloc, so that it can't be made to fail");
  exit(77);
}

#endif
