// The one place where an algorithm's name meets its file.
#include "route/load_balancer.h"

namespace cenote::route {

std::unique_ptr<LoadBalancer> make_load_balancer(LoadBalanceAlgorithm algorithm, uint64_t seed) {
  switch (algorithm) {
    case LoadBalanceAlgorithm::kRoundRobin:
      return round_robin(seed);
    case LoadBalanceAlgorithm::kLeastConnections:
      return least_connections();
    case LoadBalanceAlgorithm::kWeightedRoundRobin:
      return weighted_round_robin(seed);
    case LoadBalanceAlgorithm::kRandom:
      return random_choice();
    case LoadBalanceAlgorithm::kP2cEwma:
      return p2c_ewma();
  }
  return p2c_ewma();
}

}  // namespace cenote::route
