// Calls of a pool as messages, and a transaction that a node holds.
#include "flight/remote_pool.h"

#include <functional>
#include <utility>

#include <arrow/record_batch.h>
#include <arrow/table.h>

#include "pool/transaction_state.h"

namespace cenote::flight {
namespace {

constexpr Duration kCommitTimeout = std::chrono::seconds(30);
constexpr Duration kRollbackTimeout = std::chrono::seconds(5);

bool contradicts(const Status& status) {
  const ErrorDetail* detail = error_detail(status);
  return detail != nullptr && detail->kind == ErrorKind::kData &&
         detail->sqlstate == kContradiction;
}

// What a pool and a transaction send alike.
class Caller {
 public:
  Caller(std::shared_ptr<NodeChannel> channel, std::string pool, OnAnswer on_answer,
         Bytes transaction = {})
      : channel_(std::move(channel)),
        pool_(std::move(pool)),
        on_answer_(std::move(on_answer)),
        transaction_(std::move(transaction)) {}

  Call call(Operation operation) const {
    Call call;
    call.operation = operation;
    call.pool = pool_;
    call.transaction = transaction_;
    return call;
  }
  Result<Call> call(Operation operation, std::string_view sql, const Params& params) const {
    Call made = call(operation);
    made.sql = sql;
    ARROW_RETURN_NOT_OK(set_params(params, &made));
    return made;
  }

  Result<RowStream> stream(std::string_view sql, const Params& params,
                           const QueryOptions& options) const {
    ARROW_ASSIGN_OR_RAISE(Call made, call(Operation::kQuery, sql, params));
    return channel_->stream(std::move(made), options, on_answer_);
  }
  // The node sends rows while its database makes them. Where one contradicts the types of those
  // before it, the whole result is asked for anew, as a driver would run such a read anew.
  Result<std::shared_ptr<arrow::Table>> query(std::string_view sql, const Params& params,
                                              const QueryOptions& options,
                                              const std::function<void()>& on_begin = {}) const {
    const Deadline deadline = options.timeout ? Deadline::in(*options.timeout) : Deadline();
    QueryOptions whole = options;
    whole.limits.whole = true;
    for (whole.limits.eager = true;; whole.limits.eager = false) {
      if (options.timeout) whole.timeout = deadline.left();
      ARROW_ASSIGN_OR_RAISE(const RowStream rows, stream(sql, params, whole));
      if (whole.limits.eager && on_begin != nullptr) on_begin();
      auto table = rows->ToTable();
      if (table.ok() || !whole.limits.eager || !contradicts(table.status())) return table;
    }
  }
  Result<int64_t> execute(std::string_view sql, const Params& params,
                          const QueryOptions& options) const {
    ARROW_ASSIGN_OR_RAISE(Call made, call(Operation::kExecute, sql, params));
    ARROW_ASSIGN_OR_RAISE(const Answer answer, channel_->ask(std::move(made), options, on_answer_));
    return answer.affected.value_or(-1);
  }
  Result<int64_t> ingest(const IngestTarget& target, arrow::RecordBatchReader& rows,
                         const QueryOptions& options) const {
    Call made = call(Operation::kIngest);
    made.name = target.table;
    made.ingest_mode = static_cast<int32_t>(target.mode);
    ARROW_ASSIGN_OR_RAISE(const Answer answer,
                          channel_->send(std::move(made), rows, options, on_answer_));
    return answer.affected.value_or(-1);
  }
  Status named(Operation operation, std::string_view name, Duration timeout,
               std::stop_token stop = {}) const {
    Call made = call(operation);
    made.name = name;
    QueryOptions options;
    options.timeout = timeout;
    options.stop = std::move(stop);
    return channel_->ask(std::move(made), options).status();
  }

 private:
  std::shared_ptr<NodeChannel> channel_;
  std::string pool_;
  OnAnswer on_answer_;
  Bytes transaction_;
};

// Passes batches through and knows whether it has ended, which the transaction must know.
class TransactionRows final : public arrow::RecordBatchReader {
 public:
  explicit TransactionRows(RowStream rows) : rows_(std::move(rows)) {}
  std::shared_ptr<arrow::Schema> schema() const override { return rows_->schema(); }
  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    const Status status = rows_->ReadNext(batch);
    if (!status.ok() || *batch == nullptr) open_ = false;
    return status;
  }
  Status Close() override {
    open_ = false;
    return rows_->Close();
  }
  bool open() const { return open_; }

 private:
  const RowStream rows_;
  bool open_ = true;
};

class RemoteTransaction final : public Transaction::State {
 public:
  RemoteTransaction(Caller caller, const QueryOptions& begin)
      : caller_(std::move(caller)), limit_(begin.timeout.value_or(kCommitTimeout)) {}
  ~RemoteTransaction() override { (void)rollback(); }

  Result<std::shared_ptr<arrow::Table>> execute_query(std::string_view sql, const Params& params,
                                                      const QueryOptions& options) override {
    ARROW_RETURN_NOT_OK(ready());
    return caller_.query(sql, params, options);
  }
  Result<std::shared_ptr<arrow::RecordBatchReader>> execute_stream(
      std::string_view sql, const Params& params, const QueryOptions& options) override {
    ARROW_RETURN_NOT_OK(ready());
    ARROW_ASSIGN_OR_RAISE(RowStream rows, caller_.stream(sql, params, options));
    auto stream = std::make_shared<TransactionRows>(std::move(rows));
    stream_ = stream;
    return stream;
  }
  Result<int64_t> execute(std::string_view sql, const Params& params,
                          const QueryOptions& options) override {
    ARROW_RETURN_NOT_OK(ready());
    return caller_.execute(sql, params, options);
  }
  Result<int64_t> ingest(const IngestTarget& target, arrow::RecordBatchReader& rows,
                         const QueryOptions& options) override {
    ARROW_RETURN_NOT_OK(ready());
    return caller_.ingest(target, rows, options);
  }
  Result<StatementInfo> describe(std::string_view /*sql*/,
                                 const QueryOptions& /*options*/) override {
    return make_error(ErrorKind::kNotSupported,
                      "statements of a transaction on a node are not described; run them");
  }

  Status savepoint(std::string_view name) override {
    ARROW_RETURN_NOT_OK(ready());
    return caller_.named(Operation::kSavepoint, name, limit_);
  }
  Status release(std::string_view name) override {
    ARROW_RETURN_NOT_OK(ready());
    return caller_.named(Operation::kReleaseSavepoint, name, limit_);
  }
  Status rollback_to(std::string_view name) override {
    ARROW_RETURN_NOT_OK(ready());
    return caller_.named(Operation::kRollbackToSavepoint, name, limit_);
  }
  Status commit(const QueryOptions& options) override {
    ARROW_RETURN_NOT_OK(ready());
    open_ = false;
    return caller_.named(Operation::kCommit, "", options.timeout.value_or(limit_), options.stop);
  }
  Status rollback() override {
    if (!std::exchange(open_, false)) return Status::OK();
    if (const auto rows = stream_.lock()) (void)rows->Close();
    return caller_.named(Operation::kRollback, "", kRollbackTimeout);
  }
  bool is_open() const override { return open_; }

 private:
  Status ready() const {
    if (!open_) {
      return make_error(ErrorKind::kInterface, "the transaction has ended; begin another");
    }
    const auto rows = stream_.lock();
    if (rows != nullptr && rows->open()) {
      return make_error(
          ErrorKind::kInterface,
          "a stream of this transaction is still open; read it to its end or close it first");
    }
    return Status::OK();
  }

  const Caller caller_;
  const Duration limit_;  // of its own steps: what begin was given
  bool open_ = true;
  std::weak_ptr<TransactionRows> stream_;
};

}  // namespace

Result<std::shared_ptr<arrow::Table>> RemotePool::execute_query(
    std::string_view sql, const Params& params, const QueryOptions& options,
    const std::function<void()>& on_begin) {
  return Caller(channel_, id_, on_answer_).query(sql, params, options, on_begin);
}

Result<std::shared_ptr<arrow::RecordBatchReader>> RemotePool::execute_stream(
    std::string_view sql, const Params& params, const QueryOptions& options) {
  return Caller(channel_, id_, on_answer_).stream(sql, params, options);
}

Result<int64_t> RemotePool::execute(std::string_view sql, const Params& params,
                                    const QueryOptions& options) {
  return Caller(channel_, id_, on_answer_).execute(sql, params, options);
}

Result<int64_t> RemotePool::ingest(const IngestTarget& target, arrow::RecordBatchReader& rows,
                                   const QueryOptions& options) {
  return Caller(channel_, id_, on_answer_).ingest(target, rows, options);
}

Result<Transaction> RemotePool::begin(const TransactionOptions& transaction,
                                      const QueryOptions& options) {
  Call call = Caller(channel_, id_, on_answer_).call(Operation::kBegin);
  call.isolation = static_cast<int32_t>(transaction.isolation);
  call.read_only = transaction.read_only;
  ARROW_ASSIGN_OR_RAISE(Answer answer, channel_->ask(std::move(call), options, on_answer_));
  return Transaction(std::make_unique<RemoteTransaction>(
      Caller(channel_, id_, on_answer_, std::move(answer.transaction)), options));
}

Result<Answer> RemotePool::ping(const QueryOptions& options) {
  return channel_->ask(Caller(channel_, id_, on_answer_).call(Operation::kPing), options,
                       on_answer_);
}

}  // namespace cenote::flight
