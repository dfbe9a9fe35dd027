// Durations counted by buckets that are the same in every process, so that they add up.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <utility>

#include "cenote/deadline.h"

#include "cluster/metrics_aggregator.h"

namespace cenote::cluster {

// Thread-safe, without a lock.
class DurationHistogram {
 public:
  // Seconds; Prometheus's own bounds, and what a failover or a partition may take.
  static constexpr std::array<double, 15> kBounds = {
      0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60};

  void record(Duration value) {
    const Duration least = std::max(value, Duration::zero());
    const double seconds = std::chrono::duration<double>(least).count();
    const auto* const at = std::lower_bound(kBounds.begin(), kBounds.end(), seconds);
    counts_.at(static_cast<size_t>(at - kBounds.begin())).fetch_add(1, std::memory_order_relaxed);
    nanoseconds_.fetch_add(static_cast<uint64_t>(least.count()), std::memory_order_relaxed);
  }

  MetricSample sample(std::string name, std::string labels = {}) const {
    MetricSample sample{std::move(name), std::move(labels), MetricKind::kHistogram, 0, {}, {}};
    sample.value = static_cast<double>(nanoseconds_.load(std::memory_order_relaxed)) / 1e9;
    sample.bounds.assign(kBounds.begin(), kBounds.end());
    for (const auto& count : counts_) {
      sample.counts.push_back(count.load(std::memory_order_relaxed));
    }
    return sample;
  }

 private:
  std::array<std::atomic<uint64_t>, kBounds.size() + 1> counts_{};
  std::atomic<uint64_t> nanoseconds_{0};
};

}  // namespace cenote::cluster
