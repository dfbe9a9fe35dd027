// `cenote members` and `cenote pools`: the cluster as its coordinator sees it, by node and by pool.
#include <array>
#include <cstdio>
#include <map>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "cli/cluster.h"
#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/pretty.h"
#include "cli/verbs.h"
#include "cluster/wire.h"
#include "frame/print.h"

namespace cenote::cli {
namespace {

using OrderedJson = nlohmann::ordered_json;
using Rows = std::vector<std::vector<std::string>>;

// Milliseconds since a node was heard last. Tokens of nodes and clients may not ask for them.
std::map<std::string, int64_t> heartbeat_ages(Cluster& cluster) {
  std::map<std::string, int64_t> ages;
  const Result<Json> summary = cluster.get("/v1/summary");
  if (!summary.ok() || !summary->is_object()) return ages;
  const auto all = summary->find("heartbeat_age_ms");
  if (all == summary->end() || !all->is_object()) return ages;
  for (const auto& [id, age] : all->items()) {
    if (age.is_number()) ages[id] = age.get<int64_t>();
  }
  return ages;
}

std::string seconds(int64_t milliseconds) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f s", static_cast<double>(milliseconds) / 1e3);
  return text.data();
}

std::string weight_of(double weight) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%g", weight);
  return text.data();
}

std::string health_of(const cluster::PoolReport& pool) {
  if (!pool.healthy) return "down";
  std::string health = pool.writable ? "up" : "up, read-only";
  if (pool.lag) health += ", " + std::to_string(pool.lag->count()) + " ms behind";
  return health;
}

// Just after its start a coordinator has not heard of everyone yet.
void warn_provisional(const cluster::Snapshot& all) {
  if (!all.provisional) return;
  std::fputs("cenote: the coordinator has just started: nodes may be missing or dead unnoticed\n",
             stderr);
}

struct Listing {
  ClusterOptions cluster;
  std::string format = "table";
  std::string pool;  // of `pools`; empty: all

  int members() const;
  int pools() const;
};

int Listing::members() const {
  const Interrupt interrupt;
  Result<Cluster> asked = Cluster::open(cluster, interrupt.token());
  if (!asked.ok()) return fail_cluster(asked.status());
  const Result<cluster::Snapshot> all = asked->nodes();
  if (!all.ok()) return fail_cluster(all.status());
  const std::map<std::string, int64_t> ages = heartbeat_ages(*asked);
  Rows rows;
  auto nodes = OrderedJson::array();
  for (const cluster::Node& node : all->nodes) {
    const auto age = ages.find(node.about.node_id);
    std::string pools;
    for (const cluster::PoolReport& pool : node.about.pools) {
      pools += (pools.empty() ? "" : ", ") + pool.pool_id;
    }
    rows.push_back({node.about.node_id, std::string(to_string(node.state)), node.about.location,
                    node.about.zone, weight_of(node.about.weight), pools,
                    std::to_string(node.config_version),
                    age == ages.end() ? "" : seconds(age->second) + " ago"});
    OrderedJson one = OrderedJson::parse(cluster::to_json(node).dump());
    one["heartbeat_age_ms"] = age == ages.end() ? OrderedJson() : OrderedJson(age->second);
    nodes.push_back(std::move(one));
  }
  if (format == "json") {
    return print(pretty<OrderedJson>({{"cluster", all->cluster},
                                      {"coordinator", asked->url()},
                                      {"term", all->term},
                                      {"revision", all->revision},
                                      {"provisional", all->provisional},
                                      {"nodes", std::move(nodes)}}));
  }
  warn_provisional(*all);
  return print(
      print_texts({"node", "state", "location", "zone", "weight", "pools", "config", "heartbeat"},
                  rows, terminal_width()));
}

int Listing::pools() const {
  const Interrupt interrupt;
  Result<Cluster> asked = Cluster::open(cluster, interrupt.token());
  if (!asked.ok()) return fail_cluster(asked.status());
  const Result<cluster::Snapshot> all = asked->nodes();
  if (!all.ok()) return fail_cluster(all.status());
  // pool → its instances, in the order of the nodes.
  std::map<std::string, std::vector<std::pair<const cluster::Node*, const cluster::PoolReport*>>>
      by_pool;
  for (const cluster::Node& node : all->nodes) {
    for (const cluster::PoolReport& each : node.about.pools) {
      if (pool.empty() || pool == each.pool_id) by_pool[each.pool_id].emplace_back(&node, &each);
    }
  }
  if (!pool.empty() && by_pool.empty()) {
    return fail(kQueryFailed, "no node serves a pool '" + pool +
                                  "'; 'cenote pools' without -p lists those there are");
  }
  Rows rows;
  auto pools = OrderedJson::array();
  for (const auto& [id, instances] : by_pool) {
    auto list = OrderedJson::array();
    for (const auto& [node, report] : instances) {
      rows.push_back({id, report->type, node->about.node_id, std::string(to_string(node->state)),
                      health_of(*report), std::to_string(report->active),
                      std::to_string(report->idle), std::to_string(report->waiting),
                      std::to_string(report->max)});
      OrderedJson one = {{"node_id", node->about.node_id}, {"state", to_string(node->state)}};
      one.update(OrderedJson::parse(cluster::to_json(*report).dump()));
      one.erase("pool_id");
      list.push_back(std::move(one));
    }
    pools.push_back({{"pool_id", id}, {"instances", std::move(list)}});
  }
  if (format == "json") return print(pretty(pools));
  warn_provisional(*all);
  return print(print_texts(
      {"pool", "type", "node", "node is", "database is", "active", "idle", "waiting", "max"}, rows,
      terminal_width()));
}

std::shared_ptr<Listing> add_listing(CLI::App& verb) {
  auto listing = std::make_shared<Listing>();
  verb.add_option("-o,--output", listing->format, "Format")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  listing->cluster.add_options(verb);
  return listing;
}

}  // namespace

void add_members(CLI::App& app, Command* command) {
  CLI::App* verb = app.add_subcommand("members", "List the nodes of a cluster, and how they are");
  const auto listing = add_listing(*verb);
  verb->callback([listing, command] { *command = [listing] { return listing->members(); }; });
}

void add_pools(CLI::App& app, Command* command) {
  CLI::App* verb =
      app.add_subcommand("pools", "List the pools of a cluster: where, health, connections");
  const auto listing = add_listing(*verb);
  verb->add_option("-p,--pool", listing->pool, "Only this pool")->type_name("ID");
  verb->callback([listing, command] { *command = [listing] { return listing->pools(); }; });
}

}  // namespace cenote::cli
