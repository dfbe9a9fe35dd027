// The program's own definitions of the clocks take the place of the C++ library's when it is
// linked.
#include "simulation/simulated_clock.h"

#include <ctime>

namespace {

bool simulated = false;
std::chrono::steady_clock::time_point stands_at;

}  // namespace

std::chrono::steady_clock::time_point std::chrono::steady_clock::now() noexcept {
  if (simulated) return stands_at;
  std::timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time_point(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

std::chrono::system_clock::time_point std::chrono::system_clock::now() noexcept {
  constexpr time_point kStart{std::chrono::seconds(1'800'000'000)};
  if (simulated) return kStart + std::chrono::duration_cast<duration>(stands_at.time_since_epoch());
  std::timespec time{};
  clock_gettime(CLOCK_REALTIME, &time);
  return time_point(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

namespace cenote::simulation {

void set_clock(TimePoint now) {
  simulated = true;
  stands_at = now;
}

void release_clock() {
  simulated = false;
}

}  // namespace cenote::simulation
