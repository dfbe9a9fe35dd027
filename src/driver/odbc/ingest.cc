// Bulk inserts: one prepared INSERT, executed with arrays of parameters.
#include <algorithm>
#include <utility>
#include <vector>

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "driver/odbc/parameter.h"
#include "driver/odbc/session.h"

namespace cenote::odbc {
namespace {

constexpr int64_t kRowsOfArray = 1000;
constexpr int64_t kColumnBudget = int64_t{4} << 20;
constexpr std::chrono::seconds kUndo{5};
constexpr std::string_view kSavepoint = "cenote_ingest";

Status prepare_table(Session& session, const CallContext& context, const IngestTarget& target,
                     const arrow::Schema& schema) {
  if (target.mode == IngestMode::kAppend) return Status::OK();
  const std::string table = quoted_table(target.table);
  std::string columns;
  for (const auto& field : schema.fields()) {
    ARROW_ASSIGN_OR_RAISE(const std::string type, session.dialect().column_type(*field));
    columns += (columns.empty() ? "" : ", ") + quote_identifier(field->name()) + " " + type;
  }
  if (target.mode == IngestMode::kReplace) {
    ARROW_RETURN_NOT_OK(session.run(context, "DROP TABLE IF EXISTS " + table));
  }
  if (target.mode == IngestMode::kCreateAppend) {
    return session.run(context, session.dialect().create_if_absent(table, columns));
  }
  return session.run(context, "CREATE TABLE " + table + " (" + columns + ")");
}

class Inserter {
 public:
  Inserter(Session& session, const CallContext& context)
      : session_(session), call_(session.gate(), context) {}
  ~Inserter() {
    // Buffers die before the handle that points to them would be used again.
    if (statement_) session_.odbc().free_stmt(statement_.get(), SQL_RESET_PARAMS);
  }

  Status prepare(const IngestTarget& target, const arrow::Schema& schema) {
    std::string insert = "INSERT INTO " + quoted_table(target.table) + " (";
    std::string values;
    for (const auto& field : schema.fields()) {
      ARROW_ASSIGN_OR_RAISE(Parameter parameter,
                            Parameter::make(session_.abilities(), *field->type()));
      insert += (parameters_.empty() ? "" : ", ") + quote_identifier(field->name());
      values += parameters_.empty() ? "?" : ", ?";
      parameters_.push_back(std::move(parameter));
    }
    text_ = to_wide(insert + ") VALUES (" + values + ")");
    ARROW_ASSIGN_OR_RAISE(statement_, session_.allocate());
    const Library& odbc = session_.odbc();
    return check(call_.run(statement_.get(), [&] {
      return odbc.prepare(statement_.get(), sql_text(text_), static_cast<SQLINTEGER>(text_.size()));
    }));
  }

  // Inserts rows from `begin` on, as many as fit one array; returns how many.
  Result<int64_t> insert(const arrow::RecordBatch& batch, int64_t begin) {
    const Library& odbc = session_.odbc();
    int64_t rows = std::min(kRowsOfArray, batch.num_rows() - begin);
    for (size_t i = 0; i < parameters_.size(); ++i) {
      const auto& column = *batch.column(static_cast<int>(i));
      ARROW_ASSIGN_OR_RAISE(rows, parameters_[i].fill(column, begin, rows, kColumnBudget));
    }
    for (size_t i = 0; i < parameters_.size(); ++i) {
      ARROW_RETURN_NOT_OK(
          check(parameters_[i].bind(odbc, statement_, static_cast<SQLUSMALLINT>(i + 1))));
    }
    states_.assign(static_cast<size_t>(rows), SQL_PARAM_UNUSED);
    SQLULEN processed = 0;
    set(SQL_ATTR_PARAMSET_SIZE, reinterpret_cast<SQLPOINTER>(rows));
    set(SQL_ATTR_PARAM_STATUS_PTR, states_.data());
    set(SQL_ATTR_PARAMS_PROCESSED_PTR, &processed);
    const SQLRETURN result =
        call_.run(statement_.get(), [&] { return odbc.execute(statement_.get()); });
    if (result != SQL_NO_DATA) ARROW_RETURN_NOT_OK(check(result));
    // A failed row is a mere warning of the whole; its record is there until the next call.
    if (std::find(states_.begin(), states_.end(), SQL_PARAM_ERROR) != states_.end()) {
      return session_.error(call_, SQL_HANDLE_STMT, statement_.get());
    }
    int64_t affected = -1;
    ARROW_RETURN_NOT_OK(session_.drain(call_, statement_, &affected));
    if (std::find(states_.begin(), states_.end(), SQL_PARAM_ERROR) != states_.end()) {
      return make_error(ErrorKind::kIntegrity, "a row was refused");
    }
    if (processed != 0 && processed != static_cast<SQLULEN>(rows)) {
      return make_error(ErrorKind::kInternal, "the driver took " + std::to_string(processed) +
                                                  " of " + std::to_string(rows) + " rows");
    }
    return rows;
  }

  Statement& statement() { return statement_; }

 private:
  Status check(SQLRETURN result) {
    if (SQL_SUCCEEDED(result)) return Status::OK();
    return session_.error(call_, SQL_HANDLE_STMT, statement_.get());
  }
  void set(SQLINTEGER attribute, SQLPOINTER value) {
    session_.odbc().set_stmt_attr(statement_.get(), attribute, value, 0);
  }

  Session& session_;
  Call call_;
  Statement statement_;
  WideString text_;
  std::vector<Parameter> parameters_;
  std::vector<SQLUSMALLINT> states_;
};

Result<int64_t> insert_all(Session& session, const CallContext& context, const IngestTarget& target,
                           arrow::RecordBatchReader& rows) {
  ARROW_RETURN_NOT_OK(prepare_table(session, context, target, *rows.schema()));
  Inserter inserter(session, context);
  ARROW_RETURN_NOT_OK(inserter.prepare(target, *rows.schema()));
  int64_t count = 0;
  while (true) {
    std::shared_ptr<arrow::RecordBatch> batch;
    ARROW_RETURN_NOT_OK(rows.ReadNext(&batch));
    if (!batch) return count;
    for (int64_t row = 0; row < batch->num_rows();) {
      ARROW_ASSIGN_OR_RAISE(const int64_t done, inserter.insert(*batch, row));
      row += done;
    }
    count += batch->num_rows();
  }
}

}  // namespace

Result<int64_t> Session::ingest(const CallContext& context, const IngestTarget& target,
                                arrow::RecordBatchReader& rows) {
  if (target.table.empty()) return make_error(ErrorKind::kInterface, "ingest needs a table name");
  if (rows.schema()->num_fields() == 0) {
    return make_error(ErrorKind::kInterface, "ingest needs at least one column");
  }
  ARROW_RETURN_NOT_OK(ready(context));
  const bool own = !in_transaction_;
  ARROW_RETURN_NOT_OK(own ? begin(context, {}) : savepoint(context, kSavepoint));
  Result<int64_t> count = insert_all(*this, context, target, rows);
  if (count.ok()) {
    const Status kept = own ? commit(context) : release_savepoint(context, kSavepoint);
    if (kept.ok()) return count;
    count = kept;
  }
  if (!usable()) return count;
  check_transaction(count.status());
  const CallContext bounded{Deadline::in(kUndo), {}};
  const Status undone =
      own || transaction_gone_ ? Status::OK() : rollback_to_savepoint(bounded, kSavepoint);
  if (!(own ? rollback(bounded) : undone).ok()) lost_ = true;
  return count;
}

}  // namespace cenote::odbc
