// PostgreSQL's binary numeric: base-10000 digits after a header of four 16-bit words (count of
// digits, weight of the first one, sign, decimals shown).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include <arrow/util/decimal.h>

namespace cenote::postgresql {

// A numeric's header, checked: `digits` points at `count` words in network order.
struct NumericView {
  enum class Kind : uint8_t { kFinite, kNaN, kInfinity, kMinusInfinity };

  Kind kind = Kind::kFinite;
  bool negative = false;
  int count = 0;
  int weight = 0;  // the first digit counts 10000^weight
  int scale = 0;   // decimals shown
  const uint8_t* digits = nullptr;

  // False if the bytes are not a numeric.
  bool parse(const uint8_t* bytes, size_t size);
  // A digit from 0 to 9999; 0 beyond the ends.
  int digit(int index) const;
  // Decimal digits before the point, not below 0.
  int whole_digits() const;
};

// The functions below return null, or what stands against the value (in words that follow "the
// value at row 7").

// The value times 10^scale; it must have at most `precision` digits then, of 38 (76).
const char* to_decimal(const NumericView& numeric, int precision, int scale,
                       arrow::Decimal128& value);
const char* to_decimal(const NumericView& numeric, int precision, int scale,
                       arrow::Decimal256& value);
// As PostgreSQL writes it; also NaN and the infinities.
std::string to_text(const NumericView& numeric);

// Numbers in network order, as all of PostgreSQL's binary formats have them.
void put_int16(std::string& out, int16_t value);
void put_int32(std::string& out, int32_t value);
void put_int64(std::string& out, int64_t value);

// Appends the field of an exact number: `digits` without sign, of which `scale` are decimals.
void put_numeric(std::string& out, std::string digits, bool negative, int scale);

}  // namespace cenote::postgresql
