// Since when a node says nothing though somebody waits for it. A process that is stopped, or a
// machine that is cut off, closes no connection: what waits there learns of it by no other way.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "cenote/deadline.h"

namespace cenote::flight {

// Thread-safe; relaxed, since a moment more or less does not matter.
class Silence {
 public:
  // Somebody waits for the node's next word, for as long as this lives.
  class Wait {
   public:
    explicit Wait(Silence& silence) : silence_(silence) { silence_.begin(Clock::now()); }
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;
    ~Wait() { silence_.end(); }

   private:
    Silence& silence_;
  };

  // The same where begin and end of the wait are far apart.
  void begin(TimePoint now) {
    // The first to wait does not blame the node for the time when nobody asked it anything.
    if (waiting_.fetch_add(1, std::memory_order_relaxed) == 0) heard(now);
  }
  void end() { waiting_.fetch_sub(1, std::memory_order_relaxed); }

  // Anything came from the node.
  void heard(TimePoint now = Clock::now()) {
    heard_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  }
  // Zero where nobody waits.
  Duration lasts(TimePoint now) const {
    if (waiting_.load(std::memory_order_relaxed) == 0) return Duration::zero();
    const Duration heard(heard_.load(std::memory_order_relaxed));
    return std::max(now.time_since_epoch() - heard, Duration::zero());
  }

 private:
  std::atomic<int> waiting_{0};
  std::atomic<int64_t> heard_{0};
};

}  // namespace cenote::flight
