// Asks the pool first, then calls the connection.
#include "pool/lent_connection.h"

#include <utility>

#include <arrow/record_batch.h>
#include <arrow/table.h>

#include "pool/connection_pool.h"

namespace cenote {

Status LentConnection::ready() const {
  return pool_.check_lent(slot_);
}

Status LentConnection::judged(Status status) const {
  return pool_.judge_kept(slot_, std::move(status));
}

template <typename T>
Result<T> LentConnection::judged(Result<T> answer) const {
  if (answer.ok()) return answer;
  return judged(answer.status());
}

Result<std::shared_ptr<arrow::RecordBatchReader>> LentConnection::query(const CallContext& context,
                                                                        std::string_view sql,
                                                                        const Params& params,
                                                                        const BatchLimits& limits) {
  ARROW_RETURN_NOT_OK(ready());
  return judged(inner_.query(context, sql, params, limits));
}

Result<std::shared_ptr<arrow::Table>> LentConnection::query_table(const CallContext& context,
                                                                  std::string_view sql,
                                                                  const Params& params,
                                                                  const BatchLimits& limits) {
  ARROW_RETURN_NOT_OK(ready());
  return judged(inner_.query_table(context, sql, params, limits));
}

Result<int64_t> LentConnection::execute(const CallContext& context, std::string_view sql,
                                        const Params& params) {
  ARROW_RETURN_NOT_OK(ready());
  return judged(inner_.execute(context, sql, params));
}

Result<int64_t> LentConnection::ingest(const CallContext& context, const IngestTarget& target,
                                       arrow::RecordBatchReader& rows) {
  ARROW_RETURN_NOT_OK(ready());
  return judged(inner_.ingest(context, target, rows));
}

Result<StatementInfo> LentConnection::describe(const CallContext& context, std::string_view sql) {
  ARROW_RETURN_NOT_OK(ready());
  return judged(inner_.describe(context, sql));
}

Status LentConnection::begin(const CallContext& context, const TransactionOptions& options) {
  ARROW_RETURN_NOT_OK(ready());
  return judged(inner_.begin(context, options));
}

Status LentConnection::commit(const CallContext& context) {
  ARROW_RETURN_NOT_OK(ready());
  return judged(inner_.commit(context));
}

Status LentConnection::rollback(const CallContext& context) {
  ARROW_RETURN_NOT_OK(pool_.check_inherited());
  return inner_.rollback(context);
}

Status LentConnection::savepoint(const CallContext& context, std::string_view name) {
  ARROW_RETURN_NOT_OK(ready());
  return judged(inner_.savepoint(context, name));
}

Status LentConnection::release_savepoint(const CallContext& context, std::string_view name) {
  ARROW_RETURN_NOT_OK(ready());
  return judged(inner_.release_savepoint(context, name));
}

Status LentConnection::rollback_to_savepoint(const CallContext& context, std::string_view name) {
  ARROW_RETURN_NOT_OK(ready());
  return judged(inner_.rollback_to_savepoint(context, name));
}

Status LentConnection::validate(const CallContext& context) {
  ARROW_RETURN_NOT_OK(ready());
  return judged(inner_.validate(context));
}

Status LentConnection::reset(const CallContext& context) {
  ARROW_RETURN_NOT_OK(pool_.check_inherited());
  return inner_.reset(context);
}

Result<Probe> LentConnection::probe(const CallContext& context) {
  ARROW_RETURN_NOT_OK(pool_.check_inherited());
  return inner_.probe(context);
}

}  // namespace cenote
