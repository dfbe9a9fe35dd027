// A line on a terminal's standard error that says how a long result is getting on.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>

namespace cenote::cli {

// Shows nothing in the first second, and nothing at all unless `wanted` and standard error is a
// terminal. The line is gone once this is destroyed.
class Progress {
 public:
  explicit Progress(bool wanted);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void rows(int64_t more) { rows_.fetch_add(more, std::memory_order_relaxed); }

 private:
  void show(const std::stop_token& stop) noexcept;

  std::atomic<int64_t> rows_{0};
  std::jthread thread_;
};

}  // namespace cenote::cli
