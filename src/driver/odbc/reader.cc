// Fetches blocks of rows into bound columns; long values one row at a time, piece by piece.
#include "driver/odbc/reader.h"

#include <algorithm>
#include <utility>

#include <arrow/type.h>

namespace cenote::odbc {
namespace {

constexpr size_t kBlockBytes = size_t{1} << 20;
constexpr size_t kMostBlockRows = 4096;
constexpr size_t kFirstPiece = 4096;
constexpr size_t kMostKept = size_t{1} << 20;  // of the buffer for pieces, between values
constexpr int64_t kMostBytes = int64_t{1} << 30;

}  // namespace

Result<ColumnInfo> describe_column(const Library& odbc, const Statement& statement,
                                   SQLUSMALLINT number) {
  ColumnInfo info;
  char16_t name[512];
  SQLSMALLINT length = 0;
  SQLSMALLINT nullable = 0;
  if (!SQL_SUCCEEDED(odbc.describe_col(statement.get(), number, reinterpret_cast<SQLWCHAR*>(name),
                                       512, &length, &info.type, &info.size, &info.digits,
                                       &nullable))) {
    return make_error(ErrorKind::kInternal,
                      joined(read_diagnostics(odbc, SQL_HANDLE_STMT, statement.get())));
  }
  info.name = to_utf8({name, static_cast<size_t>(std::clamp<int>(length, 0, 511))});
  SQLLEN flag = SQL_FALSE;
  switch (info.type) {
    case SQL_TINYINT:
    case SQL_SMALLINT:
    case SQL_INTEGER:
    case SQL_BIGINT:
      if (SQL_SUCCEEDED(odbc.col_attribute(statement.get(), number, SQL_DESC_UNSIGNED, nullptr, 0,
                                           nullptr, &flag))) {
        info.is_unsigned = flag == SQL_TRUE;
      }
      break;
    default:
      // Where Arrow's type does not say it all, the field's metadata does.
      if (info.type > kServerVariant && info.type != SQL_GUID) break;
      if (SQL_SUCCEEDED(odbc.col_attribute(statement.get(), number, SQL_DESC_TYPE_NAME, name,
                                           sizeof name, &length, nullptr))) {
        info.type_name =
            to_utf8({name, static_cast<size_t>(std::clamp<int>(length, 0, sizeof name)) / 2});
      }
  }
  return info;
}

Reader::Reader(Session& session, std::unique_ptr<Call> call, Statement statement,
               const BatchLimits& limits)
    : session_(&session),
      call_(std::move(call)),
      statement_(std::move(statement)),
      limits_(limits),
      schema_(arrow::schema({})) {
  limits_.rows = std::max<int64_t>(limits_.rows, 1);
  limits_.bytes = std::clamp<int64_t>(limits_.bytes, 1, kMostBytes);
}

Status Reader::fail(Status status) {
  at_end_ = true;
  call_.reset();
  session_->abandon(std::move(statement_));
  session_->check_transaction(status);
  return status;
}

Status Reader::finish() {
  at_end_ = true;
  int64_t affected = -1;
  Status status = session_->drain(*call_, statement_, &affected);
  if (!status.ok()) return fail(std::move(status));
  statement_ = Statement();
  call_.reset();
  return status;
}

Status Reader::start() {
  int64_t affected = -1;
  const Result<bool> has_rows = session_->next_rows(*call_, statement_, &affected);
  if (!has_rows.ok()) return fail(has_rows.status());
  if (!*has_rows) return finish();
  if (Status status = describe(); !status.ok()) return fail(status);
  if (Status status = bind(); !status.ok()) return fail(status);
  if (!has_ticks_) return Status::OK();
  return decide_units();
}

Status Reader::describe() {
  const Library& odbc = session_->odbc();
  SQLSMALLINT count = 0;
  odbc.num_result_cols(statement_.get(), &count);
  std::vector<ColumnPlan> plans;
  arrow::FieldVector fields;
  size_t row_bytes = 0;
  first_long_ = static_cast<size_t>(count);
  for (SQLSMALLINT i = 0; i < count; ++i) {
    ARROW_ASSIGN_OR_RAISE(const ColumnInfo info,
                          describe_column(odbc, statement_, static_cast<SQLUSMALLINT>(i + 1)));
    plans.push_back(plan_column(info, session_->abilities(), session_->options().bound_limit));
    fields.push_back(plans.back().field);
    has_ticks_ = has_ticks_ || plans.back().is_ticks;
    row_bytes += plans.back().width + sizeof(SQLLEN);
    if (plans.back().is_long) first_long_ = std::min(first_long_, static_cast<size_t>(i));
  }
  schema_ = arrow::schema(std::move(fields));
  units_.resize(plans.size(), TickUnit::kNano);
  const bool all_bound = first_long_ == plans.size();
  const size_t budget = std::min(kBlockBytes, static_cast<size_t>(limits_.bytes));
  block_ = all_bound ? std::clamp<size_t>(budget / row_bytes, 1, kMostBlockRows) : 1;
  block_ = std::min(block_, static_cast<size_t>(limits_.rows));
  for (ColumnPlan& plan : plans) {
    if (plan.is_long) plan.width = 0;
    columns_.emplace_back(std::move(plan), block_);
  }
  return Status::OK();
}

Status Reader::bind() {
  const Library& odbc = session_->odbc();
  const auto check = [&](SQLRETURN result) {
    if (SQL_SUCCEEDED(result)) return Status::OK();
    return session_->error(*call_, SQL_HANDLE_STMT, statement_.get());
  };
  // After the execution: set before, Microsoft's driver asks for a cursor on the server.
  const auto set = [&](SQLINTEGER attribute, SQLPOINTER value) {
    return check(odbc.set_stmt_attr(statement_.get(), attribute, value, 0));
  };
  ARROW_RETURN_NOT_OK(set(SQL_ATTR_ROW_ARRAY_SIZE, reinterpret_cast<SQLPOINTER>(block_)));
  ARROW_RETURN_NOT_OK(set(SQL_ATTR_ROWS_FETCHED_PTR, &fetched_));
  states_.assign(block_, SQL_ROW_SUCCESS);
  ARROW_RETURN_NOT_OK(set(SQL_ATTR_ROW_STATUS_PTR, states_.data()));
  SQLHDESC descriptor = nullptr;
  odbc.get_stmt_attr(statement_.get(), SQL_ATTR_APP_ROW_DESC, &descriptor, 0, nullptr);
  for (size_t i = 0; i < columns_.size(); ++i) {
    const ColumnPlan& plan = columns_[i].plan();
    const auto number = static_cast<SQLSMALLINT>(i + 1);
    if (i < first_long_) {
      ARROW_RETURN_NOT_OK(check(odbc.bind_col(
          statement_.get(), static_cast<SQLUSMALLINT>(number), plan.c_type, columns_[i].buffer(),
          static_cast<SQLLEN>(plan.width), columns_[i].indicators())));
    }
    if (plan.c_type != SQL_C_NUMERIC) continue;
    // Precision and scale of SQL_C_NUMERIC live in the descriptor; setting them unbinds the data.
    const auto field = [&](SQLSMALLINT name, intptr_t value) {
      odbc.set_desc_field(descriptor, number, name, reinterpret_cast<SQLPOINTER>(value), 0);
    };
    field(SQL_DESC_TYPE, SQL_C_NUMERIC);
    field(SQL_DESC_PRECISION, plan.precision);
    field(SQL_DESC_SCALE, plan.scale);
    if (i < first_long_) field(SQL_DESC_DATA_PTR, reinterpret_cast<intptr_t>(columns_[i].buffer()));
  }
  return Status::OK();
}

Result<size_t> Reader::fetch(int64_t& bytes) {
  const SQLRETURN result =
      call_->run(statement_.get(), [&] { return session_->odbc().fetch(statement_.get()); });
  if (result == SQL_NO_DATA) return 0;
  if (!SQL_SUCCEEDED(result)) {
    return session_->error(*call_, SQL_HANDLE_STMT, statement_.get());
  }
  // Drivers without block fetch count nothing.
  const size_t rows = block_ == 1 ? 1 : static_cast<size_t>(fetched_);
  // A connection lost within a block is a mere warning to Microsoft's driver, and the next fetch
  // would say that there are no more rows.
  const auto failed = std::find(states_.begin(), states_.end(), SQL_ROW_ERROR);
  if (failed != states_.end()) {
    return session_->error(*call_, SQL_HANDLE_STMT, statement_.get());
  }
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (i < first_long_) {
      ARROW_RETURN_NOT_OK(columns_[i].append(rows, bytes));
    } else if (columns_[i].plan().is_long) {
      ARROW_RETURN_NOT_OK(read_long(columns_[i], static_cast<int>(i + 1), bytes));
    } else {
      ARROW_RETURN_NOT_OK(read_single(columns_[i], static_cast<int>(i + 1), bytes));
    }
  }
  return rows;
}

// Numbers and the like behind a long column: SQLGetData wants ascending columns.
Status Reader::read_single(Column& column, int number, int64_t& bytes) {
  const ColumnPlan& plan = column.plan();
  const SQLSMALLINT type = plan.c_type == SQL_C_NUMERIC ? SQLSMALLINT{SQL_ARD_TYPE} : plan.c_type;
  const SQLRETURN result = call_->run(statement_.get(), [&] {
    return session_->odbc().get_data(statement_.get(), static_cast<SQLUSMALLINT>(number), type,
                                     column.buffer(), static_cast<SQLLEN>(plan.width),
                                     column.indicators());
  });
  if (!SQL_SUCCEEDED(result)) {
    return session_->error(*call_, SQL_HANDLE_STMT, statement_.get());
  }
  return column.append(1, bytes);
}

Status Reader::read_long(Column& column, int number, int64_t& bytes) {
  const SQLSMALLINT type = column.plan().c_type;
  const size_t terminator = type == SQL_C_WCHAR ? sizeof(SQLWCHAR) : 0;
  size_t have = 0;
  piece_.resize(std::max(piece_.size(), kFirstPiece));
  while (true) {
    const size_t room = piece_.size() - have;
    SQLLEN length = 0;
    const SQLRETURN result = call_->run(statement_.get(), [&] {
      return session_->odbc().get_data(statement_.get(), static_cast<SQLUSMALLINT>(number), type,
                                       piece_.data() + have, static_cast<SQLLEN>(room), &length);
    });
    if (result == SQL_NO_DATA) break;
    if (!SQL_SUCCEEDED(result)) {
      return session_->error(*call_, SQL_HANDLE_STMT, statement_.get());
    }
    if (length == SQL_NULL_DATA) return column.append_long({}, true);
    // The indicator tells what was left before this piece. Only it is to be trusted: FreeTDS
    // reports a truncated piece as a plain success.
    const bool cut = length == SQL_NO_TOTAL || static_cast<size_t>(length) > room - terminator;
    if (!cut) {
      have += static_cast<size_t>(length);
      break;
    }
    have += room - terminator;
    const size_t rest =
        length == SQL_NO_TOTAL ? piece_.size() : static_cast<size_t>(length) - (room - terminator);
    piece_.resize(have + rest + terminator + 2);
  }
  bytes += static_cast<int64_t>(have) + 4;
  ARROW_RETURN_NOT_OK(column.append_long(std::string_view(piece_.data(), have), false));
  if (piece_.size() > kMostKept) piece_ = std::string();
  return Status::OK();
}

Result<std::shared_ptr<arrow::RecordBatch>> Reader::fill() {
  int64_t rows = 0;
  int64_t bytes = 0;
  while (!at_end_ && rows + static_cast<int64_t>(block_) <= limits_.rows && bytes < limits_.bytes) {
    ARROW_ASSIGN_OR_RAISE(const size_t got, fetch(bytes));
    rows += static_cast<int64_t>(got);
    if (got == 0) {
      at_end_ = true;
      ARROW_RETURN_NOT_OK(finish());
    }
  }
  if (rows == 0) return nullptr;
  arrow::ArrayVector arrays;
  for (Column& column : columns_) {
    ARROW_ASSIGN_OR_RAISE(auto array, column.finish());
    arrays.push_back(std::move(array));
  }
  return arrow::RecordBatch::Make(schema_, rows, std::move(arrays));
}

Status Reader::decide_units() {
  std::vector<TickFit> fits(columns_.size());
  while (!at_end_ && (limits_.whole || ready_.empty())) {
    auto batch = fill();
    if (!batch.ok()) return call_ ? fail(batch.status()) : batch.status();
    if (!*batch) break;
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (columns_[i].plan().is_ticks) fits[i].see(*(*batch)->column(static_cast<int>(i)));
    }
    ready_.push_back(std::move(*batch));
  }
  arrow::FieldVector fields = schema_->fields();
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (!columns_[i].plan().is_ticks) continue;
    units_[i] = fits[i].unit();
    fields[i] = field_of(columns_[i].plan(), units_[i]);
  }
  schema_ = arrow::schema(std::move(fields));
  std::reverse(ready_.begin(), ready_.end());
  return Status::OK();
}

Result<std::shared_ptr<arrow::RecordBatch>> Reader::convert(
    const std::shared_ptr<arrow::RecordBatch>& batch) const {
  if (!batch || !has_ticks_) return batch;
  arrow::ArrayVector arrays = batch->columns();
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (!columns_[i].plan().is_ticks) continue;
    ARROW_ASSIGN_OR_RAISE(arrays[i], convert_ticks(columns_[i].plan(), *arrays[i], units_[i]));
  }
  return arrow::RecordBatch::Make(schema_, batch->num_rows(), std::move(arrays));
}

Status Reader::ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) {
  batch->reset();
  if (closed_) return make_error(ErrorKind::kInterface, "the reader is closed");
  if (!ready_.empty()) {
    const auto early = std::move(ready_.back());
    ready_.pop_back();
    ARROW_ASSIGN_OR_RAISE(*batch, convert(early));
    return Status::OK();
  }
  if (at_end_) return Status::OK();
  auto filled = fill();
  if (filled.ok()) filled = convert(*filled);
  if (!filled.ok()) return call_ ? fail(filled.status()) : filled.status();
  *batch = std::move(*filled);
  return Status::OK();
}

Status Reader::Close() {
  if (std::exchange(closed_, true)) return Status::OK();
  ready_.clear();
  if (call_) {
    at_end_ = true;
    call_.reset();
    session_->abandon(std::move(statement_));
  }
  return Status::OK();
}

}  // namespace cenote::odbc
