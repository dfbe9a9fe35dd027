// What a LocalPool is made of, for the files of this part and its tests.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "cenote/pool.h"

#include "pool/connection_pool.h"
#include "pool/executor.h"
#include "pool/health_checker.h"
#include "pool/keeper.h"
#include "pool/local_metrics.h"

namespace cenote {

// One call, its times and its place in the pool decided once at the edge.
struct Call {
  TimePoint began;
  CallContext wait;     // for the connection
  CallContext context;  // for the statement
  Access access = Access::kReadWrite;
  std::string_view tag;  // of the caller's options or statement, which outlive the call
};

// How long a transaction's own steps may take: as long as its begin was given.
class StepLimit {
 public:
  StepLimit() = default;
  explicit StepLimit(const Call& begin) {
    if (!begin.context.deadline.is_never()) limit_ = begin.context.deadline.at() - begin.began;
  }
  Duration limit() const { return limit_; }
  CallContext context() const { return {Deadline::in(limit_), {}}; }
  // Rolling back is not the caller's wish alone, and what cannot be rolled back is closed.
  static CallContext rollback() { return {Deadline::in(std::chrono::seconds(5)), {}}; }

 private:
  Duration limit_ = std::chrono::seconds(30);
};

// How a pool's database is opened anew in a forked child.
using OpenDatabase = std::function<Result<std::shared_ptr<Database>>()>;

struct LocalPool::Parts {
  const uint64_t born = fork_generation();
  std::once_flag left;  // to the parent, in a forked child
  PoolConfig config;
  const DriverTraits* traits = nullptr;
  OpenDatabase open_database;
  std::shared_ptr<Database> database;
  std::shared_ptr<LocalMetrics> metrics;
  std::shared_ptr<Executor> executor;
  std::shared_ptr<ConnectionPool> connection_pool;
  // Last: their threads end before what they use dies.
  std::unique_ptr<HealthChecker> health_checker;
  std::unique_ptr<Keeper> keeper;

  bool inherited() const { return born != fork_generation(); }
  // What a handle answers that a forked child inherited.
  Status inherited_error() const;

  Call call(std::string_view sql, const QueryOptions& options, bool writes) const;
  // Of a commit: `options`, else the limit.
  CallContext commit_context(const QueryOptions& options, const StepLimit& limit) const;
  Result<Lease> take(const Call& call, bool by_hand = false) const;
  // Why a lease that was kept is of no use any more; OK if it is.
  Status check_retired(const Lease& lease) const;
  // Counts a statement that ended; returns its status with the origin filled in. `rows` below zero
  // where it returns none.
  Status finish(const Status& status, TimePoint begin, int64_t rows) const;
  // The same of one that failed there; a lease that it spoilt is discarded.
  Status failed_on(Lease& lease, const Status& error, TimePoint begin) const;
  // Each runs one call on a connection; one that a failure spoilt is discarded.
  Result<std::shared_ptr<arrow::Table>> query_on(Lease& lease, const Call& call,
                                                 std::string_view sql, const Params& params,
                                                 const BatchLimits& limits) const;
  Result<int64_t> execute_on(Lease& lease, const Call& call, std::string_view sql,
                             const Params& params) const;
  Result<int64_t> ingest_on(Lease& lease, const Call& call, const IngestTarget& target,
                            arrow::RecordBatchReader& rows) const;
};

// Lets this part and its tests reach into a LocalPool.
struct LocalPoolAccess {
  static std::shared_ptr<LocalPool> make(PoolConfig config, const DriverTraits& traits,
                                         std::shared_ptr<Database> database,
                                         OpenDatabase open_database);
  static LocalPool::Parts& parts(const LocalPool& pool) { return pool.parts(); }
};

// LocalPool::open with a database of the caller's: tests bring one that fails on command.
Result<std::shared_ptr<LocalPool>> open_local_pool(PoolConfig config, const DriverTraits& traits,
                                                   std::shared_ptr<Database> database,
                                                   OpenDatabase open_database = nullptr);

// Runs the statement and wraps its reader: it owns the lease from here on.
Result<std::shared_ptr<arrow::RecordBatchReader>> open_stream(
    std::shared_ptr<LocalPool> pool, const LocalPool::Parts& parts, Lease lease, const Call& call,
    std::string_view sql, const Params& params, const BatchLimits& limits);

}  // namespace cenote
