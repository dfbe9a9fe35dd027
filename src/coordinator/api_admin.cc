// The coordinator itself: health, metrics, the audit log, tokens.
#include <utility>

#include "coordinator/api.h"
#include "coordinator/openapi.h"

namespace cenote::coordinator {
namespace {

constexpr size_t kSmall = size_t{4} << 10;
constexpr uint64_t kMostEntries = 1'000;

Result<HttpResponse> healthz(Api& api, const Call& /*call*/) {
  return api.reply(Json{{"status", "ok"}});
}

Result<HttpResponse> readyz(Api& api, const Call& /*call*/) {
  ARROW_RETURN_NOT_OK(api.coordinator().ready());
  return api.reply(Json{{"status", "ready"}});
}

Result<HttpResponse> prometheus(Api& api, const Call& /*call*/) {
  HttpResponse response;
  response.content_type = kPrometheusText;
  response.body = api.coordinator().prometheus();
  return api.finish(std::move(response));
}

Result<HttpResponse> summary(Api& api, const Call& /*call*/) {
  return api.reply(api.coordinator().summary());
}

Result<HttpResponse> audit(Api& api, const Call& call) {
  ARROW_ASSIGN_OR_RAISE(const auto before, number_of(call, "before"));
  ARROW_ASSIGN_OR_RAISE(const auto limit, number_of(call, "limit"));
  const uint64_t most = limit.value_or(100);
  if (most == 0 || most > kMostEntries) {
    return refuse(Refusal::kBadRequest, "'limit' is 1 to " + std::to_string(kMostEntries));
  }
  ARROW_ASSIGN_OR_RAISE(Json entries, api.coordinator().audit(before.value_or(0), most));
  return api.reply(Json{{"entries", std::move(entries)}});
}

Result<HttpResponse> verify_audit(Api& api, const Call& /*call*/) {
  const Status whole = api.coordinator().verify_audit();
  if (!whole.ok() && error_kind(whole) != ErrorKind::kData) return whole;
  return api.reply(Json{{"whole", whole.ok()}, {"finding", whole.ok() ? "" : whole.message()}});
}

Result<HttpResponse> tokens(Api& api, const Call& /*call*/) {
  Json all = Json::array();
  for (const TokenRecord& token : api.coordinator().tokens().all()) {
    all.push_back(to_json(token, false));
  }
  return api.reply(Json{{"tokens", std::move(all)}});
}

Result<HttpResponse> create_token(Api& api, const Call& call) {
  if (call.body.is_object() && call.body.contains("hash")) {
    return refuse(Refusal::kInvalid, "/hash: is not known here");
  }
  ARROW_ASSIGN_OR_RAISE(const TokenRecord token, token_record_from(call.body));
  ARROW_ASSIGN_OR_RAISE(Json answer, api.coordinator().create_token(token, call.change()));
  return api.reply(std::move(answer), 201);
}

Result<HttpResponse> revoke_token(Api& api, const Call& call) {
  ARROW_ASSIGN_OR_RAISE(Json answer,
                        api.coordinator().revoke_token(call.param("name"), call.change()));
  return api.reply(std::move(answer));
}

Result<HttpResponse> openapi(Api& api, const Call& /*call*/) {
  HttpResponse response;
  response.content_type = "application/json";
  response.body = openapi_document();
  return api.finish(std::move(response));
}

// POST, because it is written down who took it.
Result<HttpResponse> backup(Api& api, const Call& call) {
  HttpResponse response;
  response.content_type = "application/vnd.sqlite3";
  ARROW_ASSIGN_OR_RAISE(response.body,
                        api.coordinator().backup({call.caller.name, call.request_id}));
  return api.finish(std::move(response));
}

constexpr ApiRow kRows[] = {
    {"GET", "/healthz", kEverybody, healthz},
    {"GET", "/readyz", kEverybody, readyz, ApiRow::kNone, 0, HttpLane::kWait},
    {"GET", "/metrics", kReaders, prometheus, ApiRow::kNone, 0, HttpLane::kCompute},
    {"GET", "/v1/summary", kReaders, summary, ApiRow::kNone, 0, HttpLane::kCompute},
    {"GET", "/v1/audit", kReaders, audit, ApiRow::kNone, 0, HttpLane::kWait, "before|limit"},
    {"GET", "/v1/audit/verify", kReaders, verify_audit, ApiRow::kNone, 0, HttpLane::kWait},
    {"GET", "/v1/tokens", kOperators, tokens},
    {"POST", "/v1/tokens", kOperators, create_token, ApiRow::kRequired, kSmall, HttpLane::kWait},
    {"DELETE", "/v1/tokens/{name}", kOperators, revoke_token, ApiRow::kNone, 0, HttpLane::kWait},
    {"POST", "/v1/backup", kOperators, backup, ApiRow::kNone, 0, HttpLane::kWait},
    {"GET", "/v1/openapi.json", kEverybody, openapi},
};

}  // namespace

std::span<const ApiRow> admin_rows() {
  return kRows;
}

}  // namespace cenote::coordinator
