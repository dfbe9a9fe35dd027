// A call's way through the cluster: which node gets it, what a failure means, and whether it may go
// on to another.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cenote/manager.h"

#include "flight/remote_pool.h"
#include "manager/cluster_view.h"
#include "manager/node_links.h"
#include "manager/partition_watch.h"
#include "manager/route_metrics.h"
#include "manager/silence_watch.h"
#include "route/load_balancer.h"
#include "route/retry_budget.h"
#include "route/targets.h"

namespace cenote {

// What the router must know of a call.
struct RoutedCall {
  std::string_view pool_id;
  route::Need need = route::Need::kWrite;
  // It may go out again though its fate is unknown.
  bool repeatable = false;
  // It begins something that lives on its node.
  bool lasting = false;
  // What it sends can be read once only, so that a node is asked for a sign of life before.
  bool once = false;
};

// A call under way: counts in its target's load until destroyed. Moved into a stream, it lives as
// long as that.
class InFlight {
 public:
  explicit InFlight(std::shared_ptr<Gate> gate) : gate_(std::move(gate)) { gate_->begin(begin_); }
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;
  ~InFlight();

  // The answer began: the time until here is the target's latency.
  void answered();
  // What became of it, told to the breaker. Errors with `location` as their endpoint are the
  // node's.
  void ended(const Status& status, std::string_view location);

 private:
  const std::shared_ptr<Gate> gate_;
  const TimePoint begin_ = Clock::now();
  Duration latency_{};
  bool answered_ = false;
  bool failed_ = false;
};

// Thread-safe.
class Router {
 public:
  struct Options {
    NodeAccess access;
    Reach reach{};  // where nodes may be
    LoadBalanceAlgorithm algorithm = LoadBalanceAlgorithm::kP2cEwma;
    std::string kind;  // what keeps the list of nodes, and where; as ClusterView's
    std::string source;
    std::string zone;
    PartitionOptions partition{};
    std::string self{};  // the node id of this process, if it serves
    // As PartitionWatch's.
    std::function<std::optional<bool>()> databases{};
  };
  static Result<std::unique_ptr<Router>> open(
      std::unique_ptr<discovery::ServiceDiscovery> discovery, const Options& options);

  // One place that failed.
  struct Try {
    std::string node;  // empty: this process's own pool
    std::string location;
    Duration took{};
    Status status;
  };
  using Tries = std::vector<Try>;
  // Calls one node; may keep `flight` for longer than it runs. `options` hold what is left of the
  // time.
  using Attempt = std::function<Status(flight::RemotePool& pool, const QueryOptions& options,
                                       const std::shared_ptr<InFlight>& flight)>;

  // Calls nodes, one after another, until one took the call or none may be tried any more. `before`
  // is what failed already. Errors name pool, places tried, how long it took, what to do.
  Status run(const RoutedCall& call, const QueryOptions& options, const Attempt& attempt,
             Origin* origin, Tries before = {});
  // Whether a call that ended so may go to another place: it was not sent, or refused unseen, or it
  // does no harm twice.
  static bool may_go_on(const RoutedCall& call, const Status& status);

  // Guards this process's own pool of that id: while it is shut, calls begin at the nodes.
  std::shared_ptr<Gate> own_gate(std::string_view pool_id);
  const ClusterView& view() const { return *view_; }
  // As DistributedPoolManager::expect_node.
  void expect_node(std::string_view node_id, uint64_t term, uint64_t revision) {
    view_->expect_node(node_id, term, revision);
    if (!node_id.empty()) watch_->registered(node_id);
  }
  // As DistributedPoolManager's.
  ClusterStatus status() const;
  Status recover() { return watch_->recover(); }
  // What an answer of that node, or of this process's own pool, is told to be.
  Origin origin(std::string_view node_id, std::string_view location, int attempts) const;
  // Metrics in Prometheus's text format, and those that add up with other processes'.
  std::string exposition() const;
  std::vector<cluster::MetricSample> samples() const { return metrics_.samples(); }

 private:
  Router(const Options& options, std::unique_ptr<NodeLinks> links);
  struct Chosen {
    std::shared_ptr<const route::Targets> of;  // keeps the target
    const route::Target* target = nullptr;
    bool probe = false;
    Link link;
  };
  struct Outcome {
    Status status;
    bool reached = false;  // the call itself went out, not only the question before it
  };
  bool has_another(const RoutedCall& call, const route::Targets& targets,
                   std::vector<const route::Target*> passed, const route::Target& but) const;
  bool passes_over(const partition::Plan& plan, const RoutedCall& call,
                   const route::Targets& targets, const std::vector<const route::Target*>& passed,
                   const route::Target& target) const;
  Result<Chosen> choose(const RoutedCall& call, const std::vector<Chosen>& tried,
                        const CallContext& context) const;
  Status nothing_left(const RoutedCall& call, bool known) const;
  // Not OK: out of touch with the cluster for too long to send it anywhere.
  Status check_age(const RoutedCall& call) const;
  void note_refusal(const Chosen& chosen) const;
  Outcome call_node(const RoutedCall& call, const Chosen& chosen, const QueryOptions& options,
                    const Attempt& attempt) const;
  Status failed(const RoutedCall& call, Duration took, const Tries& tries);

  const std::unique_ptr<NodeLinks> links_;
  const std::unique_ptr<route::LoadBalancer> balancer_;
  route::RetryBudget budget_;
  RouteMetrics metrics_;
  Mutex mutex_;  // guards the gates; memory only
  std::map<std::string, std::shared_ptr<Gate>, std::less<>> own_gates_ CENOTE_GUARDED_BY(mutex_);
  const SilenceWatch silence_{*links_};
  std::unique_ptr<ClusterView> view_;      // its thread calls into the links
  std::unique_ptr<PartitionWatch> watch_;  // last: its threads call into view and links
};

}  // namespace cenote
