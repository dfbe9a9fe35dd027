// The thread that repaints the line.
#include "cli/progress.h"

#include <condition_variable>
#include <cstdio>

#include <unistd.h>

#include "cenote/deadline.h"

#include "base/mutex.h"

namespace cenote::cli {

Progress::Progress(bool wanted) {
  if (wanted && ::isatty(STDERR_FILENO) == 1) {
    thread_ = std::jthread([this](const std::stop_token& stop) { show(stop); });
  }
}

Progress::~Progress() = default;

void Progress::show(const std::stop_token& stop) noexcept {
  constexpr Duration kQuiet = std::chrono::seconds(1);
  constexpr Duration kPause = std::chrono::milliseconds(200);
  const TimePoint begin = Clock::now();
  Mutex mutex;
  std::condition_variable_any wake;
  bool shown = false;
  for (TimePoint next = begin + kQuiet;; next += kPause) {
    Lock lock(mutex);
    wake.wait_until(lock, stop, next, [] { return false; });
    if (stop.stop_requested()) break;
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    const int64_t rows = rows_.load(std::memory_order_relaxed);
    if (rows == 0) {
      std::fprintf(stderr, "\r\x1b[Kwaiting for the first row, %.0f s", seconds);
    } else {
      std::fprintf(stderr, "\r\x1b[K%lld rows, %.0f s", static_cast<long long>(rows), seconds);
    }
    shown = true;
  }
  if (shown) std::fputs("\r\x1b[K", stderr);
}

}  // namespace cenote::cli
