// What a DistributedPoolManager is made of.
#pragma once

#include <algorithm>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cenote/manager.h"

#include "base/fork.h"
#include "base/mutex.h"
#include "manager/distributed_metrics.h"
#include "manager/exposition.h"
#include "manager/router.h"
#include "net/http_server.h"

namespace cenote {

// Of a forked child, for its user.
inline constexpr const char* kLeftBehind =
    "this process was forked from one that had joined the cluster, whose connections to nodes stay "
    "with it: fork before the first call and make the manager in each child, or start workers anew "
    "(multiprocessing's spawn)";

struct DistributedPoolManager::Parts {
  DeploymentMode mode = DeploymentMode::kStandalone;
  FailoverStrategy fallback_strategy_ = LocalOnly{};

  mutable Mutex mutex_;  // guards the list of pools; never held while a pool works
  // Shared: a query in flight outlives the removal of its pool. A vector keeps the order of making;
  // pools are few.
  std::vector<std::shared_ptr<LocalPool>> local_pools_ CENOTE_GUARDED_BY(mutex_);

  // Drains of pools that were replaced; joined at the end.
  std::vector<std::future<void>> retiring_ CENOTE_GUARDED_BY(mutex_);

  const uint64_t born_ = fork_generation();
  std::unique_ptr<Router> router_;                           // null in mode standalone
  std::unique_ptr<DistributedMetrics> distributed_metrics_;  // of the router

  ~Parts() {
    // The parent's: its threads are not here, and its sockets not ours to close.
    if (!left_behind()) return;
    (void)distributed_metrics_.release();
    (void)router_.release();
  }
  // A forked child has not joined the cluster that its parent is in.
  bool left_behind() const { return router_ != nullptr && born_ != fork_generation(); }
  // Null where calls stay in this process.
  Router* router() const { return left_behind() ? nullptr : router_.get(); }

  // Last, so that it stops before what it reads dies. Null: off.
  std::unique_ptr<HttpServer> prometheus_;

  std::vector<std::shared_ptr<LocalPool>> pools() const {
    const Lock lock(mutex_);
    return local_pools_;
  }

  Status check_free(const std::string& id) const {
    const Lock lock(mutex_);
    return check_free_locked(id);
  }

  Status check_free_locked(const std::string& id) const CENOTE_REQUIRES(mutex_) {
    const bool taken =
        std::any_of(local_pools_.begin(), local_pools_.end(),
                    [&](const std::shared_ptr<LocalPool>& each) { return each->id() == id; });
    if (!taken) return Status::OK();
    return make_error(ErrorKind::kConfig,
                      "there is a pool '" + id + "' already; remove it first or choose another id");
  }

  Result<std::shared_ptr<LocalPool>> add(std::shared_ptr<LocalPool> pool) {
    const Lock lock(mutex_);
    ARROW_RETURN_NOT_OK(check_free_locked(pool->id()));
    local_pools_.push_back(pool);
    return pool;
  }

  std::string exposition() const {
    std::vector<std::string> texts;
    for (const auto& pool : pools()) texts.push_back(pool->prometheus());
    if (router() != nullptr) texts.push_back(router()->exposition());
    return merge_expositions(texts);
  }

  // Whether one of the own pools' databases is not down; none: there is no pool.
  std::optional<bool> database_answers() const {
    const auto all = pools();
    if (all.empty()) return std::nullopt;
    return std::any_of(all.begin(), all.end(), [](const std::shared_ptr<LocalPool>& each) {
      return each->get_status().health != HealthState::kDown;
    });
  }

  // Null: none of that id.
  std::shared_ptr<LocalPool> find(std::string_view id) const {
    const Lock lock(mutex_);
    for (const auto& pool : local_pools_) {
      if (pool->id() == id) return pool;
    }
    return nullptr;
  }

  // Drains, in the background, pools that are in the list no more.
  void retire(std::vector<std::shared_ptr<LocalPool>> pools, Deadline deadline);

  Status serve_metrics(const MetricsOptions& options);
};

}  // namespace cenote
