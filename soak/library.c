// SPDX-License-Identifier: MIT
//
// The library as a plug-in: a second copy of it that is loaded, used by threads, and unloaded while they live.
//
// Idea: the copy is a file of its own, so that the dynamic linker takes it for another library. A thread makes a
// default loop of it, and hears an event. It frees the loop, or gives up its reference on the library with the loop
// there still: then the main thread frees that. The library is unloaded before the thread ends, or when it has ended.
//
// Invariants: no loop is left when the copy goes. After the last dlclose() it is not in the process any more, and the
// process has as much memory mapped as before, but for heap and stack, which the counts between rounds are for.
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "soak/soak.h"

static char copy[96];

struct Plugin {
  void* handle;
  int (*new_loop)(sd_event**);
  int (*default_loop)(sd_event**);
  sd_event* (*unref)(sd_event*);
  int (*add_io)(sd_event*, sd_event_source**, int, uint32_t, sd_event_io_handler_t, void*);
  sd_event_source* (*source_unref)(sd_event_source*);
  int (*run)(sd_event*, uint64_t);
};
struct User {
  const struct Plugin* plugin;
  sd_event* left;
  int fd;
  unsigned received;
  bool keeps, broken;
  sem_t used, unloaded;
};

void begin_library(void) {
  Dl_info info;
  struct stat st;
  if (dladdr((void*)(intptr_t)sd_event_new, &info) == 0) return;
  (void)snprintf(copy, sizeof(copy), "%s/copy.so", world.directory);
  const int from = open(info.dli_fname, O_RDONLY | O_CLOEXEC);
  const int to = open(copy, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
  if (from < 0 || to < 0 || fstat(from, &st) != 0 || sendfile(to, from, NULL, (size_t)st.st_size) != st.st_size)
    fault(NULL, "%s: %s", info.dli_fname, strerror(errno));
  close(from);
  close(to);
}

void end_library(void) {
  if (copy[0]) (void)unlink(copy);
}

static int on_event(sd_event_source* s, int fd, uint32_t revents, void* userdata) {
  struct User* u = userdata;
  eventfd_t value = 0;
  (void)s;
  u->broken = revents != EPOLLIN || eventfd_read(fd, &value) != 0 || u->broken;
  u->received += (unsigned)value;
  return 0;
}

static void await(sem_t* semaphore) {
  while (sem_wait(semaphore) != 0) continue;
}

static void* use(void* userdata) {
  struct User* u = userdata;
  const struct Plugin* p = u->plugin;
  sd_event_source* source = NULL;
  sd_event* loop = NULL;
  u->broken = p->default_loop(&loop) != 1 || p->add_io(loop, &source, u->fd, EPOLLIN, on_event, u) != 0 ||
              p->run(loop, UINT64_MAX) != 1 || p->run(loop, 0) != 0;
  p->source_unref(source);
  if (u->keeps)
    u->left = loop;
  else
    p->unref(loop);
  (void)sem_post(&u->used);
  await(&u->unloaded);
  return NULL;
}

static unsigned long count_mapped(void) {
  unsigned long all = 0, begin = 0, end = 0;
  char line[512];
  FILE* file = blocks_in_use_now() < 0 ? NULL : fopen("/proc/self/maps", "re");
  if (!file) return 0;  // Sanitizers and valgrind have mappings of their own.
  while (fgets(line, sizeof(line), file))
    if (!strchr(line, '[') && sscanf(line, "%lx-%lx", &begin, &end) == 2) all += end - begin;
  (void)fclose(file);
  return all;
}

static bool load(struct Plugin* p) {
  p->handle = dlopen(copy, RTLD_NOW | RTLD_LOCAL);
  if (!p->handle) fault(NULL, "dlopen: %s", dlerror());
  *(void**)&p->new_loop = dlsym(p->handle, "sd_event_new");
  *(void**)&p->default_loop = dlsym(p->handle, "sd_event_default");
  *(void**)&p->unref = dlsym(p->handle, "sd_event_unref");
  *(void**)&p->add_io = dlsym(p->handle, "sd_event_add_io");
  *(void**)&p->source_unref = dlsym(p->handle, "sd_event_source_unref");
  *(void**)&p->run = dlsym(p->handle, "sd_event_run");
  return p->new_loop && p->default_loop && p->unref && p->add_io && p->source_unref && p->run;
}

// An object of the one copy is none of the other's.
static void mix_copies(const struct Plugin* p) {
  sd_event *theirs = NULL, *ours = NULL;
  must(p->new_loop(&theirs));
  must(sd_event_new(&ours));
  if (sd_event_run(theirs, 0) != -EINVAL || p->run(ours, 0) != -EINVAL) fault(NULL, "a loop of another copy was run");
  p->unref(theirs);
  sd_event_unref(ours);
}

void unload_the_library(uint64_t* luck) {
  struct Plugin plugin;
  struct User u = {.plugin = &plugin, .keeps = one_in(luck, 2), .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  const bool while_it_lives = one_in(luck, 2);
  pthread_t thread;
  if (!copy[0]) return;
  const unsigned long before = count_mapped();
  if (!load(&plugin)) fault(NULL, "dlsym: %s", dlerror());
  if (one_in(luck, 2)) mix_copies(&plugin);
  if (u.fd < 0 || sem_init(&u.used, 0, 0) != 0 || sem_init(&u.unloaded, 0, 0) != 0) fault(NULL, "sem_init");
  start_thread(&thread, use, &u);
  if (eventfd_write(u.fd, 1) != 0) fault(NULL, "eventfd_write");
  await(&u.used);
  plugin.unref(u.left);
  if (while_it_lives && dlclose(plugin.handle) != 0) fault(NULL, "dlclose: %s", dlerror());
  (void)sem_post(&u.unloaded);
  if (pthread_join(thread, NULL) != 0) fault(NULL, "pthread_join");
  if (!while_it_lives && dlclose(plugin.handle) != 0) fault(NULL, "dlclose: %s", dlerror());
  if (u.broken || u.received != 1) fault(NULL, "a thread got %u events by a plug-in", u.received);
  if (dlopen(copy, RTLD_NOW | RTLD_NOLOAD)) fault(NULL, "the library is in the process after dlclose()");
  (void)dlerror();
  const unsigned long after = count_mapped();
  if (after > before && world.rounds > 0) fault(NULL, "the library has left %lu bytes mapped", after - before);
  (void)sem_destroy(&u.used);
  (void)sem_destroy(&u.unloaded);
  close(u.fd);
  world.threads++;
}
