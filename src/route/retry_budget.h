// How many calls may be tried again: one of ten, and a store for bad moments. Without a bound
// retries double the load just when nodes fail (Google SRE book, "Handling Overload"). Pure.
#pragma once

#include <atomic>

namespace cenote::route {

// Thread-safe; relaxed, since a few more or less do not matter.
class RetryBudget {
 public:
  void count_call() {
    if (tenths_.load(std::memory_order_relaxed) < kMost) {
      tenths_.fetch_add(1, std::memory_order_relaxed);
    }
  }
  bool take() {
    if (tenths_.fetch_sub(kRetry, std::memory_order_relaxed) >= kRetry) return true;
    tenths_.fetch_add(kRetry, std::memory_order_relaxed);
    return false;
  }

 private:
  static constexpr int kRetry = 10;
  static constexpr int kMost = 1'000;  // a hundred retries
  std::atomic<int> tenths_{kMost};
};

}  // namespace cenote::route
