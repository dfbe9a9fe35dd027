// ADR-002's DistributedMetrics {local_collector, aggregator, export_interval}: what this process
// counted, sent to where the whole cluster's metrics are added up.
#pragma once

#include <functional>
#include <memory>
#include <thread>

#include "cenote/deadline.h"

#include "discovery/metrics_sink.h"

namespace cenote {

// Owns the thread that sends. Nobody waits for it; what cannot be sent is sent with the next.
class DistributedMetrics {
 public:
  using MetricsCollector = std::function<cluster::MetricsReport()>;

  // The collector is called on that thread, and lives as long as this.
  DistributedMetrics(MetricsCollector local_collector,
                     std::unique_ptr<discovery::MetricsSink> aggregator, Duration export_interval);
  // Sends no more.
  ~DistributedMetrics();

 private:
  void run(const std::stop_token& stop);

  const MetricsCollector local_collector_;
  const std::unique_ptr<discovery::MetricsSink> aggregator_;
  const Duration export_interval_;
  std::jthread thread_;  // last: ends before what it uses
};

}  // namespace cenote
