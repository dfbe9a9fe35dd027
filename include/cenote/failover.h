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

// In mode distributed, whether writes go on while the store does not answer.
enum class WithoutStore : uint8_t {
  kKeep,  // as long as the target itself takes them: the store's outage is no outage of the
          // database
  kHold,  // they wait: never does this process write to a target that others have left
};

// Calls go to one of two pools.
struct ActiveStandby {
  std::string primary;
  std::string backup;
  Duration switch_threshold = std::chrono::seconds(5);  // down for this long until it is left
  FailBack fail_back = FailBack::kManual;
  Duration fail_back_after = std::chrono::seconds(60);
  Duration hold = std::chrono::seconds(10);  // callers wait this long for a switch, then fail
  WithoutStore without_store = WithoutStore::kKeep;

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
