// Looking out for what is about to come before sleeping for it. A thread that sleeps wakes up late
// (seen: 5 µs at best, 50 on a virtual machine whose processor slept too), and its waking costs the
// one that wakes it.
#pragma once

#include <algorithm>
#include <chrono>

#include <sched.h>

#include "cenote/deadline.h"

namespace cenote {

// One thread at a time. To look out in vain, because what comes is slow or because others want the
// processor, puts the next look-out off, longer each time: a busy machine pays nothing.
class LookOut {
 public:
  static constexpr std::chrono::microseconds kAtMost{300};
  static constexpr std::chrono::milliseconds kFirstRest{10};
  static constexpr std::chrono::milliseconds kLongestRest{1280};

  // False: sleep now. `came` is asked many times and must be cheap.
  template <typename Came>
  bool until(Came&& came, TimePoint now = Clock::now()) {
    if (now < next_) return false;
    const TimePoint end = now + kAtMost;
    bool it_came = came();
    while (!it_came && now < end) {
      ::sched_yield();  // where processors are few, whoever brings it needs this one
      it_came = came();
      now = Clock::now();
    }
    // Also if it came: the processor went to others for so long.
    const bool in_vain = now >= end;
    rest_ = in_vain ? std::clamp<Duration>(2 * rest_, kFirstRest, kLongestRest) : rest_ / 2;
    if (in_vain) next_ = now + rest_;
    return it_came;
  }

 private:
  TimePoint next_{TimePoint::min()};
  Duration rest_{0};
};

}  // namespace cenote
