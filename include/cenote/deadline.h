// The time by which a call must end, made once at the edge and passed down, with the caller's wish
// to stop.
#pragma once

#include <chrono>
#include <stop_token>

namespace cenote {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Duration = std::chrono::nanoseconds;

// A point in monotonic time, or never. A value: copying it does not prolong it.
class Deadline {
 public:
  // Never.
  constexpr Deadline() = default;
  constexpr explicit Deadline(TimePoint at) : at_(at) {}

  // `wait` from now; durations too long for the clock mean never.
  static Deadline in(Duration wait) { return after(Clock::now(), wait); }
  // The same for a caller that knows what time it is.
  static Deadline after(TimePoint now, Duration wait) {
    return wait >= TimePoint::max() - now ? Deadline() : Deadline(now + wait);
  }

  constexpr bool is_never() const { return at_ == TimePoint::max(); }
  constexpr TimePoint at() const { return at_; }
  bool passed() const { return !is_never() && Clock::now() >= at_; }
  // Time left, not below zero; Duration::max() for never.
  Duration left() const {
    if (is_never()) return Duration::max();
    const TimePoint now = Clock::now();
    return now >= at_ ? Duration::zero() : Duration(at_ - now);
  }
  // The earlier of the two.
  constexpr Deadline sooner(Deadline other) const { return at_ <= other.at_ ? *this : other; }

 private:
  TimePoint at_ = TimePoint::max();
};

// First parameter of everything that may wait. A request to stop cancels on the server and ends the
// call with kCancelled; a deadline that passes does the same and ends it with kQueryTimeout (or
// kPoolTimeout while it waits for a connection).
struct CallContext {
  Deadline deadline;
  std::stop_token stop;
};

}  // namespace cenote
