// Reading. The kinds of the columns are learned from the first batch, or from the whole result if
// the caller wants it whole: where a value does not fit what was built so far, the rest is only
// looked at, and the statement runs again with what was learned. A statement that writes (INSERT …
// RETURNING) cannot run again, so its rows are kept first.
#include "driver/sqlite/reader.h"

#include <algorithm>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include <arrow/array/util.h>
#include <arrow/type.h>

#include "driver/sqlite/column.h"
#include "driver/sqlite/error.h"

namespace cenote::sqlite {
namespace {

constexpr int64_t kMostBytes = int64_t{1} << 30;  // with a cell of 10^9 still below 2^31
constexpr int64_t kFirstRoom = 64;
constexpr int64_t kMostRoom = 65'536;
constexpr int kMostRuns = 8;  // each run widens at least one column, seldom more than once

class Reader final : public arrow::RecordBatchReader {
 public:
  Reader(Session& session, std::unique_ptr<Session::Call> call, Statement statement,
         std::vector<std::shared_ptr<arrow::Scalar>> bound, const BatchLimits& limits)
      : session_(session),
        call_(std::move(call)),
        bound_(std::move(bound)),
        statement_(std::move(statement)),
        limits_(limits) {
    limits_.rows = std::max<int64_t>(limits_.rows, 1);
    limits_.bytes = std::clamp<int64_t>(limits_.bytes, 1, kMostBytes);
    limits_.whole = limits.whole && !limits.eager;
  }
  ~Reader() override { end(); }

  Status start();
  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }
  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override;
  Status Close() override {
    closed_ = true;
    ready_.clear();
    end();
    return Status::OK();
  }

 private:
  // Steps to the next row; false at the end.
  Result<bool> advance();
  Status rewind();
  Status keep_rows();
  Status learn_schema();
  // Reads one batch's worth. False if a value did not fit: the columns have learned, nothing was
  // built.
  Result<bool> fill(std::shared_ptr<arrow::RecordBatch>* batch);
  template <typename MakeCell>
  Result<bool> fill_from(const MakeCell& cell, int64_t& rows);
  template <typename MakeCell>
  Status learn_rest(const MakeCell& cell, int64_t rows, int64_t bytes);
  Result<std::shared_ptr<arrow::RecordBatch>> make_batch(int64_t rows);
  Status contradiction(int64_t row) const;
  void end() {
    statement_.reset();
    call_.reset();
  }

  Session& session_;
  std::unique_ptr<Session::Call> call_;
  const std::vector<std::shared_ptr<arrow::Scalar>> bound_;  // outlives the statement
  Statement statement_;
  BatchLimits limits_;
  std::shared_ptr<arrow::Schema> schema_;
  std::vector<std::string> names_;
  std::vector<Column> columns_;
  bool on_row_ = false;  // a row stands ready that no batch has taken
  bool settled_ = false;
  bool closed_ = false;
  Status failed_;  // what ended the reading, so that no one takes the end for a whole result
  int64_t rows_before_ = 0;  // in the batches made so far
  int64_t room_ = kFirstRoom;
  std::deque<std::shared_ptr<arrow::RecordBatch>> ready_;

  // Of a statement that writes.
  bool kept_ = false;
  std::vector<KeptCell> cells_;
  size_t kept_row_ = 0;
};

Result<bool> Reader::advance() {
  if (kept_) {
    ++kept_row_;
    on_row_ = kept_row_ * columns_.size() < cells_.size();
    return on_row_;
  }
  ARROW_ASSIGN_OR_RAISE(const int code, session_.step(statement_.get()));
  on_row_ = code == SQLITE_ROW;
  return on_row_;
}

Status Reader::rewind() {
  rows_before_ = 0;
  ready_.clear();
  for (Column& column : columns_) column.restart();
  if (kept_) {
    kept_row_ = 0;
    on_row_ = !cells_.empty();
    return Status::OK();
  }
  sqlite3_reset(statement_.get());
  return advance().status();
}

Status Reader::keep_rows() {
  const int count = static_cast<int>(columns_.size());
  while (on_row_) {
    for (int i = 0; i < count; ++i) {
      const StatementCell cell{statement_.get(), i};
      KeptCell& kept = cells_.emplace_back();
      kept.kept_storage = cell.storage();
      kept.kept_integer = kept.kept_storage == SQLITE_INTEGER ? cell.integer() : 0;
      kept.kept_real = kept.kept_storage == SQLITE_INTEGER || kept.kept_storage == SQLITE_FLOAT
                           ? cell.real()
                           : 0;
      if (kept.kept_storage == SQLITE_TEXT || kept.kept_storage == SQLITE_BLOB) {
        kept.kept_bytes = cell.bytes(kept.kept_storage);
      }
    }
    ARROW_RETURN_NOT_OK(advance());
  }
  kept_ = true;
  // All rows are here, so that none has to contradict: what was written is told.
  limits_.whole = true;
  on_row_ = !cells_.empty();
  return Status::OK();
}

Status Reader::start() {
  ARROW_RETURN_NOT_OK(advance());
  // Only now: the first step may have compiled the statement anew after the tables changed.
  const int count = sqlite3_column_count(statement_.get());
  for (int i = 0; i < count; ++i) {
    const char* name = sqlite3_column_name(statement_.get(), i);
    names_.emplace_back(name == nullptr ? "" : name);
    columns_.emplace_back(sqlite3_column_decltype(statement_.get(), i));
  }
  if (count == 0) {
    while (on_row_) ARROW_RETURN_NOT_OK(advance());
  } else if (sqlite3_stmt_readonly(statement_.get()) == 0) {
    ARROW_RETURN_NOT_OK(keep_rows());
  }
  ARROW_RETURN_NOT_OK(learn_schema());
  if (!on_row_) end();
  return Status::OK();
}

Status Reader::learn_schema() {
  for (int run = 1; on_row_; ++run) {
    bool fits = true;
    while (on_row_ && fits && (limits_.whole || ready_.empty())) {
      std::shared_ptr<arrow::RecordBatch> batch;
      ARROW_ASSIGN_OR_RAISE(fits, fill(&batch));
      if (fits) ready_.push_back(std::move(batch));
    }
    if (fits) break;
    if (run == kMostRuns) return contradiction(rows_before_);
    ARROW_RETURN_NOT_OK(rewind());
  }
  settled_ = true;
  arrow::FieldVector fields;
  for (size_t i = 0; i < columns_.size(); ++i) {
    const Kind before = columns_[i].kind();
    columns_[i].settle();
    if (before != columns_[i].kind()) columns_[i].restart();
    fields.push_back(arrow::field(names_[i], arrow_type(columns_[i].kind())));
  }
  schema_ = arrow::schema(std::move(fields));
  // Batches of nulls from before a value decided.
  for (std::shared_ptr<arrow::RecordBatch>& batch : ready_) {
    arrow::ArrayVector arrays = batch->columns();
    for (size_t i = 0; i < arrays.size(); ++i) {
      const std::shared_ptr<arrow::DataType>& type = schema_->field(static_cast<int>(i))->type();
      if (arrays[i]->type_id() == type->id()) continue;
      ARROW_ASSIGN_OR_RAISE(arrays[i], arrow::MakeArrayOfNull(type, arrays[i]->length()));
    }
    batch = arrow::RecordBatch::Make(schema_, batch->num_rows(), std::move(arrays));
  }
  return Status::OK();
}

template <typename MakeCell>
Result<bool> Reader::fill_from(const MakeCell& cell, int64_t& rows) {
  const int count = static_cast<int>(columns_.size());
  Column* const columns = columns_.data();
  Status status;
  int64_t bytes = 0;
  while (on_row_ && rows < limits_.rows && bytes < limits_.bytes) {
    const int64_t block = std::min(room_, limits_.rows - rows);
    room_ = std::min(room_ * 4, kMostRoom);
    for (Column& column : columns_) ARROW_RETURN_NOT_OK(column.reserve(block));
    for (int64_t row = 0; row < block && on_row_ && bytes < limits_.bytes; ++row) {
      for (int i = 0; i < count; ++i) {
        if (ARROW_PREDICT_FALSE(!columns[i].append(cell(i), bytes, status))) {
          ARROW_RETURN_NOT_OK(status);
          if (settled_) return contradiction(rows_before_ + rows);
          ARROW_RETURN_NOT_OK(learn_rest(cell, rows, bytes));
          return false;
        }
      }
      bytes += count * 8;
      ++rows;
      ARROW_RETURN_NOT_OK(advance());
    }
  }
  return true;
}

template <typename MakeCell>
Status Reader::learn_rest(const MakeCell& cell, int64_t rows, int64_t bytes) {
  const int count = static_cast<int>(columns_.size());
  while (on_row_ && (limits_.whole || (rows < limits_.rows && bytes < limits_.bytes))) {
    for (int i = 0; i < count; ++i) columns_[static_cast<size_t>(i)].learn(cell(i));
    bytes += count * 8;
    ++rows;
    ARROW_RETURN_NOT_OK(advance());
  }
  return Status::OK();
}

Result<bool> Reader::fill(std::shared_ptr<arrow::RecordBatch>* batch) {
  int64_t rows = 0;
  bool fits = false;
  if (kept_) {
    const auto cell = [this](int i) -> const KeptCell& {
      return cells_[kept_row_ * columns_.size() + static_cast<size_t>(i)];
    };
    ARROW_ASSIGN_OR_RAISE(fits, fill_from(cell, rows));
  } else {
    sqlite3_stmt* statement = statement_.get();
    const auto cell = [statement](int i) { return StatementCell{statement, i}; };
    ARROW_ASSIGN_OR_RAISE(fits, fill_from(cell, rows));
  }
  if (!fits) return false;
  ARROW_ASSIGN_OR_RAISE(*batch, make_batch(rows));
  return true;
}

Result<std::shared_ptr<arrow::RecordBatch>> Reader::make_batch(int64_t rows) {
  arrow::ArrayVector arrays;
  arrow::FieldVector fields;
  for (size_t i = 0; i < columns_.size(); ++i) {
    std::shared_ptr<arrow::Array> array = columns_[i].finish();
    if (!settled_) fields.push_back(arrow::field(names_[i], array->type()));
    arrays.push_back(std::move(array));
  }
  rows_before_ += rows;
  return arrow::RecordBatch::Make(settled_ ? schema_ : arrow::schema(std::move(fields)), rows,
                                  std::move(arrays));
}

Status Reader::contradiction(int64_t row) const {
  ErrorDetail detail;
  detail.kind = ErrorKind::kData;
  detail.sqlstate = kContradiction;
  detail.vendor_code = SQLITE_MISMATCH;
  detail.endpoint = session_.endpoint();
  for (size_t i = 0; !kept_ && statement_ && i < columns_.size(); ++i) {
    Column probe = Column::of(columns_[i].kind());
    probe.learn(StatementCell{statement_.get(), static_cast<int>(i)});
    if (probe.kind() == columns_[i].kind()) continue;
    return make_error(std::move(detail),
                      "column '" + names_[i] + "' is a stream of " +
                          std::string(kind_name(columns_[i].kind())) + ", but row " +
                          std::to_string(row + 1) +
                          " holds a value of another type: cast the column in the statement "
                          "(cast(… as text)), or ask for the whole result instead of a stream");
  }
  return make_error(std::move(detail), "row " + std::to_string(row + 1) +
                                           " holds a value that does not fit its column's type: "
                                           "cast the column in the statement (cast(… as text))");
}

Status Reader::ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) {
  batch->reset();
  if (closed_) return make_error(ErrorKind::kInterface, "the reader is closed");
  ARROW_RETURN_NOT_OK(failed_);
  if (!ready_.empty()) {
    *batch = std::move(ready_.front());
    ready_.pop_front();
    return Status::OK();
  }
  if (!on_row_) {
    end();
    return Status::OK();
  }
  const Result<bool> filled = fill(batch);
  failed_ = filled.status();
  if (!filled.ok() || !on_row_) {
    on_row_ = false;
    end();
  }
  return failed_;
}

}  // namespace

Result<std::shared_ptr<arrow::RecordBatchReader>> read_rows(
    Session& session, std::unique_ptr<Session::Call> call, Statement statement,
    std::vector<std::shared_ptr<arrow::Scalar>> bound, const BatchLimits& limits) {
  auto reader = std::make_shared<Reader>(session, std::move(call), std::move(statement),
                                         std::move(bound), limits);
  ARROW_RETURN_NOT_OK(reader->start());
  return reader;
}

}  // namespace cenote::sqlite
