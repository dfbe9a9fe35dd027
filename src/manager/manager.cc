// ADR-002's DistributedPoolManager: the process's own pools, and in the other modes the way to the
// nodes'.
#include "cenote/manager.h"

#include <algorithm>
#include <array>
#include <future>
#include <utility>

#include "manager/coordinator_options.h"
#include "manager/exposition.h"
#include "manager/manager_parts.h"
#include "manager/open_discovery.h"

namespace cenote {

Status DistributedPoolManager::Parts::serve_metrics(const MetricsOptions& options) {
  if (options.prometheus_listen.empty()) return Status::OK();
  HttpServerOptions server;
  server.listen = options.prometheus_listen;
  server.allow_remote = options.prometheus_allow_remote;
  const auto metrics = [this](const HttpRequest&) {
    return HttpResponse{200, kPrometheusText, exposition()};
  };
  // Whether this process answers. A database that is down is no reason to restart it.
  const auto alive = [](const HttpRequest&) { return HttpResponse{.body = "ok\n"}; };
  auto started = HttpServer::start(server, {{"/metrics", metrics}, {"/healthz", alive}});
  if (!started.ok()) {
    return make_error(ErrorKind::kConfig,
                      "metrics.prometheus.listen: " + started.status().message());
  }
  prometheus_ = std::move(*started);
  return Status::OK();
}

namespace {

// Whether the nodes' list is kept on this machine, as where one tries things out: then nodes may be
// here too.
bool beside_us(const DeploymentConfig& config) {
  constexpr std::array<std::string_view, 2> kSchemes = {"http", "https"};
  const bool coordinated = config.mode == DeploymentMode::kCoordinated;
  const auto& endpoints = coordinated ? config.coordinator.endpoints : config.discovery.endpoints;
  return std::any_of(endpoints.begin(), endpoints.end(), [&](const std::string& endpoint) {
    const bool url = endpoint.find("://") != std::string::npos;
    const Result<Place> place = parse_place(url ? endpoint : "http://" + endpoint, kSchemes);
    return place.ok() && is_loopback(*place);
  });
}

Status check_partition(const PartitionOptions& options) {
  const auto wrong = [](const std::string& what) {
    return make_error(ErrorKind::kConfig, "partition." + what);
  };
  if (options.detection_interval < std::chrono::milliseconds(200) ||
      options.detection_interval > std::chrono::minutes(1)) {
    return wrong("detection_interval must be from 200ms to 60s");
  }
  if (options.local_cache_ttl <= Duration::zero()) return wrong("local_cache_ttl must be above 0");
  return Status::OK();
}

Result<std::unique_ptr<Router>> open_router(const DeploymentConfig& config,
                                            std::function<std::optional<bool>()> databases) {
  ARROW_RETURN_NOT_OK(check_partition(config.partition));
  Result<Reach> reach = Reach::make(config.remote.networks, beside_us(config));
  if (!reach.ok()) {
    return make_error(ErrorKind::kConfig, "remote.networks: " + reach.status().message());
  }
  const std::string& self = config.node.id.empty() ? config.server.node_id : config.node.id;
  ARROW_ASSIGN_OR_RAISE(OpenedDiscovery discovery, open_discovery(config, self));
  return Router::open(std::move(discovery.service),
                      {config.remote, std::move(*reach), config.load_balancer,
                       std::move(discovery.kind), std::move(discovery.source), config.node.zone,
                       config.partition, self, std::move(databases)});
}

bool same(const PoolConfig& a, const PoolConfig& b) {
  return a.id == b.id && a.type == b.type && a.config == b.config && a.pool == b.pool &&
         a.health == b.health && a.endpoints == b.endpoints && a.failover == b.failover &&
         !a.credentials && !b.credentials;
}

}  // namespace

DistributedPoolManager::DistributedPoolManager(std::unique_ptr<Parts> parts)
    : parts_(std::move(parts)) {}
DistributedPoolManager::~DistributedPoolManager() = default;

Result<std::unique_ptr<DistributedPoolManager>> DistributedPoolManager::open(
    DeploymentConfig config) {
  auto parts = std::make_unique<Parts>();
  parts->mode = config.mode;
  parts->fallback_strategy_ = std::move(config.failover);
  DeploymentConfig meeting;
  meeting.mode = config.mode;
  meeting.discovery = config.discovery;
  meeting.node = config.node;
  meeting.server.node_id = config.server.node_id;
  parts->open_epochs_ = [meeting = std::move(meeting)] { return open_epochs(meeting); };
  ARROW_ASSIGN_OR_RAISE(parts->epochs_, parts->open_epochs_());
  std::unique_ptr<DistributedPoolManager> manager(new DistributedPoolManager(std::move(parts)));
  for (PoolConfig& pool : config.pools) {
    ARROW_RETURN_NOT_OK(manager->parts_->open_pool(std::move(pool)));
  }
  if (config.mode != DeploymentMode::kStandalone) {
    {
      const Lock lock(manager->parts_->back_->mutex);
      manager->parts_->back_->parts = manager->parts_.get();
    }
    const auto databases = [back = manager->parts_->back_]() -> std::optional<bool> {
      const Lock lock(back->mutex);
      if (back->parts == nullptr) return std::nullopt;
      return back->parts->database_answers();
    };
    ARROW_ASSIGN_OR_RAISE(manager->parts_->router_, open_router(config, databases));
  }
  ARROW_RETURN_NOT_OK(manager->parts_->join_all());
  if (config.mode == DeploymentMode::kCoordinated) {
    ARROW_ASSIGN_OR_RAISE(auto aggregator, discovery::coordinator_metrics(coordinator_options(
                                               config.coordinator, config.metrics)));
    manager->parts_->distributed_metrics_ = std::make_unique<DistributedMetrics>(
        [parts = manager->parts_.get()] {
          cluster::MetricsReport report{1, parts->router_->samples()};
          for (auto& sample : parts->failover_samples())
            report.samples.push_back(std::move(sample));
          return report;
        },
        std::move(aggregator), config.metrics.export_interval);
  }
  ARROW_RETURN_NOT_OK(manager->parts_->serve_metrics(config.metrics));
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
  const bool joins = config.endpoints.empty() && config.failover.has_value();
  const std::string id = config.id;
  std::shared_ptr<LocalPool> made;
  Status joined;
  {
    const Lock change(parts_->changing());
    ARROW_ASSIGN_OR_RAISE(made, parts_->open_pool(std::move(config)));
    if (joins) joined = parts_->join(id, *made->config().failover);
  }
  if (joined.ok()) return made;
  (void)remove_pool(id, Deadline::in({}));
  return joined;
}

Result<std::shared_ptr<LocalPool>> DistributedPoolManager::pool(std::string_view id) const {
  if (const auto group = parts_->group(id)) {
    const FailoverGroup::Member& active = group->members()[group->current()];
    if (active.pool != nullptr) return active.pool;
    return make_error(ErrorKind::kNotSupported, "pool '" + std::string(id) +
                                                    "': its calls go to '" + active.name +
                                                    "' on other nodes at present");
  }
  if (auto found = parts_->find(id)) return found;
  return parts_->unknown(id);
}

Status DistributedPoolManager::Parts::unknown(std::string_view id) const {
  const std::string pool = "pool '" + std::string(id) + "'";
  if (left_behind()) return make_error(ErrorKind::kInterface, pool + ": " + kLeftBehind);
  if (router() != nullptr && router()->view().targets(id) != nullptr) {
    return make_error(ErrorKind::kUnknownPool,
                      pool + " is not this process's own: nodes serve it (" +
                          router()->view().explain(id) +
                          "), so calls by its id go there; to remove or change it, change their "
                          "configuration");
  }
  std::string known;
  for (const std::string& each : known_ids()) known += (known.empty() ? "" : ", ") + each;
  return make_error(ErrorKind::kUnknownPool,
                    "there is no " + pool + "; " +
                        (known.empty() ? "none has been created" : "there are: " + known));
}

void DistributedPoolManager::Parts::retire(std::vector<std::shared_ptr<LocalPool>> pools,
                                           Deadline deadline) {
  if (pools.empty()) return;
  const Lock lock(mutex_);
  std::erase_if(retiring_, [](const std::future<void>& each) {
    return each.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  });
  retiring_.push_back(std::async(std::launch::async, [pools = std::move(pools), deadline] {
    for (const auto& pool : pools) (void)pool->drain(deadline);
  }));
}

Status DistributedPoolManager::replace_pools(std::vector<PoolConfig> pools, Deadline deadline) {
  const Lock change(parts_->changing());
  const std::vector<std::shared_ptr<LocalPool>> before = parts_->pools();
  const Parts::Groups groups = parts_->groups();
  Parts::Pools after;
  const auto keep_or_open = [&](PoolConfig config) -> Result<std::shared_ptr<LocalPool>> {
    const auto known = std::find_if(
        before.begin(), before.end(),
        [&](const std::shared_ptr<LocalPool>& pool) { return same(pool->config(), config); });
    if (known != before.end()) return *known;
    return LocalPool::open(std::move(config));
  };
  for (PoolConfig& config : pools) {
    if (config.endpoints.empty()) {
      ARROW_ASSIGN_OR_RAISE(auto pool, keep_or_open(std::move(config)));
      after.local.push_back(std::move(pool));
      continue;
    }
    Parts::Endpoints endpoints{std::move(config), {}, nullptr};
    ARROW_ASSIGN_OR_RAISE(auto members, pools_of_endpoints(endpoints.config));
    for (PoolConfig& member : members) {
      ARROW_ASSIGN_OR_RAISE(auto pool, keep_or_open(std::move(member)));
      endpoints.pools.push_back(pool);
      after.local.push_back(std::move(pool));
    }
    ARROW_ASSIGN_OR_RAISE(endpoints.group,
                          parts_->group_of_endpoints(endpoints.config, endpoints.pools, groups));
    after.endpoints.push_back(std::move(endpoints));
  }
  ARROW_RETURN_NOT_OK(parts_->join_groups(&after, groups));
  std::vector<std::shared_ptr<LocalPool>> gone;
  for (const auto& pool : before) {
    if (std::find(after.local.begin(), after.local.end(), pool) == after.local.end()) {
      gone.push_back(pool);
    }
  }
  parts_->set(std::move(after));
  parts_->retire(std::move(gone), deadline);
  return Status::OK();
}

Status DistributedPoolManager::remove_pool(std::string_view id, Deadline deadline) {
  ARROW_ASSIGN_OR_RAISE(const auto removed, parts_->take_out(id));
  Status first;
  for (const auto& pool : removed) first &= pool->drain(deadline);
  const Lock lock(parts_->mutex_);
  for (const auto& pool : removed) std::erase(parts_->leaving_, pool);
  return first;
}

std::vector<std::string> DistributedPoolManager::Parts::known_ids() const {
  const Lock lock(mutex_);
  std::vector<std::string> ids;
  for (const auto& pool : local_pools_) {
    std::string id = known_as(pool);
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(std::move(id));
  }
  return ids;
}

std::vector<std::string> DistributedPoolManager::list_pools() const {
  return parts_->known_ids();
}

void DistributedPoolManager::expect_node(std::string_view node_id, uint64_t term,
                                         uint64_t revision) {
  if (parts_->router_ != nullptr) parts_->router_->expect_node(node_id, term, revision);
}

Status DistributedPoolManager::recover() {
  if (Router* router = parts_->router()) return router->recover();
  return make_error(ErrorKind::kInterface,
                    "there is nothing to recover from: this process is in no cluster");
}

std::vector<PoolStatus> DistributedPoolManager::get_status() const {
  std::vector<PoolStatus> all;
  for (const std::string& id : list_pools()) {
    const auto own = parts_->find(id);
    const auto found = own != nullptr ? Result<std::shared_ptr<LocalPool>>(own) : pool(id);
    if (!found.ok()) continue;  // removed meanwhile
    all.push_back((*found)->get_status());
    all.back().id = id;
  }
  return all;
}

std::string DistributedPoolManager::prometheus() const {
  return parts_->exposition();
}

std::string DistributedPoolManager::prometheus_address() const {
  return parts_->prometheus_ == nullptr ? "" : parts_->prometheus_->address();
}

Status DistributedPoolManager::drain(Deadline deadline) {
  std::vector<std::future<Status>> drains;
  for (const auto& pool : parts_->open_pools()) {
    drains.push_back(
        std::async(std::launch::async, [pool, deadline] { return pool->drain(deadline); }));
  }
  Status first;
  for (auto& each : drains) first &= each.get();
  return first;
}

}  // namespace cenote
