// Requests and responses as handlers see them: plain data, nothing of sockets.
#pragma once

#include <functional>
#include <string>

namespace cenote {

struct HttpRequest {
  std::string method;
  std::string path;   // as it was sent, without the query
  std::string query;  // behind the '?'; or empty
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

// Called on the server's thread: must not block, must not throw.
using HttpHandler = std::function<HttpResponse(const HttpRequest&)>;

}  // namespace cenote
