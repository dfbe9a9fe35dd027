// ADR-002's failover strategies, as data. What acts on them is in src/route.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "cenote/deadline.h"

namespace cenote {

enum class LoadBalanceAlgorithm : uint8_t {
  kRoundRobin,
  kLeastConnections,
  kWeightedRoundRobin,
  kRandom,
  kP2cEwma,
};

struct LocalOnly {};

struct ActiveStandby {
  std::string primary;
  std::string backup;
  Duration switch_threshold{};
};

struct LoadBalanced {
  std::vector<std::string> pools;
  LoadBalanceAlgorithm algorithm = LoadBalanceAlgorithm::kRoundRobin;
};

using FailoverStrategy = std::variant<LocalOnly, ActiveStandby, LoadBalanced>;

}  // namespace cenote
