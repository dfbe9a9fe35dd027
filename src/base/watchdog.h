// Interrupts blocking calls of client libraries that know no deadline: one timer thread for the
// process.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>

#include "cenote/deadline.h"
#include "cenote/error.h"

namespace cenote {

// While it lives, calls `interrupt` at most once: when the deadline passes (on the watchdog's
// thread) or a stop is requested (on the requester's thread). `interrupt` must be quick and
// thread-safe. The destructor waits for a running `interrupt`, so that it can never hit what comes
// after.
class InterruptGuard {
 public:
  InterruptGuard(const CallContext& context, std::function<void()> interrupt);
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  // kQueryTimeout or kCancelled once `interrupt` was called.
  std::optional<ErrorKind> fired() const;

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
  TimePoint at_;
  uint64_t timer_ = 0;
  std::optional<std::stop_callback<std::function<void()>>> on_stop_;
};

}  // namespace cenote
