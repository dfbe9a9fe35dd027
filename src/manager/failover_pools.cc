// Which pools stand for which ids: endpoints become pools of their own, strategies become groups.
#include <algorithm>
#include <utility>

#include "config/schema.h"
#include "manager/manager_parts.h"

namespace cenote {
namespace {

std::string listed(const std::vector<std::shared_ptr<LocalPool>>& pools) {
  std::string known;
  for (const auto& pool : pools) known += (known.empty() ? "" : ", ") + pool->id();
  return known.empty() ? "there is none" : "there are: " + known;
}

FailoverGroup::Options options_of(std::string id, const FailoverStrategy& how,
                                  const HealthOptions& health) {
  FailoverGroup::Options options;
  options.id = std::move(id);
  options.how = how;
  // A switch within its threshold and two seconds needs a look every second.
  if (health.interval > Duration::zero()) {
    options.interval = std::min<Duration>(health.interval, std::chrono::seconds(1));
  }
  return options;
}

HealthOptions health_of(const FailoverGroup::Member& member) {
  return member.pool == nullptr ? HealthOptions() : member.pool->config().health;
}

// A small read by way of the nodes; whether one of them takes writes, their list says.
std::optional<failover::Sight> look_at_nodes(Router& router, const std::string& pool_id,
                                             const CallContext& context) {
  RoutedCall call{pool_id};
  call.need = route::Need::kRead;
  call.repeatable = true;
  QueryOptions options;
  options.timeout = context.deadline.left();
  options.stop = context.stop;
  options.access = Access::kReadOnly;
  const Status answer = router.run(
      call, options,
      [](flight::RemotePool& pool, const QueryOptions& now, const std::shared_ptr<InFlight>&) {
        return pool.execute_query("select 1", {}, now).status();
      },
      nullptr);
  if (error_kind(answer) == ErrorKind::kUnknownPool) {
    failover::Sight sight;
    sight.condition = failover::Sight::Condition::kDead;
    sight.error = answer.message();
    return sight;
  }
  if (!answer.ok()) return sight_of_failure(answer);
  failover::Sight sight;
  sight.condition = failover::Sight::Condition::kWell;
  const auto targets = router.view().targets(pool_id);
  sight.writable = targets != nullptr && targets->take_writes();
  return sight;
}

// Null: none of `before` is the same.
std::shared_ptr<FailoverGroup> same_of(const std::vector<std::shared_ptr<FailoverGroup>>& before,
                                       std::string_view id, const FailoverStrategy& how,
                                       const std::vector<FailoverGroup::Member>& members) {
  const auto found = std::find_if(before.begin(), before.end(),
                                  [&](const auto& each) { return each->is(id, how, members); });
  return found == before.end() ? nullptr : *found;
}

}  // namespace

Result<std::vector<PoolConfig>> pools_of_endpoints(const PoolConfig& config) {
  ARROW_ASSIGN_OR_RAISE(const Driver* driver, find_driver(config.type));
  const Status valid = check_endpoints(driver->traits(), config.endpoints);
  if (!valid.ok()) {
    return make_error(ErrorKind::kConfig,
                      "pool '" + config.id + "': endpoints: " + valid.message());
  }
  std::vector<PoolConfig> pools;
  for (const std::string& endpoint : config.endpoints) {
    PoolConfig pool = config;
    pool.endpoints.clear();
    pool.failover.reset();
    pool.id = config.id + "@" + endpoint;
    pool.health.interval = Duration::zero();  // its group checks it
    // [::1]:5432 too
    const size_t colon = endpoint.rfind(':');
    const bool has_port = colon != std::string::npos &&
                          endpoint.find(']', colon) == std::string::npos &&
                          (endpoint.find(':') == colon || endpoint.front() == '[');
    std::string host = has_port ? endpoint.substr(0, colon) : endpoint;
    if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
    pool.config["host"] = host;
    if (has_port) pool.config["port"] = endpoint.substr(colon + 1);
    ARROW_RETURN_NOT_OK(check_driver_config(driver->traits(), pool.config));
    pools.push_back(std::move(pool));
  }
  return pools;
}

Result<std::shared_ptr<FailoverGroup>> DistributedPoolManager::Parts::group_of_endpoints(
    const PoolConfig& config, const std::vector<std::shared_ptr<LocalPool>>& pools,
    const Groups& before) const {
  std::vector<FailoverGroup::Member> members;
  for (size_t i = 0; i < pools.size(); ++i) members.push_back({config.endpoints[i], pools[i]});
  const FailoverStrategy strategy = config.failover.value_or(LocalOnly{});
  const FailoverGroup::Options options = options_of(config.id, strategy, config.health);
  if (auto same = same_of(before, config.id, strategy, members)) return same;
  if (const auto* balanced = std::get_if<LoadBalanced>(&strategy)) {
    return balanced_group(std::move(members), options, balanced->algorithm);
  }
  const auto* standby = std::get_if<ActiveStandby>(&strategy);
  return standby_group(std::move(members), options, standby == nullptr ? ActiveStandby() : *standby,
                       epochs_);
}

Result<FailoverGroup::Member> DistributedPoolManager::Parts::member_named(
    const std::string& name, const std::vector<std::shared_ptr<LocalPool>>& pools) const {
  const auto found = std::find_if(pools.begin(), pools.end(),
                                  [&](const auto& pool) { return pool->id() == name; });
  if (found != pools.end()) return FailoverGroup::Member{name, *found};
  if (router_ == nullptr) {
    return make_error(ErrorKind::kConfig,
                      "failover: there is no pool '" + name + "'; " + listed(pools));
  }
  // A stream may keep the group for longer than the manager lives.
  auto look = [name, far = std::weak_ptr<Router>(router_), born = fork_generation()](
                  const CallContext& context) -> std::optional<failover::Sight> {
    const std::shared_ptr<Router> router = born == fork_generation() ? far.lock() : nullptr;
    if (router == nullptr) return std::nullopt;
    return look_at_nodes(*router, name, context);
  };
  return FailoverGroup::Member{name, nullptr, std::move(look)};
}

Result<std::shared_ptr<FailoverGroup>> DistributedPoolManager::Parts::group_of_pools(
    const std::string& id, const FailoverStrategy& strategy,
    const std::vector<std::shared_ptr<LocalPool>>& pools, const Groups& before) const {
  const auto members_named =
      [&](const std::vector<std::string>& names) -> Result<std::vector<FailoverGroup::Member>> {
    std::vector<FailoverGroup::Member> members;
    for (const std::string& name : names) {
      ARROW_ASSIGN_OR_RAISE(members.emplace_back(), member_named(name, pools));
    }
    return members;
  };
  if (const auto* standby = std::get_if<ActiveStandby>(&strategy)) {
    ARROW_ASSIGN_OR_RAISE(auto members, members_named({standby->primary, standby->backup}));
    if (auto same = same_of(before, id, strategy, members)) return same;
    const auto options = options_of(id, strategy, health_of(members.front()));
    return standby_group(std::move(members), options, *standby, epochs_);
  }
  if (const auto* balanced = std::get_if<LoadBalanced>(&strategy)) {
    ARROW_ASSIGN_OR_RAISE(auto members, members_named(balanced->pools));
    if (members.empty()) return make_error(ErrorKind::kConfig, "failover: pools is empty");
    if (auto same = same_of(before, id, strategy, members)) return same;
    const auto options = options_of(id, strategy, health_of(members.front()));
    return balanced_group(std::move(members), options, balanced->algorithm);
  }
  return nullptr;
}

Status DistributedPoolManager::Parts::join_groups(Pools* pools, const Groups& before) const {
  const auto add = [&](const std::string& id, std::shared_ptr<FailoverGroup> group) {
    if (group == nullptr) return;
    pools->groups.push_back(group);
    pools->by_id[id] = std::move(group);
  };
  for (const Endpoints& each : pools->endpoints) add(each.config.id, each.group);
  for (const auto& pool : pools->local) {
    if (!pool->config().failover) continue;
    ARROW_ASSIGN_OR_RAISE(
        auto group, group_of_pools(pool->id(), *pool->config().failover, pools->local, before));
    add(pool->id(), std::move(group));
  }
  std::vector<std::string> ids;
  if (const auto* standby = std::get_if<ActiveStandby>(&fallback_strategy_)) {
    ids = {standby->primary};
  } else if (const auto* balanced = std::get_if<LoadBalanced>(&fallback_strategy_)) {
    ids = balanced->pools;
  }
  if (ids.empty()) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(const auto group,
                        group_of_pools(ids.front(), fallback_strategy_, pools->local, before));
  pools->groups.push_back(group);
  for (const std::string& id : ids) {
    // A pool's own strategy comes first, also if it is local_only.
    const auto pool = std::find_if(pools->local.begin(), pools->local.end(),
                                   [&](const auto& each) { return each->id() == id; });
    if (pool == pools->local.end() || !(*pool)->config().failover) pools->by_id[id] = group;
  }
  return Status::OK();
}

void DistributedPoolManager::Parts::set(Pools pools) {
  std::vector<std::shared_ptr<FailoverGroup>> old;
  const std::vector<std::shared_ptr<FailoverGroup>> groups = pools.groups;
  {
    const Lock lock(mutex_);
    own_groups();
    local_pools_.swap(pools.local);
    endpoints_.swap(pools.endpoints);
    old = std::exchange(groups_, std::move(pools.groups));
    groups_by_id_ = std::move(pools.by_id);
  }
  // Behind the lock: threads are joined.
  for (const auto& group : old) {
    if (std::find(groups.begin(), groups.end(), group) == groups.end()) group->end();
  }
}

Status DistributedPoolManager::Parts::join_all() {
  Pools now;
  {
    const Lock lock(mutex_);
    now.local = local_pools_;
    now.endpoints = endpoints_;
  }
  ARROW_RETURN_NOT_OK(join_groups(&now));
  set(std::move(now));
  return Status::OK();
}

Status DistributedPoolManager::Parts::join(const std::string& id,
                                           const FailoverStrategy& strategy) {
  ARROW_ASSIGN_OR_RAISE(auto group, group_of_pools(id, strategy, pools()));
  if (group == nullptr) return Status::OK();
  const Lock lock(mutex_);
  own_groups();
  groups_.push_back(group);
  groups_by_id_[id] = std::move(group);
  return Status::OK();
}

Result<std::shared_ptr<LocalPool>> DistributedPoolManager::Parts::open_pool(PoolConfig config) {
  // Asked twice: before a pool is opened in vain, and again since opening holds no lock.
  ARROW_RETURN_NOT_OK(check_free(config.id));
  if (!config.endpoints.empty()) return open_endpoints(config);
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<LocalPool> made, LocalPool::open(std::move(config)));
  return add(std::move(made));
}

Result<std::shared_ptr<LocalPool>> DistributedPoolManager::Parts::open_endpoints(
    const PoolConfig& config) {
  ARROW_ASSIGN_OR_RAISE(auto configs, pools_of_endpoints(config));
  Endpoints endpoints{config, {}, nullptr};
  for (PoolConfig& each : configs) {
    ARROW_ASSIGN_OR_RAISE(auto pool, LocalPool::open(std::move(each)));
    endpoints.pools.push_back(std::move(pool));
  }
  ARROW_ASSIGN_OR_RAISE(endpoints.group, group_of_endpoints(config, endpoints.pools));
  auto first = endpoints.pools.front();
  const Lock lock(mutex_);
  own_groups();
  ARROW_RETURN_NOT_OK(check_free_locked(config.id));
  for (const auto& pool : endpoints.pools) local_pools_.push_back(pool);
  groups_.push_back(endpoints.group);
  groups_by_id_[config.id] = endpoints.group;
  endpoints_.push_back(std::move(endpoints));
  return first;
}

Result<std::vector<std::shared_ptr<LocalPool>>> DistributedPoolManager::Parts::take_out(
    std::string_view id) {
  std::shared_ptr<FailoverGroup> ended;  // behind the locks: its threads are joined
  const Lock change(changing());
  Lock lock(mutex_);
  own_groups();
  std::vector<std::shared_ptr<LocalPool>> pools;
  const auto endpoints = std::find_if(endpoints_.begin(), endpoints_.end(),
                                      [&](const Endpoints& each) { return each.config.id == id; });
  if (endpoints != endpoints_.end()) {
    pools = endpoints->pools;
  } else {
    for (const auto& pool : local_pools_) {
      if (pool->id() == id) pools = {pool};
    }
  }
  const auto own = groups_by_id_.find(id);
  if (own != groups_by_id_.end()) ended = own->second;
  for (const auto& group : groups_) {
    if (group == ended) continue;
    for (const FailoverGroup::Member& member : group->members()) {
      if (std::find(pools.begin(), pools.end(), member.pool) == pools.end()) continue;
      return make_error(ErrorKind::kConfig, "pool '" + std::string(id) +
                                                "' is a failover target of pool '" + group->id() +
                                                "'; remove that first");
    }
  }
  if (pools.empty()) {
    lock.unlock();
    return unknown(id);
  }
  for (const auto& pool : pools) std::erase(local_pools_, pool);
  leaving_.insert(leaving_.end(), pools.begin(), pools.end());
  std::erase_if(groups_by_id_, [&](const auto& each) { return each.second == ended; });
  std::erase(groups_, ended);
  if (endpoints != endpoints_.end()) endpoints_.erase(endpoints);
  lock.unlock();
  if (ended != nullptr) ended->end();
  return pools;
}

void DistributedPoolManager::Parts::leave_groups_to_parent() {
  groups_born_ = fork_generation();
  (void)changing_.release();  // another thread of the parent may hold it
  changing_ = std::make_unique<Mutex>();
  // Destroying them would wait for threads that are not here.
  auto left = std::make_unique<std::vector<std::shared_ptr<FailoverGroup>>>(std::move(groups_));
  (void)left.release();
  groups_.clear();
  groups_by_id_.clear();
  for (Endpoints& each : endpoints_) each.group.reset();
  if (!epochs_.shared) return;
  // The connection to the store is the parent's.
  auto epochs = std::make_unique<Epochs>(std::move(epochs_));
  epochs_ = {};
  epochs_.shared = true;
  (void)epochs.release();
}

void DistributedPoolManager::Parts::renew_groups() {
  leave_groups_to_parent();
  Pools now;
  now.local = local_pools_;
  now.endpoints = endpoints_;
  // All of this was made once already, from the same configuration.
  if (epochs_.store == nullptr) {
    if (auto epochs = open_epochs_(); epochs.ok()) epochs_ = std::move(*epochs);
  }
  for (Endpoints& each : now.endpoints) {
    if (auto group = group_of_endpoints(each.config, each.pools); group.ok()) each.group = *group;
  }
  if (!join_groups(&now).ok()) return;
  endpoints_ = std::move(now.endpoints);
  groups_ = std::move(now.groups);
  groups_by_id_ = std::move(now.by_id);
}

std::shared_ptr<FailoverGroup> DistributedPoolManager::Parts::group(std::string_view id) {
  const Lock lock(mutex_);
  own_groups();
  const auto found = groups_by_id_.find(id);
  return found == groups_by_id_.end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<FailoverGroup>> DistributedPoolManager::Parts::groups() {
  const Lock lock(mutex_);
  own_groups();
  return groups_;
}

bool DistributedPoolManager::has_failover(std::string_view pool_id) const {
  const auto group = parts_->group(pool_id);
  return group != nullptr &&
         std::all_of(group->members().begin(), group->members().end(),
                     [](const FailoverGroup::Member& each) { return each.pool != nullptr; });
}

std::vector<FailoverStatus> DistributedPoolManager::failover_status() const {
  std::vector<FailoverStatus> all;
  for (const auto& group : parts_->groups()) all.push_back(group->status());
  return all;
}

Result<std::string> DistributedPoolManager::failover(std::string_view pool_id, std::string_view to,
                                                     bool dry_run) {
  const auto group = parts_->group(pool_id);
  if (group != nullptr) return group->switch_to(to, dry_run);
  std::string known;
  for (const auto& each : parts_->groups()) known += (known.empty() ? "" : ", ") + each->id();
  return make_error(ErrorKind::kUnknownPool,
                    "no failover strategy stands for the pool '" + std::string(pool_id) + "'; " +
                        (known.empty() ? "there is none in this process: give the pool endpoints, "
                                         "or a failover: section"
                                       : "there are: " + known));
}

}  // namespace cenote
