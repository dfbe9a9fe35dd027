// ADR-002's PoolCoordinator: the registry, the configuration and the advice, over a store. Knows no
// HTTP: api.cc speaks it. Its death stops no query anywhere, because nothing here is on a query's
// path.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
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
#include "coordinator/store.h"
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

// What went wrong, as HTTP will say it.
enum class Refusal : uint8_t { kNotFound, kConflict, kPreconditionRequired, kStale, kInvalid };
struct RefusalDetail final : arrow::StatusDetail {
  Refusal refusal;
  explicit RefusalDetail(Refusal why) : refusal(why) {}
  const char* type_id() const override { return "cenote::coordinator::RefusalDetail"; }
  std::string ToString() const override { return {}; }
};
Status refuse(Refusal why, std::string message);
std::optional<Refusal> refusal_of(const Status& status);

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
  static Result<std::unique_ptr<PoolCoordinator>> open(Options options,
                                                       std::unique_ptr<Store> store);
  ~PoolCoordinator();

  // ---- Nodes. What they tell is soft: it is applied in memory, then kept in the store.
  Result<Json> register_node(const cluster::Registration& about);
  // kNotFound: the node must register again. The answer says which configuration to have.
  Result<Json> heartbeat(const cluster::Heartbeat& beat, const cluster::Rollout::Report& config);
  Status report_metrics(std::string_view node_id, cluster::MetricsReport report);
  Result<Json> drain(std::string_view node_id, bool on, const Change& change);
  Result<Json> remove(std::string_view node_id, const Change& change);
  // Somebody's connection to the node was refused.
  void refused(std::string_view node_id);

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

  Result<Json> audit(uint64_t before, size_t limit) const;
  Status verify_audit() const;
  // All nodes' metrics as one exposition, and ADR-002's five groups as JSON.
  std::string prometheus() const;
  Json summary() const;

  // Judges nodes and advances roll-outs; to be called twice a second.
  void tick();
  // Called after every visible change, on the thread that made it, without a lock.
  void on_change(std::function<void()> listener);

 private:
  struct Scope {
    uint64_t head = 0;
    uint64_t store_version = 0;  // of the head's key
    std::unique_ptr<cluster::Rollout> rollout;
  };

  PoolCoordinator(Options options, std::unique_ptr<Store> store);
  Status restore(const CallContext& context);
  // The stored answer of a repeated request, if this is one.
  Result<std::optional<Json>> replay(const Change& change) const;
  // Commits a change with its audit entry and its idempotent answer.
  Status commit(StoreWrite write, const Change& change, std::string_view action, Json from, Json to,
                const Json& answer) CENOTE_REQUIRES(mutex_);
  Result<Json> append_version(Scope& scope, std::string_view name, std::string_view content,
                              std::string_view action, const Change& change, bool staged)
      CENOTE_REQUIRES(mutex_);
  Result<Json> stored_version(std::string_view scope, uint64_t version) const;
  std::vector<std::string> living_nodes() const CENOTE_REQUIRES(mutex_);
  void advance_rollouts(TimePoint now) CENOTE_REQUIRES(mutex_);
  // Tells the listener if the registry moved since the last time.
  void announce();

  const Options options_;
  const std::unique_ptr<Store> store_;

  mutable Mutex mutex_;  // guards all below; held across the store's commits, which order changes
  std::unique_ptr<cluster::ServiceRegistry> registry_ CENOTE_GUARDED_BY(mutex_);
  std::map<std::string, Scope, std::less<>> scopes_ CENOTE_GUARDED_BY(mutex_);
  Audit audit_ CENOTE_GUARDED_BY(mutex_);
  cluster::MetricsAggregator metrics_ CENOTE_GUARDED_BY(mutex_);
  std::function<void()> listener_ CENOTE_GUARDED_BY(mutex_);
  uint64_t announced_ CENOTE_GUARDED_BY(mutex_) = 0;
};

}  // namespace cenote::coordinator
