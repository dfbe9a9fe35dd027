// Reading a request's parts.
#include "net/http.h"

#include <random>

#include "base/percent.h"

namespace cenote {
std::string_view HttpRequest::header(std::string_view name) const {
  for (const auto& [each, value] : headers) {
    if (each == name) return value;
  }
  return {};
}

std::optional<std::string> HttpRequest::query_value(std::string_view key) const {
  std::string_view rest = query;
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    const size_t equals = pair.find('=');
    if (equals != std::string_view::npos && pair.substr(0, equals) == key) {
      return url_decode(pair.substr(equals + 1));
    }
  }
  return std::nullopt;
}

std::optional<std::string> url_decode(std::string_view text) {
  return percent_decoded(text, std::string_view("\0/", 2));
}

std::string retry_after() {
  thread_local std::minstd_rand random{std::random_device{}()};
  return std::to_string(1 + random() % 4);
}

}  // namespace cenote
