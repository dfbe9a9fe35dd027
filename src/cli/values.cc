// Literals into Arrow scalars.
#include "cli/values.h"

#include <algorithm>
#include <cctype>

#include "cenote/params.h"

#include "config/value.h"

namespace cenote::cli {

std::shared_ptr<arrow::Scalar> scalar_from_literal(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (lower == "null") return Params::scalar(nullptr);
  if (lower == "true" || lower == "false") return Params::scalar(lower == "true");
  if (text.size() >= 2 && text.front() == '\'' && text.back() == '\'') {
    std::string value;
    for (size_t i = 1; i + 1 < text.size(); ++i) {
      value += text[i];
      if (text[i] == '\'' && text[i + 1] == '\'' && i + 2 < text.size()) ++i;
    }
    return Params::scalar(value);
  }
  const std::string_view digits = text.substr(text.starts_with('-') ? 1 : 0);
  const bool number = !digits.empty() && digits.front() >= '0' && digits.front() <= '9';
  const bool code = digits.size() > 1 && digits[0] == '0' && digits[1] != '.';
  if (number && !code) {
    if (const auto integer = parse_integer(text); integer.ok()) return Params::scalar(*integer);
    const bool whole = digits.find_first_of(".eE") == std::string_view::npos;
    // A whole number beyond int64 stays text: as a double it would lose digits.
    if (const auto real = parse_number(text); real.ok() && !whole) return Params::scalar(*real);
  }
  return Params::scalar(text);
}

Result<Duration> limit_from(std::string_view option, std::string_view text) {
  const Result<Duration> limit = parse_duration(text);
  if (!limit.ok()) {
    return make_error(ErrorKind::kInterface, std::string(option) + ": " + limit.status().message());
  }
  return *limit > Duration::zero() ? *limit : Duration::max();
}

}  // namespace cenote::cli
