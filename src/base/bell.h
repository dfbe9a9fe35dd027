// What a thread sleeps at until others tell it something: 31 bits, one word, no lock. Cheaper than
// a condition variable where a pool hands over some 100,000 times a second.
#pragma once

#include <atomic>
#include <cstdint>

#include "cenote/deadline.h"

namespace cenote {

// One thread waits, any thread rings. What was written before ring() is seen after the wait that
// returns its bits. The bell may end as soon as its waiter has them: a ring that is late then wakes
// nobody, or somebody who looks and sleeps on.
class Bell {
 public:
  void ring(uint32_t bits) noexcept;
  // The bits rung so far; 0 if none were by `until`.
  uint32_t wait(TimePoint until) noexcept;
  uint32_t rung() const noexcept { return bits_.load(std::memory_order_acquire) & ~kAsleep; }
  void clear(uint32_t bits) noexcept { bits_.fetch_and(~bits, std::memory_order_acquire); }

 private:
  // Set by a waiter that is about to sleep: to wake nobody would cost a call of the system too.
  static constexpr uint32_t kAsleep = 1u << 31;
  std::atomic<uint32_t> bits_{0};
};

}  // namespace cenote
