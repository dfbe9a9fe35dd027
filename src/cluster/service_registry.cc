// Leases and the numbered history.
#include "cluster/service_registry.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace cenote::cluster {
namespace {

constexpr size_t kMaxIdLength = 128;

Status check(const Registration& about) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  if (about.node_id.empty() || about.node_id.size() > kMaxIdLength ||
      !std::all_of(about.node_id.begin(), about.node_id.end(), plain)) {
    return make_error(ErrorKind::kInterface,
                      "node_id must be 1 to 128 of letters, digits, '.', '_' and '-'");
  }
  if (!about.location.starts_with("grpc://") && !about.location.starts_with("grpc+tls://")) {
    return make_error(ErrorKind::kInterface, "node '" + about.node_id +
                                                 "': location must be grpc://host:port or "
                                                 "grpc+tls://host:port");
  }
  if (!std::isfinite(about.weight) || about.weight <= 0) {
    return make_error(ErrorKind::kInterface,
                      "node '" + about.node_id + "': weight must be above zero");
  }
  return Status::OK();
}

// Whether clients would choose alike.
bool route_alike(std::span<const PoolReport> a, std::span<const PoolReport> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const PoolReport& x, const PoolReport& y) { return x.routes_like(y); });
}

}  // namespace

ServiceRegistry::ServiceRegistry(std::string cluster, uint64_t term, Options options, TimePoint now,
                                 std::span<const NodeRecord> restored)
    : cluster_(std::move(cluster)), term_(term), options_(options), health_(options.health, now) {
  for (const NodeRecord& record : restored) {
    Entry entry;
    entry.node.about = record.about;
    entry.node.config_version = record.config_version;
    entry.node.state = record.draining ? NodeState::kDraining : NodeState::kUp;
    entry.lease = record.lease;
    entry.draining = record.draining;
    last_lease_ = std::max(last_lease_, record.lease);
    // As if heard late enough to live through the grace.
    health_.heard(now + options_.health.grace - options_.health.dead_after, record.about.node_id);
    const auto [at, made] = nodes_.insert_or_assign(record.about.node_id, std::move(entry));
    publish(at->first, &at->second);
  }
}

NodeRecord ServiceRegistry::record(const Entry& entry) const {
  return {entry.node.about, entry.lease, entry.draining, entry.node.config_version};
}

// A draining node stays draining until it is dead.
NodeState ServiceRegistry::shown(const Entry& entry, NodeState verdict) {
  const bool draining = entry.draining || entry.leaving;
  return draining && verdict != NodeState::kDead ? NodeState::kDraining : verdict;
}

void ServiceRegistry::publish(const std::string& node_id, const Entry* entry) {
  Change change;
  change.revision = ++revision_;
  change.node_id = node_id;
  if (entry != nullptr) change.node = entry->node;
  history_.push_back(std::move(change));
  if (history_.size() > options_.history) history_.pop_front();
}

Result<NodeRecord> ServiceRegistry::register_node(TimePoint now, const Registration& about) {
  ARROW_RETURN_NOT_OK(check(about));
  const auto found = nodes_.find(about.node_id);
  if (found != nodes_.end()) {
    Entry& known = found->second;
    if (about.incarnation < known.node.about.incarnation) {
      return make_error(ErrorKind::kInterface,
                        "node '" + about.node_id + "' is registered with incarnation " +
                            std::to_string(known.node.about.incarnation) +
                            "; this process is older (" + std::to_string(about.incarnation) +
                            "): stop it, or give one of the two another node id");
    }
    if (about.incarnation == known.node.about.incarnation) {
      health_.heard(now, about.node_id);
      if (!(known.node.about == about) || known.node.state == NodeState::kDead) {
        const bool alike = route_alike(known.node.about.pools, about.pools) &&
                           known.node.state != NodeState::kDead &&
                           known.node.about.location == about.location;
        known.node.about = about;
        if (known.node.state == NodeState::kDead) known.node.state = NodeState::kUp;
        known.dead_since.reset();
        if (!alike) publish(found->first, &known);
      }
      return record(known);
    }
  }
  Entry entry;
  entry.node.about = about;
  entry.lease = ++last_lease_;
  health_.forget(about.node_id);
  health_.heard(now, about.node_id);
  const auto [at, made] = nodes_.insert_or_assign(about.node_id, std::move(entry));
  publish(at->first, &at->second);
  return record(at->second);
}

Status ServiceRegistry::heartbeat(TimePoint now, const Heartbeat& beat) {
  const auto found = nodes_.find(beat.node_id);
  if (found == nodes_.end() || found->second.lease != beat.lease ||
      found->second.node.about.incarnation != beat.incarnation) {
    return make_error(ErrorKind::kOperational,
                      "node '" + beat.node_id + "' holds no such lease here: register again");
  }
  Entry& entry = found->second;
  if (beat.seq <= entry.last_seq) return Status::OK();  // late or repeated
  entry.last_seq = beat.seq;
  health_.heard(now, beat.node_id);
  for (const auto& [peer, reachable] : beat.peers) {
    health_.peer_says(now, peer, beat.node_id, reachable);
  }
  const bool alike = route_alike(entry.node.about.pools, beat.pools) &&
                     entry.node.config_version == beat.config_version &&
                     entry.leaving == beat.draining;
  if (entry.leaving != beat.draining) {
    entry.leaving = beat.draining;
    entry.node.state = shown(entry, health_.state(beat.node_id));
  }
  entry.node.about.pools = beat.pools;
  entry.node.config_version = beat.config_version;
  if (!alike) publish(found->first, &entry);
  return Status::OK();
}

Result<NodeRecord> ServiceRegistry::drained(std::string_view node_id, bool on) const {
  const auto found = nodes_.find(node_id);
  if (found == nodes_.end()) {
    return make_error(ErrorKind::kProgramming,
                      "there is no node '" + std::string(node_id) + "' in the registry");
  }
  NodeRecord made = record(found->second);
  made.draining = on;
  return made;
}

Result<NodeRecord> ServiceRegistry::drain(std::string_view node_id, bool on) {
  ARROW_RETURN_NOT_OK(drained(node_id, on).status());
  const auto found = nodes_.find(node_id);
  Entry& entry = found->second;
  if (entry.draining != on) {
    entry.draining = on;
    entry.node.state = shown(entry, health_.state(node_id));
    publish(found->first, &entry);
  }
  return record(entry);
}

bool ServiceRegistry::remove(std::string_view node_id) {
  const auto found = nodes_.find(node_id);
  if (found == nodes_.end()) return false;
  const std::string id = found->first;
  nodes_.erase(found);
  health_.forget(id);
  publish(id, nullptr);
  return true;
}

std::vector<std::string> ServiceRegistry::tick(TimePoint now) {
  for (const HealthMonitor::Verdict& verdict : health_.tick(now)) {
    const auto found = nodes_.find(verdict.node_id);
    if (found == nodes_.end()) continue;
    Entry& entry = found->second;
    const bool dead = verdict.state == NodeState::kDead;
    entry.dead_since = dead ? std::optional(now) : std::nullopt;
    const NodeState state = shown(entry, verdict.state);
    if (state == entry.node.state) continue;
    entry.node.state = state;
    publish(found->first, &entry);
  }
  std::vector<std::string> gone;
  for (const auto& [id, entry] : nodes_) {
    if (entry.dead_since && now - *entry.dead_since >= options_.reap_after) gone.push_back(id);
  }
  for (const std::string& id : gone) remove(id);
  return gone;
}

Snapshot ServiceRegistry::snapshot(TimePoint now) const {
  Snapshot all;
  all.cluster = cluster_;
  all.term = term_;
  all.revision = revision_;
  all.provisional = health_.in_grace(now);
  all.nodes.reserve(nodes_.size());
  for (const auto& [id, entry] : nodes_) all.nodes.push_back(entry.node);
  return all;
}

const Node* ServiceRegistry::find(std::string_view node_id) const {
  const auto found = nodes_.find(node_id);
  return found == nodes_.end() ? nullptr : &found->second.node;
}

std::optional<uint64_t> ServiceRegistry::last_seq(std::string_view node_id) const {
  const auto found = nodes_.find(node_id);
  return found == nodes_.end() ? std::nullopt : std::optional(found->second.last_seq);
}

std::vector<PoolInstance> ServiceRegistry::discover_pools(std::string_view pool_id) const {
  std::vector<PoolInstance> instances;
  for (const auto& [id, entry] : nodes_) {
    for (const PoolReport& pool : entry.node.about.pools) {
      if (!pool_id.empty() && pool.pool_id != pool_id) continue;
      const Registration& about = entry.node.about;
      instances.push_back({id, about.location, about.zone, about.weight, entry.node.state, pool});
    }
  }
  return instances;
}

std::optional<std::vector<Change>> ServiceRegistry::changes_after(uint64_t revision) const {
  if (revision > revision_) return std::nullopt;
  if (revision == revision_) return std::vector<Change>();
  if (history_.empty() || history_.front().revision > revision + 1) return std::nullopt;
  const auto first =
      history_.begin() + static_cast<std::ptrdiff_t>(revision + 1 - history_.front().revision);
  return std::vector<Change>(first, history_.end());
}

}  // namespace cenote::cluster
