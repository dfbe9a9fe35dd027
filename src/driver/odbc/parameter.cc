// From Arrow values to the buffers that SQLBindParameter takes.
#include "driver/odbc/parameter.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

#include <arrow/array/array_binary.h>
#include <arrow/array/array_decimal.h>
#include <arrow/array/array_dict.h>
#include <arrow/array/array_primitive.h>
#include <arrow/extension_type.h>
#include <arrow/type.h>
#include <arrow/util/float16.h>

#include "driver/odbc/types.h"

namespace cenote::odbc {
namespace {

// SQL Server's longest nvarchar(n) and varbinary(n); one declared size for all shorter values keeps
// its cache of plans small.
constexpr size_t kServerText = 4000;
constexpr size_t kServerBinary = 8000;
constexpr SQLSMALLINT kServerScale = 7;

int64_t per_second(arrow::TimeUnit::type unit) {
  switch (unit) {
    case arrow::TimeUnit::SECOND:
      return 1;
    case arrow::TimeUnit::MILLI:
      return 1'000;
    case arrow::TimeUnit::MICRO:
      return 1'000'000;
    default:
      return 1'000'000'000;
  }
}

SQLSMALLINT digits_of(arrow::TimeUnit::type unit, bool sql_server) {
  const auto digits = static_cast<SQLSMALLINT>(3 * static_cast<int>(unit));
  return sql_server ? std::min(digits, kServerScale) : digits;
}

template <typename T>
void put_plain(std::string& out, const T& value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void put_wide(std::string& out, std::string_view text) {
  const WideString wide = to_wide(text);
  out.append(reinterpret_cast<const char*>(wide.data()), wide.size() * sizeof(char16_t));
}

std::string date_text(int year, unsigned month, unsigned day) {
  char text[40];
  std::snprintf(text, sizeof text, "%04d-%02u-%02u", year, month, day);
  return text;
}

std::string clock_text(int64_t hour, int64_t minute, int64_t second, int64_t nanos) {
  char text[32];
  std::snprintf(text, sizeof text, "%02d:%02d:%02d.%09d", static_cast<int>(hour),
                static_cast<int>(minute), static_cast<int>(second), static_cast<int>(nanos));
  std::string trimmed = text;
  trimmed.erase(trimmed.find_last_not_of('0') + 1);
  if (trimmed.ends_with('.')) trimmed.pop_back();
  return trimmed;
}

Result<ParameterPlan> plan_timestamp(const Abilities& abilities, const arrow::TimestampType& type) {
  const bool zoned = !type.timezone().empty();
  const SQLSMALLINT digits = digits_of(type.unit(), abilities.sql_server);
  const SQLULEN size = digits == 0 ? 19 : 20 + static_cast<SQLULEN>(digits);
  if (abilities.server_types && zoned) {
    return ParameterPlan{kCServerTimestampOffset, kServerTimestampOffset, 34, kServerScale,
                         sizeof(ServerTimestampOffset)};
  }
  // FreeTDS sends timestamps as datetime, to 1/300 s; the server reads text to the last digit.
  if (abilities.sql_server && !abilities.server_types) return ParameterPlan{};
  return ParameterPlan{SQL_C_TYPE_TIMESTAMP, SQL_TYPE_TIMESTAMP, size, digits,
                       sizeof(SQL_TIMESTAMP_STRUCT)};
}

Result<ParameterPlan> plan_of(const Abilities& abilities, const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::NA:
      return ParameterPlan{SQL_C_CHAR, SQL_VARCHAR, 1, 0, 1};
    case arrow::Type::BOOL:
      return ParameterPlan{SQL_C_BIT, SQL_BIT, 1, 0, 1};
    case arrow::Type::INT8:
    case arrow::Type::UINT8:
    case arrow::Type::INT16:
      return ParameterPlan{SQL_C_SSHORT, SQL_SMALLINT, 5, 0, 2};
    case arrow::Type::UINT16:
    case arrow::Type::INT32:
      return ParameterPlan{SQL_C_SLONG, SQL_INTEGER, 10, 0, 4};
    case arrow::Type::UINT32:
    case arrow::Type::INT64:
      return ParameterPlan{SQL_C_SBIGINT, SQL_BIGINT, 19, 0, 8};
    case arrow::Type::UINT64:
      return ParameterPlan{SQL_C_CHAR, SQL_NUMERIC, 20, 0, 0};
    case arrow::Type::HALF_FLOAT:
    case arrow::Type::FLOAT:
      return ParameterPlan{SQL_C_FLOAT, SQL_REAL, 24, 0, 4};
    case arrow::Type::DOUBLE:
      return ParameterPlan{SQL_C_DOUBLE, SQL_DOUBLE, 53, 0, 8};
    case arrow::Type::DECIMAL128:
    case arrow::Type::DECIMAL256: {
      const auto& decimal = static_cast<const arrow::DecimalType&>(type);
      return ParameterPlan{SQL_C_CHAR, SQL_DECIMAL, static_cast<SQLULEN>(decimal.precision()),
                           static_cast<SQLSMALLINT>(decimal.scale()), 0};
    }
    case arrow::Type::STRING:
    case arrow::Type::LARGE_STRING:
    case arrow::Type::STRING_VIEW:
      return ParameterPlan{};
    case arrow::Type::BINARY:
    case arrow::Type::LARGE_BINARY:
    case arrow::Type::BINARY_VIEW:
    case arrow::Type::FIXED_SIZE_BINARY:
      return ParameterPlan{SQL_C_BINARY, SQL_VARBINARY, 1, 0, 0};
    case arrow::Type::DATE32:
    case arrow::Type::DATE64:
      // FreeTDS 1.3 sends dates before 1900 wrong: year 1 arrived as year 45935.
      if (abilities.sql_server && !abilities.server_types) return ParameterPlan{};
      return ParameterPlan{SQL_C_TYPE_DATE, SQL_TYPE_DATE, 10, 0, sizeof(SQL_DATE_STRUCT)};
    case arrow::Type::TIME32:
    case arrow::Type::TIME64:
      if (!abilities.server_types) return ParameterPlan{};
      return ParameterPlan{kCServerTime2, kServerTime2, 16, kServerScale, sizeof(ServerTime2)};
    case arrow::Type::TIMESTAMP:
      return plan_timestamp(abilities, static_cast<const arrow::TimestampType&>(type));
    case arrow::Type::DICTIONARY:
      return plan_of(abilities, *static_cast<const arrow::DictionaryType&>(type).value_type());
    case arrow::Type::EXTENSION: {
      const auto& extension = static_cast<const arrow::ExtensionType&>(type);
      if (extension.extension_name() == "arrow.uuid") {
        return ParameterPlan{SQL_C_GUID, SQL_GUID, 36, 0, sizeof(SQLGUID)};
      }
      return plan_of(abilities, *extension.storage_type());
    }
    default:
      return make_error(ErrorKind::kNotSupported,
                        "a value of Arrow's type " + type.ToString() + " cannot be sent over ODBC");
  }
}

template <typename ArrayType>
std::string_view view_of(const arrow::Array& values, int64_t row) {
  return static_cast<const ArrayType&>(values).GetView(row);
}

// The bytes of a text or binary value; nullopt for other types.
std::optional<std::string_view> bytes_of(const arrow::Array& values, int64_t row) {
  switch (values.type_id()) {
    case arrow::Type::STRING:
    case arrow::Type::BINARY:
      return view_of<arrow::BinaryArray>(values, row);
    case arrow::Type::LARGE_STRING:
    case arrow::Type::LARGE_BINARY:
      return view_of<arrow::LargeBinaryArray>(values, row);
    case arrow::Type::STRING_VIEW:
    case arrow::Type::BINARY_VIEW:
      return view_of<arrow::BinaryViewArray>(values, row);
    case arrow::Type::FIXED_SIZE_BINARY:
      return view_of<arrow::FixedSizeBinaryArray>(values, row);
    default:
      return std::nullopt;
  }
}

template <typename ArrayType>
auto value_of(const arrow::Array& values, int64_t row) {
  return static_cast<const ArrayType&>(values).Value(row);
}

// Integers of every width, as the next wider one that ODBC has.
int64_t integer_of(const arrow::Array& values, int64_t row) {
  switch (values.type_id()) {
    case arrow::Type::BOOL:
      return value_of<arrow::BooleanArray>(values, row) ? 1 : 0;
    case arrow::Type::INT8:
      return value_of<arrow::Int8Array>(values, row);
    case arrow::Type::UINT8:
      return value_of<arrow::UInt8Array>(values, row);
    case arrow::Type::INT16:
      return value_of<arrow::Int16Array>(values, row);
    case arrow::Type::UINT16:
      return value_of<arrow::UInt16Array>(values, row);
    case arrow::Type::INT32:
    case arrow::Type::DATE32:
    case arrow::Type::TIME32:
      return values.data()->GetValues<int32_t>(1)[row];
    case arrow::Type::UINT32:
      return value_of<arrow::UInt32Array>(values, row);
    default:  // int64, date64, time64, timestamp: all of 64 bits
      return values.data()->GetValues<int64_t>(1)[row];
  }
}

const uint8_t* value_bytes(const arrow::Array& values, int64_t row) {
  return static_cast<const arrow::FixedSizeBinaryArray&>(values).GetValue(row);
}

// Plain digits: Arrow's own text has an exponent for small numbers, which drivers do not read.
template <typename Decimal>
void put_decimal(std::string& out, const Decimal& value, int scale) {
  std::string digits = value.ToIntegerString();
  const bool negative = digits.starts_with('-');
  if (negative) digits.erase(0, 1);
  if (scale < 0) digits.append(static_cast<size_t>(-scale), '0');
  if (scale > 0) {
    const auto places = static_cast<size_t>(scale);
    if (digits.size() <= places) digits.insert(0, places + 1 - digits.size(), '0');
    digits.insert(digits.size() - places, ".");
  }
  out.append(negative ? "-" : "").append(digits);
}

Status too_fine() {
  return make_error(ErrorKind::kData,
                    "a time has nanoseconds, and SQL Server's finest step is 100 ns: round it");
}

}  // namespace

Result<Parameter> Parameter::make(const Abilities& abilities, const arrow::DataType& type) {
  Parameter made;
  ARROW_ASSIGN_OR_RAISE(made.plan_, plan_of(abilities, type));
  made.sql_server_ = abilities.sql_server;
  made.server_types_ = abilities.server_types;
  return made;
}

void Parameter::take_type(SQLSMALLINT sql_type, SQLULEN size, SQLSMALLINT digits) {
  plan_.sql_type = sql_type;
  plan_.size = size;
  plan_.digits = digits;
}

Status Parameter::put_date(int64_t days, std::string& out) const {
  const SQL_DATE_STRUCT date = date_of(days);
  if (date.year < 1 || date.year > 9999) {
    return make_error(ErrorKind::kData, "a date lies outside of the years 1 to 9999");
  }
  if (plan_.width != 0) {
    put_plain(out, date);
  } else {
    put_wide(out, date_text(date.year, date.month, date.day));
  }
  return Status::OK();
}

Status Parameter::put_time(const arrow::Array& values, int64_t row, std::string& out) const {
  const auto& type = static_cast<const arrow::TimeType&>(*values.type());
  const int64_t scale = per_second(type.unit());
  const int64_t value = integer_of(values, row);
  const int64_t seconds = value / scale;
  const int64_t nanos = value % scale * (1'000'000'000 / scale);
  if (value < 0 || seconds >= 86'400) {
    return make_error(ErrorKind::kData, "a time of day lies outside of the day");
  }
  if (sql_server_ && nanos % 100 != 0) return too_fine();
  if (plan_.width != 0) {
    put_plain(
        out, ServerTime2{static_cast<SQLUSMALLINT>(seconds / 3600),
                         static_cast<SQLUSMALLINT>(seconds / 60 % 60),
                         static_cast<SQLUSMALLINT>(seconds % 60), static_cast<SQLUINTEGER>(nanos)});
  } else {
    put_wide(out, clock_text(seconds / 3600, seconds / 60 % 60, seconds % 60, nanos));
  }
  return Status::OK();
}

Status Parameter::put_timestamp(const arrow::Array& values, int64_t row, std::string& out) const {
  const auto& type = static_cast<const arrow::TimestampType&>(*values.type());
  const SQL_TIMESTAMP_STRUCT time = timestamp_of(integer_of(values, row), per_second(type.unit()));
  if (sql_server_ && time.fraction % 100 != 0) return too_fine();
  if (time.year < 1 || time.year > 9999) {
    return make_error(ErrorKind::kData, "a timestamp lies outside of the years 1 to 9999");
  }
  if (plan_.c_type == SQL_C_TYPE_TIMESTAMP) {
    put_plain(out, time);
  } else if (plan_.c_type == kCServerTimestampOffset) {
    put_plain(out, ServerTimestampOffset{time.year, time.month, time.day, time.hour, time.minute,
                                         time.second, time.fraction, 0, 0});
  } else {
    put_wide(out, date_text(time.year, time.month, time.day) + "T" +
                      clock_text(time.hour, time.minute, time.second, time.fraction) +
                      (type.timezone().empty() ? "" : "+00:00"));
  }
  return Status::OK();
}

Status Parameter::put(const arrow::Array& values, int64_t row, std::string& out) const {
  switch (values.type_id()) {
    case arrow::Type::HALF_FLOAT:
      put_plain(
          out,
          arrow::util::Float16::FromBits(value_of<arrow::HalfFloatArray>(values, row)).ToFloat());
      return Status::OK();
    case arrow::Type::FLOAT:
      put_plain(out, value_of<arrow::FloatArray>(values, row));
      return Status::OK();
    case arrow::Type::DOUBLE:
      put_plain(out, value_of<arrow::DoubleArray>(values, row));
      return Status::OK();
    case arrow::Type::UINT64:
      out += std::to_string(value_of<arrow::UInt64Array>(values, row));
      return Status::OK();
    case arrow::Type::DECIMAL128:
      put_decimal(out, arrow::Decimal128(value_bytes(values, row)), plan_.digits);
      return Status::OK();
    case arrow::Type::DECIMAL256:
      put_decimal(out, arrow::Decimal256(value_bytes(values, row)), plan_.digits);
      return Status::OK();
    case arrow::Type::TIME32:
    case arrow::Type::TIME64:
      return put_time(values, row, out);
    case arrow::Type::TIMESTAMP:
      return put_timestamp(values, row, out);
    case arrow::Type::DATE32:
      return put_date(integer_of(values, row), out);
    case arrow::Type::DATE64:
      return put_date(integer_of(values, row) / 86'400'000, out);
    default:
      break;
  }
  if (const auto bytes = bytes_of(values, row)) {
    if (plan_.c_type == SQL_C_GUID) {
      put_plain(out, guid_of(reinterpret_cast<const uint8_t*>(bytes->data())));
    } else if (plan_.c_type == SQL_C_WCHAR) {
      put_wide(out, *bytes);
    } else {
      out += *bytes;
    }
    return Status::OK();
  }
  const int64_t integer = integer_of(values, row);
  out.append(reinterpret_cast<const char*>(&integer), plan_.width);  // little endian
  return Status::OK();
}

Result<int64_t> Parameter::fill(const arrow::Array& values, int64_t begin, int64_t count,
                                int64_t budget) {
  if (values.type_id() == arrow::Type::EXTENSION) {
    return fill(*static_cast<const arrow::ExtensionArray&>(values).storage(), begin, count, budget);
  }
  const arrow::Array* source = &values;
  const auto* dictionary = values.type_id() == arrow::Type::DICTIONARY
                               ? static_cast<const arrow::DictionaryArray*>(&values)
                               : nullptr;
  if (dictionary != nullptr) source = dictionary->dictionary().get();
  std::vector<std::string> cells;
  cells.reserve(static_cast<size_t>(count));
  indicators_.clear();
  width_ = plan_.width != 0 ? plan_.width : sizeof(char16_t);
  for (int64_t i = 0; i < count; ++i) {
    std::string& cell = cells.emplace_back();
    if (values.IsNull(begin + i) || values.type_id() == arrow::Type::NA) {
      indicators_.push_back(SQL_NULL_DATA);
      continue;
    }
    const int64_t row = dictionary == nullptr ? begin + i : dictionary->GetValueIndex(begin + i);
    ARROW_RETURN_NOT_OK(put(*source, row, cell));
    const size_t wider = std::max(width_, cell.size());
    if (i > 0 && std::cmp_greater(wider * static_cast<size_t>(i + 1), budget)) {
      cells.pop_back();
      break;
    }
    width_ = wider;
    indicators_.push_back(static_cast<SQLLEN>(cell.size()));
  }
  data_.assign(width_ * cells.size(), '\0');
  for (size_t i = 0; i < cells.size(); ++i) {
    std::memcpy(data_.data() + i * width_, cells[i].data(), cells[i].size());
  }
  return static_cast<int64_t>(cells.size());
}

SQLRETURN Parameter::bind(const Library& odbc, const Statement& statement, SQLUSMALLINT number) {
  SQLSMALLINT sql_type = plan_.sql_type;
  SQLULEN size = plan_.size;
  if (plan_.c_type == SQL_C_WCHAR) {
    const size_t units = std::max<size_t>(width_ / sizeof(char16_t), 1);
    size = sql_server_ ? kServerText : units;
    if (units > kServerText) {
      // Size 0 is nvarchar(max) to Microsoft's driver; others know the long type.
      size = server_types_ ? 0 : units;
      if (!server_types_) sql_type = SQL_WLONGVARCHAR;
    }
  } else if (plan_.c_type == SQL_C_BINARY) {
    size = sql_server_ ? kServerBinary : width_;
    if (width_ > kServerBinary) {
      size = server_types_ ? 0 : width_;
      if (!server_types_) sql_type = SQL_LONGVARBINARY;
    }
  }
  return odbc.bind_parameter(statement.get(), number, SQL_PARAM_INPUT, plan_.c_type, sql_type, size,
                             plan_.digits, data_.data(), static_cast<SQLLEN>(width_),
                             indicators_.data());
}

}  // namespace cenote::odbc
