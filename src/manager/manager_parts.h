// What a DistributedPoolManager is made of.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cenote/manager.h"

#include "base/fork.h"
#include "base/mutex.h"
#include "manager/distributed_metrics.h"
#include "manager/exposition.h"
#include "manager/failover_group.h"
#include "manager/route_metrics.h"
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

  // One change of the list of pools at a time: a reload and a roll-out may come together. Held
  // while pools open, never while one drains; no call waits for it. Taken before mutex_.
  std::unique_ptr<Mutex> changing_ = std::make_unique<Mutex>();
  // A forked child's is its own: nobody there would let go of its parent's.
  Mutex& changing() {
    const Lock lock(mutex_);
    own_groups();
    return *changing_;
  }
  mutable Mutex mutex_;  // guards the list of pools; never held while a pool works
  // Shared: a query in flight outlives the removal of its pool. A vector keeps the order of making;
  // pools are few.
  std::vector<std::shared_ptr<LocalPool>> local_pools_ CENOTE_GUARDED_BY(mutex_);
  // Those that drain because they are removed: no call goes there, but their ids are taken.
  std::vector<std::shared_ptr<LocalPool>> leaving_ CENOTE_GUARDED_BY(mutex_);

  // A pool with several endpoints, each of which is in local_pools_ as "id@endpoint".
  struct Endpoints {
    PoolConfig config;
    std::vector<std::shared_ptr<LocalPool>> pools;
    std::shared_ptr<FailoverGroup> group;
  };
  using Groups = std::vector<std::shared_ptr<FailoverGroup>>;
  using GroupsById = std::map<std::string, std::shared_ptr<FailoverGroup>, std::less<>>;
  struct Pools {
    std::vector<std::shared_ptr<LocalPool>> local;
    std::vector<Endpoints> endpoints;
    std::vector<std::shared_ptr<FailoverGroup>> groups;
    GroupsById by_id;
  };
  std::vector<Endpoints> endpoints_ CENOTE_GUARDED_BY(mutex_);
  // Those of the endpoints, and of the strategies; several ids may stand for one group.
  std::vector<std::shared_ptr<FailoverGroup>> groups_ CENOTE_GUARDED_BY(mutex_);
  GroupsById groups_by_id_ CENOTE_GUARDED_BY(mutex_);
  uint64_t groups_born_ CENOTE_GUARDED_BY(mutex_) = fork_generation();
  std::function<Result<Epochs>()> open_epochs_;
  Epochs epochs_;

  // Drains of pools that were replaced; joined at the end.
  std::vector<std::future<void>> retiring_ CENOTE_GUARDED_BY(mutex_);

  const uint64_t born_ = fork_generation();
  std::shared_ptr<Router> router_;                           // null in mode standalone
  std::unique_ptr<DistributedMetrics> distributed_metrics_;  // of the router
  // The way back here of the router, which a check that is under way may keep for a little longer.
  struct Back {
    Mutex mutex;  // guards the pointer; held while it is used
    const Parts* parts CENOTE_GUARDED_BY(mutex) = nullptr;
  };
  std::shared_ptr<Back> back_ = std::make_shared<Back>();

  ~Parts() {
    if (router() != nullptr) {
      const Lock lock(back_->mutex);
      back_->parts = nullptr;
    }
    {
      const Lock lock(mutex_);
      if (groups_born_ != fork_generation()) leave_groups_to_parent();
    }
    // The parent's: its threads are not here, and its sockets not ours to close.
    if (!left_behind()) return;
    (void)distributed_metrics_.release();
    (void)std::make_unique<std::shared_ptr<Router>>(std::move(router_)).release();
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
  // With those that are being removed.
  std::vector<std::shared_ptr<LocalPool>> open_pools() const {
    const Lock lock(mutex_);
    std::vector<std::shared_ptr<LocalPool>> all = local_pools_;
    all.insert(all.end(), leaving_.begin(), leaving_.end());
    return all;
  }

  Status check_free(const std::string& id) const {
    const Lock lock(mutex_);
    return check_free_locked(id);
  }

  Status check_free_locked(const std::string& id) const CENOTE_REQUIRES(mutex_) {
    const auto has_id = [&](const std::shared_ptr<LocalPool>& each) { return each->id() == id; };
    const bool taken = std::any_of(local_pools_.begin(), local_pools_.end(), has_id) ||
                       std::any_of(leaving_.begin(), leaving_.end(), has_id) ||
                       std::any_of(endpoints_.begin(), endpoints_.end(),
                                   [&](const Endpoints& each) { return each.config.id == id; });
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

  std::string exposition() {
    std::vector<std::string> texts;
    for (const auto& pool : open_pools()) texts.push_back(pool->prometheus());
    texts.push_back(cluster::prometheus_text(failover_samples(), route_metrics_help()));
    if (router() != nullptr) texts.push_back(router()->exposition());
    return merge_expositions(texts);
  }

  std::vector<cluster::MetricSample> failover_samples() {
    std::vector<cluster::MetricSample> all;
    for (const auto& group : groups()) {
      for (cluster::MetricSample& sample : group->samples()) all.push_back(std::move(sample));
    }
    return all;
  }
  // Null: no strategy stands for that id.
  std::shared_ptr<FailoverGroup> group(std::string_view id);
  Groups groups();
  // A forked child makes groups of its own on first use.
  void own_groups() CENOTE_REQUIRES(mutex_) {
    if (groups_born_ != fork_generation()) renew_groups();
  }
  void renew_groups() CENOTE_REQUIRES(mutex_);
  void leave_groups_to_parent() CENOTE_REQUIRES(mutex_);
  // The pool, or the nodes' pool where this process has none of that name.
  Result<FailoverGroup::Member> member_named(
      const std::string& name, const std::vector<std::shared_ptr<LocalPool>>& pools) const;
  // `before`: groups that go on if they are the same, with what they know.
  Result<std::shared_ptr<FailoverGroup>> group_of_endpoints(
      const PoolConfig& config, const std::vector<std::shared_ptr<LocalPool>>& pools,
      const Groups& before = {}) const;
  // Null for local_only.
  Result<std::shared_ptr<FailoverGroup>> group_of_pools(
      const std::string& id, const FailoverStrategy& strategy,
      const std::vector<std::shared_ptr<LocalPool>>& pools, const Groups& before = {}) const;
  // Fills in the groups: those of the endpoints, and all that strategies ask for.
  Status join_groups(Pools* pools, const Groups& before = {}) const;
  // The same for the pools that are; of one more strategy.
  Status join_all();
  Status join(const std::string& id, const FailoverStrategy& strategy);
  void set(Pools pools);
  // The pools behind an id, which no group uses any more; refused for one that another needs.
  Result<std::vector<std::shared_ptr<LocalPool>>> take_out(std::string_view id);
  // There is none of that id here: which there are, or which nodes serve it.
  Status unknown(std::string_view id) const;
  // As callers know them, in the order of their making.
  std::vector<std::string> known_ids() const;
  // Opens it, with its endpoints if it has some, but joins no strategy.
  Result<std::shared_ptr<LocalPool>> open_pool(PoolConfig config);
  Result<std::shared_ptr<LocalPool>> open_endpoints(const PoolConfig& config);
  // Of the id by which callers know it: an endpoint's pool goes by that of its database.
  std::string known_as(const std::shared_ptr<LocalPool>& pool) const CENOTE_REQUIRES(mutex_) {
    for (const Endpoints& each : endpoints_) {
      if (std::find(each.pools.begin(), each.pools.end(), pool) != each.pools.end()) {
        return each.config.id;
      }
    }
    return pool->id();
  }
  // Whether one of the own pools' databases is not down; none: there is no pool.
  std::optional<bool> database_answers() const {
    const auto all = pools();
    if (all.empty()) return std::nullopt;
    return std::any_of(all.begin(), all.end(), [](const std::shared_ptr<LocalPool>& each) {
      return each->get_status().health != HealthState::kDown;
    });
  }

  // Where the calls to an id begin.
  struct Home {
    std::shared_ptr<FailoverGroup> group;  // then nothing else
    std::shared_ptr<LocalPool> own;
    Router* router = nullptr;

    // Whether a call may go to more than one place.
    bool several() const { return group != nullptr || router != nullptr; }
    bool operator==(const Home&) const = default;
  };
  Home home(std::string_view id) { return {group(id), find(id), router()}; }

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
