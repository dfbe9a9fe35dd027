// Arrow to SQLite's five storage classes. What SQLite has no class for becomes the text that its
// own functions understand.
#include "driver/sqlite/bind.h"

#include <limits>
#include <memory>
#include <string>
#include <string_view>

#include <arrow/array.h>
#include <arrow/scalar.h>
#include <arrow/type.h>
#include <arrow/util/decimal.h>
#include <arrow/util/float16.h>

#include "driver/sqlite/types.h"

namespace cenote::sqlite {
namespace {

Status check(int code) {
  if (code == SQLITE_OK) return Status::OK();
  if (code == SQLITE_TOOBIG) {
    return make_error(ErrorKind::kData, "a parameter is longer than SQLite allows (10^9 bytes)");
  }
  return make_error(ErrorKind::kOperational,
                    std::string("could not bind a parameter: ") + sqlite3_errstr(code));
}

Status bind_int(sqlite3_stmt* statement, int index, int64_t value) {
  return check(sqlite3_bind_int64(statement, index, value));
}

Status bind_unsigned(sqlite3_stmt* statement, int index, uint64_t value) {
  if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    return make_error(ErrorKind::kData,
                      "parameter " + std::to_string(index) +
                          " is above 2^63-1, the largest integer of SQLite: pass it as text");
  }
  return bind_int(statement, index, static_cast<int64_t>(value));
}

// A NULL pointer would bind NULL instead of an empty value.
const char* data_of(std::string_view value) {
  return value.data() == nullptr ? "" : value.data();
}

Status bind_text(sqlite3_stmt* statement, int index, std::string_view value,
                 sqlite3_destructor_type lifetime = SQLITE_STATIC) {
  return check(
      sqlite3_bind_text64(statement, index, data_of(value), value.size(), lifetime, SQLITE_UTF8));
}

Status bind_made_text(sqlite3_stmt* statement, int index, const std::string& value) {
  return bind_text(statement, index, value, SQLITE_TRANSIENT);
}

Status bind_blob(sqlite3_stmt* statement, int index, std::string_view value) {
  return check(sqlite3_bind_blob64(statement, index, data_of(value), value.size(), SQLITE_STATIC));
}

int64_t per_second(arrow::TimeUnit::type unit) {
  switch (unit) {
    case arrow::TimeUnit::SECOND:
      return 1;
    case arrow::TimeUnit::MILLI:
      return 1000;
    case arrow::TimeUnit::MICRO:
      return 1'000'000;
    case arrow::TimeUnit::NANO:
      break;
  }
  return 1'000'000'000;
}

// Microseconds; SQLite has no type of its own.
Status bind_duration(sqlite3_stmt* statement, int index, const arrow::DurationScalar& value) {
  const int64_t units = per_second(static_cast<const arrow::DurationType&>(*value.type).unit());
  int64_t micros = 0;
  const bool exact = units <= 1'000'000
                         ? !__builtin_mul_overflow(value.value, 1'000'000 / units, &micros)
                         : value.value % 1000 == 0;
  if (!exact) {
    return make_error(ErrorKind::kData, "parameter " + std::to_string(index) +
                                            " is a duration that is no whole number of "
                                            "microseconds, or too long");
  }
  return bind_int(statement, index, units <= 1'000'000 ? micros : value.value / 1000);
}

Status bind_timestamp(sqlite3_stmt* statement, int index, int64_t value,
                      const arrow::DataType& of_type) {
  const auto& type = static_cast<const arrow::TimestampType&>(of_type);
  std::string text = format_timestamp(value, per_second(type.unit()));
  if (!type.timezone().empty()) text += "+00:00";  // Arrow keeps such instants in UTC
  return bind_made_text(statement, index, text);
}

template <typename ScalarType>
auto value_of(const arrow::Scalar& scalar) {
  return static_cast<const ScalarType&>(scalar).value;
}

}  // namespace

Status bind_scalar(sqlite3_stmt* statement, int index, const arrow::Scalar& value) {
  if (!value.is_valid) return check(sqlite3_bind_null(statement, index));
  switch (value.type->id()) {
    case arrow::Type::BOOL:
      return bind_int(statement, index, value_of<arrow::BooleanScalar>(value) ? 1 : 0);
    case arrow::Type::INT8:
      return bind_int(statement, index, value_of<arrow::Int8Scalar>(value));
    case arrow::Type::INT16:
      return bind_int(statement, index, value_of<arrow::Int16Scalar>(value));
    case arrow::Type::INT32:
      return bind_int(statement, index, value_of<arrow::Int32Scalar>(value));
    case arrow::Type::INT64:
      return bind_int(statement, index, value_of<arrow::Int64Scalar>(value));
    case arrow::Type::UINT8:
      return bind_int(statement, index, value_of<arrow::UInt8Scalar>(value));
    case arrow::Type::UINT16:
      return bind_int(statement, index, value_of<arrow::UInt16Scalar>(value));
    case arrow::Type::UINT32:
      return bind_int(statement, index, value_of<arrow::UInt32Scalar>(value));
    case arrow::Type::UINT64:
      return bind_unsigned(statement, index, value_of<arrow::UInt64Scalar>(value));
    case arrow::Type::HALF_FLOAT: {
      const uint16_t bits = value_of<arrow::HalfFloatScalar>(value);
      return check(
          sqlite3_bind_double(statement, index, arrow::util::Float16::FromBits(bits).ToDouble()));
    }
    case arrow::Type::FLOAT:
      return check(sqlite3_bind_double(statement, index, value_of<arrow::FloatScalar>(value)));
    case arrow::Type::DOUBLE:
      return check(sqlite3_bind_double(statement, index, value_of<arrow::DoubleScalar>(value)));
    case arrow::Type::STRING:
    case arrow::Type::LARGE_STRING:
    case arrow::Type::STRING_VIEW:
      return bind_text(statement, index, static_cast<const arrow::BaseBinaryScalar&>(value).view());
    case arrow::Type::BINARY:
    case arrow::Type::LARGE_BINARY:
    case arrow::Type::BINARY_VIEW:
    case arrow::Type::FIXED_SIZE_BINARY:
      return bind_blob(statement, index, static_cast<const arrow::BaseBinaryScalar&>(value).view());
    case arrow::Type::DATE32:
      return bind_made_text(statement, index, format_date(value_of<arrow::Date32Scalar>(value)));
    case arrow::Type::DATE64:
      return bind_made_text(statement, index,
                            format_date(value_of<arrow::Date64Scalar>(value) / 86'400'000));
    case arrow::Type::TIME32:
      return bind_made_text(
          statement, index,
          format_time(value_of<arrow::Time32Scalar>(value),
                      per_second(static_cast<const arrow::TimeType&>(*value.type).unit())));
    case arrow::Type::TIME64:
      return bind_made_text(
          statement, index,
          format_time(value_of<arrow::Time64Scalar>(value),
                      per_second(static_cast<const arrow::TimeType&>(*value.type).unit())));
    case arrow::Type::TIMESTAMP:
      return bind_timestamp(statement, index, value_of<arrow::TimestampScalar>(value), *value.type);
    case arrow::Type::DURATION:
      return bind_duration(statement, index, static_cast<const arrow::DurationScalar&>(value));
    case arrow::Type::DECIMAL32:
    case arrow::Type::DECIMAL64:
    case arrow::Type::DECIMAL128:
    case arrow::Type::DECIMAL256:
      return bind_made_text(statement, index, value.ToString());
    case arrow::Type::DICTIONARY: {
      ARROW_ASSIGN_OR_RAISE(const std::shared_ptr<arrow::Scalar> decoded,
                            static_cast<const arrow::DictionaryScalar&>(value).GetEncodedValue());
      if (decoded->is_valid && arrow::is_base_binary_like(decoded->type->id())) {
        const std::string_view view = static_cast<const arrow::BaseBinaryScalar&>(*decoded).view();
        // Not kept alive by the caller, so SQLite copies it.
        return arrow::is_string(decoded->type->id())
                   ? bind_text(statement, index, view, SQLITE_TRANSIENT)
                   : check(sqlite3_bind_blob64(statement, index, data_of(view), view.size(),
                                               SQLITE_TRANSIENT));
      }
      return bind_scalar(statement, index, *decoded);
    }
    case arrow::Type::EXTENSION:
      return bind_scalar(statement, index,
                         *static_cast<const arrow::ExtensionScalar&>(value).value);
    default:
      return make_error(ErrorKind::kNotSupported,
                        "SQLite has no type for a value of " + value.type->ToString() +
                            " (parameter or column " + std::to_string(index) +
                            "): pass it as text, a number or bytes");
  }
}

Status bind_cell(sqlite3_stmt* statement, int index, const arrow::Array& column, int64_t row) {
  if (column.IsNull(row)) return check(sqlite3_bind_null(statement, index));
  switch (column.type_id()) {
    case arrow::Type::INT64:
      return bind_int(statement, index, static_cast<const arrow::Int64Array&>(column).Value(row));
    case arrow::Type::INT32:
      return bind_int(statement, index, static_cast<const arrow::Int32Array&>(column).Value(row));
    case arrow::Type::DOUBLE:
      return check(sqlite3_bind_double(statement, index,
                                       static_cast<const arrow::DoubleArray&>(column).Value(row)));
    case arrow::Type::BOOL:
      return bind_int(statement, index,
                      static_cast<const arrow::BooleanArray&>(column).Value(row) ? 1 : 0);
    case arrow::Type::DATE32:
      return bind_made_text(statement, index,
                            format_date(static_cast<const arrow::Date32Array&>(column).Value(row)));
    case arrow::Type::TIMESTAMP:
      return bind_timestamp(statement, index,
                            static_cast<const arrow::TimestampArray&>(column).Value(row),
                            *column.type());
    case arrow::Type::STRING:
      return bind_text(statement, index,
                       static_cast<const arrow::StringArray&>(column).GetView(row));
    case arrow::Type::LARGE_STRING:
      return bind_text(statement, index,
                       static_cast<const arrow::LargeStringArray&>(column).GetView(row));
    case arrow::Type::STRING_VIEW:
      // A short value lies in the view itself, which a scalar would copy.
      return bind_text(statement, index,
                       static_cast<const arrow::StringViewArray&>(column).GetView(row));
    case arrow::Type::BINARY:
      return bind_blob(statement, index,
                       static_cast<const arrow::BinaryArray&>(column).GetView(row));
    case arrow::Type::LARGE_BINARY:
      return bind_blob(statement, index,
                       static_cast<const arrow::LargeBinaryArray&>(column).GetView(row));
    case arrow::Type::BINARY_VIEW:
      return bind_blob(statement, index,
                       static_cast<const arrow::BinaryViewArray&>(column).GetView(row));
    case arrow::Type::FIXED_SIZE_BINARY:
      return bind_blob(statement, index,
                       static_cast<const arrow::FixedSizeBinaryArray&>(column).GetView(row));
    case arrow::Type::EXTENSION:
      return bind_cell(statement, index,
                       *static_cast<const arrow::ExtensionArray&>(column).storage(), row);
    default: {
      ARROW_ASSIGN_OR_RAISE(const std::shared_ptr<arrow::Scalar> value, column.GetScalar(row));
      return bind_scalar(statement, index, *value);
    }
  }
}

}  // namespace cenote::sqlite
