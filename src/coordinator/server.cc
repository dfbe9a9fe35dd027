// Opening, ticking.
#include "coordinator/server.h"

#include <condition_variable>
#include <utility>
#include <vector>

#include "base/keep_running.h"
#include "coordinator/dashboard.h"
#include "coordinator/sqlite_store.h"

namespace cenote::coordinator {
namespace {

constexpr Duration kTick = std::chrono::milliseconds(500);
constexpr int kTicksOfAnHour = 2 * 3600;
constexpr Duration kRestore = std::chrono::seconds(10);

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

void put_behind(const Gate& gate, std::vector<HttpRoute>* routes) {
  for (HttpRoute& route : *routes) {
    route.handler = [gate, handler = std::move(route.handler)](const HttpRequest& http) {
      std::optional<HttpResponse> instead = gate(http);
      return instead ? std::move(*instead) : handler(http);
    };
    if (!route.guard) continue;
    route.guard = [gate, guard = std::move(route.guard)](const HttpRequest& http) {
      std::optional<HttpResponse> instead = gate(http);
      return instead ? instead : guard(http);
    };
  }
}

}  // namespace

Result<std::unique_ptr<CoordinatorServer>> CoordinatorServer::start(
    const CoordinatorServerOptions& options) {
  // Before the store is touched.
  ARROW_ASSIGN_OR_RAISE(Setup setup, set_up(options));
  ARROW_ASSIGN_OR_RAISE(std::unique_ptr<Store> store, open_sqlite_store(options.state));
  ARROW_ASSIGN_OR_RAISE(auto coordinator,
                        open_coordinator(setup, std::move(store), {Deadline::in(kRestore), {}}));
  return start(std::move(setup), std::move(coordinator), nullptr);
}

Result<std::unique_ptr<CoordinatorServer>> CoordinatorServer::start(
    Setup setup, std::unique_ptr<PoolCoordinator> coordinator, const Gate& gate) {
  std::unique_ptr<CoordinatorServer> server(new CoordinatorServer);
  server->coordinator_ = std::move(coordinator);
  server->api_ = std::make_unique<Api>(*server->coordinator_, std::move(setup.rules));
  setup.http.refusal = [api = server->api_.get()](int status, std::string_view reason) {
    return api->refusal(status, reason);
  };
  server->listen_ = setup.http.listen;
  server->secure_ = !setup.http.tls.certificate.empty();
  std::vector<HttpRoute> routes = server->api_->routes();
  for (HttpRoute& route : dashboard_routes()) routes.push_back(std::move(route));
  if (gate) put_behind(gate, &routes);
  ARROW_ASSIGN_OR_RAISE(server->http_, HttpServer::start(std::move(setup.http), std::move(routes)));
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
  CoordinatorServerOptions next = options;
  next.listen = listen_;
  ARROW_ASSIGN_OR_RAISE(Setup setup, set_up(next));
  ARROW_RETURN_NOT_OK(http_->reload_tls(setup.http.tls));
  coordinator_->tokens().configure(std::move(setup.tokens));
  return Status::OK();
}

void CoordinatorServer::judge(const std::stop_token& stop) noexcept {
  keep_running(stop, "coordinator", "judging nodes",
               [&] { every_tick(stop, [this](int /*ticks*/) { coordinator_->tick(); }); });
}

void CoordinatorServer::keep_house(const std::stop_token& stop) noexcept {
  keep_running(stop, "coordinator", "keeping house", [&] {
    every_tick(stop, [this](int ticks) {
      coordinator_->settle();
      if (ticks % kTicksOfAnHour != 0) return;
      coordinator_->forget_old_answers(
          time_text(std::chrono::system_clock::now() - std::chrono::hours(24)));
    });
  });
}

}  // namespace cenote::coordinator
