// Transactions, savepoints and reset of a session.
#include <utility>

#include "driver/odbc/session.h"

namespace cenote::odbc {
namespace {

constexpr uintptr_t level_of(Isolation isolation) {
  switch (isolation) {
    case Isolation::kRepeatableRead:
      return SQL_TXN_REPEATABLE_READ;
    case Isolation::kSerializable:
      return SQL_TXN_SERIALIZABLE;
    default:
      return SQL_TXN_READ_COMMITTED;
  }
}

}  // namespace

Status Session::begin(const CallContext& context, const TransactionOptions& options) {
  if (in_transaction_) {
    return make_error(ErrorKind::kInterface,
                      "a transaction is open already: use savepoints to nest");
  }
  if (options.read_only) {
    return make_error(ErrorKind::kNotSupported,
                      std::string(dialect_.database()) +
                          " has no read-only transactions: log in as a user who may only read");
  }
  ARROW_RETURN_NOT_OK(ready(context));
  if (options.isolation != Isolation::kDefault) {
    const std::string level = dialect_.isolation_sql(options.isolation);
    if (!level.empty()) {
      ARROW_RETURN_NOT_OK(run(context, level));
      trace_ = std::max(trace_, Trace::kSettings);
    } else if (!set_attribute(SQL_ATTR_TXN_ISOLATION, level_of(options.isolation))) {
      return make_error(ErrorKind::kNotSupported, "the driver refuses this isolation level");
    }
  }
  if (!dialect_.begin_sql().empty()) {
    ARROW_RETURN_NOT_OK(run(context, dialect_.begin_sql()));
  } else if (!set_attribute(SQL_ATTR_AUTOCOMMIT, SQL_AUTOCOMMIT_OFF)) {
    return make_error(ErrorKind::kNotSupported, "the driver has no transactions");
  }
  in_transaction_ = true;
  transaction_gone_ = false;
  return Status::OK();
}

Status Session::end_transaction(const CallContext& context, bool commit) {
  const std::string_view sql = commit ? dialect_.commit_sql() : dialect_.rollback_sql();
  if (!sql.empty()) {
    ARROW_RETURN_NOT_OK(run(context, sql));
    in_transaction_ = false;
    return Status::OK();
  }
  ARROW_RETURN_NOT_OK(ready(context));
  Call call(gate_, context);
  const SQLSMALLINT how = commit ? SQL_COMMIT : SQL_ROLLBACK;
  const SQLRETURN result =
      call.run(nullptr, [&] { return odbc_.end_tran(SQL_HANDLE_DBC, connection_, how); });
  if (!SQL_SUCCEEDED(result)) return error(call, SQL_HANDLE_DBC, connection_);
  in_transaction_ = false;
  if (!set_attribute(SQL_ATTR_AUTOCOMMIT, SQL_AUTOCOMMIT_ON)) lost_ = true;
  return Status::OK();
}

Status Session::commit(const CallContext& context) {
  if (!in_transaction_) return make_error(ErrorKind::kInterface, "no transaction is open");
  if (!transaction_gone_) return end_transaction(context, true);
  ARROW_RETURN_NOT_OK(rollback(context));
  return make_error(ErrorKind::kOperational,
                    "the transaction was rolled back, since a statement in it had failed");
}

Status Session::rollback(const CallContext& context) {
  if (!in_transaction_) return Status::OK();
  transaction_gone_ = false;
  return end_transaction(context, false);
}

Status Session::savepoint(const CallContext& context, std::string_view name) {
  if (!in_transaction_) {
    return make_error(ErrorKind::kInterface, "a savepoint needs a transaction: begin one first");
  }
  return run(context, dialect_.savepoint_sql(name));
}

Status Session::release_savepoint(const CallContext& context, std::string_view name) {
  const std::string sql = dialect_.release_savepoint_sql(name);
  return sql.empty() ? Status::OK() : run(context, sql);
}

Status Session::rollback_to_savepoint(const CallContext& context, std::string_view name) {
  return run(context, dialect_.rollback_to_sql(name));
}

Status Session::reset(const CallContext& context) {
  ARROW_RETURN_NOT_OK(rollback(context));
  ARROW_RETURN_NOT_OK(dialect_.reset(*this, context, trace_));
  trace_ = Trace::kNone;
  return Status::OK();
}

}  // namespace cenote::odbc
