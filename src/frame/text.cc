// Values as text, by Arrow's type.
#include "frame/text.h"

#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdlib>

#include <arrow/array.h>
#include <arrow/extension_type.h>
#include <arrow/scalar.h>
#include <arrow/type.h>
#include <arrow/util/checked_cast.h>
#include <arrow/util/decimal.h>
#include <arrow/util/float16.h>
#include <arrow/util/key_value_metadata.h>

#include "frame/convert.h"
#include "frame/utf8.h"

namespace cenote {
namespace {

using arrow::Type;
using arrow::internal::checked_cast;

constexpr std::string_view kHex = "0123456789abcdef";

template <typename ArrayType>
auto value(const arrow::Array& array, int64_t row) {
  return checked_cast<const ArrayType&>(array).Value(row);
}

template <typename T>
void append_number(T number, std::string* out) {
  std::array<char, 64> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
  out->append(text.data(), end);
}

void append_padded(uint64_t number, int digits, std::string* out) {
  std::array<char, 20> text{};
  for (int i = digits - 1; i >= 0; --i) {
    text.at(static_cast<size_t>(i)) = static_cast<char>('0' + number % 10);
    number /= 10;
  }
  out->append(text.data(), static_cast<size_t>(digits));
}

// False where the number is none that JSON knows.
template <typename T>
bool append_float(T number, std::string* out) {
  if (std::isfinite(number)) {
    append_number(number, out);
    return true;
  }
  *out += std::isnan(number) ? "NaN" : number > 0 ? "Infinity" : "-Infinity";
  return false;
}

void append_hex(std::string_view bytes, std::string* out) {
  for (const char byte : bytes) {
    *out += kHex[static_cast<uint8_t>(byte) >> 4];
    *out += kHex[static_cast<uint8_t>(byte) & 15];
  }
}

bool is_uuid(const arrow::Field& field) {
  const auto& metadata = field.metadata();
  if (metadata == nullptr) return false;
  return metadata->Get("ARROW:extension:name").ValueOr("") == "arrow.uuid" ||
         metadata->Get("cenote.database_type").ValueOr("") == "uuid";
}

void append_uuid(std::string_view bytes, std::string* out) {
  size_t from = 0;
  for (const size_t count : {4, 2, 2, 2, 6}) {
    if (from > 0) *out += '-';
    append_hex(bytes.substr(from, count), out);
    from += count;
  }
}

// The digits of the unscaled number, with the point put in.
void append_decimal(std::string digits, int32_t scale, std::string* out) {
  if (digits.starts_with('-')) {
    *out += '-';
    digits.erase(0, 1);
  }
  if (scale <= 0) {
    *out += digits;
    if (digits != "0") out->append(static_cast<size_t>(-scale), '0');
    return;
  }
  const auto places = static_cast<size_t>(scale);
  if (digits.size() <= places) digits.insert(0, places + 1 - digits.size(), '0');
  digits.insert(digits.size() - places, 1, '.');
  *out += digits;
}

int64_t floor_divide(int64_t value, int64_t by) {
  return value / by - (value % by < 0 ? 1 : 0);
}

struct Unit {
  int64_t per_second;
  int digits;  // of the fraction
};

Unit unit_of(arrow::TimeUnit::type unit) {
  switch (unit) {
    case arrow::TimeUnit::SECOND:
      return {1, 0};
    case arrow::TimeUnit::MILLI:
      return {1'000, 3};
    case arrow::TimeUnit::MICRO:
      return {1'000'000, 6};
    default:
      return {1'000'000'000, 9};
  }
}

void append_date(int64_t days, std::string* out) {
  const CivilDate date = civil_from_days(days);
  if (date.year < 0) *out += '-';
  const auto year = static_cast<uint64_t>(std::abs(date.year));
  if (year > 9999) {
    append_number(year, out);
  } else {
    append_padded(year, 4, out);
  }
  *out += '-';
  append_padded(date.month, 2, out);
  *out += '-';
  append_padded(date.day, 2, out);
}

// `ticks` since midnight.
void append_time(int64_t ticks, Unit unit, std::string* out) {
  const int64_t seconds = ticks / unit.per_second;
  append_padded(static_cast<uint64_t>(seconds / 3600), 2, out);
  *out += ':';
  append_padded(static_cast<uint64_t>(seconds / 60 % 60), 2, out);
  *out += ':';
  append_padded(static_cast<uint64_t>(seconds % 60), 2, out);
  if (const int64_t fraction = ticks % unit.per_second; fraction != 0) {
    *out += '.';
    append_padded(static_cast<uint64_t>(fraction), unit.digits, out);
  }
}

void append_timestamp(int64_t ticks, const arrow::TimestampType& type, char between,
                      std::string* out) {
  const Unit unit = unit_of(type.unit());
  const int64_t per_day = 86400 * unit.per_second;
  const int64_t days = floor_divide(ticks, per_day);
  append_date(days, out);
  *out += between;
  // Not days × per_day, which may overflow where ticks are near the least.
  const int64_t rest = ticks % per_day;
  append_time(rest < 0 ? rest + per_day : rest, unit, out);
  if (!type.timezone().empty()) *out += 'Z';
}

// Seconds of an ISO 8601 duration: 3, -0.5, 86402.000003.
void append_seconds(int64_t ticks, Unit unit, std::string* out) {
  const bool negative = ticks < 0;
  const uint64_t size = negative ? 0 - static_cast<uint64_t>(ticks) : static_cast<uint64_t>(ticks);
  const auto per_second = static_cast<uint64_t>(unit.per_second);
  if (negative) *out += '-';
  append_number(size / per_second, out);
  if (const uint64_t fraction = size % per_second; fraction != 0) {
    *out += '.';
    append_padded(fraction, unit.digits, out);
    while (out->back() == '0') out->pop_back();
  }
}

void append_period(int64_t months, int64_t days, int64_t ticks, Unit unit, std::string* out) {
  const auto part = [out](int64_t amount, char letter) {
    if (amount == 0) return;
    append_number(amount, out);
    *out += letter;
  };
  *out += 'P';
  part(months / 12, 'Y');
  part(months % 12, 'M');
  part(days, 'D');
  if (ticks == 0 && (months != 0 || days != 0)) return;
  *out += 'T';
  append_seconds(ticks, unit, out);
  *out += 'S';
}

std::string_view bytes_of(const arrow::Array& array, int64_t row) {
  switch (array.type_id()) {
    case Type::STRING:
    case Type::BINARY:
      return checked_cast<const arrow::BinaryArray&>(array).GetView(row);
    case Type::LARGE_STRING:
    case Type::LARGE_BINARY:
      return checked_cast<const arrow::LargeBinaryArray&>(array).GetView(row);
    case Type::FIXED_SIZE_BINARY:
      return checked_cast<const arrow::FixedSizeBinaryArray&>(array).GetView(row);
    default:
      return checked_cast<const arrow::BinaryViewArray&>(array).GetView(row);
  }
}

bool holds_text(Type::type id) {
  return id == Type::STRING || id == Type::LARGE_STRING || id == Type::STRING_VIEW;
}

bool holds_bytes(Type::type id) {
  return id == Type::BINARY || id == Type::LARGE_BINARY || id == Type::BINARY_VIEW ||
         id == Type::FIXED_SIZE_BINARY;
}

// Numbers and booleans. True where JSON writes the text without quotes.
bool append_plain_number(const arrow::Array& array, int64_t row, std::string* out) {
  switch (array.type_id()) {
    case Type::BOOL:
      *out += value<arrow::BooleanArray>(array, row) ? "true" : "false";
      return true;
    case Type::INT8:
      append_number(int{value<arrow::Int8Array>(array, row)}, out);
      return true;
    case Type::UINT8:
      append_number(int{value<arrow::UInt8Array>(array, row)}, out);
      return true;
    case Type::INT16:
      append_number(value<arrow::Int16Array>(array, row), out);
      return true;
    case Type::UINT16:
      append_number(value<arrow::UInt16Array>(array, row), out);
      return true;
    case Type::INT32:
      append_number(value<arrow::Int32Array>(array, row), out);
      return true;
    case Type::UINT32:
      append_number(value<arrow::UInt32Array>(array, row), out);
      return true;
    case Type::INT64:
      append_number(value<arrow::Int64Array>(array, row), out);
      return true;
    case Type::UINT64:
      append_number(value<arrow::UInt64Array>(array, row), out);
      return true;
    case Type::HALF_FLOAT:
      return append_float(
          arrow::util::Float16::FromBits(value<arrow::HalfFloatArray>(array, row)).ToFloat(), out);
    case Type::FLOAT:
      return append_float(value<arrow::FloatArray>(array, row), out);
    default:
      return append_float(value<arrow::DoubleArray>(array, row), out);
  }
}

template <typename ArrayType, typename Decimal>
void append_decimal_of(const arrow::Array& array, int64_t row, std::string* out) {
  const auto& decimals = checked_cast<const ArrayType&>(array);
  append_decimal(Decimal(decimals.GetValue(row)).ToIntegerString(),
                 checked_cast<const arrow::DecimalType&>(*array.type()).scale(), out);
}

// Everything of one level whose text needs no escapes: decimals, dates, times, intervals.
void append_other(const arrow::Array& array, int64_t row, char between, std::string* out) {
  const arrow::DataType& type = *array.type();
  switch (type.id()) {
    case Type::DECIMAL32:
      return append_decimal_of<arrow::Decimal32Array, arrow::Decimal32>(array, row, out);
    case Type::DECIMAL64:
      return append_decimal_of<arrow::Decimal64Array, arrow::Decimal64>(array, row, out);
    case Type::DECIMAL128:
      return append_decimal_of<arrow::Decimal128Array, arrow::Decimal128>(array, row, out);
    case Type::DECIMAL256:
      return append_decimal_of<arrow::Decimal256Array, arrow::Decimal256>(array, row, out);
    case Type::DATE32:
      return append_date(value<arrow::Date32Array>(array, row), out);
    case Type::DATE64:
      return append_date(floor_divide(value<arrow::Date64Array>(array, row), 86'400'000), out);
    case Type::TIME32:
      return append_time(value<arrow::Time32Array>(array, row),
                         unit_of(checked_cast<const arrow::TimeType&>(type).unit()), out);
    case Type::TIME64:
      return append_time(value<arrow::Time64Array>(array, row),
                         unit_of(checked_cast<const arrow::TimeType&>(type).unit()), out);
    case Type::TIMESTAMP:
      return append_timestamp(value<arrow::TimestampArray>(array, row),
                              checked_cast<const arrow::TimestampType&>(type), between, out);
    case Type::DURATION:
      return append_period(0, 0, value<arrow::DurationArray>(array, row),
                           unit_of(checked_cast<const arrow::DurationType&>(type).unit()), out);
    case Type::INTERVAL_MONTHS:
      return append_period(value<arrow::MonthIntervalArray>(array, row), 0, 0,
                           unit_of(arrow::TimeUnit::SECOND), out);
    case Type::INTERVAL_DAY_TIME: {
      const auto interval = checked_cast<const arrow::DayTimeIntervalArray&>(array).GetValue(row);
      return append_period(0, interval.days, interval.milliseconds, unit_of(arrow::TimeUnit::MILLI),
                           out);
    }
    case Type::INTERVAL_MONTH_DAY_NANO: {
      const auto interval =
          checked_cast<const arrow::MonthDayNanoIntervalArray&>(array).GetValue(row);
      return append_period(interval.months, interval.days, interval.nanoseconds,
                           unit_of(arrow::TimeUnit::NANO), out);
    }
    default:  // unions and run-end encoding, which no driver makes
      const auto scalar = array.GetScalar(row);
      if (scalar.ok()) *out += (*scalar)->ToString();
  }
}

void append_json_list(const arrow::Field& field, const arrow::Array& values, int64_t from,
                      int64_t to, std::string* out, size_t limit) {
  *out += '[';
  for (int64_t i = from; i < to && out->size() < limit; ++i) {
    if (i > from) *out += ',';
    append_json(field, values, i, out, limit);
  }
  *out += ']';
}

template <typename ArrayType>
void append_json_list_of(const arrow::Array& array, int64_t row, std::string* out, size_t limit) {
  const auto& lists = checked_cast<const ArrayType&>(array);
  const int64_t from = lists.value_offset(row);
  append_json_list(*array.type()->field(0), *lists.values(), from, from + lists.value_length(row),
                   out, limit);
}

// False where the type is not nested.
bool append_nested(const arrow::Array& array, int64_t row, std::string* out, size_t limit) {
  switch (array.type_id()) {
    case Type::LIST:
    case Type::MAP:  // as a list of {"key": …, "value": …}
      append_json_list_of<arrow::ListArray>(array, row, out, limit);
      return true;
    case Type::LARGE_LIST:
      append_json_list_of<arrow::LargeListArray>(array, row, out, limit);
      return true;
    case Type::FIXED_SIZE_LIST:
      append_json_list_of<arrow::FixedSizeListArray>(array, row, out, limit);
      return true;
    case Type::LIST_VIEW:
      append_json_list_of<arrow::ListViewArray>(array, row, out, limit);
      return true;
    case Type::STRUCT: {
      const auto& fields = checked_cast<const arrow::StructArray&>(array);
      *out += '{';
      for (int i = 0; i < fields.num_fields(); ++i) {
        if (i > 0) *out += ',';
        const arrow::Field& field = *array.type()->field(i);
        append_json_string(field.name(), out);
        *out += ':';
        append_json(field, *fields.field(i), row, out, limit);
      }
      *out += '}';
      return true;
    }
    default:
      return false;
  }
}

bool is_bare(Type::type id) {
  return id == Type::BOOL || (id >= Type::UINT8 && id <= Type::DOUBLE);
}

// Looks through dictionaries and extension types: calls `use(field, array, row)` with the storage.
template <typename Use>
bool unwrapped(const arrow::Field& field, const arrow::Array& array, int64_t row, const Use& use) {
  if (array.type_id() == Type::DICTIONARY) {
    const auto& codes = checked_cast<const arrow::DictionaryArray&>(array);
    use(field, *codes.dictionary(), codes.GetValueIndex(row));
    return true;
  }
  if (array.type_id() == Type::EXTENSION) {
    const auto& extension = checked_cast<const arrow::ExtensionArray&>(array);
    const std::string name = extension.extension_type()->extension_name();
    const auto marked =
        field.WithMetadata(arrow::key_value_metadata({{"ARROW:extension:name", name}}));
    use(*marked, *extension.storage(), row);
    return true;
  }
  return false;
}

}  // namespace

void append_text(const arrow::Field& field, const arrow::Array& array, int64_t row,
                 std::string* out, size_t limit) {
  if (array.IsNull(row)) return;
  const Type::type id = array.type_id();
  if (is_bare(id)) {
    append_plain_number(array, row, out);
  } else if (holds_text(id)) {
    *out += bytes_of(array, row).substr(0, limit);
  } else if (holds_bytes(id)) {
    const std::string_view bytes = bytes_of(array, row);
    if (bytes.size() == 16 && is_uuid(field)) return append_uuid(bytes, out);
    append_hex(bytes.substr(0, limit), out);
  } else if (!unwrapped(field, array, row,
                        [&](const arrow::Field& of, const arrow::Array& in, int64_t at) {
                          append_text(of, in, at, out, limit);
                        }) &&
             !append_nested(array, row, out, limit == kWholeText ? limit : out->size() + limit)) {
    append_other(array, row, ' ', out);
  }
}

void append_json(const arrow::Field& field, const arrow::Array& array, int64_t row,
                 std::string* out, size_t limit) {
  const Type::type id = array.type_id();
  if (array.IsNull(row)) {
    *out += "null";
  } else if (is_bare(id)) {
    const size_t begin = out->size();
    if (!append_plain_number(array, row, out)) {
      out->insert(begin, 1, '"');
      *out += '"';
    }
  } else if (holds_text(id)) {
    append_json_string(bytes_of(array, row).substr(0, limit), out);
  } else if (!unwrapped(field, array, row,
                        [&](const arrow::Field& of, const arrow::Array& in, int64_t at) {
                          append_json(of, in, at, out, limit);
                        }) &&
             !append_nested(array, row, out, limit)) {
    *out += '"';
    if (holds_bytes(id)) {
      append_text(field, array, row, out, limit);
    } else {
      append_other(array, row, 'T', out);
    }
    *out += '"';
  }
}

void append_json_string(std::string_view text, std::string* out) {
  *out += '"';
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const char32_t c = next_code_point(text, &at);
    if (c == '"' || c == '\\') {
      *out += '\\';
      *out += static_cast<char>(c);
    } else if (c == '\n') {
      *out += "\\n";
    } else if (c < 0x20) {
      *out += "\\u00";
      append_hex(text.substr(begin, 1), out);
    } else if (c == kBadCodePoint) {
      append_utf8(0xFFFD, out);
    } else {
      *out += text.substr(begin, at - begin);
    }
  }
  *out += '"';
}

bool is_number(const arrow::DataType& type) {
  const Type::type id = type.id();
  return (is_bare(id) && id != Type::BOOL) || arrow::is_decimal(id);
}

}  // namespace cenote
