// One column of a result: the buffer that the driver fills, and the Arrow array made of it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/array/array_base.h>
#include <arrow/array/builder_base.h>

#include "cenote/error.h"

#include "driver/odbc/types.h"

namespace cenote::odbc {

// In which unit a column of ticks comes out.
enum class TickUnit : uint8_t { kNano, kMicro, kText };

class Column {
 public:
  Column(ColumnPlan plan, size_t rows);

  const ColumnPlan& plan() const { return plan_; }
  // For SQLBindCol: `rows` values of plan().width bytes, and their indicators.
  void* buffer() { return buffer_.data(); }
  SQLLEN* indicators() { return indicators_.data(); }

  // Appends the first `rows` values of the buffer; adds to `bytes` what they take.
  Status append(size_t rows, int64_t& bytes);
  // Appends one value that was fetched piece by piece; text is UTF-16.
  Status append_long(std::string_view value, bool is_null);

  // What was appended, as an array of the field's type; ticks as int64.
  Result<std::shared_ptr<arrow::Array>> finish();
  // Room for `rows` more values.
  Status reserve(size_t rows) { return builder_->Reserve(static_cast<int64_t>(rows)); }

 private:
  template <typename Builder>
  Builder& as() {
    return static_cast<Builder&>(*builder_);
  }
  template <typename Value>
  const Value& cell(size_t row) const {
    return reinterpret_cast<const Value*>(buffer_.data())[row];
  }
  bool is_null(size_t row) const { return indicators_[row] == SQL_NULL_DATA; }
  // Appends what `take(row)` gives for each value that is not null.
  template <typename Builder, typename Take>
  Status append_each(size_t rows, const Take& take);
  template <typename Builder>
  Status append_plain(size_t rows, int64_t& bytes);
  Status append_decimal(size_t rows);
  Status append_text(size_t rows, int64_t& bytes);
  Status append_binary(size_t rows, int64_t& bytes);
  Status append_time(size_t rows);
  Status append_timestamp(size_t rows);
  Status check_length(size_t row, size_t least_room) const;
  Status bad(const std::string& what) const;
  Status too_many_digits() const;

  ColumnPlan plan_;
  std::vector<uint8_t> buffer_;
  std::vector<SQLLEN> indicators_;
  std::vector<uint8_t> valid_;
  std::unique_ptr<arrow::ArrayBuilder> builder_;
};

// Which units hold the ticks seen so far without losing any.
class TickFit {
 public:
  void see(const arrow::Array& ticks);
  TickUnit unit() const {
    return nano_ ? TickUnit::kNano : micro_ ? TickUnit::kMicro : TickUnit::kText;
  }

 private:
  bool nano_ = true;
  bool micro_ = true;
};

std::shared_ptr<arrow::Field> field_of(const ColumnPlan& plan, TickUnit unit);
// The ticks in `unit`; kData if one of them does not fit.
Result<std::shared_ptr<arrow::Array>> convert_ticks(const ColumnPlan& plan,
                                                    const arrow::Array& ticks, TickUnit unit);

}  // namespace cenote::odbc
