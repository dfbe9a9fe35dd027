// Waits between attempts: full jitter (a random time up to a bound that doubles, AWS's "Exponential
// Backoff and Jitter"), 100 ms to 5 s, cut short by a stop.
#pragma once

#include <algorithm>
#include <random>
#include <stop_token>

#include "cenote/deadline.h"

#include "base/pause.h"

namespace cenote::discovery {

class Backoff {
 public:
  // Waits; false if it was stopped.
  bool wait(const std::stop_token& stop) {
    bound_ = std::min<Duration>(bound_ * 2, std::chrono::seconds(5));
    const double share = std::uniform_real_distribution<double>(0, 1)(random_);
    return pause(stop, Duration(static_cast<int64_t>(static_cast<double>(bound_.count()) * share)));
  }
  void reset() { bound_ = kFirst; }

 private:
  static constexpr Duration kFirst = std::chrono::milliseconds(50);
  Duration bound_ = kFirst;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace cenote::discovery
