// What the serving thread says and hears.
#include "node/membership.h"

#include <utility>

#include "base/json.h"
#include "base/keep_running.h"
#include "base/log.h"
#include "base/pause.h"
#include "manager/open_discovery.h"
#include "node/incarnation.h"
#include "node/state_files.h"

namespace cenote::node {
namespace {

// From the registry to the last client's view: a heartbeat, a watch, a rebuilt list.
constexpr Duration kPropagation = std::chrono::milliseconds(500);

cluster::PoolReport report_of(const PoolStatus& status) {
  cluster::PoolReport report;
  report.pool_id = status.id;
  report.type = status.type;
  report.max = status.max;
  report.active = status.active;
  report.idle = status.idle;
  report.waiting = status.waiting;
  report.healthy = !status.closed && status.health != HealthState::kDown;
  report.writable = !status.read_only && status.role != Role::kReplica;
  report.lag = status.lag;
  return report;
}

// What an error quotes may be any bytes, and the heartbeat that tells of it is JSON.
std::string as_utf8(const std::string& text) {
  const std::string json = Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
  return Json::parse(json).get<std::string>();
}

std::string label(std::string_view pool) {
  std::string text = "db_client_connection_pool_name=\"";
  for (const char c : pool) {
    if (c == '\\' || c == '"') text += '\\';
    text += c == '\n' ? ' ' : c;
  }
  return text + "\"";
}

}  // namespace

Membership::Membership(DistributedPoolManager& manager, FlightServer& flight,
                       cluster::Registration about, Duration drain_timeout,
                       std::filesystem::path last_good, uint64_t booted,
                       std::unique_ptr<discovery::ServiceDiscovery> discovery)
    : manager_(manager),
      flight_(flight),
      about_(std::move(about)),
      drain_timeout_(drain_timeout),
      last_good_(std::move(last_good)),
      discovery_(std::move(discovery)) {
  state_.incarnation = about_.incarnation;
  state_.pools_of = booted;
  flight_.set_config_version(booted);
  thread_ = std::jthread([this](const std::stop_token& stop) {
    keep_running(stop, "node", "membership", [&] { discovery_->serve(stop, *this); });
  });
}

Membership::~Membership() = default;

Result<std::unique_ptr<Membership>> Membership::join(DistributedPoolManager& manager,
                                                     FlightServer& flight,
                                                     const DeploymentConfig& config,
                                                     std::string admin, uint64_t booted) {
  cluster::Registration about;
  about.node_id = flight.node_id();
  about.location = flight.location_uri();
  about.admin = std::move(admin);
  about.zone = config.node.zone;
  about.weight = config.node.weight;
  ARROW_ASSIGN_OR_RAISE(about.incarnation, next_incarnation(config.node.state_dir, about.node_id));
  ARROW_ASSIGN_OR_RAISE(OpenedDiscovery discovery, open_discovery(config, about.node_id));
  std::filesystem::path last_good =
      state_file(config.node.state_dir, about.node_id, kLastGoodEnding);
  return std::unique_ptr<Membership>(
      new Membership(manager, flight, std::move(about), config.server.drain_timeout,
                     std::move(last_good), booted, std::move(discovery.service)));
}

Membership::State Membership::state() const {
  const Lock lock(mutex_);
  return state_;
}

void Membership::announce_drain(Deadline deadline) {
  {
    Lock lock(mutex_);
    leaving_ = true;
    while (state_.registered && !leaving_heard_ && !deadline.passed()) {
      heard_.wait_until(lock, deadline.at());
    }
    if (!leaving_heard_) return;
  }
  pause({}, deadline.sooner(Deadline::in(kPropagation)).left());
}

std::vector<cluster::PoolReport> Membership::reports() const {
  std::vector<cluster::PoolReport> all;
  for (const PoolStatus& status : manager_.get_status()) all.push_back(report_of(status));
  return all;
}

cluster::Registration Membership::about() {
  cluster::Registration about = about_;
  about.pools = reports();
  return about;
}

double Membership::error_rate() {
  uint64_t queries = 0;
  uint64_t errors = 0;
  for (const std::string& id : manager_.list_pools()) {
    const auto pool = manager_.pool(id);
    if (!pool.ok()) continue;
    const PoolMetrics metrics = (*pool)->get_metrics();
    queries += metrics.queries;
    errors += metrics.errors;
  }
  // A pool that was replaced takes its counts with it.
  const bool fell = queries < queries_ || errors < errors_;
  const uint64_t more = fell ? queries : queries - queries_;
  const uint64_t failed = fell ? errors : errors - errors_;
  queries_ = queries;
  errors_ = errors;
  return more == 0 ? 0.0 : std::min(1.0, static_cast<double>(failed) / static_cast<double>(more));
}

void Membership::fill(cluster::Heartbeat* beat) {
  beat->pools = reports();
  beat->error_rate = error_rate();
  // Who is cut off itself is no witness.
  const std::optional<ClusterStatus> cluster = manager_.cluster_status();
  if (cluster && cluster->partition.state == "connected") {
    for (const ClusterStatus::Node& node : cluster->nodes) {
      if (node.reached) beat->peers.emplace(node.id, *node.reached);
    }
  }
  const Lock lock(mutex_);
  beat->config_version = state_.config_version;
  beat->config_rejected = state_.config_rejected;
  beat->config_reason = state_.config_reason;
  beat->draining = leaving_;
  told_draining_ = leaving_;
}

cluster::MetricsReport Membership::metrics() {
  cluster::MetricsReport report;
  report.incarnation = about_.incarnation;
  for (const PoolStatus& status : manager_.get_status()) {
    const auto pool = manager_.pool(status.id);
    if (!pool.ok()) continue;
    const PoolMetrics metrics = (*pool)->get_metrics();
    const std::string labels = label(status.id);
    const auto counter = [&](const char* name, uint64_t value) {
      report.samples.push_back(cluster::counter_sample(name, static_cast<double>(value), labels));
    };
    counter("cenote_node_statements_total", metrics.queries);
    counter("cenote_node_statement_errors_total", metrics.errors);
    counter("cenote_node_rows_total", metrics.rows);
    counter("cenote_node_connects_total", metrics.connects);
    counter("cenote_node_connect_failures_total", metrics.connect_failures);
    counter("cenote_node_checkout_timeouts_total", metrics.timeouts);
  }
  return report;
}

Status Membership::apply_config(uint64_t version, std::string_view content) {
  const std::string name = "configuration " + std::to_string(version);
  const auto apply = [&]() -> Status {
    ARROW_ASSIGN_OR_RAISE(DeploymentConfig config, parse_config(content, name));
    if (config.pools.empty()) {
      return make_error(ErrorKind::kConfig, name + ": deployment.pools has no pool; add one");
    }
    return manager_.replace_pools(std::move(config.pools), Deadline::in(drain_timeout_));
  };
  const Status applied = apply();
  if (applied.ok()) {
    flight_.set_config_version(version);
    // It is in use all the same; only a start while nobody gives one would lack it.
    if (!keep_last_good(last_good_, {version, std::string(content)})) {
      log(LogLevel::kError, "node",
          name + " cannot be kept in '" + last_good_.string() +
              "': check node.state_dir and the space on its disk");
    }
  }
  {
    const Lock lock(mutex_);
    if (applied.ok()) {
      state_.config_version = version;
      state_.pools_of = version;
      state_.config_rejected.reset();
      state_.config_reason.clear();
    } else {
      state_.config_rejected = version;
      state_.config_reason = as_utf8(applied.message());
    }
  }
  if (applied.ok()) log(LogLevel::kInfo, "node", name + " was applied");
  return applied;
}

void Membership::set_draining(bool draining) {
  flight_.refuse_work(draining);
}

void Membership::seen_at(uint64_t term, uint64_t revision) {
  manager_.expect_node(about_.node_id, term, revision);
}

void Membership::renewed(const Status& status) {
  bool changed = false;
  if (!status.ok()) manager_.expect_node("", 0, 0);
  {
    const Lock lock(mutex_);
    changed = state_.registered != status.ok() || (!status.ok() && state_.last_error.empty());
    state_.registered = status.ok();
    state_.last_error = status.ok() ? "" : status.message();
    if (status.ok() && told_draining_) leaving_heard_ = true;
  }
  heard_.notify_all();
  if (!changed) return;
  log(status.ok() ? LogLevel::kInfo : LogLevel::kWarning, "node",
      status.ok() ? "registered as '" + about_.node_id + "'"
                  : "not registered: " + status.message() + "; trying again");
}

}  // namespace cenote::node
