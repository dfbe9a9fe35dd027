// Each answer is made of what the manager knows at that moment; none waits for a database.
#include "node/admin.h"

#include <utility>

#include "base/json.h"

namespace cenote::node {
namespace {

HttpResponse json(const Json& value) {
  return {.content_type = "application/json",
          .body = value.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"};
}

Json pool_json(const PoolStatus& pool) {
  Json out{{"pool_id", pool.id},
           {"type", pool.type},
           {"endpoint", pool.endpoint},
           {"health", std::string(to_string(pool.health))},
           {"read_only", pool.read_only},
           {"authorised", pool.authorised},
           {"overloaded", pool.overloaded},
           {"connections",
            {{"max", pool.max},
             {"total", pool.total},
             {"active", pool.active},
             {"idle", pool.idle},
             {"waiting", pool.waiting}}}};
  if (pool.lag) out["lag_ms"] = pool.lag->count();
  if (!pool.last_error.empty()) out["last_error"] = pool.last_error;
  return out;
}

// What this node believes of the others, and whether it trusts what it hears.
Json cluster_json(const ClusterStatus& cluster) {
  Json out{
      {"source", cluster.source},
      {"cluster", cluster.cluster},
      {"nodes", cluster.nodes.size()},
      {"alarm", cluster.alarm},
      {"last_error", cluster.last_error},
      {"partition",
       {{"state", cluster.partition.state},
        {"cause", cluster.partition.cause},
        {"reason", cluster.partition.reason},
        {"since_ms",
         std::chrono::duration_cast<std::chrono::milliseconds>(cluster.partition.since).count()}}}};
  if (cluster.age) {
    out["age_ms"] = std::chrono::duration_cast<std::chrono::milliseconds>(*cluster.age).count();
  }
  return out;
}

HttpResponse status(const DistributedPoolManager& manager, const FlightServer& flight) {
  Json pools = Json::array();
  for (const PoolStatus& pool : manager.get_status()) pools.push_back(pool_json(pool));
  Json about{{"node_id", flight.node_id()},
             {"location", flight.location_uri()},
             {"draining", flight.draining()},
             {"config_version", flight.config_version()},
             {"pools", std::move(pools)}};
  if (const auto cluster = manager.cluster_status()) about["cluster"] = cluster_json(*cluster);
  return json(about);
}

}  // namespace

Result<std::unique_ptr<Admin>> Admin::start(DistributedPoolManager& manager, FlightServer& flight,
                                            const AdminServerOptions& options) {
  const auto alive = [](const HttpRequest&) { return HttpResponse{.body = "ok\n"}; };
  const auto ready = [&flight](const HttpRequest&) {
    if (flight.draining()) return HttpResponse{.status = 503, .body = "draining\n"};
    return HttpResponse{.body = "ready\n"};
  };
  const auto metrics = [&manager](const HttpRequest&) {
    return HttpResponse{.content_type = kPrometheusText, .body = manager.prometheus()};
  };
  const auto about = [&manager, &flight](const HttpRequest&) { return status(manager, flight); };
  HttpServerOptions server;
  server.listen = options.listen;
  server.allow_remote = options.allow_remote;
  Result<std::unique_ptr<HttpServer>> started = HttpServer::start(
      std::move(server),
      {{"/healthz", alive}, {"/readyz", ready}, {"/metrics", metrics}, {"/api/v1/status", about}});
  if (!started.ok()) {
    return make_error(ErrorKind::kConfig, "server.admin.listen: " + started.status().message());
  }
  return std::unique_ptr<Admin>(new Admin(std::move(*started)));
}

}  // namespace cenote::node
