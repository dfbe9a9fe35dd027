// Decodes PostgreSQL's binary values (network byte order, epoch 2000-01-01).
#include "driver/postgresql/types.h"

#include <bit>
#include <cmath>
#include <cstdio>
#include <limits>
#include <utility>

#include <arrow/builder.h>
#include <arrow/util/decimal.h>
#include <arrow/util/key_value_metadata.h>

namespace cenote::postgresql {
namespace {

constexpr int64_t kEpochDays = 10'957;  // from 1970-01-01 to 2000-01-01
constexpr int64_t kEpochMicros = kEpochDays * 86'400'000'000;

enum Oid : uint32_t {
  kBool = 16,
  kBytea = 17,
  kCharByte = 18,
  kName = 19,
  kInt8 = 20,
  kInt2 = 21,
  kInt4 = 23,
  kText = 25,
  kOid = 26,
  kJson = 114,
  kXml = 142,
  kFloat4 = 700,
  kFloat8 = 701,
  kUnknown = 705,
  kBpchar = 1042,
  kVarchar = 1043,
  kDate = 1082,
  kTime = 1083,
  kTimestamp = 1114,
  kTimestamptz = 1184,
  kInterval = 1186,
  kNumeric = 1700,
  kVoid = 2278,
  kUuid = 2950,
  kJsonb = 3802,
};

Status bad(std::string message) {
  return make_error(ErrorKind::kData, std::move(message));
}

template <typename T>
Result<T> read(std::string_view bytes) {
  if (bytes.size() != sizeof(T)) return bad("the server sent a value of the wrong length");
  std::make_unsigned_t<T> value = 0;
  for (const char c : bytes) {
    value = static_cast<std::make_unsigned_t<T>>((uint64_t{value} << 8) | static_cast<uint8_t>(c));
  }
  return static_cast<T>(value);
}

// Exact text of a numeric: base-10000 digits, `weight` of the first, `dscale` decimals shown.
Result<std::string> numeric_text(std::string_view bytes) {
  if (bytes.size() < 8) return bad("the server sent a malformed numeric");
  const auto half = [&](size_t i) {
    return static_cast<uint16_t>((static_cast<uint8_t>(bytes[2 * i]) << 8) |
                                 static_cast<uint8_t>(bytes[2 * i + 1]));
  };
  const int count = half(0);
  const int weight = static_cast<int16_t>(half(1));
  const uint16_t sign = half(2);
  const int scale = half(3) & 0x3fff;
  if (sign == 0xc000) return std::string("NaN");
  if (sign == 0xd000) return std::string("Infinity");
  if (sign == 0xf000) return std::string("-Infinity");
  if (bytes.size() != 8 + 2 * static_cast<size_t>(count)) {
    return bad("the server sent a malformed numeric");
  }
  const auto group = [&](int i) {
    const int digit = i >= 0 && i < count ? half(4 + static_cast<size_t>(i)) % 10'000 : 0;
    std::string text = std::to_string(digit);
    return std::string(4 - text.size(), '0') + text;
  };
  std::string whole;
  for (int i = 0; i <= weight; ++i) whole += group(i);
  whole.erase(0, whole.find_first_not_of('0'));
  if (whole.empty()) whole = "0";
  std::string text = (sign == 0x4000 ? "-" : "") + whole;
  if (scale > 0) {
    std::string fraction;
    for (int i = weight + 1; static_cast<int>(fraction.size()) < scale; ++i) fraction += group(i);
    text += "." + fraction.substr(0, static_cast<size_t>(scale));
  }
  return text;
}

template <typename Decimal, typename Builder>
Status append_decimal(const std::string& text, Builder& builder) {
  const auto& type = static_cast<const arrow::DecimalType&>(*builder.type());
  Decimal value;
  int32_t precision = 0;
  int32_t scale = 0;
  if (!Decimal::FromString(text, &value, &precision, &scale).ok()) {
    return bad("numeric " + std::string(text.ends_with('N') ? "NaN" : "Infinity") +
               " has no decimal form; cast the column to text or double precision");
  }
  if (scale != type.scale()) {
    ARROW_ASSIGN_OR_RAISE(value, value.Rescale(scale, type.scale()));
  }
  return builder.Append(value);
}

Status append_numeric(std::string_view bytes, arrow::ArrayBuilder& builder) {
  ARROW_ASSIGN_OR_RAISE(const std::string text, numeric_text(bytes));
  switch (builder.type()->id()) {
    case arrow::Type::DECIMAL128:
      return append_decimal<arrow::Decimal128>(text,
                                               static_cast<arrow::Decimal128Builder&>(builder));
    case arrow::Type::DECIMAL256:
      return append_decimal<arrow::Decimal256>(text,
                                               static_cast<arrow::Decimal256Builder&>(builder));
    default:
      return static_cast<arrow::StringBuilder&>(builder).Append(text);
  }
}

Status append_timestamp(std::string_view bytes, arrow::ArrayBuilder& builder) {
  ARROW_ASSIGN_OR_RAISE(const int64_t value, read<int64_t>(bytes));
  if (value == std::numeric_limits<int64_t>::max() ||
      value == std::numeric_limits<int64_t>::min() ||
      value > std::numeric_limits<int64_t>::max() - kEpochMicros) {
    return bad("a timestamp is infinite; cast the column to text to read it");
  }
  return static_cast<arrow::TimestampBuilder&>(builder).Append(value + kEpochMicros);
}

Status append_interval(std::string_view bytes, arrow::ArrayBuilder& builder) {
  if (bytes.size() != 16) return bad("the server sent a malformed interval");
  ARROW_ASSIGN_OR_RAISE(const int64_t micros, read<int64_t>(bytes.substr(0, 8)));
  ARROW_ASSIGN_OR_RAISE(const int32_t days, read<int32_t>(bytes.substr(8, 4)));
  ARROW_ASSIGN_OR_RAISE(const int32_t months, read<int32_t>(bytes.substr(12, 4)));
  int64_t nanos = 0;
  if (__builtin_mul_overflow(micros, int64_t{1000}, &nanos)) {
    return bad("an interval is too long for nanoseconds; cast the column to text");
  }
  return static_cast<arrow::MonthDayNanoIntervalBuilder&>(builder).Append({months, days, nanos});
}

Result<std::shared_ptr<arrow::DataType>> arrow_type(uint32_t oid, int typmod, bool is_enum) {
  switch (oid) {
    case kBool:
      return arrow::boolean();
    case kInt2:
      return arrow::int16();
    case kInt4:
      return arrow::int32();
    case kInt8:
      return arrow::int64();
    case kOid:
      return arrow::uint32();
    case kFloat4:
      return arrow::float32();
    case kFloat8:
      return arrow::float64();
    case kBytea:
      return arrow::binary();
    case kDate:
      return arrow::date32();
    case kTime:
      return arrow::time64(arrow::TimeUnit::MICRO);
    case kTimestamp:
      return arrow::timestamp(arrow::TimeUnit::MICRO);
    case kTimestamptz:
      return arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
    case kInterval:
      return arrow::month_day_nano_interval();
    case kUuid:
      return arrow::fixed_size_binary(16);
    case kNumeric: {
      const int precision = ((typmod - 4) >> 16) & 0xffff;
      const int scale = (((typmod - 4) & 0x7ff) ^ 1024) - 1024;
      if (typmod < 4 || precision > 76) return arrow::utf8();
      if (precision > 38) return arrow::decimal256(precision, scale);
      return arrow::decimal128(precision, scale);
    }
    case kCharByte:
    case kName:
    case kText:
    case kJson:
    case kXml:
    case kUnknown:
    case kBpchar:
    case kVarchar:
    case kVoid:
    case kJsonb:
      return arrow::utf8();
    default:
      if (is_enum) return arrow::utf8();
      return make_error(ErrorKind::kNotSupported, "");
  }
}

}  // namespace

Result<std::shared_ptr<arrow::Field>> column_field(std::string name, uint32_t oid, int typmod,
                                                   bool is_enum) {
  auto type = arrow_type(oid, typmod, is_enum);
  if (!type.ok()) {
    return make_error(ErrorKind::kNotSupported,
                      "column '" + name + "' has a type (oid " + std::to_string(oid) +
                          ") without an Arrow form; cast it to text in the statement");
  }
  std::shared_ptr<arrow::KeyValueMetadata> metadata;
  const char* database_type = oid == kJson      ? "json"
                              : oid == kJsonb   ? "jsonb"
                              : oid == kUuid    ? "uuid"
                              : oid == kXml     ? "xml"
                              : oid == kNumeric ? "numeric"
                                                : nullptr;
  if (database_type != nullptr) {
    metadata = arrow::key_value_metadata({"cenote.database_type"}, {database_type});
  }
  return arrow::field(std::move(name), *type, true, metadata);
}

Status append_value(uint32_t oid, std::string_view value, arrow::ArrayBuilder& builder) {
  switch (oid) {
    case kBool: {
      ARROW_ASSIGN_OR_RAISE(const int8_t flag, read<int8_t>(value));
      return static_cast<arrow::BooleanBuilder&>(builder).Append(flag != 0);
    }
    case kInt2: {
      ARROW_ASSIGN_OR_RAISE(const int16_t number, read<int16_t>(value));
      return static_cast<arrow::Int16Builder&>(builder).Append(number);
    }
    case kInt4: {
      ARROW_ASSIGN_OR_RAISE(const int32_t number, read<int32_t>(value));
      return static_cast<arrow::Int32Builder&>(builder).Append(number);
    }
    case kInt8: {
      ARROW_ASSIGN_OR_RAISE(const int64_t number, read<int64_t>(value));
      return static_cast<arrow::Int64Builder&>(builder).Append(number);
    }
    case kOid: {
      ARROW_ASSIGN_OR_RAISE(const int32_t number, read<int32_t>(value));
      return static_cast<arrow::UInt32Builder&>(builder).Append(static_cast<uint32_t>(number));
    }
    case kFloat4: {
      ARROW_ASSIGN_OR_RAISE(const int32_t bits, read<int32_t>(value));
      return static_cast<arrow::FloatBuilder&>(builder).Append(std::bit_cast<float>(bits));
    }
    case kFloat8: {
      ARROW_ASSIGN_OR_RAISE(const int64_t bits, read<int64_t>(value));
      return static_cast<arrow::DoubleBuilder&>(builder).Append(std::bit_cast<double>(bits));
    }
    case kDate: {
      ARROW_ASSIGN_OR_RAISE(const int32_t days, read<int32_t>(value));
      if (days == std::numeric_limits<int32_t>::max() ||
          days == std::numeric_limits<int32_t>::min()) {
        return bad("a date is infinite; cast the column to text to read it");
      }
      return static_cast<arrow::Date32Builder&>(builder).Append(
          static_cast<int32_t>(days + kEpochDays));
    }
    case kTime: {
      ARROW_ASSIGN_OR_RAISE(const int64_t micros, read<int64_t>(value));
      return static_cast<arrow::Time64Builder&>(builder).Append(micros);
    }
    case kTimestamp:
    case kTimestamptz:
      return append_timestamp(value, builder);
    case kInterval:
      return append_interval(value, builder);
    case kNumeric:
      return append_numeric(value, builder);
    case kBytea:
      return static_cast<arrow::BinaryBuilder&>(builder).Append(value);
    case kUuid:
      if (value.size() != 16) return bad("the server sent a malformed uuid");
      return static_cast<arrow::FixedSizeBinaryBuilder&>(builder).Append(value);
    case kJsonb:
      if (value.empty()) return bad("the server sent a malformed jsonb");
      return static_cast<arrow::StringBuilder&>(builder).Append(value.substr(1));
    default:
      return static_cast<arrow::StringBuilder&>(builder).Append(value);
  }
}

Result<std::string> value_text(const arrow::Scalar& scalar) {
  switch (scalar.type->id()) {
    case arrow::Type::DOUBLE:
    case arrow::Type::FLOAT: {
      const double number = scalar.type->id() == arrow::Type::FLOAT
                                ? double{static_cast<const arrow::FloatScalar&>(scalar).value}
                                : static_cast<const arrow::DoubleScalar&>(scalar).value;
      if (std::isnan(number)) return std::string("NaN");
      if (std::isinf(number)) return std::string(number > 0 ? "Infinity" : "-Infinity");
      char text[40];
      std::snprintf(text, sizeof text, "%.17g", number);
      return std::string(text);
    }
    case arrow::Type::STRING:
    case arrow::Type::LARGE_STRING: {
      std::string text =
          std::string(std::string_view(*static_cast<const arrow::BaseBinaryScalar&>(scalar).value));
      if (text.find('\0') != std::string::npos) {
        return bad("PostgreSQL's text cannot hold a zero byte; use bytea");
      }
      return text;
    }
    case arrow::Type::BINARY:
    case arrow::Type::LARGE_BINARY:
    case arrow::Type::FIXED_SIZE_BINARY:
      return "\\x" + static_cast<const arrow::BaseBinaryScalar&>(scalar).value->ToHexString();
    case arrow::Type::BOOL:
    case arrow::Type::INT8:
    case arrow::Type::INT16:
    case arrow::Type::INT32:
    case arrow::Type::INT64:
    case arrow::Type::UINT8:
    case arrow::Type::UINT16:
    case arrow::Type::UINT32:
    case arrow::Type::UINT64:
    case arrow::Type::DATE32:
    case arrow::Type::TIME32:
    case arrow::Type::TIME64:
    case arrow::Type::TIMESTAMP:
    case arrow::Type::DECIMAL128:
    case arrow::Type::DECIMAL256:
      return scalar.ToString();
    default:
      return make_error(
          ErrorKind::kNotSupported,
          "a value of Arrow's type " + scalar.type->ToString() + " cannot be sent to PostgreSQL");
  }
}

uint32_t parameter_oid(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::BOOL:
      return kBool;
    case arrow::Type::INT16:
      return kInt2;
    case arrow::Type::INT32:
      return kInt4;
    case arrow::Type::INT64:
      return kInt8;
    case arrow::Type::FLOAT:
      return kFloat4;
    case arrow::Type::DOUBLE:
      return kFloat8;
    case arrow::Type::BINARY:
    case arrow::Type::LARGE_BINARY:
      return kBytea;
    case arrow::Type::DATE32:
      return kDate;
    case arrow::Type::DECIMAL128:
    case arrow::Type::DECIMAL256:
      return kNumeric;
    case arrow::Type::TIMESTAMP:
      return static_cast<const arrow::TimestampType&>(type).timezone().empty() ? kTimestamp
                                                                               : kTimestamptz;
    default:
      return 0;
  }
}

Result<std::string> column_type(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::BOOL:
      return "boolean";
    case arrow::Type::INT8:
    case arrow::Type::UINT8:
    case arrow::Type::INT16:
      return "smallint";
    case arrow::Type::UINT16:
    case arrow::Type::INT32:
      return "integer";
    case arrow::Type::UINT32:
    case arrow::Type::INT64:
      return "bigint";
    case arrow::Type::UINT64:
      return "numeric(20,0)";
    case arrow::Type::FLOAT:
      return "real";
    case arrow::Type::DOUBLE:
      return "double precision";
    case arrow::Type::STRING:
    case arrow::Type::LARGE_STRING:
      return "text";
    case arrow::Type::BINARY:
    case arrow::Type::LARGE_BINARY:
    case arrow::Type::FIXED_SIZE_BINARY:
      return "bytea";
    case arrow::Type::DATE32:
      return "date";
    case arrow::Type::TIME32:
    case arrow::Type::TIME64:
      return "time";
    case arrow::Type::TIMESTAMP:
      return static_cast<const arrow::TimestampType&>(type).timezone().empty() ? "timestamp"
                                                                               : "timestamptz";
    case arrow::Type::DECIMAL128:
    case arrow::Type::DECIMAL256: {
      const auto& decimal = static_cast<const arrow::DecimalType&>(type);
      return "numeric(" + std::to_string(decimal.precision()) + "," +
             std::to_string(decimal.scale()) + ")";
    }
    default:
      return make_error(ErrorKind::kNotSupported,
                        "PostgreSQL has no column type for Arrow's " + type.ToString());
  }
}

}  // namespace cenote::postgresql
