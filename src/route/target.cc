// The moving average of latencies, and the weighted pick.
#include "route/target.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace cenote::route {

void Load::end(TimePoint now, Duration latency, bool failed) {
  in_flight_.fetch_sub(1, std::memory_order_relaxed);
  const int64_t before = this->latency(now).count();
  int64_t seen = std::max<int64_t>(latency.count(), 1);
  if (failed) {
    // A target that fails fast must not look fast (apache/brpc's rule).
    seen = std::min<int64_t>(std::max(seen, 2 * before), kPenaltyCap.count());
  }
  // Up at once, down by the decay: a slow answer is news, a fast one may be luck.
  const int64_t at = average_at_.load(std::memory_order_relaxed);
  const double elapsed = static_cast<double>(now.time_since_epoch().count() - at);
  const double keep = std::exp(-elapsed / static_cast<double>(kTau.count()));
  const auto blended =
      static_cast<int64_t>(static_cast<double>(average_.load(std::memory_order_relaxed)) * keep +
                           static_cast<double>(seen) * (1 - keep));
  average_.store(seen > before ? seen : std::max<int64_t>(blended, 1), std::memory_order_relaxed);
  average_at_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
}

Duration Load::latency(TimePoint now) const {
  const int64_t average = average_.load(std::memory_order_relaxed);
  const int64_t at = average_at_.load(std::memory_order_relaxed);
  const double elapsed = static_cast<double>(now.time_since_epoch().count() - at);
  if (average == 0 || elapsed <= 0) return Duration(average);
  return Duration(static_cast<int64_t>(static_cast<double>(average) *
                                       std::exp(-elapsed / static_cast<double>(kTau.count()))));
}

double Load::share(TimePoint now) const {
  const int64_t since = slow_since_.load(std::memory_order_relaxed);
  if (since == 0) return 1.0;
  const double part = static_cast<double>(now.time_since_epoch().count() - since) /
                      static_cast<double>(kSlowStart.count());
  return std::clamp(part, 0.1, 1.0);
}

Tier::Tier(std::vector<Target> all) : targets(std::move(all)) {
  double sum = 0;
  cumulative.reserve(targets.size());
  for (const Target& target : targets) cumulative.push_back(sum += target.weight);
}

size_t Tier::at(double where) const {
  const double wanted = where * cumulative.back();
  const auto found = std::upper_bound(cumulative.begin(), cumulative.end(), wanted);
  return std::min(static_cast<size_t>(found - cumulative.begin()), targets.size() - 1);
}

}  // namespace cenote::route
