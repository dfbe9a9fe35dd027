// Configuration versions and their roll-outs.
#include <utility>

#include "coordinator/api.h"
#include "coordinator/line_diff.h"

namespace cenote::coordinator {
namespace {

constexpr size_t kContent = size_t{1} << 20;  // 512 KiB of content may be twice that in JSON
constexpr size_t kSmall = size_t{4} << 10;

std::string tag_of(const Json& entry) {
  return "\"" + std::to_string(entry.value("version", uint64_t{0})) + "\"";
}

HttpResponse tagged(Api& api, Json entry, int status = 200) {
  const std::string tag = tag_of(entry);
  HttpResponse response = api.reply(std::move(entry), status);
  response.headers.emplace_back("ETag", tag);
  return response;
}

Result<std::string> content_of(const Call& call) {
  std::string content;
  JsonReader reader(call.body);
  reader.get("content", &content);
  ARROW_RETURN_NOT_OK(reader.finish());
  return content;
}

Result<HttpResponse> get_newest(Api& api, const Call& call) {
  ARROW_ASSIGN_OR_RAISE(Json entry, api.coordinator().config(call.param("scope"), 0));
  if (call.http.header("if-none-match") != tag_of(entry)) return tagged(api, std::move(entry));
  HttpResponse response = api.finish(HttpResponse{.status = 304});
  response.headers.emplace_back("ETag", tag_of(entry));
  return response;
}

Result<HttpResponse> get_version(Api& api, const Call& call) {
  ARROW_ASSIGN_OR_RAISE(const uint64_t version, number_of_param(call, "version"));
  ARROW_ASSIGN_OR_RAISE(Json entry, api.coordinator().config(call.param("scope"), version));
  return tagged(api, std::move(entry));
}

Result<HttpResponse> put(Api& api, const Call& call) {
  ARROW_ASSIGN_OR_RAISE(const auto if_match, version_of_tag(call.http.header("if-match")));
  ARROW_ASSIGN_OR_RAISE(const std::string content, content_of(call));
  ARROW_ASSIGN_OR_RAISE(Json entry, api.coordinator().put_config(call.param("scope"), content,
                                                                 if_match, call.change()));
  return tagged(api, std::move(entry), 201);
}

Result<HttpResponse> validate(Api& api, const Call& call) {
  ARROW_ASSIGN_OR_RAISE(const std::string content, content_of(call));
  ARROW_RETURN_NOT_OK(api.coordinator().validate_config(content));
  return api.reply(Json{{"valid", true}});
}

Result<HttpResponse> history(Api& api, const Call& call) {
  ARROW_ASSIGN_OR_RAISE(Json versions, api.coordinator().config_history(call.param("scope")));
  return api.reply(std::move(versions));
}

Result<HttpResponse> diff(Api& api, const Call& call) {
  ARROW_ASSIGN_OR_RAISE(const auto from, number_of(call, "from"));
  ARROW_ASSIGN_OR_RAISE(const auto to, number_of(call, "to"));
  ARROW_ASSIGN_OR_RAISE(const Json after,
                        api.coordinator().config(call.param("scope"), to.value_or(0)));
  const uint64_t newest = after.value("version", uint64_t{0});
  const uint64_t old = from.value_or(newest - 1);
  Json before = {{"content", ""}};
  if (old != 0) {
    ARROW_ASSIGN_OR_RAISE(before, api.coordinator().config(call.param("scope"), old));
  }
  return api.reply(
      Json{{"scope", call.param("scope")},
           {"from", old},
           {"to", newest},
           {"diff", line_diff(before.value("content", ""), after.value("content", ""))}});
}

Result<HttpResponse> rollback(Api& api, const Call& call) {
  uint64_t to = 0;
  if (!call.body.is_null()) {
    JsonReader reader(call.body);
    reader.maybe("to", &to);
    ARROW_RETURN_NOT_OK(reader.finish());
  }
  ARROW_ASSIGN_OR_RAISE(Json entry,
                        api.coordinator().rollback(call.param("scope"), to, call.change()));
  return tagged(api, std::move(entry), 201);
}

Result<HttpResponse> rollout(Api& api, const Call& call) {
  ARROW_ASSIGN_OR_RAISE(Json state, api.coordinator().rollout(call.param("scope")));
  return api.reply(std::move(state));
}

Result<HttpResponse> abort(Api& api, const Call& call) {
  std::string reason = "aborted by " + call.caller.name;
  if (!call.body.is_null()) {
    JsonReader reader(call.body);
    reader.maybe("reason", &reason);
    ARROW_RETURN_NOT_OK(reader.finish());
  }
  ARROW_ASSIGN_OR_RAISE(
      Json state, api.coordinator().abort_rollout(call.param("scope"), reason, call.change()));
  return api.reply(std::move(state));
}

constexpr uint8_t kNodesToo = kNodes | kReaders;

constexpr ApiRow kRows[] = {
    {"GET", "/v1/config/{scope}", kNodesToo, get_newest, ApiRow::kNone, 0, HttpLane::kWait},
    {"PUT", "/v1/config/{scope}", kOperators, put, ApiRow::kRequired, kContent, HttpLane::kWait},
    {"GET", "/v1/config/{scope}/versions/{version}", kNodesToo, get_version, ApiRow::kNone, 0,
     HttpLane::kWait},
    {"GET", "/v1/config/{scope}/history", kReaders, history, ApiRow::kNone, 0, HttpLane::kWait},
    {"GET", "/v1/config/{scope}/diff", kReaders, diff, ApiRow::kNone, 0, HttpLane::kWait,
     "from|to"},
    {"POST", "/v1/config/{scope}/validate", kReaders, validate, ApiRow::kRequired, kContent,
     HttpLane::kCompute},
    {"POST", "/v1/config/{scope}/rollback", kOperators, rollback, ApiRow::kOptional, kSmall,
     HttpLane::kWait},
    {"GET", "/v1/rollouts/{scope}", kReaders, rollout},
    {"POST", "/v1/rollouts/{scope}/abort", kOperators, abort, ApiRow::kOptional, kSmall,
     HttpLane::kWait},
};

}  // namespace

std::span<const ApiRow> config_rows() {
  return kRows;
}

}  // namespace cenote::coordinator
