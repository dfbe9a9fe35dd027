// ODBC's SQL types as Arrow's, and single values between the two forms.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <arrow/type.h>
#include <arrow/util/decimal.h>

#include "cenote/error.h"

#include "driver/odbc/dialect.h"

namespace cenote::odbc {

// SQL Server's own types and structures, from Microsoft's "SQL Server Native Client" reference; its
// header comes with the driver only.
inline constexpr SQLSMALLINT kServerVariant = -150;
inline constexpr SQLSMALLINT kServerUdt = -151;
inline constexpr SQLSMALLINT kServerXml = -152;
inline constexpr SQLSMALLINT kServerTime2 = -154;
inline constexpr SQLSMALLINT kServerTimestampOffset = -155;
inline constexpr SQLSMALLINT kCServerTime2 = 0x4000;
inline constexpr SQLSMALLINT kCServerTimestampOffset = 0x4001;

struct ServerTime2 {
  SQLUSMALLINT hour, minute, second;
  SQLUINTEGER fraction;  // ns
};
struct ServerTimestampOffset {
  SQLSMALLINT year;
  SQLUSMALLINT month, day, hour, minute, second;
  SQLUINTEGER fraction;  // ns
  SQLSMALLINT timezone_hour, timezone_minute;
};
static_assert(sizeof(ServerTime2) == 12 && sizeof(ServerTimestampOffset) == 20);

enum class Kind : uint8_t {
  kBool,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kUInt8,
  kUInt16,
  kUInt32,
  kUInt64,
  kFloat,
  kDouble,
  kDecimal,  // of 128 or 256 bits
  kText,
  kBinary,
  kGuid,
  kDate,
  kTime,
  kTimestamp,  // with or without an offset
};

// How one column of a result is fetched and what it becomes.
struct ColumnPlan {
  std::string name;
  Kind kind = Kind::kText;
  SQLSMALLINT c_type = SQL_C_WCHAR;
  size_t width = 0;  // bytes of one value in the buffer
  bool is_long = false;
  bool is_offset = false;  // a timestamp with an offset from UTC
  // A timestamp of 100 ns, which no Arrow type holds over all years: the values decide the unit.
  bool is_ticks = false;
  int precision = 0;
  int scale = 0;
  std::shared_ptr<arrow::Field> field;
};

// What the driver says about a column.
struct ColumnInfo {
  std::string name;
  std::string type_name;
  SQLSMALLINT type = 0;
  SQLULEN size = 0;
  SQLSMALLINT digits = 0;
  bool is_unsigned = false;
};

// `bound_limit`: text and binary columns declared longer are fetched value by value.
ColumnPlan plan_column(const ColumnInfo& info, const Abilities& abilities, int64_t bound_limit);

// Exact decimal of a text such as "-.5" or "12.50" at `scale`; kData if digits would be lost.
Result<arrow::Decimal128> decimal128_of(std::string_view text, int scale);
Result<arrow::Decimal256> decimal256_of(std::string_view text, int scale);

// Units of 10^-7 s since 1970-01-01, UTC.
constexpr int64_t kTicksPerSecond = 10'000'000;
// nullopt for what is no date or time.
std::optional<int32_t> days_of(const SQL_DATE_STRUCT& value);
std::optional<int64_t> ticks_of(const SQL_TIMESTAMP_STRUCT& value);
std::optional<int64_t> ticks_of(const ServerTimestampOffset& value);
// ns since 1970-01-01, for fractions finer than ticks; nullopt beyond 1677–2262.
std::optional<int64_t> nanos_of(const SQL_TIMESTAMP_STRUCT& value);

SQL_DATE_STRUCT date_of(int64_t days);
// `per_second` units since 1970-01-01.
SQL_TIMESTAMP_STRUCT timestamp_of(int64_t value, int64_t per_second);
std::string format_ticks(int64_t ticks, bool utc);

// 16 bytes in the order of RFC 9562, from and to Microsoft's.
void guid_bytes(const SQLGUID& guid, uint8_t* bytes);
SQLGUID guid_of(const uint8_t* bytes);

}  // namespace cenote::odbc
