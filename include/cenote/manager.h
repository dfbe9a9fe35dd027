// ADR-002's DistributedPoolManager: the named pools of this process, and (in the other deployment
// modes) the cluster's.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cenote/config.h"
#include "cenote/pool.h"

namespace cenote {

// Where an answer came from.
struct Origin {
  std::string node;      // its id; empty: this process's own pool
  std::string location;  // of the node: "grpc://host:port"
  int attempts = 1;      // one more for each place that failed before
  // The cluster was out of reach, and the place came from what was known of it before.
  bool stale = false;
  // What told of the place: "coordinator", "consul", "etcd", "list", or "cache" where it is stale;
  // "own": this process's own pool.
  std::string source{};
  // When the source last confirmed what this process knew then; none: never, or no matter.
  std::optional<std::chrono::system_clock::time_point> as_of{};
  uint64_t config_version = 0;  // that the place had applied, as far as is known; 0: none
  std::string target{};  // of a pool with a failover strategy: the pool or endpoint that answered
};

// A pool with a failover strategy, or with several endpoints.
struct FailoverStatus {
  struct Target {
    std::string name;
    std::string state;  // writable, read-only, dead, overloaded, unauthorised, unknown; of
                        // load_balanced also down, ejected
    std::string error;  // of its last check; empty: it passed
  };
  std::string id;
  std::string strategy;  // active_standby, load_balanced
  // active, suspect, confirm, switching, failback_wait, latched; panic; starting: who is active was
  // not learned yet
  std::string state;
  uint64_t epoch = 0;
  std::string store;        // what keeps the epochs
  std::string store_error;  // why it cannot be asked; empty: it answers
  std::string active;       // of active_standby
  bool takes_writes = false;
  std::string why;  // why it takes none
  std::vector<Target> targets;
  std::vector<std::string> events;         // the last ones, oldest first
  std::map<std::string, uint64_t> counts;  // of all, by the kind that each begins with
};

// What this process believes about the cluster.
struct ClusterStatus {
  struct Node {
    std::string id;
    std::string location;
    std::string zone;
    std::string state;  // up, suspect, frozen, draining, dead
    std::vector<std::string> pools;
    std::optional<bool> reached{};  // by this process's last probe; none: not probed
  };
  // Whether this process hears the cluster, as docs/partitions.md has it.
  struct Partition {
    std::string state = "connected";  // suspect, partitioned, local, recovering
    std::string cause;                // "minority", "store-lost", ...; empty: nothing is missing
    std::string reason;               // of the last change, for a person
    Duration since{};                 // that change's age
    bool source_answers = true;       // the store or coordinator, when it was asked last
    double share = 1;  // of their calls that nodes get which were out of reach before
  };
  std::string source;  // the endpoints of the coordinator or the store
  std::string cluster;
  uint64_t term = 0;
  uint64_t revision = 0;
  std::optional<Duration> age;  // since the source last confirmed this; none: never
  std::string alarm;            // why its last answer was not taken; empty: it was
  std::string last_error;       // why it cannot be asked; empty: it answers
  std::vector<Node> nodes;
  Partition partition{};
};

// In the modes coordinated and distributed a call goes to this process's own pool of that id; where
// there is none, or where it cannot reach its database, to a node of the local view. A call that a
// node did not take goes to another; a read whose answer was lost too, once. A write never goes
// twice: its error says "not sent" (retryable) or that its outcome is unknown (ErrorDetail::sent is
// kMaybe). A query counts as a read where QueryOptions::access says so, or where its text shows
// that it writes nothing.
//
// Thread-safe.
class DistributedPoolManager {
 public:
  // Opens the pools of `config`, in its order; on an error none stays open. Does not wait for the
  // coordinator or the store.
  static Result<std::unique_ptr<DistributedPoolManager>> open(DeploymentConfig config);
  static Result<std::unique_ptr<DistributedPoolManager>> from_yaml(
      const std::filesystem::path& file);
  // Closes what is open, waiting for no one.
  ~DistributedPoolManager();

  DeploymentMode mode() const;

  // kConfig if the id is taken.
  Result<std::shared_ptr<LocalPool>> create_pool(PoolConfig config);
  // A pool of this process; where a failover strategy stands for that id, the one that calls go to
  // at this moment. kUnknownPool names the pools there are.
  Result<std::shared_ptr<LocalPool>> pool(std::string_view id) const;
  // Drains it (refusing new work at once), then forgets it.
  Status remove_pool(std::string_view id, Deadline deadline);
  std::vector<std::string> list_pools() const;  // in the order of their making
  // Makes the process's pools those of a new configuration: opens what is new or changed, forgets
  // the rest, and drains it in the background until the deadline. On an error all stays as it is.
  Status replace_pools(std::vector<PoolConfig> pools, Deadline deadline);

  // The calls of LocalPool, wherever the pool is. `origin`, if given, is filled in on success.
  Result<std::shared_ptr<arrow::Table>> execute_query(std::string_view pool_id,
                                                      std::string_view sql,
                                                      const Params& params = {},
                                                      const QueryOptions& options = {},
                                                      Origin* origin = nullptr);
  // The stream stays on its node.
  Result<std::shared_ptr<arrow::RecordBatchReader>> execute_stream(std::string_view pool_id,
                                                                   std::string_view sql,
                                                                   const Params& params = {},
                                                                   const QueryOptions& options = {},
                                                                   Origin* origin = nullptr);
  Result<int64_t> execute(std::string_view pool_id, std::string_view sql, const Params& params = {},
                          const QueryOptions& options = {}, Origin* origin = nullptr);
  Result<int64_t> ingest(std::string_view pool_id, const IngestTarget& target,
                         arrow::RecordBatchReader& rows, const QueryOptions& options = {},
                         Origin* origin = nullptr);
  // The transaction stays on its node.
  Result<Transaction> begin(std::string_view pool_id, const TransactionOptions& transaction = {},
                            const QueryOptions& options = {}, Origin* origin = nullptr);
  // The ids of all pools that calls can go to: this process's own and the cluster's, sorted.
  std::vector<std::string> discover_pools() const;
  // None in mode standalone.
  std::optional<ClusterStatus> cluster_status() const;

  // This process serves others as the node of that id, and its lease held at that term and revision
  // of the coordinator: a list of the same term, as new or newer, that lacks the node is not taken.
  // Empty: it holds none. Without effect in mode standalone.
  void expect_node(std::string_view node_id, uint64_t term, uint64_t revision);
  // The operator's word that recovery_strategy manual waits for. kInterface: nothing waits for it.
  Status recover();

  // Whether a failover strategy stands for that id, all of whose targets are of this process.
  bool has_failover(std::string_view pool_id) const;
  // Of each pool with a failover strategy or several endpoints.
  std::vector<FailoverStatus> failover_status() const;
  // Sends the calls of an active_standby pool to `to`, or where that is empty to the best other
  // target; releases the latch. The target that calls go to now; with `dry_run`, that they would.
  // An error says why not: a database is never promoted.
  Result<std::string> failover(std::string_view pool_id, std::string_view to, bool dry_run = false);

  // Of a pool with several endpoints: the active one's.
  std::vector<PoolStatus> get_status() const;
  std::string prometheus() const;  // all pools' metrics as one exposition

  // Where the Prometheus endpoint listens, "127.0.0.1:9464"; empty when it is off.
  std::string prometheus_address() const;

  // Drains all pools side by side.
  Status drain(Deadline deadline);

 private:
  struct Parts;
  explicit DistributedPoolManager(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace cenote
