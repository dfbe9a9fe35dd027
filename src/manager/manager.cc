// ADR-002's DistributedPoolManager. This version has the standalone mode: local pools and nothing
// else.
#include "cenote/manager.h"

#include <algorithm>
#include <future>
#include <sstream>
#include <utility>

#include "base/mutex.h"

namespace cenote {

struct DistributedPoolManager::Parts {
  DeploymentMode mode = DeploymentMode::kStandalone;
  FailoverStrategy fallback_strategy_ = LocalOnly{};

  mutable Mutex mutex_;  // guards the list of pools; never held while a pool works
  // Shared: a query in flight outlives the removal of its pool. A vector keeps the order of making;
  // pools are few.
  std::vector<std::shared_ptr<LocalPool>> local_pools_ CENOTE_GUARDED_BY(mutex_);

  std::vector<std::shared_ptr<LocalPool>> pools() const {
    const Lock lock(mutex_);
    return local_pools_;
  }
};

DistributedPoolManager::DistributedPoolManager(std::unique_ptr<Parts> parts)
    : parts_(std::move(parts)) {}
DistributedPoolManager::~DistributedPoolManager() = default;

Result<std::unique_ptr<DistributedPoolManager>> DistributedPoolManager::open(
    DeploymentConfig config) {
  if (config.mode != DeploymentMode::kStandalone) {
    return make_error(ErrorKind::kNotSupported,
                      "mode '" + std::string(to_string(config.mode)) +
                          "' is not in this version; set mode: standalone");
  }
  auto parts = std::make_unique<Parts>();
  parts->mode = config.mode;
  parts->fallback_strategy_ = std::move(config.failover);
  std::unique_ptr<DistributedPoolManager> manager(new DistributedPoolManager(std::move(parts)));
  for (PoolConfig& pool : config.pools) {
    ARROW_RETURN_NOT_OK(manager->create_pool(std::move(pool)));
  }
  return manager;
}

Result<std::unique_ptr<DistributedPoolManager>> DistributedPoolManager::from_yaml(
    const std::filesystem::path& file) {
  ARROW_ASSIGN_OR_RAISE(DeploymentConfig config, load_config(file));
  return open(std::move(config));
}

DeploymentMode DistributedPoolManager::mode() const {
  return parts_->mode;
}

Result<std::shared_ptr<LocalPool>> DistributedPoolManager::create_pool(PoolConfig config) {
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<LocalPool> made, LocalPool::open(std::move(config)));
  const Lock lock(parts_->mutex_);
  for (const auto& pool : parts_->local_pools_) {
    if (pool->id() == made->id()) {
      return make_error(ErrorKind::kConfig, "there is a pool '" + made->id() +
                                                "' already; remove it first or choose another id");
    }
  }
  parts_->local_pools_.push_back(made);
  return made;
}

Result<std::shared_ptr<LocalPool>> DistributedPoolManager::pool(std::string_view id) const {
  std::string known;
  const Lock lock(parts_->mutex_);
  for (const auto& pool : parts_->local_pools_) {
    if (pool->id() == id) return pool;
    known += (known.empty() ? "" : ", ") + pool->id();
  }
  return make_error(ErrorKind::kUnknownPool,
                    "there is no pool '" + std::string(id) + "'; " +
                        (known.empty() ? "none has been created" : "there are: " + known));
}

Status DistributedPoolManager::remove_pool(std::string_view id, Deadline deadline) {
  ARROW_ASSIGN_OR_RAISE(const std::shared_ptr<LocalPool> found, pool(id));
  const Status drained = found->drain(deadline);
  const Lock lock(parts_->mutex_);
  std::erase(parts_->local_pools_, found);
  return drained;
}

std::vector<std::string> DistributedPoolManager::list_pools() const {
  std::vector<std::string> ids;
  for (const auto& pool : parts_->pools()) ids.push_back(pool->id());
  return ids;
}

Result<std::shared_ptr<arrow::Table>> DistributedPoolManager::execute_query(
    std::string_view pool_id, std::string_view sql, const Params& params,
    const QueryOptions& options) {
  ARROW_ASSIGN_OR_RAISE(const std::shared_ptr<LocalPool> found, pool(pool_id));
  return found->execute_query(sql, params, options);
}

std::vector<PoolStatus> DistributedPoolManager::get_status() const {
  std::vector<PoolStatus> all;
  for (const auto& pool : parts_->pools()) all.push_back(pool->get_status());
  return all;
}

std::string DistributedPoolManager::prometheus() const {
  // A family's HELP and TYPE may stand only once, with the samples of all pools below them.
  std::vector<std::pair<std::string, std::string>> families;  // head, samples
  for (const auto& pool : parts_->pools()) {
    std::istringstream text(pool->prometheus());
    size_t family = 0;
    for (std::string line; std::getline(text, line);) {
      line += '\n';
      if (line.starts_with("# HELP")) {
        const auto known = std::find_if(families.begin(), families.end(), [&](const auto& each) {
          return each.first.starts_with(line);
        });
        family = static_cast<size_t>(known - families.begin());
        if (known == families.end()) families.emplace_back(line, "");
      } else if (!line.starts_with("#")) {
        families[family].second += line;
      } else if (families[family].second.empty()) {
        families[family].first += line;
      }
    }
  }
  std::string all;
  for (const auto& [head, samples] : families) all += head + samples;
  return all;
}

std::string DistributedPoolManager::prometheus_address() const {
  return {};
}

Status DistributedPoolManager::drain(Deadline deadline) {
  std::vector<std::future<Status>> drains;
  for (const auto& pool : parts_->pools()) {
    drains.push_back(
        std::async(std::launch::async, [pool, deadline] { return pool->drain(deadline); }));
  }
  Status first;
  for (auto& each : drains) first &= each.get();
  return first;
}

}  // namespace cenote
