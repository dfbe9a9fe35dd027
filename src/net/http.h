// Requests and responses as handlers see them: plain data, nothing of sockets.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cenote/deadline.h"

namespace cenote {

struct HttpRequest {
  std::string method;
  std::string path;                                          // as it was sent, without the query
  std::string query;                                         // behind the '?'; or empty
  std::map<std::string, std::string> params;                 // of the route's {names}, decoded
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
  std::string peer;  // the client's address
  // The DNS names and URIs in the client certificate, which the server's client_ca has signed.
  std::vector<std::string> peer_names;

  // The first of that name (in lower case); empty if there is none.
  std::string_view header(std::string_view name) const;
  // A decoded value of the query; none if the key is absent or badly encoded.
  std::optional<std::string> query_value(std::string_view key) const;
};

// Percent-decoding; none for a bad escape, or a decoded '/' or zero byte, which no name of ours
// has.
std::optional<std::string> url_decode(std::string_view text);

// Seconds for a Retry-After, spread: those who were turned away together shall not come back
// together.
std::string retry_after();

// The content type of Prometheus's text format.
inline constexpr const char* kPrometheusText = "text/plain; version=0.0.4; charset=utf-8";

struct HttpResponse;

// An answer that is not there yet. `again` is asked when the server is woken, and a last time
// (`last`) at the deadline; it must then answer.
struct HttpWait {
  Deadline until;
  std::function<std::optional<HttpResponse>(bool last)> again;
};

// An answer without end: `next` appends what there is to send when the server is woken, and is
// asked with `due` every `interval`. False ends it.
struct HttpFeed {
  Duration interval = std::chrono::seconds(5);
  std::function<bool(bool due, std::string* bytes)> next;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body{};
  std::vector<std::pair<std::string, std::string>> headers{};
  std::shared_ptr<HttpWait> wait{};  // instead of all the above
  std::shared_ptr<HttpFeed> feed{};  // instead of the body
};

// Must not throw. Called where the route says (net/http_routes.h).
using HttpHandler = std::function<HttpResponse(const HttpRequest&)>;

}  // namespace cenote
