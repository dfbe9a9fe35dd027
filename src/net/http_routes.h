// Which handler answers a request. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "net/http.h"

namespace cenote {

struct HttpRoute {
  std::string path;  // "/v1/nodes/{id}/drain": compared as it is, {names} stand for one segment
  HttpHandler handler;
  std::string method = "GET";
  size_t max_body = 0;    // bytes; a larger one is refused with 413
  bool blocking = false;  // the handler may wait (for a disk, a store): call it on a worker
};

struct HttpMatch {
  const HttpRoute* route = nullptr;  // null: nothing answers
  std::map<std::string, std::string> params;
  std::string allow;  // the methods of the path, if it exists but not for this method: 405
};

HttpMatch match_route(const std::vector<HttpRoute>& routes, std::string_view method,
                      std::string_view path);

}  // namespace cenote
