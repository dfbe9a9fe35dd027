// A lease with the manners of a pool's call: deadlines, counting, errors with their origin.
#include "pool/pooled_connection.h"

#include <utility>

#include <arrow/record_batch.h>
#include <arrow/table.h>

#include "pool/local_pool_parts.h"

namespace cenote {
namespace {

constexpr Duration kCommitLimit = std::chrono::seconds(30);
constexpr Duration kRollbackLimit = std::chrono::seconds(5);

// Passes batches on while the connection is held; reading after that is an error instead of a
// fault.
class HeldStream final : public arrow::RecordBatchReader {
 public:
  HeldStream(std::shared_ptr<arrow::RecordBatchReader> rows)
      : rows_(std::move(rows)), schema_(rows_->schema()) {}
  ~HeldStream() override { (void)detach(); }

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }
  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    batch->reset();
    if (taken_) {
      return make_error(ErrorKind::kInterface,
                        "the connection of this stream was given back, or its transaction ended: "
                        "read the stream before that");
    }
    if (rows_ == nullptr) return Status::OK();
    const Status status = rows_->ReadNext(batch);
    if (!status.ok() || *batch == nullptr) rows_.reset();
    return status;
  }
  Status Close() override { return detach(); }

  bool open() const { return rows_ != nullptr; }
  Status detach() {
    if (rows_ == nullptr) return Status::OK();
    return std::exchange(rows_, nullptr)->Close();
  }
  // The connection goes away under a reader that was not read to its end.
  Status take() {
    taken_ = taken_ || rows_ != nullptr;
    return detach();
  }

 private:
  std::shared_ptr<arrow::RecordBatchReader> rows_;
  std::shared_ptr<arrow::Schema> schema_;
  bool taken_ = false;
};

}  // namespace

struct PooledConnection::State {
  std::shared_ptr<LocalPool> pool;  // keeps parts alive
  const LocalPool::Parts* parts = nullptr;
  Lease lease;
  std::weak_ptr<HeldStream> stream;

  // Whether a statement may run now.
  Status ready() const {
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
    return Status::OK();
  }

  CallContext context(std::string_view sql, const QueryOptions& options) const {
    return parts->call(sql, options, true).context;
  }

  // Of a step that is no statement of the caller's.
  Status named(const Status& status) const {
    return with_origin(status, parts->config.id, parts->database->endpoint());
  }

  Status end(bool commit) {
    if (!lease) return ready();
    if (const auto reader = stream.lock()) (void)reader->take();
    const CallContext context{Deadline::in(commit ? kCommitLimit : kRollbackLimit), {}};
    const Status status = commit ? lease->commit(context) : lease->rollback(context);
    // After a failed roll-back nobody knows what the session still holds.
    if (!status.ok() && (poisons_connection(status) || !commit)) lease.discard();
    return named(status);
  }

  Result<int64_t> counted(Result<int64_t> result, TimePoint begin) {
    const Status status = parts->finish(result.status(), begin, 0);
    if (poisons_connection(status)) lease.discard();
    ARROW_RETURN_NOT_OK(status);
    return result;
  }
};

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
  const CallContext context = parts.call("connection", options, true).context;
  LocalPool& opened = *pool;
  opened.async_with_lease(std::move(options),
                          [pool = std::move(pool), &parts, begin, context,
                           done = std::move(done)](Result<Lease> lease) mutable {
                            if (!lease.ok()) return done(lease.status());
                            auto state = std::make_unique<State>();
                            state->pool = std::move(pool);
                            state->parts = &parts;
                            state->lease = std::move(*lease);
                            if (begin) {
                              const Status status = state->lease->begin(context, *begin);
                              if (!status.ok()) {
                                if (poisons_connection(status)) state->lease.discard();
                                return done(state->named(status));
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
  state->pool = std::move(pool);
  if (begin) {
    const Status status = state->lease->begin(call.context, *begin);
    if (!status.ok()) {
      if (poisons_connection(status)) state->lease.discard();
      return state->named(status);
    }
  }
  return PooledConnection(std::move(state));
}

Result<std::shared_ptr<arrow::Table>> PooledConnection::execute_query(std::string_view sql,
                                                                      const Params& params,
                                                                      const QueryOptions& options) {
  ARROW_RETURN_NOT_OK(state_->ready());
  return state_->parts->query_on(state_->lease, state_->parts->call(sql, options, true), sql,
                                 params, options.limits);
}

Result<std::shared_ptr<arrow::RecordBatchReader>> PooledConnection::execute_stream(
    std::string_view sql, const Params& params, const QueryOptions& options) {
  ARROW_RETURN_NOT_OK(state_->ready());
  const TimePoint begin = Clock::now();
  Result<std::shared_ptr<arrow::RecordBatchReader>> rows =
      state_->lease->query(state_->context(sql, options), sql, params, options.limits);
  const Status status = state_->parts->finish(rows.status(), begin, 0);
  if (poisons_connection(status)) state_->lease.discard();
  ARROW_RETURN_NOT_OK(status);
  auto stream = std::make_shared<HeldStream>(std::move(*rows));
  state_->stream = stream;
  return stream;
}

Result<int64_t> PooledConnection::execute(std::string_view sql, const Params& params,
                                          const QueryOptions& options) {
  ARROW_RETURN_NOT_OK(state_->ready());
  const TimePoint begin = Clock::now();
  return state_->counted(state_->lease->execute(state_->context(sql, options), sql, params), begin);
}

Result<int64_t> PooledConnection::ingest(const IngestTarget& target, arrow::RecordBatchReader& rows,
                                         const QueryOptions& options) {
  ARROW_RETURN_NOT_OK(state_->ready());
  const TimePoint begin = Clock::now();
  return state_->counted(state_->lease->ingest(state_->context("", options), target, rows), begin);
}

Status PooledConnection::begin(const TransactionOptions& transaction, const QueryOptions& options) {
  ARROW_RETURN_NOT_OK(state_->ready());
  return state_->named(state_->lease->begin(state_->context("begin", options), transaction));
}

Status PooledConnection::commit() {
  return state_->end(true);
}

Status PooledConnection::rollback() {
  return state_->end(false);
}

Status PooledConnection::savepoint(std::string_view name) {
  ARROW_RETURN_NOT_OK(state_->ready());
  return state_->named(state_->lease->savepoint(state_->context(name, {}), name));
}

Status PooledConnection::release(std::string_view name) {
  ARROW_RETURN_NOT_OK(state_->ready());
  return state_->named(state_->lease->release_savepoint(state_->context(name, {}), name));
}

Status PooledConnection::rollback_to(std::string_view name) {
  ARROW_RETURN_NOT_OK(state_->ready());
  return state_->named(state_->lease->rollback_to_savepoint(state_->context(name, {}), name));
}

bool PooledConnection::in_transaction() const {
  return is_open() && state_->lease->in_transaction();
}

bool PooledConnection::is_open() const {
  return state_ != nullptr && static_cast<bool>(state_->lease);
}

void PooledConnection::give_back() noexcept {
  if (!is_open()) return;
  if (const auto reader = state_->stream.lock()) (void)reader->take();
  if (state_->lease->in_transaction()) (void)state_->end(false);
  state_->lease.give_back();  // nothing where it was discarded
}

}  // namespace cenote
