// A coordinator as a process runs it: the store, PoolCoordinator, its API over HTTP, the thread
// that judges nodes and the one that keeps the store in order.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "cenote/server.h"

#include "coordinator/setup.h"
#include "net/http_server.h"

namespace cenote::coordinator {

// Asked before every call: an answer of its is given in place of the coordinator's. On any thread.
using Gate = std::function<std::optional<HttpResponse>(const HttpRequest&)>;

class CoordinatorServer {
 public:
  // Serves when this returns. kConfig for what the configuration has wrong (setup.h).
  static Result<std::unique_ptr<CoordinatorServer>> start(const CoordinatorServerOptions& options);
  // The same with a coordinator that was opened (elected.h).
  static Result<std::unique_ptr<CoordinatorServer>> start(
      Setup setup, std::unique_ptr<PoolCoordinator> coordinator, const Gate& gate);
  // Open requests and watches are closed, then the store.
  ~CoordinatorServer();

  // "http://127.0.0.1:8080", with the port that was picked.
  std::string url() const;
  PoolCoordinator& coordinator() { return *coordinator_; }
  // Takes the tokens and the certificate files anew; on an error all stays as it is.
  Status reload(const CoordinatorServerOptions& options);

 private:
  CoordinatorServer() = default;
  void judge(const std::stop_token& stop) noexcept;
  void keep_house(const std::stop_token& stop) noexcept;

  std::unique_ptr<PoolCoordinator> coordinator_;
  std::unique_ptr<Api> api_;
  std::unique_ptr<HttpServer> http_;
  bool secure_ = false;
  std::string listen_;  // as it was asked for
  // Last: they end before what they use. The one never waits for the store, the other does.
  std::jthread judge_;
  std::jthread keeper_;
};

}  // namespace cenote::coordinator
