// The sending thread.
#include "manager/distributed_metrics.h"

#include <utility>

#include "base/keep_running.h"
#include "base/log.h"
#include "base/pause.h"

namespace cenote {

DistributedMetrics::DistributedMetrics(MetricsCollector local_collector,
                                       std::unique_ptr<discovery::MetricsSink> aggregator,
                                       Duration export_interval)
    : local_collector_(std::move(local_collector)),
      aggregator_(std::move(aggregator)),
      export_interval_(export_interval),
      thread_([this](const std::stop_token& stop) {
        keep_running(stop, "manager", "sending metrics", [&] { run(stop); });
      }) {}

DistributedMetrics::~DistributedMetrics() = default;

void DistributedMetrics::run(const std::stop_token& stop) {
  bool failing = false;
  while (pause(stop, export_interval_)) {
    const Status sent = aggregator_->put(stop, local_collector_());
    if (!sent.ok() && !failing && !stop.stop_requested()) {
      log(LogLevel::kWarning, "manager", "metrics were not sent: " + sent.message());
    }
    failing = !sent.ok();
  }
}

}  // namespace cenote
