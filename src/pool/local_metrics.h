// ADR-002's LocalMetrics: what one pool counts. No lock on the query path; names are
// OpenTelemetry's.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "cenote/pool.h"

#include "pool/histogram.h"

namespace cenote {

class LocalMetrics {
 public:
  Histogram operation_duration;
  Histogram create_time;
  Histogram wait_time;
  Histogram use_time;
  std::atomic<uint64_t> errors{0};
  std::atomic<uint64_t> rows{0};
  std::atomic<uint64_t> checkouts{0};
  std::atomic<uint64_t> timeouts{0};
  std::atomic<uint64_t> connect_failures{0};

  PoolMetrics snapshot(const PoolStatus& status) const;
  std::string prometheus(const PoolStatus& status, std::string_view system_name) const;
};

}  // namespace cenote
