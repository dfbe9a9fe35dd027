// The node's plain HTTP for operators and their tools: health, readiness, metrics, status.
#pragma once

#include <memory>
#include <string>

#include "cenote/manager.h"
#include "cenote/server.h"

#include "net/http_server.h"
#include "node/flight_server.h"

namespace cenote::node {

// Owns its HTTP server; what it tells of outlives it. No password: it tells no secrets and changes
// nothing, and listens on loopback unless allow_remote says otherwise.
class Admin {
 public:
  // GET /healthz (this process answers), /readyz (200 while it takes new work, else 503), /metrics
  // (Prometheus), /api/v1/status (JSON).
  static Result<std::unique_ptr<Admin>> start(DistributedPoolManager& manager, FlightServer& flight,
                                              const AdminServerOptions& options);

  std::string url() const { return "http://" + server_->address(); }

 private:
  explicit Admin(std::unique_ptr<HttpServer> server) : server_(std::move(server)) {}

  std::unique_ptr<HttpServer> server_;
};

}  // namespace cenote::node
