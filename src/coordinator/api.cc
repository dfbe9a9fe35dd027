// What all calls share: letting in, reading, answering.
#include "coordinator/api.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/log.h"
#include "cluster/wire.h"
#include "config/value.h"

namespace cenote::coordinator {
namespace {

constexpr size_t kMostKey = 255;  // characters of an Idempotency-Key

bool plain(std::string_view text, size_t most) {
  return !text.empty() && text.size() <= most &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7F; });
}

// The caller's own, if it can stand in a log; else a random one.
std::string request_id_of(const HttpRequest& http) {
  const std::string_view given = http.header("x-request-id");
  const bool safe = plain(given, 64) && given.find_first_of("\"\\<>") == std::string_view::npos;
  return safe ? std::string(given) : new_token().substr(7, 16);
}

bool is_json(std::string_view content_type) {
  std::string type(content_type.substr(0, content_type.find(';')));
  while (type.ends_with(' ')) type.pop_back();
  std::transform(type.begin(), type.end(), type.begin(), [](unsigned char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : static_cast<char>(c);
  });
  return type == "application/json";
}

// A key that is misspelt would else be ignored, and its caller wait for nothing.
Result<std::map<std::string, std::string>> read_query(std::string_view query,
                                                      std::string_view known) {
  std::map<std::string, std::string> values;
  const std::vector<std::string_view> keys = split_choices(known);
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    const size_t equals = pair.find('=');
    const std::string key(pair.substr(0, equals));
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
      std::string allowed;
      for (const std::string_view each : keys) {
        allowed += (allowed.empty() ? "; known are " : ", ") + std::string(each);
      }
      return refuse(Refusal::kBadRequest, "the query has an unknown key" +
                                              (known.empty() ? "; this path has none" : allowed));
    }
    const auto value = url_decode(equals == std::string_view::npos ? "" : pair.substr(equals + 1));
    if (!value) return refuse(Refusal::kBadRequest, "'" + key + "' is badly percent-encoded");
    if (!values.emplace(key, *value).second) {
      return refuse(Refusal::kBadRequest, "'" + key + "' stands twice in the query");
    }
  }
  return values;
}

std::optional<uint64_t> parse_number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = !text.empty() && error == std::errc() && end == text.data() + text.size();
  return whole ? std::optional(value) : std::nullopt;
}

}  // namespace

std::string_view Call::value(const std::string& key) const {
  const auto found = query.find(key);
  return found == query.end() ? std::string_view() : std::string_view(found->second);
}

Change Call::change() const {
  Change change;
  change.actor = {caller.name, request_id};
  change.idempotency_key = http.header("idempotency-key");
  // Everything that makes two requests the same one; the key is a caller's own.
  if (!change.idempotency_key.empty()) {
    change.idempotency_key = caller.name + "\n" + change.idempotency_key;
    change.body_hash = sha256(http.method + " " + http.path + "?" + http.query + "\n" +
                              std::string(http.header("if-match")) + "\n" + sha256(http.body));
  }
  return change;
}

std::vector<ApiRow> api_rows() {
  std::vector<ApiRow> rows;
  for (const std::span<const ApiRow> some :
       {node_rows(), config_rows(), admin_rows(), reach_rows()}) {
    rows.insert(rows.end(), some.begin(), some.end());
  }
  return rows;
}

Api::Api(PoolCoordinator& coordinator, Options options)
    : coordinator_(coordinator),
      options_(std::move(options)),
      feed_(coordinator),
      tokens_(options_.registrations_per_second),
      refilled_(Clock::now()) {}

std::vector<HttpRoute> Api::routes() {
  std::vector<HttpRoute> routes;
  for (const ApiRow& row : api_rows()) {
    HttpRoute route;
    route.path = row.path;
    route.method = row.method;
    route.max_body = row.max_body;
    route.lane = row.lane;
    route.guard = [this, row](const HttpRequest& http) -> std::optional<HttpResponse> {
      auto caller = let_in(row, http);
      auto* refused = std::get_if<HttpResponse>(&caller);
      return refused == nullptr ? std::nullopt : std::optional(std::move(*refused));
    };
    route.handler = [this, row](const HttpRequest& http) { return answer(row, http); };
    routes.push_back(std::move(route));
  }
  return routes;
}

std::variant<Caller, HttpResponse> Api::let_in(const ApiRow& row, const HttpRequest& http) const {
  if (row.roles == kEverybody) return Caller();
  auto caller = coordinator_.tokens().admit(http.header("authorization"), unix_seconds());
  if (!caller) {
    HttpResponse response = problem(
        {401, "send a valid token as Authorization: Bearer …; an operator can make one", ""});
    response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"cenote\"");
    return response;
  }
  // Where no tokens are set up everybody is everything.
  if (!caller->hash.empty() && (row.roles & role_bit(caller->role)) == 0) {
    return problem({403,
                    "the token '" + caller->name + "' has the role " +
                        std::string(to_string(caller->role)) + ", which may not do this",
                    ""});
  }
  return std::move(*caller);
}

HttpResponse Api::answer(const ApiRow& row, const HttpRequest& http) {
  std::string id = request_id_of(http);
  const auto named = [&](HttpResponse response) {
    response.headers.emplace_back("X-Request-Id", id);
    return response;
  };
  auto caller = let_in(row, http);
  if (auto* refused = std::get_if<HttpResponse>(&caller)) return named(std::move(*refused));
  Result<HttpResponse> response = checked(row, http, std::get<Caller>(std::move(caller)), id);
  if (response.ok()) return named(std::move(*response));
  const Problem wrong = problem_of(response.status());
  if (wrong.status >= 500) log(LogLevel::kWarning, "coordinator", id + ": " + wrong.detail);
  HttpResponse told = problem(wrong);
  if (wrong.status == 503) told.headers.emplace_back("Retry-After", retry_after());
  return named(std::move(told));
}

Result<HttpResponse> Api::checked(const ApiRow& row, const HttpRequest& http, Caller caller,
                                  std::string request_id) {
  Call call{http, std::move(caller), std::move(request_id), {}, {}};
  ARROW_ASSIGN_OR_RAISE(call.query, read_query(http.query, row.query));
  const std::string_view key = http.header("idempotency-key");
  if (!key.empty() && !plain(key, kMostKey)) {
    return refuse(Refusal::kBadRequest,
                  "Idempotency-Key must be 1 to 255 visible characters, best a random UUID");
  }
  if (http.body.empty() && row.body == ApiRow::kRequired) {
    return refuse(Refusal::kBadRequest, "this call needs a body of JSON");
  }
  if (!http.body.empty()) {
    if (!is_json(http.header("content-type"))) {
      return problem({415, "send the body as Content-Type: application/json", ""});
    }
    Result<Json> body = parse_json(http.body);
    if (!body.ok()) return refuse(Refusal::kBadRequest, body.status().message());
    call.body = std::move(*body);
  }
  return row.handler(*this, call);
}

HttpResponse Api::refusal(int status, std::string_view reason) const {
  return problem({status, std::string(reason), ""});
}

HttpResponse Api::reply(Json body, int status) const {
  if (body.is_object()) {
    body.emplace("cluster", coordinator_.cluster());
    body.emplace("term", json_number(coordinator_.term()));
    body.emplace("revision", json_number(coordinator_.revision()));
  }
  HttpResponse response;
  response.status = status;
  response.content_type = "application/json";
  // Text of others (a path, a name) need not be UTF-8.
  response.body = body.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  return finish(std::move(response));
}

HttpResponse Api::problem(const Problem& problem) const {
  HttpResponse response = reply(to_json(problem), problem.status);
  response.content_type = "application/problem+json";
  return response;
}

HttpResponse Api::finish(HttpResponse response) const {
  response.headers.emplace_back("Cenote-Cluster", coordinator_.cluster());
  response.headers.emplace_back("Cenote-Term", std::to_string(coordinator_.term()));
  response.headers.emplace_back("Cenote-Revision", std::to_string(coordinator_.revision()));
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

HttpResponse Api::snapshot() {
  std::shared_ptr<const std::string> list;
  uint64_t revision = 0;
  {
    const Lock lock(mutex_);
    const bool fresh = list_ != nullptr && list_revision_ == coordinator_.revision() &&
                       Clock::now() - list_made_ < std::chrono::seconds(1);
    if (!fresh) {
      const cluster::Snapshot all = coordinator_.nodes();
      list_ = std::make_shared<const std::string>(cluster::to_json(all).dump() + "\n");
      list_revision_ = all.revision;
      list_made_ = Clock::now();
    }
    list = list_;
    revision = list_revision_;
  }
  HttpResponse response;
  response.content_type = "application/json";
  response.body = *list;
  response.headers.emplace_back(
      "ETag", "\"" + std::to_string(coordinator_.term()) + "." + std::to_string(revision) + "\"");
  return finish(std::move(response));
}

Status Api::speaks_for(const Call& call, std::string_view node_id) const {
  const std::string who = "node '" + std::string(node_id) + "'";
  if (!call.caller.node_id.empty() && call.caller.node_id != node_id) {
    return refuse(Refusal::kForbidden, "this token may speak for node '" + call.caller.node_id +
                                           "' only, not for " + who);
  }
  const auto& names = call.http.peer_names;
  if (options_.node_certificates && std::find(names.begin(), names.end(), node_id) == names.end()) {
    return refuse(Refusal::kForbidden, "speaking for " + who +
                                           " needs a client certificate with the subject "
                                           "alternative name DNS:" +
                                           std::string(node_id));
  }
  return Status::OK();
}

bool Api::admits_registration() {
  const Lock lock(mutex_);
  const TimePoint now = Clock::now();
  const double passed = std::chrono::duration<double>(now - refilled_).count();
  const double rate = options_.registrations_per_second;
  tokens_ = std::min(rate, tokens_ + passed * rate);
  refilled_ = now;
  if (tokens_ < 1) return false;
  tokens_ -= 1;
  return true;
}

Result<std::optional<Duration>> duration_of(const Call& call, const std::string& key) {
  if (!call.query.contains(key)) return std::optional<Duration>();
  const Result<Duration> value = parse_duration(call.value(key));
  if (value.ok()) return std::optional(*value);
  return refuse(Refusal::kBadRequest, "'" + key + "' must be a duration, as 30s");
}

Result<std::optional<uint64_t>> number_of(const Call& call, const std::string& key) {
  if (!call.query.contains(key)) return std::optional<uint64_t>();
  if (const auto value = parse_number(call.value(key))) return value;
  return refuse(Refusal::kBadRequest, "'" + key + "' must be a whole number, not below 0");
}

Result<uint64_t> number_of_param(const Call& call, const std::string& name) {
  if (const auto value = parse_number(call.param(name)); value && *value > 0) return *value;
  return refuse(Refusal::kBadRequest, "'" + name + "' in the path must be a number above 0");
}

Result<std::optional<uint64_t>> revision_of(std::string_view text, uint64_t term) {
  const size_t dot = text.find('.');
  const auto revision = parse_number(dot == std::string_view::npos ? text : text.substr(dot + 1));
  const auto of =
      dot == std::string_view::npos ? std::optional(term) : parse_number(text.substr(0, dot));
  if (!revision || !of) {
    return refuse(Refusal::kBadRequest, "a revision is a number, as 12, or term.revision, as 3.12");
  }
  return *of == term ? revision : std::nullopt;
}

Result<std::optional<uint64_t>> version_of_tag(std::string_view header) {
  if (header.empty()) return std::optional<uint64_t>();
  if (header.size() > 2 && header.front() == '"' && header.back() == '"') {
    if (const auto value = parse_number(header.substr(1, header.size() - 2))) return value;
  }
  return refuse(Refusal::kBadRequest,
                "an entity tag is the version in quotes, as If-Match: \"7\"; \"0\" means that "
                "there is none yet");
}

}  // namespace cenote::coordinator
