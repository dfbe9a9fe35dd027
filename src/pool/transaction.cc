// A transaction: one connection, begun, and ended exactly once.
#include <utility>

#include <arrow/record_batch.h>
#include <arrow/table.h>

#include "pool/local_pool_parts.h"
#include "pool/transaction_state.h"

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

class LocalTransaction final : public Transaction::State {
 public:
  LocalTransaction(std::shared_ptr<LocalPool> pool, const LocalPool::Parts& parts, Lease lease)
      : pool_(std::move(pool)), parts_(parts), lease_(std::move(lease)) {}
  ~LocalTransaction() override {
    if (lease_) (void)end(false);
  }

  Result<std::shared_ptr<arrow::Table>> execute_query(std::string_view sql, const Params& params,
                                                      const QueryOptions& options) override {
    ARROW_RETURN_NOT_OK(ready());
    return parts_.query_on(lease_, call(sql, options), sql, params, options.limits);
  }

  Result<std::shared_ptr<arrow::RecordBatchReader>> execute_stream(
      std::string_view sql, const Params& params, const QueryOptions& options) override {
    ARROW_RETURN_NOT_OK(ready());
    const TimePoint begin = Clock::now();
    Result<std::shared_ptr<arrow::RecordBatchReader>> rows =
        lease_->query(call(sql, options).context, sql, params, options.limits);
    ARROW_RETURN_NOT_OK(parts_.finish(rows.status(), begin, 0));
    auto stream = std::make_shared<TransactionStream>(std::move(*rows), parts_.config.id,
                                                      parts_.database->endpoint());
    stream_ = stream;
    return stream;
  }

  Result<int64_t> execute(std::string_view sql, const Params& params,
                          const QueryOptions& options) override {
    ARROW_RETURN_NOT_OK(ready());
    const TimePoint begin = Clock::now();
    Result<int64_t> affected = lease_->execute(call(sql, options).context, sql, params);
    ARROW_RETURN_NOT_OK(parts_.finish(affected.status(), begin, 0));
    return affected;
  }

  Result<int64_t> ingest(const IngestTarget& target, arrow::RecordBatchReader& rows,
                         const QueryOptions& options) override {
    ARROW_RETURN_NOT_OK(ready());
    const TimePoint begin = Clock::now();
    Result<int64_t> inserted = lease_->ingest(call("ingest", options).context, target, rows);
    ARROW_RETURN_NOT_OK(parts_.finish(inserted.status(), begin, 0));
    return inserted;
  }

  Result<StatementInfo> describe(std::string_view sql, const QueryOptions& options) override {
    ARROW_RETURN_NOT_OK(ready());
    Result<StatementInfo> info = lease_->describe(call(sql, options).context, sql);
    if (!info.ok()) {
      return with_origin(info.status(), parts_.config.id, parts_.database->endpoint());
    }
    return info;
  }

  Status savepoint(std::string_view name) override {
    ARROW_RETURN_NOT_OK(ready());
    return lease_->savepoint(call(name, {}).context, name);
  }
  Status release(std::string_view name) override {
    ARROW_RETURN_NOT_OK(ready());
    return lease_->release_savepoint(call(name, {}).context, name);
  }
  Status rollback_to(std::string_view name) override {
    ARROW_RETURN_NOT_OK(ready());
    return lease_->rollback_to_savepoint(call(name, {}).context, name);
  }

  Status commit() override {
    ARROW_RETURN_NOT_OK(ready());
    return end(true);
  }
  Status rollback() override { return lease_ ? end(false) : Status::OK(); }
  bool is_open() const override { return static_cast<bool>(lease_); }

 private:
  // OK if the transaction is open and no reader uses the connection.
  Status ready() const {
    if (!lease_) {
      return make_error(ErrorKind::kInterface, "the transaction has ended; begin another");
    }
    const auto reader = stream_.lock();
    if (reader != nullptr && reader->open()) {
      return make_error(
          ErrorKind::kInterface,
          "a stream of this transaction is still open; read it to its end or close it first");
    }
    return Status::OK();
  }
  Call call(std::string_view sql, const QueryOptions& options) const {
    return parts_.call(sql, options, true);
  }
  Status end(bool commit) {
    if (const auto reader = stream_.lock()) (void)reader->detach();
    const CallContext context{Deadline::in(commit ? std::chrono::seconds(30) : kRollbackLimit), {}};
    const Status status = commit ? lease_->commit(context) : lease_->rollback(context);
    if (!status.ok() && (poisons_connection(status) || !commit)) {
      lease_.discard();
    } else {
      lease_.give_back();
    }
    return with_origin(status, parts_.config.id, parts_.database->endpoint());
  }

  const std::shared_ptr<LocalPool> pool_;  // keeps parts_ alive
  const LocalPool::Parts& parts_;
  Lease lease_;
  std::weak_ptr<TransactionStream> stream_;
};

}  // namespace

Transaction::Transaction(std::unique_ptr<State> state) : state_(std::move(state)) {}
Transaction::Transaction(Transaction&&) noexcept = default;
Transaction& Transaction::operator=(Transaction&& other) noexcept {
  Transaction(std::move(other)).state_.swap(state_);
  return *this;
}
Transaction::~Transaction() = default;

bool Transaction::is_open() const {
  return state_ != nullptr && state_->is_open();
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
  return Transaction(
      std::make_unique<LocalTransaction>(shared_from_this(), *parts_, std::move(lease)));
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
    done(Transaction(std::make_unique<LocalTransaction>(self, *self->parts_, std::move(*lease))));
  });
}

Result<std::shared_ptr<arrow::Table>> Transaction::execute_query(std::string_view sql,
                                                                 const Params& params,
                                                                 const QueryOptions& options) {
  return state_->execute_query(sql, params, options);
}

Result<std::shared_ptr<arrow::RecordBatchReader>> Transaction::execute_stream(
    std::string_view sql, const Params& params, const QueryOptions& options) {
  return state_->execute_stream(sql, params, options);
}

Result<int64_t> Transaction::execute(std::string_view sql, const Params& params,
                                     const QueryOptions& options) {
  return state_->execute(sql, params, options);
}

Result<int64_t> Transaction::ingest(const IngestTarget& target, arrow::RecordBatchReader& rows,
                                    const QueryOptions& options) {
  return state_->ingest(target, rows, options);
}

Result<StatementInfo> Transaction::describe(std::string_view sql, const QueryOptions& options) {
  return state_->describe(sql, options);
}

Status Transaction::savepoint(std::string_view name) {
  return state_->savepoint(name);
}

Status Transaction::release(std::string_view name) {
  return state_->release(name);
}

Status Transaction::rollback_to(std::string_view name) {
  return state_->rollback_to(name);
}

Status Transaction::commit() {
  return state_->commit();
}

Status Transaction::rollback() {
  return state_ == nullptr ? Status::OK() : state_->rollback();
}

}  // namespace cenote
