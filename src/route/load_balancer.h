// How one of several equal targets is chosen. One file for each of ADR-002's algorithms, and
// p2c_ewma, the default.
#pragma once

#include <cstdint>
#include <memory>

#include "cenote/failover.h"

#include "route/target.h"

namespace cenote::route {

// Thread-safe; holds at most a counter. `random` is any 64 bits; the caller owns the source.
class LoadBalancer {
 public:
  virtual ~LoadBalancer() = default;
  // An index into a tier that is not empty. Calls with the same arguments may differ: what is
  // chosen may turn out shut or tried, then the caller asks again.
  virtual size_t choose(const Tier& tier, TimePoint now, uint64_t random) = 0;
};

// `seed` lets processes that start together begin at different targets.
std::unique_ptr<LoadBalancer> make_load_balancer(LoadBalanceAlgorithm algorithm, uint64_t seed);

std::unique_ptr<LoadBalancer> round_robin(uint64_t seed);
std::unique_ptr<LoadBalancer> weighted_round_robin(uint64_t seed);
std::unique_ptr<LoadBalancer> random_choice();
std::unique_ptr<LoadBalancer> least_connections();
std::unique_ptr<LoadBalancer> p2c_ewma();

// 0 to 1, of 64 random bits.
inline double fraction(uint64_t random) {
  return static_cast<double>(random >> 11) * 0x1.0p-53;
}

}  // namespace cenote::route
