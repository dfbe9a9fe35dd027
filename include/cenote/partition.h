// ADR-002's NetworkPartitionHandler {detection_interval, recovery_strategy, local_cache_ttl}, as
// data. The rules behind it are in src/partition, what an operator sees of them in
// docs/partitions.md.
#pragma once

#include <cstdint>

#include "cenote/deadline.h"

namespace cenote {

// How a process comes back once it hears the cluster again.
enum class RecoveryStrategy : uint8_t {
  kGradual,    // what was out of reach gets 10, 25, 50, 100 % of its calls within 20 s
  kImmediate,  // all at once
  kManual,     // gradually, but not before DistributedPoolManager::recover()
};

struct PartitionOptions {
  Duration detection_interval = std::chrono::seconds(1);  // between probes; 200 ms to 60 s
  RecoveryStrategy recovery_strategy = RecoveryStrategy::kGradual;
  // A view of this age still serves all calls; up to four times of it reads only; then each process
  // has its own pools alone.
  Duration local_cache_ttl = std::chrono::seconds(300);
};

// What is to be done about a partition.
enum class FallbackAction : uint8_t {
  kStay,  // there is none
  kSwitchToLocalMode,
};

}  // namespace cenote
