// A lease with the manners of a pool's call: deadlines, counting, errors with their origin.
#include "pool/pooled_connection.h"

#include <utility>

#include <arrow/record_batch.h>
#include <arrow/table.h>

#include "pool/borrowed_stream.h"

namespace cenote {

struct PooledConnection::State {
  std::shared_ptr<LocalPool> pool;  // keeps parts alive
  const LocalPool::Parts* parts = nullptr;
  Lease lease;
  StepLimit limit;  // of the last begin
  std::weak_ptr<BorrowedStream> stream;
  std::optional<Transaction> elsewhere;  // instead of all the above

  // Whether a statement may run now.
  Status ready() const {
    if (parts->inherited()) return parts->inherited_error();
    if (!lease) {
      return make_error(ErrorKind::kInterface,
                        "this connection was given back or lost; take another");
    }
    const auto reader = stream.lock();
    if (reader != nullptr && reader->open()) {
      return make_error(
          ErrorKind::kInterface,
          "a stream of this connection is still open; read it to its end or close it first");
    }
    return parts->check_retired(lease);
  }

  Call call(std::string_view sql, const QueryOptions& options) const {
    return parts->call(sql, options, true);
  }

  // Of a step that is no statement of the caller's, while the lease is here.
  Status named(const Status& status) const {
    return with_origin(parts->connection_pool->judge_kept(lease, status), parts->config.id,
                       parts->database->endpoint());
  }

  Status end(bool commit, const CallContext& context) {
    if (!lease) return ready();
    // What calls have left must not be committed there.
    if (commit) ARROW_RETURN_NOT_OK(parts->check_retired(lease));
    if (const auto reader = stream.lock()) (void)reader->detach();
    const Status status = commit ? lease->commit(context) : lease->rollback(context);
    Status told = named(status);
    // After a failed roll-back nobody knows what the session still holds.
    if (!status.ok() && (poisons_connection(status) || !commit)) lease.discard();
    return told;
  }
};

PooledConnection PooledConnection::of(Transaction elsewhere) {
  auto state = std::make_unique<State>();
  state->elsewhere.emplace(std::move(elsewhere));
  return PooledConnection(std::move(state));
}

PooledConnection::PooledConnection(std::unique_ptr<State> state) : state_(std::move(state)) {}
PooledConnection::PooledConnection(PooledConnection&&) noexcept = default;
PooledConnection& PooledConnection::operator=(PooledConnection&& other) noexcept {
  PooledConnection(std::move(other)).state_.swap(state_);
  return *this;
}
PooledConnection::~PooledConnection() {
  give_back();
}

void PooledConnection::open_async(std::shared_ptr<LocalPool> pool, QueryOptions options,
                                  std::optional<TransactionOptions> begin,
                                  Completion<PooledConnection> done) {
  if (!options.access) {
    options.access = begin && begin->read_only ? Access::kReadOnly : Access::kReadWrite;
  }
  const LocalPool::Parts& parts = LocalPoolAccess::parts(*pool);
  // The deadline is made here, so that waiting counts.
  const Call call = parts.call("connection", options, true);
  LocalPool& opened = *pool;
  opened.async_with_lease(
      std::move(options),
      [pool = std::move(pool), &parts, begin, context = call.context, limit = StepLimit(call),
       done = std::move(done)](Result<Lease> lease) mutable {
        if (!lease.ok()) return done(lease.status());
        auto state = std::make_unique<State>();
        state->pool = std::move(pool);
        state->parts = &parts;
        state->lease = std::move(*lease);
        state->limit = limit;
        parts.connection_pool->kept(state->lease);
        if (begin) {
          const Status status = state->lease->begin(context, *begin);
          if (!status.ok()) {
            const Status told = state->named(status);
            if (poisons_connection(status)) state->lease.discard();
            return done(told);
          }
        }
        done(PooledConnection(std::move(state)));
      });
}

Result<PooledConnection> PooledConnection::open(std::shared_ptr<LocalPool> pool,
                                                QueryOptions options,
                                                std::optional<TransactionOptions> begin) {
  if (!options.access) {
    options.access = begin && begin->read_only ? Access::kReadOnly : Access::kReadWrite;
  }
  auto state = std::make_unique<State>();
  state->parts = &LocalPoolAccess::parts(*pool);
  const Call call = state->parts->call("connection", options, true);
  ARROW_ASSIGN_OR_RAISE(state->lease, state->parts->take(call));
  state->parts->connection_pool->kept(state->lease);
  state->pool = std::move(pool);
  state->limit = StepLimit(call);
  if (begin) {
    const Status status = state->lease->begin(call.context, *begin);
    if (!status.ok()) {
      Status told = state->named(status);
      if (poisons_connection(status)) state->lease.discard();
      return told;
    }
  }
  return PooledConnection(std::move(state));
}

Result<std::shared_ptr<arrow::Table>> PooledConnection::execute_query(std::string_view sql,
                                                                      const Params& params,
                                                                      const QueryOptions& options) {
  if (state_->elsewhere) return state_->elsewhere->execute_query(sql, params, options);
  ARROW_RETURN_NOT_OK(state_->ready());
  return state_->parts->query_on(state_->lease, state_->call(sql, options), sql, params,
                                 options.limits);
}

Result<std::shared_ptr<arrow::RecordBatchReader>> PooledConnection::execute_stream(
    std::string_view sql, const Params& params, const QueryOptions& options) {
  if (state_->elsewhere) return state_->elsewhere->execute_stream(sql, params, options);
  ARROW_RETURN_NOT_OK(state_->ready());
  const Call call = state_->call(sql, options);
  Result<std::shared_ptr<arrow::RecordBatchReader>> rows =
      state_->lease->query(call.context, sql, params, options.limits);
  if (!rows.ok()) {
    return state_->parts->failed_on(state_->lease, rows.status(), call.began);
  }
  auto stream = std::make_shared<BorrowedStream>(state_->pool, *state_->parts, state_->lease,
                                                 std::move(*rows), call.began);
  state_->stream = stream;
  return stream;
}

Result<int64_t> PooledConnection::execute(std::string_view sql, const Params& params,
                                          const QueryOptions& options) {
  if (state_->elsewhere) return state_->elsewhere->execute(sql, params, options);
  ARROW_RETURN_NOT_OK(state_->ready());
  return state_->parts->execute_on(state_->lease, state_->call(sql, options), sql, params);
}

Result<int64_t> PooledConnection::ingest(const IngestTarget& target, arrow::RecordBatchReader& rows,
                                         const QueryOptions& options) {
  if (state_->elsewhere) return state_->elsewhere->ingest(target, rows, options);
  ARROW_RETURN_NOT_OK(state_->ready());
  return state_->parts->ingest_on(state_->lease, state_->call(target.table, options), target, rows);
}

Status PooledConnection::begin(const TransactionOptions& transaction, const QueryOptions& options) {
  if (state_->elsewhere) {
    return make_error(ErrorKind::kInterface,
                      "this is one transaction on a node; begin another by transaction()");
  }
  ARROW_RETURN_NOT_OK(state_->ready());
  const Call call = state_->call("begin", options);
  state_->limit = StepLimit(call);
  return state_->named(state_->lease->begin(call.context, transaction));
}

Status PooledConnection::commit(const QueryOptions& options) {
  if (state_->elsewhere) return state_->elsewhere->commit(options);
  return state_->end(true, state_->parts->commit_context(options, state_->limit));
}

Status PooledConnection::rollback() {
  if (state_->elsewhere) return state_->elsewhere->rollback();
  return state_->end(false, StepLimit::rollback());
}

Status PooledConnection::savepoint(std::string_view name) {
  if (state_->elsewhere) return state_->elsewhere->savepoint(name);
  ARROW_RETURN_NOT_OK(state_->ready());
  return state_->named(state_->lease->savepoint(state_->limit.context(), name));
}

Status PooledConnection::release(std::string_view name) {
  if (state_->elsewhere) return state_->elsewhere->release(name);
  ARROW_RETURN_NOT_OK(state_->ready());
  return state_->named(state_->lease->release_savepoint(state_->limit.context(), name));
}

Status PooledConnection::rollback_to(std::string_view name) {
  if (state_->elsewhere) return state_->elsewhere->rollback_to(name);
  ARROW_RETURN_NOT_OK(state_->ready());
  return state_->named(state_->lease->rollback_to_savepoint(state_->limit.context(), name));
}

bool PooledConnection::in_transaction() const {
  if (!is_open()) return false;
  return state_->elsewhere ? state_->elsewhere->is_open() : state_->lease->in_transaction();
}

bool PooledConnection::is_open() const {
  return state_ != nullptr && (state_->elsewhere || static_cast<bool>(state_->lease));
}

void PooledConnection::give_back() noexcept {
  if (!is_open()) return;
  if (state_->elsewhere) return state_->elsewhere.reset();           // rolls back what is open
  if (state_->parts->inherited()) return state_->lease.give_back();  // nothing: the parent has it
  if (const auto reader = state_->stream.lock()) (void)reader->detach();
  if (state_->lease->in_transaction()) (void)state_->end(false, StepLimit::rollback());
  state_->lease.give_back();  // nothing where it was discarded
}

}  // namespace cenote
