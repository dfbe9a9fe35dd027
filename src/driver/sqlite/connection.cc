// The interface of Connection on top of a session.
#include "driver/sqlite/connection.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include <arrow/type.h>

#include "driver/sqlite/bind.h"
#include "driver/sqlite/ingest.h"
#include "driver/sqlite/reader.h"
#include "driver/sqlite/types.h"

namespace cenote::sqlite {
namespace {

// Statements after which the session differs from a new one.
bool changes_session(std::string_view sql) {
  const std::string first = first_keyword(sql, kDialect);
  if (first == "pragma" || first == "attach" || first == "detach") return true;
  if (first != "create") return false;
  SqlScanner scanner(sql, kDialect);
  while (scanner.next() == SqlToken::kSymbol) {
  }
  scanner.next();
  std::string second(scanner.text());
  std::transform(second.begin(), second.end(), second.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return second == "temp" || second == "temporary";
}

Status unmatched(sqlite3_stmt* statement, const Params& params) {
  const int wanted = sqlite3_bind_parameter_count(statement);
  std::string text = "the statement has " + std::to_string(wanted) + " placeholders, but " +
                     std::to_string(params.values.size()) + " parameters were given";
  for (int i = 1; i <= wanted; ++i) {
    const char* name = sqlite3_bind_parameter_name(statement, i);
    if (name != nullptr) return make_error(ErrorKind::kInterface, text + "; none for " + name);
  }
  return make_error(ErrorKind::kInterface, std::move(text));
}

}  // namespace

Status SqliteConnection::check_free() const {
  if (!session_->busy()) return Status::OK();
  return make_error(ErrorKind::kInterface,
                    "a reader of this connection is still open: read it to its end or close it");
}

// Compiles and binds. Inside a Call.
Result<Statement> SqliteConnection::compile(std::string_view sql, const Params& params) {
  ARROW_ASSIGN_OR_RAISE(const BoundStatement bound, bind_placeholders(sql, params, kDialect));
  ARROW_ASSIGN_OR_RAISE(Statement statement, session_->prepare(bound.sql));
  const auto wanted = static_cast<size_t>(sqlite3_bind_parameter_count(statement.get()));
  if (wanted != bound.order.size()) return unmatched(statement.get(), params);
  ARROW_RETURN_NOT_OK(session_->check_file(sqlite3_stmt_readonly(statement.get()) == 0));
  for (size_t i = 0; i < bound.order.size(); ++i) {
    const std::shared_ptr<arrow::Scalar>& value =
        params.values[static_cast<size_t>(bound.order[i])];
    if (!value) return make_error(ErrorKind::kInterface, "a parameter is a null pointer");
    ARROW_RETURN_NOT_OK(bind_scalar(statement.get(), static_cast<int>(i) + 1, *value));
  }
  if (changes_session(sql)) changed_ = true;
  return statement;
}

Result<std::shared_ptr<arrow::RecordBatchReader>> SqliteConnection::query(
    const CallContext& context, std::string_view sql, const Params& params,
    const BatchLimits& limits) {
  ARROW_RETURN_NOT_OK(check_free());
  auto call = std::make_unique<Session::Call>(*session_, context);
  ARROW_ASSIGN_OR_RAISE(Statement statement, compile(sql, params));
  return read_rows(*session_, std::move(call), std::move(statement), params.values, limits);
}

Result<int64_t> SqliteConnection::execute(const CallContext& context, std::string_view sql,
                                          const Params& params) {
  ARROW_RETURN_NOT_OK(check_free());
  const Session::Call call(*session_, context);
  ARROW_ASSIGN_OR_RAISE(const Statement statement, compile(sql, params));
  for (;;) {
    ARROW_ASSIGN_OR_RAISE(const int code, session_->step(statement.get()));
    if (code == SQLITE_DONE) break;
  }
  const std::string first = first_keyword(sql, kDialect);
  const bool counts = first == "insert" || first == "update" || first == "delete" ||
                      first == "replace" || first == "with";
  if (!counts || sqlite3_stmt_readonly(statement.get()) != 0) return -1;
  return sqlite3_changes64(session_->handle());
}

Result<int64_t> SqliteConnection::ingest(const CallContext& context, const IngestTarget& target,
                                         arrow::RecordBatchReader& rows) {
  ARROW_RETURN_NOT_OK(check_free());
  const Session::Call call(*session_, context);
  ARROW_RETURN_NOT_OK(session_->check_file(true));
  return ingest_rows(*session_, target, rows);
}

// A column that is an expression has no declared type, and a placeholder never has one.
Result<StatementInfo> SqliteConnection::describe(const CallContext& context, std::string_view sql) {
  ARROW_RETURN_NOT_OK(check_free());
  const Session::Call call(*session_, context);
  ARROW_ASSIGN_OR_RAISE(const Statement statement, session_->prepare(sql));
  StatementInfo info;
  arrow::FieldVector parameters;
  const int wanted = sqlite3_bind_parameter_count(statement.get());
  for (int i = 1; i <= wanted; ++i) {
    const char* name = sqlite3_bind_parameter_name(statement.get(), i);
    parameters.push_back(arrow::field(name == nullptr ? "" : name, arrow::null()));
  }
  info.parameters = arrow::schema(std::move(parameters));
  const int count = sqlite3_column_count(statement.get());
  if (count == 0) return info;
  arrow::FieldVector columns;
  for (int i = 0; i < count; ++i) {
    const char* name = sqlite3_column_name(statement.get(), i);
    columns.push_back(
        arrow::field(name == nullptr ? "" : name,
                     arrow_type(declared_kind(sqlite3_column_decltype(statement.get(), i)))));
  }
  info.rows = arrow::schema(std::move(columns));
  return info;
}

Status SqliteConnection::run(const CallContext& context, std::string_view sql) {
  ARROW_RETURN_NOT_OK(check_free());
  const Session::Call call(*session_, context);
  return session_->run(sql);
}

Status SqliteConnection::begin(const CallContext& context, const TransactionOptions& options) {
  if (in_transaction()) {
    return make_error(ErrorKind::kInterface,
                      "a transaction is open already: use savepoints to nest");
  }
  // SQLite's transactions are serializable, whichever level was asked for. One that may write takes
  // the write lock at once: taking it later can fail where another has written in between.
  const bool read_only = options.read_only || session_->read_only();
  ARROW_RETURN_NOT_OK(run(context, read_only ? "begin" : "begin immediate"));
  if (!options.read_only || session_->read_only()) return Status::OK();
  read_only_ = true;
  return run(context, "pragma query_only = on");
}

Status SqliteConnection::end_transaction(const CallContext& context, std::string_view sql) {
  if (!in_transaction()) {
    if (std::exchange(read_only_, false)) session_->undo("pragma query_only = off");
    return make_error(ErrorKind::kInterface,
                      "no transaction is open: it was ended, or the database rolled it back");
  }
  ARROW_RETURN_NOT_OK(run(context, sql));
  if (std::exchange(read_only_, false)) session_->undo("pragma query_only = off");
  return Status::OK();
}

Status SqliteConnection::commit(const CallContext& context) {
  ARROW_RETURN_NOT_OK(session_->check_file(true));
  return end_transaction(context, "commit");
}

Status SqliteConnection::rollback(const CallContext& context) {
  // What the database has rolled back by itself is what the caller wants.
  if (!in_transaction() && session_->usable()) {
    if (std::exchange(read_only_, false)) session_->undo("pragma query_only = off");
    return Status::OK();
  }
  return end_transaction(context, "rollback");
}

Status SqliteConnection::savepoint(const CallContext& context, std::string_view name) {
  if (!in_transaction()) {
    return make_error(ErrorKind::kInterface, "a savepoint needs a transaction: begin one first");
  }
  return run(context, "savepoint " + quote_identifier(name));
}

Status SqliteConnection::release_savepoint(const CallContext& context, std::string_view name) {
  return run(context, "release savepoint " + quote_identifier(name));
}

Status SqliteConnection::rollback_to_savepoint(const CallContext& context, std::string_view name) {
  return run(context, "rollback to savepoint " + quote_identifier(name));
}

Status SqliteConnection::validate(const CallContext& context) {
  ARROW_RETURN_NOT_OK(session_->check_file(true));
  return run(context, "pragma schema_version");
}

Status SqliteConnection::reset(const CallContext& context) {
  ARROW_RETURN_NOT_OK(check_free());
  if (!changed_) {
    if (in_transaction()) ARROW_RETURN_NOT_OK(run(context, "rollback"));
    if (std::exchange(read_only_, false)) session_->undo("pragma query_only = off");
    return Status::OK();
  }
  ARROW_RETURN_NOT_OK(session_->open(context));
  changed_ = false;
  read_only_ = false;
  return Status::OK();
}

Result<Probe> SqliteConnection::probe(const CallContext& context) {
  ARROW_RETURN_NOT_OK(validate(context));
  Probe probe;
  probe.role = Role::kPrimary;
  probe.read_only = sqlite3_db_readonly(session_->handle(), "main") == 1;
  probe.server_version = sqlite3_libversion();
  return probe;
}

}  // namespace cenote::sqlite
