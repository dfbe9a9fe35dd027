// From heartbeats and verdicts to counts.
#include "coordinator/cluster_metrics.h"

namespace cenote::coordinator {

void ClusterMetrics::heard(TimePoint now, std::string_view node_id,
                           const cluster::ConfigId& applied, const cluster::ConfigId& wanted,
                           const cluster::ConfigId& rejected) {
  const auto found = syncs_.find(node_id);
  if (found != syncs_.end()) {
    Sync& sync = found->second;
    if (same(applied, sync.version)) {
      ++synced_;
      sync_time_.record(now - sync.told);
    } else if (same(rejected, sync.version)) {
      ++synced_;
      ++refused_;
    } else if (same(wanted, sync.version)) {
      return;  // not yet
    }
    syncs_.erase(found);
  }
  if (wanted.version != 0 && !same(wanted, applied) && !same(wanted, rejected)) {
    syncs_.emplace(node_id, Sync{wanted, now});
  }
}

void ClusterMetrics::preserving(TimePoint now, bool holds, Duration silence) {
  if (holds == preserving_since_.has_value()) return;
  if (holds) {
    preserving_since_ = now;
    partition_detection_.record(silence);
  } else {
    partition_recovery_.record(now - *preserving_since_);
    preserving_since_.reset();
  }
}

std::vector<cluster::MetricSample> ClusterMetrics::samples() const {
  constexpr const char* kOfNodes = "scope=\"nodes\"";
  return {
      cluster::counter_sample("cenote_config_sync_failures_total", static_cast<double>(refused_)),
      sync_time_.sample("cenote_config_sync_seconds"),
      cluster::counter_sample("cenote_config_sync_total", static_cast<double>(synced_)),
      partition_detection_.sample("cenote_partition_detection_seconds", kOfNodes),
      partition_recovery_.sample("cenote_partition_recovery_seconds", kOfNodes)};
}

}  // namespace cenote::coordinator
