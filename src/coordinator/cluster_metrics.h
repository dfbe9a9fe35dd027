// What a coordinator sees by itself of ADR-002's groups: how configurations reach the nodes, and
// when a good part of the nodes falls silent at once.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cenote/deadline.h"

#include "cluster/config_id.h"
#include "cluster/duration_histogram.h"
#include "cluster/metrics_aggregator.h"

namespace cenote::coordinator {

// Pure; one thread at a time.
class ClusterMetrics {
 public:
  // A heartbeat: what the node has, what it was told to have in answer, what it refused.
  void heard(TimePoint now, std::string_view node_id, const cluster::ConfigId& applied,
             const cluster::ConfigId& wanted, const cluster::ConfigId& rejected);
  void forget(const std::string& node_id) { syncs_.erase(node_id); }
  // Whether self-preservation holds, and how long the longest silent node has been so.
  void preserving(TimePoint now, bool holds, Duration silence);

  std::vector<cluster::MetricSample> samples() const;

 private:
  struct Sync {
    cluster::ConfigId version;
    TimePoint told;
  };
  std::map<std::string, Sync, std::less<>> syncs_;  // of nodes that are to take a version
  uint64_t synced_ = 0;
  uint64_t refused_ = 0;
  cluster::DurationHistogram sync_time_;
  std::optional<TimePoint> preserving_since_;
  cluster::DurationHistogram partition_detection_;
  cluster::DurationHistogram partition_recovery_;
};

}  // namespace cenote::coordinator
