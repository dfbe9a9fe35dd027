// The monotonic clock of a program that simulates: std::chrono::steady_clock::now() itself, so that
// code which asks it (the coordinator) runs in simulated time unchanged.
#pragma once

#include "cenote/deadline.h"

namespace cenote::simulation {

// From here on the clock stands at `now`, for every thread of this program.
void set_clock(TimePoint now);
// The machine's clock again.
void release_clock();

}  // namespace cenote::simulation
