// Which handler answers a request. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http.h"

namespace cenote {

// Where a handler runs, so that none holds up those of the other kinds.
enum class HttpLane : uint8_t {
  kServer,   // the server's thread: neither waits nor takes long
  kCompute,  // a thread of their own, one after another: take long, wait for nobody
  kWait,     // a few threads: wait for a disk, a store
};

struct HttpRoute {
  std::string path;  // "/v1/nodes/{id}/drain": compared as it is, {names} stand for one segment
  HttpHandler handler;
  std::string method = "GET";  // a GET answers HEAD too
  size_t max_body = 0;         // bytes; a larger one is refused with 413
  HttpLane lane = HttpLane::kServer;
  // Asked on the server's thread before the body is read: the answer for a caller that may not send
  // one. Null: everybody may.
  std::function<std::optional<HttpResponse>(const HttpRequest& head)> guard{};
};

struct HttpMatch {
  const HttpRoute* route = nullptr;  // null: nothing answers
  std::map<std::string, std::string> params;
  std::string allow;  // the methods of the path, if it exists but not for this method: 405
};

HttpMatch match_route(const std::vector<HttpRoute>& routes, std::string_view method,
                      std::string_view path);

}  // namespace cenote
