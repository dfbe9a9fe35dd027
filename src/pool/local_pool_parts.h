// What a LocalPool is made of, for the files of this part and its tests.
#pragma once

#include <memory>
#include <string>

#include "cenote/pool.h"

#include "pool/connection_pool.h"
#include "pool/executor.h"
#include "pool/health_checker.h"
#include "pool/local_metrics.h"

namespace cenote {

// One call, its times and its place in the pool decided once at the edge.
struct Call {
  CallContext wait;     // for the connection
  CallContext context;  // for the statement
  Access access = Access::kReadWrite;
  std::string tag;
};

struct LocalPool::Parts {
  PoolConfig config;
  const DriverTraits* traits = nullptr;
  std::shared_ptr<Database> database;
  std::shared_ptr<LocalMetrics> metrics;
  std::shared_ptr<Executor> executor;
  std::shared_ptr<ConnectionPool> connection_pool;
  std::unique_ptr<HealthChecker> health_checker;

  Call call(std::string_view sql, const QueryOptions& options, bool writes) const;
  Result<Lease> take(const Call& call) const;
  // Counts a statement that ended; returns its status with the origin filled in.
  Status finish(const Status& status, TimePoint begin, int64_t rows) const;
  Result<std::shared_ptr<arrow::Table>> query_on(Lease& lease, const Call& call,
                                                 std::string_view sql, const Params& params,
                                                 const BatchLimits& limits) const;
};

// Lets this part make a LocalPool over any database, and see what it is made of.
struct LocalPoolAccess {
  static const LocalPool::Parts& parts(const LocalPool& pool) { return *pool.parts_; }
  static std::shared_ptr<LocalPool> make(PoolConfig config, const DriverTraits& traits,
                                         std::shared_ptr<Database> database);
};

// LocalPool::open with a database of the caller's: tests bring one that fails on command.
Result<std::shared_ptr<LocalPool>> open_local_pool(PoolConfig config, const DriverTraits& traits,
                                                   std::shared_ptr<Database> database);

// Runs the statement and wraps its reader: it owns the lease from here on.
Result<std::shared_ptr<arrow::RecordBatchReader>> open_stream(
    std::shared_ptr<LocalPool> pool, const LocalPool::Parts& parts, Lease lease, const Call& call,
    std::string_view sql, const Params& params, const BatchLimits& limits);

}  // namespace cenote
