// ADR-002's failover strategies, as data. The rules behind them are in src/failover.
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

struct LocalOnly {
  bool operator==(const LocalOnly&) const = default;
};

// How calls come back to the preferred target once it is well again.
enum class FailBack : uint8_t {
  kManual,     // by an operator's word
  kAutomatic,  // after it was well for ActiveStandby::fail_back_after
};

// Calls go to one of two pools.
struct ActiveStandby {
  std::string primary;
  std::string backup;
  Duration switch_threshold = std::chrono::seconds(5);  // down for this long until it is left
  FailBack fail_back = FailBack::kManual;
  Duration fail_back_after = std::chrono::seconds(60);
  Duration hold = std::chrono::seconds(10);  // callers wait this long for a switch, then fail

  bool operator==(const ActiveStandby&) const = default;
};

// Calls are shared among pools; those that only read go to replicas too.
struct LoadBalanced {
  std::vector<std::string> pools;
  LoadBalanceAlgorithm algorithm = LoadBalanceAlgorithm::kRoundRobin;

  bool operator==(const LoadBalanced&) const = default;
};

using FailoverStrategy = std::variant<LocalOnly, ActiveStandby, LoadBalanced>;

}  // namespace cenote
