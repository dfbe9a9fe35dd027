// A transaction: one connection, begun, and ended exactly once.
#include <utility>

#include <arrow/record_batch.h>
#include <arrow/table.h>

#include "pool/local_pool_parts.h"

namespace cenote {
namespace {

constexpr Duration kRollbackLimit = std::chrono::seconds(5);

// Passes batches through while the transaction lives. What comes after an error or after the end of
// the transaction is an error too: it must not look like the end of the rows.
class TransactionStream final : public arrow::RecordBatchReader {
 public:
  TransactionStream(std::shared_ptr<arrow::RecordBatchReader> rows, std::string pool,
                    std::string endpoint)
      : rows_(std::move(rows)), pool_(std::move(pool)), endpoint_(std::move(endpoint)) {}
  ~TransactionStream() override { (void)detach(); }

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }
  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    batch->reset();
    if (rows_ == nullptr) return after_end_;
    const Status status = with_origin(rows_->ReadNext(batch), pool_, endpoint_);
    if (!status.ok()) after_end_ = status;
    if (!status.ok() || *batch == nullptr) rows_.reset();
    return status;
  }
  Status Close() override { return detach(); }

  bool open() const { return rows_ != nullptr; }
  Status detach() {
    if (rows_ == nullptr) return Status::OK();
    after_end_ = make_error(ErrorKind::kInterface,
                            "the stream is closed, or its transaction has ended; query again");
    return std::exchange(rows_, nullptr)->Close();
  }

 private:
  std::shared_ptr<arrow::RecordBatchReader> rows_;
  const std::string pool_;
  const std::string endpoint_;
  const std::shared_ptr<arrow::Schema> schema_ = rows_->schema();
  Status after_end_;
};

}  // namespace

struct Transaction::State {
  std::shared_ptr<LocalPool> pool;  // keeps parts alive
  const LocalPool::Parts* parts = nullptr;
  Lease lease;
  std::weak_ptr<TransactionStream> stream;

  // The connection, if the transaction is open and no reader uses it.
  Status ready() const {
    if (!lease) {
      return make_error(ErrorKind::kInterface, "the transaction has ended; begin another");
    }
    const auto reader = stream.lock();
    if (reader != nullptr && reader->open()) {
      return make_error(
          ErrorKind::kInterface,
          "a stream of this transaction is still open; read it to its end or close it first");
    }
    return Status::OK();
  }
  Call call(std::string_view sql, const QueryOptions& options) const {
    return parts->call(sql, options, true);
  }
  Status end(bool commit) {
    if (const auto reader = stream.lock()) (void)reader->detach();
    const CallContext context{Deadline::in(commit ? std::chrono::seconds(30) : kRollbackLimit), {}};
    const Status status = commit ? lease->commit(context) : lease->rollback(context);
    if (!status.ok() && (poisons_connection(status) || !commit)) {
      lease.discard();
    } else {
      lease.give_back();
    }
    return with_origin(status, parts->config.id, parts->database->endpoint());
  }
};

Transaction::Transaction(std::unique_ptr<State> state) : state_(std::move(state)) {}
Transaction::Transaction(Transaction&&) noexcept = default;
Transaction& Transaction::operator=(Transaction&& other) noexcept {
  Transaction(std::move(other)).state_.swap(state_);
  return *this;
}
Transaction::~Transaction() {
  if (state_ != nullptr && state_->lease) (void)state_->end(false);
}

bool Transaction::is_open() const {
  return state_ != nullptr && static_cast<bool>(state_->lease);
}

Result<Transaction> LocalPool::begin(const TransactionOptions& transaction,
                                     const QueryOptions& options) {
  const Call call = parts_->call("transaction", options, !transaction.read_only);
  ARROW_ASSIGN_OR_RAISE(Lease lease, parts_->take(call));
  const Status status = lease->begin(call.context, transaction);
  if (!status.ok()) {
    if (poisons_connection(status)) lease.discard();
    return with_origin(status, id(), parts_->database->endpoint());
  }
  auto state = std::make_unique<Transaction::State>();
  state->pool = shared_from_this();
  state->parts = parts_.get();
  state->lease = std::move(lease);
  return Transaction(std::move(state));
}

void LocalPool::async_begin(TransactionOptions transaction, QueryOptions options,
                            Completion<Transaction> done) {
  const Call call = parts_->call("transaction", options, true);
  options.access = call.access;
  if (options.tag.empty()) options.tag = call.tag;
  async_with_lease(std::move(options), [self = shared_from_this(), call, transaction,
                                        done = std::move(done)](Result<Lease> lease) {
    if (!lease.ok()) return done(lease.status());
    const Status status = (*lease)->begin(call.context, transaction);
    if (!status.ok()) {
      if (poisons_connection(status)) lease->discard();
      return done(with_origin(status, self->id(), self->parts_->database->endpoint()));
    }
    auto state = std::make_unique<Transaction::State>();
    state->pool = self;
    state->parts = self->parts_.get();
    state->lease = std::move(*lease);
    done(Transaction(std::move(state)));
  });
}

Result<std::shared_ptr<arrow::Table>> Transaction::execute_query(std::string_view sql,
                                                                 const Params& params,
                                                                 const QueryOptions& options) {
  ARROW_RETURN_NOT_OK(state_->ready());
  return state_->parts->query_on(state_->lease, state_->call(sql, options), sql, params,
                                 options.limits);
}

Result<std::shared_ptr<arrow::RecordBatchReader>> Transaction::execute_stream(
    std::string_view sql, const Params& params, const QueryOptions& options) {
  ARROW_RETURN_NOT_OK(state_->ready());
  const TimePoint begin = Clock::now();
  Result<std::shared_ptr<arrow::RecordBatchReader>> rows =
      state_->lease->query(state_->call(sql, options).context, sql, params, options.limits);
  ARROW_RETURN_NOT_OK(state_->parts->finish(rows.status(), begin, 0));
  auto stream = std::make_shared<TransactionStream>(std::move(*rows), state_->parts->config.id,
                                                    state_->parts->database->endpoint());
  state_->stream = stream;
  return stream;
}

Result<int64_t> Transaction::execute(std::string_view sql, const Params& params,
                                     const QueryOptions& options) {
  ARROW_RETURN_NOT_OK(state_->ready());
  const TimePoint begin = Clock::now();
  Result<int64_t> affected =
      state_->lease->execute(state_->call(sql, options).context, sql, params);
  ARROW_RETURN_NOT_OK(state_->parts->finish(affected.status(), begin, 0));
  return affected;
}

Result<int64_t> Transaction::ingest(const IngestTarget& target, arrow::RecordBatchReader& rows,
                                    const QueryOptions& options) {
  ARROW_RETURN_NOT_OK(state_->ready());
  const TimePoint begin = Clock::now();
  Result<int64_t> inserted =
      state_->lease->ingest(state_->call("ingest", options).context, target, rows);
  ARROW_RETURN_NOT_OK(state_->parts->finish(inserted.status(), begin, 0));
  return inserted;
}

Status Transaction::savepoint(std::string_view name) {
  ARROW_RETURN_NOT_OK(state_->ready());
  return state_->lease->savepoint(state_->call(name, {}).context, name);
}

Status Transaction::release(std::string_view name) {
  ARROW_RETURN_NOT_OK(state_->ready());
  return state_->lease->release_savepoint(state_->call(name, {}).context, name);
}

Status Transaction::rollback_to(std::string_view name) {
  ARROW_RETURN_NOT_OK(state_->ready());
  return state_->lease->rollback_to_savepoint(state_->call(name, {}).context, name);
}

Status Transaction::commit() {
  ARROW_RETURN_NOT_OK(state_->ready());
  return state_->end(true);
}

Status Transaction::rollback() {
  if (!is_open()) return Status::OK();
  return state_->end(false);
}

}  // namespace cenote
