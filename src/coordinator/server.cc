// Checking, opening, ticking.
#include "coordinator/server.h"

#include <condition_variable>
#include <utility>

#include "cenote/config.h"

#include "base/log.h"
#include "coordinator/dashboard.h"
#include "coordinator/sqlite_store.h"
#include "net/listen_address.h"

namespace cenote::coordinator {
namespace {

constexpr Duration kTick = std::chrono::milliseconds(500);
constexpr int kTicksOfAnHour = 2 * 3600;

Status check_exposure(const CoordinatorServerOptions& options) {
  ARROW_ASSIGN_OR_RAISE(const ListenAddress address, parse_listen_address(options.listen));
  if (address.loopback || (!options.tokens.empty() && !options.tls.certificate.empty())) {
    return Status::OK();
  }
  const std::string missing = options.tokens.empty()
                                  ? options.tls.certificate.empty() ? "TLS and tokens" : "tokens"
                                  : "TLS";
  return make_error(ErrorKind::kConfig,
                    "'" + options.listen + "' can be reached from other machines, without " +
                        missing +
                        "; set coordinator.tls and coordinator.tokens, or listen on 127.0.0.1");
}

Result<std::vector<TokenRecord>> token_records(const CoordinatorServerOptions& options) {
  std::vector<TokenRecord> tokens;
  bool operators = false;
  for (const CoordinatorToken& each : options.tokens) {
    ARROW_ASSIGN_OR_RAISE(TokenRecord token, token_record_from(each));
    operators = operators || token.role == TokenRole::kOperator;
    tokens.push_back(std::move(token));
  }
  if (!tokens.empty() && !operators) {
    return make_error(ErrorKind::kConfig,
                      "coordinator.tokens: none has the role operator; nobody could change "
                      "anything");
  }
  return tokens;
}

// A coordinator that other machines do not reach has its nodes beside it.
Result<Reach> node_reach(const CoordinatorServerOptions& options) {
  ARROW_ASSIGN_OR_RAISE(const ListenAddress address, parse_listen_address(options.listen));
  const Result<Reach> reach = Reach::make(options.node_networks, address.loopback);
  if (reach.ok()) return reach;
  return make_error(ErrorKind::kConfig, "coordinator.node_networks: " + reach.status().message());
}

PoolCoordinator::Options core_options(const CoordinatorServerOptions& options) {
  PoolCoordinator::Options core;
  core.cluster = options.cluster;
  core.registry.health.suspect_after = options.suspect_after;
  core.registry.health.dead_after = options.dead_after;
  core.registry.health.grace = 2 * options.dead_after;
  core.rollout.staged = options.staged;
  core.rollout.hold = options.stage_hold;
  core.rollout.ack_within = options.ack_timeout;
  core.validate = [](std::string_view content) { return check_config(content, "configuration"); };
  return core;
}

template <typename Do>
void every_tick(const std::stop_token& stop, const Do& what) {
  Mutex mutex;
  std::condition_variable_any never;
  TimePoint next = Clock::now();
  for (int ticks = 0; !stop.stop_requested(); ++ticks) {
    what(ticks);
    next = std::max(next + kTick, Clock::now());
    Lock lock(mutex);
    never.wait_until(lock, stop, next, [] { return false; });
  }
}

}  // namespace

Result<std::unique_ptr<CoordinatorServer>> CoordinatorServer::start(
    CoordinatorServerOptions options) {
  ARROW_RETURN_NOT_OK(check_exposure(options));
  ARROW_ASSIGN_OR_RAISE(std::vector<TokenRecord> tokens, token_records(options));
  ARROW_ASSIGN_OR_RAISE(Reach reach, node_reach(options));
  ARROW_ASSIGN_OR_RAISE(std::unique_ptr<Store> store, open_sqlite_store(options.state));
  std::unique_ptr<CoordinatorServer> server(new CoordinatorServer);
  ARROW_ASSIGN_OR_RAISE(server->coordinator_,
                        PoolCoordinator::open(core_options(options), std::move(store)));
  server->coordinator_->tokens().configure(std::move(tokens));
  Api::Options rules;
  rules.node_certificates = !options.tls.client_ca.empty();
  rules.registrations_per_second = options.registrations_per_second;
  rules.reach = std::move(reach);
  server->api_ = std::make_unique<Api>(*server->coordinator_, std::move(rules));
  HttpServerOptions http;
  http.listen = options.listen;
  http.allow_remote = true;  // checked above, more strictly
  http.max_connections = static_cast<size_t>(options.max_connections);
  http.tls = options.tls;
  http.refusal = [api = server->api_.get()](int status, std::string_view reason) {
    return api->refusal(status, reason);
  };
  server->secure_ = !options.tls.certificate.empty();
  std::vector<HttpRoute> routes = server->api_->routes();
  for (HttpRoute& route : dashboard_routes()) routes.push_back(std::move(route));
  ARROW_ASSIGN_OR_RAISE(server->http_, HttpServer::start(std::move(http), std::move(routes)));
  server->coordinator_->on_change([http = server->http_.get()] { http->wake(); });
  server->judge_ =
      std::jthread([raw = server.get()](const std::stop_token& stop) { raw->judge(stop); });
  server->keeper_ =
      std::jthread([raw = server.get()](const std::stop_token& stop) { raw->keep_house(stop); });
  return server;
}

CoordinatorServer::~CoordinatorServer() {
  for (std::jthread* thread : {&judge_, &keeper_}) {
    thread->request_stop();
    if (thread->joinable()) thread->join();
  }
  http_.reset();
}

std::string CoordinatorServer::url() const {
  return (secure_ ? "https://" : "http://") + http_->address();
}

Status CoordinatorServer::reload(const CoordinatorServerOptions& options) {
  ARROW_ASSIGN_OR_RAISE(std::vector<TokenRecord> tokens, token_records(options));
  ARROW_RETURN_NOT_OK(http_->reload_tls(options.tls));
  coordinator_->tokens().configure(std::move(tokens));
  return Status::OK();
}

void CoordinatorServer::judge(const std::stop_token& stop) noexcept {
  every_tick(stop, [this](int /*ticks*/) { coordinator_->tick(); });
}

void CoordinatorServer::keep_house(const std::stop_token& stop) noexcept {
  every_tick(stop, [this](int ticks) {
    coordinator_->settle();
    if (ticks % kTicksOfAnHour != 0) return;
    coordinator_->forget_old_answers(
        time_text(std::chrono::system_clock::now() - std::chrono::hours(24)));
  });
}

}  // namespace cenote::coordinator
