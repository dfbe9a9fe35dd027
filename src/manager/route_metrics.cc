// Their names.
#include "manager/route_metrics.h"

namespace cenote {
namespace {

// Calls are answered by nodes, so failovers between them are told from those between databases.
// What a client loses is the view's source alone, or the cluster.
constexpr const char* kOfNodes = "scope=\"node\"";
constexpr const char* kOfSource = "scope=\"view\"";
constexpr const char* kOfCluster = "scope=\"cluster\"";

}  // namespace

std::vector<cluster::MetricSample> RouteMetrics::samples() const {
  const auto counter = [](const char* name, const Counter& value, const char* labels = "") {
    return cluster::counter_sample(name, static_cast<double>(value.load(std::memory_order_relaxed)),
                                   labels);
  };
  return {counter("cenote_failover_total", failovers_, kOfNodes),
          failover_recovery_.sample("cenote_failover_recovery_seconds", kOfNodes),
          partition_detection_.sample("cenote_partition_detection_seconds", kOfSource),
          cluster_detection_.sample("cenote_partition_detection_seconds", kOfCluster),
          partition_recovery_.sample("cenote_partition_recovery_seconds", kOfSource),
          cluster_recovery_.sample("cenote_partition_recovery_seconds", kOfCluster),
          duration_.sample("cenote_route_duration_seconds"),
          counter("cenote_route_failures_total", failures_),
          counter("cenote_route_requests_total", requests_),
          counter("cenote_route_retries_total", retries_),
          counter("cenote_route_unknown_total", unknown_)};
}

const std::map<std::string, std::string>& route_metrics_help() {
  static const std::map<std::string, std::string> help = {
      {"cenote_failover_events_total", "Decisions of failover groups, by what was decided."},
      {"cenote_failover_total",
       "Scope node: calls answered elsewhere after a place had failed; database: switches of a "
       "pool's calls to another target."},
      {"cenote_failover_recovery_seconds",
       "Scope node: how long such calls took in all; database: from the first suspicion to the "
       "switch."},
      {"cenote_partition_detection_seconds", "From the last word to finding it silent."},
      {"cenote_partition_recovery_seconds", "From there to hearing it again."},
      {"cenote_route_duration_seconds", "Calls to nodes, to the answer's first batch."},
      {"cenote_route_failures_total", "Of the calls to nodes, those that failed in the end."},
      {"cenote_route_requests_total", "Calls to nodes."},
      {"cenote_route_retries_total", "Attempts after a first one had failed."},
      {"cenote_route_unknown_total", "Writes whose outcome is unknown."}};
  return help;
}

}  // namespace cenote
