// The one table of the configuration: what keys there are, what their values may be, bound to
// fields. The validator, the JSON Schema and the reference page all follow it.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cenote/config.h"

#include "config/value.h"

namespace cenote {

// One key of a section that fills a Target.
template <typename Target>
struct KeyRow {
  std::string_view name;
  ValueRule rule;
  std::string_view doc;
  // Stores text that has passed the rule. Empty: the key is known, but nothing of this version
  // needs it.
  std::function<void(Target&, std::string_view)> store;
  // A key of the original's create_pool that means this one; or empty.
  std::string_view original = "";
};
using PoolKey = KeyRow<PoolConfig>;
using DeploymentKey = KeyRow<DeploymentConfig>;

std::span<const PoolKey> pool_keys();    // of a pool's `pool:`
std::span<const PoolKey> health_keys();  // of a pool's `health:`

// Of the sections that clusters need (deployment_keys.cc).
std::span<const DeploymentKey> node_keys();
std::span<const DeploymentKey> coordinator_keys();
std::span<const DeploymentKey> discovery_keys();
std::span<const DeploymentKey> remote_keys();
std::span<const DeploymentKey> load_balancer_keys();
std::span<const DeploymentKey> partition_keys();
inline constexpr std::string_view kBalanceAlgorithms =
    "round_robin|least_connections|weighted_round_robin|random|p2c_ewma";
LoadBalanceAlgorithm algorithm_named(std::string_view name);
// Of the other keys of a `failover:` section, which have passed their rules.
FailoverStrategy make_strategy(std::string_view name,
                               const std::map<std::string, std::string, std::less<>>& keys,
                               std::vector<std::string> pools);
std::vector<std::string> split_list(std::string_view list);  // by commas, blanks around them off

// A section of `deployment:`, with sections of its own.
struct Section {
  std::string_view name;
  std::string_view doc;
  std::span<const DeploymentKey> keys;
  std::span<const Section> sections;
  std::string_view list = {};  // a key whose value the reader reads itself; or empty
};
std::span<const Section> deployment_sections();          // all but `mode` and `pools`
const Section& failover_section();                       // a pool may have one too
const Section& server_section();                         // `server:`, beside `deployment:`
std::span<const KeyRow<ServerUser>> user_keys();         // of each of `server.users`
const Section& coordinator_section();                    // `coordinator:`, beside them
std::span<const KeyRow<CoordinatorToken>> token_keys();  // of each of `coordinator.tokens`

const PoolKey* find_key(std::span<const PoolKey> rows, std::string_view name);
// By the name in the original's flat keys.
const PoolKey* find_original(std::string_view name);
// The original's keys that are accepted and mean nothing here, with the reason.
std::span<const std::string_view> ignored_originals();
bool is_ignored_original(std::string_view name);

ValueRule rule_of(const OptionSpec& option);
const OptionSpec* find_option(const DriverTraits& traits, std::string_view name);
// Whether a pool of it may have `endpoints`.
bool has_endpoints(const DriverTraits& traits);
// Each must be host or host:port, and given once.
Status check_endpoints(const DriverTraits& traits, const std::vector<std::string>& endpoints);

// Checks a driver's `config:` against its table: unknown keys, values, required ones. `near` are
// keys that may have been meant though they are not the driver's.
Status check_driver_config(const DriverTraits& traits, const DriverConfig& config,
                           const std::vector<std::string_view>& near = {});
// One key of it; `shown` stands for the value in messages.
Status check_driver_key(const DriverTraits& traits, std::string_view key, std::string_view value,
                        std::string_view shown, const std::vector<std::string_view>& near);
Status check_required(const DriverTraits& traits, const DriverConfig& config);

}  // namespace cenote
