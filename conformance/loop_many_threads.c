// SPDX-License-Identifier: MIT
//
// 64 threads at once, each with a default loop of its own, that pass events on to each other by eventfds.
//
// Idea: the threads are a ring. What the main thread puts in goes round once, and each thread then ends its loop. Half
// of the loops are freed by their threads, the others outlive them, and are freed by the main thread in another order
// than they were made. All that is shared is eventfds, and what is read after a thread was joined; so ThreadSanitizer
// has nothing to say (the preset tsan), unless the library shares more.
#include <pthread.h>
#include <sys/eventfd.h>

#include "harness.h"

enum { kThreads = 64, kEvents = 200 };

struct Member {
  pthread_t thread;
  int fd, next;
  unsigned received;
  bool leaves;
  sd_event* left;
  char row[128];
};

static void note(struct Member* m, int result) { append_result(m->row, sizeof(m->row), result); }

static int on_passed(sd_event_source* s, int fd, uint32_t revents, void* userdata) {
  struct Member* m = userdata;
  eventfd_t value = 0;
  (void)revents;
  if (eventfd_read(fd, &value) != 0) return -EIO;
  m->received += (unsigned)value;
  if (m->next >= 0 && eventfd_write(m->next, value) != 0) return -EIO;
  return m->received < kEvents ? 0 : sd_event_exit(sd_event_source_get_event(s), 42);
}

static void* pass_on(void* userdata) {
  struct Member* m = userdata;
  sd_event* loop = NULL;
  sd_event_source* source = NULL;
  note(m, sd_event_default(&loop) == 1 ? 0 : -EEXIST);
  note(m, sd_event_add_io(SD_EVENT_DEFAULT, &source, m->fd, EPOLLIN, on_passed, m));
  note(m, sd_event_loop(loop) == 42 ? 0 : -EIO);
  sd_event_source_unref(source);
  if (m->leaves)
    m->left = loop;
  else
    sd_event_unref(loop);
  note(m, sd_event_default(NULL) == m->leaves ? 0 : -EEXIST);
  return NULL;
}

static void many_default_loops_pass_events_on_and_end_in_any_order(void** state) {
  (void)state;
  static struct Member ring[kThreads];
  for (int i = 0; i < kThreads; i++) {
    ring[i] = (struct Member){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .next = -1, .leaves = i % 2 == 0};
    assert_true(ring[i].fd >= 0);
    if (i > 0) ring[i - 1].next = ring[i].fd;
  }
  // Small stacks, as the C library keeps those: 252 writes to the memory of a thread that has ended when it frees its
  // loop.
  pthread_attr_t small;
  assert_int_equal(pthread_attr_init(&small), 0);
  assert_int_equal(pthread_attr_setstacksize(&small, 128 * 1024), 0);
  for (int i = 0; i < kThreads; i++) assert_int_equal(pthread_create(&ring[i].thread, &small, pass_on, &ring[i]), 0);
  assert_int_equal(pthread_attr_destroy(&small), 0);
  for (int i = 0; i < kEvents; i++) assert_int_equal(eventfd_write(ring[0].fd, 1), 0);
  for (int i = 0; i < kThreads; i++) assert_int_equal(pthread_join(ring[i].thread, NULL), 0);
  for (int i = 0; i < kThreads; i++) {
    struct Member* m = &ring[i * 37 % kThreads];
    assert_string_equal(m->row, "0 0 0 0");
    assert_int_equal(m->received, kEvents);
    if (m->left) assert_result(sd_event_prepare(m->left), -ESTALE);
    sd_event_unref(m->left);
    close(m->fd);
  }
  assert_result(sd_event_default(NULL), 0);
}

static void* make_and_leave(void* userdata) {
  (void)sd_event_default(userdata);
  return NULL;
}

static void a_default_loop_of_another_thread_can_not_be_run(void** state) {
  (void)state;
  pthread_t thread;
  sd_event* loop = NULL;
  assert_int_equal(pthread_create(&thread, NULL, make_and_leave, &loop), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_result(sd_event_prepare(loop), -EREMOTEIO);
  assert_result(sd_event_run(loop, 0), -EREMOTEIO);
  assert_result(sd_event_loop(loop), -EREMOTEIO);
  sd_event_unref(loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      clean_test(many_default_loops_pass_events_on_and_end_in_any_order),
      clean_test(a_default_loop_of_another_thread_can_not_be_run),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
