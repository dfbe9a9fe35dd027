// ADR-002's ServiceRegistry: which nodes hold a lease, and the numbered history of what changed.
// Pure: calls carry the time; what must be on disk before the answer goes out comes back as
// records.
//
// Only what changes a client's choice is a change: a heartbeat with new load but the same health is
// not, or 2,000 nodes would wake every watcher 2,000 times a second. Load travels with the answers.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cenote/error.h"

#include "cluster/config_id.h"
#include "cluster/health_monitor.h"
#include "cluster/instance.h"

namespace cenote::cluster {

// What the store keeps of a node.
struct NodeRecord {
  Registration about;
  uint64_t lease = 0;
  bool draining = false;
  uint64_t config_version = 0;

  bool operator==(const NodeRecord&) const = default;
};

struct Heartbeat {
  std::string node_id;
  uint64_t incarnation = 0;
  uint64_t lease = 0;
  uint64_t seq = 0;  // grows with each; a late one is dropped
  std::vector<PoolReport> pools;
  // The configuration: whose line it follows, the newest version that it applied, one that it
  // refused and why, and the share of its statements that failed since the last heartbeat.
  std::string config_scope = "default";
  uint64_t config_version = 0;
  std::string config_hash{};  // of that version's content; empty: the node does not say
  std::optional<uint64_t> config_rejected{};
  std::string config_rejected_hash{};
  std::string config_reason{};
  double error_rate = 0;
  std::map<std::string, bool> peers;  // whether it reaches them
  bool draining = false;              // it is about to leave: no new work

  ConfigId applied() const { return {config_version, config_hash}; }
  ConfigId rejected() const { return {config_rejected.value_or(0), config_rejected_hash}; }
};

class ServiceRegistry {
 public:
  struct Options {
    HealthMonitor::Options health;
    Duration reap_after = std::chrono::seconds(60);  // a dead node stays listed for this long
    size_t history = 10'000;                         // changes kept for watchers
  };

  // `restored` comes from the store; its nodes keep their leases and have the monitor's grace to be
  // heard again.
  ServiceRegistry(std::string cluster, uint64_t term, Options options, TimePoint now,
                  std::span<const NodeRecord> restored);

  // Idempotent for the same (node, incarnation): the same lease. kInterface for a lower
  // incarnation (another process with this id is newer) or a malformed registration.
  Result<NodeRecord> register_node(TimePoint now, const Registration& about);
  // kUnknownPool's sibling for nodes: not OK means "register again, never exit".
  Status heartbeat(TimePoint now, const Heartbeat& beat);
  Result<NodeRecord> drain(std::string_view node_id, bool on);
  // The record as drain() would make it, which is kept before it is shown.
  Result<NodeRecord> drained(std::string_view node_id, bool on) const;
  // Graceful leave. False if it was not there.
  bool remove(std::string_view node_id);
  void refused(std::string_view node_id) { health_.refused(node_id); }
  // Judges everyone; returns the ids whose records are to be deleted from the store.
  std::vector<std::string> tick(TimePoint now);

  Snapshot snapshot(TimePoint now) const;
  const Node* find(std::string_view node_id) const;
  // ADR-002's discover_pools: every instance of a pool, or of all if `pool_id` is empty.
  std::vector<PoolInstance> discover_pools(std::string_view pool_id) const;
  // The changes after `revision`, oldest first; none if the history does not reach back that far
  // (the watcher must list again).
  std::optional<std::vector<Change>> changes_after(uint64_t revision) const;

  const std::string& cluster() const { return cluster_; }
  uint64_t term() const { return term_; }
  uint64_t revision() const { return revision_; }
  bool preserving() const { return health_.preserving(); }
  // The number of the node's last heartbeat; none if it is not known.
  std::optional<uint64_t> last_seq(std::string_view node_id) const;
  std::optional<Duration> silence(TimePoint now, std::string_view node_id) const {
    return health_.silence(now, node_id);
  }

 private:
  struct Entry {
    Node node;
    uint64_t lease = 0;
    uint64_t last_seq = 0;
    bool draining = false;  // an operator wants it
    bool leaving = false;   // the node wants it
    std::optional<TimePoint> dead_since;
  };

  static NodeState shown(const Entry& entry, NodeState verdict);
  void publish(const std::string& node_id, const Entry* entry);
  NodeRecord record(const Entry& entry) const;

  const std::string cluster_;
  const uint64_t term_;
  const Options options_;
  HealthMonitor health_;
  std::map<std::string, Entry, std::less<>> nodes_;
  std::deque<Change> history_;
  uint64_t revision_ = 0;
  uint64_t last_lease_ = 0;
};

}  // namespace cenote::cluster
