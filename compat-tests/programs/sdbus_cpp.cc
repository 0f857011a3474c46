// SPDX-License-Identifier: MIT
//
// sdbus-cpp [service]: a service and a client by sdbus-c++ 1, whose connections are driven by an sd-event loop.
//
// The service has methods that answer at once, one that answers when a timer says so, one that fails, a property that
// tells of its changes, and a signal. The client calls all of them, kCalls times with kPending at once, and prints what
// came back.
//
// sdbus-c++ 1 knows no sd-event: it tells what it waits for (getEventLoopPollData), and is told to go on
// (processPendingRequest). `Attachment` is the adapter.
//
// Invariants:
//  1. Before each sleep the adapter's prepare callback asks what the connection waits for, and arms an IO and a timer
//     for it.
//  2. What is armed is a request to look, not a promise: a dispatch goes on until the connection has nothing more.
//  3. Nothing throws through a callback of the loop: what is unexpected ends the process (program.h).
#include <poll.h>
#include <sdbus-c++/sdbus-c++.h>
#include <signal.h>
#include <systemd/sd-event.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "program.h"

namespace {

constexpr unsigned kCalls = 2000, kPending = 100, kSignals = 500, kLate = 50;

class Attachment {
 public:
  Attachment(sd_event* event, sdbus::IConnection& connection) : connection_(connection) {
    const auto wanted = connection.getEventLoopPollData();
    MUST(sd_event_add_io(event, &io_, wanted.fd, 0, on_io, this));
    MUST(sd_event_add_time(event, &time_, CLOCK_MONOTONIC, UINT64_MAX, 1, on_time, this));
    MUST(sd_event_source_set_prepare(io_, on_prepare));
  }
  ~Attachment() {
    sd_event_source_unref(io_);
    sd_event_source_unref(time_);
  }
  Attachment(const Attachment&) = delete;
  Attachment& operator=(const Attachment&) = delete;

 private:
  // The values of poll(2) and epoll(7) for these two are the same.
  static_assert(POLLIN == EPOLLIN && POLLOUT == EPOLLOUT);

  static int on_prepare(sd_event_source*, void* userdata) {
    auto* self = static_cast<Attachment*>(userdata);
    const auto wanted = self->connection_.getEventLoopPollData();
    MUST(sd_event_source_set_io_events(self->io_, static_cast<uint32_t>(wanted.events)));
    MUST(sd_event_source_set_time(self->time_, wanted.timeout_usec));
    return sd_event_source_set_enabled(self->time_, SD_EVENT_ONESHOT);
  }
  static int on_io(sd_event_source*, int, uint32_t, void* userdata) {
    return static_cast<Attachment*>(userdata)->process();
  }
  static int on_time(sd_event_source*, uint64_t, void* userdata) {
    return static_cast<Attachment*>(userdata)->process();
  }

  int process() {
    try {
      while (connection_.processPendingRequest()) {
      }
    } catch (const sdbus::Error& error) {
      give_up("process", error.what());
    }
    return 0;
  }

  sdbus::IConnection& connection_;
  sd_event_source *io_ = nullptr, *time_ = nullptr;
};

// --- The service
// ------------------------------------------------------------------------------------------------------

class Service {
 public:
  Service(sd_event* event, sdbus::IConnection& connection)
      : event_(event), object_(sdbus::createObject(connection, SERVICE_PATH)) {
    const std::string interface = SERVICE_INTERFACE;
    object_->registerMethod("Multiply").onInterface(interface).implementedAs([this](int32_t a, double b) {
      ++calls_;
      return a * b;
    });
    object_->registerMethod("Names").onInterface(interface).implementedAs(
        [this](const std::map<std::string, sdbus::Variant>& values) { return names(values); });
    object_->registerMethod("Refuse").onInterface(interface).implementedAs([this](const std::string& why) {
      ++calls_;
      throw sdbus::Error(SERVICE_REFUSED, "refused: " + why);
    });
    object_->registerMethod("AnswerAfter")
        .onInterface(interface)
        .implementedAs([this](sdbus::Result<uint32_t>&& result, uint64_t usec, uint32_t value) {
          answer_after(std::move(result), usec, value);
        });
    object_->registerMethod("Emit").onInterface(interface).implementedAs([this](uint32_t n) { emit(n); });
    object_->registerSignal("Tick").onInterface(interface).withParameters<uint32_t, std::string>();
    object_->registerProperty("Level")
        .onInterface(interface)
        .withGetter([this] { return level_; })
        .withSetter([this](const uint32_t& level) { set_level(level); });
    object_->finishRegistration();
  }

  void report() const {
    printf("service: %u calls, %u late answers, %u signals, %u changes\n", calls_, late_, signals_, changes_);
  }

 private:
  struct Later {
    Service* service;
    sdbus::Result<uint32_t> result;
    uint32_t value;
    sd_event_source* timer;
  };

  std::vector<std::string> names(const std::map<std::string, sdbus::Variant>& values) {
    std::vector<std::string> found;
    for (const auto& [name, value] : values) found.push_back(name + ":" + value.peekValueType());
    ++calls_;
    return found;
  }

  void answer_after(sdbus::Result<uint32_t>&& result, uint64_t usec, uint32_t value) {
    ++calls_;
    auto later = std::make_unique<Later>(Later{this, std::move(result), value, nullptr});
    MUST(sd_event_add_time_relative(event_, &later->timer, CLOCK_MONOTONIC, usec, 1, on_time, later.get()));
    later.release();
  }

  static int on_time(sd_event_source*, uint64_t, void* userdata) {
    const std::unique_ptr<Later> later(static_cast<Later*>(userdata));
    later->result.returnResults(later->value);
    sd_event_source_unref(later->timer);
    ++later->service->late_;
    return 0;
  }

  void emit(uint32_t n) {
    ++calls_;
    for (uint32_t i = 0; i < n; ++i, ++signals_)
      object_->emitSignal("Tick").onInterface(SERVICE_INTERFACE).withArguments(i, "tick " + std::to_string(i));
  }

  void set_level(uint32_t level) {
    ++changes_;
    level_ = level;
    object_->emitPropertiesChangedSignal(SERVICE_INTERFACE, {"Level"});
  }

  sd_event* event_;
  uint32_t level_ = 1;
  unsigned calls_ = 0, late_ = 0, signals_ = 0, changes_ = 0;
  std::unique_ptr<sdbus::IObject> object_;
};

int serve(sd_event* event) {
  sigset_t terminate;
  sigemptyset(&terminate);
  sigaddset(&terminate, SIGTERM);
  sigprocmask(SIG_BLOCK, &terminate, nullptr);
  MUST(sd_event_add_signal(event, nullptr, SIGTERM, nullptr, nullptr));
  const auto connection = sdbus::createSystemBusConnection(SERVICE_NAME);
  const Service service(event, *connection);
  const Attachment attachment(event, *connection);
  const int code = MUST(sd_event_loop(event));
  service.report();
  return code;
}

// --- The client
// -------------------------------------------------------------------------------------------------------

class Client {
 public:
  Client(sd_event* event, sdbus::IConnection& connection)
      : event_(event), proxy_(sdbus::createProxy(connection, SERVICE_NAME, SERVICE_PATH)) {
    proxy_->uponSignal("Tick").onInterface(SERVICE_INTERFACE).call([this](uint32_t i, const std::string& text) {
      EXPECT(i == ticks_ && text == "tick " + std::to_string(i));
      ++ticks_;
    });
    proxy_->uponSignal("PropertiesChanged")
        .onInterface("org.freedesktop.DBus.Properties")
        .call([this](const std::string& interface, const std::map<std::string, sdbus::Variant>& changed,
                     const std::vector<std::string>&) {
          EXPECT(interface == SERVICE_INTERFACE);
          level_ = changed.at("Level").get<uint32_t>();
        });
    proxy_->finishRegistration();
  }

  void run() {
    synchronous_calls();
    property();
    late_answers();
    many_calls();
    signals();
  }

 private:
  template <typename Condition>
  void run_until(Condition condition) {
    while (!condition()) MUST(sd_event_run(event_, UINT64_MAX));
  }

  void synchronous_calls() {
    std::vector<std::string> names;
    const std::map<std::string, sdbus::Variant> values{
        {"number", sdbus::Variant(1.5)}, {"text", sdbus::Variant("t")}, {"truth", sdbus::Variant(true)}};
    proxy_->callMethod("Names").onInterface(SERVICE_INTERFACE).withArguments(values).storeResultsTo(names);
    for (const auto& name : names) printf("name: %s\n", name.c_str());
    try {
      proxy_->callMethod("Refuse").onInterface(SERVICE_INTERFACE).withArguments(std::string("as asked"));
      give_up("Refuse", "was not refused");
    } catch (const sdbus::Error& error) {
      printf("refused: %s, %s\n", error.getName().c_str(), error.getMessage().c_str());
    }
  }

  void property() {
    const sdbus::Variant before = proxy_->getProperty("Level").onInterface(SERVICE_INTERFACE);
    proxy_->setProperty("Level").onInterface(SERVICE_INTERFACE).toValue(uint32_t{7});
    run_until([this] { return level_ == 7; });
    printf("property: was %u, is %u\n", before.get<uint32_t>(), level_);
  }

  void late_answers() {
    std::vector<unsigned> heard(kLate);
    unsigned answered = 0;
    for (uint32_t i = 0; i < kLate; ++i)
      proxy_->callMethodAsync("AnswerAfter")
          .onInterface(SERVICE_INTERFACE)
          .withArguments(uint64_t{kLate - i} * 500, i)
          .uponReplyInvoke([&](const sdbus::Error* error, uint32_t value) {
            EXPECT(!error && value < kLate && heard[value]++ == 0);
            ++answered;
          });
    run_until([&] { return answered == kLate; });
    printf("late answers: %u\n", answered);
  }

  void call(unsigned i) {
    proxy_->callMethodAsync("Multiply")
        .onInterface(SERVICE_INTERFACE)
        .withArguments(static_cast<int32_t>(i), 0.5)
        .uponReplyInvoke([this, i](const sdbus::Error* error, double product) {
          EXPECT(!error && i == answered_ && product * 2 > i - 0.5 && product * 2 < i + 0.5);
          ++answered_;
        });
  }

  void many_calls() {
    for (unsigned sent = 0; sent < kCalls;) {
      for (; sent < kCalls && sent < answered_ + kPending; ++sent) call(sent);
      run_until([&] { return answered_ == kCalls || sent < answered_ + kPending; });
    }
    run_until([this] { return answered_ == kCalls; });
    printf("calls: %u\n", answered_);
  }

  void signals() {
    bool emitted = false;
    proxy_->callMethodAsync("Emit")
        .onInterface(SERVICE_INTERFACE)
        .withArguments(uint32_t{kSignals})
        .uponReplyInvoke([&](const sdbus::Error* error) {
          // The answer was sent behind the signals, on the same connection.
          EXPECT(!error && ticks_ == kSignals);
          emitted = true;
        });
    run_until([&] { return emitted; });
    printf("signals: %u, in order\n", ticks_);
  }

  sd_event* event_;
  uint32_t level_ = 0;
  unsigned answered_ = 0, ticks_ = 0;
  std::unique_ptr<sdbus::IProxy> proxy_;
};

int call_everything(sd_event* event) {
  const auto connection = sdbus::createSystemBusConnection();
  Client client(event, *connection);
  const Attachment attachment(event, *connection);
  client.run();
  return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) {
  sd_event* event = nullptr;
  MUST(sd_event_new(&event));
  int code = EXIT_FAILURE;
  try {
    code = argc > 1 && argv[1] == std::string("service") ? serve(event) : call_everything(event);
  } catch (const sdbus::Error& error) {
    give_up("sdbus-c++", error.what());
  }
  sd_event_unref(event);
  return code;
}
