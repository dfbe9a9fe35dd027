// Declared names to kinds, the lattice of widening, and dates as text.
#include "driver/sqlite/types.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstring>

#include <arrow/type.h>
#include <arrow/util/utf8.h>

#include "frame/convert.h"

namespace cenote::sqlite {
namespace {

constexpr int64_t kMicros = 1'000'000;
constexpr int64_t kSecondsPerDay = 86'400;

// As printf's %0*lld, which costs ten times as much.
void append_number(std::string* out, int64_t value, int width) {
  if (value < 0) {
    *out += '-';
    --width;
  }
  std::array<char, 20> digits{};
  const auto [end, error] =
      std::to_chars(digits.data(), digits.data() + digits.size(),
                    value < 0 ? -static_cast<uint64_t>(value) : static_cast<uint64_t>(value));
  const std::string_view text(digits.data(), static_cast<size_t>(end - digits.data()));
  for (auto missing = width - static_cast<int>(text.size()); missing > 0; --missing) *out += '0';
  *out += text;
}

// Two digits at `at`, at most `most`; -1 if they are none.
int two_digits(std::string_view text, size_t at, int most) {
  if (at + 2 > text.size()) return -1;
  const int tens = text[at] - '0';
  const int ones = text[at + 1] - '0';
  if (tens < 0 || tens > 9 || ones < 0 || ones > 9) return -1;
  const int number = tens * 10 + ones;
  return number <= most ? number : -1;
}

constexpr bool is_leap(int year) {
  return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

int days_in(int year, int month) {
  constexpr std::array kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return month == 2 && is_leap(year) ? 29 : kDays.at(static_cast<size_t>(month - 1));
}

struct Civil {
  int64_t year;
  int month;
  int day;
};

// Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
Civil civil_of(int64_t days) {
  days += 719468;
  const int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  const int64_t day_of_era = days - era * 146097;
  const int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t shifted = (5 * day_of_year + 2) / 153;
  const int month = static_cast<int>(shifted < 10 ? shifted + 3 : shifted - 9);
  const int day = static_cast<int>(day_of_year - (153 * shifted + 2) / 5 + 1);
  return {year_of_era + era * 400 + (month <= 2 ? 1 : 0), month, day};
}

}  // namespace

Kind declared_kind(const char* declaration) {
  if (declaration == nullptr) return Kind::kUnknown;
  std::string name(declaration);
  name.resize(std::min(name.find('('), name.size()));
  while (!name.empty() && name.back() == ' ') name.pop_back();
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (name == "bool" || name == "boolean") return Kind::kBool;
  if (name == "date") return Kind::kDate;
  if (name == "time") return Kind::kTime;
  if (name == "datetime" || name == "timestamp") return Kind::kTimestamp;
  if (name.starts_with("timestamp")) return Kind::kText;  // with a time zone, which is in the text
  const auto has = [&name](std::string_view part) { return name.find(part) != std::string::npos; };
  // SQLite's own order of affinities.
  if (has("int")) return Kind::kInt;
  if (has("char") || has("clob") || has("text") || has("json")) return Kind::kText;
  if (has("blob")) return Kind::kBinary;
  if (has("real") || has("floa") || has("doub")) return Kind::kDouble;
  if (name == "decimal" || name == "numeric" || name == "number" || name == "money") {
    return Kind::kDouble;
  }
  return Kind::kUnknown;
}

Kind widened(Kind a, Kind b) {
  if (a == b || b == Kind::kUnknown) return a;
  if (a == Kind::kUnknown) return b;
  if (a > b) std::swap(a, b);
  if (b == Kind::kBinary) return Kind::kBinary;
  if (a == Kind::kBool && b == Kind::kInt) return Kind::kInt;
  if ((a == Kind::kBool || a == Kind::kInt) && b == Kind::kDouble) return Kind::kDouble;
  return Kind::kText;
}

std::shared_ptr<arrow::DataType> arrow_type(Kind kind) {
  switch (kind) {
    case Kind::kBool:
      return arrow::boolean();
    case Kind::kInt:
      return arrow::int64();
    case Kind::kDouble:
      return arrow::float64();
    case Kind::kDate:
      return arrow::date32();
    case Kind::kTime:
      return arrow::time64(arrow::TimeUnit::MICRO);
    case Kind::kTimestamp:
      return arrow::timestamp(arrow::TimeUnit::MICRO);
    case Kind::kBinary:
      return arrow::binary();
    case Kind::kUnknown:
    case Kind::kText:
      break;
  }
  return arrow::utf8();
}

std::string_view kind_name(Kind kind) {
  constexpr std::array<std::string_view, 9> kNames = {
      "nothing but nulls", "booleans", "integers", "reals", "dates", "times",
      "timestamps",        "text",     "bytes"};
  return kNames.at(static_cast<size_t>(kind));
}

std::optional<int32_t> parse_date(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  const int century = two_digits(text, 0, 99);
  const int rest = two_digits(text, 2, 99);
  const int month = two_digits(text, 5, 12);
  const int day = two_digits(text, 8, 31);
  if (century < 0 || rest < 0 || month < 1 || day < 1) return std::nullopt;
  const int year = century * 100 + rest;
  if (day > days_in(year, month)) return std::nullopt;
  return days_from_civil(year, static_cast<uint32_t>(month), static_cast<uint32_t>(day));
}

std::optional<int64_t> parse_time(std::string_view text) {
  const int hour = two_digits(text, 0, 23);
  const int minute = two_digits(text, 3, 59);
  if (text.size() < 5 || text[2] != ':' || hour < 0 || minute < 0) return std::nullopt;
  int64_t micros = (hour * 60 + minute) * 60 * kMicros;
  if (text.size() == 5) return micros;
  const int second = two_digits(text, 6, 59);
  if (text[5] != ':' || second < 0) return std::nullopt;
  micros += second * kMicros;
  if (text.size() == 8) return micros;
  if (text[8] != '.' || text.size() < 10 || text.size() > 15) return std::nullopt;
  int64_t scale = kMicros / 10;
  for (const char c : text.substr(9)) {
    if (c < '0' || c > '9') return std::nullopt;
    micros += (c - '0') * scale;
    scale /= 10;
  }
  return micros;
}

std::optional<int64_t> parse_timestamp(std::string_view text) {
  const std::optional<int32_t> days = parse_date(text.substr(0, 10));
  if (!days) return std::nullopt;
  const int64_t start = *days * kSecondsPerDay * kMicros;
  if (text.size() == 10) return start;
  if (text[10] != ' ' && text[10] != 'T') return std::nullopt;
  const std::optional<int64_t> time = parse_time(text.substr(11));
  if (!time) return std::nullopt;
  return start + *time;
}

std::string format_date(int64_t days) {
  const Civil date = civil_of(days);
  std::string out;
  append_number(&out, date.year, 4);
  out += '-';
  append_number(&out, date.month, 2);
  out += '-';
  append_number(&out, date.day, 2);
  return out;
}

std::string format_time(int64_t units, int64_t per_second) {
  const int64_t seconds = units / per_second;
  int64_t fraction = units % per_second;
  std::string out;
  append_number(&out, seconds / 3600, 2);
  out += ':';
  append_number(&out, seconds / 60 % 60, 2);
  out += ':';
  append_number(&out, seconds % 60, 2);
  if (fraction == 0) return out;
  // Three, six or nine digits.
  int width = per_second == 1000 ? 3 : per_second == kMicros ? 6 : 9;
  while (width > 3 && fraction % 1000 == 0) {
    fraction /= 1000;
    width -= 3;
  }
  out += '.';
  append_number(&out, fraction, width);
  return out;
}

std::string format_timestamp(int64_t units, int64_t per_second) {
  const int64_t per_day = kSecondsPerDay * per_second;
  int64_t days = units / per_day;
  int64_t rest = units % per_day;
  if (rest < 0) {
    rest += per_day;
    --days;
  }
  return format_date(days) + ' ' + format_time(rest, per_second);
}

std::string format_double(double value) {
  std::array<char, 32> text{};
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), value);
  std::string out(text.data(), static_cast<size_t>(end - text.data()));
  // A whole number keeps the mark of a real: 1.0, not 1.
  if (out.find_first_not_of("-0123456789") == std::string::npos) out += ".0";
  return out;
}

bool is_utf8(std::string_view text) {
  size_t at = 0;
  for (; at + 8 <= text.size(); at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, text.data() + at, 8);
    if ((word & 0x8080808080808080U) != 0) break;
  }
  while (at < text.size() && (text[at] & 0x80) == 0) ++at;
  if (at == text.size()) return true;
  static const bool initialized = (arrow::util::InitializeUTF8(), true);
  (void)initialized;
  return arrow::util::ValidateUTF8(reinterpret_cast<const uint8_t*>(text.data() + at),
                                   static_cast<int64_t>(text.size() - at));
}

}  // namespace cenote::sqlite
