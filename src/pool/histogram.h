// A histogram without locks: four buckets to each power of two, so that a quantile is off by a
// fifth at most. Two histograms merge by adding their buckets.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>

#include "cenote/deadline.h"

namespace cenote {

class Histogram {
 public:
  static constexpr int kBuckets = 64 * 4;

  void record(uint64_t value) {
    buckets_.at(static_cast<size_t>(bucket_of(value))).fetch_add(1, std::memory_order_relaxed);
    if (value > 0) sum_.fetch_add(value, std::memory_order_relaxed);
  }
  void record(Duration value) {
    record(static_cast<uint64_t>(std::max<int64_t>(value.count(), 0)));
  }

  void merge(const Histogram& other) {
    for (size_t i = 0; i < buckets_.size(); ++i) {
      const uint64_t more = other.buckets_.at(i).load(std::memory_order_relaxed);
      if (more > 0) buckets_.at(i).fetch_add(more, std::memory_order_relaxed);
    }
    sum_.fetch_add(other.sum(), std::memory_order_relaxed);
  }

  uint64_t count() const {
    uint64_t all = 0;
    for (const auto& bucket : buckets_) all += bucket.load(std::memory_order_relaxed);
    return all;
  }
  uint64_t sum() const { return sum_.load(std::memory_order_relaxed); }
  uint64_t mean() const {
    const uint64_t n = count();
    return n == 0 ? 0 : sum() / n;
  }
  // How many values were at most `limit`, by whole buckets.
  uint64_t count_up_to(uint64_t limit) const {
    uint64_t below = 0;
    for (int i = 0; i < kBuckets && upper_of(i) <= limit; ++i) {
      below += buckets_.at(static_cast<size_t>(i)).load(std::memory_order_relaxed);
    }
    return below;
  }
  // The upper bound of the bucket in which the quantile lies; zero without values.
  uint64_t quantile(double q) const {
    const uint64_t n = count();
    if (n == 0) return 0;
    const auto wanted = static_cast<uint64_t>(q * static_cast<double>(n - 1)) + 1;
    uint64_t seen = 0;
    for (int i = 0; i < kBuckets; ++i) {
      seen += buckets_.at(static_cast<size_t>(i)).load(std::memory_order_relaxed);
      if (seen >= wanted) return upper_of(i);
    }
    return UINT64_MAX;
  }

 private:
  static int bucket_of(uint64_t value) {
    if (value < 4) return static_cast<int>(value);
    const int power = std::bit_width(value) - 1;
    return power * 4 + static_cast<int>((value >> (power - 2)) & 3);
  }
  static uint64_t upper_of(int bucket) {
    if (bucket < 8) return static_cast<uint64_t>(bucket);
    const int power = bucket / 4;
    return (uint64_t{1} << power) + (static_cast<uint64_t>(bucket % 4 + 1) << (power - 2)) - 1;
  }

  std::array<std::atomic<uint64_t>, kBuckets> buckets_{};
  std::atomic<uint64_t> sum_{0};
};

}  // namespace cenote
