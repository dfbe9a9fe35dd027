// The hot loop of reading: from ODBC's buffers into Arrow's builders.
#include "driver/odbc/column.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include <arrow/array/array_primitive.h>
#include <arrow/array/builder_binary.h>
#include <arrow/array/builder_decimal.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/array/builder_time.h>

#include "driver/odbc/unicode.h"

namespace cenote::odbc {
namespace {

constexpr int64_t kNanosPerTick = 100;
constexpr int64_t kTicksPerMicro = 10;

bool fits_nanos(int64_t ticks) {
  return ticks <= std::numeric_limits<int64_t>::max() / kNanosPerTick &&
         ticks >= std::numeric_limits<int64_t>::min() / kNanosPerTick;
}

}  // namespace

Column::Column(ColumnPlan plan, size_t rows)
    : plan_(std::move(plan)), buffer_(plan_.width * rows), indicators_(rows), valid_(rows) {
  const auto type = plan_.is_ticks ? arrow::int64() : plan_.field->type();
  // All types of the plan have builders.
  builder_ = arrow::MakeBuilder(type).ValueOrDie();
}

Status Column::bad(const std::string& what) const {
  return make_error(ErrorKind::kData, "column '" + plan_.name + "' " + what);
}

Status Column::too_many_digits() const {
  return bad("holds a decimal of more digits than the driver declared");
}

Status Column::check_length(size_t row, size_t least_room) const {
  const SQLLEN length = indicators_[row];
  if (length >= 0 && static_cast<size_t>(length) <= least_room) return Status::OK();
  return bad("holds a value longer than the driver declared (" + std::to_string(least_room) +
             " bytes): cast it to a longer type in the statement, or set the pool's config key "
             "'bound_limit' to 0");
}

template <typename Builder, typename Take>
Status Column::append_each(size_t rows, const Take& take) {
  auto& builder = as<Builder>();
  ARROW_RETURN_NOT_OK(builder.Reserve(static_cast<int64_t>(rows)));
  for (size_t row = 0; row < rows; ++row) {
    if (is_null(row)) {
      builder.UnsafeAppendNull();
      continue;
    }
    const auto value = take(row);
    if (!value) return bad("holds a value that is no valid date, time or timestamp");
    builder.UnsafeAppend(*value);
  }
  return Status::OK();
}

template <typename Builder>
Status Column::append_plain(size_t rows, int64_t& bytes) {
  using Value = typename Builder::value_type;
  bytes += static_cast<int64_t>(rows * sizeof(Value));
  for (size_t row = 0; row < rows; ++row) valid_[row] = is_null(row) ? 0 : 1;
  return as<Builder>().AppendValues(reinterpret_cast<const Value*>(buffer_.data()),
                                    static_cast<int64_t>(rows), valid_.data());
}

Status Column::append_decimal(size_t rows) {
  const auto text = [this](size_t row) {
    const auto* start = reinterpret_cast<const char*>(buffer_.data() + row * plan_.width);
    return std::string_view(start, static_cast<size_t>(indicators_[row]));
  };
  for (size_t row = 0; row < rows; ++row) {
    if (is_null(row)) {
      ARROW_RETURN_NOT_OK(builder_->AppendNull());
      continue;
    }
    if (plan_.c_type == SQL_C_NUMERIC) {
      SQL_NUMERIC_STRUCT number;
      std::memcpy(&number, buffer_.data() + row * plan_.width, sizeof number);
      if (number.scale != plan_.scale) return bad("came with another scale than it declares");
      uint64_t words[2];
      std::memcpy(words, number.val, sizeof words);
      arrow::Decimal128 value(static_cast<int64_t>(words[1]), words[0]);
      if (number.sign == 0) value.Negate();
      if (!value.FitsInPrecision(plan_.precision)) return too_many_digits();
      ARROW_RETURN_NOT_OK(as<arrow::Decimal128Builder>().Append(value));
      continue;
    }
    ARROW_RETURN_NOT_OK(check_length(row, plan_.width - 1));
    if (builder_->type()->id() == arrow::Type::DECIMAL128) {
      ARROW_ASSIGN_OR_RAISE(const auto value, decimal128_of(text(row), plan_.scale));
      if (!value.FitsInPrecision(plan_.precision)) return too_many_digits();
      ARROW_RETURN_NOT_OK(as<arrow::Decimal128Builder>().Append(value));
    } else {
      ARROW_ASSIGN_OR_RAISE(const auto value, decimal256_of(text(row), plan_.scale));
      if (!value.FitsInPrecision(plan_.precision)) return too_many_digits();
      ARROW_RETURN_NOT_OK(as<arrow::Decimal256Builder>().Append(value));
    }
  }
  return Status::OK();
}

Status Column::append_text(size_t rows, int64_t& bytes) {
  auto& builder = as<arrow::StringBuilder>();
  ARROW_RETURN_NOT_OK(builder.Reserve(static_cast<int64_t>(rows)));
  std::string scratch(3 * plan_.width / sizeof(SQLWCHAR), '\0');
  for (size_t row = 0; row < rows; ++row) {
    if (is_null(row)) {
      builder.UnsafeAppendNull();
      continue;
    }
    ARROW_RETURN_NOT_OK(check_length(row, plan_.width - sizeof(SQLWCHAR)));
    const auto* text = reinterpret_cast<const char16_t*>(buffer_.data() + row * plan_.width);
    const size_t units = static_cast<size_t>(indicators_[row]) / sizeof(char16_t);
    const size_t size = write_utf8(text, units, scratch.data());
    ARROW_RETURN_NOT_OK(builder.ReserveData(static_cast<int64_t>(size)));
    builder.UnsafeAppend(scratch.data(), static_cast<int32_t>(size));
    bytes += static_cast<int64_t>(size) + 4;
  }
  return Status::OK();
}

Status Column::append_binary(size_t rows, int64_t& bytes) {
  auto& builder = as<arrow::BinaryBuilder>();
  for (size_t row = 0; row < rows; ++row) {
    if (is_null(row)) {
      ARROW_RETURN_NOT_OK(builder.AppendNull());
      continue;
    }
    ARROW_RETURN_NOT_OK(check_length(row, plan_.width));
    ARROW_RETURN_NOT_OK(
        builder.Append(buffer_.data() + row * plan_.width, static_cast<int32_t>(indicators_[row])));
    bytes += indicators_[row] + 4;
  }
  return Status::OK();
}

Status Column::append_time(size_t rows) {
  const bool nano =
      static_cast<const arrow::Time64Type&>(*builder_->type()).unit() == arrow::TimeUnit::NANO;
  const auto take = [this, nano](size_t row) -> std::optional<int64_t> {
    ServerTime2 time{};
    if (plan_.c_type == SQL_C_TYPE_TIME) {
      const auto& plain = cell<SQL_TIME_STRUCT>(row);
      time = {plain.hour, plain.minute, plain.second, 0};
    } else {
      time = cell<ServerTime2>(row);
    }
    if (time.hour > 23 || time.minute > 59 || time.second > 59 || time.fraction > 999'999'999) {
      return std::nullopt;
    }
    const int64_t seconds = time.hour * 3600 + time.minute * 60 + time.second;
    if (nano) return seconds * 1'000'000'000 + time.fraction;
    return seconds * 1'000'000 + time.fraction / 1000;
  };
  return append_each<arrow::Time64Builder>(rows, take);
}

Status Column::append_timestamp(size_t rows) {
  const auto ticks = [this](size_t row) {
    return plan_.is_offset ? ticks_of(cell<ServerTimestampOffset>(row))
                           : ticks_of(cell<SQL_TIMESTAMP_STRUCT>(row));
  };
  if (plan_.is_ticks) return append_each<arrow::Int64Builder>(rows, ticks);
  if (plan_.scale > 6) {  // finer than ticks: another database than SQL Server
    return append_each<arrow::TimestampBuilder>(
        rows, [this](size_t row) { return nanos_of(cell<SQL_TIMESTAMP_STRUCT>(row)); });
  }
  return append_each<arrow::TimestampBuilder>(rows, [&](size_t row) {
    auto value = ticks(row);
    if (value) {
      // Down, also before 1970; a declared scale of six or less leaves no rest.
      *value =
          (*value - ((*value % kTicksPerMicro) + kTicksPerMicro) % kTicksPerMicro) / kTicksPerMicro;
    }
    return value;
  });
}

Status Column::append(size_t rows, int64_t& bytes) {
  switch (plan_.kind) {
    case Kind::kBool:
      return append_each<arrow::BooleanBuilder>(
          rows, [this](size_t row) { return std::optional<bool>(cell<uint8_t>(row) != 0); });
    case Kind::kInt8:
      return append_plain<arrow::Int8Builder>(rows, bytes);
    case Kind::kInt16:
      return append_plain<arrow::Int16Builder>(rows, bytes);
    case Kind::kInt32:
      return append_plain<arrow::Int32Builder>(rows, bytes);
    case Kind::kInt64:
      return append_plain<arrow::Int64Builder>(rows, bytes);
    case Kind::kUInt8:
      return append_plain<arrow::UInt8Builder>(rows, bytes);
    case Kind::kUInt16:
      return append_plain<arrow::UInt16Builder>(rows, bytes);
    case Kind::kUInt32:
      return append_plain<arrow::UInt32Builder>(rows, bytes);
    case Kind::kUInt64:
      return append_plain<arrow::UInt64Builder>(rows, bytes);
    case Kind::kFloat:
      return append_plain<arrow::FloatBuilder>(rows, bytes);
    case Kind::kDouble:
      return append_plain<arrow::DoubleBuilder>(rows, bytes);
    case Kind::kText:
      return append_text(rows, bytes);
    case Kind::kBinary:
      return append_binary(rows, bytes);
    default:
      break;
  }
  bytes += static_cast<int64_t>(16 * rows);
  switch (plan_.kind) {
    case Kind::kDecimal:
      return append_decimal(rows);
    case Kind::kGuid:
      for (size_t row = 0; row < rows; ++row) {
        uint8_t guid[16];
        guid_bytes(cell<SQLGUID>(row), guid);
        ARROW_RETURN_NOT_OK(is_null(row) ? builder_->AppendNull()
                                         : as<arrow::FixedSizeBinaryBuilder>().Append(guid));
      }
      return Status::OK();
    case Kind::kDate:
      return append_each<arrow::Date32Builder>(
          rows, [this](size_t row) { return days_of(cell<SQL_DATE_STRUCT>(row)); });
    case Kind::kTime:
      return append_time(rows);
    default:
      return append_timestamp(rows);
  }
}

Status Column::append_long(std::string_view value, bool is_null) {
  if (is_null) return builder_->AppendNull();
  if (plan_.kind == Kind::kBinary) return as<arrow::BinaryBuilder>().Append(value);
  const std::u16string_view text(reinterpret_cast<const char16_t*>(value.data()),
                                 value.size() / sizeof(char16_t));
  return as<arrow::StringBuilder>().Append(to_utf8(text));
}

Result<std::shared_ptr<arrow::Array>> Column::finish() {
  return builder_->Finish();
}

void TickFit::see(const arrow::Array& ticks) {
  const auto& values = static_cast<const arrow::Int64Array&>(ticks);
  for (int64_t i = 0; i < values.length(); ++i) {
    if (values.IsNull(i)) continue;
    nano_ = nano_ && fits_nanos(values.Value(i));
    micro_ = micro_ && values.Value(i) % kTicksPerMicro == 0;
  }
}

std::shared_ptr<arrow::Field> field_of(const ColumnPlan& plan, TickUnit unit) {
  const char* zone = plan.is_offset ? "UTC" : "";
  switch (unit) {
    case TickUnit::kMicro:
      return plan.field->WithType(arrow::timestamp(arrow::TimeUnit::MICRO, zone));
    case TickUnit::kText:
      return plan.field->WithType(arrow::utf8());
    default:
      return plan.field->WithType(arrow::timestamp(arrow::TimeUnit::NANO, zone));
  }
}

Result<std::shared_ptr<arrow::Array>> convert_ticks(const ColumnPlan& plan,
                                                    const arrow::Array& ticks, TickUnit unit) {
  const auto& values = static_cast<const arrow::Int64Array&>(ticks);
  ARROW_ASSIGN_OR_RAISE(const auto builder, arrow::MakeBuilder(field_of(plan, unit)->type()));
  ARROW_RETURN_NOT_OK(builder->Reserve(values.length()));
  for (int64_t i = 0; i < values.length(); ++i) {
    if (values.IsNull(i)) {
      ARROW_RETURN_NOT_OK(builder->AppendNull());
      continue;
    }
    const int64_t value = values.Value(i);
    if (unit == TickUnit::kText) {
      ARROW_RETURN_NOT_OK(
          static_cast<arrow::StringBuilder&>(*builder).Append(format_ticks(value, plan.is_offset)));
      continue;
    }
    const bool nano = unit == TickUnit::kNano;
    if (nano ? !fits_nanos(value) : value % kTicksPerMicro != 0) {
      return make_error(
          ErrorKind::kData,
          "column '" + plan.name + "' is a stream of " + (nano ? "nanoseconds" : "microseconds") +
              ", which do not hold " + format_ticks(value, plan.is_offset) +
              ": cast the column in the statement (to datetime2(6) or to text), or ask for the "
              "whole result instead of a stream");
    }
    static_cast<arrow::TimestampBuilder&>(*builder).UnsafeAppend(nano ? value * kNanosPerTick
                                                                      : value / kTicksPerMicro);
  }
  return builder->Finish();
}

}  // namespace cenote::odbc
