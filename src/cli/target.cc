// Options and configuration into the pool's.
#include "cli/target.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include <CLI/CLI.hpp>

namespace cenote::cli {
namespace {

constexpr const char* kDefaultConfig = "cenote.yaml";

void calm(PoolConfig* config) {
  config->pool.min_connections = 0;
  config->health.interval = Duration::zero();
}

}  // namespace

void Target::add_options(CLI::App& app) {
  CLI::Option* file =
      app.add_option("-c,--config", config, "Configuration file; cenote.yaml here if not given")
          ->type_name("FILE");
  app.add_option("-p,--pool", pool, "Pool of the configuration; needed where it has several")
      ->type_name("ID");
  app.add_option("--url", url,
                 "One database instead of a configuration, as sqlite:shop.db or "
                 "postgresql://user@host/db")
      ->type_name("URL")
      ->excludes(file);
}

Result<DeploymentConfig> Target::deployment() const {
  if (!url.empty()) {
    DeploymentConfig deployment;
    ARROW_ASSIGN_OR_RAISE(PoolConfig one, pool_from_url(url, pool.empty() ? "url" : pool));
    deployment.pools.push_back(std::move(one));
    return deployment;
  }
  std::string file = config;
  if (file.empty()) {
    std::error_code ignored;
    if (!std::filesystem::exists(kDefaultConfig, ignored)) {
      return make_error(ErrorKind::kConfig,
                        "which database? give --url sqlite:shop.db, or -c with a configuration "
                        "file (there is no cenote.yaml here)");
    }
    file = kDefaultConfig;
  }
  ARROW_ASSIGN_OR_RAISE(DeploymentConfig deployment, load_config(file));
  if (deployment.pools.empty() && deployment.mode == DeploymentMode::kStandalone) {
    return make_error(ErrorKind::kConfig,
                      file + ": has no pools; add one below deployment: pools:");
  }
  return deployment;
}

Result<std::vector<PoolConfig>> Target::pools() const {
  ARROW_ASSIGN_OR_RAISE(DeploymentConfig all, deployment());
  return std::move(all.pools);
}

Result<PoolConfig> Target::chosen() const {
  ARROW_ASSIGN_OR_RAISE(std::vector<PoolConfig> all, pools());
  if (pool.empty() && all.size() == 1) return std::move(all.front());
  std::string known;
  for (PoolConfig& each : all) {
    if (each.id == pool) return std::move(each);
    known += (known.empty() ? "" : ", ") + each.id;
  }
  return make_error(ErrorKind::kUnknownPool,
                    pool.empty() ? "which pool? choose one with -p: " + known
                                 : "there is no pool '" + pool + "'; there are: " + known);
}

Result<DeploymentConfig> Target::for_calls(std::string* id) const {
  ARROW_ASSIGN_OR_RAISE(DeploymentConfig all, deployment());
  if (all.mode != DeploymentMode::kStandalone) {
    *id = pool;
    if (pool.empty()) {
      return make_error(ErrorKind::kUnknownPool,
                        "which pool? choose one with -p; 'cenote pools' lists the cluster's");
    }
  } else {
    ARROW_ASSIGN_OR_RAISE(PoolConfig one, chosen());
    *id = one.id;
    // A strategy may need the other pools.
    if (!one.failover && std::holds_alternative<LocalOnly>(all.failover)) {
      all = {};
      all.pools.push_back(std::move(one));
    }
  }
  all.metrics.prometheus_listen.clear();
  for (PoolConfig& each : all.pools) calm(&each);
  return all;
}

Result<std::shared_ptr<LocalPool>> open_for_command(PoolConfig config) {
  calm(&config);
  return LocalPool::open(std::move(config));
}

}  // namespace cenote::cli
