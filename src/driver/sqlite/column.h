// Builds one column of a batch from cells of any storage class; the hot loop of reading.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <arrow/array/array_base.h>
#include <arrow/util/macros.h>
#include <sqlite3.h>

#include "cenote/error.h"

#include "driver/sqlite/column_builder.h"
#include "driver/sqlite/types.h"

namespace cenote::sqlite {

// A cell where it lies: in the row that the statement stands on. It is looked up once, since every
// sqlite3_column_* call takes the handle's mutex, looks the cell up and checks for an error;
// sqlite3_value_* do not. (SQLite allows that while no other thread uses the handle, as here.)
class StatementCell {
 public:
  StatementCell(sqlite3_stmt* statement, int column)
      : value_(sqlite3_column_value(statement, column)) {}

  int storage() const { return sqlite3_value_type(value_); }
  int64_t integer() const { return sqlite3_value_int64(value_); }
  double real() const { return sqlite3_value_double(value_); }
  std::string_view bytes(int storage) const {
    // Text first: bytes() tells its length in the encoding that text() made.
    const void* data = storage == SQLITE_TEXT ? static_cast<const void*>(sqlite3_value_text(value_))
                                              : sqlite3_value_blob(value_);
    const int size = sqlite3_value_bytes(value_);
    return {static_cast<const char*>(data), data == nullptr ? 0 : static_cast<size_t>(size)};
  }

 private:
  sqlite3_value* value_;
};

// A cell that was copied out of a row.
struct KeptCell {
  int kept_storage = SQLITE_NULL;
  int64_t kept_integer = 0;
  double kept_real = 0;
  std::string kept_bytes;

  int storage() const { return kept_storage; }
  int64_t integer() const { return kept_integer; }
  double real() const { return kept_real; }
  std::string_view bytes(int /*storage*/) const { return kept_bytes; }
};

class Column {
 public:
  explicit Column(const char* declaration) : Column(declared_kind(declaration)) {}

  // One of a known kind.
  static Column of(Kind kind) {
    Column column(kind);
    column.settle();
    return column;
  }

  Kind kind() const { return kind_; }
  // After this the kind stays; where nothing decided it is text.
  void settle() {
    if (kind_ == Kind::kUnknown) kind_ = Kind::kText;
    seen_ = true;
  }

  // Room for `rows` more cells; append() needs it.
  Status reserve(int64_t rows) { return builder_.reserve(rows); }

  // Appends a cell; false, and nothing appended, if the kind does not hold it, or for the reason
  // in `status` if that is not OK. `bytes` grows by what the cell takes beyond its fixed width.
  template <typename Cell>
  bool append(const Cell& cell, int64_t& bytes, Status& status);

  // Widens the kind so that it holds the cell.
  template <typename Cell>
  void learn(const Cell& cell);

  // What was appended, as an array; empties the column.
  std::shared_ptr<arrow::Array> finish() { return builder_.finish(arrow_type(kind_)); }
  // Begins anew, with what was learned.
  void restart() { builder_ = ColumnBuilder(layout_of(kind_)); }

 private:
  explicit Column(Kind kind) : kind_(kind), builder_(layout_of(kind)) {}

  static Layout layout_of(Kind kind);
  bool put(std::string_view value, int64_t& bytes, Status& status) {
    bytes += static_cast<int64_t>(value.size());
    status = builder_.put(value);
    return status.ok();
  }
  // The number of a text in the form that a temporal column wants.
  std::optional<int64_t> temporal(std::string_view text) const;
  // The kind that the cell has by itself, or the column's own if it takes it as such.
  template <typename Cell>
  Kind natural_kind(const Cell& cell, int storage) const;
  // The first value of a column without a kind decides.
  Status decide(Kind kind);

  Kind kind_;
  bool seen_ = false;  // a value that is not null was met, or the kind was settled
  ColumnBuilder builder_;
};

template <typename Cell>
Kind Column::natural_kind(const Cell& cell, int storage) const {
  switch (storage) {
    case SQLITE_INTEGER: {
      if (kind_ == Kind::kDouble && fits_double(cell.integer())) return kind_;
      const bool bit = cell.integer() == 0 || cell.integer() == 1;
      return bit && kind_ == Kind::kBool ? kind_ : Kind::kInt;
    }
    case SQLITE_FLOAT:
      return Kind::kDouble;
    case SQLITE_TEXT: {
      const std::string_view text = cell.bytes(storage);
      if (temporal(text)) return kind_;
      return is_utf8(text) ? Kind::kText : Kind::kBinary;
    }
    case SQLITE_BLOB:
      return Kind::kBinary;
    default:
      return Kind::kUnknown;
  }
}

template <typename Cell>
void Column::learn(const Cell& cell) {
  const int storage = cell.storage();
  const Kind natural = natural_kind(cell, storage);
  if (natural == Kind::kUnknown || natural == kind_ || kind_ == Kind::kBinary) return;
  if (kind_ == Kind::kText && natural != Kind::kBinary) return;
  if (!seen_) {
    kind_ = natural;  // a declaration that no value bears out gives way to what is there
  } else if (kind_ == Kind::kDouble && natural == Kind::kInt) {
    kind_ = Kind::kText;  // an integer that no double holds
  } else {
    kind_ = widened(kind_, natural);
  }
  seen_ = true;
}

template <typename Cell>
bool Column::append(const Cell& cell, int64_t& bytes, Status& status) {
  const int storage = cell.storage();
  if (storage == SQLITE_NULL) {
    builder_.put_null();
    return true;
  }
  if (ARROW_PREDICT_FALSE(kind_ == Kind::kUnknown)) {
    status = decide(natural_kind(cell, storage));
    if (!status.ok()) return false;
  }
  bool held = false;
  switch (kind_) {
    case Kind::kInt:
      held = storage == SQLITE_INTEGER;
      if (held) builder_.put(cell.integer());
      break;
    case Kind::kDouble:
      held = storage == SQLITE_FLOAT || (storage == SQLITE_INTEGER && fits_double(cell.integer()));
      if (held) builder_.put(cell.real());
      break;
    case Kind::kText:
      if (storage == SQLITE_TEXT) {
        const std::string_view text = cell.bytes(storage);
        held = is_utf8(text) && put(text, bytes, status);
        break;
      }
      [[fallthrough]];
    case Kind::kBinary:
      if (storage == SQLITE_INTEGER) {
        held = put(std::to_string(cell.integer()), bytes, status);
      } else if (storage == SQLITE_FLOAT) {
        held = put(format_double(cell.real()), bytes, status);
      } else if (kind_ == Kind::kBinary) {
        held = put(cell.bytes(storage), bytes, status);
      }
      break;
    case Kind::kBool:
      held = storage == SQLITE_INTEGER && (cell.integer() == 0 || cell.integer() == 1);
      if (held) builder_.put_bit(cell.integer() == 1);
      break;
    case Kind::kDate:
    case Kind::kTime:
    case Kind::kTimestamp: {
      if (storage != SQLITE_TEXT) break;
      const std::optional<int64_t> number = temporal(cell.bytes(storage));
      held = number.has_value();
      if (!held) break;
      if (kind_ == Kind::kDate) {
        builder_.put(static_cast<int32_t>(*number));
      } else {
        builder_.put(*number);
      }
      break;
    }
    case Kind::kUnknown:
      break;
  }
  if (held) seen_ = true;
  return held;
}

}  // namespace cenote::sqlite
