// A histogram of durations without locks: four buckets to each power of two, so that a quantile is
// off by a fifth at most. Two histograms merge by adding their buckets.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>

#include "cenote/deadline.h"

namespace cenote {

class Histogram {
 public:
  static constexpr int kBuckets = 64 * 4;

  void record(Duration value) {
    const auto nanos = static_cast<uint64_t>(value.count() < 0 ? 0 : value.count());
    buckets_.at(static_cast<size_t>(bucket_of(nanos))).fetch_add(1, std::memory_order_relaxed);
    count_.fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(nanos, std::memory_order_relaxed);
  }

  void merge(const Histogram& other) {
    for (size_t i = 0; i < buckets_.size(); ++i) {
      buckets_.at(i).fetch_add(other.buckets_.at(i).load(std::memory_order_relaxed),
                               std::memory_order_relaxed);
    }
    count_.fetch_add(other.count(), std::memory_order_relaxed);
    sum_.fetch_add(static_cast<uint64_t>(other.sum().count()), std::memory_order_relaxed);
  }

  uint64_t count() const { return count_.load(std::memory_order_relaxed); }
  Duration sum() const {
    return Duration(static_cast<int64_t>(sum_.load(std::memory_order_relaxed)));
  }
  Duration mean() const {
    const uint64_t n = count();
    return n == 0 ? Duration::zero() : sum() / static_cast<int64_t>(n);
  }
  // How many values were at most `limit`, by whole buckets.
  uint64_t count_up_to(Duration limit) const {
    uint64_t below = 0;
    for (int i = 0; i < kBuckets && upper_of(i) <= static_cast<uint64_t>(limit.count()); ++i) {
      below += buckets_.at(static_cast<size_t>(i)).load(std::memory_order_relaxed);
    }
    return below;
  }
  // The upper bound of the bucket in which the quantile lies; zero without values.
  Duration quantile(double q) const {
    const uint64_t n = count();
    if (n == 0) return Duration::zero();
    const auto wanted = static_cast<uint64_t>(q * static_cast<double>(n - 1)) + 1;
    uint64_t seen = 0;
    for (int i = 0; i < kBuckets; ++i) {
      seen += buckets_.at(static_cast<size_t>(i)).load(std::memory_order_relaxed);
      if (seen >= wanted) return Duration(static_cast<int64_t>(upper_of(i)));
    }
    return Duration::max();
  }

 private:
  static int bucket_of(uint64_t nanos) {
    if (nanos < 4) return static_cast<int>(nanos);
    const int power = std::bit_width(nanos) - 1;
    return power * 4 + static_cast<int>((nanos >> (power - 2)) & 3);
  }
  static uint64_t upper_of(int bucket) {
    if (bucket < 8) return static_cast<uint64_t>(bucket);
    const int power = bucket / 4;
    return (uint64_t{1} << power) + (static_cast<uint64_t>(bucket % 4 + 1) << (power - 2)) - 1;
  }

  std::array<std::atomic<uint64_t>, kBuckets> buckets_{};
  std::atomic<uint64_t> count_{0};
  std::atomic<uint64_t> sum_{0};
};

}  // namespace cenote
