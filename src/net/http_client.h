// A blocking HTTP/1.1 client with a deadline for every call, for the few calls of the control
// plane. Keeps one connection to one endpoint open between calls.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "cenote/deadline.h"
#include "cenote/error.h"

namespace cenote {

struct HttpCall {
  std::string method = "GET";
  std::string target = "/";
  std::map<std::string, std::string> headers;
  std::string body;  // sent with Content-Length if it is not empty or the method has one
};

struct HttpAnswer {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

struct TlsClientOptions {
  std::string ca_file;           // empty: the system's
  std::string certificate_file;  // with key_file: our own, for mutual TLS
  std::string key_file;
};

struct HttpClientOptions {
  std::string url{};    // "http://host:port" or "https://host:port", nothing behind
  std::string token{};  // sent as `Authorization: Bearer …`; never logged
  TlsClientOptions tls{};
  size_t max_body = size_t{64} << 20;
};

// Used by one thread at a time.
class HttpClient {
 public:
  // kConfig for a malformed url or unreadable TLS files.
  static Result<std::unique_ptr<HttpClient>> make(HttpClientOptions options);
  virtual ~HttpClient() = default;

  // Any answer is a success here, whatever its status. Errors: kConnection with Sent::kNo if the
  // request never left, Sent::kMaybe if it may have arrived; kQueryTimeout, kCancelled. A
  // connection that the server had closed meanwhile is opened again once, for methods that may be
  // repeated.
  virtual Result<HttpAnswer> send(const CallContext& context, const HttpCall& request) = 0;

  // Hands pieces of the body on as they come, of an answer with status 200, until `take` says false
  // or the server ends; `silence`: the longest wait for the next piece, else kQueryTimeout. Other
  // statuses come back as the response with their body.
  virtual Result<HttpAnswer> stream(const CallContext& context, const HttpCall& request,
                                    Duration silence,
                                    const std::function<bool(std::string_view)>& take) = 0;

  // The endpoint, without secrets.
  virtual const std::string& url() const = 0;
};

// Percent-encodes one segment of a path or value of a query.
std::string url_encode(std::string_view text);

}  // namespace cenote
