// A small, strict HTTP/1.1 server with plain functions as handlers. Bodies come with a
// Content-Length; answers may wait for something to happen, or go on without end.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cenote/deadline.h"
#include "cenote/error.h"
#include "cenote/server.h"

#include "net/http_routes.h"

namespace cenote {

struct HttpServerOptions {
  std::string listen;         // net/listen_address.h
  TlsFiles tls{};             // a certificate makes it https
  bool allow_remote = false;  // false: an address that is not loopback is refused
  size_t max_head = 8 * 1024;
  size_t max_connections = 64;  // one more is answered with 429, and closed
  // Of routes that wait or compute: the threads that wait, the most calls of each kind under way,
  // and the longest one waits for its thread. More are answered with 503.
  size_t waiting_threads = 4;
  size_t max_queue = 1'024;
  Duration queue_timeout = std::chrono::seconds(2);
  Duration head_timeout =
      std::chrono::seconds(10);  // from the first wait for a request to its head's end
  Duration idle_timeout = std::chrono::seconds(60);  // between requests of one connection
  Duration body_timeout = std::chrono::seconds(10);
  Duration write_timeout = std::chrono::seconds(10);
  // How a request is answered that no handler saw (400, 404, 405, 411, 413, 429, 431, 503); by
  // default one line of text. 429 and 503 get a Retry-After. Called on any thread of the server's.
  std::function<HttpResponse(int status, std::string_view reason)> refusal{};
};

// Owns one thread, which does all its work, and a few more if routes wait or compute. Thread-safe.
class HttpServer {
 public:
  // Listens when this returns. kConfig for an address that is wrong, not allowed, or taken.
  static Result<std::unique_ptr<HttpServer>> start(HttpServerOptions options,
                                                   std::vector<HttpRoute> routes);
  // Stops in this order: no new connections, open ones closed, the thread joined. After a fork the
  // child leaves the parent's server alone.
  ~HttpServer();

  // Certificates for the connections to come; on an error the old ones stay. A server that began
  // plain stays so.
  Status reload_tls(const TlsFiles& files);

  // Something happened that waiting answers and feeds may want to tell.
  void wake();

  // "127.0.0.1:9464", with the port that was picked.
  const std::string& address() const;

 private:
  class Core;
  explicit HttpServer(std::shared_ptr<Core> core);
  std::shared_ptr<Core> core_;
};

}  // namespace cenote
