// Looking into the store for those who ask.
#include "coordinator/standby.h"

#include <utility>
#include <vector>

#include "coordinator/dashboard.h"
#include "coordinator/problem.h"

namespace cenote::coordinator {
namespace {

// What a standby tells is at most this much older than the store.
constexpr Duration kFresh = std::chrono::seconds(1);

class Borrowed final : public Store {
 public:
  Borrowed(SharedStore& store, std::stop_token stop) : store_(store), stop_(std::move(stop)) {}
  Result<std::optional<Item>> get(const CallContext& context, std::string_view key) override {
    return store_.get({context.deadline, stop_}, key);
  }
  Result<std::vector<Item>> list(const CallContext& context, std::string_view prefix) override {
    return store_.list({context.deadline, stop_}, prefix);
  }
  Result<uint64_t> commit(const CallContext& context, const StoreWrite& write) override {
    return store_.commit({context.deadline, stop_}, write);
  }
  uint64_t term() const override { return store_.term(); }

 private:
  SharedStore& store_;
  const std::stop_token stop_;
};

HttpResponse problem(const Problem& wrong) {
  HttpResponse response;
  response.status = wrong.status;
  response.content_type = "application/problem+json";
  response.body = to_json(wrong).dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  if (wrong.status == 503) response.headers.emplace_back("Retry-After", "1");
  return response;
}

// Who lives, what was counted and how far a roll-out has come is in the leader's memory; a place in
// its history too.
bool is_kept_by_the_store(const ApiRow& row, const HttpRequest& http) {
  if (row.method != "GET") return false;
  for (const std::string_view live :
       {"/v1/watch", "/v1/summary", "/metrics", "/v1/rollouts/{scope}"}) {
    if (row.path == live) return false;
  }
  return row.path != "/v1/nodes" || http.query.empty();
}

}  // namespace

std::unique_ptr<Store> borrowed(SharedStore& store, std::stop_token stop) {
  return std::make_unique<Borrowed>(store, std::move(stop));
}

HttpResponse sent_on(const std::string& leader, const HttpRequest& http) {
  if (leader.empty()) {
    return problem({503, "no coordinator leads at the moment; try again in a second", ""});
  }
  HttpResponse response = problem({307, "another coordinator leads: " + leader, ""});
  response.headers.emplace_back("Location",
                                leader + http.path + (http.query.empty() ? "" : "?" + http.query));
  return response;
}

// A coordinator that nobody talks to but readers.
struct Standby::Look {
  TimePoint made;
  std::unique_ptr<PoolCoordinator> coordinator;
  std::unique_ptr<Api> api;
  std::vector<HttpRoute> routes;
};

Result<std::unique_ptr<Standby>> Standby::start(const CoordinatorServerOptions& options,
                                                SharedStore& store) {
  ARROW_ASSIGN_OR_RAISE(Setup setup, set_up(options));
  std::unique_ptr<Standby> standby(new Standby(setup, store));
  std::vector<HttpRoute> routes;
  const std::vector<ApiRow> rows = api_rows();
  for (size_t i = 0; i < rows.size(); ++i) {
    HttpRoute route;
    route.path = rows[i].path;
    route.method = rows[i].method;
    route.max_body = rows[i].max_body;
    if (rows[i].method == "GET") route.lane = HttpLane::kWait;
    // Before the body is sent for nothing.
    if (rows[i].body != ApiRow::kNone) {
      route.guard = [&store](const HttpRequest& head) { return sent_on(store.leader(), head); };
    }
    route.handler = [raw = standby.get(), i, row = rows[i]](const HttpRequest& request) {
      return raw->answer(row, i, request);
    };
    routes.push_back(std::move(route));
  }
  for (HttpRoute& route : dashboard_routes()) {
    route.handler = [&store](const HttpRequest& request) {
      return sent_on(store.leader(), request);
    };
    routes.push_back(std::move(route));
  }
  ARROW_ASSIGN_OR_RAISE(standby->http_,
                        HttpServer::start(std::move(setup.http), std::move(routes)));
  return standby;
}

Standby::~Standby() {
  stop_.request_stop();
  http_.reset();
}

Status Standby::reload(const CoordinatorServerOptions& options) {
  ARROW_ASSIGN_OR_RAISE(Setup setup, set_up(options));
  const TurnLock turn(turn_, store_context().deadline);
  ARROW_RETURN_NOT_OK(turn.status());
  ARROW_RETURN_NOT_OK(http_->reload_tls(setup.http.tls));
  setup_ = std::move(setup);
  look_.reset();
  return Status::OK();
}

HttpResponse Standby::answer(const ApiRow& row, size_t index, const HttpRequest& http) {
  const std::string leader = store_.leader();
  if (!is_kept_by_the_store(row, http)) return sent_on(leader, http);
  HttpResponse response;
  if (row.path == "/healthz") {  // of this process
    response.content_type = "application/json";
    response.body = Json{{"status", "ok"}}.dump() + "\n";
    return response;
  }
  if (row.path == "/readyz" && leader.empty()) {
    response = sent_on(leader, http);
  } else {
    const Result<std::shared_ptr<Look>> look = this->look();
    if (!look.ok()) return problem(problem_of(look.status()));
    response = (*look)->routes.at(index).handler(http);
  }
  response.headers.emplace_back("Cenote-Stale", "true");
  if (!leader.empty()) response.headers.emplace_back("Cenote-Leader", leader);
  return response;
}

Result<std::shared_ptr<Standby::Look>> Standby::look() {
  const CallContext context = store_context();
  const TurnLock turn(turn_, context.deadline);
  ARROW_RETURN_NOT_OK(turn.status());
  if (look_ != nullptr && Clock::now() - look_->made < kFresh) return look_;
  auto look = std::make_shared<Look>();
  look->made = Clock::now();
  ARROW_ASSIGN_OR_RAISE(look->coordinator,
                        open_coordinator(setup_, borrowed(store_, stop_.get_token()), context));
  look->api = std::make_unique<Api>(*look->coordinator, setup_.rules);
  look->routes = look->api->routes();
  look_ = std::move(look);
  return look_;
}

}  // namespace cenote::coordinator
