// By which rule an SQLite column, whose every cell has a type of its own, becomes one Arrow type.
// docs/types-sqlite.md tells it to users.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <arrow/type_fwd.h>

namespace cenote::sqlite {

// What a column comes out as. kUnknown: neither its declaration nor a value has decided.
enum class Kind : uint8_t {
  kUnknown,
  kBool,
  kInt,
  kDouble,
  kDate,
  kTime,
  kTimestamp,
  kText,
  kBinary
};

// From the declared type ("varchar(20)"); null for an expression.
Kind declared_kind(const char* declaration);

// The narrowest kind that holds everything both hold, without losing a value: numbers to text,
// anything to bytes.
Kind widened(Kind a, Kind b);

std::shared_ptr<arrow::DataType> arrow_type(Kind kind);
std::string_view kind_name(Kind kind);

// The text forms that SQLite's own date functions write; nothing else is taken, so that no value
// changes.
std::optional<int32_t> parse_date(std::string_view text);       // days since 1970
std::optional<int64_t> parse_time(std::string_view text);       // µs since midnight
std::optional<int64_t> parse_timestamp(std::string_view text);  // µs since 1970

std::string format_date(int64_t days);
// `per_second` units since midnight; a fraction is written only where there is one.
std::string format_time(int64_t units, int64_t per_second);
std::string format_timestamp(int64_t units, int64_t per_second);

// Shortest text that reads back as the same number.
std::string format_double(double value);

bool is_utf8(std::string_view text);
// Whether `value` is a double too, exactly.
constexpr bool fits_double(int64_t value) {
  constexpr int64_t kLimit = int64_t{1} << 53;
  return value >= -kLimit && value <= kLimit;
}

}  // namespace cenote::sqlite
