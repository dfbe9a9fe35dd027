// ADR-002's LocalPool: SQL in, Arrow frame out, through its connection pool. Blocking calls, status
// and the pool's life; the asynchronous calls are in local_pool_async.cc.
#include <algorithm>
#include <mutex>
#include <utility>

#include <arrow/table.h>

#include "pool/local_pool_parts.h"

namespace cenote {
namespace {

constexpr int kMostConnections = 65'535;

std::unique_ptr<LocalPool::Parts> make_parts(PoolConfig config, const DriverTraits& traits,
                                             std::shared_ptr<Database> database,
                                             OpenDatabase open_database) {
  auto parts = std::make_unique<LocalPool::Parts>();
  parts->config = std::move(config);
  parts->traits = &traits;
  parts->open_database = std::move(open_database);
  parts->database = database;
  parts->metrics = std::make_shared<LocalMetrics>();
  const int readers = std::max(parts->config.pool.max_readers, database->default_readers());
  const int threads =
      parts->config.pool.max_connections + readers + 2 * parts->config.pool.max_connecting + 1;
  parts->executor = std::make_shared<Executor>(threads);
  const auto pool = std::make_shared<ConnectionPool>(parts->config, traits, std::move(database),
                                                     parts->metrics, parts->executor);
  parts->connection_pool = pool;
  parts->health_checker = std::make_unique<HealthChecker>(
      parts->config.health,
      [pool](const CallContext& context, Deadline most) { return pool->probe(context, most); },
      [pool] { pool->clear(); });
  parts->keeper = std::make_unique<Keeper>(pool);
  return parts;
}

}  // namespace

LocalPool::LocalPool(std::unique_ptr<Parts> parts) : parts_(parts.release()) {}

LocalPool::~LocalPool() {
  Parts* parts = parts_.load();
  if (parts->inherited()) {
    // The parent's threads do not exist here, and its sessions are not ours to close: all of it is
    // left as it is.
    parts->connection_pool->leave_to_parent();
    return;
  }
  parts->connection_pool->abort();
  delete parts;
}

LocalPool::Parts& LocalPool::parts() const {
  Parts* parts = parts_.load(std::memory_order_acquire);
  return parts->inherited() ? renew_after_fork() : *parts;
}

LocalPool::Parts& LocalPool::renew_after_fork() const {
  Parts* old = parts_.load();
  if (!old->inherited()) return *old;
  // Before anything is opened anew: SQLite's new handles must find the locks of the old ones. Other
  // threads of the child that come here meanwhile wait for it. `old` is never destroyed.
  std::call_once(old->left, [old] { old->connection_pool->leave_to_parent(); });
  // What the database remembers of its sessions is the parent's too.
  Result<std::shared_ptr<Database>> database = old->database;
  if (old->open_database) database = old->open_database();
  auto fresh = make_parts(old->config, *old->traits, database.ok() ? *database : old->database,
                          old->open_database);
  if (parts_.compare_exchange_strong(old, fresh.get())) return *fresh.release();
  fresh->connection_pool->abort();  // another thread's parts came first
  return *old;
}

Result<std::shared_ptr<LocalPool>> LocalPool::open(PoolConfig config) {
  ARROW_ASSIGN_OR_RAISE(const Driver* driver, find_driver(config.type));
  if (!config.endpoints.empty()) {
    return make_error(ErrorKind::kConfig, "pool '" + config.id +
                                              "' has endpoints, which need a manager that chooses "
                                              "among them: create it there, or give one host");
  }
  Result<std::shared_ptr<Database>> database = driver->open(config.config);
  if (!database.ok()) return with_origin(database.status(), config.id, "");
  auto again = [driver, keys = config.config] { return driver->open(keys); };
  return open_local_pool(std::move(config), driver->traits(), std::move(*database),
                         std::move(again));
}

Result<std::shared_ptr<LocalPool>> open_local_pool(PoolConfig config, const DriverTraits& traits,
                                                   std::shared_ptr<Database> database,
                                                   OpenDatabase open_database) {
  const PoolOptions& options = config.pool;
  if (config.id.empty()) return make_error(ErrorKind::kConfig, "a pool needs an id");
  if (options.max_connections < 1 || options.max_connections > kMostConnections ||
      options.max_readers > kMostConnections || options.min_connections < 0 ||
      options.min_connections > options.max_connections || options.max_connecting < 1) {
    return make_error(ErrorKind::kConfig,
                      "pool '" + config.id +
                          "': max_connections must be 1 to 65535, max_connecting at least 1, "
                          "min_connections between 0 and max_connections");
  }
  return LocalPoolAccess::make(std::move(config), traits, std::move(database),
                               std::move(open_database));
}

std::shared_ptr<LocalPool> LocalPoolAccess::make(PoolConfig config, const DriverTraits& traits,
                                                 std::shared_ptr<Database> database,
                                                 OpenDatabase open_database) {
  return std::shared_ptr<LocalPool>(new LocalPool(
      make_parts(std::move(config), traits, std::move(database), std::move(open_database))));
}

const std::string& LocalPool::id() const {
  return parts_.load()->config.id;
}
const std::string& LocalPool::type() const {
  return parts_.load()->config.type;
}
const PoolConfig& LocalPool::config() const {
  return parts_.load()->config;
}
DatabasePool& LocalPool::connection_pool() {
  return *parts().connection_pool;
}

Status LocalPool::Parts::inherited_error() const {
  return make_error(ErrorKind::kInterface,
                    "pool '" + config.id +
                        "': this was opened before the process forked and is the parent's; open "
                        "another in the child");
}

Call LocalPool::Parts::call(std::string_view sql, const QueryOptions& options, bool writes) const {
  Call call;
  call.began = Clock::now();
  Deadline deadline;
  if (options.timeout) deadline = Deadline::after(call.began, *options.timeout);
  if (config.pool.query_timeout > Duration::zero()) {
    deadline = deadline.sooner(Deadline::after(call.began, config.pool.query_timeout));
  }
  call.context = {deadline, options.stop};
  call.wait = {deadline.sooner(Deadline::after(call.began, config.pool.acquire_timeout)),
               options.stop};
  call.tag = options.tag.empty() ? sql : std::string_view(options.tag);
  if (options.access) {
    call.access = *options.access;
  } else if (traits->has_read_lane && !writes) {
    call.access = database->access(sql);
  }
  return call;
}

Status LocalPool::Parts::finish(const Status& status, TimePoint begin, int64_t rows) const {
  metrics->statement(Clock::now() - begin, rows, status.ok());
  return with_origin(status, config.id, database->endpoint());
}

Result<Lease> LocalPool::Parts::take(const Call& call, bool by_hand) const {
  Result<Lease> lease =
      connection_pool->checkout(call.wait, call.access, call.tag, call.began, by_hand);
  if (lease.ok()) return lease;
  metrics->failed();
  return with_origin(lease.status(), config.id, database->endpoint());
}

Status LocalPool::Parts::check_retired(const Lease& lease) const {
  return connection_pool->check_retired(lease);
}

Status LocalPool::Parts::failed_on(Lease& lease, const Status& error, TimePoint begin) const {
  const Status status = connection_pool->judge_kept(lease, finish(error, begin, -1));
  if (poisons_connection(status)) lease.discard();
  return status;
}

Result<std::shared_ptr<arrow::Table>> LocalPool::Parts::query_on(Lease& lease, const Call& call,
                                                                 std::string_view sql,
                                                                 const Params& params,
                                                                 const BatchLimits& limits) const {
  const TimePoint begin = Clock::now();
  Result<std::shared_ptr<arrow::Table>> table =
      lease->query_table(call.context, sql, params, limits);
  if (table.ok()) {
    (void)finish(Status::OK(), begin, (*table)->num_rows());
    return table;
  }
  return failed_on(lease, table.status(), begin);
}

Result<int64_t> LocalPool::Parts::execute_on(Lease& lease, const Call& call, std::string_view sql,
                                             const Params& params) const {
  const TimePoint begin = Clock::now();
  Result<int64_t> affected = lease->execute(call.context, sql, params);
  if (!affected.ok()) return failed_on(lease, affected.status(), begin);
  (void)finish(Status::OK(), begin, -1);
  return affected;
}

Result<int64_t> LocalPool::Parts::ingest_on(Lease& lease, const Call& call,
                                            const IngestTarget& target,
                                            arrow::RecordBatchReader& rows) const {
  const TimePoint begin = Clock::now();
  Result<int64_t> inserted = lease->ingest(call.context, target, rows);
  if (!inserted.ok()) return failed_on(lease, inserted.status(), begin);
  (void)finish(Status::OK(), begin, -1);
  return inserted;
}

Result<StatementInfo> LocalPool::describe(std::string_view sql, const QueryOptions& options) {
  const Parts& mine = parts();
  const Call call = mine.call(sql, options, false);
  ARROW_ASSIGN_OR_RAISE(Lease lease, mine.take(call));
  Result<StatementInfo> info = lease->describe(call.context, sql);
  if (!info.ok()) {
    if (poisons_connection(info.status())) lease.discard();
    return with_origin(info.status(), id(), mine.database->endpoint());
  }
  return info;
}

Result<std::shared_ptr<arrow::Table>> LocalPool::execute_query(std::string_view sql,
                                                               const Params& params,
                                                               const QueryOptions& options) {
  const Parts& mine = parts();
  const Call call = mine.call(sql, options, false);
  ARROW_ASSIGN_OR_RAISE(Lease lease, mine.take(call));
  return mine.query_on(lease, call, sql, params, options.limits);
}

Result<std::shared_ptr<arrow::RecordBatchReader>> LocalPool::execute_stream(
    std::string_view sql, const Params& params, const QueryOptions& options) {
  const Parts& mine = parts();
  const Call call = mine.call(sql, options, false);
  ARROW_ASSIGN_OR_RAISE(Lease lease, mine.take(call));
  return open_stream(shared_from_this(), mine, std::move(lease), call, sql, params, options.limits);
}

Result<int64_t> LocalPool::execute(std::string_view sql, const Params& params,
                                   const QueryOptions& options) {
  const Parts& mine = parts();
  const Call call = mine.call(sql, options, true);
  ARROW_ASSIGN_OR_RAISE(Lease lease, mine.take(call));
  return mine.execute_on(lease, call, sql, params);
}

Result<int64_t> LocalPool::ingest(const IngestTarget& target, arrow::RecordBatchReader& rows,
                                  const QueryOptions& options) {
  const Parts& mine = parts();
  const std::string text = "ingest into " + target.table;
  const Call call = mine.call(text, options, true);
  ARROW_ASSIGN_OR_RAISE(Lease lease, mine.take(call));
  return mine.ingest_on(lease, call, target, rows);
}

Result<Lease> LocalPool::checkout(const QueryOptions& options) {
  const Parts& mine = parts();
  return mine.take(mine.call("checkout", options, true), true);
}

PoolStatus LocalPool::get_status() const {
  const Parts& mine = parts();
  PoolStatus status = mine.connection_pool->status();
  const HealthVerdict verdict = mine.health_checker->verdict();
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
  return parts().metrics->snapshot(get_status(), Clock::now());
}

std::string LocalPool::prometheus() const {
  const Parts& mine = parts();
  return mine.metrics->prometheus(get_status(), mine.config.pool, mine.traits->system_name);
}

Status LocalPool::health_check(const CallContext& context) {
  const Parts& mine = parts();
  return with_origin(mine.health_checker->check(context), id(), mine.database->endpoint());
}

Status LocalPool::resize(int max_connections, int min_connections) {
  return parts().connection_pool->resize(max_connections, min_connections);
}

Status LocalPool::drain(Deadline deadline) {
  return parts().connection_pool->drain(deadline);
}

}  // namespace cenote
