// What this process believes about the cluster, kept up to date by a thread of its own: discovery
// in, targets of each pool out. Nobody who reads it waits or leaves the process, and it goes on
// with the last good view while its source is away.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "cenote/manager.h"

#include "base/mutex.h"
#include "cluster/view.h"
#include "discovery/service_discovery.h"
#include "manager/route_metrics.h"
#include "route/targets.h"

namespace cenote {

// Thread-safe.
class ClusterView final : private discovery::Watcher {
 public:
  using Nodes = std::map<std::string, cluster::Node, std::less<>>;
  struct Options {
    std::string kind;    // what feeds it, as messages call it: "coordinator", "etcd"
    std::string source;  // its endpoints
    std::string zone;
    // Told of every new state of the nodes, on the watching thread, before targets() shows it.
    std::function<void(const Nodes&)> on_nodes{};
    RouteMetrics* metrics = nullptr;  // not null: outlives the view
  };

  ClusterView(std::unique_ptr<discovery::ServiceDiscovery> discovery, Options options);
  // Stops watching.
  ~ClusterView() override;

  // Null: no node serves the pool, or nothing is known yet.
  std::shared_ptr<const route::Targets> targets(std::string_view pool_id) const;
  // As DistributedPoolManager::expect_node.
  void expect_node(std::string_view node_id, uint64_t term, uint64_t revision);
  // Waits for the first list with nodes, which comes soon or not at all; false: none came. A
  // coordinator that has just started has an empty one.
  bool wait_until_known(const CallContext& context) const;
  // Why a pool has no target: which nodes there are, how they are, how old the view is.
  std::string explain(std::string_view pool_id) const;
  std::vector<std::string> pool_ids() const;
  // As the source said last; never null.
  std::shared_ptr<const Nodes> nodes() const;
  // Since the source last confirmed it; none: never.
  std::optional<Duration> age() const;
  // The newest configuration that the node applied; 0: none, or no such node.
  uint64_t config_version(std::string_view node_id) const;
  // As ServiceDiscovery's.
  bool has_source() const { return discovery_->has_source(); }
  Status probe_source(const std::stop_token& stop) { return discovery_->probe(stop); }
  const std::string& kind() const { return options_.kind; }
  // False too for a node that is not known.
  bool is_up(std::string_view node_id) const;
  ClusterStatus status() const;
  // The node's port refused a connection: the source is told, once a second at the most. Returns at
  // once.
  void refused(std::string_view node_id);

 private:
  cluster::View::Next list(const cluster::Snapshot& snapshot) override;
  cluster::View::Next change(std::string_view cluster, uint64_t term,
                             const cluster::Change& change) override;
  cluster::View::Next bookmark(std::string_view cluster, uint64_t term, uint64_t revision) override;
  void failed(const Status& why) override;

  // Hands a new version on; then says whether a list is due.
  cluster::View::Next publish(cluster::View::Next next, TimePoint now);
  void show(std::shared_ptr<const Nodes> nodes) CENOTE_REQUIRES(mutex_);
  std::string age_text() const CENOTE_REQUIRES(mutex_);

  const Options options_;
  const std::unique_ptr<discovery::ServiceDiscovery> discovery_;

  mutable Mutex mutex_;  // guards all below; memory only
  mutable std::condition_variable_any known_;
  cluster::View view_ CENOTE_GUARDED_BY(mutex_);
  bool known_nodes_ CENOTE_GUARDED_BY(mutex_) = false;  // there were some once
  // This process among the nodes, and since when a list must have it.
  std::string self_ CENOTE_GUARDED_BY(mutex_);
  uint64_t self_term_ CENOTE_GUARDED_BY(mutex_) = 0;
  uint64_t self_revision_ CENOTE_GUARDED_BY(mutex_) = 0;
  // What readers are shown, all of one version of the view.
  uint64_t published_ CENOTE_GUARDED_BY(mutex_) = 0;
  std::shared_ptr<const Nodes> nodes_ CENOTE_GUARDED_BY(mutex_) = std::make_shared<const Nodes>();
  std::map<std::string, std::shared_ptr<const route::Targets>, std::less<>> targets_
      CENOTE_GUARDED_BY(mutex_);
  Status last_failure_ CENOTE_GUARDED_BY(mutex_);  // OK again with the next answer
  std::optional<TimePoint> cut_off_ CENOTE_GUARDED_BY(mutex_);

  void run_witness(const std::stop_token& stop);

  // The refusals that the source is to hear of, and when it heard of them.
  std::set<std::string, std::less<>> untold_ CENOTE_GUARDED_BY(mutex_);
  std::map<std::string, TimePoint, std::less<>> told_ CENOTE_GUARDED_BY(mutex_);
  std::condition_variable_any refused_;

  std::jthread witness_;
  std::jthread thread_;  // last: both end before what they use
};

}  // namespace cenote
