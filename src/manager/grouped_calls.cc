// Streams and transactions of a failover group.
#include "manager/grouped_calls.h"

#include <functional>
#include <stop_token>
#include <utility>

#include <arrow/record_batch.h>
#include <arrow/table.h>

#include "pool/transaction_state.h"

namespace cenote {
namespace {

class GroupStream final : public arrow::RecordBatchReader {
 public:
  GroupStream(std::shared_ptr<FailoverGroup> group, std::shared_ptr<GroupVisit> visit,
              std::shared_ptr<arrow::RecordBatchReader> rows)
      : group_(std::move(group)), visit_(std::move(visit)), rows_(std::move(rows)) {}

  std::shared_ptr<arrow::Schema> schema() const override { return rows_->schema(); }
  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    Status status = rows_->ReadNext(batch);
    if (visit_ == nullptr) return status;
    if (!status.ok()) status = group_->judged(*visit_, status);
    if (!status.ok() || *batch == nullptr) visit_.reset();
    return status;
  }
  Status Close() override {
    visit_.reset();
    return rows_->Close();
  }

 private:
  const std::shared_ptr<FailoverGroup> group_;
  std::shared_ptr<GroupVisit> visit_;
  const std::shared_ptr<arrow::RecordBatchReader> rows_;
};

// Requested when either of two is.
class EitherStop {
 public:
  EitherStop(std::stop_token one, std::stop_token other)
      : one_(std::move(one), [this] { stop_.request_stop(); }),
        other_(std::move(other), [this] { stop_.request_stop(); }) {}
  std::stop_token token() const { return stop_.get_token(); }

 private:
  std::stop_source stop_;
  const std::stop_callback<std::function<void()>> one_;
  const std::stop_callback<std::function<void()>> other_;
};

// Each step asks first whether the group is still here: what a demoted server was told must not be
// committed there.
class GroupTransaction final : public Transaction::State {
 public:
  GroupTransaction(std::shared_ptr<FailoverGroup> group, std::shared_ptr<GroupVisit> visit,
                   Transaction transaction)
      : group_(std::move(group)), visit_(std::move(visit)), inner_(std::move(transaction)) {}

  Result<std::shared_ptr<arrow::Table>> execute_query(std::string_view sql, const Params& params,
                                                      const QueryOptions& options) override {
    ARROW_RETURN_NOT_OK(still_here());
    return judged(inner_.execute_query(sql, params, stoppable(options)));
  }
  Result<std::shared_ptr<arrow::RecordBatchReader>> execute_stream(
      std::string_view sql, const Params& params, const QueryOptions& options) override {
    ARROW_RETURN_NOT_OK(still_here());
    return judged(inner_.execute_stream(sql, params, stoppable(options)));
  }
  Result<int64_t> execute(std::string_view sql, const Params& params,
                          const QueryOptions& options) override {
    ARROW_RETURN_NOT_OK(still_here());
    return judged(inner_.execute(sql, params, stoppable(options)));
  }
  Result<int64_t> ingest(const IngestTarget& target, arrow::RecordBatchReader& rows,
                         const QueryOptions& options) override {
    ARROW_RETURN_NOT_OK(still_here());
    return judged(inner_.ingest(target, rows, stoppable(options)));
  }
  Result<StatementInfo> describe(std::string_view sql, const QueryOptions& options) override {
    ARROW_RETURN_NOT_OK(still_here());
    return judged(inner_.describe(sql, stoppable(options)));
  }
  Status savepoint(std::string_view name) override {
    ARROW_RETURN_NOT_OK(still_here());
    return inner_.savepoint(name);
  }
  Status release(std::string_view name) override {
    ARROW_RETURN_NOT_OK(still_here());
    return inner_.release(name);
  }
  Status rollback_to(std::string_view name) override {
    ARROW_RETURN_NOT_OK(still_here());
    return inner_.rollback_to(name);
  }
  // Its outcome is told as it is: a commit that was sent is not cancelled.
  Status commit(const QueryOptions& options) override {
    ARROW_RETURN_NOT_OK(still_here());
    return inner_.commit(options);
  }
  Status rollback() override { return inner_.rollback(); }
  bool is_open() const override { return inner_.is_open(); }

 private:
  // The visit's token chains to the caller of begin(), not to this call's: both must end it.
  QueryOptions stoppable(const QueryOptions& options) {
    QueryOptions now = options;
    now.stop = visit_->stop();
    if (!options.stop.stop_possible()) return now;
    either_ = std::make_unique<EitherStop>(options.stop, visit_->stop());
    now.stop = either_->token();
    return now;
  }
  Status still_here() {
    if (!visit_->interrupted()) return Status::OK();
    (void)inner_.rollback();
    ErrorDetail detail;
    detail.kind = ErrorKind::kConnection;
    detail.pool = group_->id();
    detail.sent = Sent::kNo;
    return make_error(std::move(detail),
                      "pool '" + group_->id() + "': a failover left '" +
                          group_->members()[visit_->member()].name +
                          "', where this transaction was; it is rolled back, begin another");
  }
  template <typename T>
  Result<T> judged(Result<T> answer) {
    if (answer.ok()) return answer;
    return group_->judged(*visit_, answer.status());
  }

  const std::shared_ptr<FailoverGroup> group_;
  const std::shared_ptr<GroupVisit> visit_;
  std::unique_ptr<EitherStop> either_;  // of the last step, whose rows may still be read
  Transaction inner_;
};

}  // namespace

std::shared_ptr<arrow::RecordBatchReader> of_group(std::shared_ptr<FailoverGroup> group,
                                                   std::shared_ptr<GroupVisit> visit,
                                                   std::shared_ptr<arrow::RecordBatchReader> rows) {
  return std::make_shared<GroupStream>(std::move(group), std::move(visit), std::move(rows));
}

Transaction of_group(std::shared_ptr<FailoverGroup> group, std::shared_ptr<GroupVisit> visit,
                     Transaction transaction) {
  return Transaction(std::make_unique<GroupTransaction>(std::move(group), std::move(visit),
                                                        std::move(transaction)));
}

Status given_up(const Status& last, const Status& why, int attempts) {
  ErrorDetail detail;
  detail.kind = error_kind(last);
  if (const ErrorDetail* known = error_detail(last)) detail = *known;
  return make_error(std::move(detail), last.message() + " (" + std::to_string(attempts) +
                                           (attempts == 1 ? " attempt; " : " attempts; ") +
                                           why.message() + ")");
}

}  // namespace cenote
