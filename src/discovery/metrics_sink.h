// Where a process's metrics go to be added up with those of others.
#pragma once

#include <stop_token>

#include "cenote/error.h"

#include "cluster/metrics_aggregator.h"

namespace cenote::discovery {

// Called on one thread only, which its caller owns.
class MetricsSink {
 public:
  virtual ~MetricsSink() = default;
  // A report holds all since the process began, so that a lost one costs nothing.
  virtual Status put(const std::stop_token& stop, const cluster::MetricsReport& report) = 0;
};

}  // namespace cenote::discovery
