// Values travel as text, which the server parses by the type it knows; bytes alone are binary.
#include "driver/postgresql/parameters.h"

#include <cmath>
#include <cstdio>
#include <limits>
#include <string_view>
#include <utility>

#include <arrow/array.h>
#include <arrow/extension_type.h>
#include <arrow/type.h>
#include <arrow/util/decimal.h>
#include <arrow/util/utf8.h>

#include "driver/postgresql/oids.h"

namespace cenote::postgresql {
namespace {

using arrow::Type;

Status bad(std::string message) {
  return make_error(ErrorKind::kData, std::move(message));
}

// Nested forms (an extension's storage, a dictionary's entry) as the plain value they stand for.
Result<std::shared_ptr<arrow::Scalar>> plain(const arrow::Scalar& value) {
  if (value.type->id() == Type::EXTENSION) {
    return static_cast<const arrow::ExtensionScalar&>(value).value;
  }
  if (value.type->id() == Type::DICTIONARY) {
    return static_cast<const arrow::DictionaryScalar&>(value).GetEncodedValue();
  }
  return std::shared_ptr<arrow::Scalar>();
}

bool is_uuid(const arrow::DataType& type) {
  return type.id() == Type::EXTENSION &&
         static_cast<const arrow::ExtensionType&>(type).extension_name() == "arrow.uuid";
}

std::string float_text(double number, const char* format) {
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number > 0 ? "Infinity" : "-Infinity";
  char text[40];
  std::snprintf(text, sizeof text, format, number);
  return text;
}

std::string_view bytes_of(const arrow::Scalar& value) {
  return std::string_view(*static_cast<const arrow::BaseBinaryScalar&>(value).value);
}

Result<std::string> checked_text(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) {
    return bad(
        "a text holds a zero byte, which PostgreSQL's text types cannot: send it as bytes "
        "to a bytea column, or remove it");
  }
  if (!arrow::util::ValidateUTF8(reinterpret_cast<const uint8_t*>(text.data()),
                                 static_cast<int64_t>(text.size()))) {
    return bad("a text is not valid UTF-8: send it as bytes to a bytea column, or decode it first");
  }
  return std::string(text);
}

std::string hex_bytes(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "\\x";
  text.reserve(2 + 2 * bytes.size());
  for (const char c : bytes) {
    text += kDigits[static_cast<uint8_t>(c) >> 4];
    text += kDigits[static_cast<uint8_t>(c) & 15];
  }
  return text;
}

std::string uuid_text(std::string_view bytes) {
  std::string text = hex_bytes(bytes).substr(2);
  for (const size_t at : {8U, 13U, 18U, 23U}) text.insert(at, "-");
  return text;
}

// Microseconds of a count of `unit`s, exact or refused.
Result<int64_t> to_micros(int64_t value, arrow::TimeUnit::type unit) {
  int64_t factor = 1;
  switch (unit) {
    case arrow::TimeUnit::SECOND:
      factor = 1'000'000;
      break;
    case arrow::TimeUnit::MILLI:
      factor = 1000;
      break;
    case arrow::TimeUnit::MICRO:
      break;
    case arrow::TimeUnit::NANO:
      if (value % 1000 != 0) {
        return bad(
            "a time has a fraction of a microsecond, which PostgreSQL cannot hold: round "
            "it to microseconds first");
      }
      return value / 1000;
  }
  int64_t micros = 0;
  if (__builtin_mul_overflow(value, factor, &micros)) {
    return bad("a time is beyond what PostgreSQL holds");
  }
  return micros;
}

std::string clock_text(int64_t micros) {
  char text[40];
  std::snprintf(text, sizeof text, "%02d:%02d:%02d.%06d", static_cast<int>(micros / 3'600'000'000),
                static_cast<int>(micros / 60'000'000 % 60),
                static_cast<int>(micros / 1'000'000 % 60), static_cast<int>(micros % 1'000'000));
  return text;
}

// Proleptic Gregorian calendar, from days since 1970 (the algorithm of "chrono-compatible
// low-level date algorithms"); years before 1 are BC.
std::string date_text(int64_t days, std::string* suffix) {
  days += 719'468;
  const int64_t era = (days >= 0 ? days : days - 146'096) / 146'097;
  const int64_t day_of_era = days - era * 146'097;
  const int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t shifted = (5 * day_of_year + 2) / 153;
  const auto day = static_cast<int>(day_of_year - (153 * shifted + 2) / 5 + 1);
  const auto month = static_cast<int>(shifted < 10 ? shifted + 3 : shifted - 9);
  int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
  *suffix = year > 0 ? "" : " BC";
  if (year <= 0) year = 1 - year;
  char text[48];
  std::snprintf(text, sizeof text, "%04lld-%02d-%02d", static_cast<long long>(year), month, day);
  return text;
}

std::string full_date_text(int64_t days) {
  std::string suffix;
  const std::string text = date_text(days, &suffix);
  return text + suffix;
}

Result<std::string> timestamp_text(const arrow::Scalar& value) {
  const auto& type = static_cast<const arrow::TimestampType&>(*value.type);
  ARROW_ASSIGN_OR_RAISE(
      const int64_t micros,
      to_micros(static_cast<const arrow::TimestampScalar&>(value).value, type.unit()));
  constexpr int64_t kDay = 86'400'000'000;
  const int64_t days = micros / kDay - (micros % kDay < 0 ? 1 : 0);
  std::string suffix;
  std::string text = date_text(days, &suffix) + " " + clock_text(micros - days * kDay);
  if (!type.timezone().empty()) text += "+00";
  return text + suffix;
}

Result<std::string> duration_text(const arrow::Scalar& value) {
  const auto& type = static_cast<const arrow::DurationType&>(*value.type);
  ARROW_ASSIGN_OR_RAISE(
      const int64_t micros,
      to_micros(static_cast<const arrow::DurationScalar&>(value).value, type.unit()));
  return std::to_string(micros / 1'000'000) + " seconds " + std::to_string(micros % 1'000'000) +
         " microseconds";
}

Result<std::string> interval_text(const arrow::Scalar& value) {
  const auto interval = static_cast<const arrow::MonthDayNanoIntervalScalar&>(value).value;
  ARROW_ASSIGN_OR_RAISE(const int64_t micros,
                        to_micros(interval.nanoseconds, arrow::TimeUnit::NANO));
  return std::to_string(interval.months) + " months " + std::to_string(interval.days) + " days " +
         std::to_string(micros / 1'000'000) + " seconds " + std::to_string(micros % 1'000'000) +
         " microseconds";
}

// {1,NULL,"quoted \"text\""}
Result<std::string> array_text(const arrow::Array& items) {
  std::string text = "{";
  for (int64_t i = 0; i < items.length(); ++i) {
    if (i > 0) text += ',';
    ARROW_ASSIGN_OR_RAISE(const auto item, items.GetScalar(i));
    if (!item->is_valid) {
      text += "NULL";
      continue;
    }
    ARROW_ASSIGN_OR_RAISE(const std::string inner, value_text(*item));
    if (arrow::is_list_like(item->type->id())) {
      text += inner;
      continue;
    }
    text += '"';
    for (const char c : inner) {
      if (c == '"' || c == '\\') text += '\\';
      text += c;
    }
    text += '"';
  }
  return text + "}";
}

bool fits_integer(const arrow::Scalar& value) {
  if (!value.is_valid) return true;
  int64_t number = 0;
  if (value.type->id() == Type::INT64) {
    number = static_cast<const arrow::Int64Scalar&>(value).value;
  } else if (value.type->id() == Type::UINT32) {
    number = int64_t{static_cast<const arrow::UInt32Scalar&>(value).value};
  }
  return number >= std::numeric_limits<int32_t>::min() &&
         number <= std::numeric_limits<int32_t>::max();
}

uint32_t natural_oid(const arrow::DataType& type, Declare declare) {
  const bool text = declare == Declare::kText;
  switch (type.id()) {
    case Type::BOOL:
      return kBoolOid;
    case Type::INT8:
    case Type::UINT8:
    case Type::INT16:
      return kInt2Oid;
    case Type::UINT16:
    case Type::INT32:
      return kInt4Oid;
    case Type::UINT32:
    case Type::INT64:
      return kInt8Oid;
    case Type::UINT64:
    case Type::DECIMAL32:
    case Type::DECIMAL64:
    case Type::DECIMAL128:
    case Type::DECIMAL256:
      return kNumericOid;
    case Type::HALF_FLOAT:
    case Type::FLOAT:
      return kFloat4Oid;
    case Type::DOUBLE:
      return kFloat8Oid;
    case Type::BINARY:
    case Type::LARGE_BINARY:
    case Type::BINARY_VIEW:
    case Type::FIXED_SIZE_BINARY:
      return kByteaOid;
    case Type::DATE32:
    case Type::DATE64:
      return kDateOid;
    case Type::TIME32:
    case Type::TIME64:
      return kTimeOid;
    case Type::TIMESTAMP:
      return static_cast<const arrow::TimestampType&>(type).timezone().empty() ? kTimestampOid
                                                                               : kTimestamptzOid;
    case Type::DURATION:
    case Type::INTERVAL_MONTH_DAY_NANO:
      return kIntervalOid;
    case Type::EXTENSION:
      if (is_uuid(type)) return kUuidOid;
      return natural_oid(*static_cast<const arrow::ExtensionType&>(type).storage_type(), declare);
    case Type::DICTIONARY:
      return natural_oid(*static_cast<const arrow::DictionaryType&>(type).value_type(), declare);
    case Type::LIST:
    case Type::LARGE_LIST:
    case Type::FIXED_SIZE_LIST:
      switch (natural_oid(*type.field(0)->type(), declare)) {
        case kBoolOid:
          return kBoolArrayOid;
        case kInt2Oid:
          return kInt2ArrayOid;
        case kInt4Oid:
          return kInt4ArrayOid;
        case kInt8Oid:
          return kInt8ArrayOid;
        case kNumericOid:
          return kNumericArrayOid;
        case kFloat4Oid:
          return kFloat4ArrayOid;
        case kFloat8Oid:
          return kFloat8ArrayOid;
        case kByteaOid:
          return kByteaArrayOid;
        case kDateOid:
          return kDateArrayOid;
        case kTimestampOid:
          return kTimestampArrayOid;
        case kTimestamptzOid:
          return kTimestamptzArrayOid;
        case kTextOid:
          return kTextArrayOid;
        default:
          return 0;
      }
    default:
      return text ? uint32_t{kTextOid} : 0;
  }
}

}  // namespace

uint32_t parameter_oid(const arrow::Scalar& value, Declare declare) {
  if (declare == Declare::kInferred) return 0;
  const uint32_t oid = natural_oid(*value.type, declare);
  if (declare == Declare::kNarrow && oid == kInt8Oid && fits_integer(value)) return kInt4Oid;
  return oid;
}

Result<ParameterValue> parameter_value(const arrow::Scalar& value) {
  ParameterValue parameter;
  parameter.null = !value.is_valid;
  if (parameter.null) return parameter;
  switch (value.type->id()) {
    case Type::BINARY:
    case Type::LARGE_BINARY:
    case Type::BINARY_VIEW:
    case Type::FIXED_SIZE_BINARY:
      parameter.bytes = bytes_of(value);
      parameter.binary = true;
      return parameter;
    default:
      break;
  }
  ARROW_ASSIGN_OR_RAISE(parameter.bytes, value_text(value));
  return parameter;
}

Result<std::string> value_text(const arrow::Scalar& value) {
  if (is_uuid(*value.type)) {
    return uuid_text(bytes_of(*static_cast<const arrow::ExtensionScalar&>(value).value));
  }
  ARROW_ASSIGN_OR_RAISE(const auto inner, plain(value));
  if (inner) return value_text(*inner);
  switch (value.type->id()) {
    case Type::DOUBLE:
      return float_text(static_cast<const arrow::DoubleScalar&>(value).value, "%.17g");
    case Type::FLOAT:
      return float_text(double{static_cast<const arrow::FloatScalar&>(value).value}, "%.9g");
    case Type::STRING:
    case Type::LARGE_STRING:
    case Type::STRING_VIEW:
      return checked_text(bytes_of(value));
    case Type::BINARY:
    case Type::LARGE_BINARY:
    case Type::BINARY_VIEW:
    case Type::FIXED_SIZE_BINARY:
      return hex_bytes(bytes_of(value));
    case Type::DATE32:
      return full_date_text(static_cast<const arrow::Date32Scalar&>(value).value);
    case Type::DATE64: {
      const int64_t millis = static_cast<const arrow::Date64Scalar&>(value).value;
      constexpr int64_t kDay = 86'400'000;
      return full_date_text(millis / kDay - (millis % kDay < 0 ? 1 : 0));
    }
    case Type::TIME32: {
      const auto& type = static_cast<const arrow::Time32Type&>(*value.type);
      ARROW_ASSIGN_OR_RAISE(
          const int64_t micros,
          to_micros(static_cast<const arrow::Time32Scalar&>(value).value, type.unit()));
      return clock_text(micros);
    }
    case Type::TIME64: {
      const auto& type = static_cast<const arrow::Time64Type&>(*value.type);
      ARROW_ASSIGN_OR_RAISE(
          const int64_t micros,
          to_micros(static_cast<const arrow::Time64Scalar&>(value).value, type.unit()));
      return clock_text(micros);
    }
    case Type::TIMESTAMP:
      return timestamp_text(value);
    case Type::DURATION:
      return duration_text(value);
    case Type::INTERVAL_MONTH_DAY_NANO:
      return interval_text(value);
    case Type::LIST:
    case Type::LARGE_LIST:
    case Type::FIXED_SIZE_LIST:
      return array_text(*static_cast<const arrow::BaseListScalar&>(value).value);
    case Type::INT32:
      return std::to_string(static_cast<const arrow::Int32Scalar&>(value).value);
    case Type::INT64:
      return std::to_string(static_cast<const arrow::Int64Scalar&>(value).value);
    case Type::BOOL:
    case Type::INT8:
    case Type::INT16:
    case Type::UINT8:
    case Type::UINT16:
    case Type::UINT32:
    case Type::UINT64:
    case Type::HALF_FLOAT:
    case Type::DECIMAL32:
    case Type::DECIMAL64:
    case Type::DECIMAL128:
    case Type::DECIMAL256:
      return value.ToString();
    default:
      return make_error(
          ErrorKind::kNotSupported,
          "a value of Arrow's type " + value.type->ToString() + " cannot be sent to PostgreSQL");
  }
}

}  // namespace cenote::postgresql
