// Parsing of single values.
#include "config/value.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <numeric>
#include <sstream>
#include <utility>

namespace cenote {
namespace {

Status bad(std::string message) {
  return make_error(ErrorKind::kConfig, std::move(message));
}

Result<std::string> read_secret(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) {
    return bad("the file '" + path + "' cannot be read; check that it exists and its permissions");
  }
  std::string secret = std::move(text).str();
  while (!secret.empty() && (secret.back() == '\n' || secret.back() == '\r')) secret.pop_back();
  return secret;
}

Result<std::string> dereference(std::string_view reference) {
  const size_t colon = reference.find(':');
  const std::string_view scheme = reference.substr(0, colon);
  const std::string name(colon == std::string_view::npos ? "" : reference.substr(colon + 1));
  if (scheme == "file" && !name.empty()) return read_secret(name);
  if (scheme == "env" && !name.empty()) {
    const char* value =
        std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe): nothing here sets variables
    if (value == nullptr) return bad("the environment variable '" + name + "' is not set");
    return std::string(value);
  }
  return bad("'${" + std::string(reference) +
             "}' is no reference; write ${env:NAME} or ${file:PATH}");
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

Result<double> parse_number(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(number)) {
    return bad("'" + std::string(text) + "' is not a number");
  }
  return number;
}

Result<int64_t> parse_integer(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) {
    return bad("'" + std::string(text) + "' is not a whole number");
  }
  return number;
}

Result<bool> parse_boolean(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (lower == "true" || lower == "yes" || lower == "on") return true;
  if (lower == "false" || lower == "no" || lower == "off") return false;
  return bad("'" + std::string(text) + "' is neither true nor false");
}

Result<Duration> parse_duration(std::string_view text) {
  struct Unit {
    std::string_view name;
    double nanos;
  };
  static constexpr std::array kUnits = {Unit{"ms", 1e6},    Unit{"us", 1e3}, Unit{"min", 60e9},
                                        Unit{"s", 1e9},     Unit{"m", 60e9}, Unit{"h", 3600e9},
                                        Unit{"d", 86400e9}, Unit{"", 1e9}};
  const size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  const std::string_view name = text.substr(digits);
  const auto unit = std::find_if(kUnits.begin(), kUnits.end(),
                                 [&](const Unit& each) { return each.name == name; });
  const Result<double> number = parse_number(text.substr(0, digits));
  if (unit == kUnits.end() || !number.ok() || *number * unit->nanos > 9e18) {
    return bad("'" + std::string(text) +
               "' is not a duration; write 250ms, 5s, 10min, 1h or a number of seconds");
  }
  return Duration(static_cast<int64_t>(std::llround(*number * unit->nanos)));
}

Result<std::string> resolve_references(std::string_view text) {
  if (text.starts_with("file:") && text.size() > 5) return read_secret(std::string(text.substr(5)));
  std::string resolved;
  for (;;) {
    const size_t open = text.find("${");
    resolved += text.substr(0, open);
    if (open == std::string_view::npos) return resolved;
    const size_t close = text.find('}', open);
    if (close == std::string_view::npos) return bad("a reference that begins with '${' has no '}'");
    ARROW_ASSIGN_OR_RAISE(const std::string value,
                          dereference(text.substr(open + 2, close - open - 2)));
    resolved += value;
    text = text.substr(close + 1);
  }
}

std::string suggest(std::string_view key, const std::vector<std::string_view>& known) {
  std::string_view best;
  size_t least = std::max<size_t>(2, key.size() / 3) + 1;
  std::string all;
  for (const std::string_view each : known) {
    const size_t distance = edit_distance(key, each);
    if (distance < least) {
      least = distance;
      best = each;
    }
    all += (all.empty() ? "" : ", ") + std::string(each);
  }
  if (!best.empty()) return "; did you mean '" + std::string(best) + "'?";
  return "; known keys: " + all;
}

}  // namespace cenote
