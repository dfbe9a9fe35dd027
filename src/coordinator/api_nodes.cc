// Nodes, their leases, the view of them, advice where to go.
#include <utility>

#include "cluster/wire.h"
#include "coordinator/api.h"

namespace cenote::coordinator {
namespace {

constexpr size_t kHeartbeat = size_t{64} << 10;
constexpr size_t kMetrics = size_t{4} << 20;
constexpr size_t kSmall = size_t{4} << 10;
constexpr Duration kBookmark = std::chrono::seconds(5);
// Tokens that were taken away meanwhile end with the answer.
constexpr Duration kLongestWait = std::chrono::seconds(55);

Status same_node(const Call& call, std::string_view in_body) {
  if (call.param("id") == in_body) return Status::OK();
  return refuse(Refusal::kInvalid, "/node_id: must be the node of the path");
}

Result<HttpResponse> register_node(Api& api, const Call& call) {
  ARROW_ASSIGN_OR_RAISE(const cluster::Registration about, cluster::registration_from(call.body));
  ARROW_RETURN_NOT_OK(api.speaks_for(call, about.node_id));
  if (!api.admits_registration()) {
    return refuse(Refusal::kBusy, "many nodes register at once; this one is to wait a little");
  }
  ARROW_RETURN_NOT_OK(api.may_advertise(about));
  ARROW_ASSIGN_OR_RAISE(Json answer, api.coordinator().register_node(about));
  return api.reply(std::move(answer), 201);
}

Result<HttpResponse> heartbeat(Api& api, const Call& call) {
  ARROW_ASSIGN_OR_RAISE(const cluster::Heartbeat beat, cluster::heartbeat_from(call.body));
  ARROW_RETURN_NOT_OK(same_node(call, beat.node_id));
  ARROW_RETURN_NOT_OK(api.speaks_for(call, beat.node_id));
  ARROW_ASSIGN_OR_RAISE(Json answer, api.coordinator().heartbeat(beat));
  return api.reply(std::move(answer));
}

Result<HttpResponse> metrics(Api& api, const Call& call) {
  ARROW_RETURN_NOT_OK(api.speaks_for(call, call.param("id")));
  ARROW_ASSIGN_OR_RAISE(cluster::MetricsReport report, cluster::metrics_report_from(call.body));
  ARROW_RETURN_NOT_OK(api.coordinator().report_metrics(call.param("id"), std::move(report)));
  return api.reply(Json::object());
}

Result<HttpResponse> client_metrics(Api& api, const Call& call) {
  ARROW_ASSIGN_OR_RAISE(cluster::MetricsReport report, cluster::metrics_report_from(call.body));
  ARROW_RETURN_NOT_OK(api.coordinator().report_client_metrics(call.param("id"), std::move(report)));
  return api.reply(Json::object());
}

Result<HttpResponse> drain(Api& api, const Call& call) {
  ARROW_ASSIGN_OR_RAISE(Json answer,
                        api.coordinator().drain(call.param("id"), true, call.change()));
  return api.reply(std::move(answer));
}

Result<HttpResponse> undrain(Api& api, const Call& call) {
  ARROW_ASSIGN_OR_RAISE(Json answer,
                        api.coordinator().drain(call.param("id"), false, call.change()));
  return api.reply(std::move(answer));
}

// With its incarnation: the node leaves. Without: an operator takes it away.
Result<HttpResponse> remove(Api& api, const Call& call) {
  const std::string& id = call.param("id");
  ARROW_ASSIGN_OR_RAISE(const auto incarnation, number_of(call, "incarnation"));
  if (incarnation) {
    if (call.caller.role == TokenRole::kNode) ARROW_RETURN_NOT_OK(api.speaks_for(call, id));
    ARROW_RETURN_NOT_OK(api.coordinator().leave(id, *incarnation));
    return api.reply(Json{{"node_id", id}, {"removed", true}});
  }
  if (call.caller.role == TokenRole::kNode) {
    return refuse(Refusal::kForbidden,
                  "a node leaves with ?incarnation=N, its own; only an operator removes others");
  }
  ARROW_ASSIGN_OR_RAISE(Json answer, api.coordinator().remove(id, call.change()));
  return api.reply(std::move(answer));
}

Result<HttpResponse> list(Api& api, const Call& call) {
  const uint64_t term = api.coordinator().term();
  std::string_view seen_text = call.value("revision");
  std::string_view tag = call.http.header("if-none-match");
  if (seen_text.empty() && tag.size() > 2 && tag.starts_with('"') && tag.ends_with('"')) {
    seen_text = tag.substr(1, tag.size() - 2);
  }
  ARROW_ASSIGN_OR_RAISE(const auto asked, duration_of(call, "wait"));
  if (asked.value_or(Duration::zero()) > kLongestWait) {
    return refuse(Refusal::kBadRequest, "'wait' is at most 55s");
  }
  if (seen_text.empty()) {
    if (asked) {
      return refuse(Refusal::kBadRequest, "'wait' needs the 'revision' that was seen last");
    }
    return api.snapshot();
  }
  ARROW_ASSIGN_OR_RAISE(const auto seen, revision_of(seen_text, term));
  if (!seen || *seen != api.coordinator().revision()) return api.snapshot();
  HttpResponse response;
  response.wait = std::make_shared<HttpWait>();
  response.wait->until = Deadline::in(asked.value_or(Duration::zero()));
  response.wait->again = [&api, seen = *seen](bool last) -> std::optional<HttpResponse> {
    if (api.coordinator().revision() != seen) return api.snapshot();
    if (!last) return std::nullopt;
    return api.finish(HttpResponse{.status = 304});
  };
  return response;
}

Result<HttpResponse> watch(Api& api, const Call& call) {
  const uint64_t term = api.coordinator().term();
  // A browser's EventSource that connects again tells where it was by itself.
  const std::string_view last_id = call.http.header("last-event-id");
  const std::string_view from = last_id.empty() ? call.value("from") : last_id;
  if (from.empty()) {
    return refuse(Refusal::kBadRequest,
                  "list first: GET /v1/nodes, then watch ?from=<its term>.<its revision>");
  }
  ARROW_ASSIGN_OR_RAISE(const auto seen, revision_of(from, term));
  if (!seen || !api.feed().reaches(*seen)) {
    return refuse(Refusal::kGone, "the history does not reach back to " + std::string(from) +
                                      "; list again: GET /v1/nodes");
  }
  HttpResponse response;
  response.content_type = "text/event-stream";
  response.feed = std::make_shared<HttpFeed>();
  response.feed->interval = kBookmark;
  response.feed->next = [&api, at = *seen, caller = call.caller](bool due,
                                                                 std::string* bytes) mutable {
    if (due && !api.coordinator().tokens().admits_still(caller, unix_seconds())) return false;
    if (!api.feed().append(&at, bytes)) {
      *bytes += api.feed().reset();
      return false;
    }
    if (due) *bytes += api.feed().bookmark(at);
    return true;
  };
  return api.finish(std::move(response));
}

Result<HttpResponse> route(Api& api, const Call& call) {
  PoolRequest request;
  std::string need = "read";
  JsonReader reader(call.body);
  reader.get("pool_id", &request.pool_id);
  reader.maybe("need", &need);
  reader.maybe("zone", &request.zone);
  if (need != "read" && need != "write") reader.fail("need", "must be read or write");
  ARROW_RETURN_NOT_OK(reader.finish());
  request.need = need == "read" ? route::Need::kRead : route::Need::kWrite;
  ARROW_ASSIGN_OR_RAISE(const PoolResponse found, api.coordinator().route_request(request));
  Json instances = Json::array();
  for (const cluster::PoolInstance& each : found.instances) {
    instances.push_back(cluster::to_json(each));
  }
  const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(found.cacheable);
  return api.reply(Json{{"instances", std::move(instances)},
                        {"cacheable_ms", millis.count()},
                        {"term", json_number(found.term)},
                        {"revision", json_number(found.revision)}});
}

constexpr uint8_t kViewOfAll = kNodes | kClients | kReaders;

constexpr ApiRow kRows[] = {
    {"POST", "/v1/nodes", kNodes, register_node, ApiRow::kRequired, kHeartbeat, HttpLane::kWait},
    {"GET", "/v1/nodes", kViewOfAll, list, ApiRow::kNone, 0, HttpLane::kServer, "revision|wait"},
    {"PUT", "/v1/nodes/{id}/heartbeat", kNodes, heartbeat, ApiRow::kRequired, kHeartbeat},
    {"PUT", "/v1/nodes/{id}/metrics", kNodes, metrics, ApiRow::kRequired, kMetrics,
     HttpLane::kCompute},
    {"PUT", "/v1/clients/{id}/metrics", kNodes | kClients | kOperators, client_metrics,
     ApiRow::kRequired, kMetrics, HttpLane::kCompute},
    {"POST", "/v1/nodes/{id}/drain", kOperators, drain, ApiRow::kNone, 0, HttpLane::kWait},
    {"POST", "/v1/nodes/{id}/undrain", kOperators, undrain, ApiRow::kNone, 0, HttpLane::kWait},
    {"DELETE", "/v1/nodes/{id}", kNodes | kOperators, remove, ApiRow::kNone, 0, HttpLane::kWait,
     "incarnation"},
    {"GET", "/v1/watch", kViewOfAll, watch, ApiRow::kNone, 0, HttpLane::kServer, "from"},
    {"POST", "/v1/route", kNodes | kClients | kOperators, route, ApiRow::kRequired, kSmall},
};

}  // namespace

std::span<const ApiRow> node_rows() {
  return kRows;
}

}  // namespace cenote::coordinator
