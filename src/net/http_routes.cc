// Segment by segment; no normalisation, so that no path means two things.
#include "net/http_routes.h"

#include <optional>
#include <utility>

namespace cenote {
namespace {

// The parameters of a path that fits; none if it does not.
std::optional<std::map<std::string, std::string>> fit(std::string_view pattern,
                                                      std::string_view path) {
  std::map<std::string, std::string> params;
  for (;;) {
    const size_t pattern_end = pattern.find('/', 1);
    const size_t path_end = path.find('/', 1);
    const std::string_view wanted = pattern.substr(0, pattern_end);
    const std::string_view segment = path.substr(0, path_end);
    if (wanted.starts_with("/{")) {
      std::optional<std::string> value = url_decode(segment.substr(1));
      if (!value || value->empty()) return std::nullopt;
      params.emplace(wanted.substr(2, wanted.size() - 3), std::move(*value));
    } else if (wanted != segment) {
      return std::nullopt;
    }
    if (pattern_end == std::string_view::npos || path_end == std::string_view::npos) {
      const bool both = pattern_end == path_end;
      return both ? std::optional(std::move(params)) : std::nullopt;
    }
    pattern.remove_prefix(pattern_end);
    path.remove_prefix(path_end);
  }
}

}  // namespace

HttpMatch match_route(const std::vector<HttpRoute>& routes, std::string_view method,
                      std::string_view path) {
  HttpMatch match;
  // RFC 9110 §9.3.2: what GET answers, HEAD answers without the body.
  const std::string_view wanted = method == "HEAD" ? "GET" : method;
  for (const HttpRoute& route : routes) {
    auto params = fit(route.path, path);
    if (!params) continue;
    if (route.method == wanted) {
      match.route = &route;
      match.params = std::move(*params);
      match.allow.clear();
      return match;
    }
    match.allow += (match.allow.empty() ? "" : ", ") + route.method;
    if (route.method == "GET") match.allow += ", HEAD";
  }
  return match;
}

}  // namespace cenote
