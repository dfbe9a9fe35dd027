// ADR-002's LocalPool: SQL in, Arrow frame out, through its connection pool.
#include <algorithm>
#include <thread>
#include <utility>

#include <arrow/table.h>

#include "base/clip.h"
#include "pool/local_pool_parts.h"

namespace cenote {

LocalPool::LocalPool(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

LocalPool::~LocalPool() {
  if (parts_ != nullptr) parts_->connection_pool->abort();
}

Result<std::shared_ptr<LocalPool>> LocalPool::open(PoolConfig config) {
  ARROW_ASSIGN_OR_RAISE(const Driver* driver, find_driver(config.type));
  Result<std::shared_ptr<Database>> database = driver->open(config.config);
  if (!database.ok()) return with_origin(database.status(), config.id, "");
  return open_local_pool(std::move(config), driver->traits(), std::move(*database));
}

Result<std::shared_ptr<LocalPool>> open_local_pool(PoolConfig config, const DriverTraits& traits,
                                                   std::shared_ptr<Database> database) {
  const PoolOptions& options = config.pool;
  if (config.id.empty()) return make_error(ErrorKind::kConfig, "a pool needs an id");
  if (options.max_connections < 1 || options.min_connections < 0 ||
      options.min_connections > options.max_connections || options.max_connecting < 1) {
    return make_error(ErrorKind::kConfig,
                      "pool '" + config.id +
                          "': max_connections and max_connecting must be at least 1, and "
                          "min_connections between 0 and max_connections");
  }
  return LocalPoolAccess::make(std::move(config), traits, std::move(database));
}

std::shared_ptr<LocalPool> LocalPoolAccess::make(PoolConfig config, const DriverTraits& traits,
                                                 std::shared_ptr<Database> database) {
  auto parts = std::make_unique<LocalPool::Parts>();
  parts->config = std::move(config);
  parts->traits = &traits;
  parts->database = database;
  parts->metrics = std::make_shared<LocalMetrics>();
  const int readers = std::max(parts->config.pool.max_readers, database->default_readers());
  const int threads =
      parts->config.pool.max_connections + readers + parts->config.pool.max_connecting + 1;
  parts->executor = std::make_shared<Executor>(threads);
  parts->connection_pool = std::make_shared<ConnectionPool>(parts->config, traits, database,
                                                            parts->metrics, parts->executor);
  const std::weak_ptr<ConnectionPool> weak = parts->connection_pool;
  parts->health_checker = std::make_unique<HealthChecker>(
      parts->config.health,
      [weak](const CallContext& context) -> Result<std::unique_ptr<Connection>> {
        const auto pool = weak.lock();
        if (pool == nullptr) return make_error(ErrorKind::kPoolClosed, "the pool is closed");
        return pool->connect(context, Access::kReadOnly);
      });
  return std::shared_ptr<LocalPool>(new LocalPool(std::move(parts)));
}

const std::string& LocalPool::id() const {
  return parts_->config.id;
}
const std::string& LocalPool::type() const {
  return parts_->config.type;
}
const PoolConfig& LocalPool::config() const {
  return parts_->config;
}
DatabasePool& LocalPool::connection_pool() {
  return *parts_->connection_pool;
}

Call LocalPool::Parts::call(std::string_view sql, const QueryOptions& options, bool writes) const {
  Call call;
  Deadline deadline;
  if (options.timeout) deadline = Deadline::in(*options.timeout);
  if (config.pool.query_timeout > Duration::zero()) {
    deadline = deadline.sooner(Deadline::in(config.pool.query_timeout));
  }
  call.context = {deadline, options.stop};
  call.wait = {deadline.sooner(Deadline::in(config.pool.acquire_timeout)), options.stop};
  call.tag = options.tag.empty() ? std::string(clipped(sql, 80)) : options.tag;
  call.access = Access::kReadWrite;
  if (options.access) {
    call.access = *options.access;
  } else if (traits->has_read_lane && !writes) {
    call.access = database->access(sql);
  }
  return call;
}

Status LocalPool::Parts::finish(const Status& status, TimePoint begin, int64_t rows) const {
  metrics->operation_duration.record(Clock::now() - begin);
  if (rows > 0) metrics->rows.fetch_add(static_cast<uint64_t>(rows), std::memory_order_relaxed);
  if (status.ok()) return status;
  metrics->errors.fetch_add(1, std::memory_order_relaxed);
  return with_origin(status, config.id, database->endpoint());
}

Result<Lease> LocalPool::Parts::take(const Call& call) const {
  Result<Lease> lease = connection_pool->checkout(call.wait, call.access, call.tag);
  if (lease.ok()) return lease;
  metrics->errors.fetch_add(1, std::memory_order_relaxed);
  return with_origin(lease.status(), config.id, database->endpoint());
}

Result<std::shared_ptr<arrow::Table>> LocalPool::Parts::query_on(Lease& lease, const Call& call,
                                                                 std::string_view sql,
                                                                 const Params& params,
                                                                 const BatchLimits& limits) const {
  const TimePoint begin = Clock::now();
  const auto run = [&]() -> Result<std::shared_ptr<arrow::Table>> {
    BatchLimits all = limits;
    all.whole = true;  // nothing is handed out before the end: types may settle on all values
    ARROW_ASSIGN_OR_RAISE(const auto reader, lease->query(call.context, sql, params, all));
    arrow::RecordBatchVector batches;
    for (;;) {
      std::shared_ptr<arrow::RecordBatch> batch;
      ARROW_RETURN_NOT_OK(reader->ReadNext(&batch));
      if (batch == nullptr) break;
      batches.push_back(std::move(batch));
    }
    return arrow::Table::FromRecordBatches(reader->schema(), std::move(batches));
  };
  Result<std::shared_ptr<arrow::Table>> table = run();
  const Status status = finish(table.status(), begin, table.ok() ? (*table)->num_rows() : 0);
  if (!status.ok()) {
    if (poisons_connection(status)) lease.discard();
    return status;
  }
  return table;
}

Result<std::shared_ptr<arrow::Table>> LocalPool::execute_query(std::string_view sql,
                                                               const Params& params,
                                                               const QueryOptions& options) {
  const Call call = parts_->call(sql, options, false);
  ARROW_ASSIGN_OR_RAISE(Lease lease, parts_->take(call));
  return parts_->query_on(lease, call, sql, params, options.limits);
}

Result<std::shared_ptr<arrow::RecordBatchReader>> LocalPool::execute_stream(
    std::string_view sql, const Params& params, const QueryOptions& options) {
  const Call call = parts_->call(sql, options, false);
  ARROW_ASSIGN_OR_RAISE(Lease lease, parts_->take(call));
  return open_stream(shared_from_this(), *parts_, std::move(lease), call, sql, params,
                     options.limits);
}

Result<int64_t> LocalPool::execute(std::string_view sql, const Params& params,
                                   const QueryOptions& options) {
  const Call call = parts_->call(sql, options, true);
  ARROW_ASSIGN_OR_RAISE(Lease lease, parts_->take(call));
  const TimePoint begin = Clock::now();
  Result<int64_t> affected = lease->execute(call.context, sql, params);
  const Status status = parts_->finish(affected.status(), begin, 0);
  if (poisons_connection(status)) lease.discard();
  ARROW_RETURN_NOT_OK(status);
  return affected;
}

Result<int64_t> LocalPool::ingest(const IngestTarget& target, arrow::RecordBatchReader& rows,
                                  const QueryOptions& options) {
  const Call call = parts_->call("ingest into " + target.table, options, true);
  ARROW_ASSIGN_OR_RAISE(Lease lease, parts_->take(call));
  const TimePoint begin = Clock::now();
  Result<int64_t> inserted = lease->ingest(call.context, target, rows);
  const Status status = parts_->finish(inserted.status(), begin, 0);
  if (poisons_connection(status)) lease.discard();
  ARROW_RETURN_NOT_OK(status);
  return inserted;
}

Result<StatementInfo> LocalPool::describe(std::string_view sql, const QueryOptions& options) {
  const Call call = parts_->call(sql, options, false);
  ARROW_ASSIGN_OR_RAISE(Lease lease, parts_->take(call));
  Result<StatementInfo> info = lease->describe(call.context, sql);
  if (!info.ok()) {
    if (poisons_connection(info.status())) lease.discard();
    return with_origin(info.status(), id(), parts_->database->endpoint());
  }
  return info;
}

Result<Lease> LocalPool::checkout(const QueryOptions& options) {
  return parts_->take(parts_->call("checkout", options, true));
}

void LocalPool::async_with_lease(QueryOptions options, std::function<void(Result<Lease>)> work) {
  const Call call = parts_->call("checkout", options, !options.access);
  parts_->connection_pool->checkout_async(
      call.wait, call.access, call.tag,
      [self = shared_from_this(), work = std::move(work)](Result<Lease> lease) {
        const Parts& parts = *self->parts_;
        if (lease.ok()) {
          work(std::move(lease));
        } else {
          parts.metrics->errors.fetch_add(1, std::memory_order_relaxed);
          work(with_origin(lease.status(), parts.config.id, parts.database->endpoint()));
        }
      });
}

void LocalPool::async_query(std::string sql, Params params, QueryOptions options,
                            Completion<std::shared_ptr<arrow::Table>> done) {
  const Call call = parts_->call(sql, options, false);
  options.access = call.access;
  if (options.tag.empty()) options.tag = call.tag;
  const BatchLimits limits = options.limits;
  async_with_lease(std::move(options), [this, self = shared_from_this(), call, limits,
                                        sql = std::move(sql), params = std::move(params),
                                        done = std::move(done)](Result<Lease> lease) {
    if (!lease.ok()) return done(lease.status());
    Result<std::shared_ptr<arrow::Table>> table =
        parts_->query_on(*lease, call, sql, params, limits);
    lease->give_back();  // before the caller hears of it: the next call finds it free
    done(std::move(table));
  });
}

void LocalPool::async_stream(std::string sql, Params params, QueryOptions options,
                             Completion<std::shared_ptr<arrow::RecordBatchReader>> done) {
  const Call call = parts_->call(sql, options, false);
  options.access = call.access;
  if (options.tag.empty()) options.tag = call.tag;
  const BatchLimits limits = options.limits;
  async_with_lease(std::move(options), [self = shared_from_this(), call, limits,
                                        sql = std::move(sql), params = std::move(params),
                                        done = std::move(done)](Result<Lease> lease) {
    if (!lease.ok()) return done(lease.status());
    done(open_stream(self, *self->parts_, std::move(*lease), call, sql, params, limits));
  });
}

void LocalPool::async_execute(std::string sql, Params params, QueryOptions options,
                              Completion<int64_t> done) {
  const Call call = parts_->call(sql, options, true);
  options.access = call.access;
  if (options.tag.empty()) options.tag = call.tag;
  async_with_lease(std::move(options),
                   [this, self = shared_from_this(), call, sql = std::move(sql),
                    params = std::move(params), done = std::move(done)](Result<Lease> lease) {
                     if (!lease.ok()) return done(lease.status());
                     const TimePoint begin = Clock::now();
                     Result<int64_t> affected = (*lease)->execute(call.context, sql, params);
                     const Status status = parts_->finish(affected.status(), begin, 0);
                     lease->give_back();
                     if (!status.ok()) return done(status);
                     done(std::move(affected));
                   });
}

PoolStatus LocalPool::get_status() const {
  PoolStatus status = parts_->connection_pool->status();
  const HealthVerdict verdict = parts_->health_checker->verdict();
  status.health = verdict.state;
  status.role = verdict.role;
  status.read_only = verdict.read_only;
  status.lag = verdict.lag;
  status.authorised = verdict.authorised;
  status.overloaded = verdict.overloaded;
  status.last_error = verdict.last_error;
  return status;
}

PoolMetrics LocalPool::get_metrics() const {
  return parts_->metrics->snapshot(get_status());
}

std::string LocalPool::prometheus() const {
  return parts_->metrics->prometheus(get_status(), parts_->traits->system_name);
}

Status LocalPool::health_check(const CallContext& context) {
  return with_origin(parts_->health_checker->check(context), id(), parts_->database->endpoint());
}

Status LocalPool::resize(int max_connections, int min_connections) {
  return parts_->connection_pool->resize(max_connections, min_connections);
}

Status LocalPool::drain(Deadline deadline) {
  return parts_->connection_pool->drain(deadline);
}

}  // namespace cenote
