// ADR-002's PoolCoordinator: the registry, the configuration and the advice, over a store. Knows no
// HTTP: api.cc speaks it. Its death stops no query anywhere, because nothing here is on a query's
// path.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/mutex.h"
#include "cluster/metrics_aggregator.h"
#include "cluster/rollout.h"
#include "cluster/service_registry.h"
#include "coordinator/audit.h"
#include "coordinator/cluster_metrics.h"
#include "coordinator/refusal.h"
#include "coordinator/store.h"
#include "coordinator/tokens.h"
#include "coordinator/turn.h"
#include "route/targets.h"

namespace cenote::coordinator {

// A request to route: which pool, for what.
struct PoolRequest {
  std::string pool_id;
  route::Need need = route::Need::kRead;
  std::string zone;  // of the caller; its targets come first
};

// Where to go, best first, at most three. Advice, good for `cacheable`; data never passes here.
struct PoolResponse {
  std::vector<cluster::PoolInstance> instances;
  uint64_t term = 0;
  uint64_t revision = 0;
  Duration cacheable = std::chrono::seconds(5);
};

// How a change is asked for: by whom, and the key that makes a repeated request harmless.
struct Change {
  Actor actor;
  std::string idempotency_key;  // empty: none
  std::string body_hash;        // of the request, to tell a repetition from a misuse of the key
};

// Thread-safe.
class PoolCoordinator {
 public:
  struct Options {
    std::string cluster = "cenote";
    cluster::ServiceRegistry::Options registry;
    cluster::Rollout::Options rollout;
    // Checks the text of a configuration; the error names line and key.
    std::function<Status(std::string_view content)> validate;
  };

  // Restores nodes, roll-outs and the end of the audit log from the store.
  static Result<std::unique_ptr<PoolCoordinator>> open(
      Options options, std::unique_ptr<Store> store,
      const CallContext& context = {Deadline::in(std::chrono::seconds(10)), {}});
  ~PoolCoordinator();

  // ---- Nodes. What they tell is soft: it is applied in memory, then kept in the store.
  Result<Json> register_node(const cluster::Registration& about);
  // kNotFound: the node must register again. The answer says which configuration to have.
  Result<Json> heartbeat(const cluster::Heartbeat& beat);
  // Graceful: the node says so itself. kNotFound if another incarnation holds the id.
  Status leave(std::string_view node_id, uint64_t incarnation);
  Status report_metrics(std::string_view node_id, cluster::MetricsReport report);
  // The same of a process that is no node, under a name of its own.
  Status report_client_metrics(std::string_view client_id, cluster::MetricsReport report);
  Result<Json> drain(std::string_view node_id, bool on, const Change& change);
  Result<Json> remove(std::string_view node_id, const Change& change);
  // Our own connection to the node, at the place that location_of() told, was refused: dead at
  // once, unless it has registered from elsewhere meanwhile.
  Status refused(std::string_view node_id, std::string_view location);
  Result<std::string> location_of(std::string_view node_id) const;

  cluster::Snapshot nodes() const;
  std::optional<std::vector<cluster::Change>> changes_after(uint64_t revision) const;
  uint64_t revision() const;
  uint64_t term() const { return store_->term(); }
  const std::string& cluster() const { return options_.cluster; }

  // ADR-002's two.
  std::vector<cluster::PoolInstance> discover_pools(std::string_view pool_id = {}) const;
  Result<PoolResponse> route_request(const PoolRequest& request);

  // ---- Configuration: numbered, immutable versions for each scope.
  // `if_match`: the version that the writer saw (0: there was none); none: kPreconditionRequired.
  // Content that does not validate: kInvalid, nothing is stored.
  Result<Json> put_config(std::string_view scope, std::string_view content,
                          std::optional<uint64_t> if_match, const Change& change);
  Status validate_config(std::string_view content) const;
  // version 0: the newest.
  Result<Json> config(std::string_view scope, uint64_t version) const;
  Result<Json> config_history(std::string_view scope) const;
  // Appends a new version with the content of an old one (0: the one before the newest).
  Result<Json> rollback(std::string_view scope, uint64_t to, const Change& change);
  Result<Json> rollout(std::string_view scope) const;
  Result<Json> abort_rollout(std::string_view scope, const std::string& reason,
                             const Change& change);

  // ---- Tokens. The book is also the server's, which lets callers in by it.
  TokenBook& tokens() { return tokens_; }
  // The answer holds the token itself, this once; its repetition does not.
  Result<Json> create_token(TokenRecord token, const Change& change);
  Result<Json> revoke_token(std::string_view name, const Change& change);

  // Whether the store answers.
  Status ready() const;
  // Idempotent answers from before this time (as now_text() writes it).
  void forget_old_answers(const std::string& before);

  Result<Json> audit(uint64_t before, size_t limit) const;
  Status verify_audit() const;
  // All nodes' metrics as one exposition, and ADR-002's five groups as JSON.
  std::string prometheus() const;
  Json summary() const;

  // The state as one file's bytes; the audit log says who took it.
  Result<std::string> backup(const Actor& actor);

  // Judges nodes and advances roll-outs, in memory: a store that hangs must not look like a pause
  // of this process. To be called twice a second.
  void tick();
  // What follows from that in the store: failed roll-outs go back, records of the dead are deleted.
  // To be called as often, on a thread that may wait.
  void settle();
  // Called after every visible change, on the thread that made it, without a lock. Set once, before
  // requests come.
  void on_change(std::function<void()> listener);

 private:
  // A pool's instances as callers of one zone choose among them; made anew as loads move.
  struct Candidates {
    uint64_t revision = 0;
    TimePoint made;
    std::vector<cluster::PoolInstance> instances;
    std::shared_ptr<const route::Targets> targets;
  };
  const Candidates& candidates(const PoolRequest& request, TimePoint now) CENOTE_REQUIRES(state_);

  // One line of configurations. A node takes those of the scope that it names.
  struct Scope {
    cluster::ConfigId head;                     // the newest version
    uint64_t head_version = 0;                  // of the head's key in the store
    std::unique_ptr<cluster::Rollout> rollout;  // of the newest version
    bool rollout_kept = false;                  // in the store too, until it has ended
    bool no_way_back = false;                   // it failed, and there is nothing to go back to

    // The newest version that came through its roll-out; 0: none did.
    const cluster::ConfigId& proven() const;
  };

  PoolCoordinator(Options options, std::unique_ptr<Store> store);
  Status restore(const CallContext& context);
  Status restore_tokens(const CallContext& context);
  Result<std::vector<cluster::NodeRecord>> stored_nodes(const CallContext& context);
  // Heads and roll-outs as the store has them; what is known already stays.
  Status load_scopes(const CallContext& context);
  // To be called first in every change. After one whose outcome is unknown, or that somebody else
  // overtook, it reads again what the store holds.
  Status catch_up(const CallContext& context) CENOTE_REQUIRES(changes_);
  // The stored answer of a repeated request, if this is one.
  Result<std::optional<Json>> replay(const CallContext& context, const Change& change) const
      CENOTE_REQUIRES(changes_);
  // Commits a change with its audit entry and its idempotent answer; the version that was given.
  Result<uint64_t> commit(const CallContext& context, StoreWrite write, const Change& change,
                          std::string_view action, Json from, Json to, const Json& answer)
      CENOTE_REQUIRES(changes_);
  Result<Json> append_version(const CallContext& context, std::string_view name,
                              std::string_view content, std::string_view action,
                              std::string_view reason, const Change& change)
      CENOTE_REQUIRES(changes_);
  Result<Json> stored_version(const CallContext& context, std::string_view scope,
                              uint64_t version) const;
  uint64_t head_of(std::string_view scope) const;
  Status keep(const cluster::NodeRecord& record);
  void advance_rollouts(TimePoint now) CENOTE_REQUIRES(state_);
  void note_preservation(TimePoint now) CENOTE_REQUIRES(state_);
  void forget_silent_clients(TimePoint now) CENOTE_REQUIRES(sums_);
  void forget_metrics(std::string_view node_id);
  // Brings the old content back where a roll-out failed.
  Status bring_back(const std::string& scope, const std::string& reason);
  void forget_rollout(const std::string& scope);
  void delete_records(const std::vector<std::string>& node_ids);
  // Tells the listener if something visible moved since the last time.
  void announce();
  // Those of one process into the sums; says once of a metric that it did not fit.
  void take_metrics(const std::string& process, cluster::MetricsReport report);

  const Options options_;
  const std::unique_ptr<Store> store_;
  TokenBook tokens_;

  // Orders administrative changes; held across the store's commits, never while heartbeats wait.
  Turn changes_;
  Audit audit_ CENOTE_GUARDED_BY(changes_);
  bool doubtful_ CENOTE_GUARDED_BY(changes_) = false;  // the store may hold more than we know

  mutable Mutex state_;  // guards what is below; memory only
  std::unique_ptr<cluster::ServiceRegistry> registry_ CENOTE_GUARDED_BY(state_);
  std::map<std::string, Scope, std::less<>> scopes_ CENOTE_GUARDED_BY(state_);
  std::vector<std::string> reaped_ CENOTE_GUARDED_BY(state_);  // their records are to be deleted
  ClusterMetrics own_metrics_ CENOTE_GUARDED_BY(state_);
  std::unique_ptr<route::LoadBalancer> load_balancer_ CENOTE_GUARDED_BY(state_);
  std::map<std::pair<std::string, std::string>, Candidates> candidates_
      CENOTE_GUARDED_BY(state_);  // by pool and zone
  std::function<void()> listener_ CENOTE_GUARDED_BY(state_);
  uint64_t announced_ CENOTE_GUARDED_BY(state_) = 0;

  // Apart from the rest, because adding up takes long; never held together with state_.
  mutable Mutex sums_;
  cluster::MetricsAggregator metrics_ CENOTE_GUARDED_BY(sums_);
  std::set<std::string> odd_metrics_ CENOTE_GUARDED_BY(sums_);  // names that were left out once
  // When clients reported last.
  std::map<std::string, TimePoint, std::less<>> clients_ CENOTE_GUARDED_BY(sums_);
};

}  // namespace cenote::coordinator
