// Linux's futex: std::atomic's wait() knows no deadline.
#include "base/bell.h"

#include <ctime>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace cenote {
namespace {

static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t));

long futex(std::atomic<uint32_t>* word, int operation, uint32_t value, const timespec* until) {
  return ::syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, until, nullptr,
                   FUTEX_BITSET_MATCH_ANY);
}

}  // namespace

void Bell::ring(uint32_t bits) noexcept {
  if ((bits_.fetch_or(bits, std::memory_order_release) & kAsleep) == 0) return;
  futex(&bits_, FUTEX_WAKE, 1, nullptr);
}

uint32_t Bell::wait(TimePoint until) noexcept {
  // The steady clock is CLOCK_MONOTONIC, by which FUTEX_WAIT_BITSET measures.
  timespec at{};
  const bool forever = until == TimePoint::max();
  const int64_t ns = until.time_since_epoch().count();
  if (!forever && ns > 0) at = {ns / 1'000'000'000, ns % 1'000'000'000};
  while (true) {
    uint32_t bits = bits_.load(std::memory_order_acquire);
    if (bits == 0 && (forever || Clock::now() < until) &&
        bits_.compare_exchange_strong(bits, kAsleep, std::memory_order_acquire)) {
      futex(&bits_, FUTEX_WAIT_BITSET, kAsleep, forever ? nullptr : &at);
      bits = bits_.fetch_and(~kAsleep, std::memory_order_acquire) & ~kAsleep;
    }
    if (bits != 0 || (!forever && Clock::now() >= until)) return bits;
  }
}

}  // namespace cenote
