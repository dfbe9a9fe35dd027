// The configuration: ADR-002's YAML as structs. Reading validates everything; an error names file,
// line, key and the nearest known key.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "cenote/deployment.h"
#include "cenote/failover.h"
#include "cenote/partition.h"
#include "cenote/pool.h"
#include "cenote/server.h"

namespace cenote {

enum class DeploymentMode : uint8_t { kStandalone, kCoordinated, kFullDistributed };
std::string_view to_string(
    DeploymentMode mode);  // "standalone", "coordinated", "distributed", as the YAML has it

struct MetricsOptions {
  Duration export_interval = std::chrono::seconds(10);
  std::string prometheus_listen;         // "127.0.0.1:9464"; port 0 picks a free one; empty: off
  bool prometheus_allow_remote = false;  // needed to listen on an address that is not loopback
};

struct DeploymentConfig {
  DeploymentMode mode = DeploymentMode::kStandalone;
  FailoverStrategy failover = LocalOnly{};
  MetricsOptions metrics;
  std::vector<PoolConfig> pools;
  CoordinatorAccess coordinator;  // of mode coordinated
  DiscoveryAccess discovery;      // of mode distributed
  NodeAccess remote;
  PartitionOptions partition;
  LoadBalanceAlgorithm load_balancer = LoadBalanceAlgorithm::kP2cEwma;
  NodeIdentity node;
  ServerOptions server;                         // of a process that serves its pools to others
  CoordinatorServerOptions coordinator_server;  // of a process that is a coordinator
};

// `${env:X}` and `${file:P}` are resolved here. kConfig: "file:line:column: key 'x': what is wrong;
// what to write".
Result<DeploymentConfig> load_config(const std::filesystem::path& file);
// `name` stands for the file in messages.
Result<DeploymentConfig> parse_config(std::string_view yaml, std::string_view name);
// The same checks for a file of another machine, which is kept and shown to others: references are
// left alone, the values they stand for unchecked, and secrets in plain text refused.
Status check_config(std::string_view yaml, std::string_view name);

// One pool from a URL: "sqlite:shop.db", "sqlite::memory:",
// "postgresql://user:pw@host:5432/db?sslmode=require", "mssql://…"; a path without a scheme is an
// SQLite file. Pool options are allowed in the query (max_connections=4).
Result<PoolConfig> pool_from_url(std::string_view url, std::string_view pool_id);

// A pool from flat keys as the original's create_pool passes them (config keys and pool keys side
// by side), validated by the same table as the YAML.
Result<PoolConfig> pool_from_keys(std::string_view pool_id, std::string_view type,
                                  const DriverConfig& keys);

// JSON Schema (draft 2020-12) of the YAML, from the table that validates it.
std::string config_schema();

}  // namespace cenote
