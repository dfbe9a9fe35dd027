// Nodes by state, pools by what is left of them, configuration, routing.
#include "cli/cluster_report.h"

#include <array>
#include <cstdio>
#include <map>
#include <vector>

#include "cli/output.h"
#include "frame/print.h"

namespace cenote::cli {
namespace {

struct PoolSum {
  int nodes = 0;
  int usable = 0;  // on a node that is up, with its database up
  int active = 0;
  int idle = 0;
  int waiting = 0;
  int max = 0;
};

std::map<std::string, PoolSum> sums_of(const cluster::Snapshot& all) {
  std::map<std::string, PoolSum> sums;
  for (const cluster::Node& node : all.nodes) {
    for (const cluster::PoolReport& pool : node.about.pools) {
      PoolSum& sum = sums[pool.pool_id];
      ++sum.nodes;
      // What a dead node said last no longer holds.
      if (node.state == cluster::NodeState::kDead) continue;
      sum.usable += node.state == cluster::NodeState::kUp && pool.healthy ? 1 : 0;
      sum.active += pool.active;
      sum.idle += pool.idle;
      sum.waiting += pool.waiting;
      sum.max += pool.max;
    }
  }
  return sums;
}

std::string counted(const std::map<std::string, int>& states) {
  std::string text;
  for (const auto& [state, count] : states) {
    text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + state;
  }
  return text.empty() ? "none is registered" : text;
}

std::string configurations(const Json& summary) {
  std::string text;
  const auto sync = summary.find("config_sync");
  if (sync == summary.end() || !sync->is_object() || !sync->contains("scopes")) return text;
  for (const auto& [scope, state] : (*sync)["scopes"].items()) {
    text += "configuration " + scope + ": version " + state.value("version", Json(0)).dump() +
            ", roll-out " + state.value("stage", "") + "\n";
  }
  return text;
}

std::string routing(const Json& summary) {
  const auto group = summary.find("request_routing");
  if (group == summary.end() || !group->is_object()) return "";
  const Json requests = group->value("requests", Json(0));
  const Json rate = group->value("success_rate", Json());
  if (!requests.is_number() || !rate.is_number()) return "";
  std::array<char, 96> text{};
  std::snprintf(text.data(), text.size(), "routed: %.0f requests, %.2f %% of them well\n",
                requests.get<double>(), 100 * rate.get<double>());
  return text.data();
}

}  // namespace

Result<ClusterReport> report_cluster(Cluster& cluster) {
  ARROW_ASSIGN_OR_RAISE(const cluster::Snapshot all, cluster.nodes());
  Json summary = cluster.get("/v1/summary").ValueOr(Json::object());
  if (!summary.is_object()) summary = Json::object();
  std::map<std::string, int> states;
  for (const cluster::Node& node : all.nodes) ++states[std::string(to_string(node.state))];
  ClusterReport report;
  report.text = "cluster " + all.cluster + " at " + cluster.url() + ", term " +
                std::to_string(all.term) + ", revision " + std::to_string(all.revision) +
                "\nnodes: " + counted(states) + "\n";
  if (all.provisional) report.text += "the coordinator has just started and judges nobody yet\n";
  const bool preserving = summary.value("preserving", Json(false)) == Json(true);
  if (preserving) {
    report.text +=
        "self-preservation: too many nodes fell silent at once, so none is taken for dead; look at "
        "the coordinator's network first\n";
  }
  report.text += configurations(summary) + routing(summary);
  std::vector<std::vector<std::string>> rows;
  auto pools = nlohmann::ordered_json::array();
  for (const auto& [id, sum] : sums_of(all)) {
    const std::string usable = std::to_string(sum.usable) + " of " + std::to_string(sum.nodes);
    rows.push_back({id, usable, std::to_string(sum.active), std::to_string(sum.idle),
                    std::to_string(sum.waiting), std::to_string(sum.max)});
    pools.push_back({{"pool_id", id},
                     {"nodes", sum.nodes},
                     {"usable", sum.usable},
                     {"active", sum.active},
                     {"idle", sum.idle},
                     {"waiting", sum.waiting},
                     {"max", sum.max}});
    if (sum.usable == 0) report.trouble += (report.trouble.empty() ? "" : ", ") + id;
  }
  if (!rows.empty()) {
    report.text += print_texts({"pool", "usable nodes", "active", "idle", "waiting", "max"}, rows,
                               terminal_width());
  }
  report.json = {
      {"id", all.cluster},        {"coordinator", cluster.url()},   {"term", all.term},
      {"revision", all.revision}, {"provisional", all.provisional}, {"preserving", preserving},
      {"nodes", states},          {"pools", std::move(pools)}};
  if (summary.contains("config_sync")) {
    report.json["config_sync"] = nlohmann::ordered_json::parse(summary["config_sync"].dump());
  }
  return report;
}

}  // namespace cenote::cli
