// The circuit breaker of one target: closed → open → half-open → closed. Pure: outcomes and a time
// in, whether a call may go out. Only errors that speak against the target count (see
// counts_against_target); SQL errors, full pools and callers' time-outs never do.
//
// Opens on 5 such errors in a row, or on half of at least 20 calls within 10 s. Stays open for
// 1 s × 2ⁿ up to 30 s, ± 20 %; n falls by one for each healthy minute. Then three single probes:
// all pass, or it opens again. Envoy's 30 s base suits large fleets; with one to five databases it
// would be an outage, hence brpc's shorter scale.
#pragma once

#include <cstdint>
#include <deque>

#include "cenote/deadline.h"

namespace cenote::route {

class Breaker {
 public:
  enum class State : uint8_t { kClosed, kOpen, kHalfOpen };
  struct Options {
    int in_a_row = 5;
    int least_calls = 20;
    double failed_share = 0.5;
    Duration window = std::chrono::seconds(10);
    Duration open_for = std::chrono::seconds(1);
    Duration open_at_most = std::chrono::seconds(30);
    double jitter = 0.2;
    int probes = 3;
    Duration healthy_minute = std::chrono::minutes(1);
  };

  explicit Breaker(Options options) : options_(options) {}
  Breaker() : Breaker(Options()) {}

  // May a call go to the target? Half-open, one probe at a time is let through.
  bool allow(TimePoint now);
  // How the call went. `random`: 64 random bits for the jitter. True if the state changed.
  bool succeeded(TimePoint now);
  bool failed(TimePoint now, uint64_t random);
  // A health check of its own saw the target well: close, whatever the calls said.
  void reset(TimePoint now);

  State state() const { return state_; }
  TimePoint open_until() const { return open_until_; }

 private:
  struct Slice {  // one second of calls
    TimePoint begin;
    int calls = 0;
    int failures = 0;
  };

  void count(TimePoint now, bool failure);
  bool too_many_failed() const;
  void trip(TimePoint now, uint64_t random);

  const Options options_;
  State state_ = State::kClosed;
  std::deque<Slice> slices_;  // at most window / 1 s + 1
  int failed_in_a_row_ = 0;
  int times_opened_ = 0;
  int probes_passed_ = 0;
  bool probing_ = false;
  TimePoint open_until_;
  TimePoint last_trip_;
};

}  // namespace cenote::route
