// Reads PostgreSQL's binary numeric without a detour through text.
#include "driver/postgresql/numeric.h"

#include <algorithm>
#include <utility>

namespace cenote::postgresql {
namespace {

__extension__ using uint128 = unsigned __int128;

constexpr int kGroup = 4;  // decimal digits of one digit of a numeric
constexpr uint32_t kPowers[] = {1, 10, 100, 1000, 10'000};

constexpr const char* kNotFinite =
    "is NaN or infinite, which no decimal can hold: cast the column to text or double precision";
constexpr const char* kTooManyDigits =
    "has more digits than its decimal type holds: cast the column to text";
constexpr const char* kTooManyDecimals =
    "has more decimals than its column's type says: cast the column to text";

uint16_t word(const uint8_t* bytes) {
  return static_cast<uint16_t>((bytes[0] << 8) | bytes[1]);
}

// Where the digits go that make up value * 10^scale.
struct Placement {
  int whole_groups;  // digits that count in full
  int zeros;         // decimal zeros to append after them
  int partial;       // decimal digits to take of the next digit, 0 for none
};

// Null if the digits beyond `scale` are all zero.
const char* place(const NumericView& numeric, int scale, Placement& placement) {
  // Decimal digits from the start of the first digit to the last one wanted.
  const int wanted = (numeric.weight + 1) * kGroup + scale;
  const int there = numeric.count * kGroup;
  if (wanted >= there) {
    placement = {numeric.count, wanted - there, 0};
    return nullptr;
  }
  placement.whole_groups = std::max(wanted, 0) / kGroup;
  placement.partial = std::max(wanted, 0) % kGroup;
  placement.zeros = 0;
  int index = placement.whole_groups;
  if (placement.partial > 0) {
    const auto rest = kPowers[kGroup - placement.partial];
    if (static_cast<uint32_t>(numeric.digit(index)) % rest != 0) return kTooManyDecimals;
    ++index;
  }
  for (; index < numeric.count; ++index) {
    if (numeric.digit(index) != 0) return kTooManyDecimals;
  }
  return nullptr;
}

// Builds the value group by group: Number = 0; Number = Number * power + digits; ….
template <typename Number>
Number accumulate(const NumericView& numeric, const Placement& placement) {
  Number value{0};
  for (int i = 0; i < placement.whole_groups; ++i) {
    value = value * Number{10'000} + Number{static_cast<uint64_t>(numeric.digit(i))};
  }
  if (placement.partial > 0) {
    const auto digit = static_cast<uint32_t>(numeric.digit(placement.whole_groups));
    value = value * Number{kPowers[placement.partial]} +
            Number{digit / kPowers[kGroup - placement.partial]};
  }
  int zeros = placement.zeros;
  for (; zeros >= kGroup; zeros -= kGroup) value = value * Number{10'000};
  return value * Number{kPowers[zeros]};
}

}  // namespace

bool NumericView::parse(const uint8_t* bytes, size_t size) {
  if (size < 8) return false;
  count = word(bytes);
  weight = static_cast<int16_t>(word(bytes + 2));
  const uint16_t sign = word(bytes + 4);
  scale = word(bytes + 6) & 0x3fff;
  digits = bytes + 8;
  if (size != 8 + 2 * static_cast<size_t>(count)) return false;
  negative = false;
  switch (sign) {
    case 0x0000:
      kind = Kind::kFinite;
      break;
    case 0x4000:
      kind = Kind::kFinite;
      negative = true;
      break;
    case 0xc000:
      kind = Kind::kNaN;
      break;
    case 0xd000:
      kind = Kind::kInfinity;
      break;
    case 0xf000:
      kind = Kind::kMinusInfinity;
      break;
    default:
      return false;
  }
  for (int i = 0; i < count; ++i) {
    if (word(digits + 2 * i) > 9999) return false;
  }
  return true;
}

int NumericView::digit(int index) const {
  return index >= 0 && index < count ? word(digits + 2 * index) : 0;
}

int NumericView::whole_digits() const {
  if (count == 0 || weight < 0) return 0;
  const int first = digit(0);
  const int leading = first >= 1000 ? 4 : first >= 100 ? 3 : first >= 10 ? 2 : 1;
  return weight * kGroup + leading;
}

const char* to_decimal(const NumericView& numeric, int precision, int scale,
                       arrow::Decimal128& value) {
  if (numeric.kind != NumericView::Kind::kFinite) return kNotFinite;
  const int digits = numeric.whole_digits() + scale;
  if (digits > precision) return kTooManyDigits;
  Placement placement{};
  if (const char* wrong = place(numeric, scale, placement)) return wrong;
  if (digits <= 18) {
    const auto small = static_cast<int64_t>(accumulate<uint64_t>(numeric, placement));
    value = arrow::Decimal128(numeric.negative ? -small : small);
    return nullptr;
  }
  const auto wide = accumulate<uint128>(numeric, placement);
  value = arrow::Decimal128(static_cast<int64_t>(wide >> 64), static_cast<uint64_t>(wide));
  if (numeric.negative) value.Negate();
  return nullptr;
}

const char* to_decimal(const NumericView& numeric, int precision, int scale,
                       arrow::Decimal256& value) {
  if (numeric.kind != NumericView::Kind::kFinite) return kNotFinite;
  if (numeric.whole_digits() + scale > precision) return kTooManyDigits;
  Placement placement{};
  if (const char* wrong = place(numeric, scale, placement)) return wrong;
  value = accumulate<arrow::Decimal256>(numeric, placement);
  if (numeric.negative) value.Negate();
  return nullptr;
}

std::string to_text(const NumericView& numeric) {
  switch (numeric.kind) {
    case NumericView::Kind::kNaN:
      return "NaN";
    case NumericView::Kind::kInfinity:
      return "Infinity";
    case NumericView::Kind::kMinusInfinity:
      return "-Infinity";
    case NumericView::Kind::kFinite:
      break;
  }
  const auto group = [&](int index, char* out) {
    int digit = numeric.digit(index);
    for (int i = kGroup - 1; i >= 0; --i, digit /= 10) out[i] = static_cast<char>('0' + digit % 10);
  };
  std::string text;
  char four[kGroup];
  for (int i = 0; i <= numeric.weight; ++i) {
    group(i, four);
    text.append(four, kGroup);
  }
  text.erase(0, std::min(text.find_first_not_of('0'), text.size()));
  if (text.empty()) text = "0";
  if (numeric.scale > 0) {
    text += '.';
    const size_t end = text.size() + static_cast<size_t>(numeric.scale);
    for (int i = numeric.weight + 1; text.size() < end; ++i) {
      group(i, four);
      text.append(four, kGroup);
    }
    text.resize(end);
  }
  return numeric.negative ? "-" + text : text;
}

void put_int16(std::string& out, int16_t value) {
  const auto bits = static_cast<uint16_t>(value);
  const char bytes[] = {static_cast<char>(bits >> 8), static_cast<char>(bits)};
  out.append(bytes, sizeof bytes);
}

void put_int32(std::string& out, int32_t value) {
  const uint32_t bits = __builtin_bswap32(static_cast<uint32_t>(value));
  out.append(reinterpret_cast<const char*>(&bits), sizeof bits);
}

void put_int64(std::string& out, int64_t value) {
  const uint64_t bits = __builtin_bswap64(static_cast<uint64_t>(value));
  out.append(reinterpret_cast<const char*>(&bits), sizeof bits);
}

void put_numeric(std::string& out, std::string digits, bool negative, int scale) {
  if (scale < 0) {
    digits.append(static_cast<size_t>(-scale), '0');
    scale = 0;
  }
  const auto decimals = static_cast<size_t>(scale);
  if (digits.size() < decimals) digits.insert(0, decimals - digits.size(), '0');
  // Whole groups of four on both sides of the point.
  const size_t whole = digits.size() - decimals;
  digits.insert(0, (4 - whole % 4) % 4, '0');
  digits.append((4 - decimals % 4) % 4, '0');
  std::string groups;
  int weight = static_cast<int>((whole + 3) / 4) - 1;
  int count = 0;
  int zeros = 0;  // groups of zero that may turn out to be trailing
  for (size_t i = 0; i < digits.size(); i += 4) {
    const int group = (digits[i] - '0') * 1000 + (digits[i + 1] - '0') * 100 +
                      (digits[i + 2] - '0') * 10 + (digits[i + 3] - '0');
    if (group == 0) {
      if (count == 0) {
        --weight;
      } else {
        ++zeros;
      }
      continue;
    }
    for (; zeros > 0; --zeros, ++count) put_int16(groups, 0);
    put_int16(groups, static_cast<int16_t>(group));
    ++count;
  }
  if (count == 0) weight = 0;
  put_int32(out, static_cast<int32_t>(8 + groups.size()));
  put_int16(out, static_cast<int16_t>(count));
  put_int16(out, static_cast<int16_t>(weight));
  put_int16(out, negative && count > 0 ? 0x4000 : 0);
  put_int16(out, static_cast<int16_t>(scale));
  out += groups;
}

}  // namespace cenote::postgresql
