// What the cluster looks like from above: all metrics as one exposition, and ADR-002's five groups.
#include <algorithm>
#include <map>
#include <string>
#include <tuple>

#include "base/label.h"
#include "coordinator/pool_coordinator.h"

namespace cenote::coordinator {

std::string PoolCoordinator::prometheus() const {
  const cluster::Snapshot all = nodes();
  std::map<std::string_view, int> states;
  std::vector<cluster::MetricSample> samples;
  for (const cluster::Node& node : all.nodes) {
    ++states[to_string(node.state)];
    for (const cluster::PoolReport& pool : node.about.pools) {
      const std::string labels = "node=\"" + label_value(node.about.node_id) + "\",pool=\"" +
                                 label_value(pool.pool_id) + "\"";
      const auto gauge = [&](const char* name, double value) {
        samples.push_back(cluster::gauge_sample(name, value, labels));
      };
      const bool dead = node.state == cluster::NodeState::kDead;
      gauge("cenote_instance_up", pool.healthy && !dead ? 1 : 0);
      if (dead) continue;  // what it said last is true no more
      gauge("cenote_instance_connections_active", pool.active);
      gauge("cenote_instance_connections_idle", pool.idle);
      gauge("cenote_instance_connections_max", pool.max);
      gauge("cenote_instance_pending_requests", pool.waiting);
    }
  }
  for (const char* state : {"up", "suspect", "frozen", "draining", "dead"}) {
    samples.push_back(cluster::gauge_sample("cenote_nodes", states[state],
                                            std::string("state=\"") + state + "\""));
  }
  samples.push_back(
      cluster::gauge_sample("cenote_registry_revision", static_cast<double>(all.revision)));
  {
    const Lock state(state_);
    samples.push_back(
        cluster::gauge_sample("cenote_registry_preserving", registry_->preserving() ? 1.0 : 0.0));
  }
  {
    const Lock sums(sums_);
    for (cluster::MetricSample& sample : metrics_.total()) samples.push_back(std::move(sample));
  }
  std::sort(samples.begin(), samples.end(), [](const auto& a, const auto& b) {
    return std::tie(a.name, a.labels) < std::tie(b.name, b.labels);
  });
  return prometheus_text(samples,
                         {{"cenote_nodes", "Nodes by state."},
                          {"cenote_registry_preserving", "1 while self-preservation holds."}});
}

Json PoolCoordinator::summary() const {
  const cluster::Snapshot all = nodes();
  Json distribution = Json::object();
  std::map<std::string, int> states;
  for (const cluster::Node& node : all.nodes) {
    ++states[std::string(to_string(node.state))];
    if (node.state == cluster::NodeState::kDead) continue;  // its load went with it
    for (const cluster::PoolReport& pool : node.about.pools) {
      Json& sum = distribution[pool.pool_id];
      if (sum.is_null()) sum = Json::object();
      for (const auto& [key, value] :
           {std::pair("instances", 1), std::pair("active", pool.active),
            std::pair("idle", pool.idle), std::pair("waiting", pool.waiting),
            std::pair("max", pool.max), std::pair("unhealthy", pool.healthy ? 0 : 1)}) {
        sum[key] = sum.value(key, 0) + value;
      }
    }
  }
  Json ages = Json::object();
  Json beats = Json::object();
  Json configuration = Json::object();
  bool preserving = false;
  {
    const Lock state(state_);
    preserving = registry_->preserving();
    for (const cluster::Node& node : all.nodes) {
      if (const auto seq = registry_->last_seq(node.about.node_id)) {
        beats[node.about.node_id] = json_number(*seq);
      }
      const auto silence = registry_->silence(Clock::now(), node.about.node_id);
      if (!silence) continue;
      ages[node.about.node_id] =
          std::chrono::duration_cast<std::chrono::milliseconds>(*silence).count();
    }
    for (const auto& [name, scope] : scopes_) {
      configuration[name] = {
          {"version", scope.head.version},
          {"stage", scope.rollout == nullptr ? "done" : to_string(scope.rollout->stage())}};
    }
  }
  const Lock sums(sums_);
  const double routed = metrics_.sum("cenote_route_requests_total");
  const double failed = metrics_.sum("cenote_route_failures_total");
  return {
      {"cluster", all.cluster},
      {"term", json_number(all.term)},
      {"revision", json_number(all.revision)},
      {"preserving", preserving},
      {"heartbeat_age_ms", std::move(ages)},
      {"heartbeat_seq", std::move(beats)},
      {"pool_distribution", {{"nodes", states}, {"pools", distribution}}},
      {"request_routing",
       {{"requests", routed},
        {"failures", failed},
        {"success_rate", routed > 0 ? Json(1.0 - failed / routed) : Json()},
        {"p50_seconds", metrics_.quantile("cenote_route_duration_seconds", 0.5)},
        {"p99_seconds", metrics_.quantile("cenote_route_duration_seconds", 0.99)}}},
      {"failover",
       {{"switches", metrics_.sum("cenote_failover_total")},
        {"recovery_p50_seconds", metrics_.quantile("cenote_failover_recovery_seconds", 0.5)},
        {"recovery_p99_seconds", metrics_.quantile("cenote_failover_recovery_seconds", 0.99)}}},
      {"network_partition",
       {{"partitions", metrics_.sum("cenote_partition_detection_seconds")},
        {"detection_p50_seconds", metrics_.quantile("cenote_partition_detection_seconds", 0.5)},
        {"recovery_p50_seconds", metrics_.quantile("cenote_partition_recovery_seconds", 0.5)}}},
      {"config_sync",
       {{"scopes", configuration},
        {"syncs", metrics_.sum("cenote_config_sync_total")},
        {"failures", metrics_.sum("cenote_config_sync_failures_total")},
        {"p50_seconds", metrics_.quantile("cenote_config_sync_seconds", 0.5)},
        {"p99_seconds", metrics_.quantile("cenote_config_sync_seconds", 0.99)}}},
  };
}

}  // namespace cenote::coordinator
