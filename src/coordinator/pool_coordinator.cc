// Nodes and advice: what is soft, in memory first.
#include "coordinator/pool_coordinator.h"

#include <algorithm>
#include <random>
#include <utility>

#include "base/log.h"
#include "cluster/wire.h"

namespace cenote::coordinator {
namespace {

constexpr size_t kRanked = 3;
constexpr size_t kMostClients = 10'000;
constexpr size_t kMostOddMetrics = 1'000;  // whose names are remembered
constexpr Duration kClientSilence = std::chrono::minutes(3);
// What this process counts itself. A node's name has no blank.
constexpr const char* kOwn = "the coordinator";

std::string client_name(std::string_view id) {
  return "client " + std::string(id);
}

std::string node_key(std::string_view id) {
  return "nodes/" + std::string(id);
}

uint64_t random_bits() {
  thread_local std::mt19937_64 random{std::random_device{}()};
  return random();
}

}  // namespace

PoolCoordinator::PoolCoordinator(Options options, std::unique_ptr<Store> store)
    : options_(std::move(options)),
      store_(std::move(store)),
      load_balancer_(route::least_connections()) {}

PoolCoordinator::~PoolCoordinator() = default;

Result<std::unique_ptr<PoolCoordinator>> PoolCoordinator::open(Options options,
                                                               std::unique_ptr<Store> store,
                                                               const CallContext& context) {
  std::unique_ptr<PoolCoordinator> made(new PoolCoordinator(std::move(options), std::move(store)));
  ARROW_RETURN_NOT_OK(made->restore(context));
  return made;
}

Result<std::vector<cluster::NodeRecord>> PoolCoordinator::stored_nodes(const CallContext& context) {
  ARROW_ASSIGN_OR_RAISE(const std::vector<Item> items, store_->list(context, "nodes/"));
  std::vector<cluster::NodeRecord> nodes;
  for (const Item& item : items) {
    ARROW_ASSIGN_OR_RAISE(const Json value, parse_json(item.value));
    ARROW_ASSIGN_OR_RAISE(cluster::NodeRecord record, cluster::node_record_from(value));
    nodes.push_back(std::move(record));
  }
  return nodes;
}

Status PoolCoordinator::restore(const CallContext& context) {
  const TurnLock changes(changes_, context.deadline);
  ARROW_RETURN_NOT_OK(changes.status());
  ARROW_ASSIGN_OR_RAISE(audit_, Audit::load(context, *store_));
  ARROW_RETURN_NOT_OK(restore_tokens(context));
  ARROW_RETURN_NOT_OK(load_scopes(context));
  ARROW_ASSIGN_OR_RAISE(const std::vector<cluster::NodeRecord> nodes, stored_nodes(context));
  const Lock state(state_);
  registry_ = std::make_unique<cluster::ServiceRegistry>(options_.cluster, store_->term(),
                                                         options_.registry, Clock::now(), nodes);
  announced_ = registry_->revision();
  return Status::OK();
}

Status PoolCoordinator::catch_up(const CallContext& context) {
  if (!doubtful_) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(audit_, Audit::load(context, *store_));
  // What is read next must stay true: a write may be late by more than its writer's patience.
  ARROW_RETURN_NOT_OK(audit_.seal(context, *store_));
  ARROW_RETURN_NOT_OK(restore_tokens(context));
  ARROW_RETURN_NOT_OK(load_scopes(context));
  ARROW_ASSIGN_OR_RAISE(const std::vector<cluster::NodeRecord> nodes, stored_nodes(context));
  const Lock state(state_);
  for (const cluster::NodeRecord& record : nodes) {
    const cluster::Node* node = registry_->find(record.about.node_id);
    if (node == nullptr || node->about.incarnation != record.about.incarnation) continue;
    ARROW_RETURN_NOT_OK(registry_->drain(record.about.node_id, record.draining).status());
  }
  doubtful_ = false;
  return Status::OK();
}

Status PoolCoordinator::keep(const cluster::NodeRecord& record) {
  return store_
      ->commit(store_context(),
               {{}, {{node_key(record.about.node_id), cluster::to_json(record).dump()}}, {}})
      .status();
}

Result<Json> PoolCoordinator::register_node(const cluster::Registration& about) {
  cluster::NodeRecord record;
  {
    const Lock state(state_);
    Result<cluster::NodeRecord> made = registry_->register_node(Clock::now(), about);
    if (!made.ok()) {
      const bool older = registry_->find(about.node_id) != nullptr;
      return refuse(older ? Refusal::kConflict : Refusal::kInvalid, made.status().message());
    }
    record = std::move(*made);
  }
  announce();
  ARROW_RETURN_NOT_OK(keep(record));
  const auto& health = options_.registry.health;
  const auto millis = [](Duration d) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(d).count();
  };
  return Json{{"protocol", cluster::kProtocol},
              {"cluster", options_.cluster},
              {"term", json_number(term())},
              {"lease", json_number(record.lease)},
              {"draining", record.draining},
              {"ttl_ms", millis(health.dead_after)},
              {"heartbeat_ms", millis(health.dead_after) / 5},
              // That heartbeats may say which content a version had: older coordinators refuse it.
              {"config_hashes", true}};
}

Result<Json> PoolCoordinator::heartbeat(const cluster::Heartbeat& beat) {
  Json answer;
  {
    const Lock state(state_);
    const TimePoint now = Clock::now();
    const Status taken = registry_->heartbeat(now, beat);
    if (!taken.ok()) return refuse(Refusal::kNotFound, taken.message());
    cluster::ConfigId wanted;
    const auto found = scopes_.find(beat.config_scope);
    if (found != scopes_.end()) {
      Scope& scope = found->second;
      wanted = scope.head;
      if (scope.rollout != nullptr) {
        scope.rollout->report(
            now, beat.node_id,
            {beat.applied(), beat.rejected(), beat.config_reason, beat.error_rate});
        wanted = scope.rollout->wanted(beat.node_id);
      }
    }
    own_metrics_.heard(now, beat.node_id, beat.applied(), wanted, beat.rejected());
    answer = {{"term", json_number(registry_->term())},
              {"revision", json_number(registry_->revision())},
              {"config_version", json_number(wanted.version)},
              {"config_hash", wanted.hash},
              {"draining", registry_->find(beat.node_id)->state == cluster::NodeState::kDraining}};
  }
  announce();
  return answer;
}

Status PoolCoordinator::leave(std::string_view node_id, uint64_t incarnation) {
  {
    const Lock state(state_);
    const cluster::Node* node = registry_->find(node_id);
    if (node == nullptr || node->about.incarnation != incarnation) {
      return refuse(Refusal::kNotFound, "node '" + std::string(node_id) +
                                            "' is not registered with incarnation " +
                                            std::to_string(incarnation));
    }
    registry_->remove(node_id);
  }
  forget_metrics(node_id);
  announce();
  return store_->commit(store_context(), {{}, {}, {node_key(node_id)}}).status();
}

Status PoolCoordinator::report_metrics(std::string_view node_id, cluster::MetricsReport report) {
  {
    const Lock state(state_);
    if (registry_->find(node_id) == nullptr) {
      return refuse(Refusal::kNotFound, "there is no node '" + std::string(node_id) + "'");
    }
  }
  take_metrics(std::string(node_id), std::move(report));
  return Status::OK();
}

Status PoolCoordinator::report_client_metrics(std::string_view client_id,
                                              cluster::MetricsReport report) {
  {
    const Lock sums(sums_);
    if (!clients_.contains(client_id) && clients_.size() >= kMostClients) {
      return refuse(Refusal::kBusy, std::to_string(kMostClients) +
                                        " clients report already; this one is not counted");
    }
    clients_.insert_or_assign(std::string(client_id), Clock::now());
  }
  take_metrics(client_name(client_id), std::move(report));
  return Status::OK();
}

void PoolCoordinator::take_metrics(const std::string& process, cluster::MetricsReport report) {
  std::vector<std::string> odd;
  {
    const Lock sums(sums_);
    odd = metrics_.take(process, std::move(report));
    // Each report would say it again.
    std::erase_if(odd, [this](const std::string& name) CENOTE_REQUIRES(sums_) {
      return odd_metrics_.size() >= kMostOddMetrics || !odd_metrics_.insert(name).second;
    });
  }
  for (const std::string& name : odd) {
    log(LogLevel::kWarning, "coordinator",
        "the metric " + name + " of '" + process +
            "' has another kind or other bounds than that of others, as while versions are mixed: "
            "it is left out of the sums until all have the same "
            "(cenote_metrics_left_out_total)");
  }
}

Result<Json> PoolCoordinator::drain(std::string_view node_id, bool on, const Change& change) {
  Json answer;
  {
    const CallContext context = store_context();
    const TurnLock changes(changes_, context.deadline);
    ARROW_RETURN_NOT_OK(changes.status());
    ARROW_RETURN_NOT_OK(catch_up(context));
    ARROW_ASSIGN_OR_RAISE(const std::optional<Json> before, replay(context, change));
    if (before) return *before;
    cluster::NodeRecord record;
    {
      const Lock state(state_);
      const cluster::Node* node = registry_->find(node_id);
      if (node == nullptr) {
        return refuse(Refusal::kNotFound, "there is no node '" + std::string(node_id) + "'");
      }
      ARROW_ASSIGN_OR_RAISE(record, registry_->drained(node_id, on));
    }
    answer = {{"node_id", node_id}, {"draining", on}};
    StoreWrite write{{}, {{node_key(node_id), cluster::to_json(record).dump()}}, {}};
    ARROW_RETURN_NOT_OK(commit(context, std::move(write), change,
                               on ? "node.drain" : "node.undrain", {{"node_id", node_id}}, answer,
                               answer));
    const Lock state(state_);
    if (registry_->find(node_id) != nullptr) {
      ARROW_RETURN_NOT_OK(registry_->drain(node_id, on).status());
    }
  }
  announce();
  return answer;
}

Result<Json> PoolCoordinator::remove(std::string_view node_id, const Change& change) {
  Json answer = Json{{"node_id", node_id}, {"removed", true}};
  {
    const CallContext context = store_context();
    const TurnLock changes(changes_, context.deadline);
    ARROW_RETURN_NOT_OK(changes.status());
    ARROW_RETURN_NOT_OK(catch_up(context));
    ARROW_ASSIGN_OR_RAISE(const std::optional<Json> before, replay(context, change));
    if (before) return *before;
    {
      const Lock state(state_);
      if (registry_->find(node_id) == nullptr) {
        return refuse(Refusal::kNotFound, "there is no node '" + std::string(node_id) + "'");
      }
    }
    ARROW_RETURN_NOT_OK(commit(context, {{}, {}, {node_key(node_id)}}, change, "node.remove",
                               {{"node_id", node_id}}, answer, answer));
    const Lock state(state_);
    registry_->remove(node_id);
  }
  forget_metrics(node_id);
  announce();
  return answer;
}

Status PoolCoordinator::refused(std::string_view node_id, std::string_view location) {
  ARROW_ASSIGN_OR_RAISE(const std::string now, location_of(node_id));
  if (now != location) return Status::OK();
  {
    const Lock state(state_);
    registry_->refused(node_id);
  }
  tick();
  return Status::OK();
}

Result<std::string> PoolCoordinator::location_of(std::string_view node_id) const {
  const Lock state(state_);
  const cluster::Node* const node = registry_->find(node_id);
  if (node != nullptr) return node->about.location;
  return refuse(Refusal::kNotFound, "there is no node '" + std::string(node_id) + "'");
}

cluster::Snapshot PoolCoordinator::nodes() const {
  const Lock state(state_);
  return registry_->snapshot(Clock::now());
}

std::optional<std::vector<cluster::Change>> PoolCoordinator::changes_after(
    uint64_t revision) const {
  const Lock state(state_);
  return registry_->changes_after(revision);
}

uint64_t PoolCoordinator::revision() const {
  const Lock state(state_);
  return registry_->revision();
}

std::vector<cluster::PoolInstance> PoolCoordinator::discover_pools(std::string_view pool_id) const {
  const Lock state(state_);
  return registry_->discover_pools(pool_id);
}

const PoolCoordinator::Candidates& PoolCoordinator::candidates(const PoolRequest& request,
                                                               TimePoint now) {
  constexpr size_t kMostZones = 1'000;  // zones are the callers' words
  constexpr Duration kLoadsMove = std::chrono::seconds(1);
  if (candidates_.size() >= kMostZones) candidates_.clear();
  Candidates& known = candidates_[{request.pool_id, request.zone}];
  const bool fresh = known.targets != nullptr && known.revision == registry_->revision() &&
                     now - known.made < kLoadsMove;
  if (fresh) return known;
  known.revision = registry_->revision();
  known.made = now;
  known.instances = registry_->discover_pools(request.pool_id);
  known.targets = route::Targets::build(known.instances, request.zone, nullptr);
  for (const cluster::PoolInstance& each : known.instances) {
    const route::Target* target = known.targets->find(each.node_id);
    if (target != nullptr) target->load->tell_waiting(each.pool.active + each.pool.waiting);
  }
  return known;
}

Result<PoolResponse> PoolCoordinator::route_request(const PoolRequest& request) {
  const Lock state(state_);
  const TimePoint now = Clock::now();
  const Candidates& all = candidates(request, now);
  if (all.instances.empty()) {
    candidates_.erase({request.pool_id, request.zone});
    return refuse(Refusal::kNotFound, "no node serves a pool '" + request.pool_id + "'");
  }
  PoolResponse response;
  response.term = registry_->term();
  response.revision = registry_->revision();
  std::vector<const route::Target*> tried;
  while (response.instances.size() < kRanked) {
    const route::Targets::Choice choice =
        all.targets->choose(request.need, *load_balancer_, now, random_bits(), tried);
    if (choice.target == nullptr) break;
    tried.push_back(choice.target);
    const auto chosen = std::find_if(
        all.instances.begin(), all.instances.end(),
        [&](const cluster::PoolInstance& each) { return each.node_id == choice.target->node_id; });
    response.instances.push_back(*chosen);
  }
  return response;
}

void PoolCoordinator::advance_rollouts(TimePoint now) {
  std::vector<std::string> living;
  for (const cluster::Node& node : registry_->snapshot(now).nodes) {
    if (node.state != cluster::NodeState::kDead) living.push_back(node.about.node_id);
  }
  for (auto& [name, scope] : scopes_) {
    if (scope.rollout == nullptr) continue;
    scope.rollout->members(living);
    scope.rollout->tick(now);
  }
}

void PoolCoordinator::note_preservation(TimePoint now) {
  Duration longest{};
  if (registry_->preserving()) {
    for (const cluster::Node& node : registry_->snapshot(now).nodes) {
      if (node.state != cluster::NodeState::kFrozen) continue;
      longest = std::max(longest, registry_->silence(now, node.about.node_id).value_or(longest));
    }
  }
  own_metrics_.preserving(now, registry_->preserving(), longest);
}

void PoolCoordinator::forget_silent_clients(TimePoint now) {
  for (auto client = clients_.begin(); client != clients_.end();) {
    const bool silent = now - client->second >= kClientSilence;
    if (silent) metrics_.forget(client_name(client->first));
    client = silent ? clients_.erase(client) : std::next(client);
  }
}

void PoolCoordinator::forget_metrics(std::string_view node_id) {
  const Lock sums(sums_);
  metrics_.forget(node_id);
}

void PoolCoordinator::tick() {
  std::vector<std::string> gone;
  std::vector<cluster::MetricSample> own;
  {
    const Lock state(state_);
    const TimePoint now = Clock::now();
    gone = registry_->tick(now);
    for (const std::string& id : gone) own_metrics_.forget(id);
    reaped_.insert(reaped_.end(), gone.begin(), gone.end());
    advance_rollouts(now);
    note_preservation(now);
    own = own_metrics_.samples();
  }
  {
    const Lock sums(sums_);
    for (const std::string& id : gone) metrics_.forget(id);
    forget_silent_clients(Clock::now());
    own.push_back(cluster::counter_sample("cenote_metrics_left_out_total",
                                          static_cast<double>(metrics_.left_out())));
    (void)metrics_.take(kOwn, {1, std::move(own)});
  }
  announce();
}

void PoolCoordinator::settle() {
  {
    const CallContext context = store_context();
    const TurnLock changes(changes_, context.deadline);
    if (changes.status().ok()) (void)catch_up(context);  // else the next time
  }
  announce();
  std::vector<std::pair<std::string, std::string>> failed;  // scope, reason
  std::vector<std::string> done;
  std::vector<std::string> gone;
  {
    const Lock state(state_);
    for (auto& [name, scope] : scopes_) {
      if (scope.rollout == nullptr || !same(scope.rollout->version(), scope.head)) continue;
      const cluster::Rollout::Stage stage = scope.rollout->stage();
      if (stage == cluster::Rollout::Stage::kRolledBack) {
        failed.emplace_back(name, scope.rollout->reason());
      } else if (stage == cluster::Rollout::Stage::kDone && scope.rollout_kept) {
        done.push_back(name);
      }
    }
    // One that has registered again has a record that is its own.
    for (std::string& id : std::exchange(reaped_, {})) {
      if (registry_->find(id) == nullptr) gone.push_back(std::move(id));
    }
  }
  for (const auto& [name, reason] : failed) {
    const Status ended = bring_back(name, reason);
    // The next time tries again; meanwhile the roll-out itself names the old version.
    if (!ended.ok())
      log(LogLevel::kWarning, "coordinator", "scope '" + name + "': " + ended.message());
  }
  for (const std::string& name : done) forget_rollout(name);
  if (!gone.empty()) delete_records(gone);
}

void PoolCoordinator::delete_records(const std::vector<std::string>& node_ids) {
  StoreWrite write;
  for (const std::string& id : node_ids) write.deletes.push_back(node_key(id));
  const Result<uint64_t> deleted = store_->commit(store_context(), write);
  if (deleted.ok()) return;
  log(LogLevel::kWarning, "coordinator", deleted.status().message());
  const Lock state(state_);
  reaped_.insert(reaped_.end(), node_ids.begin(), node_ids.end());
}

void PoolCoordinator::on_change(std::function<void()> listener) {
  const Lock state(state_);
  listener_ = std::move(listener);
}

void PoolCoordinator::announce() {
  std::function<void()> listener;
  {
    const Lock state(state_);
    if (announced_ == registry_->revision()) return;
    announced_ = registry_->revision();
    listener = listener_;
  }
  if (listener) listener();
}

}  // namespace cenote::coordinator
