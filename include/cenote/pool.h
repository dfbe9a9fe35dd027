// A pool of connections to one database, and ADR-002's LocalPool on top of it: SQL in, Arrow frame
// out.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/type_fwd.h>

#include "cenote/deadline.h"
#include "cenote/driver.h"
#include "cenote/error.h"
#include "cenote/failover.h"
#include "cenote/params.h"

namespace cenote {

// ---- Options
// ----------------------------------------------------------------------------------------------------------

// Defaults and their sources are in docs/pool.md; each is one row of the configuration's schema.
struct PoolOptions {
  int max_connections = 10;  // of the read-write lane; closing connections count too
  int min_connections = 0;
  int max_readers = 0;  // of the read lane, where the driver has one; 0: the driver's default
  int max_connecting = 2;
  int max_waiting = 0;  // 0: no limit
  Duration acquire_timeout = std::chrono::seconds(30);
  Duration connect_timeout = std::chrono::seconds(5);
  Duration query_timeout = Duration::zero();  // zero: none
  Duration idle_timeout = std::chrono::minutes(10);
  Duration max_lifetime = std::chrono::minutes(30);
  double lifetime_jitter =
      0.10;  // each connection lives max_lifetime less a random part up to this
  Duration validate_after_idle = std::chrono::seconds(1);
  Duration validation_timeout = std::chrono::seconds(1);
  Duration keepalive_interval =
      std::chrono::minutes(2);  // ± 10 %; zero: off; only where the driver is remote
  Duration reset_timeout = std::chrono::seconds(5);
  Duration leak_threshold =
      std::chrono::seconds(60);  // a checkout this old is logged with its holder; zero: off
  Duration stream_idle_limit =
      std::chrono::minutes(5);  // a reader not read for this long loses its connection

  bool operator==(const PoolOptions&) const = default;
};

struct HealthOptions {
  Duration interval = std::chrono::seconds(2);  // ± 20 %; zero: no health checker
  Duration timeout = std::chrono::seconds(1);
  int fall = 3;
  int rise = 2;

  bool operator==(const HealthOptions&) const = default;
};

struct PoolConfig {
  std::string id;
  std::string type;  // the driver's name
  DriverConfig config;
  PoolOptions pool;
  HealthOptions health;
  // Asked before every connect, so that rotated passwords are taken up; must be thread-safe and
  // quick, and must not destroy the pool, whose thread may ask. Empty: `config`'s.
  std::function<Result<Credentials>()> credentials;
  // "host" or "host:port" of the servers of one database. Given: a DistributedPoolManager makes a
  // pool for each, and calls go to the one that takes writes; `failover` may say otherwise.
  std::vector<std::string> endpoints;
  // Of calls to this pool's id; none: the deployment's. The manager acts on it, not the pool.
  std::optional<FailoverStrategy> failover;
};

// Options of one call. The deadline is the earlier of `timeout` from now and the pool's
// query_timeout; waiting for the connection is bounded by acquire_timeout too.
struct QueryOptions {
  std::optional<Duration> timeout;
  std::stop_token stop;
  BatchLimits limits;
  std::optional<Access> access;  // given: do not ask the driver
  std::string tag;               // the holder, as leak logs and the exhaustion error name it
};

// ---- Status
// -----------------------------------------------------------------------------------------------------------

enum class HealthState : uint8_t { kUnknown, kUp, kSuspect, kDown };
std::string_view to_string(HealthState state);

struct Holder {
  std::string tag;  // QueryOptions::tag, or the beginning of the statement
  Duration held_for = Duration::zero();
};

// A snapshot; the numbers belong together.
struct PoolStatus {
  std::string id;
  std::string type;
  std::string endpoint;
  int max = 0;     // the limit: both lanes together
  int total = 0;   // connecting + idle + active + resetting + closing + checking
  int active = 0;  // checked out
  int idle = 0;
  int connecting = 0;
  int resetting = 0;  // being cleaned, or proved alive while idle
  int closing = 0;
  int checking = 0;  // the health checker's own, which yields when callers need its place
  int waiting = 0;
  uint64_t generation = 0;
  bool paused = false;
  bool closed = false;
  std::optional<Holder> longest_holder;
  // Health, from the pool's checker.
  HealthState health = HealthState::kUnknown;
  Role role = Role::kUnknown;
  bool read_only = false;
  std::optional<std::chrono::milliseconds> lag;
  bool authorised = true;   // false: the server refuses our credentials
  bool overloaded = false;  // the server answers "too many connections"
  std::string last_error;   // empty when the last check passed
  Duration uptime = Duration::zero();
};

// Totals since the pool was opened, and quantiles of the mergeable histograms behind them.
struct PoolMetrics {
  uint64_t queries = 0;
  uint64_t errors = 0;
  uint64_t rows = 0;
  uint64_t checkouts = 0;
  uint64_t timeouts = 0;
  uint64_t connects = 0;
  uint64_t connect_failures = 0;
  double queries_per_second = 0;  // over the last 60 s, or the pool's life if shorter
  double utilization = 0;         // active / max now, 0 to 1
  Duration query_mean = Duration::zero();
  Duration query_p50 = Duration::zero();
  Duration query_p99 = Duration::zero();
  Duration wait_p99 = Duration::zero();
};

// ---- Handles
// ----------------------------------------------------------------------------------------------------------

class DatabasePool;

// A checked-out connection: move-only; its destructor returns it. Belongs to one thread at a time.
// One that was inherited by a forked child must not be used there; dropping it does nothing.
class Lease {
 public:
  Lease() = default;
  Lease(Lease&& other) noexcept { swap(other); }
  Lease& operator=(Lease&& other) noexcept {
    Lease(std::move(other)).swap(*this);
    return *this;
  }
  ~Lease() { give_back(); }

  explicit operator bool() const { return connection_ != nullptr; }
  Connection* operator->() const { return connection_; }
  Connection& operator*() const { return *connection_; }

  // Returns it now. What it needs (roll-back, reset, closing) happens on this thread or the pool's;
  // never throws.
  void give_back() noexcept;
  // Closes it instead of returning it.
  void discard() noexcept;
  // Calls go to another database by now: what runs here is cancelled, the next statement refused.
  bool retired() const;

 private:
  friend class DatabasePool;
  void swap(Lease& other) noexcept {
    std::swap(pool_, other.pool_);
    std::swap(connection_, other.connection_);
    std::swap(slot_, other.slot_);
  }

  // A lease may outlive whoever opened the pool: an open connection keeps its pool alive. No shared
  // pointer here, because counting references would cost a checkout more than the rest of it.
  DatabasePool* pool_ = nullptr;
  Connection* connection_ = nullptr;
  uint32_t slot_ = 0;
};

// Called exactly once, on a thread of the pool's executor (or on the caller's where the answer was
// there at once).
template <typename T>
using Completion = std::function<void(Result<T>)>;

// ADR-002's `connection_pool: Box<dyn DatabasePool>`: checkout and return, nothing of SQL.
// Thread-safe.
class DatabasePool {
 public:
  virtual ~DatabasePool() = default;

  // First in, first out, but for running callers that may pass the queue while its head has waited
  // for less than 1 ms. kPoolTimeout says total, active, idle, waiting and the longest holder.
  // `tag` names the holder; its beginning is copied.
  virtual Result<Lease> checkout(const CallContext& context, Access access,
                                 std::string_view tag) = 0;
  // The same without a thread while it waits. Stopping completes it with kCancelled.
  virtual void checkout_async(const CallContext& context, Access access, std::string tag,
                              Completion<Lease> done) = 0;

  virtual PoolStatus status() const = 0;
  virtual Status resize(int max_connections, int min_connections) = 0;
  // Raises the generation: idle connections close now, checked-out ones when they return; waiters
  // stay.
  virtual void clear() = 0;
  // The same where calls go to another database from here on: what callers keep (a lease by
  // LocalPool::checkout(), a connection, a transaction) ends too. A statement that runs on one is
  // cancelled, the next is refused (kConnection, not sent), and so is a commit.
  virtual void retire() = 0;
  // No checkout until resume(); waiters wait.
  virtual void pause() = 0;
  virtual void resume() = 0;
  // Refuses new checkouts, waits for those out, cancels what is left at the deadline, closes all.
  // Idempotent.
  virtual Status drain(Deadline deadline) = 0;

 protected:
  friend class Lease;
  // The pool must live until the lease came back.
  Lease make_lease(Connection* connection, uint32_t slot) {
    Lease lease;
    lease.pool_ = this;
    lease.connection_ = connection;
    lease.slot_ = slot;
    return lease;
  }
  static uint32_t slot_of(const Lease& lease) { return lease.slot_; }
  virtual void give_back(uint32_t slot, Connection* connection, bool discard) noexcept = 0;
  virtual bool retired(uint32_t slot) const = 0;
};

// ---- LocalPool
// --------------------------------------------------------------------------------------------------------

struct Call;
class HealthChecker;
class LocalMetrics;
class LocalPool;

// A transaction on one connection, of this process or of a node; rolls back when destroyed open.
// Used by one thread at a time.
class Transaction {
 public:
  class State;  // what a pool of any kind implements: src/pool/transaction_state.h
  explicit Transaction(std::unique_ptr<State> state);
  Transaction(Transaction&&) noexcept;
  Transaction& operator=(Transaction&&) noexcept;
  ~Transaction();

  Result<std::shared_ptr<arrow::Table>> execute_query(std::string_view sql,
                                                      const Params& params = {},
                                                      const QueryOptions& options = {});
  // At most one reader of a transaction is open at a time: the next call fails with kInterface
  // until it ended or was closed.
  Result<std::shared_ptr<arrow::RecordBatchReader>> execute_stream(
      std::string_view sql, const Params& params = {}, const QueryOptions& options = {});
  Result<int64_t> execute(std::string_view sql, const Params& params = {},
                          const QueryOptions& options = {});
  Result<int64_t> ingest(const IngestTarget& target, arrow::RecordBatchReader& rows,
                         const QueryOptions& options = {});
  Result<StatementInfo> describe(std::string_view sql, const QueryOptions& options = {});

  Status savepoint(std::string_view name);
  Status release(std::string_view name);
  Status rollback_to(std::string_view name);

  // End it and return the connection. After a failed commit whose fate is unknown the error says so
  // (Sent::kMaybe). A commit may take options.timeout; by default as long again as its begin was
  // given (QueryOptions::timeout or the pool's query_timeout), and 30 s where that was no limit.
  // So may savepoints; rolling back has 5 s.
  Status commit(const QueryOptions& options = {});
  Status rollback();
  bool is_open() const;

 private:
  std::unique_ptr<State> state_;
};

// ADR-002's LocalPool {id, connection_pool, metrics, health_checker}. Thread-safe. Held by
// shared_ptr, because streams, transactions and asynchronous calls keep it alive until they ended.
//
// A forked child may use it too: it drops the sessions of its parent without touching them and
// opens its own on first use. Leases, streams and transactions that were open at the fork stay the
// parent's: in the child they answer with kInterface, and dropping them does nothing.
class LocalPool : public std::enable_shared_from_this<LocalPool> {
 public:
  struct Parts;  // of the implementation

  // Validates the configuration and opens the target without connecting, unless min_connections > 0
  // (then it connects in the background). kConfig on a bad key or value.
  static Result<std::shared_ptr<LocalPool>> open(PoolConfig config);
  // Closes at once: cancels what runs, waits for no one. drain() first where that matters.
  ~LocalPool();

  const std::string& id() const;
  const std::string& type() const;
  const PoolConfig& config() const;

  // The whole result. Zero-copy from here on.
  Result<std::shared_ptr<arrow::Table>> execute_query(std::string_view sql,
                                                      const Params& params = {},
                                                      const QueryOptions& options = {});
  // Batch by batch. The reader owns its connection and returns it at the end, on error, on Close()
  // and on destruction.
  Result<std::shared_ptr<arrow::RecordBatchReader>> execute_stream(
      std::string_view sql, const Params& params = {}, const QueryOptions& options = {});
  // Affected rows; -1 where the database does not say.
  Result<int64_t> execute(std::string_view sql, const Params& params = {},
                          const QueryOptions& options = {});
  Result<int64_t> ingest(const IngestTarget& target, arrow::RecordBatchReader& rows,
                         const QueryOptions& options = {});
  // What the database knows of a statement without running it; kNotSupported where it cannot tell.
  Result<StatementInfo> describe(std::string_view sql, const QueryOptions& options = {});
  Result<Transaction> begin(const TransactionOptions& transaction = {},
                            const QueryOptions& options = {});
  Result<Lease> checkout(const QueryOptions& options = {});

  // Hold no thread while they wait for a connection, then run on the executor. cenote/asio.h makes
  // Asio operations of them.
  void async_query(std::string sql, Params params, QueryOptions options,
                   Completion<std::shared_ptr<arrow::Table>> done);
  void async_stream(std::string sql, Params params, QueryOptions options,
                    Completion<std::shared_ptr<arrow::RecordBatchReader>> done);
  void async_execute(std::string sql, Params params, QueryOptions options,
                     Completion<int64_t> done);
  void async_begin(TransactionOptions transaction, QueryOptions options,
                   Completion<Transaction> done);
  // Any blocking work with a connection of this pool: checks out, then calls `work` on the
  // executor.
  void async_with_lease(QueryOptions options, std::function<void(Result<Lease>)> work);

  PoolStatus get_status() const;
  PoolMetrics get_metrics() const;
  // Prometheus text of this pool's metrics, names as OpenTelemetry's semantic conventions give
  // them.
  std::string prometheus() const;
  // One check now, by the health checker's own rules. OK too where the pool is so full that there
  // is no way to ask, unless the last answer was bad.
  Status health_check(const CallContext& context);

  DatabasePool& connection_pool();
  Status resize(int max_connections, int min_connections);
  Status drain(Deadline deadline);

 private:
  friend struct LocalPoolAccess;
  explicit LocalPool(std::unique_ptr<Parts> parts);
  Result<Transaction> begin_on(Lease lease, const Call& call, const TransactionOptions& options);
  // This process's parts: a forked child makes its own on first use.
  Parts& parts() const;
  Parts& renew_after_fork() const;
  mutable std::atomic<Parts*> parts_;
};

}  // namespace cenote
