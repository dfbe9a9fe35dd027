// What a process counts of its calls to nodes and of its sight of the cluster: its part in
// ADR-002's groups of routing, failover and partitions.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cenote/deadline.h"

#include "cluster/duration_histogram.h"
#include "cluster/metrics_aggregator.h"

namespace cenote {

// Thread-safe, without a lock.
class RouteMetrics {
 public:
  // A call to the nodes ended; `took` is all of it, a stream's to its first batch.
  void ended(Duration took, bool ok) {
    count(requests_);
    if (!ok) count(failures_);
    duration_.record(took);
  }
  void retried() { count(retries_); }
  // One place had failed, another answered: the caller waited for that long in all.
  void failed_over(Duration took) {
    count(failovers_);
    failover_recovery_.record(took);
  }
  void outcome_unknown() { count(unknown_); }
  // The view's source is found silent that long after its last word, ...
  void cut_off(Duration after) { partition_detection_.record(after); }
  // ... and is heard again that long after it was found so.
  void reconnected(Duration after) { partition_recovery_.record(after); }
  // The cluster is found out of reach that long after it was last heard, ...
  void partitioned(Duration after) { cluster_detection_.record(after); }
  // ... and this process is part of it again that long after it was first heard again.
  void rejoined(Duration after) { cluster_recovery_.record(after); }

  std::vector<cluster::MetricSample> samples() const;

 private:
  using Counter = std::atomic<uint64_t>;
  static void count(Counter& counter) { counter.fetch_add(1, std::memory_order_relaxed); }

  Counter requests_{0};
  Counter failures_{0};
  Counter retries_{0};
  Counter unknown_{0};
  Counter failovers_{0};
  cluster::DurationHistogram duration_;
  cluster::DurationHistogram failover_recovery_;
  cluster::DurationHistogram partition_detection_;
  cluster::DurationHistogram partition_recovery_;
  cluster::DurationHistogram cluster_detection_;
  cluster::DurationHistogram cluster_recovery_;
};

// What their names mean, for an exposition.
const std::map<std::string, std::string>& route_metrics_help();

}  // namespace cenote
