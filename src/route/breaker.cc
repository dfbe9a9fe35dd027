// When a breaker opens and closes.
#include "route/breaker.h"

#include <algorithm>

namespace cenote::route {

bool Breaker::allow(TimePoint now) {
  if (state_ == State::kOpen && now >= open_until_) {
    state_ = State::kHalfOpen;
    probes_passed_ = 0;
    probing_ = false;
  }
  if (state_ == State::kClosed) return true;
  if (state_ == State::kOpen || probing_) return false;
  probing_ = true;
  return true;
}

void Breaker::count(TimePoint now, bool failure) {
  while (!slices_.empty() && now - slices_.front().begin > options_.window) slices_.pop_front();
  if (slices_.empty() || now - slices_.back().begin >= std::chrono::seconds(1)) {
    slices_.push_back({now, 0, 0});
  }
  ++slices_.back().calls;
  if (failure) ++slices_.back().failures;
}

bool Breaker::too_many_failed() const {
  if (failed_in_a_row_ >= options_.in_a_row) return true;
  int calls = 0;
  int failures = 0;
  for (const Slice& slice : slices_) {
    calls += slice.calls;
    failures += slice.failures;
  }
  return calls >= options_.least_calls && failures >= options_.failed_share * calls;
}

void Breaker::trip(TimePoint now, uint64_t random) {
  const auto healthy = (now - last_trip_) / options_.healthy_minute;
  times_opened_ = static_cast<int>(std::max<int64_t>(0, times_opened_ - healthy));
  Duration open = options_.open_for * (int64_t{1} << std::min(times_opened_, 20));
  open = std::min(open, options_.open_at_most);
  const double unit = static_cast<double>(random >> 11) * 0x1.0p-53;
  open = Duration(static_cast<int64_t>(static_cast<double>(open.count()) *
                                       (1 + options_.jitter * (2 * unit - 1))));
  ++times_opened_;
  state_ = State::kOpen;
  open_until_ = now + open;
  last_trip_ = now;
  slices_.clear();
  failed_in_a_row_ = 0;
  probing_ = false;
}

bool Breaker::succeeded(TimePoint now) {
  failed_in_a_row_ = 0;
  if (state_ == State::kClosed) {
    count(now, false);
    return false;
  }
  if (state_ == State::kOpen) return false;  // a call from before it opened
  probing_ = false;
  if (++probes_passed_ < options_.probes) return false;
  state_ = State::kClosed;
  slices_.clear();
  return true;
}

bool Breaker::failed(TimePoint now, uint64_t random) {
  if (state_ == State::kOpen) return false;
  if (state_ == State::kHalfOpen) {
    trip(now, random);
    return true;
  }
  ++failed_in_a_row_;
  count(now, true);
  if (!too_many_failed()) return false;
  trip(now, random);
  return true;
}

void Breaker::reset(TimePoint) {
  state_ = State::kClosed;
  slices_.clear();
  failed_in_a_row_ = 0;
  probing_ = false;
}

}  // namespace cenote::route
