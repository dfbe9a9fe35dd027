// One value of an Arrow array as text. The rules, the same for tables, CSV and JSON, lose nothing:
// integers with all digits, floats as the shortest text that reads back as the same number,
// decimals with all their digits and never an exponent, dates and times as ISO 8601, timestamps
// with a time zone in UTC with a Z, durations and intervals as ISO 8601 (P1M2DT3.5S), binary as
// hexadecimal, a uuid in its usual form, nested values as JSON.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <arrow/type_fwd.h>

namespace cenote {

inline constexpr size_t kWholeText = static_cast<size_t>(-1);

// Appends the value at `row`; nothing for a null. A text or binary longer than about `limit` bytes
// is cut there, which costs no more than what is kept. The field's metadata tells a uuid.
void append_text(const arrow::Field& field, const arrow::Array& array, int64_t row,
                 std::string* out, size_t limit = kWholeText);

// Appends it as one JSON value: null, true, a number, or a string (decimals, dates, infinities and
// everything else). Bytes that are no UTF-8 become U+FFFD.
void append_json(const arrow::Field& field, const arrow::Array& array, int64_t row,
                 std::string* out, size_t limit = kWholeText);

void append_json_string(std::string_view text, std::string* out);

// Whether a column reads best aligned to the right.
bool is_number(const arrow::DataType& type);

}  // namespace cenote
