// The thread that asks.
#include "node/call_watch.h"

#include <chrono>
#include <utility>

namespace cenote::node {
namespace {

constexpr std::chrono::milliseconds kInterval{20};
// So many looks at no call until the thread sleeps: waking it costs every short call more than the
// looks do.
constexpr int kEmptyLooks = 50;

}  // namespace

CallWatch::CallWatch() : thread_([this](const std::stop_token& stop) { run(stop); }) {}

CallWatch::~CallWatch() {
  {
    const Lock lock(mutex_);
    thread_.request_stop();
  }
  wake_.notify_all();
}

CallWatch::Scope::Scope(CallWatch& watch, const arrow::flight::ServerCallContext& context,
                        std::stop_source stop)
    : watch_(watch) {
  const Lock lock(watch_.mutex_);
  id_ = watch_.next_++;
  watch_.calls_.emplace(id_, Watched{&context, std::move(stop)});
  if (watch_.asleep_) watch_.wake_.notify_all();
}

CallWatch::Scope::~Scope() {
  const Lock lock(watch_.mutex_);
  watch_.calls_.erase(id_);
}

std::vector<std::stop_source> CallWatch::given_up() {
  std::vector<std::stop_source> stops;
  for (auto& [id, call] : calls_) {
    if (!call.stop.stop_requested() && call.context->is_cancelled()) stops.push_back(call.stop);
  }
  return stops;
}

void CallWatch::run(const std::stop_token& stop) {
  int empty_looks = 0;
  for (;;) {
    std::vector<std::stop_source> stops;
    {
      Lock lock(mutex_);
      if (stop.stop_requested()) return;
      asleep_ = empty_looks >= kEmptyLooks;
      if (asleep_) {
        wake_.wait(lock);
      } else {
        wake_.wait_for(lock, kInterval);
      }
      asleep_ = false;
      empty_looks = calls_.empty() ? empty_looks + 1 : 0;
      stops = given_up();
    }
    for (std::stop_source& each : stops) each.request_stop();
  }
}

}  // namespace cenote::node
