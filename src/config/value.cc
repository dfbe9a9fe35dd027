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
  constexpr size_t kMostBytes = size_t{64} << 10;
  std::ifstream file(path, std::ios::binary);
  std::string secret(kMostBytes + 1, '\0');
  file.read(secret.data(), static_cast<std::streamsize>(secret.size()));
  if (!file.is_open() || file.bad()) {
    return bad("the file '" + path + "' cannot be read; check that it exists and its permissions");
  }
  secret.resize(static_cast<size_t>(file.gcount()));
  if (secret.size() > kMostBytes) return bad("the file '" + path + "' is larger than 64 KiB");
  while (!secret.empty() && (secret.back() == '\n' || secret.back() == '\r')) secret.pop_back();
  if (secret.empty()) return bad("the file '" + path + "' is empty");
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

// Whether one can listen there is the network's to say.
bool is_address(std::string_view text) {
  constexpr int64_t kMostPort = 65'535;
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view port = text.substr(colon + 1);
  if (port.find_first_not_of("0123456789") != std::string_view::npos) return false;
  const Result<int64_t> number = parse_integer(port);
  return number.ok() && *number <= kMostPort;
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

std::vector<std::string> split_list(std::string_view list) {
  std::vector<std::string> items;
  while (!list.empty()) {
    const size_t end = std::min(list.find(','), list.size());
    std::string_view item = list.substr(0, end);
    list.remove_prefix(std::min(end + 1, list.size()));
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    if (!item.empty()) items.emplace_back(item);
  }
  return items;
}

std::vector<std::string_view> split_choices(std::string_view choices) {
  std::vector<std::string_view> all;
  while (!choices.empty()) {
    all.push_back(choices.substr(0, choices.find('|')));
    choices.remove_prefix(std::min(choices.size(), all.back().size() + 1));
  }
  return all;
}

Status check_value(const ValueRule& rule, std::string_view text, std::string_view shown) {
  const auto wrong = [shown](const std::string& what) { return bad(std::string(shown) + what); };
  switch (rule.kind) {
    case ValueRule::Kind::kInteger: {
      const auto number = parse_integer(text);
      if (number.ok() && *number >= rule.least && *number <= rule.most) return Status::OK();
      return wrong(" is not a whole number from " + std::to_string(rule.least) + " to " +
                   std::to_string(rule.most));
    }
    case ValueRule::Kind::kFraction: {
      const auto number = parse_number(text);
      if (number.ok() && *number >= 0 && *number <= 0.5) return Status::OK();
      return wrong(" is not a fraction from 0 to 0.5");
    }
    case ValueRule::Kind::kBoolean:
      return parse_boolean(text).ok() ? Status::OK() : wrong(" is neither true nor false");
    case ValueRule::Kind::kDuration:
      if (parse_duration(text).ok()) return Status::OK();
      return wrong(" is not a duration; write 250ms, 5s, 10min, 1h or a number of seconds");
    case ValueRule::Kind::kChoice: {
      std::string all;
      for (const std::string_view choice : split_choices(rule.choices)) {
        if (choice == text) return Status::OK();
        all += (all.empty() ? "" : ", ") + std::string(choice);
      }
      return wrong(" is not one of: " + all);
    }
    case ValueRule::Kind::kAddress:
      if (is_address(text)) return Status::OK();
      return wrong(" is not host:port, as 127.0.0.1:9464 or [::1]:9464");
    default:
      return Status::OK();
  }
}

bool has_reference(std::string_view text, bool is_path) {
  return text.find("${") != std::string_view::npos ||
         (!is_path && text.starts_with("file:") && text.size() > 5);
}

Result<std::string> resolve_references(std::string_view text, bool is_path) {
  if (!is_path && text.starts_with("file:") && text.size() > 5) {
    return read_secret(std::string(text.substr(5)));
  }
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

std::string suggest(std::string_view key, const std::vector<std::string_view>& known,
                    const std::vector<std::string_view>& near) {
  std::string_view best;
  size_t least = std::max<size_t>(2, key.size() / 3) + 1;
  std::string all;
  const auto consider = [&](std::string_view each) {
    const size_t distance = edit_distance(key, each);
    if (distance >= least) return;
    least = distance;
    best = each;
  };
  // A key as long as a file would make the distance a long computation.
  constexpr size_t kLongest = 64;
  for (const std::string_view each : known) {
    if (key.size() <= kLongest) consider(each);
    all += (all.empty() ? "" : ", ") + std::string(each);
  }
  for (const std::string_view each : near) {
    if (key.size() <= kLongest) consider(each);
  }
  if (!best.empty()) return "; did you mean '" + std::string(best) + "'?";
  return "; known keys: " + all;
}

}  // namespace cenote
