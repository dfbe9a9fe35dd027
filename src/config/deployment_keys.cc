// The rows of `deployment:` that only clusters need: this process as a node, the coordinator, the
// way to nodes, the choice among them.
#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "config/schema.h"

namespace cenote {
namespace {

using Kind = ValueRule::Kind;

constexpr ValueRule kText{Kind::kText};

// The stores below parse what has passed the rule, so that failures cannot happen.
template <typename Part, typename Owner, typename Inner>
auto text(Part DeploymentConfig::* part, Inner Owner::* inner, std::string Inner::* field) {
  return
      [=](DeploymentConfig& config, std::string_view value) { config.*part.*inner.*field = value; };
}
template <typename Part, typename Owner>
auto text(Part DeploymentConfig::* part, std::string Owner::* field) {
  return [=](DeploymentConfig& config, std::string_view value) { config.*part.*field = value; };
}

}  // namespace

LoadBalanceAlgorithm algorithm_named(std::string_view name) {
  const auto names = split_choices(kBalanceAlgorithms);
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) return static_cast<LoadBalanceAlgorithm>(i);
  }
  return LoadBalanceAlgorithm::kP2cEwma;
}

FailoverStrategy make_strategy(std::string_view name,
                               const std::map<std::string, std::string, std::less<>>& keys,
                               std::vector<std::string> pools) {
  const auto text = [&](const char* key) {
    const auto found = keys.find(key);
    return found == keys.end() ? std::string() : found->second;
  };
  const auto duration = [&](const char* key, Duration* value) {
    const auto found = keys.find(key);
    if (found != keys.end()) *value = parse_duration(found->second).ValueOr(*value);
  };
  if (name == "active_standby") {
    ActiveStandby standby;
    standby.primary = text("primary");
    standby.backup = text("backup");
    duration("switch_threshold", &standby.switch_threshold);
    duration("fail_back_after", &standby.fail_back_after);
    duration("hold", &standby.hold);
    if (text("fail_back") == "automatic") standby.fail_back = FailBack::kAutomatic;
    if (text("without_store") == "hold") standby.without_store = WithoutStore::kHold;
    return standby;
  }
  if (name == "load_balanced") {
    LoadBalanced balanced;
    balanced.pools = std::move(pools);
    if (!text("algorithm").empty()) balanced.algorithm = algorithm_named(text("algorithm"));
    return balanced;
  }
  return LocalOnly{};
}

std::span<const DeploymentKey> node_keys() {
  static constexpr auto kNode = &DeploymentConfig::node;
  static const std::vector<DeploymentKey> rows = {
      {"id", kText, "Name of this process among the nodes; by default host and port.",
       text(kNode, &NodeIdentity::id)},
      {"advertise",
       {Kind::kAddress},
       "host:port under which others reach it.",
       text(kNode, &NodeIdentity::advertise)},
      {"zone", kText, "Where this process runs; targets of the same zone are preferred.",
       text(kNode, &NodeIdentity::zone)},
      {"weight",
       {Kind::kInteger, 1, 1'000},
       "Its share of the work beside other nodes; 1 by default.",
       [](DeploymentConfig& config, std::string_view value) {
         config.node.weight = static_cast<double>(parse_integer(value).ValueOr(1));
       }},
      {"state_dir", kText,
       "Where a node keeps the number of its starts; by default $STATE_DIRECTORY, "
       "$XDG_STATE_HOME/cenote or ~/.local/state/cenote.",
       text(kNode, &NodeIdentity::state_dir)},
  };
  return rows;
}

std::span<const DeploymentKey> coordinator_keys() {
  static constexpr auto kCoordinator = &DeploymentConfig::coordinator;
  static constexpr auto kTls = &CoordinatorAccess::tls;
  static const std::vector<DeploymentKey> rows = {
      {"endpoint", kText, "URL of the coordinator, as http://coordinator:8080; several by commas.",
       [](DeploymentConfig& config, std::string_view value) {
         config.coordinator.endpoints = split_list(value);
       }},
      {"token", kText, "Sent with every call, best as ${env:NAME} or ${file:PATH}.",
       text(kCoordinator, &CoordinatorAccess::token)},
      {"ca", kText, "The authority that signed the coordinator's certificate, PEM.",
       text(kCoordinator, kTls, &ClientTlsFiles::ca)},
      {"certificate", kText, "This process's own certificate, PEM.",
       text(kCoordinator, kTls, &ClientTlsFiles::certificate)},
      {"key", kText, "Its key, PEM.", text(kCoordinator, kTls, &ClientTlsFiles::key)},
  };
  return rows;
}

std::span<const DeploymentKey> discovery_keys() {
  static constexpr auto kDiscovery = &DeploymentConfig::discovery;
  static constexpr auto kTls = &DiscoveryAccess::tls;
  static const std::vector<DeploymentKey> rows = {
      {"type",
       {Kind::kChoice, 0, 0, "consul|etcd|static"},
       "What keeps the list of nodes; static: nobody, it is `endpoint`.",
       text(kDiscovery, &DiscoveryAccess::type)},
      {"endpoint", kText,
       "Of the store, as consul:8500 or https://etcd:2379; several by commas. Of static: the "
       "nodes, "
       "as \"db1:8815, db2:8815\".",
       [](DeploymentConfig& config, std::string_view value) {
         config.discovery.endpoints = split_list(value);
       }},
      {"cluster", kText, "The cluster's name in the store; cenote by default.",
       text(kDiscovery, &DiscoveryAccess::cluster)},
      {"token", kText, "Consul's ACL token or etcd's JWT, best as ${env:NAME} or ${file:PATH}.",
       text(kDiscovery, &DiscoveryAccess::token)},
      {"username", kText, "The user at etcd.", text(kDiscovery, &DiscoveryAccess::username)},
      {"password", kText, "Its password, best as ${env:NAME} or ${file:PATH}.",
       text(kDiscovery, &DiscoveryAccess::password)},
      {"ca", kText, "The authority that signed the store's certificates, PEM.",
       text(kDiscovery, kTls, &ClientTlsFiles::ca)},
      {"certificate", kText, "This process's own certificate, PEM.",
       text(kDiscovery, kTls, &ClientTlsFiles::certificate)},
      {"key", kText, "Its key, PEM.", text(kDiscovery, kTls, &ClientTlsFiles::key)},
      {"ttl",
       {Kind::kDuration},
       "A node not heard of for this long is dead; 5s by default, at least 2s.",
       [](DeploymentConfig& config, std::string_view value) {
         config.discovery.ttl = parse_duration(value).ValueOr(config.discovery.ttl);
       }},
      {"stage_hold",
       {Kind::kDuration},
       "How long one node, then a quarter of them, tries a new configuration before the others "
       "take "
       "it; 15s by default, 0s: all at once. The same for all nodes.",
       [](DeploymentConfig& config, std::string_view value) {
         config.discovery.stage_hold = parse_duration(value).ValueOr(config.discovery.stage_hold);
       }},
      {"ack_timeout",
       {Kind::kDuration},
       "How long a node may take to apply or refuse a configuration; 30s by default.",
       [](DeploymentConfig& config, std::string_view value) {
         config.discovery.ack_timeout = parse_duration(value).ValueOr(config.discovery.ack_timeout);
       }},
      {"pools", kText, "Of static: the pools that its nodes serve, by commas.",
       [](DeploymentConfig& config, std::string_view value) {
         config.discovery.pools = split_list(value);
       }},
  };
  return rows;
}

std::span<const DeploymentKey> remote_keys() {
  static constexpr auto kRemote = &DeploymentConfig::remote;
  static constexpr auto kTls = &NodeAccess::tls;
  static const std::vector<DeploymentKey> rows = {
      {"username", kText, "The login name at the nodes.", text(kRemote, &NodeAccess::username)},
      {"password", kText, "Its password, best as ${env:NAME} or ${file:PATH}.",
       text(kRemote, &NodeAccess::password)},
      {"token", kText, "A login token, in place of name and password.",
       text(kRemote, &NodeAccess::token)},
      {"ca", kText, "The authority that signed the nodes' certificates, PEM.",
       text(kRemote, kTls, &ClientTlsFiles::ca)},
      {"certificate", kText, "This process's own certificate, PEM.",
       text(kRemote, kTls, &ClientTlsFiles::certificate)},
      {"key", kText, "Its key, PEM.", text(kRemote, kTls, &ClientTlsFiles::key)},
      {"connect_timeout",
       {Kind::kDuration},
       "Longest time to connect to a node.",
       [](DeploymentConfig& config, std::string_view value) {
         config.remote.connect_timeout =
             parse_duration(value).ValueOr(config.remote.connect_timeout);
       }},
      {"networks", kText,
       "Where nodes may be, as 10.0.0.0/8, fd00::/8. By default everywhere but on loopback (unless "
       "the coordinator is there), link-local and cloud metadata addresses.",
       [](DeploymentConfig& config, std::string_view value) {
         config.remote.networks = split_list(value);
       }},
  };
  return rows;
}

std::span<const DeploymentKey> load_balancer_keys() {
  static const std::vector<DeploymentKey> rows = {
      {"algorithm",
       {Kind::kChoice, 0, 0, kBalanceAlgorithms},
       "How calls are shared among nodes; p2c_ewma by default.",
       [](DeploymentConfig& config, std::string_view value) {
         config.load_balancer = algorithm_named(value);
       }}};
  return rows;
}

std::span<const DeploymentKey> partition_keys() {
  static constexpr auto kDuration = [](Duration PartitionOptions::* field) {
    return [=](DeploymentConfig& config, std::string_view value) {
      config.partition.*field = parse_duration(value).ValueOr(config.partition.*field);
    };
  };
  static constexpr std::string_view kStrategies = "gradual|immediate|manual";
  static const std::vector<DeploymentKey> rows = {
      {"detection_interval",
       {Kind::kDuration},
       "Time between probes of the store or coordinator and of other nodes; 1s by default.",
       kDuration(&PartitionOptions::detection_interval)},
      {"recovery_strategy",
       {Kind::kChoice, 0, 0, kStrategies},
       "How calls come back to nodes that were out of reach; gradual by default.",
       [](DeploymentConfig& config, std::string_view value) {
         const auto names = split_choices(kStrategies);
         const auto at = std::find(names.begin(), names.end(), value) - names.begin();
         config.partition.recovery_strategy = static_cast<RecoveryStrategy>(at);
       }},
      {"local_cache_ttl",
       {Kind::kDuration},
       "Out of touch with the cluster, what was known of it serves all calls for this long, and "
       "reads for four times as long; 300s by default.",
       kDuration(&PartitionOptions::local_cache_ttl)},
  };
  return rows;
}

}  // namespace cenote
