// The table of types, and calendars, decimals and GUIDs.
#include "driver/odbc/types.h"

#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <limits>
#include <utility>

#include <arrow/util/key_value_metadata.h>

#include "frame/convert.h"

namespace cenote::odbc {
namespace {

// Where a driver knows no size it says 0 or something enormous.
constexpr SQLULEN kMostBound = 1 << 20;
constexpr size_t kLeastText = 16;
constexpr SQLULEN kDecimalText = 128;  // characters of a number beyond Arrow's decimals

void use(ColumnPlan& plan, Kind kind, SQLSMALLINT c_type, size_t width) {
  plan.kind = kind;
  plan.c_type = c_type;
  plan.width = width;
}

// Returns the Arrow type after it filled the rest of the plan.
std::shared_ptr<arrow::DataType> plan_text(ColumnPlan& plan, SQLULEN size, int64_t bound_limit) {
  use(plan, Kind::kText, SQL_C_WCHAR, (std::max<size_t>(size, kLeastText) + 1) * sizeof(SQLWCHAR));
  plan.is_long = size == 0 || size > kMostBound || std::cmp_greater(size, bound_limit);
  return arrow::utf8();
}

std::shared_ptr<arrow::DataType> plan_binary(ColumnPlan& plan, SQLULEN size, int64_t bound_limit) {
  use(plan, Kind::kBinary, SQL_C_BINARY, std::max<size_t>(size, kLeastText));
  plan.is_long = size == 0 || size > kMostBound || std::cmp_greater(size, bound_limit);
  return arrow::binary();
}

std::shared_ptr<arrow::DataType> plan_decimal(ColumnPlan& plan, const ColumnInfo& info,
                                              const Abilities& abilities) {
  plan.precision = static_cast<int>(std::min<SQLULEN>(info.size, 1000));
  plan.scale = info.digits;
  if (plan.precision < 1 || plan.precision > arrow::Decimal256Type::kMaxPrecision) {
    return plan_text(plan, kDecimalText, kDecimalText);
  }
  // The text holds a sign, a point and a leading zero more than the precision.
  use(plan, Kind::kDecimal, SQL_C_CHAR, static_cast<size_t>(plan.precision) + 8);
  if (plan.precision > arrow::Decimal128Type::kMaxPrecision) {
    return arrow::decimal256(plan.precision, plan.scale);
  }
  if (abilities.numeric_struct) {
    plan.c_type = SQL_C_NUMERIC;
    plan.width = sizeof(SQL_NUMERIC_STRUCT);
  }
  return arrow::decimal128(plan.precision, plan.scale);
}

std::shared_ptr<arrow::DataType> plan_integer(ColumnPlan& plan, Kind with_sign, Kind without,
                                              bool is_unsigned) {
  struct Row {
    Kind kind;
    SQLSMALLINT c_type;
    size_t width;
    std::shared_ptr<arrow::DataType> type;
  };
  const Kind kind = is_unsigned ? without : with_sign;
  for (const Row& row : std::array<Row, 8>{{{Kind::kInt8, SQL_C_STINYINT, 1, arrow::int8()},
                                            {Kind::kUInt8, SQL_C_UTINYINT, 1, arrow::uint8()},
                                            {Kind::kInt16, SQL_C_SSHORT, 2, arrow::int16()},
                                            {Kind::kUInt16, SQL_C_USHORT, 2, arrow::uint16()},
                                            {Kind::kInt32, SQL_C_SLONG, 4, arrow::int32()},
                                            {Kind::kUInt32, SQL_C_ULONG, 4, arrow::uint32()},
                                            {Kind::kInt64, SQL_C_SBIGINT, 8, arrow::int64()},
                                            {Kind::kUInt64, SQL_C_UBIGINT, 8, arrow::uint64()}}}) {
    if (row.kind != kind) continue;
    use(plan, row.kind, row.c_type, row.width);
    return row.type;
  }
  return nullptr;
}

std::shared_ptr<arrow::DataType> plan_timestamp(ColumnPlan& plan, int digits) {
  use(plan, Kind::kTimestamp, SQL_C_TYPE_TIMESTAMP, sizeof(SQL_TIMESTAMP_STRUCT));
  plan.scale = digits;
  plan.is_ticks = digits == 7;
  return arrow::timestamp(digits > 6 ? arrow::TimeUnit::NANO : arrow::TimeUnit::MICRO);
}

std::shared_ptr<arrow::DataType> plan_server_type(ColumnPlan& plan, const ColumnInfo& info,
                                                  const Abilities& abilities, int64_t bound_limit) {
  switch (info.type) {
    case kServerTime2:
      use(plan, Kind::kTime, abilities.server_types ? kCServerTime2 : SQLSMALLINT{SQL_C_BINARY},
          sizeof(ServerTime2));
      plan.scale = info.digits;
      return arrow::time64(info.digits > 6 ? arrow::TimeUnit::NANO : arrow::TimeUnit::MICRO);
    case kServerTimestampOffset:
      use(plan, Kind::kTimestamp,
          abilities.server_types ? kCServerTimestampOffset : SQLSMALLINT{SQL_C_BINARY},
          sizeof(ServerTimestampOffset));
      plan.scale = info.digits;
      plan.is_offset = true;
      plan.is_ticks = info.digits > 6;
      return arrow::timestamp(info.digits > 6 ? arrow::TimeUnit::NANO : arrow::TimeUnit::MICRO,
                              "UTC");
    case kServerUdt:
      return plan_binary(plan, 0, bound_limit);
    case kServerXml:
      return plan_text(plan, 0, bound_limit);
    default:  // sql_variant, and what nobody knows: every driver makes text of it
      return plan_text(plan, info.type == kServerVariant ? 0 : info.size, bound_limit);
  }
}

std::shared_ptr<arrow::DataType> plan_type(ColumnPlan& plan, const ColumnInfo& info,
                                           const Abilities& abilities, int64_t bound_limit) {
  switch (info.type) {
    case SQL_BIT:
      use(plan, Kind::kBool, SQL_C_BIT, 1);
      return arrow::boolean();
    case SQL_TINYINT:
      return plan_integer(plan, Kind::kInt8, Kind::kUInt8, info.is_unsigned);
    case SQL_SMALLINT:
      return plan_integer(plan, Kind::kInt16, Kind::kUInt16, info.is_unsigned);
    case SQL_INTEGER:
      return plan_integer(plan, Kind::kInt32, Kind::kUInt32, info.is_unsigned);
    case SQL_BIGINT:
      return plan_integer(plan, Kind::kInt64, Kind::kUInt64, info.is_unsigned);
    case SQL_REAL:
      use(plan, Kind::kFloat, SQL_C_FLOAT, sizeof(float));
      return arrow::float32();
    case SQL_FLOAT:
    case SQL_DOUBLE:
      use(plan, Kind::kDouble, SQL_C_DOUBLE, sizeof(double));
      return arrow::float64();
    case SQL_DECIMAL:
    case SQL_NUMERIC:
      return plan_decimal(plan, info, abilities);
    case SQL_CHAR:
    case SQL_VARCHAR:
    case SQL_WCHAR:
    case SQL_WVARCHAR:
      return plan_text(plan, info.size, bound_limit);
    case SQL_LONGVARCHAR:
    case SQL_WLONGVARCHAR:
      return plan_text(plan, 0, bound_limit);
    case SQL_BINARY:
    case SQL_VARBINARY:
      return plan_binary(plan, info.size, bound_limit);
    case SQL_LONGVARBINARY:
      return plan_binary(plan, 0, bound_limit);
    case SQL_GUID:
      use(plan, Kind::kGuid, SQL_C_GUID, sizeof(SQLGUID));
      return arrow::fixed_size_binary(16);
    case SQL_TYPE_DATE:
    case SQL_DATE:
      use(plan, Kind::kDate, SQL_C_TYPE_DATE, sizeof(SQL_DATE_STRUCT));
      return arrow::date32();
    case SQL_TYPE_TIME:
    case SQL_TIME:
      use(plan, Kind::kTime, SQL_C_TYPE_TIME, sizeof(SQL_TIME_STRUCT));
      return arrow::time64(arrow::TimeUnit::MICRO);
    case SQL_TYPE_TIMESTAMP:
    case SQL_TIMESTAMP:
      return plan_timestamp(plan, info.digits);
    default:
      return plan_server_type(plan, info, abilities, bound_limit);
  }
}

template <typename Decimal>
Result<Decimal> decimal_of(std::string_view text, int scale) {
  Decimal value;
  int32_t precision = 0;
  int32_t found = 0;
  if (!Decimal::FromString(text, &value, &precision, &found).ok()) {
    return make_error(ErrorKind::kData, "the driver sent a decimal that is none");
  }
  if (found == scale) return value;
  auto scaled = value.Rescale(found, scale);
  if (scaled.ok()) return *scaled;
  return make_error(ErrorKind::kData, "a decimal has more digits than its column declares");
}

}  // namespace

ColumnPlan plan_column(const ColumnInfo& info, const Abilities& abilities, int64_t bound_limit) {
  ColumnPlan plan;
  plan.name = info.name;
  const auto type = plan_type(plan, info, abilities, bound_limit);
  std::shared_ptr<arrow::KeyValueMetadata> metadata;
  if (!info.type_name.empty()) {
    metadata = arrow::key_value_metadata({"cenote.database_type"}, {info.type_name});
  }
  plan.field = arrow::field(plan.name, type, true, std::move(metadata));
  return plan;
}

Result<arrow::Decimal128> decimal128_of(std::string_view text, int scale) {
  // The short way: digits that fit 64 bits, at the scale of the column.
  uint64_t digits = 0;
  int fraction = -1;
  size_t at = text.starts_with('-') ? 1 : 0;
  const bool negative = at == 1;
  if (text.size() - at <= 19 && text.size() > at) {
    for (; at < text.size(); ++at) {
      if (text[at] == '.' && fraction < 0) {
        fraction = 0;
        continue;
      }
      if (text[at] < '0' || text[at] > '9') break;
      digits = digits * 10 + static_cast<uint64_t>(text[at] - '0');
      if (fraction >= 0) ++fraction;
    }
    const bool has_digits = text.find_first_of("0123456789") != std::string_view::npos;
    if (at == text.size() && has_digits && std::max(fraction, 0) == scale) {
      arrow::Decimal128 value(0, digits);
      if (negative) value.Negate();
      return value;
    }
  }
  return decimal_of<arrow::Decimal128>(text, scale);
}

Result<arrow::Decimal256> decimal256_of(std::string_view text, int scale) {
  return decimal_of<arrow::Decimal256>(text, scale);
}

std::optional<int32_t> days_of(const SQL_DATE_STRUCT& value) {
  if (value.month < 1 || value.month > 12 || value.day < 1 || value.day > 31) return std::nullopt;
  return days_from_civil(value.year, value.month, value.day);
}

std::optional<int64_t> ticks_of(const SQL_TIMESTAMP_STRUCT& value) {
  const auto days = days_of({value.year, value.month, value.day});
  if (!days || value.hour > 23 || value.minute > 59 || value.second > 60 ||
      value.fraction > 999'999'999) {
    return std::nullopt;
  }
  const int64_t seconds =
      int64_t{*days} * 86'400 + value.hour * 3600 + value.minute * 60 + value.second;
  int64_t ticks = 0;  // years beyond 29,000 are for no database
  if (__builtin_mul_overflow(seconds, kTicksPerSecond, &ticks)) return std::nullopt;
  if (__builtin_add_overflow(ticks, int64_t{value.fraction / 100}, &ticks)) return std::nullopt;
  return ticks;
}

std::optional<int64_t> nanos_of(const SQL_TIMESTAMP_STRUCT& value) {
  const auto ticks = ticks_of(value);
  int64_t nanos = 0;
  if (!ticks || __builtin_mul_overflow(*ticks, int64_t{100}, &nanos)) return std::nullopt;
  if (__builtin_add_overflow(nanos, int64_t{value.fraction % 100}, &nanos)) return std::nullopt;
  return nanos;
}

std::optional<int64_t> ticks_of(const ServerTimestampOffset& value) {
  const auto local = ticks_of(SQL_TIMESTAMP_STRUCT{value.year, value.month, value.day, value.hour,
                                                   value.minute, value.second, value.fraction});
  if (!local) return std::nullopt;
  const int64_t offset = int64_t{value.timezone_hour} * 60 + value.timezone_minute;
  int64_t utc = 0;
  if (__builtin_sub_overflow(*local, offset * 60 * kTicksPerSecond, &utc)) return std::nullopt;
  return utc;
}

SQL_DATE_STRUCT date_of(int64_t days) {
  const std::chrono::year_month_day date{std::chrono::sys_days(std::chrono::days(days))};
  return {static_cast<SQLSMALLINT>(static_cast<int>(date.year())),
          static_cast<SQLUSMALLINT>(static_cast<unsigned>(date.month())),
          static_cast<SQLUSMALLINT>(static_cast<unsigned>(date.day()))};
}

SQL_TIMESTAMP_STRUCT timestamp_of(int64_t value, int64_t per_second) {
  int64_t seconds = value / per_second;
  int64_t rest = value % per_second;
  if (rest < 0) {
    rest += per_second;
    --seconds;
  }
  int64_t days = seconds / 86'400;
  int64_t of_day = seconds % 86'400;
  if (of_day < 0) {
    of_day += 86'400;
    --days;
  }
  const SQL_DATE_STRUCT date = date_of(days);
  return {date.year,
          date.month,
          date.day,
          static_cast<SQLUSMALLINT>(of_day / 3600),
          static_cast<SQLUSMALLINT>(of_day / 60 % 60),
          static_cast<SQLUSMALLINT>(of_day % 60),
          static_cast<SQLUINTEGER>(rest * (1'000'000'000 / per_second))};
}

std::string format_ticks(int64_t ticks, bool utc) {
  const SQL_TIMESTAMP_STRUCT value = timestamp_of(ticks, kTicksPerSecond);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02u-%02u %02u:%02u:%02u.%07u%s", value.year,
                value.month, value.day, value.hour, value.minute, value.second,
                value.fraction / 100, utc ? "+00:00" : "");
  return text.data();
}

void guid_bytes(const SQLGUID& guid, uint8_t* bytes) {
  for (int i = 0; i < 4; ++i) bytes[i] = static_cast<uint8_t>(guid.Data1 >> (24 - 8 * i));
  for (int i = 0; i < 2; ++i) {
    bytes[4 + i] = static_cast<uint8_t>(guid.Data2 >> (8 - 8 * i));
    bytes[6 + i] = static_cast<uint8_t>(guid.Data3 >> (8 - 8 * i));
  }
  std::memcpy(bytes + 8, guid.Data4, 8);
}

SQLGUID guid_of(const uint8_t* bytes) {
  SQLGUID guid{};
  guid.Data1 =
      static_cast<decltype(guid.Data1)>(uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 |
                                        uint32_t{bytes[2]} << 8 | uint32_t{bytes[3]});
  guid.Data2 = static_cast<uint16_t>(bytes[4] << 8 | bytes[5]);
  guid.Data3 = static_cast<uint16_t>(bytes[6] << 8 | bytes[7]);
  std::memcpy(guid.Data4, bytes + 8, 8);
  return guid;
}

}  // namespace cenote::odbc
