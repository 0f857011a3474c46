// SPDX-License-Identifier: MIT
//
// The client of bus-service under load: kCalls calls of which kPending are on their way, kLate answers that come in
// another order than they were asked for, kSignals signals. A timer of the same loop ticks meanwhile.
//
// Invariants: see bus_client.h. And every payload is different, so that an answer that belongs to another call, a lost
// or a doubled one is noticed.
#include "bus_client.h"

enum { kCalls = 10000, kPending = 100, kLate = 100, kSignals = 1000, kTickUsec = 1000 };

struct Load {
  struct Client* client;
  unsigned sent, answered, pending, most_pending, ticks;
  bool done;
};

static void make_text(char* text, size_t size, unsigned i, bool reversed) {
  const int n = snprintf(text, size, "call %u of %d", i, kCalls);
  for (int a = 0, b = n - 1; reversed && a < b; ++a, --b) {
    const char c = text[a];
    text[a] = text[b];
    text[b] = c;
  }
}

static int on_reversed(sd_bus_message* m, void* userdata, sd_bus_error* error);

static void keep_calling(struct Load* load) {
  while (load->pending < kPending && load->sent < kCalls) {
    char text[64];
    make_text(text, sizeof(text), load->sent, false);
    sd_bus_message* call = new_call(load->client, "Reverse");
    MUST(sd_bus_message_append(call, "s", text));
    MUST(sd_bus_call_async(load->client->bus, NULL, call, on_reversed, load, 0));
    sd_bus_message_unref(call);
    ++load->sent;
    if (++load->pending > load->most_pending) load->most_pending = load->pending;
  }
}

static int on_reversed(sd_bus_message* m, void* userdata, sd_bus_error* error) {
  struct Load* load = userdata;
  const char* text;
  char wanted[64];
  (void)error;
  MUST(sd_bus_message_read(m, "s", &text));
  // The service answers at once, so in the order of the calls.
  make_text(wanted, sizeof(wanted), load->answered, true);
  EXPECT(!strcmp(text, wanted));
  ++load->answered;
  --load->pending;
  load->done = load->answered == kCalls && load->ticks > 0;
  keep_calling(load);
  return 0;
}

static int on_tick(sd_event_source* timer, uint64_t usec, void* userdata) {
  struct Load* load = userdata;
  (void)usec;
  ++load->ticks;
  load->done = load->answered == kCalls;
  MUST(sd_event_source_set_time_relative(timer, kTickUsec));
  return sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

void many_calls(struct Client* client) {
  struct Load load = {.client = client};
  sd_event_source* timer = NULL;
  MUST(sd_event_add_time_relative(client->event, &timer, CLOCK_MONOTONIC, kTickUsec, 1, on_tick, &load));
  keep_calling(&load);
  run_until(client, &load.done);
  sd_event_source_unref(timer);
  printf("calls: %u sent, %u answered, %u at once\n", load.sent, load.answered, load.most_pending);
}

struct LateAnswers {
  unsigned answered;
  uint64_t began;
  bool heard[kLate];
  bool done;
};

static uint64_t delay_usec(uint32_t i) { return (kLate - i) * 500; }

static int on_late_answer(sd_bus_message* m, void* userdata, sd_bus_error* error) {
  struct LateAnswers* late = userdata;
  uint32_t value;
  (void)error;
  MUST(sd_bus_message_read(m, "u", &value));
  EXPECT(value < kLate && monotonic_usec() >= late->began + delay_usec(value));
  EXPECT(!late->heard[value]);
  late->heard[value] = true;
  late->done = ++late->answered == kLate;
  return 0;
}

void many_late_answers(struct Client* client) {
  struct LateAnswers late = {.began = monotonic_usec()};
  sd_bus_slot* cancelled = NULL;
  for (uint32_t i = 0; i <= kLate; ++i) {
    // One more, which is given up: its answer must not be heard of.
    const uint32_t value = i < kLate ? i : UINT32_MAX;
    sd_bus_message* call = new_call(client, "AnswerAfter");
    MUST(sd_bus_message_append(call, "tu", i < kLate ? delay_usec(i) : 0, value));
    MUST(sd_bus_call_async(client->bus, i < kLate ? NULL : &cancelled, call, on_late_answer, &late, 0));
    sd_bus_message_unref(call);
  }
  sd_bus_slot_unref(cancelled);
  run_until(client, &late.done);
  printf("late answers: %u, of a call that was given up none\n", late.answered);
}

struct Signals {
  uint32_t received;
  bool answered, done;
};

static int on_signal(sd_bus_message* m, void* userdata, sd_bus_error* error) {
  struct Signals* s = userdata;
  uint32_t i;
  const char* text;
  char wanted[32];
  (void)error;
  MUST(sd_bus_message_read(m, "us", &i, &text));
  snprintf(wanted, sizeof(wanted), "tick %u of %d", i, kSignals);
  EXPECT(i == s->received && !strcmp(text, wanted));
  ++s->received;
  return 0;
}

static int on_emitted(sd_bus_message* m, void* userdata, sd_bus_error* error) {
  struct Signals* s = userdata;
  (void)error;
  EXPECT(!sd_bus_message_is_method_error(m, NULL));
  // The answer was sent behind the signals, on the same connection.
  EXPECT(s->received == kSignals);
  s->done = true;
  return 0;
}

static int on_matched(sd_bus_message* m, void* userdata, sd_bus_error* error) {
  struct Signals* s = userdata;
  (void)error;
  EXPECT(!sd_bus_message_is_method_error(m, NULL));
  s->answered = true;
  return 0;
}

void many_signals(struct Client* client) {
  struct Signals s = {0};
  sd_bus_slot* slot = NULL;
  MUST(sd_bus_match_signal_async(client->bus, &slot, client->destination, SERVICE_PATH, SERVICE_INTERFACE, "Tick",
                                 on_signal, on_matched, &s));
  // Where there is no bus nobody answers, and the match holds at once.
  if (client->destination) run_until(client, &s.answered);
  MUST(sd_bus_call_method_async(client->bus, NULL, client->destination, SERVICE_PATH, SERVICE_INTERFACE, "Emit",
                                on_emitted, &s, "u", kSignals));
  run_until(client, &s.done);
  sd_bus_slot_unref(slot);
  printf("signals: %u, in order\n", s.received);
}
