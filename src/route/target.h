// The places where a call to one pool can go, and what is known of each.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cenote/deadline.h"

namespace cenote::route {

// What this process itself sees of a target. Lives as long as anyone uses it: a rebuilt list keeps
// the loads of the targets that stay. Relaxed atomics: a choice needs no exact number.
class Load {
 public:
  void begin() { in_flight_.fetch_add(1, std::memory_order_relaxed); }
  // `latency` is the time to the first batch, or big frames would look like slow servers.
  void end(TimePoint now, Duration latency, bool failed);
  // Callers that wait at the target, as its last answer told.
  void tell_waiting(int waiting) { waiting_.store(waiting, std::memory_order_relaxed); }
  // No call until `until`: its breaker is open.
  void shut(TimePoint until) {
    shut_until_.store(until.time_since_epoch().count(), std::memory_order_relaxed);
  }
  void open() { shut_until_.store(0, std::memory_order_relaxed); }
  bool is_shut(TimePoint now) const {
    return now.time_since_epoch().count() < shut_until_.load(std::memory_order_relaxed);
  }
  // From here on its share grows from a tenth to the whole in `kSlowStart`.
  void start_slowly(TimePoint now) {
    slow_since_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  }
  // 0.1 to 1.
  double share(TimePoint now) const;

  int in_flight() const { return in_flight_.load(std::memory_order_relaxed); }
  int waiting() const { return waiting_.load(std::memory_order_relaxed); }
  // The moving average, decayed to `now`; zero while nothing is known.
  Duration latency(TimePoint now) const;

  static constexpr Duration kSlowStart = std::chrono::seconds(30);  // Envoy's, see docs
  static constexpr Duration kTau = std::chrono::seconds(10);
  static constexpr Duration kPenaltyCap = std::chrono::seconds(30);

 private:
  std::atomic<int> in_flight_{0};
  std::atomic<int> waiting_{0};
  std::atomic<int64_t> average_{0};  // ns
  std::atomic<int64_t> average_at_{0};
  std::atomic<int64_t> shut_until_{0};
  std::atomic<int64_t> slow_since_{0};
};

struct Target {
  std::string node_id;
  std::string location;
  std::string zone;
  double weight = 1.0;
  int capacity = 1;  // the pool's max_connections there
  std::shared_ptr<Load> load = std::make_shared<Load>();
};

// Targets of one tier: all may serve the call, none is better by rule. Immutable once built.
struct Tier {
  std::vector<Target> targets;
  std::vector<double> cumulative;  // sums of the weights, for a weighted pick in O(log n)

  explicit Tier(std::vector<Target> all);
  size_t size() const { return targets.size(); }
  // The target at `where`, 0 to 1, of the weights' sum.
  size_t at(double where) const;
};

}  // namespace cenote::route
