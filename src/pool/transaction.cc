// A transaction: one connection, begun, and ended exactly once.
#include <utility>

#include <arrow/record_batch.h>
#include <arrow/table.h>

#include "pool/borrowed_stream.h"
#include "pool/transaction_state.h"

namespace cenote {
namespace {

class LocalTransaction final : public Transaction::State {
 public:
  LocalTransaction(std::shared_ptr<LocalPool> pool, const LocalPool::Parts& parts, Lease lease,
                   const StepLimit& limit)
      : pool_(std::move(pool)), parts_(parts), lease_(std::move(lease)), limit_(limit) {}
  ~LocalTransaction() override {
    // One that a forked child inherited is the parent's to end.
    if (lease_ && !parts_.inherited()) (void)end(false, StepLimit::rollback());
  }

  Result<std::shared_ptr<arrow::Table>> execute_query(std::string_view sql, const Params& params,
                                                      const QueryOptions& options) override {
    ARROW_RETURN_NOT_OK(ready());
    return parts_.query_on(lease_, call(sql, options), sql, params, options.limits);
  }

  Result<std::shared_ptr<arrow::RecordBatchReader>> execute_stream(
      std::string_view sql, const Params& params, const QueryOptions& options) override {
    ARROW_RETURN_NOT_OK(ready());
    const Call call = this->call(sql, options);
    Result<std::shared_ptr<arrow::RecordBatchReader>> rows =
        lease_->query(call.context, sql, params, options.limits);
    if (!rows.ok()) return judged(parts_.finish(rows.status(), call.began, -1));
    auto stream =
        std::make_shared<BorrowedStream>(pool_, parts_, lease_, std::move(*rows), call.began);
    stream_ = stream;
    return stream;
  }

  Result<int64_t> execute(std::string_view sql, const Params& params,
                          const QueryOptions& options) override {
    ARROW_RETURN_NOT_OK(ready());
    return parts_.execute_on(lease_, call(sql, options), sql, params);
  }

  Result<int64_t> ingest(const IngestTarget& target, arrow::RecordBatchReader& rows,
                         const QueryOptions& options) override {
    ARROW_RETURN_NOT_OK(ready());
    return parts_.ingest_on(lease_, call(target.table, options), target, rows);
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
    return judged(lease_->savepoint(limit_.context(), name));
  }
  Status release(std::string_view name) override {
    ARROW_RETURN_NOT_OK(ready());
    return judged(lease_->release_savepoint(limit_.context(), name));
  }
  Status rollback_to(std::string_view name) override {
    ARROW_RETURN_NOT_OK(ready());
    return judged(lease_->rollback_to_savepoint(limit_.context(), name));
  }

  Status commit(const QueryOptions& options) override {
    ARROW_RETURN_NOT_OK(ready());
    return end(true, parts_.commit_context(options, limit_));
  }
  Status rollback() override {
    if (!lease_) return Status::OK();
    if (parts_.inherited()) return parts_.inherited_error();
    return end(false, StepLimit::rollback());
  }
  bool is_open() const override { return static_cast<bool>(lease_); }

 private:
  // OK if the transaction is open and no reader uses the connection.
  Status ready() const {
    if (parts_.inherited()) return parts_.inherited_error();
    if (!lease_) {
      return make_error(ErrorKind::kInterface, "the transaction has ended; begin another");
    }
    const auto reader = stream_.lock();
    if (reader != nullptr && reader->open()) {
      return make_error(
          ErrorKind::kInterface,
          "a stream of this transaction is still open; read it to its end or close it first");
    }
    return parts_.check_retired(lease_);
  }
  Call call(std::string_view sql, const QueryOptions& options) const {
    return parts_.call(sql, options, true);
  }
  // While the lease is here.
  Status judged(Status status) const {
    return parts_.connection_pool->judge_kept(lease_, std::move(status));
  }
  Status end(bool commit, const CallContext& context) {
    if (const auto reader = stream_.lock()) (void)reader->detach();
    const Status status = judged(commit ? lease_->commit(context) : lease_->rollback(context));
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
  const StepLimit limit_;
  std::weak_ptr<BorrowedStream> stream_;
};

}  // namespace

CallContext LocalPool::Parts::commit_context(const QueryOptions& options,
                                             const StepLimit& limit) const {
  QueryOptions bounded = options;
  if (!bounded.timeout) bounded.timeout = limit.limit();
  return call("commit", bounded, true).context;
}

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

Result<Transaction> LocalPool::begin_on(Lease lease, const Call& call,
                                        const TransactionOptions& options) {
  const Parts& mine = parts();
  const Status status = lease->begin(call.context, options);
  if (!status.ok()) {
    if (poisons_connection(status)) lease.discard();
    return with_origin(status, mine.config.id, mine.database->endpoint());
  }
  mine.connection_pool->kept(lease);
  return Transaction(std::make_unique<LocalTransaction>(shared_from_this(), mine, std::move(lease),
                                                        StepLimit(call)));
}

Result<Transaction> LocalPool::begin(const TransactionOptions& transaction,
                                     const QueryOptions& options) {
  const Parts& mine = parts();
  const Call call = mine.call("transaction", options, !transaction.read_only);
  ARROW_ASSIGN_OR_RAISE(Lease lease, mine.take(call));
  return begin_on(std::move(lease), call, transaction);
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

Status Transaction::commit(const QueryOptions& options) {
  return state_->commit(options);
}

Status Transaction::rollback() {
  return state_ == nullptr ? Status::OK() : state_->rollback();
}

}  // namespace cenote
